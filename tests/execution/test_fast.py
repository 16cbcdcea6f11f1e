"""The compiled loops of training, against the ways that they replace."""

import copy
import threading

import numpy as np
import pytest
import torch
from torch.nn.functional import embedding

from sklearn_fsmd.execution import loops
from sklearn_fsmd.execution.crew import Crew, ranges_of
from sklearn_fsmd.execution.ways import MANY, ByLoops, ByTorch, Scoring, set_execution
from sklearn_fsmd.network.dropout import Dropout, parts_of, seed_dropout
from sklearn_fsmd.network.embedding import Table
from sklearn_fsmd.network.extractors import PLE, Gates
from sklearn_fsmd.network.stacked_mlp import StackedMLP
from sklearn_fsmd.network.workspace import Workspace

pytestmark = pytest.mark.skipif(not loops.available(), reason="numba is not there, or may not compile")

DIMS = (70, 40)
"""Their parts are unequal, and end within eight bytes of a draw."""


def by(crew, workspace=None, precision=None):
    """By loops where there is a crew, else by torch's operations."""
    return ByTorch(workspace, precision) if crew is None else ByLoops(crew, workspace, precision)


def stack(n, *, batch_norm=True, dropout=0.0, reads=None):
    made = StackedMLP(n, 9, DIMS, dropout=dropout, batch_norm=batch_norm, reads=reads)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return made


def trained(made, x, weights, *, crew=None, precision=None, seed=0):
    """The output of a step of training, and all gradients, by loops where there is a crew."""
    made = copy.deepcopy(made)
    seed_dropout(made, seed)
    set_execution(made, by(crew, Workspace(), precision))
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


@pytest.mark.parametrize("mixed", [True, False])
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize(
    ("n", "rows", "reads"), [(4, 50, None), (3, 700, None), (1, 1500, None), (6, 600, (0, 0, 1, 1, 2, 2))]
)
def test_says_what_torch_says(n, rows, reads, batch_norm, mixed, crew):
    made = stack(n, batch_norm=batch_norm, reads=reads)
    for x in (torch.randn(rows, 9) + 3, torch.randn(max(reads or [n - 1]) + 1, rows, 9)):
        weights = torch.rand(rows, 2, n) if mixed else None
        for ours, expected in zip(trained(made, x, weights, crew=crew), trained(made, x, weights), strict=True):
            torch.testing.assert_close(ours, expected, rtol=2e-4, atol=2e-5 * float(expected.abs().max()) + 1e-6)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_bits_do_not_depend_on_the_number_of_threads(n):
    made, x = stack(n, dropout=0.3), torch.randn(900, 9)
    one, two = Crew(1), Crew(2)
    for a, b in zip(trained(made, x, None, crew=one), trained(made, x, None, crew=two), strict=True):
        assert torch.equal(a, b)
    two.close()


def test_inputs_may_lie_in_memory_group_by_group_or_row_by_row(crew):
    made, x = stack(3), torch.randn(400, 3, 9)
    by_row, by_group = x.transpose(0, 1), x.transpose(0, 1).contiguous()
    odd = torch.randn(400, 3, 11)[:, :, 1:10].copy_(x).transpose(0, 1)
    expected = trained(made, by_group, None)
    for given in (by_row, by_group, odd):
        for ours, theirs in zip(trained(made, given, None, crew=crew), expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=2e-4, atol=1e-4)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_dropout_zeroes_and_scales(batch_norm, crew):
    made, x = stack(3, batch_norm=batch_norm, dropout=0.25), torch.randn(2000, 9)
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
    """Of the same masks: the slope along the gradient is the difference of two steps."""
    made, x = stack(2, dropout=0.5), torch.randn(300, 9)

    def loss(at):
        out = trained(made, at, None, crew=crew)[0].double()
        return (out * torch.linspace(-1, 1, out.shape[-1], dtype=torch.float64)).square().sum()

    gradient = trained(made, x, None, crew=crew)[1]
    direction = gradient / gradient.norm()
    step = 1e-2
    slope = (loss(x + step * direction) - loss(x - step * direction)) / (2 * step)
    assert gradient.norm().item() == pytest.approx(slope.item(), rel=0.02)


