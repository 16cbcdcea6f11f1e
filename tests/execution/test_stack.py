"""Parts of a network computed by the compiled core, compared with torch."""

import copy
import gc
import weakref

import pytest
import torch
from torch.nn.functional import embedding

from sklearn_fsmd.execution import choice, products, stack, step
from sklearn_fsmd.execution.choice import MANY, ByCore, ByTorch, Scoring
from sklearn_fsmd.execution.crew import Crew, parts_of
from sklearn_fsmd.network.dropout import Dropout, seed_dropout
from sklearn_fsmd.network.embedding import Table
from sklearn_fsmd.network.extractors import PLE, Gates
from sklearn_fsmd.network.seam import set_execution
from sklearn_fsmd.network.stacked_mlp import StackedMLP

DIMS = (70, 40)
"""Layers of these widths are split into unequal parts, whose ends are no multiples of the four bytes of a draw."""


def execution_by(crew, precision=None):
    """Execution by the compiled core if there is a crew, else by torch."""
    return ByTorch(precision) if crew is None else ByCore(crew, precision)


def mlp(n, *, n_in=9, batch_norm=True, dropout=0.0, reads=None):
    module = StackedMLP(n, n_in, DIMS, dropout=dropout, batch_norm=batch_norm, reads=reads)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return module


def training_step(module, x, weights, *, crew=None, precision=None, seed=0):
    """The output of a training step, all gradients and the statistics, by the compiled core if there is a crew."""
    module = copy.deepcopy(module)
    seed_dropout(module, seed)
    set_execution(module, execution_by(crew, precision))
    x = x.clone().requires_grad_()
    weights = None if weights is None else weights.clone().requires_grad_()
    out = module(x) if weights is None else module(x, weights)
    (out * torch.linspace(-1, 1, out.shape[-1])).square().sum().backward()
    leaves = [x, *([] if weights is None else [weights]), *module.parameters()]
    return [out.detach(), *(leaf.grad for leaf in leaves), *(b for b in module.buffers() if b.is_floating_point())]


@pytest.fixture(params=[1, 2, 3])
def crew(request):
    crew = Crew(request.param)
    yield crew
    crew.close()


@pytest.mark.usefixtures("multiplied_by")
@pytest.mark.parametrize("mixed", [True, False])
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize(
    ("n", "rows", "reads"), [(4, 50, None), (3, 700, None), (1, 1500, None), (6, 600, (0, 0, 1, 1, 2, 2))]
)
def test_training_steps_equal_those_of_torch(n, rows, reads, batch_norm, mixed, crew):
    module = mlp(n, batch_norm=batch_norm, reads=reads)
    for x in (torch.randn(rows, 9) + 3, torch.randn(max(reads or [n - 1]) + 1, rows, 9)):
        weights = torch.rand(rows, 2, n) if mixed else None
        for ours, expected in zip(
            training_step(module, x, weights, crew=crew), training_step(module, x, weights), strict=True
        ):
            torch.testing.assert_close(ours, expected, rtol=2e-4, atol=2e-5 * float(expected.abs().max()) + 1e-6)


@pytest.mark.usefixtures("multiplied_by")
@pytest.mark.parametrize("n_in", [9, 150])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_results_are_identical_for_any_number_of_threads(n, n_in):
    module, x = mlp(n, n_in=n_in, dropout=0.3), torch.randn(900, n_in)
    one, two = Crew(1), Crew(2)
    for a, b in zip(training_step(module, x, None, crew=one), training_step(module, x, None, crew=two), strict=True):
        assert torch.equal(a, b)
    two.close()


