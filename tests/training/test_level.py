"""The level of predictions: their mean over rows of training is the rate there."""

import numpy as np
import pytest

from sklearn_fsmd import FSClassifier, FSMDClassifier, MultiTaskClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.training import Net
from sklearn_fsmd.training.level import levels
from tests.conftest import SMALL, make_frame

ALL_ROWS = {"early_stopping": False, "target_statistics": None}


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("cls", [FSMDClassifier, FSClassifier])
def test_mean_predictions_are_the_rates(cls, batch_norm):
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
def test_where_conversions_are_rare(rate):
    X, Y = make_funnel(30_000, random_state=0, return_X_y=True)
    kept = np.random.RandomState(0).uniform(size=len(Y)) < rate / Y["conversion"].mean()
    rare = Y.assign(conversion=Y["conversion"] * kept)
    model = FSMDClassifier(max_epochs=2, expert_dims=(32,), random_state=0).fit(X, rare)
    ratio = model.predict_marginals(X).mean(axis=0) / rare.mean().to_numpy()
    assert (np.abs(ratio - 1) < 0.03).all()


def test_a_tower_for_the_bias_has_a_level_of_its_own(frame, monkeypatch):
    """Its neutral level is above that of the log, and is not brought down."""
    X, Y = frame
    biased = FSMDClassifier(**SMALL, bias_features=["visits"]).fit(X, Y).predict_marginals(X)
    monkeypatch.setattr(Net, "set_level", lambda self, data: 1 / 0)
    again = FSMDClassifier(**SMALL, bias_features=["visits"]).fit(X, Y).predict_marginals(X)
    np.testing.assert_array_equal(again, biased)


def test_a_chunk_is_no_measure_of_the_level():
    """Ten rows of clicks do not make clicks of all rows."""
    X, Y = make_frame(600)
    model = FSClassifier(**SMALL, **ALL_ROWS).fit(X, Y)
    before = model.predict_marginals(X).mean(axis=0)
    clicked = np.flatnonzero(Y["click"] == 1)[:9].tolist() + np.flatnonzero(Y["click"] == 0)[:1].tolist()
    model.partial_fit(X.iloc[clicked], Y.iloc[clicked])
    assert np.abs(model.predict_marginals(X).mean(axis=0) - before).max() < 0.1


def test_levels_of_steps_that_say_nothing_stay():
    logits, labels = np.random.RandomState(0).normal(size=(50, 3)), np.zeros((50, 3))
    labels[:20, 0] = 1
    found = levels((None, 0, 1), logits, labels, None)
    assert found[0] != 0
    assert found[1:].tolist() == [0.0, 0.0]
    weights = np.ones((50, 3))
    weights[:, 0] = 0
    assert levels((None, 0, 1), logits, labels, weights).tolist() == [0.0, 0.0, 0.0]


def test_members_share_the_level(frame):
    X, Y = frame
    model = MultiTaskClassifier(**SMALL, **ALL_ROWS, n_members=3, link="independent").fit(X, Y)
    np.testing.assert_allclose(model.predict_marginals(X).mean(axis=0), Y.mean(), rtol=0.02)
