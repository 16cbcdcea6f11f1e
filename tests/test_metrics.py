import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

from sklearn_fsmd import FSMDClassifier, SharedBottomClassifier, SingleTaskClassifier, metrics
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.metrics import get_scorer
from tests.conftest import SMALL, supported
from tests.fuzz.attacks import order_of_rows

NAN = float("nan")


@pytest.fixture
def labelled(rng):
    P = np.sort(rng.uniform(size=(400, 2)))[:, ::-1].astype(np.float32)
    click = rng.uniform(size=400) < P[:, 0]
    Y = np.stack([click, click & (rng.uniform(size=400) < P[:, 1] / P[:, 0])], axis=1).astype(int)
    return Y, P


def test_auc_per_task_and_mean(labelled):
    Y, P = labelled
    expected = [roc_auc_score(Y[:, k], P[:, k]) for k in range(2)]
    np.testing.assert_allclose(metrics.auc_per_task(Y, P), expected)
    assert metrics.mean_auc(pd.DataFrame(Y), P) == pytest.approx(np.mean(expected))


def test_accepts_a_list_of_probabilities(labelled):
    Y, P = labelled
    as_list = [np.stack((1 - p, p), axis=1) for p in P.T]
    np.testing.assert_array_equal(metrics.auc_per_task(Y, as_list), metrics.auc_per_task(Y, P))
    assert metrics.mean_auc(Y[:, 0], as_list[0]) == pytest.approx(roc_auc_score(Y[:, 0], P[:, 0]))


def test_missing_labels_are_left_out(labelled):
    Y, P = labelled
    masked = Y.astype(float)
    masked[:100, 1] = NAN
    auc = metrics.auc_per_task(masked, P)
    assert auc[1] == pytest.approx(roc_auc_score(Y[100:, 1], P[100:, 1]))
    weights = np.ones((400, 2))
    weights[:100, 1] = 0
    np.testing.assert_allclose(metrics.auc_per_task(Y, P, sample_weight=weights), auc)


def test_one_class_has_no_auc(labelled):
    Y, P = labelled
    Y = np.stack([Y[:, 0], Y[:, 0] * 0], axis=1)
    with pytest.warns(UndefinedMetricWarning, match=r"task \[1\]"):
        auc = metrics.auc_per_task(Y, P)
    assert np.isnan(auc).tolist() == [False, True]
    with pytest.warns(UndefinedMetricWarning):
        assert metrics.mean_auc(Y, P) == pytest.approx(auc[0])


def test_cvr_auc_uses_clicked_rows(labelled):
    Y, P = labelled
    clicked = Y[:, 0] == 1
    expected = roc_auc_score(Y[clicked, 1], P[clicked, 1] / P[clicked, 0])
    assert metrics.cvr_auc(Y, P) == pytest.approx(expected)
    assert metrics.cvr_auc(Y[:, ::-1], P[:, ::-1], columns=[1, 0]) == pytest.approx(expected)
    with pytest.raises(ValueError, match="two tasks, click and conversion. Got 1"):
        metrics.cvr_auc(Y[:, 0], P[:, 0])
    for columns in (["click"], ["click", "order"], ["click", "click"], [0, 2], [0, -1]):
        with pytest.raises(ValueError, match="`columns` must be two columns of Y, by name or position. Got"):
            metrics.cvr_auc(Y, P, columns=columns)


def test_mean_log_loss_is_the_mean_of_the_tasks(labelled):
    Y, P = labelled
    expected = np.mean([log_loss(Y[:, k], P[:, k].astype(float)) for k in range(2)])
    assert metrics.mean_log_loss(Y, P) == pytest.approx(expected)
    assert metrics.mean_log_loss(Y, np.ones_like(P)) > 5  # confident wrong predictions are costly
    weights = np.arange(400.0)
    expected = np.mean([log_loss(Y[:, k], P[:, k].astype(float), sample_weight=weights) for k in range(2)])
    assert metrics.mean_log_loss(Y, P, sample_weight=weights) == pytest.approx(expected)
    per_task = np.stack([weights, np.ones(400)], axis=1)
    first, second = (metrics.mean_log_loss(Y[:, k], P[:, k], sample_weight=per_task[:, k]) for k in range(2))
    assert metrics.mean_log_loss(Y, P, sample_weight=per_task) == pytest.approx((first + second) / 2)


def test_group_auc_weighs_users_by_impressions(rng):
    groups = rng.randint(30, size=500)
    y, p = rng.randint(2, size=500), rng.randint(10, size=500) / 10  # with ties
    y[groups == 3] = 1  # a group of one class is left out
    total, n = 0.0, 0
    for g in set(groups) - {3}:
        in_group = groups == g
        total += roc_auc_score(y[in_group], p[in_group]) * in_group.sum()
        n += in_group.sum()
    assert metrics.group_auc(y, p, groups) == pytest.approx(total / n)


def test_group_auc_without_a_group_of_two_classes_is_nan():
    with pytest.warns(UndefinedMetricWarning):
        assert np.isnan(metrics.group_auc([0, 1], [0.1, 0.9], [1, 2]))


def test_calibration_error(rng):
    p = rng.uniform(size=200_000)
    y = rng.uniform(size=200_000) < p
    assert metrics.expected_calibration_error(y, p) < 0.004
    assert metrics.expected_calibration_error(y, p / 2) == pytest.approx(0.25, abs=0.005)
    assert metrics.expected_calibration_error([0, 0, 1, 1], [0.5] * 4, n_bins=1) == 0.0
    with pytest.raises(ValueError, match="one task at a time. Got 2"):
        metrics.expected_calibration_error(np.zeros((3, 2)), np.zeros((3, 2)))


