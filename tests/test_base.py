"""The contract of fit and predict, for any network."""

import copy
import re
import threading
from unittest import mock

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_selector
from sklearn.ensemble import StackingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score, learning_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from skorch.callbacks import Callback, GradientNormClipping, LRScheduler
from skorch.callbacks import EarlyStopping as SkorchEarlyStopping

from sklearn_fsmd import (
    ESMMClassifier,
    FSClassifier,
    FSMDClassifier,
    MMoEClassifier,
    MultiTaskClassifier,
    SharedBottomClassifier,
    SingleTaskClassifier,
)
from sklearn_fsmd.compose import OutputView, output_view
from sklearn_fsmd.encoding.table import FeatureEncoder
from sklearn_fsmd.parameters.machine import device
from sklearn_fsmd.training import Net, construction, net_options
from sklearn_fsmd.training.optimizers import large_tables as tables
from tests.conftest import SMALL, make_frame, supported

NAN = float("nan")


def small(cls=FSMDClassifier, **changes):
    return cls(**{**supported(cls, SMALL), **changes})


@pytest.fixture(scope="module")
def fitted():
    X, Y = make_frame()
    return small().fit(X, Y), X, Y


# ------------------------------------------------------------------------------------------------------------- shapes


@pytest.mark.parametrize("n_tasks", [1, 2, 3, 5])
@pytest.mark.parametrize("link", ["chain", "independent"])
def test_any_number_of_tasks(frame, n_tasks, link, rng):
    X, _ = frame
    Y = np.cumprod(rng.uniform(size=(len(X), n_tasks)) < 0.7, axis=1).astype(int)
    model = small(MultiTaskClassifier, link=link, max_epochs=1).fit(X, Y)
    proba = model.predict_proba(X)
    assert [p.shape for p in proba] == [(len(X), 2)] * n_tasks
    assert all(p.dtype == np.float32 for p in proba)
    assert len(model.classes_) == len(model.task_names_) == n_tasks
    marginals = model.predict_marginals(X)
    assert marginals.shape == (len(X), n_tasks)
    np.testing.assert_array_equal(np.stack([p[:, 1] for p in proba], axis=1), marginals)
    np.testing.assert_allclose([p.sum(axis=1) for p in proba], 1, rtol=1e-6)
    assert model.predict(X).shape == (len(X), n_tasks)
    assert model.predict_conditionals(X).shape == (len(X), n_tasks)
    if link == "chain":
        assert (np.diff(marginals, axis=1) <= 0).all()


def test_one_dimensional_y(frame):
    X, Y = frame
    model = small().fit(X, Y["click"])
    assert model.predict_proba(X).shape == (len(X), 2)
    assert model.predict(X).shape == (len(X),)
    assert model.classes_.tolist() == [0, 1]
    assert model.task_names_ == ["click"]


def test_predictions_are_labels_of_the_original_kind(frame):
    X, Y = frame
    words = Y.replace({0: "no", 1: "yes"})
    model = small().fit(X, words)
    assert set(model.predict(X).ravel()) <= {"no", "yes"}
    np.testing.assert_array_equal(model.predict_marginals(X), small().fit(X, Y).predict_marginals(X))


@pytest.mark.parametrize("low_order", ["fm", "fwfm", "linear", None])
@pytest.mark.parametrize(
    "columns", [["price", "visits"], ["user", "city"], ["price"]], ids=["only numbers", "only categories", "one"]
)
@pytest.mark.parametrize("bins", [0, 8])
def test_columns_of_a_single_kind_can_be_learned(frame, low_order, columns, bins):
    X, Y = frame
    params = {"low_order": low_order, "numeric_bins": bins, "max_epochs": 16, "lr": 0.02}
    model = small(MultiTaskClassifier, **params).fit(X[columns], Y)
    assert model.score(X[columns], Y) > 0.55  # each of these columns is informative of a target


def test_marginals_of_a_tree_multiply_along_its_edges(frame, rng):
    X, Y = frame
    share = Y["click"] * (rng.uniform(size=len(X)) < 0.5)
    comment = Y["conversion"] * (rng.uniform(size=len(X)) < 0.5)
    model = small(MultiTaskClassifier, link=(None, 0, 0, 1)).fit(X, Y.assign(share=share, comment=comment))
    p, given = model.predict_marginals(X), model.predict_conditionals(X)
    for k, parent in enumerate((0, 0, 1), start=1):
        np.testing.assert_allclose(p[:, k], p[:, parent] * given[:, k], rtol=1e-5)


def test_conditionals_of_independent_targets_are_at_most_1(frame):
    model = small(FSClassifier).fit(*frame)
    p, given = model.predict_marginals(frame[0]), model.predict_conditionals(frame[0])
    np.testing.assert_allclose(given[:, 1], np.minimum(p[:, 1] / p[:, 0], 1), rtol=1e-5)
    np.testing.assert_array_equal(given[:, 0], p[:, 0])


def test_rank_score_is_the_weighted_product(fitted):
    model, X, _ = fitted
    p = model.predict_marginals(X)
    np.testing.assert_allclose(model.rank_score(X), p.prod(axis=1), rtol=1e-5)
    np.testing.assert_allclose(model.rank_score(X, [0.5, 2]), p[:, 0] ** 0.5 * p[:, 1] ** 2, rtol=1e-5)


def test_gate_weights(fitted):
    model, X, _ = fitted
    weights = model.gate_weights(X)
    assert weights.shape == (len(X), 1, 2, 4)  # one level, two tasks; one expert per task and two shared experts
    np.testing.assert_allclose(weights.sum(axis=3), 1, rtol=1e-5)
    assert small(MMoEClassifier, n_experts=3).fit(*make_frame()).gate_weights(X).shape == (len(X), 1, 2, 3)
    with pytest.raises(AttributeError, match="has no attribute 'gate_weights'") as error:
        small(ESMMClassifier).fit(*make_frame()).gate_weights(X)
    assert "extractor='shared_embedding' has no gates" in str(error.value.__cause__)
    assert all(f"'{gated}'" in str(error.value.__cause__) for gated in ("mmoe", "ple"))


