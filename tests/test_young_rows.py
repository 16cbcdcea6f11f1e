"""Evaluation on young rows, whose later steps are not known yet, gives a warning: known labels are mostly zeros."""

import warnings

import numpy as np
import pytest

from sklearn_fsmd import FSClassifier, FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.encoding.targets import warn_of_young_rows
from sklearn_fsmd.inspection import feature_importances, metric_table
from sklearn_fsmd.metrics import get_scorer
from sklearn_fsmd.plotting import LiftDisplay, ParetoDisplay, ReliabilityDisplay
from tests.conftest import SMALL

UNKNOWN = r"'{}' is unknown in {} % of the rows where 'click' is 1, and a known 0 where that is 0"
VALUES = {"value_targets": ["watch_seconds"], "value_parents": {"watch_seconds": "click"}}


@pytest.fixture(scope="module")
def fitted():
    """A model, test rows, and their labels; all conversions are known."""
    X, Y = make_funnel(2000, watch_time=True, random_state=0, return_X_y=True)
    model = FSMDClassifier(**SMALL | VALUES | {"max_epochs": 1}).fit(X[:1000], Y[:1000])
    return model, X[1000:], Y[1000:].astype(float)


def mask_first(Y, name, share):
    """Labels without `name` in the first `share` of the clicked rows."""
    clicked = np.flatnonzero(Y["click"] == 1)
    Y = Y.copy()
    Y.iloc[clicked[: int(share * len(clicked))], Y.columns.get_loc(name)] = np.nan
    return Y


def importances_of(**options):
    return lambda model, X, Y: feature_importances(model, X, Y, n_repeats=1, **options)


def by_scorer(name):
    return lambda model, X, Y: get_scorer(name)(model, X, Y)


EVALUATIONS = {
    "score": lambda model, X, Y: model.score(X, Y),
    "metric_table": lambda model, X, Y: metric_table(model, X, Y, n_bootstrap=2),
    "reliability": ReliabilityDisplay.from_estimator,
    "lift": LiftDisplay.from_estimator,
    "Pareto front": ParetoDisplay.from_estimator,
    "importances": importances_of(),
    **{name: by_scorer(name) for name in ("mean_auc", "conversion_auc", "neg_calibration_error")},
}
UNAFFECTED = {
    "reliability of clicks": lambda model, X, Y: ReliabilityDisplay.from_estimator(model, X, Y, targets=["click"]),
    "given the click": lambda model, X, Y: metric_table(model, X, Y, conditional=True, n_bootstrap=2),
    "importances, given the click": importances_of(conditional=True),
    **{name: by_scorer(name) for name in ("click_auc", "task0_auc", "cvr_auc", "watch_seconds_concordance")},
    "scorer, given the click": by_scorer("conversion_given_click_auc"),
}


@pytest.mark.parametrize("evaluate", EVALUATIONS.values(), ids=EVALUATIONS)
def test_evaluations_warn_of_young_rows(evaluate, fitted):
    model, X, Y = fitted
    with pytest.warns(UserWarning, match=UNKNOWN.format("conversion", 40)):
        evaluate(model, X, mask_first(Y, "conversion", 0.4))


def test_warns_if_no_label_is_known(fitted):
    model, X, Y = fitted
    with pytest.warns(UserWarning, match=UNKNOWN.format("conversion", 100)):
        EVALUATIONS["metric_table"](model, X, mask_first(Y, "conversion", 1))


@pytest.mark.parametrize("evaluate", UNAFFECTED.values(), ids=UNAFFECTED)
def test_no_warning_if_the_label_is_not_used(evaluate, fitted):
    model, X, Y = fitted
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(model, X, mask_first(Y, "conversion", 0.4))


@pytest.mark.parametrize("evaluate", EVALUATIONS.values(), ids=EVALUATIONS)
def test_no_warning_if_few_labels_are_missing(evaluate, fitted):
    model, X, Y = fitted
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(model, X, mask_first(Y, "conversion", 0.04))
        evaluate(model, X, Y.assign(conversion=Y["conversion"].where(Y["click"] == 1)))


