"""Reliability and lift curves, compared with scikit-learn and simple loops, and their plots."""

from itertools import permutations

import matplotlib
import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_fsmd import MultiTaskClassifier, SingleTaskClassifier
from sklearn_fsmd.metrics import expected_calibration_error, lift_curve, reliability_curve
from sklearn_fsmd.plotting import LiftDisplay, ReliabilityDisplay
from tests.inspection.conftest import SMALL

matplotlib.use("Agg")


@pytest.fixture
def scored(rng):
    p = rng.uniform(size=700)
    return (rng.uniform(size=700) < p**2).astype(float), p


def test_reliability_equals_that_of_scikit_learn(scored):
    y, p = scored
    observed, predicted = calibration_curve(y, p, n_bins=7, strategy="quantile")
    curve = reliability_curve(y, p, n_bins=7)
    np.testing.assert_allclose(curve["observed"], observed)
    np.testing.assert_allclose(curve["predicted"], predicted)
    for row in curve.itertuples():
        ends = binomtest(round(row.observed * row.n), row.n).proportion_ci(method="wilson")
        np.testing.assert_allclose([row.low, row.high], [ends.low, ends.high], atol=1e-9)


def test_a_weight_of_2_repeats_a_row_except_for_the_interval(scored):
    y, p = np.round(scored, 1)  # many equal predictions, so that the bins are the same
    twice = reliability_curve(np.append(y, y), np.append(p, p), n_bins=5)
    weighted = reliability_curve(y, p, n_bins=5, sample_weight=np.full(700, 2.0))
    columns = ["predicted", "observed"]
    np.testing.assert_allclose(weighted[columns], twice[columns])
    np.testing.assert_allclose(weighted[["low", "high"]], reliability_curve(y, p, n_bins=5)[["low", "high"]])
    odd_rows = np.where(np.arange(700) % 2, 1.0, 0.0)
    half = reliability_curve(y[1::2], p[1::2], n_bins=5)
    pd.testing.assert_frame_equal(reliability_curve(y, p, n_bins=5, sample_weight=odd_rows), half)


def test_intervals_of_values_are_intervals_of_means(rng):
    y, p = rng.exponential(size=200), np.repeat([1.0, 2.0], 100)
    curve = reliability_curve(y, p, n_bins=2)
    error = y[:100].std(ddof=1) / 10
    assert curve.loc[0, "high"] - curve.loc[0, "observed"] == pytest.approx(1.959964 * error)
    assert len(reliability_curve(y, np.ones(200))) == 1


def test_lift_equals_that_of_a_loop(scored):
    y, score = scored
    y[:40] = np.nan
    curve = lift_curve(y, score, n_bins=6)
    y, score = y[40:], score[40:]
    parts = np.array_split(y[np.argsort(-score)], 6)
    np.testing.assert_allclose(curve["lift"], [part.mean() / y.mean() for part in parts])
    np.testing.assert_allclose(curve["captured"], np.cumsum([part.sum() for part in parts]) / y.sum())
    assert (curve["low"] <= curve["lift"] + 1e-12).all()


def test_tied_rows_share_their_lift():
    y = np.array([1, 0, 1, 0, 0, 0, 0, 0])
    assert lift_curve(y, [1, 1, 1, 1, 0, 0, 0, 0], n_bins=4)["lift"].tolist() == [2, 2, 0, 0]
    assert lift_curve(y, np.ones(8), n_bins=2)["lift"].tolist() == [1, 1]


def test_intervals_do_not_depend_on_ties(rng):
    y, score = rng.exponential(size=1000), np.repeat(np.arange(5.0), 200)
    ends = ["lift", "low", "high"]
    expected = lift_curve(y, score + rng.uniform(size=1000) * 1e-6, n_bins=5)
    np.testing.assert_allclose(lift_curve(y, score, n_bins=5)[ends], expected[ends])
    one = lift_curve(y, np.ones(1000), n_bins=4)
    half = 1.959964 * y.std() / np.sqrt(249) / y.mean()
    np.testing.assert_allclose(one["high"] - one["lift"], half)