# ------------------------------------------------------------------------------------------------------------ learning


def test_64_rows_are_overfitted():
    X, Y = make_frame(64)
    X["row"] = pd.Categorical(range(64))
    fixed = {"dropout": 0.0, "unknown_rate": 0.0, "min_frequency": 1, "logistic_regression": False}
    model = small(**fixed, max_epochs=200, lr=0.01).fit(X, Y)
    assert model.score(X, Y) > 0.999
    assert (model.predict(X) == Y).all().all()


def test_a_signal_is_learned_and_calibrated():
    X, Y = make_frame(6000)
    X_new, Y_new = make_frame(3000, seed=1)
    model = small(max_epochs=15, lr=5e-3, dropout=0.1).fit(X, Y)
    auc = [roc_auc_score(Y_new.iloc[:, k], model.predict_marginals(X_new)[:, k]) for k in range(2)]
    assert min(auc) > 0.7
    np.testing.assert_allclose(model.predict_marginals(X_new).mean(axis=0), Y_new.mean(), atol=0.03)
    assert model.score(X_new, Y_new) == pytest.approx(np.mean(auc))


def test_predictions_do_not_depend_on_the_mode_of_the_network(fitted):
    model, X, _ = fitted
    expected = model.predict_marginals(X)
    model.module_.train()
    np.testing.assert_array_equal(model.predict_marginals(X), expected)


def test_the_prediction_of_a_row_depends_only_on_that_row(fitted):
    model, X, _ = fitted
    p = model.predict_marginals(X)
    order = np.random.RandomState(0).permutation(len(X))
    np.testing.assert_allclose(model.predict_marginals(X.iloc[order]), p[order], atol=1e-6)
    np.testing.assert_allclose(model.predict_marginals(X.iloc[[5]]), p[[5]], atol=1e-6)
    shuffled = X.assign(user=X["user"].cat.reorder_categories(X["user"].cat.categories[::-1]))
    np.testing.assert_array_equal(model.predict_marginals(shuffled), p)


def test_unseen_values_score_as_the_unknown_row_and_missing_ones_as_their_own(fitted):
    model, X, _ = fitted
    unseen, new, missing = (model.predict_marginals(X.assign(city=city)) for city in ("Atlantis", "Utopia", None))
    np.testing.assert_array_equal(unseen, new)
    assert (unseen != missing).all()
    assert np.isfinite(missing).all()


def test_the_unknown_row_is_trained_even_without_missing_values(frame):
    X, Y = frame
    X = X[["user"]]
    model = small(unknown_rate=0.1, embedding_std=1e-8).fit(X, Y)
    table = model.module_.embedding.table.weight.detach().abs().amax(dim=1)
    assert table[0] > 1e-5


def test_masked_labels_equal_labels_of_weight_0(frame):
    X, Y = frame
    Y = Y.astype(float)
    Y.loc[:99, "conversion"] = NAN
    Y.loc[50:149, "click"] = NAN
    weights = Y.notna().astype(float).to_numpy()
    masked = small(FSClassifier).fit(X, Y).predict_marginals(X)
    by_weight = small(FSClassifier).fit(X, Y.fillna(1.0), sample_weight=weights).predict_marginals(X)
    np.testing.assert_array_equal(masked, by_weight)


def test_masked_labels_do_not_affect_the_validation_split():
    X, Y = make_frame(300)
    is_masked = (np.arange(300) % 3 == 0) & (Y["click"] == 1).to_numpy()
    weights = np.ones(Y.shape)
    weights[is_masked, 1] = 0
    other = Y.copy()
    other.loc[is_masked, "conversion"] = 1 - Y["conversion"][is_masked]
    missing = Y.astype(float)
    missing.loc[is_masked, "conversion"] = NAN
    model = small(FSMDClassifier, early_stopping=True)
    first = model.fit(X, Y, sample_weight=weights).predict_marginals(X)
    np.testing.assert_array_equal(model.fit(X, other, sample_weight=weights).predict_marginals(X), first)
    np.testing.assert_array_equal(model.fit(X, missing).predict_marginals(X), first)


def test_sample_weights_shift_the_base_rate(frame):
    X, Y = frame
    weights = np.where(Y["click"] == 1, 10.0, 1.0)
    plain, weighted = (small(FSClassifier).fit(X, Y, sample_weight=w).predict_marginals(X) for w in (None, weights))
    assert weighted[:, 0].mean() > plain[:, 0].mean() + 0.2
    per_task = np.stack([np.ones(len(X)), weights], axis=1)
    p = small(FSClassifier).fit(X, Y, sample_weight=per_task).predict_marginals(X)
    assert abs(p[:, 0].mean() - plain[:, 0].mean()) < 0.05
    assert p[:, 1].mean() > plain[:, 1].mean() + 0.1


def test_a_task_of_weight_0_is_not_learned(frame):
    X, Y = frame
    short, long = (
        small(SharedBottomClassifier, task_weights=(1.0, 0.0), weight_decay=0.0, max_epochs=n)
        .fit(X, Y)
        .module_.towers.hidden.layers[0]
        .weight
        for n in (1, 3)
    )
    assert not torch.equal(short[0], long[0])
    torch.testing.assert_close(short[1], long[1])


# ------------------------------------------------------------------------------------------------- validation, history


