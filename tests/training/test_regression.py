"""Logistic regressions that are averaged with the network where there are few rows or few events."""

import pickle
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.preprocessing import OneHotEncoder

from sklearn_fsmd import DeepFMClassifier, FSClassifier, FSMDClassifier, MultiTaskClassifier, PLEClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.encoding.sources import sizes
from sklearn_fsmd.encoding.table import Encoded
from sklearn_fsmd.encoding.targets import StepSums, Targets, Values
from sklearn_fsmd.network import Lists, Ragged
from sklearn_fsmd.network.values import VALUE_LOSSES
from sklearn_fsmd.training import corrections, regression, regression_columns, regression_mean, regression_rows, ridge
from sklearn_fsmd.training.regression_rows import RegressionRows, adds_regressions, samples
from tests.conftest import SMALL, make_frame, supported

CHAIN = (None, 0)
WITHOUT = {**SMALL, "logistic_regression": False}


@pytest.fixture(scope="module")
def funnel():
    X, Y = make_funnel(21_000, random_state=0, return_X_y=True)
    return (X[:1000], Y[:1000]), (X[1000:], Y[1000:])


def step_logits(model, X):
    return model._predictor.logits(model._rows(X), None)


def fit_regressions(model, rows, targets, n_steps=2):
    """The regressions of a model on these rows, the same for each step."""
    n_events, n_categories = np.ones(n_steps), len(model._encoder.main.categories)
    return regression.fit(model.module_, RegressionRows([(rows, targets)] * n_steps, [], n_events, n_categories))


def sampled(model, rows, targets):
    n_events = StepSums.from_targets(targets, CHAIN).n_events
    return samples([(rows, targets)], CHAIN, n_events, len(model._encoder.main.categories))


def with_lists(X):
    random = np.random.RandomState(0)
    cities = np.array(["Paris", "Rome", "Oslo", "Bonn"])
    return X.assign(seen=[list(random.choice(cities, random.randint(0, 4))) for _ in range(len(X))])


@pytest.mark.parametrize("cls", [FSMDClassifier, FSClassifier])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_few_rows_are_predicted_better(cls, early_stopping, funnel):
    train, (X, Y) = funnel
    params = {"early_stopping": early_stopping, "random_state": 0}
    averaged, alone = (cls(logistic_regression=how, **params).fit(*train) for how in ("auto", False))
    for k, (name, gain) in enumerate({"click": 0.03, "conversion": 0.003}.items()):
        p, p_alone = averaged.predict_marginals(X)[:, k], alone.predict_marginals(X)[:, k]
        assert roc_auc_score(Y[name], p) > roc_auc_score(Y[name], p_alone) + gain
        assert log_loss(Y[name], p.astype(float)) < log_loss(Y[name], p_alone.astype(float)) - 0.005
    assert alone.network_shares_ is None
    if early_stopping:
        assert (averaged.network_shares_ < 0.9).all()
    else:
        n_events = train[1].sum().to_numpy()  # each of a step is in the minority of its rows
        expected = np.maximum(n_events / (n_events + 3000), 0.1)
        np.testing.assert_allclose(averaged.network_shares_, expected, atol=1e-4)


def cosines(n):
    """Four half waves to four whole ones over `n` bins, with a total mean square of 1."""
    waves = np.array([[np.cos(np.pi * k * (b + 0.5) / n) / k**1.5 for k in (1, 2, 3, 4)] for b in range(n)])
    return waves / np.sqrt((waves**2).sum(axis=1).mean())


@pytest.mark.parametrize("n", [6, 49])
def test_bins_become_cosines(n):
    columns = regression_columns.smooth_columns(n)
    np.testing.assert_array_equal(columns[:, 0], np.arange(n) == 0)  # missing numbers
    np.testing.assert_array_equal(columns[0, 1:], 0)
    np.testing.assert_allclose(columns[1:, 1:], cosines(n - 1))


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_few_bins_have_as_many_columns_as_they_need(n):
    columns = regression_columns.smooth_columns(n)
    assert np.linalg.matrix_rank(columns) == columns.shape[1] == max(n - 1, 1)  # the intercept is the last one
    assert np.isfinite(columns).all()


def test_bins_do_not_fit_noise_where_events_are_rare():
    """With a weight for each bin, the AUC is 0.03 below that of a regression on the numbers."""
    random = np.random.RandomState(0)
    x = random.normal(size=(50_000, 6))
    y = (random.uniform(size=len(x)) < expit(0.3 * x[:, :2].sum(axis=1) - 3)).astype(int)
    names = list("abcdef")
    X, X_new, y_new = pd.DataFrame(x[:10_000], columns=names), pd.DataFrame(x[10_000:], columns=names), y[10_000:]
    model = MultiTaskClassifier(**WITHOUT | {"numeric_bins": 48, "max_epochs": 1}).fit(X, y[:10_000])
    found = fit_regressions(model, model._encoder.encode(X), model._targets.encode(y[:10_000], None, (None,)), 1)
    logits = found.outputs(model.module_, *model._encoder.encode(X_new).tensors()).numpy()
    of_numbers = LogisticRegression(C=0.1).fit(X, y[:10_000]).decision_function(X_new)
    assert roc_auc_score(y_new, logits[:, 0]) > roc_auc_score(y_new, of_numbers) - 0.01