def test_inputs_may_be_stored_by_group_or_by_row(crew):
    module, x = mlp(3), torch.randn(400, 3, 9)
    by_row, by_group = x.transpose(0, 1), x.transpose(0, 1).contiguous()
    with_gaps = torch.randn(400, 3, 11)[:, :, 1:10].copy_(x).transpose(0, 1)
    expected = training_step(module, by_group, None)
    for given in (by_row, by_group, with_gaps):
        for ours, theirs in zip(training_step(module, given, None, crew=crew), expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=2e-4, atol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_inputs_may_have_any_strides(training):
    """The extractor of a user may return a tensor with any strides."""
    module = StackedMLP(2, 64, (256, 40), batch_norm=True).train(training)
    columns = torch.randn(MANY, 64, 2).permute(2, 0, 1)
    for x in (columns, columns[0], torch.randn(1, 64).expand(MANY, -1)):
        results = []
        for crew in (None, Crew(1)):
            if training:
                results.append(training_step(module, x, None, crew=crew))
            else:
                set_execution(module, execution_by(crew))
                with torch.inference_mode():
                    results.append([module(x)])
        for ours, expected in zip(*results, strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()) + 1e-5)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_dropout_zeroes_the_right_share_and_scales_the_rest(batch_norm, crew):
    module, x = mlp(3, batch_norm=batch_norm, dropout=0.25), torch.randn(2000, 9)
    module.layers = module.layers[:1]
    plain = copy.deepcopy(module)
    plain.layers[0].dropout = Dropout(0.0)
    with_dropout, without = (training_step(m, x, None, crew=crew)[0] for m in (module, plain))
    dropped = (with_dropout == 0) & (without > 0)
    for columns in parts_of(DIMS[0]):  # each part draws its own random numbers
        share = dropped[..., columns].sum() / (without[..., columns] > 0).sum()
        assert share.item() == pytest.approx(0.25, abs=0.01)
    kept = with_dropout > 0
    torch.testing.assert_close(with_dropout[kept], without[kept] / 0.75)
    again, other = (training_step(module, x, None, crew=crew, seed=seed)[0] for seed in (0, 1))
    assert torch.equal(again, with_dropout)
    assert not torch.equal(other, with_dropout)


def test_gradients_with_dropout_equal_finite_differences(crew):
    """With the same masks, the norm of the gradient equals the finite difference along the gradient."""
    module, x = mlp(2, dropout=0.5), torch.randn(300, 9)

    def loss(at):
        out = training_step(module, at, None, crew=crew)[0].double()
        return (out * torch.linspace(-1, 1, out.shape[-1], dtype=torch.float64)).square().sum()

    gradient = training_step(module, x, None, crew=crew)[1]
    direction = gradient / gradient.norm()
    step = 1e-2
    slope = (loss(x + step * direction) - loss(x - step * direction)) / (2 * step)
    assert gradient.norm().item() == pytest.approx(slope.item(), rel=0.02)


def test_nan_in_the_input_gives_nan_in_the_output(crew):
    module, x = mlp(2), torch.randn(300, 9)
    x[5, 2] = torch.nan
    for precision in (None, torch.bfloat16):
        assert training_step(module, x, None, crew=crew, precision=precision)[0].isnan().any()


