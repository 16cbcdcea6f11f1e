"""Logistic regressions whose penalties are learned: each source of columns has its own."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge
from sklearn.metrics import log_loss

from sklearn_fsmd.training import ridge


def crossed(n, seed, deviations, n_values=100):
    """Rows with a value of each of several categories, whose weights have these standard deviations."""
    random = np.random.RandomState(seed)
    weights = [deviation * random.normal(size=n_values) for deviation in deviations]
    codes = random.randint(n_values, size=(n, len(deviations)))
    z = sum(w[codes[:, f]] for f, w in enumerate(weights)) - 1.0
    y = (random.uniform(size=n) < expit(z)).astype(int)
    columns = codes + n_values * np.arange(len(deviations))
    starts = np.arange(0, columns.size + 1, len(deviations))
    x = csr_matrix((np.ones(columns.size, np.float32), columns.ravel(), starts), shape=(n, n_values * len(deviations)))
    return x, y, np.repeat(np.arange(len(deviations)), n_values), np.concatenate(weights)


def predictions(x, fitted):
    coefficients, intercept = fitted
    return expit(x @ coefficients.astype(float) + intercept)


@pytest.fixture
def to_the_end(monkeypatch):
    """Fits that do not end where a further iteration gains little."""
    monkeypatch.setattr(ridge, "LEAST_GAIN", 1e-10)
    monkeypatch.setattr(ridge, "MAX_ITER_OF_UPDATE", 1000)
    monkeypatch.setattr(ridge, "MAX_ITER", 1000)


@pytest.mark.parametrize("family", ridge.FAMILIES)
def test_the_mean_is_the_derivative_of_the_loss(family):
    """Else the search for the smallest loss ends where it happens to be. Means above exp(30) are not told apart."""
    loss, mean = ridge.FAMILIES[family].loss, ridge.FAMILIES[family].mean
    z, y = np.array([-40.0, -3.0, 0.0, 2.5, 29.0, 31.0, 300.0]), 0.75
    step = 1e-5 * np.maximum(np.abs(z), 1)
    slopes = (loss(z + step, y) - loss(z - step, y)) / (2 * step)
    np.testing.assert_allclose(slopes, mean(z) - y, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("to_the_end")
@pytest.mark.parametrize("family", ["normal", "poisson"])
def test_regressions_of_values_are_those_of_scikit_learn(family, monkeypatch):
    """Without updates of the penalties, and with the spread of the values that was estimated last."""
    factors, scaled = [], ridge._Rows.scaled

    def recording(rows, weights, coefficients, n_known):
        result = scaled(rows, weights, coefficients, n_known)
        factors.append(weights[0] / result.weights[0])
        return result

    monkeypatch.setattr(ridge._Rows, "scaled", recording)
    monkeypatch.setattr(ridge, "_updated", lambda penalties, *_: penalties)
    x, _, sources, weights = crossed(500, 0, [0.5, 0.3], n_values=10)
    z = x @ weights
    y = np.random.RandomState(1).poisson(np.exp(z)).astype(float) if family == "poisson" else z + np.sin(np.arange(500))
    coefficients, intercept = ridge.fit_ridge(x, y, np.ones(500), sources, family)
    penalty = factors[-1] / ridge.VARIANCE
    peer = (
        PoissonRegressor(alpha=penalty / 500, tol=1e-10, max_iter=10_000)
        if family == "poisson"
        else Ridge(alpha=penalty, tol=1e-12)
    ).fit(x, y)
    np.testing.assert_allclose(coefficients, peer.coef_, atol=2e-3)
    np.testing.assert_allclose(intercept, peer.intercept_, atol=2e-3)


@pytest.mark.usefixtures("to_the_end")
def test_without_updates_it_is_the_regression_of_scikit_learn(monkeypatch):
    monkeypatch.setattr(ridge, "N_UPDATES", 0)
    x, y, sources, _ = crossed(2000, 0, [1.0, 0.3])
    weights = np.random.RandomState(0).randint(1, 4, size=2000)
    coefficients, intercept = ridge.fit_ridge(x, y, weights, sources)
    expected = LogisticRegression(C=ridge.VARIANCE, tol=1e-8, max_iter=1000).fit(x, y, sample_weight=weights)
    np.testing.assert_allclose(coefficients, expected.coef_[0], atol=2e-3)
    assert intercept == pytest.approx(expected.intercept_[0], abs=2e-3)


@pytest.mark.usefixtures("to_the_end")
def test_the_variances_are_those_of_mackay():
    """The reference updates with dense matrices."""
    x, y, sources, _ = crossed(3000, 1, [1.0, 0.5, 0.0], n_values=20)
    dense, variances = x.toarray().astype(float), np.full(3, 0.1)

    def refit():
        scales = np.sqrt(variances[sources])
        model = LogisticRegression(C=1.0, tol=1e-10, max_iter=5000).fit(dense * scales, y)
        return model.coef_[0] * scales, float(model.intercept_[0])

    for _ in range(ridge.N_UPDATES):
        w, intercept = refit()
        p = expit(dense @ w + intercept)
        posterior = 1 / ((dense**2 * (p * (1 - p))[:, None]).sum(axis=0) + 1 / variances[sources])
        for j in range(3):
            gamma = (1 - posterior[sources == j] / variances[j]).sum()
            variances[j] = ((w[sources == j] ** 2).sum() + 0.5 * 0.1) / (gamma + 0.5)
    expected = refit()
    found = ridge.fit_ridge(x, y, np.ones(len(y)), sources)
    np.testing.assert_allclose(found[0], expected[0], atol=0.01)
    assert found[1] == pytest.approx(expected[1], abs=0.01)
    assert variances[0] > 0.5
    assert variances[2] < 0.05


@pytest.mark.parametrize("deviations", [[1.0], [0.0, 1.0]])
def test_few_updates_find_the_variances_of_ids_with_few_rows(deviations, monkeypatch):
    """Four rows per id: with a single step per update their weights would have half of the right variance."""
    x, y, sources, _ = crossed(10_000, 0, deviations, n_values=2500)
    found, _ = ridge.fit_ridge(x, y, np.ones(len(y)), sources)
    monkeypatch.setattr(ridge, "N_UPDATES", 50)
    expected, _ = ridge.fit_ridge(x, y, np.ones(len(y)), sources)
    of_ids = sources == sources.max()
    assert found[of_ids].std() == pytest.approx(expected[of_ids].std(), rel=0.02)
    assert np.abs(found[~of_ids]).max(initial=0) < 0.05


@pytest.mark.parametrize("deviations", [[1.5, 0.0, 0.0, 0.0], [0.1, 0.1, 0.1], [0.7, 0.2]])
def test_no_single_penalty_predicts_new_rows_better(deviations):
    """The best of seven, chosen by the new rows themselves, gains less than 0.001."""
    x, y, sources, _ = crossed(22_000, 2, deviations)
    x, x_new, y, y_new = x[:2000], x[2000:], y[:2000], y[2000:]
    found = log_loss(y_new, predictions(x_new, ridge.fit_ridge(x, y, np.ones(2000), sources)))
    for C in (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0):
        single = LogisticRegression(C=C, max_iter=1000).fit(x, y)
        assert found < log_loss(y_new, single.predict_proba(x_new)[:, 1]) + 1e-3


def test_a_weight_is_a_repeated_row():
    x, y, sources, _ = crossed(1000, 3, [1.0, 0.0])
    counts = np.random.RandomState(0).randint(1, 4, size=1000)
    rows = np.repeat(np.arange(1000), counts)
    weighted = ridge.fit_ridge(x, y, counts.astype(float), sources)
    repeated = ridge.fit_ridge(x[rows], y[rows], np.ones(len(rows)), sources)
    np.testing.assert_allclose(weighted[0], repeated[0], atol=5e-3)


def test_frequent_and_rare_values_are_learned_equally_fast():
    """Values whose frequencies span four powers of ten, and the regression to the end, within 0.1 nats."""
    random = np.random.RandomState(4)
    n, shares = 100_000, np.logspace(0, -4, 40)
    codes = random.choice(40, size=(n, 5), p=shares / shares.sum())
    w = random.normal(size=(5, 40))
    y = (random.uniform(size=n) < expit(w[np.arange(5), codes].sum(axis=1))).astype(int)
    columns, starts = (codes + 40 * np.arange(5)).ravel(), np.arange(0, 5 * n + 1, 5)
    x = csr_matrix((np.ones(5 * n, np.float32), columns, starts), shape=(n, 200))
    rows = ridge._Rows(x, y, np.ones(n))
    start, penalties = np.zeros(201), np.full(200, 10.0)
    found = rows.most_probable(start, penalties, rows.precisions(start), ridge.MAX_ITER)
    expected = LogisticRegression(C=0.1, solver="newton-cholesky", tol=1e-8).fit(x.toarray().astype(float), y)

    def loss(coefficients, intercept):
        z = x @ coefficients + intercept
        return (np.logaddexp(0, z) - y * z).sum() + 10.0 * coefficients @ coefficients / 2

    least = loss(expected.coef_[0], expected.intercept_[0])
    assert least < loss(found[:-1], found[-1]) < least + 0.1


def test_rows_whose_classes_are_separable():
    """The learned variance has no limit; nothing overflows, and nothing is NaN."""
    x = np.random.RandomState(0).normal(size=(5000, 2)).astype(np.float32)
    y = (x[:, 0] > 0.3).astype(int)
    fitted = ridge.fit_ridge(csr_matrix(x), y, np.ones(5000), np.arange(2))
    assert ((predictions(csr_matrix(x), fitted) > 0.5) == y).mean() > 0.999
    assert np.isfinite([*fitted[0], fitted[1]]).all()


@pytest.mark.parametrize("n", [2, 5])
def test_few_rows(n):
    """Separable rows, and columns that no row has."""
    x = csr_matrix(np.eye(n, 4, dtype=np.float32))
    coefficients, intercept = ridge.fit_ridge(x, np.arange(n) % 2, np.ones(n), np.array([0, 0, 1, 3]))
    assert np.isfinite([*coefficients, intercept]).all()
    assert (coefficients[n:] == 0).all()
    assert np.abs(coefficients).max() < 3


def test_events_that_outweigh_all_others():
    """The mean label rounds to 1, whose log-odds are infinite."""
    x, y = csr_matrix(np.eye(4, dtype=np.float32)), np.array([0, 1, 0, 1])
    coefficients, intercept = ridge.fit_ridge(x, y, np.where(y == 1, 1e20, 1.0), np.zeros(4, dtype=int))
    assert np.isfinite(coefficients).all()
    assert 20 < intercept < 50