def test_numbers_far_beyond_those_of_the_training_rows_count_as_the_largest_of_these():
    """With the number as a column too, its log-odds would be a thousand times those of other rows."""
    random = np.random.RandomState(0)
    X = pd.DataFrame({"x": random.normal(size=3000), "city": random.choice(list("abc"), 3000)})
    y = (random.uniform(size=3000) < expit(X["x"])).astype(int).to_numpy()
    X.loc[0, "x"] = 1e4
    model = MultiTaskClassifier(**WITHOUT | {"numeric_bins": 48, "max_epochs": 1}).fit(X, y)
    rows, targets = model._encoder.encode(X[1:]), model._targets.encode(y[1:], None, (None,))
    found = fit_regressions(model, rows, targets, 1)
    largest = X[1:].nlargest(1, "x")
    far, near = (model._encoder.encode(some.assign(city="a")) for some in (X[:1], largest))
    logits = [float(found.outputs(model.module_, *some.tensors())) for some in (far, near)]
    assert 0.5 < logits[1] < 5
    assert logits[0] == pytest.approx(logits[1])


def test_bins_fit_curves():
    random = np.random.RandomState(0)
    X = pd.DataFrame({"x": random.normal(size=6000)})
    p = expit(1 - 2 * (X["x"].abs() > 1)).to_numpy()
    y = (random.uniform(size=len(X)) < p).astype(int)
    model = MultiTaskClassifier(**WITHOUT | {"numeric_bins": 48, "max_epochs": 1}).fit(X, y)
    rows = model._encoder.encode(X)
    found = fit_regressions(model, rows, model._targets.encode(y, None, (None,)), 1)
    assert roc_auc_score(y, found.outputs(model.module_, *rows.tensors()).numpy()[:, 0]) > roc_auc_score(y, p) - 0.02


def test_the_regression_is_that_of_scikit_learn_on_its_columns(monkeypatch):
    monkeypatch.setattr(ridge, "N_UPDATES", 0)
    monkeypatch.setattr(ridge, "LEAST_GAIN", 1e-10)
    monkeypatch.setattr(ridge, "MAX_ITER", 1000)
    X, Y = make_frame(600)
    X = with_lists(X)
    model = FSMDClassifier(**WITHOUT | {"list_features": ["seen"], "early_stopping": False}).fit(X, Y)
    encoder, network = model._encoder.main, model.module_
    network.low_order.linear.numbers.data.zero_()
    rows, targets = model._encoder.encode(X), model._targets.encode(Y, None, CHAIN)
    found = fit_regressions(model, rows, targets)
    x = np.zeros((len(X), encoder.n_rows))
    for i, codes in enumerate(rows.codes):
        x[i, codes] = 1
    (column,) = rows.lists
    for i, (start, stop) in enumerate(zip(column.offsets, column.offsets[1:], strict=False)):
        for code in column.flat[start:stop]:
            x[i, code] += 1 / int(stop - start)
    for first, n in zip(encoder.offsets, encoder.cardinalities, strict=True):
        if first >= encoder.offsets[len(encoder.categories)]:  # cosines instead of the columns of bins
            x[:, first + 1 : first + 5] = x[:, first + 1 : first + n] @ cosines(n - 1)
            x[:, first + 5 : first + n] = 0
    logits = found.outputs(network, *rows.tensors()).numpy()
    clicked = Y["click"] == 1
    for k, used in enumerate([np.full(len(X), True), clicked]):
        expected = LogisticRegression(C=0.1, max_iter=1000, tol=1e-8).fit(x[used], Y.iloc[:, k][used])
        np.testing.assert_allclose(logits[:, k], expected.decision_function(x), atol=0.02)


def test_regressions_on_rare_events_are_fitted_to_the_end(monkeypatch):
    """Gradients of the mean loss are small if events are rare: scikit-learn's `tol` would end it after a few steps."""
    monkeypatch.setattr(ridge, "N_UPDATES", 0)
    random = np.random.RandomState(0)
    user, item = random.randint(300, size=60_000), random.randint(60, size=60_000)
    z = 0.8 * (random.normal(size=300)[user] + random.normal(size=60)[item])
    y = (random.uniform(size=len(z)) < expit(z + np.log(0.002))).astype(int)
    X = pd.DataFrame({"user": user.astype(str), "item": item.astype(str)})
    small = {"embedding_dim": 2, "batch_size": 8192, "target_statistics": None, "early_stopping": False}
    model = MultiTaskClassifier(**WITHOUT | small | {"link": "independent", "max_epochs": 1}).fit(X, y)
    rows, targets = model._encoder.encode(X), model._targets.encode(y, None, (None,))
    logits = fit_regressions(model, rows, targets, 1).outputs(model.module_, *rows.tensors()).numpy()[:, 0]
    x = OneHotEncoder().fit_transform(X)
    expected = LogisticRegression(C=0.1, max_iter=1000, tol=1e-10).fit(x, y).decision_function(x)
    np.testing.assert_allclose(logits, expected, atol=0.05)


VARIANTS = {
    "FM": {},
    "FM per task": {"fm_sharing": "per_task"},
    "field-weighted FM": {"low_order": "fwfm"},
    "linear": {"low_order": "linear"},
    "independent": {"link": "independent"},
    "ensemble": {"n_members": 3},
    "nothing shared": {"extractor": "separate", "link": "independent"},
    "hashed": {"embedding_compression": "hash", "max_embedding_rows": 30},
    "quotients": {"embedding_compression": "quotient_remainder", "max_embedding_rows": 20},
    "lists, summed": {"list_features": ["seen"], "list_pooling": "sum"},
    "lists, shared embeddings": {"list_features": ["seen"], "shared_embeddings": {"seen": "city"}},
    "without batch norm": {"batch_norm": False},
    "without an average": {"average_decay": 0.0},
    "statistics": {"statistics_features": ["user"]},
    "no numbers": {"categorical_features": "all"},
    "attention": {"list_features": ["seen"], "list_pooling": "attention", "shared_embeddings": {"seen": "city"}},
    "bias features": {"bias_features": ["visits"]},
    "a tree": {"link": (None, 0, 0)},
    "values": {"value_targets": ["euros"], "value_parents": {"euros": "click"}},
    "several values": {"value_targets": ["euros", "minutes"], "value_parents": {"euros": "click"}},
    "squared values": {"value_targets": ["minutes"], "value_loss": "squared"},
    "values of an ensemble": {"value_targets": ["minutes"], "n_members": 3},
    "values, nothing shared": {"value_targets": ["minutes"], "extractor": "separate", "link": "independent"},
}


