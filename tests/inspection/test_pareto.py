"""The Pareto front of two objectives over the weights of the ranking score."""

import copy

import matplotlib
import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.metrics import auc_per_task, ndcg_at_k, outcomes
from sklearn_fsmd.plotting import LiftDisplay, ParetoDisplay
from sklearn_fsmd.ranking import pareto_front, tune_rank_weights, weighted_product
from tests.inspection.conftest import SMALL
from tests.test_ranking import Known

matplotlib.use("Agg")


def test_the_front_equals_that_of_a_loop(rng):
    P = rng.uniform(0.01, 1, size=(300, 3))

    def correlation_with(k):
        return lambda Y, score: float(np.corrcoef(score, P[:, k])[0, 1])

    points = pareto_front(Known(P), P, P, {"a": correlation_with(0), "b": correlation_with(1)}, n_steps=4)
    assert len(points) == 15
    np.testing.assert_allclose(points.filter(like="weight_").sum(axis=1), 1)
    for row in points.itertuples():
        score = weighted_product(P, [row.weight_0, row.weight_1, row.weight_2])
        assert row.a == pytest.approx(correlation_with(0)(None, score))
        dominated = [o.a >= row.a and o.b >= row.b and (o.a > row.a or o.b > row.b) for o in points.itertuples()]
        assert row.efficient == (not any(dominated))
    assert points.loc[points["a"].idxmax(), "weight_0"] == 1


@pytest.mark.parametrize(
    ("n_factors", "names", "options", "message"),
    [
        (1, "ab", {}, "a front needs two targets or more"),
        (2, "a", {}, "at least two utilities. Got \\['a'\\]"),
        (2, "ab", {"n_steps": 0}, "`n_steps` must be at least 1. Got 0"),
        (2, "ab", {"n_steps": 2.5}, "`n_steps` must be an integer. Got 2.5"),
        (2, ["efficient", "b"], {}, "`utilities` has the name 'efficient', which is for another column"),
        (2, ["a", "weight_0"], {}, "`utilities` has the name 'weight_0', which is for another column"),
    ],
)
def test_invalid_arguments_are_refused(n_factors, names, options, message):
    P = np.full((5, n_factors), 0.5)
    with pytest.raises(ValueError, match=message):
        pareto_front(Known(P), P, P, {name: lambda Y, score: 1.0 for name in names}, **options)


def test_display_of_a_pipeline_with_value_targets(model, funnel):
    X, Y = (part[2000:] for part in funnel)
    pipeline = make_pipeline(FunctionTransformer(), model)
    display = ParetoDisplay.from_estimator(pipeline, X, Y, weights=[1, 0.5], n_steps=3)
    assert display.objectives == ["click: AUC", "conversion: AUC"]
    assert display.ax_.get_legend().get_title().get_text() == "weights click : conversion : watch_seconds"
    score = model.rank_score(X, [1, 0.5])
    np.testing.assert_allclose(display.current[:2], auc_per_task(Y.iloc[:, :2], np.stack([score] * 2, axis=1)))
    assert len(display.points) == 10


def test_ndcg_of_users_with_missing_labels(model, funnel):
    X, Y = (part[2000:] for part in funnel)
    Y = Y.astype(float)
    Y.loc[Y.index[:50], "click"] = np.nan
    display = ParetoDisplay.from_estimator(model, X, Y, groups=X["user_id"], k=3, n_steps=2)
    best = display.points.loc[display.points["weight_0"] == 1].iloc[0]
    p, users = model.predict_marginals(X)[50:, 0], X["user_id"].astype(int)[50:]
    assert best["click: NDCG@3"] == pytest.approx(ndcg_at_k(Y["click"][50:], p, users, k=3))
    again = ParetoDisplay.from_points(display.points, objectives=["conversion: NDCG@3", "click: NDCG@3"])
    assert again.ax_.get_xlabel() == "conversion: NDCG@3"
    with pytest.raises(ValueError, match="must name two of"):
        ParetoDisplay.from_points(display.points, objectives=["click: NDCG@3"])


