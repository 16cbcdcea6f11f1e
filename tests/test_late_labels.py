"""Statistics of the targets are brought up to date by rows whose later steps are not known yet."""

import copy

import numpy as np
import pandas as pd
import pytest

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.encoding.late_labels import in_proportion
from sklearn_fsmd.encoding.rates import halves
from sklearn_fsmd.encoding.targets import events_of
from tests.test_target_statistics import SMALL, statistics_of

N_USERS = 5
KEYS = {"statistics_features": ["user"]}


def log(n, seed=0):
    """Rows of a funnel of three steps."""
    random = np.random.RandomState(seed)
    X = pd.DataFrame({"user": random.choice([f"u{i}" for i in range(N_USERS)], n), "price": random.normal(size=n)})
    click = random.uniform(size=n) < 0.5
    contact = click & (random.uniform(size=n) < 0.4)
    bought = contact & (random.uniform(size=n) < 0.5)
    Y = pd.DataFrame({"click": click, "contact": contact, "bought": bought}).astype(float)
    return X, Y


def rates_of(model):
    """Of each user and event, what came true of what was tried, unsmoothed."""
    positive, tried = halves(statistics_of(model).sums[0][1:])
    return positive / tried


def updated(model, X, Y, **params):
    return copy.deepcopy(model).update_statistics(X, Y, **params)


@pytest.fixture(scope="module")
def fitted():
    return FSMDClassifier(**SMALL | KEYS).fit(*log(3000))


@pytest.mark.parametrize("explicit", [True, False])
def test_rates_of_a_step_stay_where_nothing_is_known_of_it(fitted, explicit):
    X, Y = log(2000, seed=1)
    late = Y.assign(bought=np.nan) if explicit else Y.assign(bought=np.where(Y["contact"] == 0, 0, np.nan))
    before, after, whole = rates_of(fitted), rates_of(updated(fitted, X, late)), rates_of(updated(fitted, X, Y))
    events = statistics_of(fitted).events
    bought = [i for i, (task, _) in enumerate(events) if task == 2]
    others = [i for i, (task, _) in enumerate(events) if task != 2]
    np.testing.assert_array_equal(after[:, bought], before[:, bought])
    np.testing.assert_array_equal(after[:, others], whole[:, others])
    assert (after[:, others] != before[:, others]).any()


def test_a_step_in_the_middle_takes_the_later_ones_with_it(fitted):
    X, Y = log(2000, seed=1)
    before = rates_of(fitted)
    after = rates_of(updated(fitted, X, Y.assign(contact=np.nan, bought=np.nan)))
    for i, (task, _) in enumerate(statistics_of(fitted).events):
        assert (after[:, i] == before[:, i]).all() == (task > 0)


def test_of_some_labels_the_rates_are_those_of_all(fitted):
    X, Y = log(20_000, seed=1)
    random = np.random.RandomState(2)
    late = Y.copy()
    late.loc[random.uniform(size=len(Y)) < 0.8, "contact"] = np.nan  # of those without a click it is known all the same
    late.loc[late["contact"].isna() & (Y["click"] == 1), "bought"] = np.nan
    model, whole = updated(fitted, X, late), updated(fitted, X, Y)
    np.testing.assert_allclose(rates_of(model), rates_of(whole), atol=0.04)
    at = {event: i for i, event in enumerate(statistics_of(model).events)}
    positive, tried = halves(statistics_of(model).sums[0].sum(axis=0) - statistics_of(fitted).sums[0].sum(axis=0))
    rates = positive / tried
    for step, given in [((1, None), [(0, None), (1, 0)]), ((2, None), [(0, None), (1, 0), (2, 1)])]:
        assert rates[at[step]] == pytest.approx(np.prod([rates[at[event]] for event in given]), rel=1e-6)


def test_known_labels_count_to_the_last_bit_as_before(fitted):
    X, Y = log(700, seed=1)
    model = updated(fitted, X, Y)
    own = statistics_of(model).counted(model._targets.encode(Y, None, (None, 0, 1), scale=False))
    codes = statistics_of(model).index(0, model._encoder.main.encode(X).codes)
    expected = statistics_of(fitted).sums[0].astype(np.float64)
    np.add.at(expected, codes, own)
    np.testing.assert_array_equal(statistics_of(model).sums[0], expected)


def test_the_proportion_is_that_of_training():
    """Of which labels were missing too: rows without a click go on counting as much for each label of one with it."""
    X, Y = log(20_000)
    some = Y.copy()
    some.loc[np.random.RandomState(2).uniform(size=len(Y)) < 0.5, ["contact", "bought"]] = np.nan
    model = FSMDClassifier(**SMALL | KEYS).fit(X, some)
    for labels in (some, Y):
        np.testing.assert_allclose(rates_of(updated(model, X, labels)), rates_of(model), atol=0.02)


def test_a_label_in_the_middle_may_be_missing(fitted):
    X, Y = log(2000, seed=1)
    at = statistics_of(fitted).events.index((2, None))
    of_some, of_all = (rates_of(updated(fitted, X, labels)) for labels in (Y.assign(contact=np.nan), Y))
    np.testing.assert_array_equal(of_some[:, at], of_all[:, at])


def test_weights_of_labels_are_counted_by_weight(fitted):
    X, Y = log(2000, seed=1)
    late = Y.assign(bought=Y["bought"].where(np.arange(len(Y)) < 1000))
    plain = updated(fitted, X, late)
    weighted = updated(fitted, X, late, sample_weight=np.full(len(Y), 3.0))
    own = [statistics_of(m).sums[0][:, :-1] - statistics_of(fitted).sums[0][:, :-1] for m in (plain, weighted)]
    np.testing.assert_allclose(own[1], 3 * own[0], rtol=1e-6)


def test_partial_fit_sees_the_same_rates(fitted):
    X, Y = log(2000, seed=1)
    model = copy.deepcopy(fitted).partial_fit(X, Y.assign(bought=np.nan))
    np.testing.assert_array_equal(rates_of(model), rates_of(updated(fitted, X, Y.assign(bought=np.nan))))


def test_files_count_as_tables_do(tmp_path):
    params = SMALL | KEYS | {"warm_start": True, "new_categories": "grow", "early_stopping": False}
    (X, Y), (X_new, Y_new) = log(1000), log(1000, seed=1)
    late, models = Y_new.assign(bought=np.nan), []
    X.join(Y).to_parquet(tmp_path / "old.parquet")
    X_new.join(late).to_parquet(tmp_path / "new.parquet")
    models.append(FSMDClassifier(**params).fit(X, Y).fit(X_new, late))
    model = FSMDClassifier(**params)
    for name in ("old", "new"):
        model.fit_dataset(tmp_path / f"{name}.parquet", list(Y))
    models.append(model)
    tables, files = (np.sort(statistics_of(m).sums[0], axis=0) for m in models)
    np.testing.assert_allclose(files, tables, rtol=1e-6)


def test_where_nothing_happens_nothing_is_missing():
    events = events_of((None, 0))
    former = np.array([30.0, 10, 10, 100, 100, 30, 100])
    without = np.array([0.0, 0, 0, 50, 50, 0, 50])  # 50 rows without a click
    np.testing.assert_array_equal(in_proportion(without, without, former, events), without)
    unknown = np.array([20.0, 0, 0, 50, 30, 0, 50])  # of 20 clicks nothing more is known
    np.testing.assert_array_equal(in_proportion(unknown, unknown, former, events), [20, 0, 0, 50, 0, 0, 50])