@pytest.mark.filterwarnings("ignore:embedding_compression='hash'")
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_network_becomes_the_mean_of_both(variant, monkeypatch):
    """The log-odds after the fit are the mean of those of network and regression, at another level and slope."""
    params = VARIANTS[variant]
    X, Y = make_frame(900)
    if "list_features" in params:
        X = with_lists(X)
    if params.get("categorical_features") == "all":
        X, params = X[["user", "city"]], {}
    if "link" in params and len(params["link"]) == 3:
        Y = Y.assign(like=Y["click"] * (np.arange(900) % 3 > 0))
    if "value_targets" in params:
        euros = np.where(Y["click"] == 1, 1.0 + np.arange(900) % 7, np.nan)
        minutes = np.where(np.arange(900) % 11 > 0, 5.0 + X["visits"].rank(), np.nan)
        values = pd.DataFrame({"euros": euros, "minutes": minutes})[params["value_targets"]]
        Y = pd.concat([Y, values], axis=1)
    X_val, Y_val = X[600:], Y[600:]
    before, average = [], regression_mean.average

    def recording(net, regressions, parts, valid):
        assert valid is parts[1]
        network, rows = net.module_, valid.inputs
        of_network = valid.outputs(shown=False).numpy().copy()
        of_regression = regressions.outputs(network, *rows).numpy()
        before.extend([of_network, of_regression, network.slopes.numpy().copy()])
        shares = average(net, regressions, parts, valid)
        # What is stored of the logits is changed like the network.
        for part in parts:
            torch.testing.assert_close(part.outputs(shown=False), network(*part.inputs), rtol=1e-4, atol=1e-4)
        return shares

    monkeypatch.setattr(corrections.regression_mean, "average", recording)
    model = MultiTaskClassifier(**SMALL | {"lr": 0.02} | params).fit(X[:600], Y[:600], X_val=X_val, Y_val=Y_val)
    of_network, of_regression, slopes = before
    np.testing.assert_array_equal(slopes, 1)  # they are set once, after the mean
    shares = model.network_shares_
    assert ((shares >= regression_mean.LEAST) & (shares <= 1)).all()
    assert (shares < 1).any()
    if "n_members" not in params:
        n_steps, n_outputs = len(slopes), model.module_.towers.output.bias.shape[1]
        shares = np.append(shares[:n_steps], np.ones((len(shares) - n_steps, n_outputs)).ravel())
        shares[n_steps::n_outputs] = model.network_shares_[n_steps:]  # further outputs stay those of the network
        expected = shares * of_network + (1 - shares) * of_regression
        expected[:, :n_steps] *= model.module_.slopes.numpy()
        difference = model.module_(*model._rows(X_val).tensors()).detach().numpy() - expected
        np.testing.assert_allclose(difference, np.broadcast_to(difference[0], difference.shape), atol=1e-4)
        np.testing.assert_allclose(difference[:, n_steps:], 0, atol=1e-4)  # the level of values is elsewhere
    assert np.std(of_regression[:, : len(slopes)], axis=0).min() > 0.1


def test_the_means_are_right_afterwards(funnel):
    (X, Y), _ = funnel
    model = FSMDClassifier(random_state=0, target_statistics=None, early_stopping=False).fit(X, Y)
    np.testing.assert_allclose(model.predict_marginals(X).mean(axis=0), Y.mean(), rtol=0.01)


VALUES = {"value_targets": ["amount"], "value_parents": {"amount": "purchase"}}


def purchases(n, n_campaigns, spread, seed):
    """Impressions, of which 6 % have a purchase, and the expected amount of each; campaigns differ by `spread`."""
    random = np.random.default_rng(seed)
    campaign, users = random.integers(0, n_campaigns, n), [f"u{u}" for u in random.integers(0, 2000, n)]
    X = pd.DataFrame({"campaign": [f"c{c}" for c in campaign], "user": users, "x": random.normal(size=n)})
    expected = np.exp(3 + spread * random.normal(size=n_campaigns))[campaign]
    click = random.uniform(size=n) < 0.3
    purchase = click & (random.uniform(size=n) < 0.2)
    amount = np.where(purchase, expected * np.exp(random.normal(0, 0.5, n) - 0.125), np.nan)
    return X, pd.DataFrame({"click": click, "purchase": purchase, "amount": amount}).astype(float), expected


@pytest.mark.parametrize("value_loss", VALUE_LOSSES)
def test_few_values_are_predicted_better(value_loss):
    """About 800 purchases: more than half of the variance between 20 campaigns is found; without them, nothing is."""
    for spread in (0.0, 0.6):
        X, Y, truth = purchases(18_000, 20, spread, 0)
        train, new = slice(0, 14_000), slice(14_000, None)
        model = FSMDClassifier(**VALUES, value_loss=value_loss, random_state=0).fit(X[train], Y[train])
        error = model.predict_values(X[new], conditional=True)[:, 0] / truth[new] - 1
        of_mean = Y["amount"][train].mean() / truth[new] - 1
        assert model.network_shares_[2] < 0.5
        if spread:
            assert np.square(error).mean() < 0.5 * np.square(of_mean).mean()
        else:
            assert np.sqrt(np.square(error).mean()) < 0.1


