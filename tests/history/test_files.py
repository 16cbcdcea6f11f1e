"""The past of a log in files is that of the same log in memory."""

import numpy as np
import pandas as pd
import pytest

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.history import HistoryFeatures, write_history
from tests.conftest import SMALL, of

KEYS = ["user", ["user", "tab"], "score"]


@pytest.fixture
def log(rng):
    n = 2000
    X = pd.DataFrame(
        {
            "when": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.randint(0, 2000, n) * 600, unit="s"),
            "user": pd.array(np.where(rng.uniform(size=n) < 0.05, pd.NA, rng.randint(0, 60, n)), dtype="Int64"),
            "tab": rng.choice(["home", "search", None], n),
            "score": rng.choice([0.5, 1.5, np.nan], n),
            'a "name"': rng.normal(size=n),
        }
    )
    click = (rng.uniform(size=n) < 0.4).astype(float)
    buy = click * (rng.uniform(size=n) < 0.3)
    click[rng.uniform(size=n) < 0.1] = np.nan
    buy[rng.uniform(size=n) < 0.3] = np.nan
    return X, pd.DataFrame({"click": click, "buy": buy})


def written(folder, log, history, **options):
    """The log in three files, of which the past is written and read."""
    X, Y = log
    frame = pd.concat([X, Y], axis=1)
    for i, rows in enumerate(np.array_split(np.arange(len(frame)), 3)):
        frame.iloc[rows].to_parquet(folder / f"log-{i}.parquet", index=False)
    n = write_history(history, folder / "log-*.parquet", folder / "past.parquet", targets=list(Y), **options)
    assert n == len(frame)
    return pd.read_parquet(folder / "past.parquet")


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"log": False, "smoothing": 0.0},
        {"half_life": [None, "1D"], "delay": "2h"},
        {"link": "independent", "drop": ["when", "tab"]},
    ],
    ids=str,
)
def test_what_is_told_is_the_same(tmp_path, log, params):
    history = HistoryFeatures(time="when", keys=KEYS, **params)
    found = written(tmp_path, log, history, memory="1GB")
    wanted = HistoryFeatures(time="when", keys=KEYS, **params).fit_transform(*log)
    told = [name for name in wanted if name not in log[0]]
    assert list(found) == [*(name for name in log[0] if name in wanted), *log[1], *told]
    assert len(told) > 8
    for name in told:
        np.testing.assert_allclose(found[name], wanted[name], rtol=2e-6, atol=2e-6, err_msg=name)
        assert found[name].dtype == np.float32
    np.testing.assert_array_equal(found['a "name"'], log[0]['a "name"'])
    np.testing.assert_array_equal(found["click"], log[1]["click"])
    assert not hasattr(history, "target_names_")


def test_a_model_is_trained_on_what_is_written(tmp_path, log):
    X, Y = log
    Y = Y.fillna(0.0)
    written(tmp_path, (X, Y.assign(buy=Y["buy"] * Y["click"])), HistoryFeatures(time="when", keys=KEYS, drop=["when"]))
    model = FSMDClassifier(**of(FSMDClassifier, SMALL))
    model.fit_dataset(tmp_path / "past.parquet", targets=["click", "buy"])
    assert "user_events" in model.feature_names_in_


def test_times_that_are_numbers(tmp_path, log):
    X, Y = log
    X = X.assign(when=X["when"].astype("datetime64[s]").astype(np.int64))
    history = HistoryFeatures(time="when", unit="s", keys=["user"])
    found = written(tmp_path, (X, Y), history)
    wanted = history.fit_transform(X, Y)
    np.testing.assert_allclose(found["user_seconds_since"], wanted["user_seconds_since"], rtol=2e-6)


@pytest.mark.parametrize(
    ("params", "change", "message"),
    [
        ({"keys": ["usr"]}, {}, "Column 'usr', which 'keys' names, is not in the files"),
        ({"last": 3, "last_of": "tab"}, {}, "last=3: lists of the last items are not made for files"),
        ({}, {"click": 2.0}, "Column 'click' must hold 0, 1 or nothing. Found 2.0"),
        ({}, {"when": pd.NaT}, "Column 'when' has no time in 1 of 2,000 rows"),
        ({}, {"when": "later"}, "Column 'when' must hold datetimes or numbers"),
        ({}, {"user_events": 1.0}, "The files have a column 'user_events'"),
        ({"keys": []}, {}, "The 'keys' parameter must name columns"),
    ],
)
def test_what_is_refused(tmp_path, log, params, change, message):
    X, Y = log
    for name, value in change.items():
        column = Y[name] if name in Y else X.get(name, pd.Series(0.0, X.index))
        column = column.astype(object) if isinstance(value, str) else column.copy()
        column.iloc[3] = value
        column = column.map(str) if isinstance(value, str) else column
        (Y if name in Y else X)[name] = column
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        written(tmp_path, (X, Y), HistoryFeatures(**{"time": "when", "keys": ["user"]} | params))
    assert not (tmp_path / "past.parquet").exists()


def test_a_step_after_none_is_told_of(tmp_path, log):
    X, Y = log
    with pytest.warns(UserWarning, match="have 'buy' = 1 though 'click'"):
        written(tmp_path, (X, Y.assign(click=0.0, buy=1.0)), HistoryFeatures(time="when", keys=["user"]))
