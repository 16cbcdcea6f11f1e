"""The level of predictions (mean prediction / observed rate) is 1 over training and validation rows."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from sklearn_fsmd import FSClassifier, FSMDClassifier, MultiTaskClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.training import level_rows
from sklearn_fsmd.training.level import LabelledLogits, information, levels, shifts, undo_negative_sampling
from tests.conftest import SMALL, make_frame

ALL_ROWS = {"early_stopping": False, "target_statistics": None}


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("cls", [FSMDClassifier, FSClassifier])
def test_mean_predictions_equal_the_observed_rates(cls, batch_norm):
    X, Y = make_funnel(4000, random_state=0, return_X_y=True)
    model = cls(**SMALL | {"batch_norm": batch_norm, "max_epochs": 1}, **ALL_ROWS).fit(X, Y)
    np.testing.assert_allclose(model.predict_marginals(X).mean(axis=0), Y.mean(), rtol=1e-4)


def test_weights_and_missing_labels_count_as_in_the_loss():
    X, Y = make_frame(600)
    masked = Y.astype(float)
    masked.loc[::3, "click"] = np.nan
    weights = np.where(np.arange(600) % 2, 3.0, 1.0)
    model = FSClassifier(**SMALL, **ALL_ROWS).fit(X, masked, weights)
    known = masked["click"].notna().to_numpy()
    p = model.predict_marginals(X)[:, 0]
    expected = np.average(masked["click"][known], weights=weights[known])
    assert np.average(p[known], weights=weights[known]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("rate", [0.01, 0.003])
def test_rare_conversions_have_the_right_level(rate):
    X, Y = make_funnel(30_000, random_state=0, return_X_y=True)
    kept = np.random.RandomState(0).uniform(size=len(Y)) < rate / Y["conversion"].mean()
    rare = Y.assign(conversion=Y["conversion"] * kept)
    model = FSMDClassifier(max_epochs=2, expert_dims=(32,), random_state=0).fit(X, rare)
    ratio = model.predict_marginals(X).mean(axis=0) / rare.mean().to_numpy()
    assert (np.abs(ratio - 1) < 0.03).all()


def test_the_level_is_right_if_the_sample_has_too_few_events(monkeypatch):
    """Rates are computed from all training rows. The sample alone has a quarter fewer conversions."""
    X, Y = make_funnel(30_000, random_state=0, return_X_y=True)
    kept = np.random.RandomState(2).uniform(size=len(Y)) < 0.004 / Y["conversion"].mean()
    rare = Y.assign(conversion=Y["conversion"] * kept)
    monkeypatch.setattr(level_rows, "LEVEL_ROWS", 5000)
    in_sample = rare["conversion"].iloc[np.linspace(0, len(rare) - 1, 5000).astype(int)].mean()
    assert in_sample / rare["conversion"].mean() < 0.75
    model = FSMDClassifier(max_epochs=1, expert_dims=(32,), random_state=0, **ALL_ROWS).fit(X, rare)
    ratio = model.predict_marginals(X).mean(axis=0) / rare.mean().to_numpy()
    assert (np.abs(ratio - 1) < 0.04).all()


@pytest.mark.parametrize("n_members", [1, 2])
def test_with_a_bias_tower_predictions_for_rows_as_shown_have_the_rates(n_members):
    """Other predictions are for a good position, so they are higher than the observed rates."""
    X, Y = make_funnel(3000, position_bias=2.0, random_state=0, return_X_y=True)
    model = FSMDClassifier(**SMALL, **ALL_ROWS, n_members=n_members, bias_features=["position"]).fit(X, Y)
    as_shown = model._predictor.marginals(model._encoder.encode_shown(X), None)
    np.testing.assert_allclose(as_shown.mean(axis=0), Y.mean(), rtol=0.01)
    assert (model.predict_marginals(X).mean(axis=0) > 1.5 * Y.mean()).all()


def test_targets_without_a_bias_tower_have_the_observed_rates():
    X, Y = make_funnel(3000, position_bias=2.0, random_state=0, return_X_y=True)
    other = (np.random.RandomState(0).uniform(size=len(X)) < 0.3).astype(int)
    model = FSClassifier(**SMALL, **ALL_ROWS, bias_features=["position"]).fit(X, Y.assign(other=other))
    p = model.predict_marginals(X).mean(axis=0)
    np.testing.assert_allclose(p[1:], [Y["conversion"].mean(), other.mean()], rtol=1e-3)


def test_value_targets_are_corrected_with_a_bias_tower():
    X, Y = make_funnel(3000, watch_time=True, position_bias=2.0, random_state=0, return_X_y=True)
    params = {"value_targets": ["watch_seconds"], "value_parents": {"watch_seconds": "click"}}
    model = FSMDClassifier(**SMALL, **ALL_ROWS, **params, bias_features=["position"]).fit(X, Y)
    clicked = Y["click"] == 1
    expected = model.predict_values(X, conditional=True)[clicked, 0]
    assert expected.mean() == pytest.approx(Y["watch_seconds"][clicked].mean(), rel=0.02)


@pytest.mark.parametrize("loss", ["likelihood", "both", "entire_space"])
@pytest.mark.parametrize("streamed", [False, True])
def test_late_conversions_do_not_lower_the_level(loss, streamed, tmp_path):
    """Labels of conversions are missing after some clicks, and known to be 0 without a click."""
    X, Y = make_funnel(6000, random_state=0, return_X_y=True)
    late = Y.astype(float)
    late.loc[np.random.RandomState(0).uniform(size=len(Y)) < 0.6, "conversion"] = np.nan
    params = SMALL | {"max_epochs": 3, "lr": 0.01, "chain_loss": loss, "logistic_regression": False}
    model = FSMDClassifier(**params, **ALL_ROWS)
    if streamed:
        X.join(late).to_parquet(tmp_path / "log.parquet")
        model.fit_dataset(tmp_path / "log.parquet", list(Y))
    else:
        model.fit(X, late)
    expected = Y["click"].mean() * late["conversion"][late["click"] == 1].mean()
    assert model.predict_marginals(X)[:, 1].mean() == pytest.approx(expected, rel=0.04)


@pytest.mark.parametrize("weight", [3, 20])
def test_with_sample_weights_the_level_follows_the_weighted_rate(weight):
    X, Y = make_funnel(6000, random_state=0, return_X_y=True)
    weights = np.ones((len(Y), 2))
    weights[:, 1] = np.where(Y["conversion"] == 1, weight, 1)
    model = FSMDClassifier(**SMALL | {"max_epochs": 3}, **ALL_ROWS).fit(X, Y, sample_weight=weights)
    clicked = (Y["click"] == 1).to_numpy()
    p, weights = model.predict_conditionals(X)[clicked, 1], weights[clicked, 1]
    rate = np.average(Y["conversion"][clicked], weights=weights)
    assert np.average(p, weights=weights) == pytest.approx(rate, rel=0.05)
    assert p.std() > 0.01


def test_labels_missing_for_one_kind_of_rows_do_not_bias_predictions():
    """Conversions of one shop are known ten times as often as those of another, which has fewer."""
    random = np.random.RandomState(0)
    shop = random.uniform(size=6000) < 0.5
    X = pd.DataFrame({"kind": np.where(shop, "shop", "app")})
    click = random.uniform(size=6000) < 0.5
    conversion = click & (random.uniform(size=6000) < np.where(shop, 0.4, 0.05))
    Y = pd.DataFrame({"click": click, "conversion": conversion}).astype(float)
    Y.loc[click & (random.uniform(size=6000) > np.where(shop, 0.9, 0.1)), "conversion"] = np.nan
    model = FSMDClassifier(**SMALL | {"max_epochs": 6, "lr": 0.01, "dropout": 0.0}, **ALL_ROWS).fit(X, Y)
    predicted = model.predict_conditionals(pd.DataFrame({"kind": ["shop", "app"]}))[:, 1]
    np.testing.assert_allclose(predicted, [0.4, 0.05], atol=0.06)


def test_true_probabilities_need_no_shift_wherever_labels_are_missing():
    random = np.random.RandomState(0)
    logits = random.normal((0.0, -1.0), (0.5, 1.5), (40_000, 2))
    labels = (random.uniform(size=logits.shape) < 1 / (1 + np.exp(-logits))).astype(float)
    labels[:, 1] *= labels[:, 0]
    weights = np.ones(labels.shape)
    weights[(labels[:, 0] == 1) & (random.uniform(size=40_000) < np.where(logits[:, 1] > -1, 0.1, 0.9)), 1] = 0
    np.testing.assert_allclose(levels((None, 0), logits, labels, weights), 0, atol=0.08)


def test_true_probabilities_need_no_shift_if_heavy_rows_have_late_labels():
    random = np.random.RandomState(0)
    heavy = random.uniform(size=(40_000)) < 0.3
    logits = np.stack([np.zeros(40_000), np.where(heavy, 0.4, -2.2)], axis=1)
    labels = (random.uniform(size=logits.shape) < 1 / (1 + np.exp(-logits))).astype(float)
    labels[:, 1] *= labels[:, 0]
    weights = np.repeat(np.where(heavy, 10.0, 1.0)[:, None], 2, axis=1)
    np.testing.assert_allclose(levels((None, 0), logits, labels, weights), 0, atol=0.05)
    weights[(labels[:, 0] == 1) & (random.uniform(size=40_000) < 0.7), 1] = 0
    np.testing.assert_allclose(levels((None, 0), logits, labels, weights), 0, atol=0.08)
    weights[:, 1] = 1
    weights[random.uniform(size=40_000) < np.where(heavy, 0.8, 0.1), 0] = 0  # unknown clicks
    np.testing.assert_allclose(levels((None, 0), logits, labels, weights), 0, atol=0.08)


def test_partial_fit_does_not_set_the_level_by_its_chunk():
    """Ten rows, nine of them with a click, do not raise all predictions."""
    X, Y = make_frame(600)
    model = FSClassifier(**SMALL, **ALL_ROWS).fit(X, Y)
    before = model.predict_marginals(X).mean(axis=0)
    clicked = np.flatnonzero(Y["click"] == 1)[:9].tolist() + np.flatnonzero(Y["click"] == 0)[:1].tolist()
    model.partial_fit(X.iloc[clicked], Y.iloc[clicked])
    assert np.abs(model.predict_marginals(X).mean(axis=0) - before).max() < 0.1


def test_partial_fit_starts_at_the_level_of_the_fit():
    X, Y = make_frame(600)
    later = np.arange(600) >= 540
    Y.loc[later, "click"] = 1  # so the level is a compromise between these rows and the others
    params = SMALL | {"lr": 1e-12, "early_stopping": True, "batch_norm": False}
    model = FSMDClassifier(**params, validation="last").fit(X, Y)
    before = model.predict_marginals(X).mean(axis=0)
    for _ in range(60):
        model.partial_fit(X[:100], Y[:100])
    np.testing.assert_allclose(model.predict_marginals(X).mean(axis=0), before, rtol=0.02)


def test_steps_without_information_are_not_shifted():
    logits, labels = np.random.RandomState(0).normal(size=(50, 3)), np.zeros((50, 3))
    labels[:20, 0] = 1
    found = levels((None, 0, 1), logits, labels, None)
    assert found[0] != 0
    assert found[1:].tolist() == [0.0, 0.0]
    weights = np.ones((50, 3))
    weights[:, 0] = 0
    assert levels((None, 0, 1), logits, labels, weights).tolist() == [0.0, 0.0, 0.0]


def test_an_ensemble_has_the_observed_rates(frame):
    X, Y = frame
    model = MultiTaskClassifier(**SMALL, **ALL_ROWS, n_members=3, link="independent").fit(X, Y)
    np.testing.assert_allclose(model.predict_marginals(X).mean(axis=0), Y.mean(), rtol=0.002)


def test_an_ensemble_of_different_members_has_the_observed_rates():
    X, Y = make_funnel(700, random_state=0, return_X_y=True)
    small = {"max_epochs": 1, "early_stopping": False, "expert_dims": (8,), "tower_dims": (4,), "random_state": 0}
    model = FSMDClassifier(n_members=3, target_statistics=None, **small).fit(X, Y)
    np.testing.assert_allclose(model.predict_marginals(X).mean(axis=0), Y.mean(), rtol=0.002)


@pytest.mark.parametrize("streamed", [False, True], ids=["table", "data set"])
def test_a_pair_of_features_that_identifies_rows_does_not_bias_the_level(streamed):
    """The rate of the pair is the label of the training row itself. Its use made predicted clicks twice too high."""
    random = np.random.RandomState(1)

    def rows(n):
        X = pd.DataFrame({"user": random.randint(1500, size=n).astype(str), "item": random.randint(400, size=n)})
        X = X.astype({"item": "str"}).assign(x=random.normal(size=n))
        click = random.uniform(size=n) < 1 / (1 + np.exp(1 - X["x"]))
        return X, pd.DataFrame({"click": click, "conversion": click & (random.uniform(size=n) < 0.3)}).astype(int)

    (X, Y), (later, outcomes) = rows(6000), rows(20_000)
    small = {"max_epochs": 2, "batch_size": 128, "expert_dims": (32, 16), "tower_dims": (8,), "random_state": 0}
    model = FSMDClassifier(statistics_features=["user", ("user", "item")], **small)
    if streamed:
        model.fit_dataset(lambda: iter([X.join(Y)]), ["click", "conversion"])
    else:
        model.fit(X, Y)
    np.testing.assert_allclose(model.predict_marginals(later).mean(axis=0), outcomes.mean(), rtol=0.2)


def test_validation_rows_affect_the_level():
    """The level is midway between two days that have enough rows to differ significantly."""
    X, Y = make_funnel(12_000, random_state=0, return_X_y=True)
    clicked = np.flatnonzero(Y["click"] == 1)
    later = np.delete(np.arange(4000), clicked[clicked < 4000][::4])  # days with fewer clicks
    parts = X[4000:], Y[4000:], X.iloc[later], Y.iloc[later]
    model = FSMDClassifier(max_epochs=2, expert_dims=(32,), random_state=0)
    model.fit(*parts[:2], X_val=parts[2], Y_val=parts[3])
    ratios = [model.predict_marginals(x).mean(axis=0)[0] / y["click"].mean() for x, y in (parts[:2], parts[2:])]
    assert 0.9 < ratios[0] < 0.97 < 1.03 < ratios[1]
    assert np.sqrt(ratios[0] * ratios[1]) == pytest.approx(1, abs=0.06)


def test_validation_rows_with_few_events_affect_the_level_little():
    random = np.random.RandomState(0)

    def drawn(n, rates, weights=None):
        labels = random.uniform(size=(n, 2)) < rates
        labels[:, 1] &= labels[:, 0]
        return LabelledLogits(np.zeros((n, 2), np.float32), labels.astype(np.float32), weights)

    parents, train = (None, 0), drawn(100_000, (0.3, 0.02))
    train_only = shifts(parents, train, None)
    np.testing.assert_allclose(train_only, np.log([0.3 / 0.7, 0.02 / 0.98]), atol=0.1)
    many, few = drawn(100_000, (0.4, 0.04)), drawn(1000, (0.4, 0.04))
    np.testing.assert_allclose(shifts(parents, train, many), (train_only + levels(parents, *many)) / 2, atol=0.1)
    assert abs(shifts(parents, train, few)[1] - train_only[1]) < 0.02
    np.testing.assert_allclose(information(parents, many), 100_000 * np.array([0.24, 0.4 * 0.04 * 0.96]), rtol=0.05)
    doubled = many._replace(weights=np.full((100_000, 2), 2.0))
    np.testing.assert_allclose(information(parents, doubled), information(parents, many))
    nothing = many._replace(labels=np.zeros_like(many.labels))
    np.testing.assert_array_equal(shifts(parents, nothing, many), [0, 0])
    np.testing.assert_allclose(shifts(parents, train, nothing), train_only)


def test_clicks_with_weight_0_give_no_information_about_conversions():
    labels = np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    weights = np.ones(labels.shape)
    weights[:, 0] = 0
    assert information((None, 0), LabelledLogits(np.zeros(labels.shape), labels, weights)).tolist() == [0.0, 0.0]


def test_the_level_of_a_downsampled_log_is_that_of_the_whole_log(rng):
    """The correction for sampling lowers the mean of overconfident log-odds, so the level is set after it."""
    n, sampling_rate = 20_000, 0.1
    z = rng.normal(size=n)
    labels = (rng.uniform(size=n) < expit(z))[:, None].astype(np.float32)
    rows = LabelledLogits(4 * z[:, None], labels, None, labels.mean(axis=0, dtype=np.float64))
    rows_represented = np.where(labels[:, 0] == 1, 1.0, 1 / sampling_rate)  # rows of the whole log
    rate = np.average(labels[:, 0], weights=rows_represented)

    def mean_after(shift):
        return np.average(expit(4 * z + shift + np.log(sampling_rate)), weights=rows_represented)

    assert mean_after(shifts([None], undo_negative_sampling(rows, [None], sampling_rate))[0]) == pytest.approx(
        rate, rel=1e-3
    )
    assert abs(mean_after(shifts([None], rows)[0]) / rate - 1) > 0.1
    assert undo_negative_sampling(rows, [None], 1.0) is rows


def test_a_fit_on_a_downsampled_log_has_the_level_of_the_whole_log():
    X, Y = make_funnel(12_000, random_state=0, return_X_y=True)
    sampled = (Y["click"] == 1) | (np.arange(len(Y)) % 5 == 0)
    model = FSMDClassifier(**SMALL | {"max_epochs": 10, "lr": 0.01}, **ALL_ROWS, negative_sampling_rate=0.2)
    p = model.fit(X[sampled], Y[sampled]).predict_marginals(X)
    weights = np.where(Y["click"] == 1, 1.0, 5.0)[sampled]
    np.testing.assert_allclose(
        np.average(p[sampled], axis=0, weights=weights), np.average(Y[sampled], axis=0, weights=weights), rtol=0.01
    )


def test_late_labels_in_the_middle_of_a_chain_do_not_shift_predictions():
    """For 90 % of the clicks the labels of all later steps are unknown; without a click they are known."""
    random = np.random.RandomState(0)
    n, high = 400_000, np.arange(400_000) % 2 == 0
    logits = np.stack([np.where(high, 3.0, -3.0), np.zeros(n), np.where(high, 1.5, -1.5), np.zeros(n)], axis=1)
    labels = np.cumprod(random.uniform(size=logits.shape) < expit(logits), axis=1).astype(float)
    weights = np.ones(labels.shape)
    weights[(labels[:, 0] == 1) & (random.uniform(size=n) > 0.1), 1:] = 0
    chain = (None, 0, 1, 2)
    assert np.abs(levels(chain, logits, labels, None)).max() < 0.03
    assert np.abs(levels(chain, logits, labels, weights)).max() < 0.06
    off = logits + np.array([0, 0, 0.5, 0])
    np.testing.assert_allclose(levels(chain, off, labels, weights), [0, 0, -0.5, 0], atol=0.06)