@pytest.mark.parametrize("value_loss", VALUE_LOSSES)
def test_the_regression_of_equal_values_is_a_constant(value_loss):
    X, Y, _ = purchases(3000, 5, 0.5, 0)
    model = FSMDClassifier(**SMALL | VALUES, value_loss=value_loss).fit(X, Y.assign(amount=Y["purchase"] * 7))
    assert model.network_shares_[2] < 0.5
    error = model.predict_values(X, conditional=True) / 7 - 1  # a share of 0.05 of the network is left
    assert np.sqrt(np.square(error).mean()) < 0.06


@pytest.mark.parametrize("share", [0.15, 0.9])
def test_zeros_among_few_values_are_predicted_too(share):
    """The values of the campaign c0 are 0 with this probability; with many zeros the regression is of the log-odds."""
    X, Y, _ = purchases(14_000, 5, 0.0, 0)
    is_zero = (X["campaign"] == "c0") & (np.random.RandomState(0).uniform(size=len(X)) < share)
    amount = Y["amount"].where(~is_zero | Y["amount"].isna(), 0.0)
    if share == 0.9:
        others = (X["campaign"] == "c1") & (np.random.RandomState(1).uniform(size=len(X)) < 0.9)
        amount = amount.where(~others | amount.isna(), 0.0)
    model = FSMDClassifier(**VALUES, random_state=0).fit(X, Y.assign(amount=amount))
    assert model.module_.values.family == ("logistic" if share == 0.9 else "normal")  # noqa: PD011
    values = model.predict_values(X, conditional=True)[:, 0]
    np.testing.assert_allclose(values[Y["purchase"] == 1].mean(), amount.mean(), rtol=0.05)
    c0, rest = (values[X["campaign"] == name].mean() for name in ("c0", "c4"))
    assert c0 / rest < (0.3 if share == 0.9 else 1.0)


@pytest.mark.parametrize("multiplies", [False, True])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_many_validation_values_determine_the_share(share, multiplies):
    random = np.random.RandomState(0)
    z, other = random.normal(size=(2, 100_000))
    mean = 1 + share * z + (1 - share) * other
    y = random.poisson(np.exp(mean)) if multiplies else mean + random.normal(size=len(z))
    found = regression_mean.share_of_value(z, other, y, np.ones(len(z)), 0.5, 1.0, multiplies=multiplies)
    assert found == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("multiplies", [False, True])
@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("are_equal", [False, True])
def test_few_validation_values_leave_the_share_near_the_expected_one(multiplies, n, are_equal):
    for seed in range(5):
        random = np.random.RandomState(seed)
        z, other = 0.5 * random.normal(size=(2, n))
        y = np.full(n, 0.3) if are_equal else random.exponential(size=n)
        for expected in (0.2, 0.5, 0.8):
            found = regression_mean.share_of_value(z, other, y, np.ones(n), expected, 1.0, multiplies=multiplies)
            assert found == pytest.approx(expected, abs=0.3)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_many_validation_rows_determine_the_share(share):
    random = np.random.RandomState(0)
    z, other, rest = random.normal(size=(3, 100_000))
    y = (random.uniform(size=len(z)) < expit(rest - 2 + share * z + (1 - share) * other)).astype(float)
    assert regression_mean.share_of(z, other, rest, y, np.ones(len(z)), 0.5) == pytest.approx(share, abs=0.03)


def test_the_more_events_the_larger_the_share_of_the_network():
    shares = regression_mean.expected_shares(np.array([0, 1, 750, 3000, 297_000]), n_steps=5)
    np.testing.assert_allclose(shares, [1, 0.1, 0.2, 0.5, 0.99])
    shares = regression_mean.expected_shares(np.array([3000, 0, 1, 2500, 10_000, 990_000]), n_steps=1)
    np.testing.assert_allclose(shares, [0.5, 1, 0.1, 0.2, 0.5, 0.99])


@pytest.mark.parametrize("expected", [0.2, 0.5, 0.8])
def test_few_validation_rows_leave_the_share_near_the_expected_one(expected):
    random = np.random.RandomState(0)
    z, other = random.normal(size=(2, 10))
    y = (random.uniform(size=10) < expit(z)).astype(float)
    rest, ones = np.zeros(10), np.ones(10)
    assert regression_mean.share_of(z, other, rest, y, ones, expected) == pytest.approx(expected, abs=0.2)
    assert regression_mean.share_of(1e6 * z, other, rest, 1 - (z > 0), ones, expected) == regression_mean.LEAST


def steps(n, events):
    labels = np.zeros((n, 1), dtype=np.float32)
    labels[:events] = 1
    return StepSums.from_targets(Targets(labels, None), (None,))


def decision(n, events, n_codes=20, n_training=None, n_values=1000, **params):
    """Whether regressions are added to a fit of `n` rows with `n_codes` categories each."""
    rows = Encoded(np.zeros((n, n_codes), np.int32), np.zeros((n, 0), np.float32))
    encoder = SimpleNamespace(lists={}, n_rows=n_values, categories=range(n_codes))
    n_training = n if n_training is None else n_training
    return adds_regressions(MultiTaskClassifier(**params), n, rows, steps(n, events).n_events, n_training, encoder)


@pytest.mark.parametrize(
    ("n", "events", "expected"),
    [(99_999, 50_000, True), (100_000, 50_000, False), (200_000, 9_999, True), (200_000, 10_000, False)],
)
def test_auto_goes_by_rows_and_events(n, events, expected):
    assert decision(n, events) is expected
    assert decision(n, n - events) is expected  # the rarer class counts
    assert decision(n, events, logistic_regression=True) is True
    assert decision(n, events, logistic_regression=False) is False


