"""Parts of a network computed by the compiled core, compared with their formulas."""

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
"""The parts of these widths are unequal, and do not end at a multiple of the four bytes of a draw."""


def by(crew, precision=None):
    """The compiled core if there is a crew, else the formulas."""
    return ByTorch(precision) if crew is None else ByCore(crew, precision)


def mlp(n, *, n_in=9, batch_norm=True, dropout=0.0, reads=None):
    made = StackedMLP(n, n_in, DIMS, dropout=dropout, batch_norm=batch_norm, reads=reads)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return made


def trained(made, x, weights, *, crew=None, precision=None, seed=0):
    """The output of a training step and all gradients, by the compiled core if there is a crew."""
    made = copy.deepcopy(made)
    seed_dropout(made, seed)
    set_execution(made, by(crew, precision))
    x = x.clone().requires_grad_()
    weights = None if weights is None else weights.clone().requires_grad_()
    out = made(x) if weights is None else made(x, weights)
    (out * torch.linspace(-1, 1, out.shape[-1])).square().sum().backward()
    leaves = [x, *([] if weights is None else [weights]), *made.parameters()]
    return [out.detach(), *(leaf.grad for leaf in leaves), *(b for b in made.buffers() if b.is_floating_point())]


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
def test_says_what_torch_says(n, rows, reads, batch_norm, mixed, crew):
    made = mlp(n, batch_norm=batch_norm, reads=reads)
    for x in (torch.randn(rows, 9) + 3, torch.randn(max(reads or [n - 1]) + 1, rows, 9)):
        weights = torch.rand(rows, 2, n) if mixed else None
        for ours, expected in zip(trained(made, x, weights, crew=crew), trained(made, x, weights), strict=True):
            torch.testing.assert_close(ours, expected, rtol=2e-4, atol=2e-5 * float(expected.abs().max()) + 1e-6)


@pytest.mark.usefixtures("multiplied_by")
@pytest.mark.parametrize("n_in", [9, 150])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_bits_do_not_depend_on_the_number_of_threads(n, n_in):
    made, x = mlp(n, n_in=n_in, dropout=0.3), torch.randn(900, n_in)
    one, two = Crew(1), Crew(2)
    for a, b in zip(trained(made, x, None, crew=one), trained(made, x, None, crew=two), strict=True):
        assert torch.equal(a, b)
    two.close()


def test_inputs_may_lie_in_memory_group_by_group_or_row_by_row(crew):
    made, x = mlp(3), torch.randn(400, 3, 9)
    by_row, by_group = x.transpose(0, 1), x.transpose(0, 1).contiguous()
    odd = torch.randn(400, 3, 11)[:, :, 1:10].copy_(x).transpose(0, 1)
    expected = trained(made, by_group, None)
    for given in (by_row, by_group, odd):
        for ours, theirs in zip(trained(made, given, None, crew=crew), expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=2e-4, atol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_inputs_may_have_any_strides(training):
    """A tensor with strides, as the extractor of a user may return it."""
    made = StackedMLP(2, 64, (256, 40), batch_norm=True).train(training)
    columns = torch.randn(MANY, 64, 2).permute(2, 0, 1)
    for x in (columns, columns[0], torch.randn(1, 64).expand(MANY, -1)):
        results = []
        for crew in (None, Crew(1)):
            if training:
                results.append(trained(made, x, None, crew=crew))
            else:
                set_execution(made, by(crew))
                with torch.inference_mode():
                    results.append([made(x)])
        for ours, expected in zip(*results, strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()) + 1e-5)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_dropout_zeroes_and_scales(batch_norm, crew):
    made, x = mlp(3, batch_norm=batch_norm, dropout=0.25), torch.randn(2000, 9)
    made.layers = made.layers[:1]
    plain = copy.deepcopy(made)
    plain.layers[0].dropout = Dropout(0.0)
    with_dropout, without = (trained(m, x, None, crew=crew)[0] for m in (made, plain))
    dropped = (with_dropout == 0) & (without > 0)
    for columns in parts_of(DIMS[0]):  # each draws on its own
        share = dropped[..., columns].sum() / (without[..., columns] > 0).sum()
        assert share.item() == pytest.approx(0.25, abs=0.01)
    kept = with_dropout > 0
    torch.testing.assert_close(with_dropout[kept], without[kept] / 0.75)
    again, other = (trained(made, x, None, crew=crew, seed=seed)[0] for seed in (0, 1))
    assert torch.equal(again, with_dropout)
    assert not torch.equal(other, with_dropout)