def test_bins_keep_their_numbers_if_others_are_empty():
    y, score, weights = [1, 0, 1, 0, 1, 0], [6, 5, 4, 3, 2, 1], [50, 1, 1, 1, 1, 46]
    curve = lift_curve(y, score, n_bins=10, sample_weight=weights)
    assert curve["bin"].tolist() == [1, 6]
    assert curve["n"].tolist() == [1, 5]
    display = LiftDisplay.from_predictions(y, np.array(score) / 10, sample_weight=weights)
    np.testing.assert_array_equal(display.ax_.containers[0][0].get_xdata(), [1, 6])
    assert display.ax_.get_xlabel().startswith("decile, the best first")
    assert display.ax_.get_xticks().tolist() == list(range(1, 11))


def test_intervals_are_inside_the_axes():
    random = np.random.RandomState(0)
    y = random.uniform(size=200) < 0.04
    display = LiftDisplay.from_predictions(y.astype(int), random.uniform(size=200))
    (curve,) = display.curves.values()
    assert curve["high"].max() > 1.15 * curve["lift"].max()  # more than the points would need
    assert display.ax_.get_ylim()[1] > curve["high"].max()


@pytest.mark.parametrize(
    ("curve", "args", "options", "message"),
    [
        (reliability_curve, ([np.nan, np.nan], [0.1, 0.2]), {}, "`y` has no observed row with a weight above 0"),
        (
            lift_curve,
            ([1, np.nan], [0.1, 0.2]),
            {"sample_weight": [0, 1]},
            "`y` has no observed row with a weight above 0",
        ),
        (reliability_curve, ([0, 1], [0.1, np.inf]), {}, "Input p contains infinity"),
        (reliability_curve, ([0, 1], [0.1, 0.2]), {"n_bins": 0}, "`n_bins` must be at least 1. Got 0"),
        (lift_curve, ([0, 0], [0.1, 0.2]), {}, "the lift is not defined"),
        (lift_curve, ([9, -4], [0.1, 0.2]), {}, "`y` must not be negative. Got -4.0"),
    ],
)
def test_invalid_arguments_of_curves_are_refused(curve, args, options, message):
    with pytest.raises(ValueError, match=message):
        curve(*args, **options)


def test_displays_draw_the_curves_of_the_largest_segments(model, funnel):
    X, Y = (part[2000:] for part in funnel)
    display = ReliabilityDisplay.from_estimator(model, X, Y, by=X["segment"], max_segments=2)
    assert list(display.curves) == ["click", "conversion", "watch_seconds"]
    assert display.ax_ is display.axes_[0]
    assert display.axes_[2].get_xlabel() == "expected value, mean of the bin"
    segments = list(display.curves["click"])
    assert segments[:2] == [str(name) for name in X["segment"].value_counts().index[:2]]
    assert segments[2] == "3 others"
    in_segment = (X["segment"].astype(str) == segments[0]).to_numpy()
    expected = reliability_curve(
        Y.loc[in_segment, "click"], model.predict_marginals(X)[in_segment, 0], n_bins=in_segment.sum() // 50
    )
    np.testing.assert_allclose(np.asarray(display.axes_[0].containers[0][0].get_ydata(), float), expected["observed"])
    legend = [text.get_text() for text in display.figure_.legends[0].get_texts()]
    assert legend[0] == f"{segments[0]} ({in_segment.sum()} rows)"
    display.figure_.canvas.draw()
    box, figure = display.figure_.legends[0].get_window_extent(), display.figure_.bbox
    assert figure.x0 <= box.x0 <= box.x1 <= figure.x1
    assert figure.y0 <= box.y0
    assert all(box.y1 <= ax.xaxis.label.get_window_extent().y0 for ax in display.axes_)

    seconds = Y["watch_seconds"].fillna(0)
    curve = display.curves["watch_seconds"][segments[0]]
    assert np.average(curve["observed"], weights=curve["n"]) == pytest.approx(seconds[in_segment].mean())


def test_rare_segments_and_missing_labels(model, funnel):
    X, Y = (part[2000:2300] for part in funnel)
    Y = Y.copy()
    Y.loc[Y.index[:100], "conversion"] = np.nan
    by = ["rare"] * 20 + [None] * 150 + ["b"] * 130
    with pytest.warns(UserWarning, match="'conversion' is unknown in"):
        display = ReliabilityDisplay.from_estimator(model, X, Y, by=by, targets=["conversion"])
    found = {segment: curve["n"].sum() for segment, curve in display.curves["conversion"].items()}
    no_click = (Y["click"] == 0).to_numpy()  # without a click a conversion is 0, observed or not
    assert found == {"missing": 70 + no_click[20:100].sum(), "b": 130, "rare": no_click[:20].sum()}
    Y = funnel[1][2000:2300]
    with pytest.raises(ValueError, match="no target 'sale'; the targets are \\['click', 'conversion'"):
        ReliabilityDisplay.from_estimator(model, X, Y, targets=["sale"])
    with pytest.raises(ValueError, match="`max_segments` must be at least 1"):
        ReliabilityDisplay.from_estimator(model, X, Y, by=by, max_segments=0)


