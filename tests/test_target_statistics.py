"""Statistics of the targets per category: the rows they are computed from, in training and in predictions."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from sklearn_fsmd import FSClassifier, FSMDClassifier, MultiTaskClassifier
from sklearn_fsmd.encoding.statistics import TargetStatistics
from sklearn_fsmd.encoding.statistics.key_selection import in_rows
from sklearn_fsmd.encoding.statistics.rates import LARGEST_STRENGTH, SMALLEST_STRENGTH, counts_of, log_count
from sklearn_fsmd.encoding.table import FeatureEncoder
from sklearn_fsmd.encoding.targets.encoder import Targets
from tests.conftest import SMALL, make_frame

ALL_ROWS = {"early_stopping": False}


def table(n=3000, seed=0, n_users=150, taste=1.5):
    """Users and items; clicks depend on the user, conversions on the item."""
    random = np.random.RandomState(seed)
    user, item = random.randint(n_users, size=n), random.randint(200, size=n)
    X = pd.DataFrame({"user": user, "item": item, "tab": random.choice(list("abc"), n)}).astype("category")
    X["price"] = random.uniform(size=n)
    click = random.uniform(size=n) < 1 / (1 + np.exp(-taste * np.sin(user)))
    conversion = click & (random.uniform(size=n) < 1 / (1 + np.exp(1 - taste * np.cos(item))))
    return X, pd.DataFrame({"click": click.astype(int), "conversion": conversion.astype(int)})


def slow_strength(y, n):
    """The weight of the overall rate in smoothing, in rows: 1 / ρ − 1 of a one-way analysis of variance."""
    y, n = y[n > 0], n[n > 0]
    p = y.sum() / n.sum()
    between = sum(n_v * (y_v / n_v - p) ** 2 for y_v, n_v in zip(y, n, strict=True)) / (len(n) - 1)
    within = sum(y_v * (1 - y_v / n_v) for y_v, n_v in zip(y, n, strict=True)) / (n.sum() - len(n))
    size = (n.sum() - (n**2).sum() / n.sum()) / (len(n) - 1)
    rho = max((between - within) / (between + (size - 1) * within), 1e-12)
    return np.clip(1 / rho - 1, SMALLEST_STRENGTH, LARGEST_STRENGTH)


def slow_statistics(values, labels, weights, order, parent_of):
    """The definition, row by row: the log count of other rows, and for each event the log-odds of its previous rate."""
    events = [(k, None) for k in range(labels.shape[1])] + [(k, p) for k, p in enumerate(parent_of) if p is not None]

    def counted(i, task, parent):
        w = weights[i, task]
        return w if parent is None else w * labels[i, parent] * (weights[i, parent] > 0)

    def sums(rows, task, parent):
        w = np.array([counted(i, task, parent) for i in rows] or [0.0])
        y = labels[list(rows), task] if len(rows) else np.zeros(1)
        return (w * y).sum(), w.sum()

    rows_of = {value: np.flatnonzero(values == value) for value in set(values)}
    all_rows = range(len(values))
    overall, strength = {}, {}
    for event in events:
        positive, total = sums(all_rows, *event)
        overall[event] = positive / total
        w = np.array([counted(i, *event) for i in all_rows])
        y = [sum(w[i] > 0 and labels[i, event[0]] for i in rows) for rows in rows_of.values()]
        n = [sum(w[i] > 0 for i in rows) for rows in rows_of.values()]
        unit = (w**2).sum() / w.sum()
        strength[event] = unit * slow_strength(np.array(y), np.array(n))

    def describe(value, rows, n_own=0):
        found = [np.log1p(len(rows_of.get(value, [])) - n_own)]
        for event in events:
            positive, n = sums(rows, *event)
            p = (positive + strength[event] * overall[event]) / (n + strength[event])
            found.append(np.log(p / (1 - p)))
        return found

    rank = np.argsort(order)
    before = [describe(values[i], [j for j in rows_of[values[i]] if rank[j] < rank[i]], 1) for i in all_rows]
    per_value = {value: describe(value, rows) for value, rows in rows_of.items()}
    return np.array(before), per_value, np.array(describe("unseen", []))


@pytest.mark.parametrize("parents", [(None, 0), (None, None), (None,)])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_training_row_uses_the_rows_before_it(parents, weighted):
    random = np.random.RandomState(0)
    n, n_tasks = 120, len(parents)
    values = random.choice(["a", "b", "c", "d"], n, p=[0.5, 0.3, 0.15, 0.05])
    labels = np.cumprod(random.randint(2, size=(n, n_tasks)), axis=1).astype(np.float32)
    weights = random.choice([0.0, 1.0, 2.5], size=(n, n_tasks)) if weighted else np.ones((n, n_tasks))
    encoder = FeatureEncoder("all", numeric_scaling=None, numeric_bins=0, min_frequency=1)
    rows = encoder.fit_encode(values.astype(object)[:, None])
    statistics = TargetStatistics([(0,)], parents)
    targets = Targets(labels, weights.astype(np.float32) if weighted else None)
    learned = statistics.learn(encoder, rows, targets, np.random.RandomState(5))
    order = np.random.RandomState(5).permutation(n)
    before, per_value, of_unseen = slow_statistics(values, labels, weights, order, parents)
    expected = (before - before.mean(axis=0)) / before.std(axis=0)
    np.testing.assert_allclose(learned.numbers, expected, atol=1e-4)

    new = encoder.encode(np.array([["a"], ["d"], ["unseen"], [None]], dtype=object))
    wanted = np.array([per_value["a"], per_value["d"], of_unseen, of_unseen])
    wanted = (wanted.clip(before.min(axis=0), before.max(axis=0)) - before.mean(axis=0)) / before.std(axis=0)
    np.testing.assert_allclose(statistics.append(new).numbers, wanted, atol=1e-4)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_row_without_its_own_labels_uses_all_other_rows(weighted):
    """In training, rows use the rows before them; the last row of each value thus uses all others."""
    random = np.random.RandomState(0)
    n = 300
    X = np.stack([random.choice(list("abcdefgh"), n), random.choice(list("xyz"), n)], axis=1).astype(object)
    X[7, 0] = "rare"
    labels = np.cumprod(random.randint(2, size=(n, 2)), axis=1).astype(np.float32)
    weights = random.choice([0.0, 1.0, 2.5], size=(n, 2)).astype(np.float32) if weighted else None
    encoder = FeatureEncoder("all", numeric_scaling=None, numeric_bins=0, min_frequency=2)
    rows, targets = encoder.fit_encode(X), Targets(labels, weights)
    statistics = TargetStatistics([(0,), (0, 1)], (None, 0))
    learned = statistics.learn(encoder, rows, targets, None).numbers
    without_own = statistics.append_without_own(rows, targets).numbers
    for columns, values in ((slice(0, 4), pd.Series(X[:, 0])), (slice(4, 8), pd.Series(X[:, 0] + X[:, 1]))):
        last = ~values.duplicated(keep="last").to_numpy()
        np.testing.assert_allclose(without_own[last, columns], learned[last, columns], atol=1e-4)
    np.testing.assert_allclose(without_own[7], statistics.append(rows).numbers[7], atol=1e-6)  # rare: not counted
    assert not np.allclose(without_own, statistics.append(rows).numbers)


def test_a_value_seen_once_looks_in_training_like_an_unseen_value():
    X = np.array(["a", "a", "a", "b", "b", "once"], dtype=object)[:, None]
    encoder = FeatureEncoder("all", numeric_scaling=None, numeric_bins=0, min_frequency=1)
    rows, targets = encoder.fit_encode(X), Targets(np.array([[1], [0], [1], [0], [0], [1]], np.float32), None)
    statistics = TargetStatistics([(0,)], (None,))
    learned = statistics.learn(encoder, rows, targets, None).numbers
    later = statistics.append(encoder.encode(np.array([["unseen"], ["once"]], dtype=object))).numbers
    np.testing.assert_array_equal(learned[5], later[0])
    assert (later[1] > later[0]).all()  # the value was seen once, with a label of 1
    as_new = statistics.append_as_new(rows).numbers
    np.testing.assert_array_equal(as_new[5], later[0])
    np.testing.assert_array_equal(as_new[:5], statistics.append(rows).numbers[:5])


def test_statistics_do_not_leak_labels():
    """If ids are noise, statistics that leak would predict the training rows and fail on new rows."""
    random = np.random.RandomState(0)
    n = 6000
    X = pd.DataFrame({"user": random.randint(1500, size=n), "item": random.randint(800, size=n)}).astype("category")
    X["hint"] = random.normal(size=n)
    click = (random.uniform(size=n) < 1 / (1 + np.exp(-X["hint"]))).astype(int)
    Y = pd.DataFrame({"click": click, "conversion": click * random.randint(2, size=n)})
    aucs = {}
    for kind in ("ordered", None):
        model = FSMDClassifier(**SMALL | {"max_epochs": 8}, target_statistics=kind, early_stopping=False)
        model.fit(X[:4000], Y[:4000])
        assert (model._encoder.statistics is None) == (kind is None)
        aucs[kind] = roc_auc_score(Y["click"][4000:], model.predict_marginals(X[4000:])[:, 0])
    assert aucs["ordered"] > aucs[None] - 0.01
    statistics = model.set_params(target_statistics="ordered").fit(X[:4000], Y[:4000])._encoder
    learned = statistics.statistics.learn(
        statistics.main, statistics.encode(X[:4000]), model._targets.encode(Y[:4000]), np.random.RandomState(0)
    )
    rate_of_user = learned.numbers[:, len(statistics.main.numeric) + 1]
    assert abs(np.corrcoef(rate_of_user, click[:4000])[0, 1]) < 0.05


def test_validation_rows_that_do_not_count_choose_no_columns():
    """With 500 validation rows columns that do not help are left out, and with 100 they are not."""
    random = np.random.RandomState(0)
    X = pd.DataFrame({name: random.randint(900, size=3600) for name in ("user", "item")}).astype("category")
    Y = pd.DataFrame({"click": random.randint(2, size=3600), "conversion": 0})
    Y["conversion"] = Y["click"] * random.randint(2, size=3600)
    train, chosen = {"X": X[:3000], "Y": Y[:3000]}, []
    for n, weights in ((600, None), (600, np.arange(600) < 100), (100, None)):
        X_val, Y_val = X[3000 : 3000 + n], Y[3000 : 3000 + n]
        model = FSMDClassifier(**SMALL | {"max_epochs": 1})
        model.fit(**train, X_val=X_val, Y_val=Y_val, sample_weight_val=weights)
        chosen.append(model.statistics_features_)
    assert chosen == [[], ["user", "item"], ["user", "item"]]


def test_statistics_help_if_users_differ():
    X, Y = table(6000)
    X_new, Y_new = table(3000, seed=1)
    params = {**SMALL, "max_epochs": 2, "logistic_regression": False}
    for cls in (FSMDClassifier, FSClassifier):
        aucs = [
            cls(**params, target_statistics=kind).fit(X, Y).score(X_new.astype(X.dtypes), Y_new)
            for kind in ("ordered", None)
        ]
        assert aucs[0] > aucs[1] + 0.02


def statistics_of(model):
    return model._encoder.statistics


def test_auto_selects_categories_with_many_values():
    X, Y = table()
    model = FSMDClassifier(**SMALL, **ALL_ROWS).fit(X, Y)
    assert statistics_of(model).keys == [(0,), (1,)]
    assert model._encoder.n_scalars == 1 + 2 * 4
    assert statistics_of(FSClassifier(**SMALL, **ALL_ROWS).fit(X, Y)).n_columns == 2 * 3  # two rates without a chain
    few_values = FSMDClassifier(**SMALL, categorical_features=["tab"]).fit(X.astype({"user": float, "item": float}), Y)
    assert statistics_of(few_values) is None
    assert statistics_of(FSMDClassifier(**SMALL, **ALL_ROWS, bias_features=["user"]).fit(X, Y)).keys == [(0,)]


def taste_for_tabs(n=12_000, seed=0):
    """Each user clicks mostly in one tab and in some hours, which differ between the two days."""
    random = np.random.RandomState(seed)
    user, tab = random.randint(120, size=n), random.randint(4, size=n)
    hour = random.randint(6, size=n)
    day = np.repeat([0, 1], [n - n // 4, n // 4])
    mood = np.random.RandomState(9).uniform(-1.5, 1.5, size=(2, 120, 6))
    logit = np.where(user % 4 == tab, 1.5, -1.0) + mood[day, user, hour]
    click = random.uniform(size=n) < 1 / (1 + np.exp(-logit))
    X = pd.DataFrame({"user": user, "tab": tab, "hour": hour, "plain": random.randint(5, size=n)}).astype("category")
    return X, pd.DataFrame(
        {"click": click.astype(int), "conversion": (click & (random.uniform(size=n) < 0.5)).astype(int)}
    )


def test_auto_adds_pairs_that_help_on_the_validation_rows():
    X, Y = taste_for_tabs()
    later = {"X_val": X[9000:], "Y_val": Y[9000:]}
    assert statistics_of(FSMDClassifier(**SMALL).fit(X[:9000], Y[:9000], **later)).keys == [(0, 1)]
    same_day = {"X_val": X[7000:9000], "Y_val": Y[7000:9000]}
    found = statistics_of(FSMDClassifier(**SMALL).fit(X[:7000], Y[:7000], **same_day)).keys
    assert set(found) == {(0, 1), (0, 2)}  # on the same day the hours help too; the user alone does not help
    assert statistics_of(FSMDClassifier(**SMALL, **ALL_ROWS).fit(X[:9000], Y[:9000])).keys == [(0,)]


def search(n, seed=0, interaction=1.5):
    """Clicks depend on which word meets which topic, and on both alone."""
    random = np.random.RandomState(seed)
    sizes = {"user": 150, "word": 20, "topic": 5, "plain": 6}
    X = pd.DataFrame({name: random.randint(size, size=n) for name, size in sizes.items()})
    taste = np.random.RandomState(9).choice([-1, 1], size=(20, 5))
    logit = interaction * taste[X["word"], X["topic"]] + 0.05 * X["word"] - 0.3 * X["topic"] - 1
    click = random.uniform(size=n) < 1 / (1 + np.exp(-logit))
    conversion = click & (random.uniform(size=n) < 0.3)
    return X.astype("category"), pd.DataFrame({"click": click, "conversion": conversion}) * 1


def test_auto_adds_pairs_that_interact():
    X, Y = search(8000)
    new = search(4000, seed=1)
    model = FSMDClassifier(**SMALL).fit(X, Y)
    assert model.statistics_features_[-1] == ("word", "topic")
    alone = FSMDClassifier(**SMALL, statistics_features=["user"]).fit(X, Y)
    assert alone.statistics_features_ == ["user"]
    assert model.score(*new) > alone.score(*new) + 0.05
    by_position = FSMDClassifier(**SMALL, categorical_features=[0, 1, 2, 3]).fit(X.to_numpy(dtype=float), Y)
    assert by_position.statistics_features_[-1] == (1, 2)


def test_auto_adds_no_pairs_whose_columns_matter_alone():
    X, Y = search(8000, interaction=0)
    keys = FSMDClassifier(**SMALL).fit(X, Y).statistics_features_
    assert not any(isinstance(key, tuple) and "user" not in key for key in keys)


@pytest.mark.parametrize("keys", [["user", ("user", "tab")], [0, (0, 2)], [("user", "tab"), "user"]])
def test_columns_and_pairs_by_name_or_position(keys):
    X, Y = table()
    model = FSMDClassifier(**SMALL, **ALL_ROWS, statistics_features=keys).fit(X, Y)
    found = statistics_of(model)
    assert sorted(found.keys) == [(0,), (0, 2)]
    pair = found.keys.index((0, 2))
    n_pairs = X.groupby(["user", "tab"], observed=True).ngroups
    assert len(found.sums[pair]) == n_pairs + 1
    assert found.sums[pair][:, 3].sum() == len(X)  # each row was counted
    index = found.index(pair, model._encoder.encode(X[:1]).codes)
    same = (X["user"] == X["user"][0]) & (X["tab"] == X["tab"][0])
    assert found.sums[pair][index[0], 0] == Y["click"][same].sum()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["usr"], r"statistics_features has an item value 'usr' which is not a valid feature name"),
        (["price"], r"statistics_features has the column 'price', which is not one of the categories"),
        ([7], r"statistics_features has the column 7, which is not one of the categories"),
        ([("user", "user")], r"has \('user', 'user'\), which is no combination of columns"),
        ([()], r"has \(\), which is no combination of columns"),
        ("user", r"'statistics_features' parameter of FSMDClassifier must be"),
    ],
)
def test_columns_that_cannot_have_statistics(keys, message):
    X, Y = table(300)
    with pytest.raises(ValueError, match=message):
        FSMDClassifier(**SMALL, statistics_features=keys).fit(X, Y)


KEYS = {"statistics_features": ["user", ("user", "tab")]}


def test_validation_rows_are_counted_after_training():
    """Training and validation checks do not use the labels of these rows; later predictions do."""
    X, Y = table()
    params = SMALL | KEYS | {"early_stopping": True, "validation": "last", "validation_fraction": 0.2}
    model = FSMDClassifier(**params).fit(X, Y)
    changed = Y.copy()
    changed.iloc[2400:] = 1 - changed.iloc[2400:]
    with pytest.warns(UserWarning, match="'conversion' = 1 though 'click'"):
        other = FSMDClassifier(**params).fit(X, changed)
    for actual, from_other in zip(model.history_, other.history_, strict=False):
        assert actual["train_loss"] == from_other["train_loss"]
    given = FSMDClassifier(**SMALL | KEYS).fit(X[:2400], Y[:2400], X_val=X[2400:], Y_val=Y[2400:])
    assert statistics_of(given).sums[0][:, -1].sum() == 2400  # X_val is not counted, as it may be for evaluation
    given.update_statistics(X[2400:], Y[2400:])
    for a, b, from_other in zip(*(statistics_of(m).sums for m in (model, given, other)), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a[:, -1].sum() == from_other[:, -1].sum() == 3000
        assert not np.array_equal(a, from_other)


def test_further_rows_are_counted_without_training(tmp_path):
    X, Y = table()
    params = SMALL | KEYS | {"max_epochs": 3, "logistic_regression": False}  # which would not read the statistics
    model = FSMDClassifier(**params).fit(X[:2000], Y[:2000])
    weights = [tensor.clone() for tensor in model.module_.state_dict().values()]
    of_user = X[X["user"] == 7][:1]
    before, rest = model.predict_marginals(of_user)[0, 0], model.predict_marginals(X[X["user"] == 8])
    clicks = pd.concat([of_user] * 30, ignore_index=True).astype(X.dtypes)
    pickled_before = pickle.dumps(model)
    model.update_statistics(clicks, pd.DataFrame({"click": [1] * 30, "conversion": [np.nan] * 30}))
    assert model.predict_marginals(of_user)[0, 0] > before + 0.05
    np.testing.assert_allclose(model.predict_marginals(X[X["user"] == 8]), rest, rtol=0.05)  # its share changed
    assert all((a == b).all() for a, b in zip(weights, model.module_.state_dict().values(), strict=True))
    other = pickle.loads(pickled_before).update_statistics(clicks, y=np.tile([1, np.nan], (30, 1)))
    np.testing.assert_array_equal(other.predict_marginals(X), model.predict_marginals(X))
    model.save(tmp_path / "m")
    loaded = FSMDClassifier.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict_marginals(X), model.predict_marginals(X))
    loaded.update_statistics(clicks, Y[:30])
    assert "net_" not in vars(loaded)  # it would hold an optimizer and a copy of the weights
    new = clicks.assign(user=np.array([999] * 30)).astype({"user": "category"})
    unseen = model.predict_marginals(new[:1])
    known = pickle.dumps(model)
    np.testing.assert_allclose(model.update_statistics(new, Y[:30]).predict_marginals(new[:1]), unseen, rtol=0.05)
    for bad, message in (
        (Y[:29], "inconsistent numbers of samples"),
        (Y[:30] + 2, "Column 'click' of Y has the value"),
    ):
        with pytest.raises(ValueError, match=message):
            model.update_statistics(X[:30], bad)
    np.testing.assert_array_equal(model.predict_marginals(X), pickle.loads(known).predict_marginals(X))
    with pytest.raises(
        ValueError, match="has no statistics of the targets: `target_statistics` was None. Fit with 'ordered'"
    ):
        FSMDClassifier(**SMALL, target_statistics=None).fit(X[:300], Y[:300]).update_statistics(X, Y)


def test_an_update_without_statistics_warns_and_changes_nothing():
    """Whether "auto" finds a column that helps depends on rows and seed, and a daily job must not fail by it."""
    X, Y = make_frame(300)
    model = FSMDClassifier(**SMALL).fit(X[["price"]], Y)
    before = model.predict_marginals(X[["price"]])
    with pytest.warns(UserWarning, match="no statistics of the targets, so nothing is updated.*`statistics_features`"):
        model.update_statistics(X[["price"]], Y)
    np.testing.assert_array_equal(model.predict_marginals(X[["price"]]), before)


def test_new_ids_of_an_update_get_statistics_if_tables_may_grow():
    X, Y = table()
    is_new = X["user"].isin([3, 4]).to_numpy()
    params = SMALL | KEYS | {"max_epochs": 3}
    plain, growing = (FSMDClassifier(**params, new_categories=how) for how in ("unknown", "grow"))
    for model in (plain, growing):
        model.fit(X[~is_new], Y[~is_new])
        before = model.predict_marginals(X)
        network = model.module_
        model.update_statistics(X[is_new], Y[is_new])
        after = model.predict_marginals(X)
        assert (np.ptp(after[is_new] - before[is_new]) > 0.01) == (model is growing)
        assert (model.module_ is network) == (model is plain)
        np.testing.assert_allclose(after[~is_new], before[~is_new], rtol=0.1)
    of_user = [after[(X["user"] == user).to_numpy(), 0].mean() for user in (3, 4)]
    rates = [Y["click"][X["user"] == user].mean() for user in (3, 4)]
    assert (of_user[0] < of_user[1]) == (rates[0] < rates[1])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(growing)).predict_marginals(X), after)
    growing.partial_fit(X[:500], Y[:500])


def test_validation_rows_are_counted_in_the_units_of_training():
    """The second target is known in all training rows and in few validation rows; each known label counts 1."""
    X, Y = table()
    Y = Y.astype(float)
    Y.loc[Y.index[2400:2960], "conversion"] = np.nan
    params = SMALL | KEYS | {"early_stopping": True, "validation": "last", "validation_fraction": 0.2}
    with pytest.warns(UserWarning, match="'conversion' is unknown in .* validation scores are mostly"):
        model = FSMDClassifier(**params, chain_loss="entire_space").fit(X, Y)
    known = Y["conversion"].notna() | (Y["click"] == 0)  # without a click there is no conversion
    assert 2440 < known.sum() < 2800
    assert statistics_of(model).sums[0][:, 4].sum() == pytest.approx(
        known.sum()
    )  # positives of three events, then rows
    weights = np.where(np.arange(3000) < 2400, 2.0, 1.0)
    model.fit(X, Y.fillna(0), weights)
    assert statistics_of(model).sums[0][:, 3].sum() == pytest.approx(2400 + 300)


def test_counts_are_scaled_to_the_number_of_rows_of_the_first_call():
    X, Y = table()
    model = FSMDClassifier(**SMALL | KEYS, early_stopping=False).fit(X[:1000], Y[:1000])
    assert statistics_of(model).shares == [1, 1]
    model.update_statistics(X[1000:2000], Y[1000:2000])
    counted = statistics_of(model).sums[0][:, -1].sum()
    assert statistics_of(model).shares[0] == pytest.approx(1000 / counted, rel=0.01)
    model.partial_fit(X[2000:], Y[2000:])
    assert statistics_of(model).shares[0] == pytest.approx(1 / 3, rel=0.01)
    model.set_params(warm_start=True).fit(X, Y)
    assert statistics_of(model).shares == [1, 1]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_warm_start_recomputes_the_rates(streamed, tmp_path):
    """Its rows have more clicks than those of the first fit."""
    X, Y = table()
    few = (Y["click"] == 0) | (np.arange(len(Y)) % 10 == 0)
    params = SMALL | KEYS | {"early_stopping": False, "min_frequency": 1}
    fresh = statistics_of(FSMDClassifier(**params).fit(X, Y))
    model = FSMDClassifier(**params, warm_start=True).fit(X[few], Y[few])
    assert statistics_of(model).priors[0] < 0.7 * fresh.priors[0]
    if streamed:
        X.join(Y).to_parquet(tmp_path / "log.parquet")
        model.fit_dataset(str(tmp_path / "log.parquet"), list(Y), columns=list(X))
    else:
        model.fit(X, Y)
    warm = statistics_of(model)
    np.testing.assert_allclose(warm.priors, fresh.priors)
    np.testing.assert_allclose(warm.strengths, fresh.strengths, rtol=0.2)  # some users and items are unknown
    for name in ("center", "scale"):
        np.testing.assert_allclose(getattr(warm, name), getattr(fresh, name), atol=0.3, err_msg=name)


@pytest.mark.parametrize("streamed", [False, True])
def test_later_calls_count_new_pairs_of_known_values(streamed, tmp_path):
    X, Y = table()
    params = SMALL | {"statistics_features": [("user", "item")], "early_stopping": False, "min_frequency": 1}
    model = FSMDClassifier(**params, warm_start=True).fit(X[:600], Y[:600])
    known = X["user"].isin(X["user"][:600]) & X["item"].isin(X["item"][:600])
    n_pairs = len(statistics_of(model).known[0])
    model.partial_fit(X[600:], Y[600:])
    assert len(statistics_of(model).known[0]) > n_pairs
    assert statistics_of(model).sums[0][:, -1].sum() == 600 + known[600:].sum()
    if streamed:
        X[600:].join(Y[600:]).to_parquet(tmp_path / "log.parquet")
        model.fit_dataset(str(tmp_path / "log.parquet"), list(Y), columns=list(X))
    else:
        model.fit(X[600:], Y[600:])
    assert statistics_of(model).sums[0][:, -1].sum() == known[600:].sum()  # recomputed from the rows of this call
    pairs = X[600:][known[600:]].drop_duplicates(["user", "item"])
    assert len(statistics_of(model).known[0]) == len(pairs)


def test_single_rows_count_after_any_number_of_rows():
    X, Y = table()
    model = FSMDClassifier(**SMALL | KEYS).fit(X, Y)
    value = statistics_of(model).index(0, model._encoder.main.encode(X[:1]).codes)[0]
    model.update_statistics(X[:1], Y[:1] * 0, sample_weight=[2.0**24])
    before = statistics_of(model).sums[0][value].copy()
    for _ in range(3):
        model.update_statistics(X[:1], Y[:1] * 0 + 1)
    np.testing.assert_array_equal(statistics_of(model).sums[0][value] - before, 3)
    model.update_statistics(X[:2], Y[:2], sample_weight=[1e38, 1e38]).update_statistics(X[:2], Y[:2], [1e38, 1e38])
    assert np.isfinite(model.predict_marginals(X)).all()


def test_a_full_log_cannot_update_rates_of_a_downsampled_log():
    X, Y = table()
    kept = (Y["click"] == 1) | (np.random.RandomState(0).uniform(size=len(Y)) < 0.2)
    model = FSMDClassifier(**SMALL | KEYS, negative_sampling_rate=0.2).fit(X[kept], Y[kept])
    with pytest.raises(ValueError, match="negative_sampling_rate"):
        model.update_statistics(X, Y)
    model.update_statistics(X[kept], Y[kept])


def test_pairs_that_are_new_in_an_update_are_known_afterwards():
    X, Y = table()
    first = (X["tab"] != "c").to_numpy() | (np.arange(len(X)) >= 2970)
    model = FSMDClassifier(**SMALL | KEYS).fit(X[first], Y[first])
    n_pairs = len(statistics_of(model).known[1])
    model.update_statistics(X[~first], Y[~first])
    assert len(statistics_of(model).known[1]) > n_pairs + 50
    whole = FSMDClassifier(**SMALL | KEYS).fit(X, Y)
    actual, expected = (np.sort(statistics_of(m).sums[1][:, -1]) for m in (model, whole))
    np.testing.assert_array_equal(actual, expected)


def test_validation_on_the_last_rows_keeps_the_order_of_the_rows():
    X, Y = table(1200)
    seen = []
    learn = TargetStatistics.learn

    def watched(self, encoder, rows, targets, random, **options):
        seen.append((random, learn(self, encoder, rows, targets, random, **options)))
        return seen[-1][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TargetStatistics, "learn", watched)
        FSMDClassifier(**SMALL, validation="last", statistics_features=["user"]).fit(X, Y)
    (random, rows), n_numeric = seen[0], 1
    assert random is None
    rates = rows.numbers[rows.rows][:, n_numeric + 1]
    first = X["user"][: len(rates)].drop_duplicates().index
    assert np.ptp(rates[first]) == 0  # nothing is known of these users yet
    assert len(set(rates.tolist())) > 50


def test_statistics_are_saved_and_pickled(tmp_path):
    X, Y = table()
    model = FSMDClassifier(**SMALL, statistics_features=["user", ("user", "tab")]).fit(X, Y)
    model.save(tmp_path / "model.safetensors")
    loaded = FSMDClassifier.load(tmp_path / "model.safetensors")
    expected = model.predict_marginals(X)
    np.testing.assert_array_equal(loaded.predict_marginals(X), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_marginals(X), expected)


def test_single_rows_and_unseen_values():
    X, Y = table()
    model = FSMDClassifier(**SMALL, statistics_features=["user", ("user", "tab")]).fit(X, Y)
    np.testing.assert_allclose(model.predict_marginals(X[:5]), model.predict_marginals(X)[:5], atol=1e-6)
    new = X[:2].astype(object)
    new["user"] = "nobody"
    with pytest.raises(ValueError, match="held numbers in fit"):
        model.predict_marginals(new)
    new["user"] = [10**6, None]
    p = model.predict_marginals(new.assign(item=X["item"][0], tab="a", price=0.5))
    np.testing.assert_array_equal(p[0], p[1])


def test_an_interrupted_fit_resumes_to_identical_predictions(tmp_path):
    X, Y = table(1500)
    whole = FSMDClassifier(**SMALL | {"max_epochs": 4}, checkpoint=tmp_path / "whole").fit(X, Y)
    model = FSMDClassifier(**SMALL | {"max_epochs": 4}, checkpoint=tmp_path / "part")
    with pytest.MonkeyPatch.context() as patch:
        from sklearn_fsmd.training import Checkpoint

        write, calls = Checkpoint.on_epoch_end, []

        def stop_after_two(self, *args, **kwargs):
            write(self, *args, **kwargs)
            calls.append(1)
            if len(calls) == 2:
                raise InterruptedError

        patch.setattr(Checkpoint, "on_epoch_end", stop_after_two)
        with pytest.raises(InterruptedError):
            model.fit(X, Y)
    model.fit(X, Y, resume=True)
    np.testing.assert_array_equal(model.predict_marginals(X), whole.predict_marginals(X))


def test_partial_fit_adds_up_and_repeated_rows_do_not_see_themselves():
    X, Y = table()
    model = FSMDClassifier(**SMALL).partial_fit(X[:1500], Y[:1500])
    once = [sums.copy() for sums in statistics_of(model).sums]
    model.partial_fit(X[1500:], Y[1500:])
    whole = FSMDClassifier(**SMALL).partial_fit(X[:1500], Y[:1500])._encoder
    more = TargetStatistics.learn(
        whole.statistics, whole.main, whole.encode(X[1500:]), model._targets.encode(Y[1500:]), None, more=True
    )
    for i, (a, b) in enumerate(zip(statistics_of(model).sums, whole.statistics.sums, strict=True)):
        np.testing.assert_allclose(a, b)
        assert (a >= once[i]).all()
    again = whole.statistics.learn(whole.main, whole.encode(X[1500:]), model._targets.encode(Y[1500:]), None, more=True)
    rates = [2, 3, 4, 6, 7, 8]  # counts accumulate, rates use these rows alone
    np.testing.assert_array_equal(again.numbers[:, rates], more.numbers[:, rates])


def test_a_warm_start_recomputes_the_sums_and_keeps_the_scaling():
    X, Y = table()
    model = FSMDClassifier(**SMALL, **ALL_ROWS, warm_start=True).fit(X, Y)
    previous, center = model._encoder, statistics_of(model).center.copy()
    model.fit(X, Y)
    assert model._encoder is not previous  # so that a failed fit keeps the previous model
    np.testing.assert_array_equal(statistics_of(model).center, center)  # the network was trained with this scaling
    changed = Y.assign(conversion=Y["click"])
    model.fit(X, changed)
    recomputed = FSMDClassifier(**SMALL, **ALL_ROWS).fit(X, changed)
    for a, b in zip(statistics_of(model).sums, statistics_of(recomputed).sums, strict=True):
        np.testing.assert_allclose(a, b)


def test_masked_labels_are_not_counted():
    X, Y = table()
    masked = Y.astype(float)
    masked.loc[masked["click"] == 1, "conversion"] = masked["conversion"].where(np.arange(len(Y)) % 2 == 0)
    model = FSMDClassifier(**SMALL, **ALL_ROWS, statistics_features=["user"]).fit(X, masked)
    n_known = masked["conversion"].notna()[masked["click"] == 1].sum()
    sums = statistics_of(model).sums[0]
    weight = model._targets.encode(masked, None, (None, 0)).weights[:, 1].max()
    assert sums[:, 5].sum() == pytest.approx(n_known * weight, rel=1e-5)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("how", ["weights", "missing labels"])
def test_counts_do_not_leak_labels(how, streamed, tmp_path):
    """Neither weights nor missing labels that depend on a label leak it; the ids are noise."""
    random, n = np.random.default_rng(0), 6000
    X = pd.DataFrame({"user": random.integers(0, 2000, n).astype(str), "x": random.normal(size=n)})
    click = (random.uniform(size=n) < 0.3).astype(int)
    liked = np.where(click == 1, (random.uniform(size=n) < 0.4) * 1.0, np.nan if how == "missing labels" else 0.0)
    Y = pd.DataFrame({"liked": liked, "click": click})
    weights = np.where(click == 1, 5.0, 1.0) if how == "weights" else np.ones(n)
    model = FSClassifier(**SMALL, statistics_features=["user"])
    if streamed:
        X.join(Y).assign(w=weights).to_parquet(tmp_path / "log.parquet")
        model.fit_dataset(tmp_path / "log.parquet", list(Y), sample_weight="w", columns=list(X))
    else:
        model.fit(X, Y, sample_weight=weights)
    statistics = model._encoder.statistics
    index = statistics.index(0, model._encoder.main.encode(X).codes)
    assert abs(np.corrcoef(log_count(counts_of(statistics.sums[0]))[index], click)[0, 1]) < 0.05


@pytest.mark.parametrize("item", [None, 1.5, ("city", ["user"]), True])
def test_items_that_are_not_columns_are_refused(item):
    X, Y = make_frame()
    with pytest.raises(ValueError, match="'statistics_features' takes names or positions of columns, and tuples"):
        FSMDClassifier(**SMALL, statistics_features=[item]).fit(X, Y)


@pytest.mark.parametrize("in_files", [False, True])
def test_smoothing_in_rows_does_not_depend_on_missing_labels(in_files, tmp_path):
    """Rates of uninformative columns get strong smoothing, whatever the weight of a label is."""
    random = np.random.RandomState(0)
    X = pd.DataFrame({"user": random.randint(300, size=6000).astype(str)})
    Y = pd.DataFrame({"click": random.randint(2, size=6000), "like": random.randint(2, size=6000).astype(float)})
    Y.loc[random.uniform(size=6000) > 0.05, "like"] = np.nan
    model = MultiTaskClassifier(**SMALL | {"max_epochs": 1}, link="independent", early_stopping=False)
    if in_files:
        X.join(Y).to_parquet(tmp_path / "a.parquet")
        model.fit_dataset(tmp_path / "a.parquet", list(Y))
    else:
        model.fit(X, Y)
    statistics = model._encoder.statistics
    assert statistics.units[0] == 1
    assert 15 < statistics.units[1] < 25
    assert (statistics.strengths[0] / statistics.units > 50).all()


@pytest.mark.parametrize("n_late", [42, 43])
def test_rates_of_single_rows_get_the_strongest_smoothing(n_late):
    """Each user has clicked once. If other labels are late, the weight of a label is not an integer."""
    X = pd.DataFrame({"user": np.tile(np.arange(600), 2)}).astype("category")
    Y = pd.DataFrame({"click": np.repeat([1, 0], 600), "conversion": np.r_[np.arange(600) % 3 == 0, np.zeros(600)]})
    Y.loc[: n_late - 1, "conversion"] = np.nan
    params = SMALL | {"max_epochs": 1, "statistics_features": ["user"]}
    statistics = FSMDClassifier(**params, early_stopping=False).fit(X, Y)._encoder.statistics
    step = statistics.events.index((1, 0))
    assert statistics.strengths[0][step] == LARGEST_STRENGTH * statistics.units[step]


@pytest.mark.parametrize("in_files", [False, True])
def test_smoothing_in_rows_does_not_depend_on_weights(in_files, tmp_path):
    random = np.random.RandomState(0)
    user, rates = np.repeat(np.arange(400), 5), random.beta(0.4, 2, 400)
    X = pd.DataFrame({"user": user.astype(str)})
    y = pd.DataFrame({"click": (random.uniform(size=len(X)) < rates[user]).astype(int)})
    strengths = []
    for weights in (None, np.where(y["click"], 9.0, 1.0)):
        model = FSClassifier(**SMALL | {"max_epochs": 1}, early_stopping=False, statistics_features=["user"])
        if in_files:
            X.join(y).assign(weight=1.0 if weights is None else weights).to_parquet(tmp_path / "a.parquet")
            columns = {} if weights is None else {"sample_weight": "weight"}
            model.fit_dataset(tmp_path / "a.parquet", ["click"], columns=["user"], **columns)
        else:
            model.fit(X, y, sample_weight=weights)
        statistics = model._encoder.statistics
        strengths.append(statistics.strengths[0] / statistics.units)
    np.testing.assert_allclose(strengths[1], strengths[0], rtol=1e-12)
    assert 1.5 < strengths[0] < 4  # the true value is 2.4


def test_weighted_sums_are_converted_to_rows():
    positive, weights = (
        np.array([[20.0, 1.0], [0.0, 2.0], [0.0, 0.0]]),
        np.array([[20.0, 1.0], [20.0, 3.0], [0.0, 0.0]]),
    )
    in_units = in_rows(positive, weights)
    np.testing.assert_allclose(in_units[0], [[1, 0.4], [0, 0.8], [0, 0]])
    np.testing.assert_allclose(in_units[1], [[1, 0.4], [1, 1.2], [0, 0]])  # weights of 1 and 3, in units of 2.5


@pytest.mark.parametrize("streamed", [False, True])
def test_uninformative_ids_get_no_statistics(streamed, tmp_path):
    """Their rates would be noise for the network."""
    X, Y = table(8000)
    random = np.random.default_rng(1)
    for name in ("noise", "more noise"):
        X[name] = pd.Categorical(random.integers(0, 1500, len(X)).astype(str))
    model = FSMDClassifier(**SMALL | {"early_stopping": True, "max_epochs": 1})
    if streamed:
        X.join(Y).to_parquet(tmp_path / "log.parquet")
        model.fit_dataset(tmp_path / "log.parquet", list(Y))
    else:
        model.fit(X, Y)
    names = [column.name for column in model._encoder.main.categories.values()]
    keys = [tuple(names[f] for f in key) for key in statistics_of(model).keys]
    assert keys[:2] == [("user",), ("item",)]
    assert not any("noise" in name for key in keys for name in key)
    alone = model.fit(X[["noise", "price"]], Y)
    assert alone._encoder.statistics is None


def test_few_validation_rows_do_not_exclude_an_id():
    X, Y = table(2000)
    X = X.assign(noise=pd.Categorical(np.random.default_rng(1).integers(0, 400, len(X)).astype(str)))
    model = FSMDClassifier(**SMALL | {"early_stopping": True, "max_epochs": 1}).fit(X[["noise"]], Y)
    assert len(statistics_of(model).keys) == 1


def test_combinations_with_too_many_possible_values_are_refused():
    user = np.arange(30_000) % 10_000
    X = pd.DataFrame({f"c{i}": (user * k) % 9973 for i, k in enumerate((1, 3, 7, 11, 13))}).astype("category")
    model = FSClassifier(**SMALL, statistics_features=[tuple(X)])
    with pytest.raises(ValueError, match=r"has the combination \('c0', 'c1', 'c2', 'c3', 'c4'\), whose columns have"):
        model.fit(X, np.column_stack([user % 2, user % 3 == 0]).astype(int))