def test_gradients_with_dropout_are_those_of_the_units_that_were_kept(crew):
    """With the same masks, the slope along the gradient equals the difference of two steps."""
    made, x = mlp(2, dropout=0.5), torch.randn(300, 9)

    def loss(at):
        out = trained(made, at, None, crew=crew)[0].double()
        return (out * torch.linspace(-1, 1, out.shape[-1], dtype=torch.float64)).square().sum()

    gradient = trained(made, x, None, crew=crew)[1]
    direction = gradient / gradient.norm()
    step = 1e-2
    slope = (loss(x + step * direction) - loss(x - step * direction)) / (2 * step)
    assert gradient.norm().item() == pytest.approx(slope.item(), rel=0.02)


def test_what_is_not_a_number_stays_so(crew):
    made, x = mlp(2), torch.randn(300, 9)
    x[5, 2] = torch.nan
    for precision in (None, torch.bfloat16):
        assert trained(made, x, None, crew=crew, precision=precision)[0].isnan().any()


def test_statistics_are_right_far_from_zero(crew):
    """If the mean is a thousand times the deviation, the difference of two sums of squares would be noise."""
    made, x = mlp(2), torch.randn(3000, 9) * 1e-2 + 10
    mean, variance = trained(made, x, None, crew=crew)[-4:-2]
    z = x.double() @ made.layers[0].weight.double()
    torch.testing.assert_close(mean.double(), 0.1 * z.mean(1), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close((variance.double() - 0.9) * 10, z.var(1), rtol=5e-3, atol=1e-5)


@pytest.mark.parametrize("mixed", [True, False])
def test_bf16_is_near_and_gradients_are_float32(mixed, crew):
    made, x = mlp(3), torch.randn(500, 9)
    weights = torch.rand(500, 2, 3) if mixed else None
    low = trained(made, x, weights, crew=crew, precision=torch.bfloat16)
    exact = trained(made, x, weights)
    assert not torch.equal(low[0], exact[0])
    for ours, expected in zip(low, exact, strict=True):
        assert ours.dtype == torch.float32
        assert torch.cosine_similarity(ours.flatten(), expected.flatten(), dim=0) > 0.99


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize(("reads", "mixed"), [(None, False), (None, True), ([0, 1, 1, 0], True), ([1, 0, 1, 0], False)])
def test_many_rows_are_predicted_the_fused_way(batch_norm, reads, mixed, monkeypatch):
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    made = mlp(4, batch_norm=batch_norm, reads=reads).eval()
    set_execution(made, Scoring())
    if batch_norm:
        for layer in made.layers:
            layer.running_mean.normal_(), layer.running_var.uniform_(0.5, 2.0)
    x = torch.randn(MANY, 9) if reads is None else torch.randn(MANY, 2, 9).transpose(0, 1)
    x[..., 5, 2] = torch.nan
    weights = torch.rand(MANY, 3, 4) if mixed else None
    seen, evaluate = [], stack.evaluate
    monkeypatch.setattr(choice, "evaluate", lambda *given: seen.append(given) or evaluate(*given))
    with torch.inference_mode():
        out = made(x, weights)
        assert len(seen) == 1
        made(x[..., 1:, :], None if weights is None else weights[1:])
        monkeypatch.setenv(choice.VARIABLE, "torch")
        expected = made(x, weights)
    assert len(seen) == 1
    torch.testing.assert_close(out, expected, equal_nan=True)
    assert out.isnan().any()


@pytest.mark.parametrize("training", [True, False])
def test_what_does_not_fit_is_refused(training, monkeypatch):
    monkeypatch.setenv(choice.VARIABLE, "fused")
    made = mlp(3, reads=[0, 1, 1]).train(training)
    set_execution(made, ByCore(Crew(1)))
    with torch.inference_mode(not training):
        for x in (torch.zeros(MANY, 8), torch.zeros(1, MANY, 9), torch.zeros(4 * MANY, 8)):  # the last one for oneDNN
            with pytest.raises((RuntimeError, IndexError)):
                made(x)
        with pytest.raises(ValueError, match=r"expected a contiguous torch.float32 tensor \(4, 1024, 40\)"):
            made(torch.zeros(2, MANY, 9), torch.zeros(MANY, 2, 4))


def test_what_does_not_fit_a_gate_is_refused():
    made = Gates(9, torch.ones(3, 2, dtype=torch.bool), ())
    set_execution(made, ByCore(Crew(1)))
    for shape in ((50, 8), (50, 3, 8), (50, 2, 9)):
        with pytest.raises((RuntimeError, IndexError)):
            made(torch.zeros(shape))


@pytest.mark.parametrize("mixed", [True, False])
def test_other_defaults_of_torch_do_not_matter(mixed):
    made, x = mlp(3, dropout=0.3), torch.randn(300, 9)
    weights = torch.rand(300, 2, 3) if mixed else None
    expected = trained(made, x, weights, crew=Crew(1))
    torch.set_default_dtype(torch.float64)
    try:
        found = trained(made, x, weights, crew=Crew(1))
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(found[0], expected[0])
    for ours, theirs in zip(found, expected, strict=True):  # `trained` has a loss in float64 then
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))


