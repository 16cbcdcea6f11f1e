"""The calibration slope of predictions: log-odds are scaled by a factor that is fitted to validation rows."""

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


def draw(slope, n=20_000, center=-1.0, seed=0):
    """Log-odds z, and labels with the log-odds ``center + slope · z``."""
    random = np.random.RandomState(seed)
    z = random.normal(size=n)
    return z, (random.uniform(size=n) < expit(center + slope * z)).astype(float)


def labels_of_later_days(Y, share=0.5):
    """A share of the labels is random, so a network that was trained on earlier days is overconfident."""
    random = np.random.RandomState(0)
    rows = np.where(random.uniform(size=len(Y)) < share, random.permutation(len(Y)), np.arange(len(Y)))
    return Y.iloc[rows].set_axis(Y.index)


@pytest.fixture(scope="module")
def data():
    X, Y = make_funnel(14_000, random_state=0, return_X_y=True)
    Y = pd.concat([Y[:3000], labels_of_later_days(Y[3000:4000]), labels_of_later_days(Y[4000:])])
    return (X[:3000], Y[:3000]), (X[3000:4000], Y[3000:4000]), (X[4000:], Y[4000:])


def log_loss(y, p):
    p = p.astype(float)
    return -np.mean(np.log(np.where(y == 1, p, 1 - p)))


@pytest.mark.parametrize("slope", [0.4, 1.0, 1.8])
def test_the_slope_does_not_depend_on_the_level(slope):
    z, y = draw(slope)
    assert slope_of(z, np.full(len(z), 3.0), y, np.ones(len(z))) == pytest.approx(slope, rel=0.06)


def test_the_slope_maximises_the_posterior():
    """The slope is the optimum of likelihood and prior."""
    z, y = draw(0.5, n=300)
    w = np.random.RandomState(1).uniform(0.5, 2, size=300)
    found = slope_of(z, np.zeros(300), y, w, spread=0.2)

    def objective(slope):
        level = np.linspace(-2, 0, 4001)[:, None]
        losses = w * (np.logaddexp(0, level + slope * z) - y * (level + slope * z))
        return losses.sum(axis=1).min() + np.log(slope) ** 2 / (2 * 0.2**2)

    candidates = found * np.array([0.98, 1.0, 1.02])
    values = [objective(slope) for slope in candidates]
    assert values[1] < min(values[0], values[2])


def test_few_rows_change_the_slope_little():
    few = [slope_of(*(x[:n] for x in (z, np.zeros(n), y, np.ones(n)))) for z, y in [draw(0.3)] for n in (10, 20_000)]
    assert 0.6 < few[0] < 1.1
    assert few[1] == pytest.approx(0.3, abs=0.03)


def test_no_slope_is_steeper_than_the_limit():
    z = np.linspace(-0.1, 0.1, 1000)
    assert slope_of(z, np.zeros(1000), (z > 0).astype(float), np.full(1000, 1e4)) == pytest.approx(STEEPEST)
    assert slope_of(100 * z, np.zeros(1000), (z < 0).astype(float), np.full(1000, 1e4)) == pytest.approx(1 / STEEPEST)


def test_the_slope_includes_an_earlier_factor():
    z, y = draw(0.4, n=300)
    offset, w = np.zeros(300), np.ones(300)
    whole = slope_of(z, offset, y, w)
    assert slope_of(0.5 * z, offset, y, w, before=0.5) == pytest.approx(2 * whole, rel=1e-4)
    assert slope_of(whole * z, offset, y, w, before=whole) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("scale", [0.0, 1e3, 1e9, 1e30])
def test_log_odds_of_any_size_have_a_slope_within_the_limits(scale):
    z, y = draw(1.0, n=400)
    assert 1 / STEEPEST <= slope_of(scale * z, np.zeros(400), y, np.ones(400)) <= STEEPEST


def factors(parents, logits, labels, weights=None, rates=None, bias_logits=None, train=None):
    """Slope factors of these validation rows, which are also the training rows unless `train` is given."""
    valid = LabelledLogits(logits, labels, weights)
    rates = np.full(len(parents), 0.5) if rates is None else rates
    bias_logits = np.zeros(logits.shape) if bias_logits is None else bias_logits
    return slope_factors(parents, valid if train is None else train, valid, bias_logits, rates, np.ones(len(parents)))


