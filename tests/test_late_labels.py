"""Updates of a model by rows whose later steps are not known yet."""

import copy
import warnings

import numpy as np
import pandas as pd
import pytest

from sklearn_fsmd import FSClassifier, FSMDClassifier
from sklearn_fsmd.encoding.statistics.rates import split_sums
from sklearn_fsmd.encoding.targets import StepSums, Targets
from tests.conftest import SMALL
from tests.test_target_statistics import statistics_of

KEYS = {"statistics_features": ["user"]}
CHAIN = (None, 0, 1)


def log(n, seed=0):
    """Rows of a funnel of three steps."""
    random = np.random.RandomState(seed)
    X = pd.DataFrame({"user": random.choice(list("abcde"), n), "price": random.normal(size=n)})
    click = random.uniform(size=n) < 0.5
    contact = click & (random.uniform(size=n) < 0.4)
    bought = contact & (random.uniform(size=n) < 0.5)
    return X, pd.DataFrame({"click": click, "contact": contact, "bought": bought}).astype(float)


def rates_of(model):
    """The unsmoothed rate of each event for each user: successes divided by trials."""
    positive, tried = split_sums(statistics_of(model).sums[0][1:])
    return positive / tried


def updated(model, X, Y, **params):
    return copy.deepcopy(model).update_statistics(X, Y, **params)


@pytest.fixture(scope="module")
def fitted():
    return FSMDClassifier(**SMALL | KEYS).fit(*log(3000))


@pytest.mark.parametrize("how", ["update_statistics", "partial_fit"])
@pytest.mark.parametrize("unknown_steps", [["bought"], ["contact", "bought"]])
def test_rates_of_a_step_without_known_labels_stay_unchanged(fitted, unknown_steps, how):
    X, Y = log(2000, seed=1)
    all_missing = Y.assign(**dict.fromkeys(unknown_steps, np.nan))
    before = Y["click" if len(unknown_steps) == 2 else "contact"]
    only_implied = Y.where(before == 0, all_missing)  # zeros where the step cannot have happened
    rates = [rates_of(getattr(copy.deepcopy(fitted), how)(X, labels)) for labels in (all_missing, only_implied, Y)]
    np.testing.assert_array_equal(rates[0], rates[1])
    previous = rates_of(fitted)
    for i, (task, _) in enumerate(statistics_of(fitted).events):
        if Y.columns[task] in unknown_steps:
            np.testing.assert_array_equal(rates[0][:, i], previous[:, i])
        else:
            np.testing.assert_array_equal(rates[0][:, i], rates[2][:, i])
            assert (rates[0][:, i] != previous[:, i]).any()


def test_young_validation_rows_count_only_for_clicks():
    X, Y = log(3000)
    Y.loc[2400:, ["contact", "bought"]] = np.nan
    model = FSMDClassifier(**SMALL | KEYS, validation="last", validation_fraction=0.2)
    with pytest.warns(UserWarning, match="no known label of 'contact'"):
        model.fit(X, Y)
    tried = split_sums(statistics_of(model).sums[0])[1].sum(axis=0)
    tried_of = dict(zip(statistics_of(model).events, tried, strict=True))
    assert (tried_of[0, None], tried_of[1, None], tried_of[2, None]) == (3000, 2400, 2400)


@pytest.mark.parametrize("chain_loss", ["likelihood", "entire_space"])
def test_training_ignores_implied_zeros_without_known_labels(chain_loss):
    X, Y = log(3000)
    model = FSMDClassifier(**SMALL | {"target_statistics": None, "lr": 1e-2}, chain_loss=chain_loss).fit(X, Y)
    before = model.predict_marginals(X).mean(axis=0)
    for _ in range(5):
        model.partial_fit(X, Y.assign(bought=np.nan))
    after = model.predict_marginals(X).mean(axis=0)
    np.testing.assert_allclose(after, before, rtol=0.15)


def test_known_labels_are_added_to_the_sums(fitted):
    X, Y = log(700, seed=1)
    model = updated(fitted, X, Y)
    contributions = statistics_of(model).contributions(model._targets.encode(Y, None, CHAIN, scale=False))
    codes = statistics_of(model).index(0, model._encoder.main.encode(X).codes)
    expected = statistics_of(fitted).sums[0].astype(np.float64)
    np.add.at(expected, codes, contributions)
    np.testing.assert_array_equal(statistics_of(model).sums[0], expected)


def test_warns_if_some_labels_of_a_step_are_unknown(fitted):
    X, Y = log(2000, seed=1)
    clicked = Y["click"] == 1
    partial = Y.assign(contact=Y["contact"].mask(clicked & (np.arange(2000) % 2 == 0)))
    partial["bought"] = Y["bought"].where(partial["contact"].notna())
    with pytest.warns(UserWarning, match="'contact' is unknown in .. % of the rows where 'click' is 1.*rates fall"):
        updated(fitted, X, partial)
    with pytest.warns(UserWarning, match="'contact' is unknown in"):
        updated(fitted, X, Y, sample_weight=partial.notna().to_numpy(dtype=float))


def test_no_warning_if_labels_were_unknown_in_fit_too():
    X, Y = log(2000)
    partial = Y.assign(contact=Y["contact"].mask((Y["click"] == 1) & (np.arange(2000) % 2 == 0)))
    partial["bought"] = Y["bought"].where(partial["contact"].notna())
    model = FSMDClassifier(**SMALL | KEYS).fit(X, partial)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        updated(model, X, partial)
        updated(model, X, Y)


@pytest.mark.parametrize(
    ("rows", "parents", "young"),
    [
        ([[0, 0, 0], [1, 0, 0], [1, 1, 0]], CHAIN, []),
        ([[0, 0, 0], [1, None, None]], CHAIN, [1, 2]),
        ([[0, 0, 0], [1, 0, 0]], CHAIN, []),  # no row could have a purchase
        ([[0, 0, 0], [0, 0, 0]], CHAIN, []),
        ([[0, 0, 0], [1, 0, 0], [1, 1, None]], CHAIN, [2]),
        ([[0, 0, 0], [1, None, None], [1, 1, None]], CHAIN, [2]),
        ([[0, 0, 0], [1, None, 0], [1, None, 1]], CHAIN, [1]),  # the label in the middle is missing, the last one known
        ([[0, 0, 0], [1, None, 1]], (None, 0, 0), [1]),
        ([[0, 0, 0], [0, 1, None]], (None, None, 1), [2]),
        ([[1, None, None]], CHAIN, [1, 2]),
        ([[0, None, None], [1, 1, 1]], (None, None, None), []),
    ],
)
def test_young_steps(rows, parents, young):
    known = np.array([[label is not None for label in row] for row in rows], np.float32)
    targets = Targets(np.array([[label or 0 for label in row] for row in rows], np.float32), known)
    assert StepSums.from_targets(targets, parents).young(targets.totals()[1], parents) == young


def test_all_known_labels_of_independent_targets_are_counted():
    X, Y = log(1000)
    model = FSClassifier(**SMALL | KEYS | {"early_stopping": False}).fit(X, Y)
    more = updated(model, X, Y.assign(contact=Y["contact"].where(Y["click"] == 0)))
    position = statistics_of(model).events.index((1, None))
    assert (rates_of(more)[:, position] < rates_of(model)[:, position]).all()