def test_a_network_is_copied_while_it_is_trained():
    made = mlp(2)
    set_execution(made, ByCore(Crew(2)))
    assert copy.deepcopy(made).execution.crew.n == 1


def test_two_graphs_alive_at_once_do_not_share_memory(crew):
    made = mlp(3, dropout=0.3)
    set_execution(made, by(crew))
    x = torch.randn(400, 9, requires_grad=True)
    expected = torch.autograd.grad(trained_out(made, x), x)[0]
    a, b = trained_out(made, x), trained_out(made, 2 * x)
    b.backward(retain_graph=True)
    for _ in range(2):
        torch.testing.assert_close(torch.autograd.grad(a, x, retain_graph=True)[0], expected)


@pytest.mark.parametrize("mixed", [True, False])
def test_a_graph_is_freed_with_what_it_has_made(mixed):
    """A step that keeps a reference to its output would keep itself alive."""
    made, weights = mlp(2), torch.rand(50, 2, 2) if mixed else None
    set_execution(made, by(Crew(1)))
    out = made(torch.randn(50, 9), weights)
    step = weakref.ref(out.grad_fn.step)
    gc.collect()
    gc.disable()
    try:
        del out
        assert step() is None
    finally:
        gc.enable()


def test_a_result_that_was_changed_is_noticed(crew):
    made = mlp(2)
    set_execution(made, by(crew))
    out = made(torch.randn(50, 9))
    out.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


def trained_out(made, x):
    seed_dropout(made, 4)
    return made(x).square().sum()


@pytest.mark.parametrize("groups", [None, 2, 3])
def test_gates(groups, crew):
    selection = torch.tensor([[True, True, False, True], [True, False, True, True]])
    made = Gates(9, selection, ())
    torch.nn.init.normal_(made.logits.bias)
    x = torch.randn(700, 9) if groups is None else torch.randn(700, groups, 9)
    results = []
    for which in (None, crew):
        set_execution(made, by(which))
        own = x.clone().requires_grad_()
        made.zero_grad()
        out = made(own)
        (out * torch.arange(4.0)).square().sum().backward()
        results.append([out.detach(), own.grad, made.logits.weight.grad, made.logits.bias.grad])
    for expected, ours in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)
    assert (results[1][0][:, 0, 2] == 0).all()


@pytest.mark.parametrize("gate_dims", [(), (6,)])
def test_ple(gate_dims, crew):
    made = PLE(
        9, 2, DIMS, n_task_experts=2, n_shared_experts=1, n_levels=2, gate_dims=gate_dims, dropout=0.0, batch_norm=True
    )
    x, results = torch.randn(600, 9), []
    for which in (None, crew):
        set_execution(made, by(which))
        own = x.clone().requires_grad_()
        made.zero_grad()
        made(own).square().sum().backward()
        results.append([own.grad, *(p.grad.clone() for p in made.parameters())])
    for expected, ours in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()) + 1e-6)


def test_table(crew):
    table, codes = Table(30, 5), torch.randint(30, (200, 4), dtype=torch.int32)
    table.execution = ByCore(crew)
    out = table(codes)
    (out * torch.arange(5.0)).square().sum().backward()
    weight = table.weight.detach().clone().requires_grad_()
    (embedding(codes, weight) * torch.arange(5.0)).square().sum().backward()
    torch.testing.assert_close(table.weight.grad, weight.grad)


def test_members_are_shared_out():
    """Each member alone, in an even number of groups for two threads, or in one group for one thread."""

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
def test_small_batches_go_in_groups_where_mkl_multiplies(rows, n_units, monkeypatch):
    made = mlp(4)
    set_execution(made, ByCore(Crew(1)))
    seen, units_of = [], step.units_of
    monkeypatch.setattr(step, "units_of", lambda *given, **how: seen.append(units_of(*given, **how)) or seen[-1])
    for operation, expected in ((None, n_units), (products.linear_pointwise(), 4)):
        monkeypatch.setattr(products, "onednn", lambda operation=operation: operation)
        made(torch.randn(rows, 9))
        assert len(seen.pop()) == (expected if operation is None else 4)