def test_conditional_curves_use_rows_whose_parent_has_happened(model, funnel):
    X, Y = (part[2000:] for part in funnel)
    Y = Y.astype({"conversion": float})
    Y.iloc[:50, Y.columns.get_loc("conversion")] = np.nan
    display = ReliabilityDisplay.from_estimator(model, X, Y, conditional=True)
    assert list(display.curves) == ["click", "conversion | click", "watch_seconds | click"]
    known = ((Y["click"] == 1) & Y["conversion"].notna()).to_numpy()
    pcvr = model.predict_conditionals(X)[known, 1]
    bins = int(known.sum()) // 50
    expected = reliability_curve(Y["conversion"][known], pcvr, n_bins=min(bins, 10))
    pd.testing.assert_frame_equal(display.curves["conversion | click"]["all"], expected)
    alone = ReliabilityDisplay.from_estimator(model, X, Y, conditional=True, targets=["conversion | click"])
    assert list(alone.curves) == ["conversion | click"]


def test_from_predictions_and_with_given_axes(scored):
    import matplotlib.pyplot as plt

    y, p = scored
    _, axes = plt.subplots(1, 2)
    Y, P = np.column_stack((y, y)), np.column_stack((p, p**2))
    display = ReliabilityDisplay.from_predictions(Y, P, ax=axes)
    assert list(display.curves) == ["click", "conversion"]
    assert list(display.axes_) == list(axes)
    assert [text.get_text() for text in axes[1].get_legend().get_texts()] == ["all (700 rows)"]
    with pytest.raises(ValueError, match="2 targets to draw, and 1 axes"):
        ReliabilityDisplay.from_predictions(Y, P, ax=axes[0])
    with pytest.raises(ValueError, match="Y has 2 tasks, and `task_names` has 1"):
        ReliabilityDisplay.from_predictions(Y, P, task_names=["a"])
    lift = LiftDisplay.from_predictions(Y, P, task_names=["a", "b"], ax=axes[0])
    np.testing.assert_allclose(lift.curves["a"]["lift"], lift_curve(y, p)["lift"])
    assert lift.ax_ is axes[0]


def test_lift_by_the_prediction_of_each_target_or_by_one_ranking(model, funnel):
    X, Y = (part[2000:] for part in funnel)
    pipeline = make_pipeline(FunctionTransformer(), model)
    by_target = LiftDisplay.from_estimator(pipeline, X, Y)
    assert list(by_target.curves) == ["click", "conversion", "watch_seconds"]
    np.testing.assert_allclose(
        by_target.curves["conversion"]["lift"], lift_curve(Y["conversion"], model.predict_marginals(X)[:, 1])["lift"]
    )
    by_score = LiftDisplay.from_estimator(pipeline, X, Y, rank_weights=[1, 0.5])
    expected = lift_curve(Y["click"], model.rank_score(X, [1, 0.5]))
    np.testing.assert_allclose(by_score.curves["click"]["lift"], expected["lift"])
    assert "weights 1 : 0.5" in by_score.ax_.get_xlabel()


def test_targets_with_negative_values_have_no_lift(rng):
    """Their points are inside the axes of the reliability plot."""
    X = rng.normal(size=(300, 2))
    Y = pd.DataFrame({"click": X[:, 0] > 0, "profit": 5 * X[:, 1] - 3})
    params = {"max_epochs": 2, "value_targets": ["profit"], "value_loss": "squared"}
    model = SingleTaskClassifier(**SMALL, **params).fit(X, Y)
    assert list(LiftDisplay.from_estimator(model, X, Y).curves) == ["click"]
    curve = reliability_curve(-np.arange(1, 101.0), -10 * np.arange(1, 101.0))
    display = ReliabilityDisplay({"profit": {"all": curve}}, values=["profit"]).plot()
    (low, high), points = display.ax_.get_xlim(), curve[["predicted", "observed"]].to_numpy()
    assert low < points.min() < points.max() < high
    assert display.ax_.get_ylim() == (low, high)