@pytest.mark.usefixtures("without_level")
def test_early_stopping_keeps_the_best_weights():
    X, Y = make_frame(1200)
    X_val, Y_val = make_frame(800, seed=1)
    model = small(max_epochs=40, lr=0.02, patience=3).fit(X, Y, X_val=X_val, Y_val=Y_val)
    assert model.n_iter_ < 40
    best = max(epoch["valid_auc"] for epoch in model.history_)
    assert model.score(X_val, Y_val) == pytest.approx(best, abs=1e-9)
    assert [epoch["valid_auc"] for epoch in model.history_ if epoch["valid_best"]][-1] == best
    hasty = small(max_epochs=40, lr=0.02, patience=3, tol=1.0).fit(X, Y, X_val=X_val, Y_val=Y_val)
    assert hasty.n_iter_ == 4  # no later epoch is better by 1
    assert set(model.history_[0]) >= {"epoch", "train_loss", "valid_loss", "valid_auc", "valid_best", "dur"}


def test_the_validation_split_is_stratified_by_all_targets_jointly():
    from sklearn_fsmd.encoding.table import Encoded
    from sklearn_fsmd.encoding.targets.encoder import Targets
    from sklearn_fsmd.training import validation_rows as validation

    random = np.random.RandomState(0)
    labels = np.repeat([[0, 0], [1, 0], [1, 1]], [600, 300, 100], axis=0).astype(np.float32)
    labels = labels[random.permutation(1000)]
    rows = Encoded(np.arange(1000)[:, None], np.zeros((1000, 0), np.float32))
    targets = Targets(labels, None)
    is_valid = validation.choose(small(validation_fraction=0.2), targets, random, None)
    train, valid, _ = validation.split(rows, targets, is_valid)
    assert len(train[0]) == 800
    assert len(valid[0]) == 200
    assert train[0].codes is rows.codes  # selected, not copied
    assert set(train[0].rows) | set(valid[0].codes[:, 0]) == set(range(1000))
    counts = [(valid[1].labels == pattern).all(axis=1).sum() for pattern in ([0, 0], [1, 0], [1, 1])]
    np.testing.assert_allclose(counts, [120, 60, 20], atol=1)


def test_rows_of_a_selection_are_counted_within_it():
    from sklearn_fsmd.encoding.table import Encoded

    bias = Encoded(np.arange(10)[:, None] + 100, np.zeros((10, 0), np.float32))
    rows = Encoded(np.arange(10)[:, None], np.zeros((10, 0), np.float32), bias=bias)
    odd = rows.select(np.arange(1, 10, 2))
    assert odd.select(np.array([3, 0])).selected_codes().tolist() == [[7], [1]]
    copied = odd.take(np.array([3, 0]))
    assert copied.codes.tolist() == [[7], [1]]
    assert copied.bias.codes.tolist() == [[107], [101]]


def test_few_rows_are_split_only_if_early_stopping_is_set(frame):
    assert "valid_auc" not in small().fit(*frame).history_[0]
    assert "valid_auc" in small(early_stopping=True).fit(*frame).history_[0]
    with pytest.raises(ValueError, match="'validation_fraction' 0.001 of 300 rows"):
        small(early_stopping=True, validation_fraction=0.001).fit(*frame)


@pytest.mark.filterwarnings("ignore:'.*' has one class in the validation rows and two in the training rows")
def test_validation_rows_of_one_class_are_evaluated_by_the_loss(frame):
    X, Y = frame
    model = small(early_stopping=True).fit(X, Y, X_val=X[:20], Y_val=Y[:20] * 0)
    assert np.isnan(model.history_[0]["valid_auc"])
    assert np.isnan(model.history_[0]["valid_auc_click"])
    assert np.isfinite(model.history_[0]["valid_loss"])
    assert model.history_[0]["valid_best"]