def test_multi_task_gain():
    np.testing.assert_allclose(metrics.multi_task_gain([0.8, 0.7], [0.75, 0.72]), [0.05, -0.02])
    with pytest.raises(ValueError, match="one AUC per task"):
        metrics.multi_task_gain([0.8], [0.7, 0.6])


def test_two_other_classes_are_treated_as_0_and_1(labelled):
    Y, P = labelled
    texts = pd.DataFrame(Y).replace({0: "no", 1: "yes"})
    np.testing.assert_array_equal(metrics.auc_per_task(texts, P), metrics.auc_per_task(Y, P))
    assert metrics.mean_log_loss(Y + 1, P) == metrics.mean_log_loss(Y, P)


@pytest.mark.parametrize("metric", [metrics.mean_log_loss, metrics.expected_calibration_error])
def test_probabilities_outside_0_to_1_are_refused(metric):
    with pytest.raises(ValueError, match=r"P must hold probabilities in \[0, 1\]. Got 0.5 to 2.5"):
        metric([0, 1], [0.5, 2.5])


def test_weights_change_cvr_auc(labelled):
    Y, P = labelled
    weights = np.arange(400.0)
    assert metrics.cvr_auc(Y, P, sample_weight=weights) != metrics.cvr_auc(Y, P)


@pytest.mark.parametrize(
    ("Y", "P", "message"),
    [
        ([[0, 1]], [[0.5, 0.5, 0.5]], "Y has 2 tasks and P has 3"),
        ([[0, 2]], [[0.5, 0.5]], "All labels in Y are 2, which may be the positive or the negative class. Use 0 and 1"),
        ([[0, 1]], [[0.5, 0.5]] * 2, "inconsistent numbers of samples"),
    ],
)
def test_invalid_input_is_refused(Y, P, message):
    with pytest.raises(ValueError, match=message):
        metrics.auc_per_task(Y, P)


class TestScorers:
    model = SharedBottomClassifier(**supported(SharedBottomClassifier, SMALL))

    def test_each_scorer_equals_its_metric(self, frame):
        X, Y = frame
        model = clone(self.model).fit(X, Y)
        P, labels = model.predict_marginals(X), Y.to_numpy()
        expected = {
            "click_auc": roc_auc_score(labels[:, 0], P[:, 0]),
            "conversion_auc": roc_auc_score(labels[:, 1], P[:, 1]),
            "mean_auc": metrics.mean_auc(Y, P),
            "cvr_auc": metrics.cvr_auc(Y, P),
            "neg_mean_log_loss": -metrics.mean_log_loss(Y, P),
            "neg_calibration_error": -np.mean(
                [metrics.expected_calibration_error(labels[:, k], P[:, k]) for k in range(2)]
            ),
        }
        assert sorted(expected) == metrics.get_scorer_names()
        for name, value in expected.items():
            assert metrics.get_scorer(name)(model, X, Y) == pytest.approx(value, rel=1e-5), name

    def test_scorers_by_column_name_and_by_position(self, frame):
        X, Y = frame
        Y = Y.rename(columns={"click": "watch"})
        model = clone(self.model).fit(X, Y)
        assert metrics.get_scorer("watch_auc")(model, X, Y) == metrics.get_scorer("task0_auc")(model, X, Y.to_numpy())
        for absent in ("share_auc", "click_auc"):  # "click" is not the name of the first column here
            with pytest.raises(ValueError, match=f"There is no target {absent[:-4]!r} to score"):
                metrics.get_scorer(absent)(model, X, Y)

    def test_in_a_grid_search_and_in_cross_validation(self, frame):
        X, Y = frame
        search = GridSearchCV(self.model, {"lr": [1e-3, 1e-2]}, scoring=metrics.get_scorer("click_auc"), cv=2).fit(X, Y)
        assert 0 < search.best_score_ <= 1
        scoring = {name: metrics.get_scorer(name) for name in metrics.get_scorer_names()}
        results = cross_validate(self.model, X, Y, scoring=scoring, cv=2)
        assert all(np.isfinite(results[f"test_{name}"]).all() for name in scoring)

    def test_unknown_names_are_refused(self):
        with pytest.raises(ValueError, match="There is no scorer 'f1'. Use one of"):
            metrics.get_scorer("f1")


# ---------------------------------------------------------------------------------------------------- invalid input

PAIR = [[0, 1], [1, 0], [1, 1]]
ONE = [0.5, 0.2, 0.9]