def test_auto_leaves_out_what_would_be_large():
    assert not decision(200_000, 0)  # there is nothing to fit
    assert decision(90_000, 45_000, n_codes=110)
    assert not decision(90_000, 45_000, n_codes=120)  # more than 10 million entries
    assert decision(90_000, 900, n_codes=120)  # a sample has all events
    assert not decision(90_000, 900, n_training=100_000)  # these rows are a sample already
    assert not decision(90_000, 900, n_values=5_000_001)


def test_the_values_of_lists_count(rng):
    lengths = rng.randint(0, 9, size=100)
    offsets = torch.from_numpy(np.append(0, lengths.cumsum()))
    column = Ragged(torch.zeros(int(lengths.sum()), dtype=torch.int64), offsets)
    rows = Encoded(np.zeros((100, 2), np.int32), np.zeros((100, 1), np.float32), lists=Lists((column,)))
    assert regression_rows.most_rows(rows, 2) == int(regression_rows.MOST_ENTRIES / (3 + lengths.sum() / 100))


def test_the_parameter_decides(frame, monkeypatch):
    monkeypatch.setattr(regression_rows, "FEW_ROWS", 100)
    monkeypatch.setattr(regression_rows, "FEW_EVENTS", 0)
    assert FSMDClassifier(**SMALL).fit(*frame).network_shares_ is None
    assert FSMDClassifier(**SMALL, logistic_regression=True).fit(*frame).network_shares_ is not None
    with pytest.raises(ValueError, match="The 'logistic_regression' parameter of FSMDClassifier must be"):
        FSMDClassifier(logistic_regression="yes").fit(*frame)


def test_a_sample_has_the_expected_share_of_all_events(funnel, monkeypatch):
    """The network learned from all of them."""
    monkeypatch.setattr(regression_rows, "MOST_ENTRIES", 5000)
    X, Y = (part[:10_000] for part in funnel[1])
    model = FSMDClassifier(**SMALL, early_stopping=False, logistic_regression=True).fit(X, Y)
    n_clicked, n_converted = Y.sum()
    n_events = np.array([min(n_clicked, len(Y) - n_clicked), min(n_converted, n_clicked - n_converted)])
    np.testing.assert_allclose(model.network_shares_, n_events / (n_events + 3000), atol=1e-4)


def test_models_without_first_order_terms_have_none(frame):
    assert "logistic_regression" not in PLEClassifier().get_params()
    assert PLEClassifier(**supported(PLEClassifier, SMALL)).fit(*frame).network_shares_ is None
    assert MultiTaskClassifier(**SMALL, low_order=None, logistic_regression=True).fit(*frame).network_shares_ is None


def test_lists_pooled_by_their_maximum(frame):
    X, Y = with_lists(frame[0]), frame[1]
    params = {**SMALL, "list_features": ["seen"], "list_pooling": "max"}
    assert FSMDClassifier(**params).fit(X, Y).network_shares_ is None
    with pytest.raises(ValueError, match="logistic_regression=True needs lists that are pooled by a sum"):
        FSMDClassifier(**params, logistic_regression=True).fit(X, Y)


def test_constant_columns_have_no_regression(frame):
    X, Y = pd.DataFrame({"price": np.full(300, 2.0)}), frame[1]
    model = FSMDClassifier(**SMALL, numeric_scaling=None, target_statistics=None).set_params(numeric_bins=0).fit(X, Y)
    np.testing.assert_array_equal(model.network_shares_, 1)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e12])
def test_the_unit_of_a_number_does_not_matter(unit, frame, monkeypatch):
    """The ridge penalty is that of standardised numbers, also if the network gets numbers as they are."""
    monkeypatch.setattr(ridge, "N_UPDATES", 0)
    X, Y = frame[0][["visits"]].astype(float).fillna(0) * unit, frame[1]
    params = WITHOUT | {"numeric_scaling": None, "numeric_bins": 0, "max_epochs": 1}
    model = FSMDClassifier(**params).fit(X, Y)
    rows = model._encoder.encode(X)
    found = fit_regressions(model, rows, model._targets.encode(Y, None, CHAIN))
    logits = found.outputs(model.module_, *rows.tensors()).numpy()
    z = (X - X.mean()) / X.std(ddof=0)
    expected = LogisticRegression(C=0.1).fit(z, Y["click"]).decision_function(z)
    np.testing.assert_allclose(logits[:, 0], expected, atol=1e-3)


def test_numbers_too_small_for_float32_are_constant(frame):
    X, Y = frame
    params = {**SMALL, "numeric_scaling": None, "numeric_bins": 0, "logistic_regression": True}
    model = FSMDClassifier(**params).fit(X[["city"]].assign(tiny=np.arange(len(X)) * 1e-42), Y)
    assert np.isfinite(model.predict_marginals(X[["city"]].assign(tiny=1.0))).all()


def test_a_step_of_one_class_has_no_regression(frame):
    X, Y = frame
    model = FSMDClassifier(**SMALL, chain_loss="entire_space").fit(X, Y.assign(conversion=Y["click"]))
    click, conversion = model.network_shares_
    assert click < 0.5
    assert conversion == 1
    assert np.isfinite(model.predict_marginals(X)).all()


def test_unknown_labels_and_weights_count(frame):
    """Rows without a label, or with weight 0, might as well not be there."""
    X, Y = frame[0][["user", "city"]], frame[1]
    model = FSMDClassifier(**WITHOUT).fit(X, Y)
    rows = model._encoder.encode(X)
    weights = np.ones(Y.shape)
    weights[200:] = 0
    Y_some = Y.astype(float)
    Y_some.iloc[200:] = np.nan
    known = rows.take(np.arange(200)), model._targets.encode(Y[:200], None, CHAIN, scale=False)
    few = fit_regressions(model, *known)
    for labels, sample_weight in ((Y, weights), (Y_some, None)):
        targets = model._targets.encode(labels, sample_weight, CHAIN, scale=False)
        found = fit_regressions(model, rows, targets)
        torch.testing.assert_close(found.terms.categories.weight, few.terms.categories.weight, atol=1e-3, rtol=0)