def test_verbose_shows_a_progress_bar(frame, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # else it is cut off at the width of the terminal
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    small(verbose=1, early_stopping=True).fit(*frame)
    shown = capsys.readouterr().err
    for piece in ("rows/s", "loss=", "AUC click=", "AUC conversion="):
        assert piece in shown
    small().fit(*frame)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_progress_in_a_log_file_is_one_line_per_epoch(frame, capsys):
    model = small(verbose=1, early_stopping=True).fit(*frame)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == model.n_iter_
    aucs = ", ".join(rf"valid AUC {name} 0\.\d{{4}}" for name in ("click", "conversion"))
    assert re.fullmatch(rf"epoch 1 of at most 3: loss \d\.\d{{4}}, {aucs}", lines[0])


def test_progress_counts_the_epochs_of_this_call(frame, capsys, tmp_path):
    X, Y = frame
    model = small(verbose=1, early_stopping=False, max_epochs=2).fit(X, Y)
    model.partial_fit(X, Y)
    assert "epoch 1 of at most 1: " in capsys.readouterr().err.splitlines()[-1]
    params = {"verbose": 1, "early_stopping": False, "max_epochs": 3, "checkpoint": tmp_path / "c"}
    with pytest.raises(KeyboardInterrupt), mock.patch.object(Net, "notify", _interrupt_after(Net.notify, 2)):
        small(**params).fit(X, Y)
    small(**params).fit(X, Y, resume=True)
    lines = [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()]
    assert lines == [f"epoch {i} of at most 3" for i in (1, 2, 3)]


def _interrupt_after(notify, epochs):
    """Raise KeyboardInterrupt at the beginning of the epoch after `epochs` epochs."""

    def notify_or_stop(net, event, **kwargs):
        if event == "on_epoch_begin" and len(net.history) == epochs:
            raise KeyboardInterrupt
        return notify(net, event, **kwargs)

    return notify_or_stop


@pytest.mark.parametrize("how", ["pandas", "polars"])
def test_validation_rows_have_their_own_weights(how, frame):
    """A weight of 2 equals repeating the row, and a weight of 0 equals leaving it out."""
    X, Y = frame
    train, valid = (X[:200], Y[:200]), (X[200:], Y[200:])
    repeats = np.random.RandomState(0).randint(3, size=len(valid[0]))
    params = {"early_stopping": True, "max_epochs": 3, "target_statistics": None}
    rows = np.repeat(np.arange(len(repeats)), repeats)
    given = {"X_val": valid[0], "Y_val": valid[1]}
    if how == "polars":
        given = {name: pl.from_pandas(table) for name, table in given.items()}
    weighted = small(**params).fit(*train, **given, sample_weight_val=repeats)
    expected = small(**params).fit(*train, X_val=valid[0].iloc[rows], Y_val=valid[1].iloc[rows])
    for own, other in zip(weighted.history_, expected.history_, strict=True):
        assert own["valid_auc"] == pytest.approx(other["valid_auc"], abs=1e-9)
        assert own["valid_loss"] == pytest.approx(other["valid_loss"], rel=1e-5)
    plain = small(**params).fit(*train, **given)
    assert plain.history_[0]["valid_loss"] != pytest.approx(weighted.history_[0]["valid_loss"], rel=1e-4)
    marginals_of_both = [model.predict_marginals(X) for model in (weighted, plain)]
    assert np.abs(marginals_of_both[0] - marginals_of_both[1]).max() > 1e-4  # the level differs, too


def test_callbacks_are_called(frame):
    class Counter(Callback):
        def __init__(self):
            self.calls = {"batch": 0, "epoch": 0, "grad": 0}

        def on_batch_end(self, net, **kwargs):
            self.calls["batch"] += 1

        def on_epoch_end(self, net, **kwargs):
            self.calls["epoch"] += 1

        def on_grad_computed(self, net, named_parameters, **kwargs):
            self.calls["grad"] += len(list(named_parameters)) > 0

    counter = Counter()
    small(callbacks=[counter, GradientNormClipping(1.0)]).fit(*frame)
    assert counter.calls == {"batch": 15, "epoch": 3, "grad": 15}


@pytest.mark.parametrize("task_weighting", ["fixed", "pcgrad"])
def test_gradients_are_clipped_with_dense_and_with_sparse_tables(frame, task_weighting):
    class Norm(Callback):
        def on_grad_computed(self, net, named_parameters, **kwargs):
            grads = [p.grad.coalesce().values() if p.grad.is_sparse else p.grad for p in net.module_.parameters()]
            self.norm = torch.cat([grad.flatten() for grad in grads]).norm().item()

    norms = {}
    for kind in ("dense", "sparse"):
        for limit in (1e9, 0.01):
            norm = Norm()
            small(
                callbacks=[GradientNormClipping(limit), norm],
                embedding_optimizer=kind,
                task_weighting=task_weighting,
                early_stopping=False,
                max_epochs=1,
                batch_size=300,
            ).fit(*frame)
            norms[kind, limit] = norm.norm
    assert norms["sparse", 0.01] == pytest.approx(0.01, rel=1e-3)
    assert norms["dense", 0.01] == pytest.approx(0.01, rel=1e-3)
    assert norms["sparse", 1e9] == pytest.approx(norms["dense", 1e9], rel=1e-4)
    assert norms["sparse", 1e9] > 0.02


# ------------------------------------------------------------------------------ randomness, continued training, device


def test_same_seed_gives_the_same_model_and_global_generators_stay_unchanged(frame):
    X, Y = frame
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, second = (small(dropout=0.3).fit(X, Y).predict_marginals(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, small(dropout=0.3, random_state=1).fit(X, Y).predict_marginals(X))
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)


def test_a_failed_fit_keeps_the_previous_fit(frame):
    X, Y = frame
    model = small().fit(X, Y)
    before = model.predict_marginals(X)

    class Break(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise RuntimeError("stop here")

    model.set_params(callbacks=[Break()])
    with pytest.raises(RuntimeError, match="stop here"):
        model.fit(X, Y.rename(columns={"click": "other"}))
    with pytest.raises(ValueError, match="multiclass"):
        model.fit(X[["price"]], np.arange(len(X)) % 3)
    np.testing.assert_array_equal(model.predict_marginals(X), before)
    assert model.task_names_ == ["click", "conversion"]
    with pytest.raises(RuntimeError, match="stop here"):
        small(callbacks=[Break()]).fit(X, Y)


def test_validation_data_select_the_weights_without_early_stopping(frame):
    X, Y = frame
    X_val, Y_val = make_frame(seed=1)
    params = {"max_epochs": 15, "lr": 0.05, "patience": 1}
    stopped = small(**params).fit(X, Y, X_val=X_val, Y_val=Y_val)
    model = small(early_stopping=False, **params).fit(X, Y, X_val=X_val, Y_val=Y_val)
    assert stopped.n_iter_ < model.n_iter_ == 15
    assert not model.history_[-1]["valid_best"]
    assert model.score(X_val, Y_val) > model.history_[-1]["valid_auc"]


def test_the_best_weights_are_kept_if_a_callback_stops_training(frame):
    X, Y = frame

    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.stop_training_ = len(net.history) == 2

    stopped, two = (
        small(early_stopping=True, **params).fit(X, Y, X_val=X, Y_val=Y)
        for params in ({"max_epochs": 9, "callbacks": [Stop()]}, {"max_epochs": 2})
    )
    assert stopped.n_iter_ == 2
    np.testing.assert_array_equal(stopped.predict_marginals(X), two.predict_marginals(X))


def test_a_failed_partial_fit_keeps_the_previous_weights(frame):
    X, Y = frame

    class Break(Callback):
        def on_batch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    model = small(dropout=0.5).fit(X, Y)
    before = model.predict_marginals(X)
    model.set_params(callbacks=[Break()])
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(X, Y)
    np.testing.assert_array_equal(model.predict_marginals(X), before)
    assert len(model.net_.history) == model.n_iter_ == 3
    model.set_params(callbacks=None).partial_fit(X, Y)
    assert model.n_iter_ == 4


def test_early_stopping_and_schedules_of_skorch_work(frame):
    X, Y = frame
    stopping = SkorchEarlyStopping(monitor="train_loss", patience=2, threshold=10.0, sink=lambda *_: None)
    assert small(max_epochs=20, callbacks=[stopping]).fit(X, Y).n_iter_ < 5
    rates = []

    class Watch(Callback):
        def on_batch_begin(self, net, **kwargs):
            rates.append(net.optimizer_.param_groups[0]["lr"])

    schedule = LRScheduler("StepLR", step_size=1, gamma=0.5, step_every="batch")
    small(callbacks=[schedule, Watch()], max_epochs=1).fit(X, Y)
    np.testing.assert_allclose(rates, 0.01 * 0.5 ** np.arange(len(rates)))


def test_warm_start_uses_new_training_parameters_and_refuses_a_new_network(frame):
    X, Y = frame
    model = small(warm_start=True, batch_norm=False).fit(X, Y)
    before = model.predict_marginals(X)
    model.set_params(lr=1e-12, average_decay=0.0).fit(X, Y)
    weights = model.module_.towers.output.weight
    assert model.net_.optimizer_.param_groups[0]["lr"] == 1e-12
    assert model.n_iter_ == 6
    np.testing.assert_allclose(model.predict_marginals(X), before, atol=1e-5)
    model.set_params(embedding_dim=9)
    with pytest.raises(ValueError, match="The 'embedding_dim' parameter was 4 in the fit that this one continues"):
        model.fit(X, Y)
    assert model.module_.towers.output.weight is weights


@pytest.mark.parametrize(
    "changed",
    [
        {"numeric_bins": 5},
        {"numeric_scaling": "quantile"},
        {"min_frequency": 50},
        {"target_statistics": None},
        {"statistics_features": ["city"]},
        {"categorical_features": ["city"]},
        {"list_features": None},
        {"shared_embeddings": {"no": "such"}},
    ],
    ids=lambda changed: next(iter(changed)),
)
@pytest.mark.parametrize("saved", [False, True])
def test_warm_start_refuses_another_encoding(frame, changed, saved, tmp_path):
    X, Y = frame
    model = FSMDClassifier(**SMALL | {"numeric_scaling": "standard"}, warm_start=True).fit(X, Y)
    if saved:
        model.save(tmp_path / "model")
        model = FSMDClassifier.load(tmp_path / "model")
    model.set_params(max_epochs=1).fit(X, Y)
    with pytest.raises(ValueError, match=f"The '{next(iter(changed))}' parameter was .* Set it back"):
        model.set_params(**changed).fit(X, Y)


def test_a_row_identifier_gets_no_embeddings(frame):
    X, Y = frame
    with_identifier = X.assign(impression=pd.Series(np.arange(len(X)), index=X.index, dtype="category"))
    identified, without = (small().fit(table, Y).module_.embedding.table.weight for table in (with_identifier, X))
    assert len(identified) == len(without) + 1  # the row of unknown values
    known = small(min_frequency=1).fit(with_identifier, Y).module_.embedding.table.weight
    assert len(known) > len(X)


def test_warm_start_keeps_the_validation_split():
    X, Y = make_frame(1200)
    seen = []

    class Watch(Callback):
        def on_epoch_begin(self, net, dataset_train, dataset_valid, **kwargs):
            seen.append(dataset_valid.inputs[0].clone())

    model = small(warm_start=True, max_epochs=1, callbacks=[Watch()]).fit(X, Y).fit(X, Y)
    assert model.n_iter_ == 2
    assert torch.equal(*seen)


def test_warm_start_continues_training(frame):
    X, Y = frame
    model = small(warm_start=True).fit(X, Y)
    encoder, first_loss = model._encoder, model.history_[0]["train_loss"]
    model.fit(X, Y)
    assert model._encoder is encoder
    assert model.n_iter_ == 6
    assert model.history_[-1]["train_loss"] < first_loss
    assert small().fit(X, Y).fit(X, Y).n_iter_ == 3


def test_partial_fit_learns_from_chunks(frame):
    X, Y = frame
    model = small()
    for _ in range(8):
        model.partial_fit(X[:150], Y[:150])
        model.partial_fit(X[150:], Y[150:])
    assert model.n_iter_ == 16
    assert model.history_[-1]["train_loss"] < model.history_[0]["train_loss"]
    model.partial_fit(X[:1], Y[:1])  # a batch of one row


@pytest.mark.parametrize("classes", [[np.int64(0), 1], [0.0, 1], [False, np.int8(1)], [np.True_, 0]], ids=str)
def test_partial_fit_accepts_classes_of_any_numeric_type(frame, classes):
    X, Y = frame
    model = FSMDClassifier(**SMALL).partial_fit(X, Y, classes=classes)
    assert [known.tolist() for known in model.classes_] == [[0, 1]] * 2


def test_partial_fit_with_classes_accepts_a_first_chunk_of_one_class(frame):
    X, Y = frame
    first = Y["click"].to_numpy() * 0 + 5
    model = small().partial_fit(X, first, classes=[3, 5])
    assert model.classes_.tolist() == [3, 5]
    model.partial_fit(X, np.where(Y["click"], 5, 3))
    with pytest.raises(ValueError, match="has the value 4"):
        model.partial_fit(X, first * 0 + 4)


def test_the_device_is_stored(frame):
    assert small(device="cpu").fit(*frame).device_ == "cpu"


def test_n_threads_is_checked_when_it_is_changed_after_fit(frame):
    model, before = small(max_epochs=1).fit(*frame), torch.get_num_threads()
    for n in (0, -3, "2", 1.5):
        with pytest.raises(ValueError, match=f"'n_threads' parameter must be None or an int of at least 1. Got {n!r}"):
            model.set_params(n_threads=n).predict(frame[0])
    assert torch.get_num_threads() == before


def test_columns_of_a_multi_index_are_selected_by_tuples(frame):
    X, Y = frame
    with_levels = X.set_axis(pd.MultiIndex.from_product([["x"], X.columns]), axis=1)
    names = list(X.columns[:3])
    expected = small(max_epochs=1, categorical_features=names).fit(X, Y).predict_marginals(X)
    model = small(max_epochs=1, categorical_features=[("x", name) for name in names]).fit(with_levels, Y)
    np.testing.assert_array_equal(model.predict_marginals(with_levels), expected)
    with pytest.raises(ValueError, match="has an item value 'y' which is not a valid feature name"):
        model.set_params(categorical_features=[("x", names[0]), "y"]).fit(with_levels, Y)


def test_n_threads_is_set_only_during_the_call(frame):
    seen = []

    class Watch(Callback):
        def on_batch_begin(self, net, **kwargs):
            seen.append(torch.get_num_threads())

    before = torch.get_num_threads()
    small(n_threads=before + 1, callbacks=[Watch()], max_epochs=1).fit(*frame)
    assert set(seen) == {before + 1}
    assert torch.get_num_threads() == before


def test_net_params_set_options_that_have_no_parameter(frame):
    net = small(net_params={"optimizer__betas": (0.5, 0.9)}).fit(*frame).net_
    assert net.optimizer_.defaults["betas"] == (0.5, 0.9)


@pytest.mark.parametrize("name", [*sorted(net_options.SET_BY_ESTIMATOR), "use_caching", "warm_start", "history"])
def test_net_params_cannot_set_options_that_have_a_parameter(frame, name):
    with pytest.raises(ValueError, match=f"The 'net_params' parameter cannot set '{name}'"):
        small(net_params={name: 0.5}).fit(*frame)


def test_a_task_of_weight_0_does_not_count_in_validation():
    X, Y = make_frame(1200)
    model = small(task_weights=(1.0, 0.0), early_stopping=True, max_epochs=8, lr=0.02).fit(X, Y)
    assert all(epoch["valid_auc"] == epoch["valid_auc_click"] for epoch in model.history_)
    best = [epoch["valid_auc"] for epoch in model.history_ if epoch["valid_best"]]
    assert best == sorted(best)


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "adagrad", "sgd", torch.optim.RMSprop])
def test_every_optimizer_reduces_the_loss(frame, optimizer):
    model = small(optimizer=optimizer, lr=0.01, dropout=0.0).fit(*frame)
    assert model.history_[-1]["train_loss"] < model.history_[0]["train_loss"]


