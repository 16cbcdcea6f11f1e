"""Row-wise steps for large tables, compared with dense steps."""

from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from sklearn_fsmd import PLEClassifier
from sklearn_fsmd.network import coalesced
from sklearn_fsmd.training import trainer
from sklearn_fsmd.training.optimizers import large_tables as tables
from sklearn_fsmd.training.optimizers import weight_average
from sklearn_fsmd.training.optimizers.rowwise_adagrad import RowWiseAdagrad, RowWiseAdagradW
from sklearn_fsmd.training.optimizers.rowwise_adam import RowWiseAdam, RowWiseAdamW
from sklearn_fsmd.training.optimizers.weight_average import WeightAverage
from tests.conftest import SMALL, make_frame

OPTIMIZERS = {RowWiseAdam: torch.optim.Adam, RowWiseAdamW: torch.optim.AdamW}


def table(sparse):
    torch.manual_seed(0)
    return nn.Embedding(6, 3, sparse=sparse).double()


def train(module, optimizer, batches, average=None):
    for rows in batches:
        optimizer.zero_grad()
        (module(torch.tensor(rows)) * torch.arange(1.0, 4.0, dtype=torch.float64)).square().sum().backward()
        if average is not None:
            average.before_step()
        optimizer.step()
        if average is not None:
            average.update()


@pytest.mark.parametrize("rowwise", OPTIMIZERS)
def test_with_all_rows_in_each_batch_it_equals_the_dense_optimizer(rowwise):
    batches = [[0, 1, 2, 3, 4, 5, 0], [5, 4, 3, 2, 1, 0], [0, 1, 2, 3, 4, 5]] * 5
    ours, theirs = table(True), table(False)
    options = {"lr": 0.01, "weight_decay": 0.1}
    train(ours, rowwise(ours.parameters(), **options), batches)
    train(theirs, OPTIMIZERS[rowwise](theirs.parameters(), **options), batches)
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_unused_rows_stay_and_catch_up_on_their_decay():
    module = table(True)
    before = module.weight.detach().clone()
    optimizer = RowWiseAdamW(module.parameters(), lr=1e-9, weight_decay=1e8)  # a decay of a tenth per step
    train(module, optimizer, [[0], [0], [0]])
    assert torch.equal(module.weight[1:], before[1:])
    train(module, optimizer, [[1]])
    torch.testing.assert_close(module.weight[1], before[1] * 0.9**4, rtol=1e-5, atol=1e-7)
    assert torch.equal(module.weight[2:], before[2:])