def test_the_slope_of_a_step_uses_only_rows_with_a_known_label_of_it():
    z, y = draw(0.5)
    other, steps = draw(1.5, seed=1)
    logits, labels, weights = np.stack([z, other], axis=1), np.stack([y, y * steps], axis=1), np.ones((len(y), 2))
    weights[1::2, 1] = 0
    found = factors((None, 0), logits, labels, weights)
    np.testing.assert_allclose(found, [0.5, 1.5], rtol=0.1)
    labels[1::2, 1] = 1 - labels[1::2, 1]  # labels with weight 0 do not matter
    np.testing.assert_array_equal(factors((None, 0), logits, labels, weights), found)


def test_a_step_with_labels_of_one_class_keeps_its_slope():
    z, y = draw(0.5)
    logits, labels = np.stack([z, z], axis=1), np.stack([y, 0 * y], axis=1)
    first, second = factors((None, None), logits, labels)
    assert first < 0.6
    assert second == 1
    np.testing.assert_array_equal(factors((None, None), logits, labels, rates=np.array([0.0, 0.1])), 1)
    nothing_clicked = LabelledLogits(logits, 0 * labels, None)  # so the level of the second step could not be set
    assert factors((None, 0), logits, np.stack([y, y], axis=1) * (z > 0)[:, None], train=nothing_clicked)[1] == 1


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("cls", [FSMDClassifier, FSClassifier])
def test_slopes_improve_predictions_of_new_rows_and_keep_their_order(cls, n_members, data, monkeypatch):
    train, valid, (X, Y) = data
    options = {"X_val": valid[0], "Y_val": valid[1]}
    overconfident = {**QUICK, "statistics_features": ["user_id", "item_id"], "n_members": n_members}
    overconfident |= {"validation_metric": "mean_auc", "logistic_regression": False}  # by the loss it would stop before
    overconfident["random_state"] = 1  # with this one no model keeps the weights of an early epoch, fused or not
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
    level_of_train = model.predict_marginals(train[0]).mean(axis=0), as_trained.predict_marginals(train[0]).mean(axis=0)
    np.testing.assert_allclose(*level_of_train, rtol=0.02)  # the level is set afterwards


def test_without_validation_rows_slopes_are_1(data):
    model = FSMDClassifier(**SMALL | {"early_stopping": False}).fit(*data[0])
    np.testing.assert_array_equal(model.module_.slopes, 1)