@pytest.mark.parametrize(
    ("metric", "arguments", "message"),
    [
        (metrics.group_auc, ([1, -1, 0], ONE, [0, 0, 0]), "must have two classes, .* Got 3 classes: -1, 0, 1"),
        (metrics.group_auc, (["no", "yes", "maybe"], ONE, [0, 0, 0]), "Got 3 classes: 'maybe', 'no', 'yes'. Leave out"),
        (metrics.auc_per_task, ([0.5, 2, 7, 31], [0.1, 0.2, 0.3, 0.4]), "must have two classes, .* Got 4 .*, …. Leave"),
        (metrics.auc_per_task, (["yes", NAN, "yes"], ONE), "All labels in Y are 'yes', which may be"),
        (metrics.group_auc, ([0, 1, 1], [0.5, NAN, 0.9], [0, 0, 0]), "Input p contains NaN"),
        (metrics.group_auc, ([0, 1, 1], ONE, [0, None, 0]), "`groups` must have no missing values"),
        (metrics.group_auc, ([0, 1], ONE, [0, 0, 0]), "inconsistent numbers of samples"),
        (metrics.group_auc, ([0, 1, 1], ONE, ["ann", NAN, "bob"]), "`groups` must have no missing values"),
        (metrics.ndcg_at_k, ([0, 1, NAN], ONE, [0, 0, 0]), "`gain` must have no missing values. Leave out rows whose"),
        (metrics.ndcg_at_k, (["a", NAN, "b"], ONE, [0, 0, 0]), "`gain` must have no missing values"),
        (lambda *a: metrics.ndcg_at_k(*a, k=2.5), ([0, 1, 1], ONE, [0, 0, 0]), "`k` must be an integer. Got 2.5"),
        (lambda *a: metrics.decile_bias(*a, n_bins=0), (ONE, ONE), "`n_bins` must be at least 1. Got 0"),
        (lambda *a: metrics.lift_curve(*a, n_bins="3"), (ONE, ONE), "`n_bins` must be an integer. Got '3'"),
        (metrics.ndcg_at_k, ([0, 1, 1], [0.5, np.inf, 0.9], [0, 0, 0]), "Input score contains infinity"),
        (metrics.auc_per_task, (PAIR, [[0.5, NAN]] * 3), "Input P contains NaN"),
        (metrics.cvr_auc, (PAIR, [[0.5, NAN]] * 3), "Input P contains NaN"),
        (metrics.mean_log_loss, (PAIR, [[0.5, NAN]] * 3), "Input P contains NaN"),
        (metrics.expected_calibration_error, ([0, 1, 1], [0.5, NAN, 0.1]), "Input P contains NaN"),
        (metrics.expected_calibration_error, ([0, 1, 2], ONE), "Got 3 classes: 0, 1, 2. Leave out columns that hold"),
        (metrics.auc_per_task, (PAIR, [np.ones((3, 1)), np.ones((3, 1))]), "two classes for each task. Got the shape"),
        (metrics.auc_per_task, (np.array([[1, "a"]] * 3, dtype=object).T, np.ones((2, 3))), "must be of one type|two"),
    ],
)
def test_invalid_arguments_are_refused(metric, arguments, message):
    with pytest.raises(ValueError, match=message):
        metric(*arguments)


def test_the_warning_names_a_task_without_an_auc():
    Y, P = pd.DataFrame({"click": [0, 1], "sale": [0.0, NAN]}), np.full((2, 2), 0.5)
    with pytest.warns(UndefinedMetricWarning, match=r"Only one class in Y for task \['sale'\], or no label"):
        metrics.auc_per_task(Y, P)
    with pytest.warns(UndefinedMetricWarning, match=r"for task \[1\], or no label"):
        metrics.auc_per_task(Y.to_numpy(), P)


@pytest.mark.parametrize("as_list", [False, True])
def test_text_labels_give_the_same_metrics_as_numbers(as_list, rng):
    y, p, groups = rng.randint(2, size=90).astype(float), rng.uniform(size=90), rng.randint(5, size=90)
    y[::9] = NAN
    texts = pd.Series(y).map({0.0: "no", 1.0: "yes"})
    texts = texts.tolist() if as_list else texts  # in a list, numpy converts the NaN to the text "nan"
    pairs = [[word, "no" if i % 4 else "yes"] for i, word in enumerate(texts)]
    numbers, P = np.stack([y, np.arange(90) % 4 == 0], axis=1), np.stack([p, p / 2], axis=1)
    assert metrics.auc_per_task(texts, p) == metrics.auc_per_task(y, p)
    np.testing.assert_array_equal(metrics.auc_per_task(pairs, P), metrics.auc_per_task(numbers, P))
    assert metrics.group_auc(texts, p, groups) == metrics.group_auc(y, p, groups)
    assert metrics.group_auc(np.asarray(y) + 1, p, groups) == metrics.group_auc(y, p, groups)
    assert metrics.expected_calibration_error(texts, p) == metrics.expected_calibration_error(y, p)
    for curve in (metrics.reliability_curve, metrics.lift_curve):
        pd.testing.assert_frame_equal(curve(texts, p), curve(y, p))


@pytest.mark.parametrize("metric", [metrics.auc_per_task, metrics.cvr_auc, metrics.mean_log_loss, metrics.mean_auc])
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, NAN, 1.0], "Input sample_weight contains NaN"),
        ([1.0, -1.0, 1.0], "Negative values in data passed to `sample_weight`"),
        ([1.0, 1.0], "inconsistent numbers of samples"),
        (np.ones((3, 3)), "Sample weights must be 1D array or scalar"),
    ],
)
def test_weights_are_checked_in_every_metric(metric, weights, message):
    with pytest.raises(ValueError, match=message):
        metric(PAIR, [[0.5, 0.4], [0.2, 0.1], [0.9, 0.3]], sample_weight=weights)


def test_a_task_without_labels_has_no_loss():
    with pytest.warns(UndefinedMetricWarning, match=r"No observed label in Y for task \[1\]"):
        loss = metrics.mean_log_loss([[0, NAN], [1, NAN]], [[0.2, 0.1], [0.6, 0.1]])
    assert loss == pytest.approx(log_loss([0, 1], [0.2, 0.6]))
    with pytest.warns(UndefinedMetricWarning, match="No observed label in y"):
        assert np.isnan(metrics.expected_calibration_error([NAN], [0.5]))


def test_the_calibration_error_uses_the_mean_of_ties():
    y, p = np.array([1, 0, 0, 0, 1, 1]), np.array([0.5, 0.5, 0.5, 0.5, 0.9, 0.9])
    expected = (4 * abs(0.5 - 0.25) + 2 * abs(0.9 - 1)) / 6
    for order in ([0, 1, 2, 3, 4, 5], [3, 2, 1, 0, 5, 4], [5, 1, 4, 0, 2, 3]):
        assert metrics.expected_calibration_error(y[order], p[order], n_bins=3) == pytest.approx(expected)