# ----------------------------------------------------------------------------------------------- inside scikit-learn


def test_grid_search_over_extractors_and_links(frame):
    X, Y = frame
    grid = {"extractor": ["shared_bottom", "mmoe", "ple"], "link": ["independent", "chain"]}
    folds = [(np.arange(200), np.arange(200, 300))]
    fixed = {"max_epochs": 1, "logistic_regression": False}
    search = GridSearchCV(small(MultiTaskClassifier, **fixed), grid, cv=folds, refit=False).fit(X, Y)
    assert len(search.cv_results_["params"]) == 6
    for params, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
        model = small(MultiTaskClassifier, **fixed, **params).fit(X[:200], Y[:200])
        assert model.score(X[200:], Y[200:]) == score
    assert len(set(search.cv_results_["mean_test_score"])) == 6


def test_cross_validation_scoring_and_importance(fitted):
    model, X, Y = fitted
    halves = [(np.arange(150, 300), np.arange(150)), (np.arange(150), np.arange(150, 300))]
    by_hand = [clone(model).fit(X.iloc[a], Y.iloc[a]).predict_marginals(X.iloc[b]) for a, b in halves]
    scores = cross_val_score(clone(model), X, Y, cv=2, scoring="roc_auc")
    np.testing.assert_allclose(scores, [roc_auc_score(Y.iloc[b], p) for (_, b), p in zip(halves, by_hand, strict=True)])
    predictions = cross_val_predict(clone(model), X, Y, cv=2, method="predict_proba")
    np.testing.assert_array_equal(np.stack([p[:, 1] for p in predictions], axis=1), np.concatenate(by_hand))
    importance = permutation_importance(model, X, Y, n_repeats=5, scoring="roc_auc", random_state=0)
    two_best = {X.columns[i] for i in importance.importances_mean.argsort()[-2:]}
    assert two_best == {"city", "price"}  # they determine click and conversion in make_frame
    assert importance.importances_mean.max() > 0.05