def test_statistics_are_accurate_far_from_zero(crew):
    """The mean is a thousand times the deviation, so a difference of sums of squares would be noise."""
    module, x = mlp(2), torch.randn(3000, 9) * 1e-2 + 10
    mean, variance = training_step(module, x, None, crew=crew)[-4:-2]
    z = x.double() @ module.layers[0].weight.double()
    torch.testing.assert_close(mean.double(), 0.1 * z.mean(1), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close((variance.double() - 0.9) * 10, z.var(1), rtol=5e-3, atol=1e-5)


@pytest.mark.parametrize("mixed", [True, False])
def test_bf16_is_close_and_gradients_are_float32(mixed, crew):
    module, x = mlp(3), torch.randn(500, 9)
    weights = torch.rand(500, 2, 3) if mixed else None
    low = training_step(module, x, weights, crew=crew, precision=torch.bfloat16)
    exact = training_step(module, x, weights)
    assert not torch.equal(low[0], exact[0])
    for ours, expected in zip(low, exact, strict=True):
        assert ours.dtype == torch.float32
        assert torch.cosine_similarity(ours.flatten(), expected.flatten(), dim=0) > 0.99


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize(("reads", "mixed"), [(None, False), (None, True), ([0, 1, 1, 0], True), ([1, 0, 1, 0], False)])
def test_many_rows_are_predicted_by_the_compiled_core(batch_norm, reads, mixed, monkeypatch):
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    module = mlp(4, batch_norm=batch_norm, reads=reads).eval()
    set_execution(module, Scoring())
    if batch_norm:
        for layer in module.layers:
            layer.running_mean.normal_(), layer.running_var.uniform_(0.5, 2.0)
    x = torch.randn(MANY, 9) if reads is None else torch.randn(MANY, 2, 9).transpose(0, 1)
    x[..., 5, 2] = torch.nan
    weights = torch.rand(MANY, 3, 4) if mixed else None
    seen, evaluate = [], stack.evaluate
    monkeypatch.setattr(choice, "evaluate", lambda *given: seen.append(given) or evaluate(*given))
    with torch.inference_mode():
        out = module(x, weights)
        assert len(seen) == 1
        module(x[..., 1:, :], None if weights is None else weights[1:])
        monkeypatch.setenv(choice.VARIABLE, "torch")  # is read when a model is made
        module(x, weights)
        assert len(seen) == 2
        set_execution(module, Scoring())
        expected = module(x, weights)
    assert len(seen) == 2
    torch.testing.assert_close(out, expected, equal_nan=True)
    assert out.isnan().any()


@pytest.mark.parametrize("training", [True, False])
def test_inputs_of_the_wrong_shape_are_refused(training, monkeypatch):
    monkeypatch.setenv(choice.VARIABLE, "fused")
    module = mlp(3, reads=[0, 1, 1]).train(training)
    set_execution(module, ByCore(Crew(1)))
    with torch.inference_mode(not training):
        for x in (
            torch.zeros(MANY, 8),
            torch.zeros(1, MANY, 9),
            torch.zeros(4 * MANY, 8),  # for oneDNN
        ):
            with pytest.raises((RuntimeError, IndexError)):
                module(x)
        with pytest.raises(ValueError, match=r"expected a contiguous torch.float32 tensor \(4, 1024, 40\)"):
            module(torch.zeros(2, MANY, 9), torch.zeros(MANY, 2, 4))


def test_gate_inputs_of_the_wrong_shape_are_refused():
    module = Gates(9, torch.ones(3, 2, dtype=torch.bool), ())
    set_execution(module, ByCore(Crew(1)))
    for shape in ((50, 8), (50, 3, 8), (50, 2, 9)):
        with pytest.raises((RuntimeError, IndexError)):
            module(torch.zeros(shape))


@pytest.mark.parametrize("mixed", [True, False])
def test_results_do_not_depend_on_the_default_dtype_of_torch(mixed):
    module, x = mlp(3, dropout=0.3), torch.randn(300, 9)
    weights = torch.rand(300, 2, 3) if mixed else None
    expected = training_step(module, x, weights, crew=Crew(1))
    torch.set_default_dtype(torch.float64)
    try:
        found = training_step(module, x, weights, crew=Crew(1))
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(found[0], expected[0])
    for ours, theirs in zip(found, expected, strict=True):  # with this default the loss of the step is float64
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))


def test_a_copy_of_a_training_network_has_a_crew_of_one_thread():
    module = mlp(2)
    set_execution(module, ByCore(Crew(2)))
    assert copy.deepcopy(module).execution.crew.n == 1


def test_two_graphs_alive_at_once_do_not_share_memory(crew):
    module = mlp(3, dropout=0.3)
    set_execution(module, execution_by(crew))
    x = torch.randn(400, 9, requires_grad=True)
    expected = torch.autograd.grad(loss_of(module, x), x)[0]
    a, b = loss_of(module, x), loss_of(module, 2 * x)
    b.backward(retain_graph=True)
    for _ in range(2):
        torch.testing.assert_close(torch.autograd.grad(a, x, retain_graph=True)[0], expected)