def test_the_decile_bias_uses_the_mean_of_ties():
    y, value = np.array([0.0, 0.0, 20.0, 20.0, 50.0]), np.array([10.0, 10.0, 10.0, 10.0, 40.0])
    expected = (3 * 0 + 2 * abs((10 + 40) / 2 - (10 + 50) / 2)) / 5 / y.mean()  # bins of three and of two rows
    for order in ([0, 1, 2, 3, 4], [0, 2, 1, 3, 4], [4, 3, 0, 2, 1]):
        assert metrics.decile_bias(y[order], value[order], n_bins=2) == pytest.approx(expected)


class Constant(ClassifierMixin, BaseEstimator):
    """Predicts the same for every row, and has `classes_`."""

    def fit(self, X, Y):
        self.classes_ = [np.unique(column) for column in np.asarray(Y).T]
        return self

    def predict_proba(self, X):
        return [np.tile([0.8, 0.2], (len(X), 1)) for _ in self.classes_]


@pytest.mark.parametrize("classes", [(1, 2), (-1, 1), ("no", "yes"), (0, 1), (0, 5), (1, 0.5)])
@pytest.mark.parametrize("name", ["neg_mean_log_loss", "neg_calibration_error"])
def test_a_fold_of_one_class_keeps_the_classes_of_fit(name, classes):
    low, high = sorted(classes)
    model = Constant().fit(None, [[low, high], [high, low]])
    scorer, X = metrics.get_scorer(name), np.zeros((4, 1))
    for label, truth in ((low, 0), (high, 1)):
        Y, zeros_and_ones = np.full((4, 2), label), np.full((4, 2), truth)
        P = np.full((4, 2), 0.2)
        expected = {
            "neg_mean_log_loss": -metrics.mean_log_loss(zeros_and_ones, P),
            "neg_calibration_error": -abs(truth - 0.2),
        }
        assert scorer(model, X, Y) == pytest.approx(expected[name])


def test_scorers_refuse_labels_that_the_model_does_not_know():
    model = Constant().fit(None, [[1, 2], [2, 1]])
    with pytest.raises(ValueError, match="of the two classes of fit, 1, 2, or NaN where one is missing. Got 3"):
        metrics.get_scorer("neg_mean_log_loss")(model, np.zeros((2, 1)), np.array([[1, 3], [1, 1]]))
    model = Constant().fit(None, [[1], [2], [3]])
    with pytest.raises(ValueError, match="must have two classes. Those of the estimator are 1, 2, 3"):
        metrics.get_scorer("neg_mean_log_loss")(model, np.zeros((2, 1)), np.array([[1], [3]]))


def test_polars_frames_and_series(labelled):
    Y, P = labelled
    frame = pl.DataFrame({"click": Y[:, 0], "conversion": Y[:, 1]})
    assert metrics.mean_auc(frame, P) == metrics.mean_auc(Y, P)
    assert metrics.group_auc(frame["click"], P[:, 0], pl.Series([f"u{i % 7}" for i in range(len(Y))])) > 0.5


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_the_order_of_the_rows_has_no_effect(data):
    order_of_rows(np.random.RandomState(data.draw(st.integers(0, 2**32 - 1))))


@pytest.mark.parametrize("name", ["click_auc", "mean_auc", "neg_mean_log_loss", "cvr_auc"])
def test_targets_may_have_labels_of_different_types(name, frame):
    X, Y = frame
    texts = Y.assign(conversion=np.where(Y["conversion"] == 1, "yes", "no"))
    number_model, text_model = (FSMDClassifier(**SMALL | {"max_epochs": 1}).fit(X, labels) for labels in (Y, texts))
    assert metrics.get_scorer(name)(text_model, X, texts) == metrics.get_scorer(name)(number_model, X, Y)


@pytest.mark.parametrize("name", ["click_auc", "mean_auc", "neg_mean_log_loss", "cvr_auc"])
@pytest.mark.parametrize("in_pipeline", [False, True])
def test_scorers_refuse_reordered_columns_of_y(name, in_pipeline, frame):
    X, Y = frame
    model = SharedBottomClassifier(**supported(SharedBottomClassifier, SMALL) | {"max_epochs": 1})
    model = (make_pipeline(FunctionTransformer(), model) if in_pipeline else model).fit(X, Y)
    with pytest.raises(ValueError, match=r"The columns of Y must be those of fit, in their order, \['click'"):
        metrics.get_scorer(name)(model, X, Y[["conversion", "click"]])


@pytest.fixture(scope="module")
def watched():
    """A chain with values, and test rows with some targets that were not observed."""
    X, Y = make_funnel(1200, watch_time=True, random_state=0, return_X_y=True)
    params = {"value_targets": ["watch_seconds"], "value_parents": {"watch_seconds": "click"}, "max_epochs": 1}
    model = FSMDClassifier(**supported(FSMDClassifier, SMALL) | params).fit(X[:800], Y[:800])
    Y = Y[800:].astype(float)
    Y.loc[(Y["click"] == 0) & (Y.index % 2 == 0), "conversion"] = NAN
    Y.loc[Y.index % 7 == 0, "click"] = NAN
    return model, X[800:], Y


VALUE_SCORERS = ["watch_seconds_concordance", *(f"neg_watch_seconds_{name}" for name in ("mae", "rmse", "decile_bias"))]


@pytest.mark.parametrize("name", [*metrics.get_scorer_names(), *VALUE_SCORERS])
def test_scorers_refuse_reordered_columns_of_y_with_values(name, watched):
    model, X, Y = watched
    assert np.isfinite(metrics.get_scorer(name)(model, X, Y))
    with pytest.raises(ValueError, match=r"The columns of Y must be those of fit, in their order, \['click'"):
        metrics.get_scorer(name)(model, X, Y[["conversion", "click", "watch_seconds"]])