def test_scikit_learns_codes_and_classes_of_unknown_labels():
    X, Y = make_frame(200)
    Y.iloc[::7] = np.nan
    with pytest.raises(ValueError, match="'click' of Y has 3 classes. .* and 2 stands for NaN"):
        cross_val_predict(small(), X, Y, cv=KFold(2), method="predict_proba")
    # It passes np.unique(Y), which contains NaN, as the classes.
    options = {"cv": KFold(2), "train_sizes": [0.5, 1.0], "error_score": "raise"}
    *_, scores = learning_curve(small(), X, Y, exploit_incremental_learning=True, **options)
    assert np.isfinite(scores).all()


def test_output_view_for_single_output_tools(fitted):
    model, X, Y = fitted
    view = model.output_view("conversion")
    np.testing.assert_array_equal(view.predict_proba(X)[:, 1], model.predict_marginals(X)[:, 1])
    assert model.output_view(1).predict(X).tolist() == view.predict(X).tolist()
    calibrated = CalibratedClassifierCV(FrozenEstimator(view)).fit(X, Y["conversion"])
    with pytest.warns(UserWarning, match="`fit` of the view of 'conversion' does nothing"):
        unfrozen = CalibratedClassifierCV(view).fit(X, Y["conversion"])  # a clone is a view of the same model
    np.testing.assert_allclose(unfrozen.predict_proba(X), calibrated.predict_proba(X), atol=0.1)
    assert clone(view).set_params(task=0).task != view.task
    assert calibrated.predict_proba(X).shape == (len(X), 2)


