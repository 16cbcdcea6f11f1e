"""Rows of which a later step is not known yet are judged with a warning: of those without the step before it is a 0."""

import warnings

import numpy as np
import pytest

from sklearn_fsmd import FSClassifier, FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.inspection import feature_importances, metric_table
from sklearn_fsmd.metrics import get_scorer
from sklearn_fsmd.plotting import LiftDisplay, ParetoDisplay, ReliabilityDisplay
from tests.conftest import SMALL

UNKNOWN = r"'{}' is unknown in {} % of the rows where 'click' is 1, and a known 0 where that is 0"
VALUES = {"value_targets": ["watch_seconds"], "value_parents": {"watch_seconds": "click"}}


@pytest.fixture(scope="module")
def judged():
    """A model, rows, and their labels, of which those of conversions are all known."""
    X, Y = make_funnel(2000, watch_time=True, random_state=0, return_X_y=True)
    model = FSMDClassifier(**SMALL | VALUES | {"max_epochs": 1}).fit(X[:1000], Y[:1000])
    return model, X[1000:], Y[1000:].astype(float)


def without(Y, name, share):
    """Of the clicked rows, the first ones lack the label."""
    clicked = np.flatnonzero(Y["click"] == 1)
    Y = Y.copy()
    Y.iloc[clicked[: int(share * len(clicked))], Y.columns.get_loc(name)] = np.nan
    return Y


def importances_of(**options):
    return lambda model, X, Y: feature_importances(model, X, Y, n_repeats=1, **options)


def by_scorer(name):
    return lambda model, X, Y: get_scorer(name)(model, X, Y)


JUDGES = {
    "score": lambda model, X, Y: model.score(X, Y),
    "metric_table": lambda model, X, Y: metric_table(model, X, Y, n_samples=2),
    "reliability": ReliabilityDisplay.from_estimator,
    "lift": LiftDisplay.from_estimator,
    "Pareto front": ParetoDisplay.from_estimator,
    "importances": importances_of(),
    **{name: by_scorer(name) for name in ("mean_auc", "conversion_auc", "neg_calibration_error")},
}
ELSEWHERE = {
    "a picture of clicks": lambda model, X, Y: ReliabilityDisplay.from_estimator(model, X, Y, targets=["click"]),
    "given the click": lambda model, X, Y: metric_table(model, X, Y, conditional=True, n_samples=2),
    "importances, given the click": importances_of(conditional=True),
    **{name: by_scorer(name) for name in ("click_auc", "task0_auc", "cvr_auc", "watch_seconds_concordance")},
    "a scorer, given the click": by_scorer("conversion_given_click_auc"),
}


@pytest.mark.parametrize("judge", JUDGES.values(), ids=JUDGES)
def test_of_young_rows_it_is_said(judge, judged):
    model, X, Y = judged
    with pytest.warns(UserWarning, match=UNKNOWN.format("conversion", 40)):
        judge(model, X, without(Y, "conversion", 0.4))


def test_where_none_is_known(judged):
    model, X, Y = judged
    with pytest.warns(UserWarning, match=UNKNOWN.format("conversion", 100)):
        JUDGES["metric_table"](model, X, without(Y, "conversion", 1))


@pytest.mark.parametrize("judge", ELSEWHERE.values(), ids=ELSEWHERE)
def test_where_the_label_has_no_part_nothing_is_said(judge, judged):
    model, X, Y = judged
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        judge(model, X, without(Y, "conversion", 0.4))


@pytest.mark.parametrize("judge", JUDGES.values(), ids=JUDGES)
def test_a_few_may_be_missing(judge, judged):
    model, X, Y = judged
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        judge(model, X, without(Y, "conversion", 0.04))
        judge(model, X, Y.assign(conversion=Y["conversion"].where(Y["click"] == 1)))


def test_targets_that_do_not_follow_each_other(judged):
    _, X, Y = judged
    model = FSClassifier(**SMALL | {"max_epochs": 1}).fit(X, Y.drop(columns="watch_seconds"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("score", "metric_table", "reliability", "mean_auc"):
            JUDGES[name](model, X, without(Y, "conversion", 0.4).drop(columns="watch_seconds"))


def test_labels_that_are_missing_whatever_came_before(judged):
    model, X, Y = judged
    weights = np.ones(Y.shape)
    weights[::2, 1] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.score(X, Y, sample_weight=weights)
    with pytest.raises(ValueError, match="0 sample"):
        get_scorer("mean_auc")(model, X[:0], Y[:0])


def test_values_that_are_missing(judged):
    model, X, Y = judged
    with pytest.warns(UserWarning, match=UNKNOWN.format("watch_seconds", 30)):
        get_scorer("watch_seconds_concordance")(model, X, without(Y, "watch_seconds", 0.3))


def late_last(Y, share):
    """Labels without the conversions of this share of the clicked rows, from the last one back."""
    clicked = np.flatnonzero(Y["click"] == 1)
    Y = Y.astype(float)
    Y.iloc[clicked[len(clicked) - int(share * len(clicked)) :], Y.columns.get_loc("conversion")] = np.nan
    return Y


@pytest.fixture(scope="module")
def log():
    return make_funnel(3000, random_state=0, return_X_y=True)


class TestValidation:
    MESSAGE = r"'conversion' is unknown in .* % of the validation rows where 'click' is 1.*early stopping watches"

    def test_of_last_rows_that_are_young_it_is_said(self, log, tmp_path):
        X, Y = log
        with pytest.warns(UserWarning, match=self.MESSAGE):
            FSMDClassifier(**SMALL | {"max_epochs": 1}, validation="last").fit(X, late_last(Y, 0.08))
        X.join(late_last(Y, 0.08)).to_parquet(tmp_path / "log.parquet")
        model = FSMDClassifier(**SMALL | {"max_epochs": 1}, validation="last")
        with pytest.warns(UserWarning, match=self.MESSAGE):
            model.fit_dataset(tmp_path / "log.parquet", targets=list(Y))

    def test_of_given_rows_too(self, log):
        X, Y = log
        with pytest.warns(UserWarning, match=self.MESSAGE):
            FSMDClassifier(**SMALL | {"max_epochs": 1}).fit(
                X[:2000], Y[:2000], X_val=X[2000:], Y_val=late_last(Y[2000:], 0.5)
            )

    @pytest.mark.parametrize("validation", ["random", "last"])
    def test_nothing_is_said_where_labels_are_missing_everywhere(self, log, validation, rng):
        X, Y = log
        missing = Y.astype(float).mask(rng.uniform(size=Y.shape) < [0, 0.3])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            FSMDClassifier(**SMALL | {"max_epochs": 1}, validation=validation).fit(X, missing)
            FSMDClassifier(**SMALL | {"max_epochs": 1}, validation=validation).fit(X, Y)