def test_scorers_fill_labels_implied_by_the_chain_as_score_does(watched):
    """Scorers treat a missing conversion after a click of 0 as 0; metric functions do not know the chain."""
    model, X, Y = watched
    P, filled = model.predict_marginals(X), Y.drop(columns="watch_seconds")
    filled.loc[Y["click"] == 0, "conversion"] = 0.0
    assert metrics.get_scorer("mean_auc")(model, X, Y) == pytest.approx(model.score(X, Y), rel=1e-9)
    for name, metric in (("neg_mean_log_loss", metrics.mean_log_loss), ("mean_auc", metrics.mean_auc)):
        score = abs(metrics.get_scorer(name)(model, X, Y))
        assert score == pytest.approx(metric(filled, P), rel=1e-9)
        assert score != pytest.approx(metric(Y.drop(columns="watch_seconds"), P), rel=1e-9)
    seconds = np.where(Y["click"] == 0, 0.0, Y["watch_seconds"].where(Y["click"].notna()))
    error = metrics.value_mae(seconds, model.predict_values(X)[:, 0])
    assert metrics.get_scorer("neg_watch_seconds_mae")(model, X, Y) == pytest.approx(-error)


def test_scorers_of_values_given_their_step_use_rows_in_which_it_has_happened(watched):
    model, X, Y = watched
    clicked = ((Y["click"] == 1) & Y["watch_seconds"].notna()).to_numpy()
    seconds, predicted = Y["watch_seconds"][clicked], model.predict_values(X[clicked], conditional=True)[:, 0]
    for name, expected in {
        "watch_seconds_given_click_concordance": metrics.concordance(seconds, predicted),
        "neg_watch_seconds_given_click_mae": -metrics.value_mae(seconds, predicted),
        "neg_watch_seconds_given_click_rmse": -metrics.value_rmse(seconds, predicted),
    }.items():
        assert metrics.get_scorer(name)(model, X, Y) == pytest.approx(expected)
    weights = np.where(X["price"] > 50, 2.0, 0.5)
    expected = -metrics.value_mae(seconds, predicted, sample_weight=weights[clicked])
    found = metrics.get_scorer("neg_watch_seconds_given_click_mae")(model, X, Y, sample_weight=weights)
    assert found == pytest.approx(expected)
    with pytest.raises(
        ValueError, match=r"no value 'watch_given_click' to score; the values are \['watch_seconds', 'watch_"
    ):
        metrics.get_scorer("watch_given_click_concordance")(model, X, Y)


def test_reordered_columns_of_predictions_or_weights_are_refused(labelled):
    Y, P = (pd.DataFrame(array, columns=["click", "conversion"]) for array in labelled)
    for moved in (pd.DataFrame, pl.from_pandas):
        with pytest.raises(ValueError, match="The columns of `P` must have the order of those of Y"):
            metrics.auc_per_task(Y, moved(P[["conversion", "click"]]))
        with pytest.raises(ValueError, match="The columns of `sample_weight` must have the order of those of Y"):
            metrics.mean_log_loss(Y, P, sample_weight=moved(P[["conversion", "click"]]))
    assert metrics.mean_auc(Y, P) == metrics.mean_auc(Y.to_numpy(), P.to_numpy())


def test_scorers_by_name_find_the_task_in_an_array():
    X, Y = make_funnel(800, random_state=0, return_X_y=True)
    Y = Y.rename(columns={"click": "viewed", "conversion": "click"})
    model = FSMDClassifier(**SMALL).fit(X, Y)
    for name in ("click_auc", "task1_auc"):
        score = metrics.get_scorer(name)(model, X, Y.to_numpy())
        assert score == pytest.approx(roc_auc_score(Y["click"], model.predict_marginals(X)[:, 1]))
    with pytest.raises(ValueError, match="no target 'conversion' to score"):
        metrics.get_scorer("conversion_auc")(model, X, Y.to_numpy())


def test_cvr_auc_uses_the_columns_named_click_and_conversion():
    X, Y = make_funnel(800, random_state=0, return_X_y=True)
    opened = np.maximum(Y["click"], np.arange(800) % 2)
    Y = Y.assign(opened=opened)[["opened", "click", "conversion"]]
    model = FSMDClassifier(**SMALL).fit(X, Y)
    clicked = (Y["click"] == 1).to_numpy()
    expected = roc_auc_score(Y["conversion"][clicked], model.predict_conditionals(X)[clicked, 2])
    assert metrics.get_scorer("cvr_auc")(model, X, Y) == pytest.approx(expected)
    assert metrics.cvr_auc(Y, model.predict_marginals(X)) == pytest.approx(expected)


def test_any_constant_conversion_rate_has_an_auc_of_one_half(rng):
    p_click = rng.uniform(0.05, 1, size=2000).astype(np.float32)
    clicked, converted = rng.uniform(size=(2, 2000)) < 0.5
    Y = np.c_[clicked, clicked & converted].astype(int)
    for rate in rng.uniform(0.05, 0.95, size=500).astype(np.float32):
        assert metrics.cvr_auc(Y, np.c_[p_click, p_click * rate]) == 0.5


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_close_conversion_rates_are_ranked(kind, rng):
    """So many different rates that neighbours differ by less than the rounding of the marginals."""
    p_click, rate = np.ones(100_000, dtype=kind), kind(0.5) + np.arange(100_000) * np.finfo(kind).eps
    converted = rng.uniform(size=len(rate)) < np.linspace(0.2, 0.8, len(rate))
    Y = np.c_[np.ones(len(rate)), converted].astype(int)
    expected = roc_auc_score(converted, np.arange(len(rate)))
    assert metrics.cvr_auc(Y, np.c_[p_click, rate]) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_equal_conversion_rates_tie_despite_rounding(kind, rng):
    p_click, rate = rng.uniform(size=3000).astype(kind), rng.choice([0.2, 0.4], size=3000).astype(kind)
    click = rng.uniform(size=3000) < p_click
    Y = np.c_[click, click & (rng.uniform(size=3000) < rate)].astype(int)
    assert metrics.cvr_auc(Y, np.c_[p_click, p_click * kind(0.25)]) == 0.5
    expected = roc_auc_score(Y[click, 1], rate[click])
    assert metrics.cvr_auc(Y, np.c_[p_click, p_click * rate]) == pytest.approx(expected, abs=1e-9)