@pytest.mark.parametrize("scales", [("log", "log"), ("linear", "log"), ("log", "linear"), ("symlog", "symlog")])
def test_reliability_on_axes_with_other_scales(scales, scored):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    ax.set(xscale=scales[0], yscale=scales[1])
    curve = ReliabilityDisplay.from_predictions(*scored, ax=ax).curves["y"]["all"]
    ax.figure.canvas.draw()
    assert (ax.get_xscale(), ax.get_yscale()) == scales
    assert ax.get_xlim() == ax.get_ylim()
    assert ax.get_xlim()[0] < curve["predicted"].min()
    line = ax.lines[-1].get_xydata()
    np.testing.assert_array_equal(line[:, 0], line[:, 1])


def test_reliability_keeps_the_ticks_of_given_axes(scored):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    ax.set_xticks([0.25, 0.75])
    ReliabilityDisplay.from_predictions(*scored, ax=ax)
    assert ax.get_xticks().tolist() == [0.25, 0.75]


def test_segments_with_the_name_of_the_merged_segment(scored):
    by = ["2 others"] * 300 + ["a"] * 300 + ["b"] * 50 + ["c", np.nan] * 25
    curves = ReliabilityDisplay.from_predictions(*scored, by=by).curves["y"]
    found = {segment: curve["n"].sum() for segment, curve in curves.items()}
    assert found == {"2 others": 300, "a": 300, "3 others": 100}
    curves = ReliabilityDisplay.from_predictions(*scored, by=[*by[:650], *["c"] * 50]).curves["y"]
    found = {segment: curve["n"].sum() for segment, curve in curves.items()}
    assert found == {"2 others": 300, "a": 300, "2 others (together)": 100}


def test_a_nan_among_strings_is_a_missing_segment(scored):
    curves = ReliabilityDisplay.from_predictions(*scored, by=["a"] * 350 + [np.nan] * 350).curves["y"]
    assert set(curves) == {"a", "missing"}


def test_a_single_target_with_string_classes(rng):
    X = rng.normal(size=(200, 2))
    y = np.where(X[:, 0] > 0, "yes", "no")
    model = SingleTaskClassifier(**SMALL, max_epochs=5).fit(X, y)
    curve = LiftDisplay.from_estimator(model, X, y).curves["y"]
    assert curve["lift"].iloc[0] > 1.5
    assert ReliabilityDisplay.from_estimator(model, X, y).curves["y"]["all"]["n"].sum() == 200


def test_conditional_curves_of_independent_targets(funnel):
    X, Y = funnel
    Y = Y[["click", "conversion"]]
    model = MultiTaskClassifier(link="independent", **SMALL, max_epochs=2).fit(X[:2000], Y[:2000])
    X, Y = X[2000:], Y[2000:]
    display = ReliabilityDisplay.from_estimator(model, X, Y, conditional=True, n_bins=1)
    assert list(display.curves) == ["click", "conversion | click"]
    clicked = (Y["click"] == 1).to_numpy()
    (row,) = display.curves["conversion | click"]["all"].itertuples()
    assert row.n == clicked.sum()
    assert row.observed == pytest.approx(Y["conversion"][clicked].mean())
    assert row.predicted == pytest.approx(model.predict_conditionals(X)[clicked, 1].mean())


def test_curves_do_not_depend_on_the_order_of_tied_rows():
    y, p = np.array([0, 1, 0, 1.0, 0, 1]), np.array([0.1, 0.5, 0.5, 0.5, 0.9, 0.9])
    weights = np.array([1, 1, 10, 3, 1, 2.0])
    orders = [list(order) for order in permutations(range(6))]
    for column in ("lift", "captured"):
        found = {tuple(lift_curve(y[o], p[o], n_bins=2, sample_weight=weights[o])[column].round(9)) for o in orders}
        assert len(found) == 1
    errors = {round(expected_calibration_error(y[o], p[o], n_bins=2, sample_weight=weights[o]), 9) for o in orders}
    assert len(errors) == 1