@pytest.mark.parametrize("n", [20, 40, 60, 100, 200])
def test_no_warning_if_exactly_5_percent_are_missing(n):
    labels = np.r_[np.ones((n, 2)), np.zeros((n, 2))]
    weights = np.ones(labels.shape)
    weights[: n // 20, 1] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_young_rows(labels, weights, ["click", "conversion"], [None, 0])
    weights[n // 20, 1] = 0
    with pytest.warns(UserWarning, match="'conversion' is unknown in"):
        warn_of_young_rows(labels, weights, ["click", "conversion"], [None, 0])


def test_no_warning_for_independent_targets(fitted):
    _, X, Y = fitted
    model = FSClassifier(**SMALL | {"max_epochs": 1}).fit(X, Y.drop(columns="watch_seconds"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("score", "metric_table", "reliability", "mean_auc"):
            EVALUATIONS[name](model, X, mask_first(Y, "conversion", 0.4).drop(columns="watch_seconds"))


def test_no_warning_if_missing_labels_do_not_depend_on_clicks(fitted):
    model, X, Y = fitted
    weights = np.ones(Y.shape)
    weights[::2, 1] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.score(X, Y, sample_weight=weights)
    with pytest.raises(ValueError, match="0 sample"):
        get_scorer("mean_auc")(model, X[:0], Y[:0])


def test_warns_of_unknown_values(fitted):
    model, X, Y = fitted
    with pytest.warns(UserWarning, match=UNKNOWN.format("watch_seconds", 30)):
        get_scorer("watch_seconds_concordance")(model, X, mask_first(Y, "watch_seconds", 0.3))


def mask_last(Y, share):
    """Labels without the conversions of the last `share` of the clicked rows."""
    clicked = np.flatnonzero(Y["click"] == 1)
    Y = Y.astype(float)
    Y.iloc[clicked[len(clicked) - int(share * len(clicked)) :], Y.columns.get_loc("conversion")] = np.nan
    return Y


@pytest.fixture(scope="module")
def log():
    return make_funnel(3000, random_state=0, return_X_y=True)


class TestValidation:
    MESSAGE = r"'conversion' is unknown in .* % of the validation rows where 'click' is 1.*validation scores are mostly"

    def test_warns_of_young_rows_at_the_end_of_a_log(self, log, tmp_path):
        X, Y = log
        with pytest.warns(UserWarning, match=self.MESSAGE):
            FSMDClassifier(**SMALL | {"max_epochs": 1}, validation="last").fit(X, mask_last(Y, 0.08))
        X.join(mask_last(Y, 0.08)).to_parquet(tmp_path / "log.parquet")
        model = FSMDClassifier(**SMALL | {"max_epochs": 1}, validation="last")
        with pytest.warns(UserWarning, match=self.MESSAGE):
            model.fit_dataset(tmp_path / "log.parquet", targets=list(Y))

    def test_warns_of_young_rows_in_x_val(self, log):
        X, Y = log
        with pytest.warns(UserWarning, match=self.MESSAGE):
            FSMDClassifier(**SMALL | {"max_epochs": 1}).fit(
                X[:2000], Y[:2000], X_val=X[2000:], Y_val=mask_last(Y[2000:], 0.5)
            )

    @pytest.mark.parametrize("validation", ["random", "last"])
    def test_no_warning_if_labels_are_missing_everywhere(self, log, validation, rng):
        X, Y = log
        missing = Y.astype(float).mask(rng.uniform(size=Y.shape) < [0, 0.3])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            FSMDClassifier(**SMALL | {"max_epochs": 1}, validation=validation).fit(X, missing)
            FSMDClassifier(**SMALL | {"max_epochs": 1}, validation=validation).fit(X, Y)