def test_cvr_auc_ignores_clicks_of_weight_0(labelled):
    Y, P = labelled
    weights = np.ones(Y.shape)
    weights[::2, 0] = 0
    assert metrics.cvr_auc(Y, P, sample_weight=weights) == metrics.cvr_auc(Y[1::2], P[1::2])


def test_scorers_of_a_step_given_an_earlier_step():
    X, Y = make_funnel(800, random_state=0, return_X_y=True)
    Y = Y.assign(opened=np.maximum(Y["click"], np.arange(800) % 2))[["opened", "click", "conversion"]]
    model = FSMDClassifier(**SMALL).fit(X, Y)
    P, opened = model.predict_marginals(X), Y["opened"] == 1
    for step, k in {"click": 1, "conversion": 2}.items():
        expected = roc_auc_score(Y[step][opened], P[opened, k].astype(np.float64) / P[opened, 0])
        for labels in (Y, Y.to_numpy()):
            assert metrics.get_scorer(f"{step}_given_opened_auc")(model, X, labels) == pytest.approx(expected)
        assert metrics.cvr_auc(Y, P, columns=["opened", step]) == pytest.approx(expected)
    renamed = Y.rename(columns={"click": "click_given_opened"})
    other = FSMDClassifier(**SMALL).fit(X, renamed)
    expected = roc_auc_score(renamed["click_given_opened"], other.predict_marginals(X)[:, 1])
    assert metrics.get_scorer("click_given_opened_auc")(other, X, renamed) == pytest.approx(expected)
    assert metrics.get_scorer("click_given_opened_given_opened_auc")(other, X, renamed) == pytest.approx(
        metrics.cvr_auc(renamed, other.predict_marginals(X), columns=[0, 1])
    )
    with pytest.raises(ValueError, match="no target 'click_given_cart' to score"):
        metrics.get_scorer("click_given_cart_auc")(model, X, Y)
    with pytest.raises(ValueError, match="'click_given_click_auc' evaluates a task given itself"):
        metrics.get_scorer("click_given_click_auc")(model, X, Y)


@pytest.mark.parametrize("metric", [metrics.auc_per_task, metrics.mean_log_loss, metrics.expected_calibration_error])
def test_one_target_with_the_marginals_of_two_is_refused(metric, labelled):
    Y, P = labelled
    with pytest.raises(ValueError, match="Y has 1 task and P has 2"):
        metric(Y[:, 0], P)
    both = np.stack((1 - P[:, 0], P[:, 0]), axis=1)
    np.testing.assert_allclose(metric(Y[:, 0], both), metric(Y[:, 0], P[:, 0]))


def test_the_calibration_error_is_weighted(rng):
    p = np.sort(rng.uniform(size=60))
    y = (rng.uniform(size=60) < p).astype(int)
    weights = rng.randint(0, 3, size=60)
    repeated = [column.repeat(weights) for column in (y, p)]
    weighted = metrics.expected_calibration_error(y, p, n_bins=1, sample_weight=weights)
    assert weighted == pytest.approx(metrics.expected_calibration_error(*repeated, n_bins=1))
    error = metrics.expected_calibration_error([0, 1, 1, 0], [0.2, 0.2, 0.6, 0.6], n_bins=2, sample_weight=[3, 1, 1, 1])
    assert error == pytest.approx((4 * abs(0.2 - 0.25) + 2 * abs(0.6 - 0.5)) / 6)


def test_scorers_accept_weights_for_each_column_of_y_with_values(watched):
    model, X, Y = watched
    weights = np.stack([np.where(X["price"] > 50, 2.0, 0.5), np.ones(400), np.full(400, 7.0)], axis=1)
    score = metrics.get_scorer("mean_auc")(model, X, Y, sample_weight=weights)
    assert score == pytest.approx(model.score(X, Y, sample_weight=weights))
    assert score != pytest.approx(model.score(X, Y))
    assert np.isfinite(metrics.get_scorer("neg_calibration_error")(model, X, Y, sample_weight=weights))
    with pytest.raises(ValueError, match="concordance of 'watch_seconds' does not support weights"):
        metrics.get_scorer("watch_seconds_concordance")(model, X, Y, sample_weight=weights)