@pytest.mark.parametrize("rowwise", [RowWiseAdamW, RowWiseAdagradW])
@pytest.mark.parametrize(("before_decay", "after_decay"), [(0.0, 1e8), (1e8, 0.0), (1e8, 5e8)])
def test_rows_catch_up_on_decay_at_the_rate_of_the_missed_steps(before_decay, after_decay, rowwise):
    module = table(True)
    before = module.weight.detach().clone()
    options = {"table_lr": 1e-9} if rowwise is RowWiseAdagradW else {}
    optimizer = rowwise(module.parameters(), lr=1e-9, weight_decay=before_decay, **options)
    train(module, optimizer, [[0, 5], [0], [0]])
    optimizer.catch_up()
    optimizer.param_groups[0]["weight_decay"] = after_decay
    train(module, optimizer, [[0], [1, 5]])
    factors = [(1 - 1e-9 * decay) ** n for decay, n in ((before_decay, 3), (after_decay, 2))]
    torch.testing.assert_close(module.weight[1], before[1] * factors[0] * factors[1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(module.weight[5], before[5] * factors[0] * factors[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["sparse", "rowwise_adagrad"])
def test_a_new_decay_applies_from_further_training_on(kind):
    """One step decays by a twentieth. Earlier steps had no decay, so there is nothing to catch up on."""
    X, Y = make_frame(400)
    params = SMALL | {"max_epochs": 4, "embedding_optimizer": kind, "average_decay": 0.0}
    model = PLEClassifier(**params, early_stopping=False, weight_decay=0.0, lr=1e-3, embedding_lr=1e-3).fit(X, Y)
    before = model.module_.embedding.table.weight.detach().norm()
    model.set_params(weight_decay=50.0, batch_size=len(X)).partial_fit(X, Y)
    assert model.module_.embedding.table.weight.detach().norm() > 0.8 * before


def test_a_table_that_grows_large_is_trained_by_rows_from_then_on(monkeypatch):
    X, Y = make_frame(300)
    n = PLEClassifier(**SMALL | {"max_epochs": 1}).fit(X, Y).module_.embedding.table.weight.numel()
    monkeypatch.setattr(tables, "LARGE_TABLE", n + 1)
    model = PLEClassifier(**SMALL | {"max_epochs": 1}, new_categories="grow").fit(X, Y)
    assert not model.module_.embedding.table.sparse
    more = X.assign(user=pd.Categorical(X["user"].astype(np.int64) + 1000))
    model.partial_fit(more, Y)
    assert model.module_.embedding.table.sparse
    model.set_params(lr=1e-3).partial_fit(more, Y)
    assert "last" in model.net_.optimizer_.state[model.module_.embedding.table.weight]


def test_coalesced_gradients_have_each_row_once():
    random = torch.Generator().manual_seed(0)
    codes, others = torch.randint(0, 30, (2, 200), generator=random)
    inputs = [
        torch.sparse_coo_tensor(
            rows_used[None], torch.randn(200, width, generator=random), (40, width), check_invariants=True
        )
        for rows_used, width in ((codes, 3), (codes, 1), (others, 2))
    ]
    outputs = coalesced([*inputs, inputs[0].coalesce(), torch.sparse_coo_tensor((40, 3), check_invariants=True)])
    for gradient, expected in zip(outputs, [*inputs, inputs[0], torch.zeros(40, 3)], strict=True):
        assert gradient.is_coalesced()
        assert torch.equal(gradient.indices()[0], gradient.indices()[0].unique())
        torch.testing.assert_close(gradient.to_dense(), expected.to_dense(), rtol=1e-6, atol=1e-6)


def test_other_parameters_take_dense_steps():
    module = nn.ModuleDict({"table": table(True), "linear": nn.Linear(3, 1).double()})
    twin = nn.Linear(3, 1).double()
    twin.load_state_dict(module["linear"].state_dict())
    optimizer, other = RowWiseAdamW(module.parameters(), lr=0.01), torch.optim.AdamW(twin.parameters(), lr=0.01)
    x = module["table"](torch.tensor([1, 2]))
    module["linear"](x).sum().backward()
    twin(x.detach()).sum().backward()
    optimizer.step(), other.step()
    torch.testing.assert_close(module["linear"].weight, twin.weight)


@pytest.mark.parametrize("first", [0, 5, 24], ids=["by rows", "a table that grows large", "the whole table"])
def test_the_average_by_rows_equals_the_average_of_all_steps(first, monkeypatch):
    """`first` is the first step at which the table counts as large."""
    batches = [[0, 1], [0], [2], [0, 2, 2], [3], [1]] * 4
    module = table(True)
    average, whole = WeightAverage(module, 0.8), WeightAverage(module, 0.8)
    optimizer = RowWiseAdamW(module.parameters(), lr=0.05)
    for i, batch in enumerate(batches):
        monkeypatch.setattr(weight_average, "SMALL_TABLE", 0 if i >= first else 2**20)
        train(module, optimizer, [batch], average)
        whole.update()  # the average of the whole table
        if i in (2, 9):  # the averages are used in between
            average.swap_in(), average.swap_out()
    assert bool(average.last) == (first < len(batches))
    average.swap_in()
    torch.testing.assert_close(module.weight.data, whole.others[0], rtol=1e-6, atol=1e-9)


def test_sparse_steps_train_as_good_a_model():
    X, Y = make_frame(1500)
    fits = {kind: PLEClassifier(**SMALL, embedding_optimizer=kind).fit(X, Y) for kind in ("dense", "sparse")}
    assert fits["sparse"].module_.embedding.table.sparse
    assert not fits["dense"].module_.embedding.table.sparse
    dense, sparse = (fits[kind].predict_marginals(X) for kind in ("dense", "sparse"))
    assert not np.array_equal(dense, sparse)
    assert np.corrcoef(dense[:, 0], sparse[:, 0])[0, 1] > 0.95
    assert fits["sparse"].score(X, Y) > fits["dense"].score(X, Y) - 0.02


def test_auto_depends_on_the_table_size_and_the_optimizer(monkeypatch):
    X, Y = make_frame(300)
    monkeypatch.setattr(tables, "LARGE_TABLE", 1)
    small = {**SMALL, "max_epochs": 1}
    assert PLEClassifier(**small).fit(X, Y).module_.embedding.table.sparse
    assert not PLEClassifier(**small, optimizer="sgd").fit(X, Y).module_.embedding.table.sparse
    monkeypatch.setattr(tables, "LARGE_TABLE", 2**25)
    assert not PLEClassifier(**small).fit(X, Y).module_.embedding.table.sparse


def test_sparse_steps_are_refused_for_other_optimizers():
    X, Y = make_frame(300)
    with pytest.raises(
        ValueError, match="embedding_optimizer='sparse' needs the optimizer 'adam' or 'adamw'. Got .*sgd"
    ):
        PLEClassifier(**SMALL, embedding_optimizer="sparse", optimizer="sgd").fit(X, Y)


@pytest.mark.parametrize("option", ["amsgrad", "maximize"])
def test_optimizer_options_without_row_wise_steps_are_refused(option):
    X, Y = make_frame(300)
    model = PLEClassifier(**SMALL, net_params={f"optimizer__{option}": True}, embedding_optimizer="sparse")
    with pytest.raises(ValueError, match=f"optimizer__{option}=True has no effect on tables that are trained by rows"):
        model.fit(X, Y)
    model.set_params(embedding_optimizer="dense").fit(X, Y)


# ------------------------------------------------------------------------------------------------------------ Adagrad


def adagrad_loop(w, batches, table_lr, decay, lr, eps=1e-8):
    """Row by row in numpy. The gradient of the loss of `train` is 2 · c² · w for each use of a row."""
    w, sums, last = w.copy(), np.zeros(len(w)), np.zeros(len(w), dtype=int)
    c = np.arange(1.0, 4.0)
    for t, rows in enumerate(batches, start=1):
        gradients = {row: 2 * c**2 * w[row] * rows.count(row) for row in set(rows)}
        for row, gradient in gradients.items():
            w[row] *= (1 - lr * decay) ** (t - last[row])
            sums[row] += np.mean(gradient**2)
            w[row] -= table_lr * gradient / (np.sqrt(sums[row]) + eps)
            last[row] = t
    return w


def test_rowwise_adagrad_equals_the_loop():
    batches = [[0, 1, 1], [0], [2, 5], [0, 2, 2], [3], [1]] * 4
    module = table(True)
    expected = adagrad_loop(module.weight.detach().numpy(), batches, 0.3, 0.1, 0.01)
    optimizer = RowWiseAdagradW(module.parameters(), lr=0.01, weight_decay=0.1, table_lr=0.3)
    train(module, optimizer, batches)
    torch.testing.assert_close(module.weight.detach().numpy(), expected)
    state = optimizer.state[module.weight]
    assert {name: tuple(value.shape) for name, value in state.items()} == {"step": (), "sum": (6,), "last": (6,)}
    undecayed = table(True)
    optimizer = RowWiseAdagrad(undecayed.parameters(), lr=0.01, table_lr=0.3)
    train(undecayed, optimizer, batches)
    assert set(optimizer.state[undecayed.weight]) == {"step", "sum"}  # one number per row, and no more


@pytest.mark.parametrize("execution", ["torch", "fused"])
def test_rowwise_adagrad_trains_as_good_a_model(execution, monkeypatch):
    monkeypatch.setenv("SKLEARN_FSMD_EXECUTION", execution)
    X, Y = make_frame(1500)
    adam = PLEClassifier(**SMALL, embedding_optimizer="sparse").fit(X, Y)
    model = PLEClassifier(**SMALL, embedding_optimizer="rowwise_adagrad").fit(X, Y)
    assert model.module_.embedding.table.sparse
    state = model.net_.optimizer_.state
    assert set(state[model.module_.embedding.table.weight]) == {"step", "sum", "last"}
    assert "exp_avg" in state[model.module_.towers.output.weight]
    assert model.score(X, Y) > adam.score(X, Y) - 0.02
    other = PLEClassifier(**SMALL, embedding_optimizer="rowwise_adagrad", embedding_lr=1.0).fit(X, Y)
    assert np.abs(other.predict_marginals(X) - model.predict_marginals(X)).max() > 0.01


def test_rowwise_adagrad_resumes_and_grows(tmp_path):
    X, Y = make_frame(400)
    params = SMALL | {"embedding_optimizer": "rowwise_adagrad", "new_categories": "grow"}
    whole = PLEClassifier(**params | {"max_epochs": 2}).fit(X, Y)

    class Stop(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    stopped = PLEClassifier(**params | {"max_epochs": 2}, checkpoint=tmp_path / "c")
    with extra_callback(stopped, Stop()), pytest.raises(KeyboardInterrupt):
        stopped.fit(X, Y)
    resumed = stopped.fit(X, Y, resume=True)
    np.testing.assert_array_equal(resumed.predict_marginals(X), whole.predict_marginals(X))
    n = len(whole.module_.embedding.table.weight)
    whole.partial_fit(X.assign(user=pd.Categorical(X["user"].astype(np.int64) + 1000)), Y)
    state = whole.net_.optimizer_.state[whole.module_.embedding.table.weight]
    assert len(state["sum"]) == len(state["last"]) == len(whole.module_.embedding.table.weight) == n + 40


@contextmanager
def extra_callback(model, callback):
    """Train with a callback and a checkpoint, which the parameters do not allow together."""
    train_ = trainer.train

    def train_with(p, net, *args, **kwargs):
        initialize = net.initialize_callbacks
        net.initialize_callbacks = lambda: (net.callbacks.append(callback), initialize())
        return train_(p, net, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "train", train_with)
        yield
