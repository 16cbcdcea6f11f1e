"""The slope of predictions: log-odds are scaled by the labels of validation rows."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit

from sklearn_fsmd import FSClassifier, FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.network import MultiTaskNetwork
from sklearn_fsmd.training import corrections, member_logits, net
from sklearn_fsmd.training.level import LabelledLogits
from sklearn_fsmd.training.slope import STEEPEST, set_slopes, slope_factors, slope_of
from tests.conftest import SMALL

QUICK = {**SMALL, "max_epochs": 5, "lr": 0.01, "random_state": 0}


def drawn(slope, n=20_000, center=-1.0, seed=0):
    """Log-odds z, and labels with the log-odds ``center + slope · z``."""
    random = np.random.RandomState(seed)
    z = random.normal(size=n)
    return z, (random.uniform(size=n) < expit(center + slope * z)).astype(float)


def later(Y, share=0.5):
    """Labels of other days: a share of them is random, so a network trained on the first days is overconfident."""
    random = np.random.RandomState(0)
    rows = np.where(random.uniform(size=len(Y)) < share, random.permutation(len(Y)), np.arange(len(Y)))
    return Y.iloc[rows].set_axis(Y.index)


@pytest.fixture(scope="module")
def data():
    X, Y = make_funnel(14_000, random_state=0, return_X_y=True)
    Y = pd.concat([Y[:3000], later(Y[3000:4000]), later(Y[4000:])])
    return (X[:3000], Y[:3000]), (X[3000:4000], Y[3000:4000]), (X[4000:], Y[4000:])


def log_loss(y, p):
    p = p.astype(float)
    return -np.mean(np.log(np.where(y == 1, p, 1 - p)))


@pytest.mark.parametrize("slope", [0.4, 1.0, 1.8])
def test_it_is_that_of_the_labels_whatever_the_level(slope):
    z, y = drawn(slope)
    assert slope_of(z, np.full(len(z), 3.0), y, np.ones(len(z))) == pytest.approx(slope, rel=0.06)


def test_it_is_the_most_probable_one():
    """The optimum of likelihood and prior."""
    z, y = drawn(0.5, n=300)
    w = np.random.RandomState(1).uniform(0.5, 2, size=300)
    found = slope_of(z, np.zeros(300), y, w, spread=0.2)

    def objective(slope):
        level = np.linspace(-2, 0, 4001)[:, None]
        losses = w * (np.logaddexp(0, level + slope * z) - y * (level + slope * z))
        return losses.sum(axis=1).min() + np.log(slope) ** 2 / (2 * 0.2**2)

    around = found * np.array([0.98, 1.0, 1.02])
    values = [objective(slope) for slope in around]
    assert values[1] < min(values[0], values[2])


def test_few_rows_move_it_little():
    few = [slope_of(*(x[:n] for x in (z, np.zeros(n), y, np.ones(n)))) for z, y in [drawn(0.3)] for n in (10, 20_000)]
    assert 0.6 < few[0] < 1.1
    assert few[1] == pytest.approx(0.3, abs=0.03)


def test_no_slope_is_steeper_than_the_limit():
    z = np.linspace(-0.1, 0.1, 1000)
    assert slope_of(z, np.zeros(1000), (z > 0).astype(float), np.full(1000, 1e4)) == pytest.approx(STEEPEST)
    assert slope_of(100 * z, np.zeros(1000), (z < 0).astype(float), np.full(1000, 1e4)) == pytest.approx(1 / STEEPEST)


def test_what_predictions_are_multiplied_with_already_is_part_of_it():
    z, y = drawn(0.4, n=300)
    rest, w = np.zeros(300), np.ones(300)
    whole = slope_of(z, rest, y, w)
    assert slope_of(0.5 * z, rest, y, w, before=0.5) == pytest.approx(2 * whole, rel=1e-4)
    assert slope_of(whole * z, rest, y, w, before=whole) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("scale", [0.0, 1e3, 1e9, 1e30])
def test_log_odds_of_any_size(scale):
    z, y = drawn(1.0, n=400)
    assert 1 / STEEPEST <= slope_of(scale * z, np.zeros(400), y, np.ones(400)) <= STEEPEST


def factors(parents, logits, labels, weights=None, rates=None, bias_logits=None, train=None):
    """Slope factors by these validation rows, which are also the training rows unless `train` is given."""
    valid = LabelledLogits(logits, labels, weights)
    rates = np.full(len(parents), 0.5) if rates is None else rates
    bias_logits = np.zeros(logits.shape) if bias_logits is None else bias_logits
    return slope_factors(parents, valid if train is None else train, valid, bias_logits, rates, np.ones(len(parents)))


def test_only_rows_where_the_step_took_place_and_is_known_tell_of_it():
    z, y = drawn(0.5)
    other, steps = drawn(1.5, seed=1)
    logits, labels, weights = np.stack([z, other], axis=1), np.stack([y, y * steps], axis=1), np.ones((len(y), 2))
    weights[1::2, 1] = 0
    found = factors((None, 0), logits, labels, weights)
    np.testing.assert_allclose(found, [0.5, 1.5], rtol=0.1)
    labels[1::2, 1] = 1 - labels[1::2, 1]  # whatever is written where nothing counts
    np.testing.assert_array_equal(factors((None, 0), logits, labels, weights), found)


def test_a_step_of_one_class_keeps_its_slope():
    z, y = drawn(0.5)
    logits, labels = np.stack([z, z], axis=1), np.stack([y, 0 * y], axis=1)
    first, second = factors((None, None), logits, labels)
    assert first < 0.6
    assert second == 1
    np.testing.assert_array_equal(factors((None, None), logits, labels, rates=np.array([0.0, 0.1])), 1)
    nothing_clicked = LabelledLogits(logits, 0 * labels, None)  # so the level of the second step could not be set
    assert factors((None, 0), logits, np.stack([y, y], axis=1) * (z > 0)[:, None], train=nothing_clicked)[1] == 1


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("cls", [FSMDClassifier, FSClassifier])
def test_new_rows_are_predicted_better_in_the_same_order(cls, n_members, data, monkeypatch):
    train, valid, (X, Y) = data
    options = {"X_val": valid[0], "Y_val": valid[1]}
    overconfident = {**QUICK, "statistics_features": ["user_id", "item_id"], "n_members": n_members}
    model = cls(**overconfident).fit(*train, **options)
    monkeypatch.setattr(corrections, "set_slopes", lambda *given: None)
    as_trained = cls(**overconfident).fit(*train, **options)
    assert (model.module_.slopes < 0.9).all()
    np.testing.assert_array_equal(as_trained.module_.slopes, 1)
    p, before = model.predict_marginals(X), as_trained.predict_marginals(X)
    for k, name in enumerate(Y):
        assert log_loss(Y[name], p[:, k]) < log_loss(Y[name], before[:, k]) - 0.003
    if n_members == 1:
        assert (np.diff(p[np.argsort(before[:, 0]), 0]) > -1e-6).all()
    of_train = model.predict_marginals(train[0]).mean(axis=0), as_trained.predict_marginals(train[0]).mean(axis=0)
    np.testing.assert_allclose(*of_train, rtol=0.02)  # the level is set afterwards


def test_without_validation_rows_predictions_are_as_trained(data):
    model = FSMDClassifier(**SMALL | {"early_stopping": False}).fit(*data[0])
    np.testing.assert_array_equal(model.module_.slopes, 1)


def test_further_training_keeps_it_and_pickles_and_files_have_it(data, tmp_path):
    train, valid, (X, Y) = data
    model = FSMDClassifier(**QUICK).fit(*train, X_val=valid[0], Y_val=valid[1])
    slopes = model.module_.slopes.clone()
    model.save(tmp_path / "model")
    for read in (FSMDClassifier.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(read.predict_marginals(X), model.predict_marginals(X))
    model.partial_fit(X[:500], Y[:500])
    np.testing.assert_array_equal(model.module_.slopes, slopes)


def test_training_that_goes_on_and_learns_nothing_changes_nothing(data):
    """However often the same rows are fitted. Without batch norm, whose statistics change with each batch."""
    train, valid, _ = data
    model = FSMDClassifier(**QUICK, average_decay=0.0, batch_norm=False).fit(*train, X_val=valid[0], Y_val=valid[1])
    slopes = model.module_.slopes.clone()
    assert (slopes - 1).abs().max() > 0.05
    model.set_params(warm_start=True, max_epochs=1, lr=1e-9)
    for _ in range(3):
        model.fit(*train, X_val=valid[0], Y_val=valid[1])
    np.testing.assert_allclose(model.module_.slopes, slopes, rtol=0.01)
    rates = train[1].mean().to_numpy()
    np.testing.assert_allclose(model.predict_marginals(train[0]).mean(axis=0), rates, rtol=0.05)


def test_training_that_goes_on_has_its_level(data):
    """The shift of a bias is multiplied by the former slopes."""
    train = data[0]
    model = FSMDClassifier(**QUICK, warm_start=True, target_statistics=None)  # which would tell rows their own labels
    for _ in range(3):
        model.fit(*train, X_val=train[0], Y_val=train[1])
    assert np.abs(model.module_.slopes.numpy() - 1).max() > 0.05
    rates = train[1].mean().to_numpy()
    np.testing.assert_allclose(model.predict_marginals(train[0]).mean(axis=0), rates, rtol=1e-3)


def test_files_of_before_have_none(tmp_path):
    X, Y = make_funnel(1500, watch_time=True, random_state=0, return_X_y=True)
    values = {"value_targets": ["watch_seconds"], "value_parents": {"watch_seconds": "click"}}
    model = FSMDClassifier(**SMALL | {"early_stopping": False}, **values).fit(X, Y)
    state = model.__getstate__()
    assert "slopes" in state["net_"]["weights"]
    del state["net_"]["weights"]["slopes"]
    read = FSMDClassifier()
    read.__setstate__(state)
    np.testing.assert_array_equal(read.predict_marginals(X), model.predict_marginals(X))


def test_a_row_alone_is_predicted_as_among_others_and_in_an_exported_file(data, tmp_path):
    ort = pytest.importorskip("onnxruntime")
    from sklearn_fsmd.export import to_onnx

    train, valid, (X, _) = data
    X = X[["price", "user_id"]]
    narrow = [part[0][["price", "user_id"]] for part in (train, valid)]
    model = FSMDClassifier(**QUICK, n_members=2).fit(narrow[0], train[1], X_val=narrow[1], Y_val=valid[1])
    assert not (model.module_.slopes == 1).any()
    to_onnx(model, tmp_path / "model.onnx")
    inputs = {"price": X["price"].to_numpy(), "user_id": X["user_id"].astype(str).to_numpy(object)}
    session = ort.InferenceSession(tmp_path / "model.onnx")
    feed = {i.name: X[i.name].to_numpy() if "string" not in i.type else inputs[i.name] for i in session.get_inputs()}
    p = model.predict_marginals(X)
    np.testing.assert_allclose(session.run(["marginals"], feed)[0], p, rtol=1e-4)
    np.testing.assert_allclose(model.predict_marginals(X[:1]), p[:1], rtol=1e-5)


def test_what_positions_add_keeps_its_size():
    """The slope of the items is 0.5, and that of the positions 1."""
    random = np.random.RandomState(0)
    items, positions = random.normal(size=(2, 40_000, 1))
    y = (random.uniform(size=(40_000, 1)) < expit(0.5 * items + positions)).astype(float)
    assert factors((None,), items + positions, y, bias_logits=positions) == pytest.approx(0.5, abs=0.03)
    assert factors((None,), items + positions, y) > 0.7


@pytest.mark.parametrize("n_members", [1, 3])
def test_beside_a_tower_for_the_bias_it_is_the_slope_of_items(n_members, monkeypatch):
    found = []

    def noted(network, parts, bias_logits, rates):
        before = parts[1].outputs - bias_logits
        set_slopes(network, parts, bias_logits, rates)
        found.append((network, bias_logits, before))

    monkeypatch.setattr(corrections, "set_slopes", noted)
    X, Y = make_funnel(4000, position_bias=2.0, random_state=0, return_X_y=True)
    params = {**QUICK, "n_members": n_members, "bias_features": ["position"]}
    model = FSMDClassifier(**params).fit(X[:3000], Y[:3000], X_val=X[3000:], Y_val=later(Y[3000:]))
    (network, bias_logits, before), *more = found
    assert not more
    assert bias_logits[:, 0].std() > 0.1
    assert (network.slopes != 1).all()
    if n_members == 1:
        expected = before * network.slopes + bias_logits
        logits = model._predictor.logits(model._encoder.encode_shown(X[3000:]), None)
        shift = logits - expected.numpy()  # the level, which is set afterwards
        np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), atol=1e-4)
    as_shown = model._predictor.marginals(model._encoder.encode_shown(X[:3000]), None)
    np.testing.assert_allclose(as_shown.mean(axis=0), Y[:3000].mean(), rtol=0.08)


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("bias_features", [None, ["position"]])
def test_members_that_were_asked_once_say_what_the_network_would(n_members, bias_features, monkeypatch):
    """After the slopes, and after each level."""
    asked, moved, calls, of_members = [], [], [], MultiTaskNetwork.logits_of_members

    def counted(*given):
        calls.append(given)
        return of_members(*given)

    class Noted(member_logits.MemberLogits):
        def __init__(self, *given):
            super().__init__(*given)
            asked.append(len(self.rows))

        def outputs(self, **how):
            before = len(calls)
            outputs = super().outputs(**how)
            assert len(calls) == before  # no member is asked again
            return outputs

        def shift(self, added):
            super().shift(added)
            expected = self.network(*self.rows.inputs)
            torch.testing.assert_close(self.outputs(), expected, rtol=1e-4, atol=1e-5)
            moved.append(float(added.abs().max()))

    monkeypatch.setattr(net, "MemberLogits", Noted)
    monkeypatch.setattr(MultiTaskNetwork, "logits_of_members", counted)
    X, Y = make_funnel(8000, watch_time=True, position_bias=2.0, random_state=0, return_X_y=True)
    of_values = {"value_targets": ["watch_seconds"], "value_parents": {"watch_seconds": "click"}}
    model = FSMDClassifier(**QUICK, **of_values, n_members=n_members, bias_features=bias_features)
    model.fit(X[:3000], Y[:3000], X_val=X[3000:], Y_val=Y[3000:])
    assert len(asked) == 2 * len(model.history_) + 3  # two checks per epoch; training, validation and rows with values
    assert asked[:-3] == [5000] * (len(asked) - 3)
    assert len(moved) == 2 * (corrections.N_ENSEMBLE_ITERATIONS if n_members > 1 else 1)
    assert moved[0] > 1e-3
    assert calls
    assert (model.module_.slopes != 1).any()