@pytest.mark.parametrize("name", ["mae", "rmse", "decile_bias"])
def test_value_scorers_accept_weights(name, watched):
    """A weight of 0 equals leaving the row out, and a weight of 2 equals repeating it."""
    model, X, Y = watched
    scorer = metrics.get_scorer(f"neg_watch_seconds_{name}")
    times = np.random.RandomState(0).randint(3, size=len(X))
    if name == "decile_bias":  # its bins have equal numbers of rows
        times = (times > 0) * 3
    rows = np.repeat(np.arange(len(X)), times // (3 if name == "decile_bias" else 1))
    expected = scorer(model, X.iloc[rows], Y.iloc[rows])
    assert scorer(model, X, Y, sample_weight=times) == pytest.approx(expected)
    assert expected != pytest.approx(scorer(model, X, Y), rel=1e-3)
    with config_context(enable_metadata_routing=True):
        routed = cross_validate(
            clone(model).set_fit_request(sample_weight=False),
            X,
            Y,
            scoring=scorer.set_score_request(sample_weight=True),
            cv=[(np.arange(len(X)), np.arange(len(X)))],
            params={"sample_weight": times},
        )
    assert np.isfinite(routed["test_score"]).all()


@pytest.mark.parametrize(
    "classifier", [MLPClassifier(max_iter=5), OneVsRestClassifier(LogisticRegression()), RandomForestClassifier(5)]
)
def test_scorers_evaluate_other_multilabel_classifiers(classifier, labelled):
    Y, P = labelled
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the MLP does not converge
        classifier.fit(P, Y)
    p = classifier.predict_proba(P)
    p = np.stack([p_task[:, 1] for p_task in p], axis=1) if isinstance(p, list) else p
    assert metrics.get_scorer("mean_auc")(classifier, P, Y) == pytest.approx(metrics.mean_auc(Y, p))
    assert metrics.get_scorer("task1_auc")(classifier, P, Y) == pytest.approx(roc_auc_score(Y[:, 1], p[:, 1]))


def test_value_scorers_refuse_a_net(watched):
    model, X, Y = watched
    with pytest.raises(TypeError, match="evaluates `predict_values` of a fitted estimator. Got a Net"):
        metrics.get_scorer("watch_seconds_concordance")(model.net_, X, Y)


def test_scorers_refuse_another_number_of_targets(watched):
    model, X, Y = watched
    with pytest.raises(ValueError, match="Y has 2 columns, and the estimator was fitted on 1"):
        metrics.get_scorer("mean_auc")(model.output_view("click"), X, Y[["click", "conversion"]])


def test_scorers_find_a_target_by_its_name_in_fit(rng):
    X, y = rng.normal(size=(80, 2)), pd.Series(rng.randint(2, size=80), name="bought")
    small = supported(FSMDClassifier, SMALL)
    named, nameless = FSMDClassifier(**small).fit(X, y), FSMDClassifier(**small).fit(X, y.to_numpy())
    auc = roc_auc_score(y, named.predict_marginals(X)[:, 0])
    assert metrics.get_scorer("bought_auc")(named, X, y.to_numpy()) == pytest.approx(auc)
    assert nameless.task_names_ == ["y"]
    for name in ("y_auc", "task0_auc"):
        assert metrics.get_scorer(name)(nameless, X, y.to_numpy()) == pytest.approx(auc)


def test_a_value_may_have_a_name_that_begins_with_neg():
    assert metrics.get_scorer("neg_profit_concordance").name == "neg_profit"
    with pytest.raises(ValueError, match="There is no scorer 'profit_mae'"):
        metrics.get_scorer("profit_mae")


@pytest.mark.parametrize(
    "y", [pd.to_timedelta([1, None, 3], unit="s"), ["1", "2", "3"], pd.date_range("2026", periods=3)]
)
def test_values_must_be_numbers(y):
    for metric in (metrics.value_mae, metrics.concordance, metrics.decile_bias):
        with pytest.raises(ValueError, match="`y` must hold numbers"):
            metric(pd.Series(y), [1.0, 2.0, 4.0])


def test_all_kinds_of_missing_values_are_accepted():
    for missing in (None, np.nan, pd.NA):
        assert metrics.value_mae(pd.Series([1, missing, 3], dtype=object), [1, 2, 4]) == 0.5


@pytest.mark.parametrize(
    "y", [pd.to_datetime([None, None]), np.array(["a", "b"]), np.array([10**400, 1], dtype=object)]
)
def test_other_types_of_values_are_refused_even_if_all_are_missing(y):
    with pytest.raises(ValueError, match="`y` must hold numbers"):
        metrics.value_mae(pd.Series(y, dtype=y.dtype), [1.0, 2.0])


def test_clicks_of_weight_0_imply_nothing_in_scorers(frame):
    X, Y = frame
    model = FSMDClassifier(**SMALL).fit(X, Y)
    Y = Y.astype(float)
    Y.loc[Y["click"] == 0, "conversion"] = np.nan
    weights = np.ones((len(Y), 2))
    weights[::2, 0] = 0
    masked = Y.copy()
    masked.loc[masked.index[::2], "click"] = np.nan
    expected = model.score(X, masked)
    assert expected != pytest.approx(model.score(X, Y), abs=1e-4)
    assert model.score(X, Y, sample_weight=weights) == pytest.approx(expected)
    assert get_scorer("mean_auc")(model, X, Y, sample_weight=weights) == pytest.approx(expected)


@pytest.mark.parametrize(("task", "name"), [("cvr", "cvr_auc"), ("mean", "mean_auc")])
def test_ambiguous_scorer_names_are_refused(frame, task, name):
    X, Y = frame
    Y = Y.set_axis(["click", task], axis=1)
    model = FSMDClassifier(**SMALL | {"max_epochs": 1}).fit(X, Y)
    with pytest.raises(ValueError, match=f"'{name}' is ambiguous: a column of Y is named '{task}'.*'task1_auc'"):
        get_scorer(name)(model, X, Y)
    assert 0 <= get_scorer("task1_auc")(model, X, Y) <= 1


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("p", [0.0, 1e-12, 0.1, 1 - 1e-12, 1.0])
def test_the_log_loss_of_extremes_equals_that_of_scikit_learn(p, kind):
    p = np.array([p], dtype=kind)
    for y in (0, 1):
        assert metrics.mean_log_loss([y], p) == pytest.approx(log_loss([y], p, labels=[0, 1]), rel=1e-5, abs=1e-6)


LARGE_IDS = [2**60, 2**60, 2**60 + 1, 2**60 + 1]


@pytest.mark.parametrize(
    "ids",
    [
        np.array(LARGE_IDS),
        pd.Series(LARGE_IDS, dtype="Int64"),
        pd.Series(LARGE_IDS, dtype="int64[pyarrow]"),
        pl.Series(LARGE_IDS),
        pl.DataFrame({"id": LARGE_IDS}),
        pd.DataFrame({"id": pd.Series(LARGE_IDS, dtype="Int64")}),
    ],
    ids=["numpy", "pandas", "Arrow", "polars", "polars frame", "pandas frame"],
)
def test_large_ids_stay_distinct_in_each_dtype(ids):
    assert metrics.group_auc([0, 1, 0, 1], [0.6, 0.7, 0.1, 0.2], ids) == 1
    assert metrics.segments_by_name(ids).tolist() == [str(id_) for id_ in LARGE_IDS]


@pytest.mark.parametrize(
    "by",
    [
        np.array([True, False]),
        pd.Series([True, False], dtype="boolean"),
        pd.Series([True, False], dtype="bool[pyarrow]"),
        pl.Series([True, False]),
    ],
)
def test_names_of_boolean_segments(by):
    assert metrics.segments_by_name(by).tolist() == ["True", "False"]


@pytest.mark.parametrize("values", [pd.Series([1, None, 2], dtype="Int64"), pl.Series([1, None, 2])])
def test_integers_with_missing_values_stay_integers(values):
    assert metrics.segments_by_name(values).tolist() == ["1", "missing", "2"]
    assert metrics.value_mae(values, [1.0, 5.0, 4.0]) == 1
    with pytest.raises(ValueError, match="Input value contains NaN"):
        metrics.value_mae([1.0, 2.0, 3.0], values)


def test_masked_arrays_are_refused():
    masked = np.ma.masked_array([1.0, 0, 1], [1, 0, 0])
    for call in (
        lambda: metrics.auc_per_task(masked, [0.1, 0.2, 0.3]),
        lambda: metrics.auc_per_task([0, 0, 1], masked),
        lambda: metrics.value_mae(masked, [1.0, 2.0, 3.0]),
        lambda: metrics.group_auc([0, 0, 1], [0.1, 0.2, 0.3], masked),
    ):
        with pytest.raises(TypeError, match="has masked values, which would count"):
            call()


def test_scorers_warn_of_weights_in_another_order(watched):
    model, X, Y = watched
    weights = pd.Series(np.arange(1.0, 1 + len(X)), index=X.index)[::-1]
    for name in ("mean_auc", "neg_watch_seconds_mae"):
        with pytest.warns(UserWarning, match="The indexes of X and sample_weight hold the same labels"):
            get_scorer(name)(model, X, Y, sample_weight=weights)


def test_scoring_with_a_target_of_one_class_in_training(rng):
    X, Y = rng.normal(size=(300, 2)), pd.DataFrame({"click": rng.randint(2, size=300), "conversion": 0})
    Y.loc[200:, "conversion"] = Y["click"]
    forest = RandomForestClassifier(5, random_state=0).fit(X[:200], Y[:200])
    click = roc_auc_score(Y["click"][200:], forest.predict_proba(X[200:])[0][:, 1])
    assert metrics.get_scorer("click_auc")(forest, X[200:], Y[200:]) == pytest.approx(click)
    assert metrics.get_scorer("conversion_auc")(forest, X[200:], Y[200:]) == 0.5
    assert metrics.get_scorer("mean_auc")(forest, X[200:], Y[200:]) == pytest.approx((click + 0.5) / 2)
    ones = RandomForestClassifier(5, random_state=0).fit(X[:200], Y[:200].assign(conversion=1))
    loss = (log_loss(Y["click"][200:], ones.predict_proba(X[200:])[0]) + log_loss(Y["click"][200:], np.ones(100))) / 2
    assert metrics.get_scorer("neg_mean_log_loss")(ones, X[200:], Y[200:]) == pytest.approx(-loss)
    with pytest.raises(ValueError, match="of the two classes of fit, 0, 1, or NaN where one is missing. Got 2"):
        metrics.get_scorer("neg_mean_log_loss")(ones, X[200:], Y[200:] + 1)
    trees = MultiOutputClassifier(DecisionTreeClassifier(random_state=0)).fit(X[:200], Y[:200])
    click = roc_auc_score(Y["click"][200:], trees.predict_proba(X[200:])[0][:, 1])
    assert metrics.get_scorer("mean_auc")(trees, X[200:], Y[200:]) == pytest.approx((click + 0.5) / 2)
    words = Y.replace({0: "no", 1: "yes"})
    forest = RandomForestClassifier(5, random_state=0).fit(X[:200], words[:200])
    with pytest.raises(ValueError, match="A target must have two classes. Those of the estimator are 'no'"):
        metrics.get_scorer("mean_auc")(forest, X[200:], words[200:])


def test_a_series_of_another_target_is_refused(frame):
    X, Y = frame
    model = SingleTaskClassifier(**supported(SingleTaskClassifier, SMALL)).fit(X, Y[["click"]])
    assert model.score(X, Y["click"]) == model.score(X, Y["click"].rename(None)) == model.score(X, Y[["click"]])
    with pytest.raises(ValueError, match="must have the name of the target of fit, 'click'. Got 'conversion'"):
        model.score(X, Y["conversion"])


@pytest.mark.parametrize("name", ["click_auc", "mean_auc", "neg_mean_log_loss", "price_concordance"])
def test_scorers_refuse_models_that_are_not_fitted(name):
    X, Y = make_funnel(50, random_state=0, return_X_y=True)
    for model in (FSMDClassifier(), make_pipeline(FunctionTransformer(), FSMDClassifier()), LogisticRegression()):
        with pytest.raises(NotFittedError):
            get_scorer(name)(model, X, Y)