def test_slopes_are_saved_and_kept_by_further_training(data, tmp_path):
    train, valid, (X, Y) = data
    model = FSMDClassifier(**QUICK).fit(*train, X_val=valid[0], Y_val=valid[1])
    slopes = model.module_.slopes.clone()
    model.save(tmp_path / "model")
    for loaded in (FSMDClassifier.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(loaded.predict_marginals(X), model.predict_marginals(X))
    model.partial_fit(X[:500], Y[:500])
    np.testing.assert_array_equal(model.module_.slopes, slopes)


def test_a_warm_start_that_learns_nothing_keeps_level_and_slopes(data):
    """This holds for repeated fits, without batch norm, whose statistics change with each batch."""
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


def test_the_level_is_right_after_a_warm_start(data):
    """The previous slopes multiply the shift of a bias."""
    train = data[0]
    model = FSMDClassifier(**QUICK, warm_start=True, target_statistics=None)  # which would leak labels of the rows
    for _ in range(3):
        model.fit(*train, X_val=train[0], Y_val=train[1])
    assert np.abs(model.module_.slopes.numpy() - 1).max() > 0.05
    rates = train[1].mean().to_numpy()
    np.testing.assert_allclose(model.predict_marginals(train[0]).mean(axis=0), rates, rtol=1e-3)


def test_files_of_older_versions_have_no_slopes(tmp_path):
    X, Y = make_funnel(1500, watch_time=True, random_state=0, return_X_y=True)
    values = {"value_targets": ["watch_seconds"], "value_parents": {"watch_seconds": "click"}}
    model = FSMDClassifier(**SMALL | {"early_stopping": False}, **values).fit(X, Y)
    state = model.__getstate__()
    assert "slopes" in state["net_"]["weights"]
    del state["net_"]["weights"]["slopes"]
    read = FSMDClassifier()
    read.__setstate__(state)
    np.testing.assert_array_equal(read.predict_marginals(X), model.predict_marginals(X))


def test_slopes_apply_to_single_rows_and_in_exported_models(data, tmp_path):
    ort = pytest.importorskip("onnxruntime")
    from sklearn_fsmd.export.onnx import to_onnx

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


def test_the_slope_does_not_scale_the_logits_of_positions():
    """The slope of the items is 0.5, and the slope of the positions is 1."""
    random = np.random.RandomState(0)
    items, positions = random.normal(size=(2, 40_000, 1))
    y = (random.uniform(size=(40_000, 1)) < expit(0.5 * items + positions)).astype(float)
    assert factors((None,), items + positions, y, bias_logits=positions) == pytest.approx(0.5, abs=0.03)
    assert factors((None,), items + positions, y) > 0.7


@pytest.mark.parametrize("n_members", [1, 3])
def test_with_a_bias_tower_only_the_logits_of_items_are_scaled(n_members, monkeypatch):
    found = []

    def recording(network, parts, bias_logits, rates):
        before = parts[1].outputs - bias_logits
        set_slopes(network, parts, bias_logits, rates)
        found.append((network, bias_logits, before))

    monkeypatch.setattr(corrections, "set_slopes", recording)
    X, Y = make_funnel(4000, position_bias=2.0, random_state=0, return_X_y=True)
    params = {**QUICK, "n_members": n_members, "bias_features": ["position"], "logistic_regression": False}
    model = FSMDClassifier(**params).fit(X[:3000], Y[:3000], X_val=X[3000:], Y_val=labels_of_later_days(Y[3000:]))
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
def test_stored_logits_of_members_give_the_outputs_of_the_network(n_members, bias_features, monkeypatch):
    """They do after the slopes are set, and after each shift of the level."""
    n_rows, shifts, calls, original = [], [], [], MultiTaskNetwork.logits_of_members

    def counted(*given):
        calls.append(given)
        return original(*given)

    class Recording(member_logits.MemberLogits):
        def __init__(self, *given):
            super().__init__(*given)
            n_rows.append(len(self.rows))

        def outputs(self, **how):
            before = len(calls)
            outputs = super().outputs(**how)
            assert len(calls) == before  # no member is computed again
            return outputs

        def shift(self, added):
            super().shift(added)
            expected = self.network(*self.rows.inputs)
            torch.testing.assert_close(self.outputs(), expected, rtol=1e-4, atol=1e-5)
            shifts.append(float(added.abs().max()))

    monkeypatch.setattr(net, "MemberLogits", Recording)
    monkeypatch.setattr(MultiTaskNetwork, "logits_of_members", counted)
    X, Y = make_funnel(8000, watch_time=True, position_bias=2.0, random_state=0, return_X_y=True)
    value_options = {"value_targets": ["watch_seconds"], "value_parents": {"watch_seconds": "click"}}
    model = FSMDClassifier(**QUICK, **value_options, n_members=n_members, bias_features=bias_features)
    model.fit(X[:3000], Y[:3000], X_val=X[3000:], Y_val=Y[3000:])
    assert len(n_rows) == 2 * len(model.history_) + 3  # two checks per epoch; training, validation and rows with values
    assert n_rows[:-3] == [5000] * (len(n_rows) - 3)
    assert len(shifts) == 2 * (corrections.N_ENSEMBLE_ITERATIONS if n_members > 1 else 1)
    assert shifts[0] > 1e-3
    assert calls
    assert (model.module_.slopes != 1).any()


@pytest.mark.parametrize("weight", [0.02, 10.0])
def test_rows_in_which_a_step_did_not_take_place_do_not_change_its_slope(weight):
    random = np.random.RandomState(1)
    click, z = random.uniform(size=2000) < 0.5, random.normal(size=2000)
    conversion = click & (random.uniform(size=2000) < 1 / (1 + np.exp(-0.4 * z)))
    labels, logits = np.column_stack([click, conversion]).astype(float), np.column_stack([0 * z, z])

    def factor(weights):
        rows = LabelledLogits(logits, labels, np.column_stack([weights, weights]))
        return slope_factors((None, 0), rows, rows, 0 * logits, np.array([0.5, 0.5]), np.ones(2))[1]

    assert factor(np.where(click, 1.0, weight)) == pytest.approx(factor(np.ones(2000)), abs=1e-6)