def test_bins_do_not_split_ties_and_have_the_minimum_of_rows(rng):
    p = np.concatenate([np.linspace(0.01, 0.1, 49), np.full(100, 0.2), np.linspace(0.3, 0.9, 101)])
    y = (rng.uniform(size=250) < p).astype(int)
    display = ReliabilityDisplay.from_predictions(y, p, n_bins=5, min_bin_rows=50)
    assert display.curves["y"]["all"]["n"].tolist() == [149, 51, 50]
    p = np.concatenate([np.linspace(0.1, 0.8, 400), np.full(600, 0.9)])
    assert reliability_curve((rng.uniform(size=1000) < p) * 1, p, n_bins=2)["n"].tolist() == [400, 600]
    assert reliability_curve([0, 1], [0.5, 0.5], n_bins=2)["n"].tolist() == [2]
    assert reliability_curve([0, 1, 1], [0.1, 0.2, 0.3], n_bins=3, min_bin_rows=2)["n"].tolist() == [3]
    with pytest.raises(ValueError, match="`min_bin_rows` must be at least 1"):
        reliability_curve([0, 1], [0.1, 0.2], min_bin_rows=0)


def test_a_single_value_has_no_interval():
    curve = reliability_curve([5.0, 7.0], [0.1, 0.9], n_bins=2)
    assert curve[["low", "high"]].isna().all(axis=None)


def test_segments_with_the_same_name_are_refused(scored):
    y, p = scored
    for by in (["missing", None] * 350, ["1"] * 350 + [1] * 350):
        with pytest.raises(ValueError, match="which would be one segment '(missing|1)'. Rename one of them"):
            ReliabilityDisplay.from_predictions(y, p, by=np.array(by, dtype=object))


@pytest.mark.parametrize("display", [LiftDisplay, ReliabilityDisplay])
def test_targets_with_the_same_name_are_refused(display, rng):
    with pytest.raises(ValueError, match="Two targets are named 'a'"):
        display.from_predictions(rng.randint(2, size=(40, 2)), rng.uniform(size=(40, 2)), task_names=["a", "a"])


def test_a_target_without_positive_rows_has_no_lift(model, funnel):
    X, Y = (part[2000:] for part in funnel)
    Y = Y.assign(conversion=0)
    assert list(LiftDisplay.from_estimator(model, X, Y).curves) == ["click", "watch_seconds"]
    with pytest.raises(ValueError, match="No target of Y has a lift"):
        LiftDisplay.from_estimator(model, X, Y.assign(click=0, watch_seconds=np.nan))


def test_targets_may_be_one_name_but_not_empty(model, funnel):
    X, Y = (part[2000:] for part in funnel)
    assert list(ReliabilityDisplay.from_estimator(model, X, Y, targets="click").curves) == ["click"]
    with pytest.raises(ValueError, match=r"`targets` must name some of \['click'"):
        ReliabilityDisplay.from_estimator(model, X, Y, targets=[])


def test_conditional_curves_of_values_use_rows_with_a_click(funnel):
    X, Y = funnel
    Y = Y[["click"]].assign(seconds=np.where(Y["click"] == 1, 1.0 + X["price"], np.nan))
    model = MultiTaskClassifier(**SMALL, value_targets=["seconds"], value_parents={"seconds": "click"}).fit(X, Y)
    display = ReliabilityDisplay.from_estimator(model, X, Y, conditional=True, n_bins=1)
    clicked = (Y["click"] == 1).to_numpy()
    (row,) = display.curves["seconds | click"]["all"].itertuples()
    assert row.n == clicked.sum()
    assert row.observed == pytest.approx(Y["seconds"][clicked].mean())
    assert row.predicted == pytest.approx(model.predict_values(X, conditional=True)[clicked].mean())


def test_a_target_without_labels_is_refused_only_if_it_is_shown(rng):
    """Rows of yesterday: no conversion is known yet."""
    X = pd.DataFrame(rng.normal(size=(400, 2)), columns=["x", "y"])
    Y = pd.DataFrame(rng.randint(2, size=(400, 2)), columns=["click", "conversion"])
    model, unknown = SingleTaskClassifier(**SMALL).fit(X, Y), Y.astype(float).assign(conversion=np.nan)
    display = ReliabilityDisplay.from_estimator(model, X, unknown, targets="click")
    assert list(display.curves) == ["click"]
    with pytest.raises(ValueError, match="The target 'conversion' has no observed row in Y"):
        ReliabilityDisplay.from_estimator(model, X, unknown)
    assert list(LiftDisplay.from_estimator(model, X, unknown).curves) == ["click"]