def test_an_objective_may_be_named_like_a_weight():
    points = pd.DataFrame({"weight_0": [0, 1.0], "weight_1": [1.0, 0], "weight_x": [1, 2.0], "b": [2, 1.0]})
    display = ParetoDisplay.from_points(points.assign(efficient=True))
    assert display.objectives == ["weight_x", "b"]
    assert {text.get_text().strip() for text in display.ax_.texts} >= {"0 : 1", "1 : 0"}


def test_accepts_rows_as_lists(funnel):
    X, Y = funnel[0].astype(object), funnel[1].iloc[:, :2].astype(float)
    model = FSMDClassifier(**SMALL, max_epochs=1, categorical_features=[0, 1, 2, 4, 7])
    model.fit(X[:800].to_numpy(), Y[:800])
    X, Y, users = X[800:1000].to_numpy(), Y[800:1000], X["user_id"][800:1000].tolist()
    Y.iloc[::9, 0] = np.nan
    expected = ParetoDisplay.from_estimator(model, X, Y, groups=users, n_steps=2)
    found = ParetoDisplay.from_estimator(model, X.tolist(), Y, groups=users, n_steps=2)
    pd.testing.assert_frame_equal(found.points, expected.points)


def test_tunes_the_weights_of_a_pipeline(model, funnel):
    X, Y = (part[2000:2300] for part in funnel)

    def utility(Y, score):
        return float(np.corrcoef(score, Y["click"])[0, 1])

    pipeline = make_pipeline(FunctionTransformer(), model)
    np.testing.assert_allclose(tune_rank_weights(pipeline, X, Y, utility), tune_rank_weights(model, X, Y, utility))


def test_labels_are_inside_the_axes_and_do_not_overlap():
    x = np.linspace(0, 1, 21)
    points = pd.DataFrame({"weight_0": x, "weight_1": 1 - x, "a": x, "b": np.sqrt(1 - x**2), "efficient": True})
    display = ParetoDisplay.from_points(points)
    display.figure_.canvas.draw()
    boxes = [text.get_window_extent() for text in display.ax_.texts if text.get_text()]
    frame = display.ax_.get_window_extent()
    assert len(boxes) == 5
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])
        assert frame.x0 <= box.x0 <= box.x1 <= frame.x1
        assert frame.y0 <= box.y0 <= box.y1 <= frame.y1


def test_weights_by_name_equal_weights_in_order(model, funnel):
    X, Y = (part[2000:2400] for part in funnel)
    named = {"conversion": 0.5, "click": 1}
    current_points = [
        ParetoDisplay.from_estimator(model, X, Y, weights=w, n_steps=2).current for w in (named, [1, 0.5, 0])
    ]
    assert current_points[0] == current_points[1]
    titles = [LiftDisplay.from_estimator(model, X, Y, rank_weights=w).ranked_by for w in (named, [1, 0.5, 0])]
    assert titles == ["rank_score, weights 1 : 0.5 : 0"] * 2


def test_value_targets_are_those_of_fit_if_parameters_change(model, funnel):
    X, Y = (part[2000:2300] for part in funnel)
    utilities = {"mean": lambda Y, score: float(score.mean()), "spread": lambda Y, score: float(score.std())}
    changed = copy.copy(model).set_params(value_targets=None, value_parents=None)
    fronts = [pareto_front(one, X, Y, utilities, n_steps=2) for one in (model, changed)]
    pd.testing.assert_frame_equal(*fronts)
    assert [one.name for one in outcomes(changed, X, Y, conditional=True)][-1].startswith("watch_seconds")


def test_inconsistent_numbers_of_rows_are_refused(model, funnel):
    X, Y = (part[2000:2300] for part in funnel)
    for other in ({"Y": Y[:200]}, {"groups": funnel[0]["user_id"]}):
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            ParetoDisplay.from_estimator(model, **{"X": X, "Y": Y} | other)