def test_bias_features_explain_their_part():
    """Items are better at the positions that are clicked less, so without positions their weights would be too low."""
    random = np.random.RandomState(0)
    n = 4000
    item = random.randint(0, 4, n)
    position = np.where(random.uniform(size=n) < 0.8, item, random.randint(0, 4, n))
    X = pd.DataFrame({"item": item.astype(str), "position": position.astype(str)})
    y = (random.uniform(size=n) < expit(1.0 * item - 1.0 * position - 0.5)).astype(int)
    params = {**WITHOUT, "link": "independent", "max_epochs": 1}
    weights = []
    for bias_features in (["position"], None):
        X_fit = X if bias_features else X[["item"]]
        model = MultiTaskClassifier(**params, bias_features=bias_features).fit(X_fit, y)
        rows, targets = model._encoder.encode_shown(X_fit), model._targets.encode(y, None, (None,))
        found = fit_regressions(model, rows, targets, 1).terms.categories.weight[:, 0]
        codes = model._encoder.encode(X_fit).codes[:, 0]
        weights.append([float(found[codes[item == i][0]]) for i in range(4)])
    assert weights[0][3] - weights[0][0] > 1.7
    assert weights[1][3] - weights[1][0] < 0.9


def test_samples_have_the_events_of_each_step(frame, monkeypatch):
    X, Y = frame
    model = FSMDClassifier(**WITHOUT).fit(X, Y)
    rows, targets = model._encoder.encode(X), model._targets.encode(Y, None, CHAIN)
    n_categories, n_numbers = len(model._encoder.main.categories), rows.numbers.shape[1]
    width = n_categories + regression_columns.N_COSINES * n_numbers
    n_clicks, n_conversions = Y.sum()
    everything = sampled(model, rows, targets).of_steps
    assert [len(some) for some, _ in everything] == [300, 300]
    assert everything[0][0] is everything[1][0]  # so they are encoded once
    most = n_clicks + 20
    assert most < 300
    monkeypatch.setattr(regression_rows, "MOST_ENTRIES", width * most)
    for selected in (rows, rows.select(np.arange(len(X)))):
        (of_click, clicks), (of_conversion, conversions) = sampled(model, selected, targets).of_steps
        assert len(of_click) == most
        assert clicks.labels[:, 0].sum() == most // 2
        assert len(of_conversion) == n_clicks  # the step takes place after a click
        assert conversions.labels.sum(axis=0).tolist() == [n_clicks, n_conversions]
    always = model._targets.encode(Y.assign(conversion=Y["click"]), None, CHAIN)
    _, (_, conversions) = sampled(model, rows, always).of_steps  # of a single class
    assert len(regression.fit(model.module_, sampled(model, rows, always)).n_events) == 2
    assert conversions.labels[:, 1].all()
    never = model._targets.encode(Y * 0, None, CHAIN)
    assert [len(some) for some, _ in sampled(model, rows, never).of_steps] == [most, 0]
    assert not regression.fit(model.module_, sampled(model, rows, never)).n_events.any()


def test_a_regression_on_samples_has_the_weights_of_all_rows(monkeypatch):
    random = np.random.RandomState(0)
    X = pd.DataFrame({"x": random.normal(size=60_000), "z": random.normal(size=60_000)})
    p = expit(X["x"] - 3), expit(0.5 * X["z"] - 2)
    click = random.uniform(size=len(X)) < p[0]
    Y = pd.DataFrame({"click": click, "conversion": click & (random.uniform(size=len(X)) < p[1])}).astype(int)
    model = FSMDClassifier(**WITHOUT | {"numeric_bins": 0, "max_epochs": 1}).fit(X, Y)
    rows, targets = model._encoder.encode(X), model._targets.encode(Y, None, CHAIN)
    monkeypatch.setattr(regression_rows, "MOST_ENTRIES", 2 * 8000)
    found = regression.fit(model.module_, sampled(model, rows, targets))
    np.testing.assert_allclose(found.terms.numbers.T, [[1, 0], [0, 0.5]], atol=0.12)