def test_the_generators_in_the_loops_are_numpys():
    from sklearn_fsmd.execution.loops import random

    class Words(np.random.bit_generator.ISeedSequence):
        def __init__(self, words):
            self.words = words

        def generate_state(self, n_words, dtype=np.uint32):
            return self.words

    keys = np.random.default_rng(0).integers(2**64, size=(3, random.LANES), dtype=np.uint64)
    state, words = np.empty((4, random.LANES), np.uint64), np.zeros((100, random.LANES), np.uint64)
    random.seed(state, keys)
    random.draw(state.ctypes.data, words.ctypes.data, 30 * random.N_BYTES)
    random.draw(state.ctypes.data, words[30:].ctypes.data, 69 * random.N_BYTES - 5)
    for key, lane in zip(keys.T, words[:-1].T, strict=True):
        np.testing.assert_array_equal(lane, np.random.SFC64(Words(key.copy())).random_raw(99))
    assert not words[-1].any()


def test_what_is_not_a_number_stays_so(crew):
    made, x = stack(2), torch.randn(300, 9)
    x[5, 2] = torch.nan
    for precision in (None, torch.bfloat16):
        assert trained(made, x, None, crew=crew, precision=precision)[0].isnan().any()


def test_statistics_are_right_far_from_zero(crew):
    """A mean a thousand times the deviation: the difference of two sums of squares would be noise."""
    made, x = stack(2), torch.randn(3000, 9) * 1e-2 + 10
    mean, variance = trained(made, x, None, crew=crew)[-4:-2]
    z = x.double() @ made.layers[0].weight.double()
    torch.testing.assert_close(mean.double(), 0.1 * z.mean(1), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close((variance.double() - 0.9) * 10, z.var(1), rtol=5e-3, atol=1e-5)


@pytest.mark.parametrize("mixed", [True, False])
def test_bf16_is_near_and_gradients_are_float32(mixed, crew):
    made, x = stack(3), torch.randn(500, 9)
    weights = torch.rand(500, 2, 3) if mixed else None
    low = trained(made, x, weights, crew=crew, precision=torch.bfloat16)
    exact = trained(made, x, weights)
    assert not torch.equal(low[0], exact[0])
    for ours, expected in zip(low, exact, strict=True):
        assert ours.dtype == torch.float32
        assert torch.cosine_similarity(ours.flatten(), expected.flatten(), dim=0) > 0.99


def test_rounding_to_bf16_is_torchs():
    from sklearn_fsmd.execution.loops.blas import round_to_bf16

    x = torch.cat(
        (torch.randn(1000) * 10 ** torch.randn(1000), torch.tensor([0.0, -0.0, torch.inf, -torch.inf, 1.00390625]))
    )
    out = np.empty(len(x), np.int16)
    round_to_bf16(x.numpy().view(np.uint32), out)
    assert torch.equal(torch.from_numpy(out).view(torch.bfloat16), x.to(torch.bfloat16))
    round_to_bf16(np.array([np.nan], np.float32).view(np.uint32), out)
    assert torch.from_numpy(out[:1]).view(torch.bfloat16).isnan()


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize(("reads", "mixed"), [(None, False), (None, True), ([0, 1, 1, 0], True), ([1, 0, 1, 0], False)])
def test_many_rows_are_predicted_by_loops(batch_norm, reads, mixed, monkeypatch):
    from sklearn_fsmd.execution import fast_evaluation

    made = stack(4, batch_norm=batch_norm, reads=reads).eval()
    set_execution(made, Scoring())
    if batch_norm:
        for layer in made.layers:
            layer.running_mean.normal_(), layer.running_var.uniform_(0.5, 2.0)
    x = torch.randn(MANY, 9) if reads is None else torch.randn(MANY, 2, 9).transpose(0, 1)
    x[..., 5, 2] = torch.nan
    weights = torch.rand(MANY, 3, 4) if mixed else None
    evaluate, seen = fast_evaluation.evaluate, []
    monkeypatch.setattr(fast_evaluation, "evaluate", lambda *given: seen.append(given) or evaluate(*given))
    with torch.inference_mode():
        out = made(x, weights)
        assert len(seen) == 1
        made(x[..., 1:, :], None if weights is None else weights[1:])
        monkeypatch.setattr(loops, "available", lambda: False)
        expected = made(x, weights)
    assert len(seen) == 1
    torch.testing.assert_close(out, expected, equal_nan=True)
    assert out.isnan().any()


@pytest.mark.parametrize("training", [True, False])
def test_what_does_not_fit_is_refused(training):
    made = stack(3, reads=[0, 1, 1]).train(training)
    set_execution(made, ByLoops(Crew(1), None, None))
    with torch.inference_mode(not training):
        with pytest.raises(ValueError, match=r"x has the shape \(1024, 8\); it is to be \(B, 9\) or \(2, B, 9\)"):
            made(torch.zeros(MANY, 8))
        with pytest.raises(ValueError, match=r"x has the shape \(1, 1024, 9\)"):
            made(torch.zeros(1, MANY, 9))
        with pytest.raises(ValueError, match=r"weights has the shape \(1024, 2, 4\); it is to be \(1024, M, 3\)"):
            made(torch.zeros(2, MANY, 9), torch.zeros(MANY, 2, 4))


def test_what_does_not_fit_a_gate_is_refused():
    made = Gates(9, torch.ones(3, 2, dtype=torch.bool), ())
    set_execution(made, ByLoops(Crew(1), None, None))
    for shape in ((50, 8), (50, 3, 8), (50, 2, 9)):
        with pytest.raises(ValueError, match=r"it is to be \(B, 9\) or \(B, 3, 9\)"):
            made(torch.zeros(shape))


@pytest.mark.parametrize("mixed", [True, False])
def test_other_defaults_of_torch_do_not_matter(mixed):
    made, x = stack(3, dropout=0.3), torch.randn(300, 9)
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
    made = stack(2)
    set_execution(made, ByLoops(Crew(2), Workspace(), None))
    assert copy.deepcopy(made).execution.crew.n == 1


def test_memory_is_used_again_and_graphs_do_not_share_it(crew):
    made, workspace = stack(3, dropout=0.3), Workspace()
    set_execution(made, by(crew, workspace, None))
    x = torch.randn(400, 9, requires_grad=True)
    expected = torch.autograd.grad(trained_out(made, x), x)[0]
    a, b = trained_out(made, x), trained_out(made, 2 * x)
    b.backward(retain_graph=True)
    for _ in range(2):
        torch.testing.assert_close(torch.autograd.grad(a, x, retain_graph=True)[0], expected)
    del a, b
    held = {buffer.data_ptr() for buffer in workspace.free}
    for _ in range(3):
        trained_out(made, x).backward()
    assert {buffer.data_ptr() for buffer in workspace.free} == held


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
        set_execution(made, by(which, None, None))
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
        set_execution(made, by(which, Workspace(), None))
        own = x.clone().requires_grad_()
        made.zero_grad()
        made(own).square().sum().backward()
        results.append([own.grad, *(p.grad.clone() for p in made.parameters())])
    for expected, ours in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()) + 1e-6)


