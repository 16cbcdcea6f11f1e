import datetime
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.compose import TimeFeatures, ask
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.history import HistoryFeatures
from tests.conftest import SMALL

ALL = ("hour", "day_of_week", "month", "minute_of_day", "day_of_month", "day_of_year", "year", "days_since_1970")
X = pd.DataFrame(
    {
        "user": ["a", "b", "c"],
        "time": pd.to_datetime(["2026-02-01 23:59:30", None, "2024-12-31 00:00:00"]),
        "price": [1.0, 2.0, 3.0],
    },
    index=[7, 5, 9],
)


@parametrize_with_checks([TimeFeatures()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_each_feature():
    result = TimeFeatures(["time"], features=ALL).fit_transform(X)
    expected = {
        "hour": [23, np.nan, 0],
        "day_of_week": [6, np.nan, 1],  # a Sunday, a Tuesday
        "month": [2, np.nan, 12],
        "minute_of_day": [1439, np.nan, 0],
        "day_of_month": [1, np.nan, 31],
        "day_of_year": [32, np.nan, 366],
        "year": [2026, np.nan, 2024],
        "days_since_1970": [20485 + (86400 - 30) / 86400, np.nan, 20088],
    }
    assert list(result.columns) == ["user", *(f"time_{name}" for name in expected), "price"]
    assert result.index.tolist() == [7, 5, 9]
    for name, values in expected.items():
        np.testing.assert_allclose(result[f"time_{name}"].astype(float), values)
    sizes = [len(result[f"time_{name}"].cat.categories) for name in ALL[:3]]
    assert sizes == [24, 7, 12]  # whatever values fit has seen
    assert {str(result[f"time_{name}"].dtype) for name in ALL[3:]} == {"float64"}


def test_names_and_columns():
    transformer = TimeFeatures().fit(X)
    assert transformer.columns_ == ["time"]
    assert transformer.get_feature_names_out().tolist() == ["user", "time_hour", "time_day_of_week", "price"]
    assert list(clone(transformer).set_output(transform="pandas").fit_transform(X)) == list(transformer.transform(X))
    assert TimeFeatures().fit_transform(X[["user", "price"]]).equals(X[["user", "price"]])
    assert list(TimeFeatures([1]).fit_transform(X)) == ["user", "time_hour", "time_day_of_week", "price"]
    with pytest.raises(NotFittedError):
        TimeFeatures().transform(X)


def test_arrays_and_dates_as_objects():
    array = np.array([[1, datetime.date(2026, 1, 5)], [2, None]], dtype=object)
    result = TimeFeatures(features=["day_of_week"]).fit_transform(array)
    assert list(result.columns) == ["x0", "x1_day_of_week"]
    assert result["x0"].tolist() == [1, 2]
    assert result["x1_day_of_week"].tolist()[0] == 0
    assert result["x1_day_of_week"].isna().tolist() == [False, True]


NAIVE = pd.Series(pd.to_datetime(["2026-01-15 23:30", "2026-07-15 23:30"]))
ZONED = NAIVE.dt.tz_localize("Europe/Berlin")
NO_TIME = pd.to_datetime([None])


@pytest.mark.parametrize("seen", [NAIVE, ZONED, NAIVE.dt.to_period("h"), NO_TIME], ids=lambda t: str(t.dtype))
@pytest.mark.parametrize(
    "missing",
    [
        pd.DataFrame({"t": NO_TIME}),
        pd.DataFrame({"t": NO_TIME.tz_localize("Asia/Tokyo")}),
        pd.DataFrame({"t": [None]}),
        pd.DataFrame({"t": [np.nan]}),
        pl.DataFrame({"t": pl.Series([None], dtype=pl.Datetime)}),
        pl.DataFrame({"t": pl.Series([None], dtype=pl.Date)}),
    ],
    ids=["naive", "zone", "objects", "floats", "polars", "polars dates"],
)
def test_all_features_are_missing_if_all_times_are(seen, missing):
    transformer = TimeFeatures(["t"], features=ALL).fit(pd.DataFrame({"t": seen}))
    for result in (transformer.transform(missing), clone(transformer).fit_transform(missing)):
        assert list(result) == [f"t_{name}" for name in ALL]
        assert result.isna().all(axis=None)


def test_a_column_without_times_in_fit_uses_its_later_time_zone():
    unknown = TimeFeatures(["t"]).fit(pd.DataFrame({"t": NO_TIME}))
    for later in (NAIVE, ZONED, ZONED.dt.tz_convert("Asia/Tokyo")):
        assert hours(unknown, later) == later.dt.hour.tolist()
    known = TimeFeatures().fit(pd.DataFrame({"t": NO_TIME.tz_localize("Europe/Berlin")}))
    assert hours(known, ZONED.dt.tz_convert("Asia/Tokyo")) == [23, 23]


@pytest.mark.parametrize(
    "times",
    [
        NAIVE.dt.to_period("h"),
        NAIVE.dt.to_period("h").astype(object),
        NAIVE.astype("category"),
        NAIVE.dt.to_period("h").astype("category"),
    ],
    ids=["periods", "periods as objects", "categories", "categories of periods"],
)
def test_periods_and_categories_of_times(times):
    table = pd.DataFrame({"t": times, "kind": pd.Categorical([1, None])})
    transformer = TimeFeatures(features=["hour", "month"]).fit(table)
    assert transformer.columns_ == ["t"]
    result = transformer.transform(table)
    assert result["t_hour"].tolist() == [23, 23]
    assert result["t_month"].tolist() == [1, 7]


@pytest.mark.parametrize("missing_value", [None, pd.NA, pd.NaT])
def test_missing_values_among_datetime_objects(missing_value):
    times = pd.Series([datetime.datetime(2026, 1, 1, 20), missing_value], dtype=object)
    result = TimeFeatures(features=["hour"], time_zone="Asia/Tokyo").fit_transform(pd.DataFrame({"t": times}))
    assert result["t_hour"][0] == 5
    assert result["t_hour"].isna().tolist() == [False, True]


@pytest.mark.parametrize("dtype", ["period[D]", "period[h]", "category", object])
def test_rows_without_a_known_period(dtype):
    days = pd.Series(pd.PeriodIndex(["2026-01-01", None, "2026-01-03"], freq="D"))
    table = pd.DataFrame({"t": days.dt.asfreq("h") if dtype == "period[h]" else days.astype(dtype)})
    features = TimeFeatures(features=["day_of_month"], time_zone="Asia/Tokyo").fit(table)
    assert features.transform(table)["t_day_of_month"].isna().tolist() == [False, True, False]
    assert features.transform(table[1:2])["t_day_of_month"].isna().tolist() == [True]
    if dtype is not object:  # a missing object may be of any type
        assert TimeFeatures(features=["day_of_month"]).fit_transform(table[1:2])["t_day_of_month"].isna().all()


def test_numpy_days_are_the_same_in_each_time_zone():
    features = TimeFeatures(features=["day_of_month", "hour"], time_zone="America/New_York")
    days = np.array([["2026-01-01"], ["2026-07-31"], ["NaT"]], dtype="datetime64[D]")
    result = features.fit_transform(days)
    assert result["x0_day_of_month"][:2].tolist() == [1, 31]
    assert result["x0_hour"][:2].tolist() == [0, 0]
    assert result["x0_hour"].isna().tolist() == [False, False, True]


def test_column_names_that_are_not_strings():
    X = pd.DataFrame({0: NAIVE, 7: [1.0, 2.0]})
    transformer = TimeFeatures().fit(X)
    names = ["0_hour", "0_day_of_week", "7"]
    assert list(transformer.transform(X)) == transformer.get_feature_names_out().tolist() == names
    assert list(transformer.set_output(transform="pandas").transform(X)) == names
    assert list(TimeFeatures().fit_transform(X[[7]])) == ["7"]


@pytest.mark.parametrize("time_zone", [None, "UTC"])
def test_times_outside_the_range_of_nanoseconds(time_zone):
    t = pd.Series(np.array(["9999-12-31T12", "NaT", "0001-01-01T00"], dtype="datetime64[s]"))
    result = TimeFeatures(features=["year", "days_since_1970"], time_zone=time_zone).fit_transform(
        pd.DataFrame({"t": t})
    )
    np.testing.assert_array_equal(result, [[9999, 2932896.5], [np.nan, np.nan], [1, -719162]])


@pytest.mark.parametrize("library", [pl.from_pandas, lambda X: X.convert_dtypes(dtype_backend="pyarrow")])
def test_tables_of_other_libraries(library):
    result = TimeFeatures(features=ALL, time_zone="Europe/Berlin").fit_transform(library(X.reset_index(drop=True)))
    expected = TimeFeatures(features=ALL, time_zone="Europe/Berlin").fit_transform(X)
    for name in ALL:
        np.testing.assert_array_equal(result[f"time_{name}"].astype(float), expected[f"time_{name}"].astype(float))


def hours(transformer, times):
    return transformer.transform(pd.DataFrame({"t": times}))["t_hour"].tolist()


def test_hours_are_those_of_the_time_zone():
    utc = pd.Series(pd.to_datetime(["2026-01-15 23:30", "2026-07-15 23:30"]).tz_localize("UTC"))
    berlin = utc.dt.tz_convert("Europe/Berlin")
    from_fit = TimeFeatures().fit(pd.DataFrame({"t": berlin}))
    assert hours(from_fit, berlin) == [0, 1]
    assert hours(from_fit, utc) == [0, 1]  # in the zone of fit
    assert TimeFeatures().fit_transform(pd.DataFrame({"t": utc}))["t_hour"].tolist() == [23, 23]
    china = TimeFeatures(time_zone="Asia/Shanghai").fit(pd.DataFrame({"t": utc}))
    assert hours(china, utc) == hours(china, berlin) == hours(china, utc.dt.tz_localize(None)) == [7, 7]
    assert np.isnan(hours(from_fit, pd.Series([None, None], dtype=object))).all()
    with pytest.raises(
        ValueError, match="Column 't' had the time zone Europe/Berlin in fit and has no time zone now. Set `time_zone`."
    ):
        hours(from_fit, utc.dt.tz_localize(None))


@pytest.mark.parametrize(
    ("params", "table", "message"),
    [
        ({"columns": ["user"]}, X, "Column 'user' must hold datetimes. Found 'a'. Convert it by pandas.to_datetime."),
        ({"columns": ["price"]}, X, "Column 'price' must hold datetimes. Found 1.0."),
        ({"columns": ["when"]}, X, "columns has an item value 'when' which is not a valid feature name"),
        (
            {"columns": "time"},
            X,
            "The 'columns' parameter of TimeFeatures must be an array-like, .*Got 'time' instead.",
        ),
        (
            {"features": ["weekday"]},
            X,
            r"The 'features' parameter must name some of \['hour', .*Got 'weekday' instead.",
        ),
        ({"features": ["hour", "year", "hour"]}, X, "The 'features' parameter names 'hour' twice."),
        (
            {"time_zone": "Mars"},
            X,
            "The 'time_zone' parameter must be a time zone such as \"UTC\". Got 'Mars' instead.",
        ),
        ({}, X.assign(time_hour=1), "X has a column 'time_hour', which is the name of an output column. Rename it."),
        (
            {},
            pd.DataFrame({"t": [pd.Timestamp("2026-01-01", tz="UTC"), pd.Timestamp("2026-01-01")]}, dtype=object),
            "Column 't' cannot be read as datetimes of one time zone: ",
        ),
    ],
)
def test_invalid_input_is_refused(params, table, message):
    with pytest.raises(ValueError, match=message):
        TimeFeatures(**params).fit(table)


def test_a_column_that_has_no_datetimes_after_fit_is_refused():
    transformer = TimeFeatures().fit(X)
    with pytest.raises(ValueError, match="Column 'time' must hold datetimes. Found '2026-02-01'."):
        transformer.transform(X.assign(time="2026-02-01"))


def test_in_a_pipeline_after_history_and_before_a_model():
    X, Y = make_funnel(400, history=True, random_state=0, return_X_y=True)
    with pytest.raises(TypeError, match="Column 'time' has dtype datetime64.*`sklearn_fsmd.compose.TimeFeatures`"):
        FSMDClassifier(**SMALL).fit(X, Y)
    model = FSMDClassifier(**SMALL)
    pipeline = make_pipeline(HistoryFeatures(keys=["user_id"]), TimeFeatures(), model).fit(X, Y)
    assert np.isfinite(ask(pipeline, "predict_marginals", X)).all()
    names = pipeline[-1].feature_names_in_.tolist()
    assert names[:2] == ["time_hour", "time_day_of_week"]
    assert "user_id_events" in names


def test_durations_are_refused_with_a_remedy():
    X, Y = make_funnel(300, random_state=0, return_X_y=True)
    with pytest.raises(TypeError, match="Column 'price' has dtype timedelta64.*e.g. by `.dt.total_seconds\\(\\)`."):
        FSMDClassifier(**SMALL).fit(X.assign(price=pd.to_timedelta(X["price"], unit="s")), Y)


@pytest.mark.parametrize(
    "days",
    [
        [pd.Timestamp("2026-01-01").date()],
        pd.period_range("2026-01", periods=1, freq="M"),
        pd.Categorical([pd.Timestamp("2026-01-01").date()]),
    ],
)
def test_days_are_the_same_in_each_time_zone(days):
    X = pd.DataFrame({"d": days, "t": pd.to_datetime(["2026-01-01 02:00"])})
    result = TimeFeatures(features=["month", "year", "day_of_month"], time_zone="America/New_York").fit_transform(X)
    assert result.iloc[0].tolist() == [1, 2026, 1, 12, 2025, 31]


def test_days_and_times_of_a_column_do_not_mix_in_a_time_zone():
    days = pd.DataFrame({"t": [pd.Timestamp("2026-01-01").date()]})
    times = pd.DataFrame({"t": pd.to_datetime(["2026-01-01"])})
    for first, then, held in ((days, times, "days"), (times, days, "times")):
        features = TimeFeatures(time_zone="America/New_York").fit(first)
        with pytest.raises(ValueError, match=f"Column 't' held {held} in fit and holds .* now"):
            features.transform(then)
        assert TimeFeatures().fit(first).transform(then)["t_hour"].tolist() == [0]


def test_a_failed_fit_keeps_the_previous_fit():
    times = TimeFeatures(["time"]).fit(X)
    before = times.transform(X)
    for broken in (X.assign(time=["a", "b", "c"]), X.assign(time_hour=1)):
        with pytest.raises(ValueError, match="time"):
            times.fit(broken)
        pd.testing.assert_frame_equal(times.transform(X), before)
    unfitted = TimeFeatures(["time"])
    with pytest.raises(ValueError, match="'time_hour', which is the name of an output column"):
        unfitted.fit(X.assign(time_hour=1))
    with pytest.raises(NotFittedError):
        unfitted.transform(X)


def test_times_mixed_with_days_are_refused_with_a_time_zone():
    """Features must not depend on other rows; without days, the time would be converted to the zone."""
    values = [datetime.datetime(2026, 1, 1, 20), datetime.date(2026, 1, 2)]
    table = pd.DataFrame({"t": pd.Series(values, dtype=object)})
    with pytest.raises(ValueError, match="Column 't' holds days and times, such as .*2026.*20"):
        TimeFeatures(time_zone="Asia/Shanghai").fit_transform(table)
    assert TimeFeatures().fit_transform(table)["t_hour"].tolist() == [20, 0]


def test_numbers_with_pandas_na_stay_numbers():
    X = np.array([["a", 1.5, pd.NA], ["b", pd.NA, 2], ["a", 2.5, 4]], dtype=object)
    result = TimeFeatures().fit_transform(X)
    assert [result[name].dtype.kind for name in ("x1", "x2")] == ["f", "f"]


@pytest.mark.filterwarnings("ignore:X (has|does not have) (valid )?feature names")
@pytest.mark.parametrize("names", [["t", "x"], [0, 1]], ids=str)
@pytest.mark.parametrize("columns", [None, [0]], ids=str)
def test_columns_are_found_by_position_if_names_come_or_go(names, columns):
    table = pd.DataFrame({"t": pd.to_datetime(["2026-01-01 05:00", "2026-01-02 06:00"]), "x": [1.5, 2.5]})
    table, array = table.set_axis(names, axis=1), table.to_numpy(dtype=object)
    for first, then in ((table, array), (array, table)):
        features = TimeFeatures(columns).fit(first)
        result = features.transform(then)
        assert list(result.columns) == list(features.get_feature_names_out())
        assert result.iloc[:, 0].tolist() == [5, 6]
        assert result.iloc[:, -1].tolist() == [1.5, 2.5]
        pd.testing.assert_frame_equal(result, features.transform(first))


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6)])
def test_numbers_that_were_read_in_the_wrong_unit(unit, factor):
    numbers = pd.Series((1_767_225_600 + np.arange(100) * 3600) * factor)  # in January 2026
    with pytest.warns(UserWarning, match=r"Column 'time': all times are in January 1970.*unit='s'\), or 'ms' or 'us'"):
        TimeFeatures().fit(pd.DataFrame({"time": pd.to_datetime(numbers)}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TimeFeatures().fit(pd.DataFrame({"time": pd.to_datetime(numbers, unit=unit)}))
        TimeFeatures().fit(pd.DataFrame({"time": pd.to_datetime(["1970-01-01", "1970-03-01"], utc=True)}))