def test_it_is_fitted_once_and_saved(frame, tmp_path):
    X, Y = frame
    model = FSMDClassifier(**SMALL, warm_start=True).fit(X, Y)
    shares, terms = model.network_shares_, model.module_.low_order.linear.categories.weight.clone()
    model.save(tmp_path / "model")
    for read in (FSMDClassifier.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(read.network_shares_, shares)
        np.testing.assert_array_equal(read.predict_marginals(X), model.predict_marginals(X))
        assert read.partial_fit(X[:50], Y[:50]).network_shares_ is not None
    model.set_params(lr=1e-9, max_epochs=1, average_decay=0.0).fit(X, Y)  # goes on from the average
    np.testing.assert_array_equal(model.network_shares_, shares)
    torch.testing.assert_close(model.module_.low_order.linear.categories.weight, terms)


def test_further_training_starts_from_the_mean(funnel):
    """The weights before averaging over the steps, which further training starts from, have the regression too."""
    (X, Y), (X_new, Y_new) = funnel
    model = FSMDClassifier(random_state=0).fit(X, Y)
    before = roc_auc_score(Y_new["click"], model.predict_marginals(X_new)[:, 0])
    after = roc_auc_score(Y_new["click"], model.partial_fit(X[:200], Y[:200]).predict_marginals(X_new)[:, 0])
    assert after > before - 0.02


@pytest.mark.parametrize("average_decay", [0.0, 0.9])
def test_the_weights_of_further_training_are_averaged_too(average_decay, frame, monkeypatch):
    """Their towers are multiplied by the share, and their first-order weights get the regression."""
    found, fold = [], regression_mean._fold

    def recording(network, regressions, of_network, of_regression):
        before = network.towers.output.weight.clone(), network.low_order.linear.numbers.clone()
        fold(network, regressions, of_network, of_regression)
        found.append(before)
        torch.testing.assert_close(network.towers.output.weight, before[0] * of_network[:, None, None])
        expected = before[1] * of_network + regressions.terms.numbers * of_regression
        torch.testing.assert_close(network.low_order.linear.numbers, expected)

    monkeypatch.setattr(regression_mean, "_fold", recording)
    FSMDClassifier(**SMALL | {"early_stopping": False, "average_decay": average_decay}).fit(*frame)
    assert len(found) == (2 if average_decay else 1)
    assert not average_decay or not torch.equal(found[0][0], found[1][0])


@pytest.mark.parametrize("cls", [FSMDClassifier, PLEClassifier])
def test_files_of_former_versions_have_none(cls, frame):
    model = cls(**supported(cls, WITHOUT)).fit(*frame)
    state = model.__getstate__()
    for name in ("logistic_regression", "adds_regressions"):
        del state["net_"]["spec"][name]
    state.pop("logistic_regression", None)
    read = cls()
    read.__setstate__(state)
    np.testing.assert_array_equal(read.predict_marginals(frame[0]), model.predict_marginals(frame[0]))
    assert read.network_shares_ is None
    assert np.isfinite(read.partial_fit(*frame).predict_marginals(frame[0])).all()


def test_partial_fit_begins_without(frame):
    assert FSMDClassifier(**SMALL).partial_fit(*frame).network_shares_ is None


def fits_of(monkeypatch):
    """A list of the rows of each regression that is fitted from now on, and of what is found."""
    found, fit = [], regression.fit

    def recording(network, rows):
        found.append((rows, fit(network, rows)))
        return found[-1][1]

    monkeypatch.setattr(corrections.regression, "fit", recording)
    return found


SPLIT = {**SMALL, "early_stopping": True, "validation": "last", "validation_fraction": 0.2}


@pytest.mark.parametrize("average_decay", [0.0, 0.9])
@pytest.mark.parametrize("n_members", [1, 2])
def test_rows_that_were_set_aside_are_learned_at_the_end(n_members, average_decay, funnel, monkeypatch):
    """The model is that with the regressions of the training rows, apart from the difference of the regressions."""
    (X, Y), (X_new, _) = funnel
    found = fits_of(monkeypatch)
    params = {**SPLIT, "average_decay": average_decay, "n_members": n_members, "target_statistics": None}
    model = FSMDClassifier(**params).fit(X, Y)
    (train, first), (everything, second) = found
    assert [len(some) for some, _ in train.of_steps + everything.of_steps] == [800, 800, 1000, 1000]
    np.testing.assert_array_equal(everything.of_steps[0][1].labels, Y)
    rows_of_fits = regression_rows.rows_of_fits
    monkeypatch.setattr(regression_rows, "rows_of_fits", lambda *data: rows_of_fits(*data)[:1])
    before = FSMDClassifier(**params).fit(X, Y)
    assert len(found) == 3
    np.testing.assert_array_equal(model.network_shares_, before.network_shares_)
    torch.testing.assert_close(model.module_.slopes, before.module_.slopes, atol=0, rtol=0)
    inputs = model._rows(X_new).tensors()
    change = (second.outputs(model.module_, *inputs) - first.outputs(model.module_, *inputs)).numpy()
    change *= (1 - model.network_shares_) * model.module_.slopes.numpy()
    assert change.std(axis=0).min() > 0.01
    difference = step_logits(model, X_new) - step_logits(before, X_new) - change  # that of the levels
    limit = 1e-4 if n_members == 1 else 0.01  # the mean of probabilities is not that of log-odds
    np.testing.assert_allclose(difference, np.broadcast_to(difference[0], difference.shape), atol=limit)
    np.testing.assert_allclose(model.predict_marginals(X[:800]).mean(axis=0), Y[:800].mean(), rtol=0.01)


def test_they_are_learned_with_their_bias_features_lists_and_weights(monkeypatch, rng):
    X, Y = make_frame(400)
    X = with_lists(X).assign(position=rng.randint(0, 5, 400).astype(str))
    weights = rng.uniform(1, 10, 400) * np.where(np.arange(400) < 320, 1, 5)
    found = fits_of(monkeypatch)
    FSMDClassifier(**SPLIT, bias_features=["position"], list_features=["seen"]).fit(X, Y, sample_weight=weights)
    rows, targets = found[1][0].of_steps[0]
    assert rows.bias is not None
    assert len(rows) == len(rows.bias) == len(rows.lists.columns[0].offsets) - 1 == 400
    np.testing.assert_allclose(targets.weights[:, 0], weights / weights[:320].mean(), rtol=1e-5)


def test_they_are_not_learned_where_they_are_needed_or_not_ours(funnel, monkeypatch):
    """With `warm_start`, the same rows validate further training; on those of `X_val` the user may evaluate."""
    (X, Y), (X_new, Y_new) = funnel
    found = fits_of(monkeypatch)
    FSMDClassifier(**SPLIT, warm_start=True).fit(X, Y)
    FSMDClassifier(**SPLIT).fit(X, Y, X_val=X_new[:100], Y_val=Y_new[:100])
    FSMDClassifier(**SPLIT | {"early_stopping": False}).fit(X, Y)
    assert [len(rows.of_steps[0][0]) for rows, _ in found] == [800, 1000, 1000]


def test_a_sample_of_both_has_their_shares(monkeypatch, funnel):
    (X, Y), _ = funnel
    found = fits_of(monkeypatch)
    monkeypatch.setattr(regression_rows, "most_rows", lambda *_: 100)
    FSMDClassifier(**SPLIT, logistic_regression=True).fit(X, Y)
    (rows, _), (everything, _) = found
    assert [len(some) for some, _ in rows.of_steps] == [len(some) for some, _ in everything.of_steps] == [100, 100]
    np.testing.assert_array_equal(everything.of_steps[0][1].labels[:80, 0].mean(), 0.5)
    np.testing.assert_array_equal(everything.of_steps[0][1].labels[80:, 0].mean(), 0.5)


def test_fit_dataset_learns_the_rows_that_it_has_set_aside(funnel, tmp_path, monkeypatch):
    (X, Y), _ = funnel
    found, weights = fits_of(monkeypatch), 1.0 + np.arange(len(X))
    X.join(Y).assign(weight=weights).to_parquet(tmp_path / "rows.parquet")
    FSMDClassifier(**SPLIT).fit(X, Y, sample_weight=weights)
    FSMDClassifier(**SPLIT).fit_dataset(tmp_path / "rows.parquet", list(Y), sample_weight="weight")
    for (of_table, _), (of_file, _) in zip(found[:2], found[2:], strict=True):
        for (rows, targets), (others, other_targets) in zip(of_table.of_steps, of_file.of_steps, strict=True):
            np.testing.assert_array_equal(others.codes, rows.codes)
            np.testing.assert_allclose(other_targets.weights, targets.weights, rtol=1e-5)
            assert others.numbers.shape == rows.numbers.shape  # without statistics of the targets
    others = {"validation": tmp_path / "others.parquet", "sample_weight": "weight"}
    X[:50].join(Y).assign(weight=1.0).to_parquet(others["validation"])
    FSMDClassifier(**SPLIT).fit_dataset(tmp_path / "rows.parquet", list(Y), **others)
    assert len(found) == 5


def test_fit_dataset_adds_them(frame, tmp_path, monkeypatch):
    X, Y = frame
    X = X[["price", "visits", "city"]]
    X.join(Y).to_parquet(tmp_path / "rows.parquet")
    targets = list(Y)
    model = FSMDClassifier(**SMALL).fit_dataset(tmp_path / "rows.parquet", targets)
    assert model.network_shares_ is not None
    alone = FSMDClassifier(**WITHOUT).fit_dataset(tmp_path / "rows.parquet", targets)
    assert abs(model.predict_marginals(X) - alone.predict_marginals(X)).max() > 0.01
    monkeypatch.setattr(sizes, "SAMPLE_ROWS", 100)
    assert FSMDClassifier(**SMALL).fit_dataset(tmp_path / "rows.parquet", targets).network_shares_ is None
    forced = FSMDClassifier(**SMALL, logistic_regression=True).fit_dataset(tmp_path / "rows.parquet", targets)
    assert forced.network_shares_ is not None


def test_the_bits_do_not_depend_on_the_number_of_threads(funnel):
    (X, Y), (X_new, _) = funnel
    params = supported(DeepFMClassifier, SMALL)
    one, two = (DeepFMClassifier(**params, n_threads=n).fit(X, Y).predict_marginals(X_new[:500]) for n in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(("n_known", "expected"), [(99_999, True), (100_000, False), (0, False)])
def test_few_known_values_are_few_events(n_known, expected):
    assert regression_rows.has_few_events(np.array([20_000, n_known]), n_steps=1) is expected


def test_known_values_are_counted():
    """The effective number of the values of all rows, of which these are a tenth."""
    values = Values(np.ones((6, 1), np.float32), np.array([[1.0], [1], [2], [0], [0], [0]]), [0])
    targets = Targets(np.ones((6, 1), np.float32), None, values)
    n_events = regression_rows.n_events_of(steps(60, 20), targets, n_training=60)
    np.testing.assert_allclose(n_events, [20, 10 * 4**2 / 6])


def test_a_sample_has_rows_with_known_values(monkeypatch):
    X, Y, _ = purchases(4000, 5, 0.5, 0)
    found = fits_of(monkeypatch)
    monkeypatch.setattr(regression_rows, "most_rows", lambda *_: 100)
    FSMDClassifier(**SPLIT | VALUES, logistic_regression=True).fit(X, Y)
    for rows, regressions in found:
        ((of_value, targets),) = rows.of_values
        assert len(of_value) == 100
        assert (targets.values.weights > 0).all()  # noqa: PD011
        assert regressions.n_events[2] == pytest.approx(Y["amount"][:3200].notna().sum())


def test_values_that_were_set_aside_are_learned_too(tmp_path, monkeypatch):
    X, Y, _ = purchases(1500, 5, 0.5, 0)
    found, weights = fits_of(monkeypatch), 1.0 + np.arange(len(X)) % 7
    X.join(Y).assign(weight=weights).to_parquet(tmp_path / "rows.parquet")
    FSMDClassifier(**SPLIT | VALUES).fit(X, Y, sample_weight=weights)
    FSMDClassifier(**SPLIT | VALUES).fit_dataset(tmp_path / "rows.parquet", list(Y), sample_weight="weight")
    counts = [int((rows.of_values[0][1].values.weights > 0).sum()) for rows, _ in found]  # noqa: PD011
    assert counts == [Y["amount"][:1200].notna().sum(), Y["amount"].notna().sum()] * 2
    (_, of_table), (_, of_file) = (rows.of_values[0] for rows, _ in (found[1], found[3]))
    np.testing.assert_allclose(of_file.values.weights, of_table.values.weights, rtol=1e-5)  # noqa: PD011
    of_amount = of_table.values.weights[:, 0] / weights  # noqa: PD011
    np.testing.assert_allclose(of_amount[of_amount > 0], of_amount.max(), rtol=1e-5)  # one unit for both parts