def test_predict_log_proba_is_the_logarithm_of_predict_proba(fitted):
    model, X, Y = fitted
    for log_p, p in zip(model.predict_log_proba(X), model.predict_proba(X), strict=True):
        np.testing.assert_allclose(np.exp(log_p), p, rtol=1e-5)
    alone = small(max_epochs=1).fit(X, Y["click"])
    np.testing.assert_allclose(np.exp(alone.predict_log_proba(X)), alone.predict_proba(X), rtol=1e-5)


@pytest.mark.parametrize("intercept", [30.0, -30.0])
def test_logarithms_of_tiny_probabilities_are_exact(fitted, intercept):
    """float32 holds 1e-13, but 1 − 1e-13 is 1."""
    model, X, _ = fitted
    shifted = copy.copy(model)
    shifted.calibration_ = np.array([[1.0, intercept], [1.0, 0.0]])
    steps = np.log(model.predict_conditionals(X).astype(float)) - np.log1p(-model.predict_conditionals(X).astype(float))
    p_click = 1 / (1 + np.exp(-steps[:, 0] - intercept))
    not_click = 1 / (1 + np.exp(steps[:, 0] + intercept))
    p_step = 1 / (1 + np.exp(-steps[:, 1]))
    click, conversion = shifted.predict_log_proba(X)
    np.testing.assert_allclose(click, np.log(np.column_stack((not_click, p_click))), rtol=1e-4, atol=1e-12)
    not_converted = np.log(not_click + p_click * (1 - p_step))
    np.testing.assert_allclose(
        conversion, np.column_stack((not_converted, np.log(p_click * p_step))), rtol=1e-4, atol=1e-12
    )
    np.testing.assert_array_equal(output_view(shifted, "conversion").predict_log_proba(X), conversion)


def test_the_net_belongs_to_the_network_although_it_is_made_late(fitted, monkeypatch):
    """A thread that asks for it during a fit gets that of the former fit; the estimator keeps the new one."""
    model, X, Y = fitted
    loaded, made, fit_has_ended = copy.copy(model), threading.Event(), threading.Event()
    net_of = construction.net_of

    def slowly(*given):
        made.set()
        assert fit_has_ended.wait(60)
        return net_of(*given)

    monkeypatch.setattr(construction, "net_of", slowly)
    nets = []
    thread = threading.Thread(target=lambda: nets.append(loaded.net_))
    former = loaded.module_
    thread.start()
    assert made.wait(60)
    loaded.set_params(max_epochs=1).fit(X, Y)
    fit_has_ended.set()
    thread.join()
    assert nets[0].module_ is former is not loaded.module_
    assert loaded.net_.module_ is loaded.module_
    assert loaded.net_ is loaded.net_ is loaded.snapshot().net_


def test_stacking(fitted):
    _, X, Y = fitted
    base = small(max_epochs=10, lr=0.02)
    stack = StackingClassifier([("fsmd", base)], LogisticRegression(), cv=2, stack_method="predict_proba")
    stack.fit(X, Y["click"])
    np.testing.assert_array_equal(stack.transform(X)[:, 0], base.fit(X, Y["click"]).predict_proba(X)[:, 1])
    assert roc_auc_score(Y["click"], stack.predict_proba(X)[:, 1]) > 0.7


def test_metadata_routing_through_a_pipeline(frame):
    X, Y = frame
    with config_context(enable_metadata_routing=True):
        model = small().set_fit_request(sample_weight=True, X_val=True, Y_val=True)
        pipeline = make_pipeline(FunctionTransformer(lambda X: X.drop(columns="visits")), model)
        pipeline.set_params(transform_input=["X_val"])
        weights = np.linspace(0, 2, len(X))
        pipeline.fit(X, Y, sample_weight=weights, X_val=X[:100], Y_val=Y[:100])
    less = X.drop(columns="visits")
    direct = small().fit(less, Y, weights, X_val=less[:100], Y_val=Y[:100])
    assert [epoch["valid_auc"] for epoch in pipeline[-1].history_] == [epoch["valid_auc"] for epoch in direct.history_]
    np.testing.assert_array_equal(pipeline.predict_proba(X), direct.predict_proba(less))


# --------------------------------------------------------------------------------- unusual input, memory and precision


def test_none_and_pd_na_in_object_arrays_are_equally_missing(frame):
    X, Y = frame
    model = small(categorical_features=[0, 1, 2], max_epochs=1)
    arrays = [X.astype(object).where(X.notna(), missing).to_numpy() for missing in (None, pd.NA)]
    by_none, by_na = (clone(model).fit(array, Y).predict_marginals(array) for array in arrays)
    np.testing.assert_array_equal(by_none, by_na)


def test_lists_of_rows_are_split_into_categories_and_numbers():
    rows = [["a", 1.5], ["b", NAN], ["a", 2.5], ["b", 0.5]] * 10
    model = small(max_epochs=1).fit(rows, [[0, 0], [1, 1], [1, 0], [0, 0]] * 10)
    assert list(model._encoder.main.categories) == [0]
    assert list(model._encoder.main.numeric) == [1]