@pytest.mark.parametrize("mixed", [True, False])
def test_a_graph_is_freed_together_with_its_output(mixed):
    """A step that kept a reference to its output would never be freed."""
    module, weights = mlp(2), torch.rand(50, 2, 2) if mixed else None
    set_execution(module, execution_by(Crew(1)))
    out = module(torch.randn(50, 9), weights)
    step = weakref.ref(out.grad_fn.step)
    gc.collect()
    gc.disable()
    try:
        del out
        assert step() is None
    finally:
        gc.enable()


def test_an_in_place_change_of_the_output_is_detected(crew):
    module = mlp(2)
    set_execution(module, execution_by(crew))
    out = module(torch.randn(50, 9))
    out.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


def loss_of(module, x):
    seed_dropout(module, 4)
    return module(x).square().sum()


@pytest.mark.parametrize("groups", [None, 2, 3])
def test_gates_equal_those_of_torch(groups, crew):
    selection = torch.tensor([[True, True, False, True], [True, False, True, True]])
    module = Gates(9, selection, ())
    torch.nn.init.normal_(module.logits.bias)
    x = torch.randn(700, 9) if groups is None else torch.randn(700, groups, 9)
    results = []
    for crew_ in (None, crew):
        set_execution(module, execution_by(crew_))
        x_ = x.clone().requires_grad_()
        module.zero_grad()
        out = module(x_)
        (out * torch.arange(4.0)).square().sum().backward()
        results.append([out.detach(), x_.grad, module.logits.weight.grad, module.logits.bias.grad])
    for expected, ours in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)
    assert (results[1][0][:, 0, 2] == 0).all()


@pytest.mark.parametrize("gate_dims", [(), (6,)])
def test_ple_equals_that_of_torch(gate_dims, crew):
    module = PLE(
        9, 2, DIMS, n_task_experts=2, n_shared_experts=1, n_levels=2, gate_dims=gate_dims, dropout=0.0, batch_norm=True
    )
    x, results = torch.randn(600, 9), []
    for crew_ in (None, crew):
        set_execution(module, execution_by(crew_))
        x_ = x.clone().requires_grad_()
        module.zero_grad()
        module(x_).square().sum().backward()
        results.append([x_.grad, *(p.grad.clone() for p in module.parameters())])
    for expected, ours in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()) + 1e-6)


def test_gradients_of_a_table_equal_those_of_torch(crew):
    table, codes = Table(30, 5), torch.randint(30, (200, 4), dtype=torch.int32)
    table.execution = ByCore(crew)
    out = table(codes)
    (out * torch.arange(5.0)).square().sum().backward()
    weight = table.weight.detach().clone().requires_grad_()
    (embedding(codes, weight) * torch.arange(5.0)).square().sum().backward()
    torch.testing.assert_close(table.weight.grad, weight.grad)


def test_members_are_split_into_groups():
    """Each member is a group, or there is an even number of groups for two threads, or one group for one thread."""

    def sizes(n, *, at_once=True, by_one_thread=False):
        units = step.units_of(n, at_once=at_once, by_one_thread=by_one_thread)
        assert [e for unit in units for e in range(unit.start, unit.stop)] == list(range(n))
        return [unit.stop - unit.start for unit in units]

    assert sizes(4, at_once=False) == [1, 1, 1, 1]
    assert sizes(2) == [1, 1]
    assert sizes(6) == [3, 3]
    assert sizes(10) == [3, 3, 3, 1]
    assert sizes(7, by_one_thread=True) == [7]
    assert sizes(0) == []


@pytest.mark.parametrize(("rows", "n_units"), [(20, 1), (900, 2), (1500, 4)])
def test_members_are_grouped_for_small_batches_with_mkl(rows, n_units, monkeypatch):
    module = mlp(4)
    set_execution(module, ByCore(Crew(1)))
    seen, units_of = [], step.units_of
    monkeypatch.setattr(step, "units_of", lambda *given, **how: seen.append(units_of(*given, **how)) or seen[-1])
    for operation, expected in ((None, n_units), (products.linear_pointwise(), 4)):
        monkeypatch.setattr(products, "onednn", lambda operation=operation: operation)
        module(torch.randn(rows, 9))
        assert len(seen.pop()) == (expected if operation is None else 4)