def test_table(crew):
    table, codes = Table(30, 5), torch.randint(30, (200, 4), dtype=torch.int32)
    table.execution = ByLoops(crew)
    out = table(codes)
    (out * torch.arange(5.0)).square().sum().backward()
    weight = table.weight.detach().clone().requires_grad_()
    (embedding(codes, weight) * torch.arange(5.0)).square().sum().backward()
    torch.testing.assert_close(table.weight.grad, weight.grad)


# ------------------------------------------------------------------------------------------------------------- the crew


def test_a_crew_does_each_piece_once_and_by_itself():
    crew, seen = Crew(3), []
    before = torch.get_num_threads()
    crew.each(lambda piece, worker: seen.append((piece, worker, torch.get_num_threads())), range(40), 10**6)
    assert sorted(piece for piece, *_ in seen) == list(range(40))
    assert {worker for _, worker, _ in seen} <= {0, 1, 2}
    assert {n for *_, n in seen} == {1}
    assert torch.get_num_threads() == before
    crew.close()
    assert threading.active_count() == 1 or not any("ThreadPool" in t.name for t in threading.enumerate())


def test_an_error_in_a_piece_is_raised():
    crew = Crew(2)

    def work(piece, worker):
        raise IndexError(f"piece {piece}")

    with pytest.raises(IndexError, match="piece"):
        crew.each(work, range(8), 10**6)
    crew.close()


def test_nobody_works_on_when_one_has_failed():
    crew, ended, failed = Crew(2), [], threading.Event()

    def work(piece, worker):
        if worker == 0:
            failed.set()
            raise KeyboardInterrupt
        failed.wait()
        ended.append(piece)

    with pytest.raises(KeyboardInterrupt):
        crew.each(work, range(8), 10**6)
    assert len(ended) <= 1  # that which was under way, and it is done
    crew.close()


@pytest.mark.parametrize(("rows", "width"), [(1, 3), (64, 10**6), (5000, 7), (2048, 130)])
def test_ranges_cover_all_rows(rows, width):
    ranges = ranges_of(rows, width)
    assert [i for start, stop in ranges for i in range(start, stop)] == list(range(rows))