def test_a_table_too_large_for_memory_is_refused_before_allocation(frame, monkeypatch):
    X, Y = frame
    monkeypatch.setattr(tables, "memory_of", lambda device: 2**30)
    encode = FeatureEncoder.fit_encode

    def with_many_rows(self, X):
        encoded = encode(self, X)
        self.cardinalities[1] = 50_000_000
        return encoded

    monkeypatch.setattr(FeatureEncoder, "fit_encode", with_many_rows)
    second = [name for name in X.columns if X[name].dtype.kind not in "fi"][1]
    message = rf"50,000,\d+ rows of 4 numbers needs 3.0 GiB .* has 1.0 GiB. Column '{second}' has 50,000,000 of the"
    with pytest.raises(ValueError, match=rf"{message} rows.*lower `embedding_dim`, or let values share rows"):
        small().fit(X, Y)
    compressed = {"embedding_compression": "hash", "max_embedding_rows": 100_000_000, "n_members": 2}
    with pytest.raises(ValueError, match="lower `embedding_dim` or `n_members` or `max_embedding_rows`.$"):
        small().set_params(**compressed).fit(X, Y)
    values = {"value_targets": ["paid"], "value_parents": {"paid": "conversion"}}
    with pytest.raises(ValueError, match=r"50,000,\d+ rows of 12 numbers needs"):  # one for each target
        SingleTaskClassifier(**supported(SingleTaskClassifier, SMALL), **values).fit(X, Y.assign(paid=1.0))


def test_bf16_falls_back_to_float32_with_a_warning(frame, monkeypatch):
    monkeypatch.setattr(device, "has_bf16", lambda name: False)
    plain = small(random_state=0).fit(*frame)
    with pytest.warns(RuntimeWarning, match="precision='bf16' needs a device that computes in bfloat16") as warned:
        model = small(random_state=0, precision="bf16").fit(*frame)
    assert len([w for w in warned if w.category is RuntimeWarning]) == 1
    np.testing.assert_array_equal(model.predict_marginals(frame[0]), plain.predict_marginals(frame[0]))


def test_bf16_predicts_about_the_same_as_float32(frame, monkeypatch):
    monkeypatch.setattr(device, "has_bf16", lambda name: True)  # bfloat16 works everywhere, though not fast
    plain, low = small(random_state=0).fit(*frame), small(random_state=0, precision="bf16").fit(*frame)
    p, q = plain.predict_marginals(frame[0]), low.predict_marginals(frame[0])
    assert not np.array_equal(p, q)
    np.testing.assert_allclose(p, q, atol=0.1)
    assert all(parameter.dtype == torch.float32 for parameter in low.module_.parameters())


@pytest.mark.parametrize(
    ("optimizer", "decay"),
    [("adamw", 0.03), (torch.optim.AdamW, 0.03), ("adam", 0.0), ("sgd", 0.0), (torch.optim.RMSprop, 0.0)],
)
def test_automatic_weight_decay_applies_only_to_adamw(frame, optimizer, decay):
    for given, expected in (("auto", decay), (0.01, 0.01)):
        net = small(optimizer=optimizer, weight_decay=given).fit(*frame).net_
        assert net.optimizer_.param_groups[0]["weight_decay"] == expected


def test_fitted_attributes_do_not_exist_before_fit():
    for name in ("module_", "value_names_", "net_"):
        assert not hasattr(FSMDClassifier(), name)
    with pytest.raises(NotFittedError):
        _ = FSMDClassifier().module_
    view = OutputView(FSMDClassifier(), "click")
    with pytest.raises(NotFittedError):
        _ = view.classes_


def test_a_view_has_the_input_tags_of_its_estimator(frame):
    model = FSMDClassifier(**SMALL | {"max_epochs": 1}).fit(*frame)
    tags, own = get_tags(model.output_view("click")), get_tags(model)
    assert tags.input_tags == own.input_tags
    assert not tags.classifier_tags.multi_class


def test_predictions_are_classes_of_fit_for_targets_of_mixed_dtypes():
    random = np.random.default_rng(0)
    X = random.normal(size=(400, 2))
    a, b = (X > 0).astype(int).T
    Y = pd.DataFrame({"a": a.astype(float), "b": b + 2**60})
    model = FSClassifier(**SMALL | {"max_epochs": 8, "lr": 0.02}).fit(X, Y)
    found = model.predict(X)[:, 1]
    assert set(found) == set(model.classes_[1])
    assert np.mean(found == Y["b"]) > 0.9
    assert FSClassifier(**SMALL).fit(X, np.column_stack([a, b])).predict(X).dtype == np.int64


class Batches(Callback):
    """Record the number of rows of each training batch."""

    def __init__(self):
        self.sizes = []

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        if training:
            self.sizes.append(net.rows_of(batch))


@pytest.mark.parametrize("loaded", [False, True])
def test_partial_fit_does_not_use_smaller_batches_than_fit(loaded, tmp_path):
    """Steps on few rows would disturb what was learned from larger batches."""
    X, Y = make_frame(6000)
    model = FSMDClassifier(**SMALL | {"max_epochs": 1, "batch_size": "auto", "early_stopping": False}).fit(X, Y)
    if loaded:
        model.save(tmp_path / "model")
        model = FSMDClassifier.load(tmp_path / "model")

    def sizes_of(model, n):
        model.set_params(callbacks=[Batches()]).partial_fit(X[:n], Y[:n])
        (own,) = (one for one in model.net_.callbacks if isinstance(one, Batches))
        return own.sizes

    assert sizes_of(model, 600) == [60] * 10
    assert max(sizes_of(model, 20)) == 20
    assert sizes_of(FSMDClassifier(**SMALL | {"batch_size": "auto"}), 640) == [32] * 20
    assert sizes_of(model.set_params(batch_size=100), 600) == [100] * 6


def test_warm_start_refuses_to_replace_a_column_selector(frame):
    X, Y = frame
    model = FSMDClassifier(**SMALL | {"max_epochs": 1}, warm_start=True, categorical_features=of_strings)
    model.fit(X, Y).fit(X, Y)
    for other in (["city"], make_column_selector(dtype_include=object)):
        with pytest.raises(ValueError, match="'categorical_features' parameter was '<of_strings>' in the fit"):
            model.set_params(categorical_features=other).fit(X, Y)


def of_strings(X):
    return [name for name in X if not pd.api.types.is_numeric_dtype(X[name])]
