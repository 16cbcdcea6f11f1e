"""The compiled core at every instruction level of this processor: comparison with torch, and refused arguments."""

import ctypes
import math
from itertools import pairwise

import pytest
import torch

from sklearn_fsmd.execution import core
from sklearn_fsmd.network.seam import LayerSpec

LOAD = core.load
"""The original function, which tests replace."""


@pytest.fixture(params=core.LEVELS.get(torch.backends.cpu.get_cpu_capability(), ("any",)), autouse=True)
def level(request, monkeypatch):
    """Every instruction level of the processor; builds for lower levels run on it too."""
    library = ctypes.CDLL(core.find(core.file_name(request.param)))
    monkeypatch.setattr(core, "load", lambda: (core.declare(library), request.param))
    return request.param


def layer(n, rows, width, *, batch_norm=True, threshold=0, dtype=torch.float32, seed=0):
    keys = torch.Generator().manual_seed(seed)
    vectors = [torch.randn(n, width) for _ in range(4)]
    spec = LayerSpec(
        torch.zeros(n, 1, width),
        vectors[0],
        scale=vectors[1] if batch_norm else None,
        running_mean=vectors[2] if batch_norm else None,
        running_var=vectors[3].square() if batch_norm else None,
        eps=1e-5,
        momentum=0.1,
        threshold=threshold,
        stretch=256 / (256 - threshold),
        draw_keys=lambda n: torch.randint(2**31 - 1, (n, 2), generator=keys, dtype=torch.int32),
    )
    return spec, core.Layer(spec, rows, dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("width", [1, 7, 64, 300, 513])
def test_dropout_keeps_the_right_share_for_every_split_of_columns(width, dtype):
    """513 columns are three tiles. The random bytes of dropout depend only on the position."""
    rows, threshold = 400, 77
    z = torch.ones(rows, width, dtype=dtype)
    outs = []
    for cuts in ([0, width], [0, *[c for c in (16, 64) if c < width], width]):
        spec, layer_ = layer(2, rows, width, batch_norm=False, threshold=threshold, dtype=dtype)
        spec.bias.fill_(0.5)
        for e in range(2):
            for start, stop in pairwise(cuts):
                layer_.forward(slice(e, e + 1), slice(start, stop), z[:, start:stop])
        outs.append(layer_.out)
    assert torch.equal(*outs)
    kept = outs[0] != 0
    torch.testing.assert_close(
        outs[0][kept].float(), torch.full((int(kept.sum()),), 1.5 * spec.stretch), rtol=1e-2, atol=0
    )
    n = rows * width
    for e in range(2):
        deviation = (kept[e].double().mean() - (1 - threshold / 256)) / math.sqrt(0.21 / n)
        assert abs(deviation) < 4
    both_kept = (kept[0] & kept[1]).double().mean().item()
    assert abs(both_kept - (1 - threshold / 256) ** 2) < 4 * math.sqrt(0.25 / n)


def test_neighbouring_units_are_dropped_independently():
    spec, layer_ = layer(1, 512, 256, batch_norm=False, threshold=128)
    spec.bias.fill_(1.0)
    layer_.forward(slice(0, 1), slice(0, 256), torch.zeros(512, 256))
    x = (layer_.out[0] != 0).double() - 0.5
    for down, right in ((0, 1), (0, 4), (1, 0), (1, 1), (64, 0), (0, 64)):
        a, b = x[: 512 - down, : 256 - right], x[down:, right:]
        assert abs((a * b).mean().item()) < 4 * 0.25 / math.sqrt(a.numel())
    assert (x.mean(0).abs() < 5 * 0.5 / math.sqrt(512)).all()
    assert (x.mean(1).abs() < 5 * 0.5 / math.sqrt(256)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize(("rows", "width"), [(2, 1), (31, 7), (64, 300)])
def test_a_layer_equals_that_of_torch(rows, width, batch_norm, dtype):
    spec, layer_ = layer(2, rows, width, batch_norm=batch_norm, dtype=dtype)
    tolerance = {"rtol": 2e-2, "atol": 5e-2} if dtype == torch.bfloat16 else {"rtol": 1e-3, "atol": 1e-4}
    for e in range(2):
        z, g = (torch.randn(rows, width + 3)[:, :width].to(dtype) for _ in range(2))
        d = torch.full((rows, width), torch.nan, dtype=dtype)
        exact = z.double().requires_grad_()
        vectors = [None if x is None else x[e].double().requires_grad_() for x in (spec.bias, spec.scale)]
        if batch_norm:
            var, mean = torch.var_mean(exact, 0, correction=0)
            y = (exact - mean) / (var + spec.eps).sqrt() * vectors[1] + vectors[0]
            expected_mean = spec.running_mean[e] * 0.9 + 0.1 * mean.float()
            expected_var = spec.running_var[e] * 0.9 + 0.1 * var.float() * rows / (rows - 1)
        else:
            y = exact + vectors[0]
        expected = y.relu()
        expected.backward(g.double())
        layer_.forward(slice(e, e + 1), slice(0, width), z)
        torch.testing.assert_close(layer_.out[e].double(), expected, **tolerance)
        if batch_norm:
            torch.testing.assert_close(spec.running_mean[e], expected_mean.detach())
            torch.testing.assert_close(spec.running_var[e], expected_var.detach())
        gradients = layer_.new_gradients()
        layer_.backward(slice(e, e + 1), slice(0, width), z, g, d)
        if rows > 2:  # batch norm turns two rows into signs, whose gradient is nearly 0 / 0
            torch.testing.assert_close(d.double(), exact.grad, **tolerance)
            for found, vector in zip(gradients, vectors, strict=False):
                torch.testing.assert_close(
                    found[e].double(), vector.grad, rtol=2e-2, atol=0.3 if dtype == torch.bfloat16 else 1e-3
                )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_members_in_one_call_equal_separate_calls(batch_norm, dtype):
    n, rows, width = 4, 37, 300
    z, g = torch.randn(2, n, rows, width).to(dtype)
    weights, grads = torch.rand(rows, 2, n), torch.randn(rows, 2, width)

    def results_of(calls):
        torch.manual_seed(0)
        spec, layer_ = layer(n, rows, width, batch_norm=batch_norm, threshold=77, dtype=dtype)
        gradients, d = layer_.new_gradients(), torch.empty_like(z)
        for members in calls:
            where = members.start if members.stop - members.start == 1 else members
            layer_.forward(members, slice(0, width), z[where])
            layer_.backward(members, slice(0, width), z[where], g[where], d[where])
        outputs = [core.mix_to_outputs(weights, grads, members, dtype).view(-1, width) for members in calls]
        return [layer_.out, d, torch.cat(outputs), *gradients, *(spec.running_mean, spec.running_var) * batch_norm]

    found, expected = results_of([slice(0, 1), slice(1, 4)]), results_of([slice(e, e + 1) for e in range(n)])
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_rounds_to_bfloat16_as_torch_does():
    x = torch.cat(
        (torch.randn(1000) * 10 ** torch.randn(1000), torch.tensor([0.0, torch.inf, 1.00390625, 3e38, 1e-40]))
    )
    x = x.abs().unsqueeze(0)
    weights = torch.ones(1, 1, 1)
    found = core.mix_to_outputs(weights, x.unsqueeze(1), slice(0, 1), torch.bfloat16)
    assert torch.equal(found, x.to(torch.bfloat16))
    assert core.mix_to_outputs(weights, torch.full((1, 1, 3), torch.nan), slice(0, 1), torch.bfloat16).isnan().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("width", [1, 17, 300])
def test_mixtures_and_their_gradients_equal_torch(width, dtype):
    rows, n_gates, n = 40, 3, 5
    weights, outs = torch.rand(rows, n_gates, n), torch.randn(n, rows, width).to(dtype)
    weights[:, 1, 2] = 0.0
    grads = torch.randn(rows, n_gates, width)
    mixed, grad_weights = torch.empty(rows, n_gates, width), torch.empty(rows, n_gates, n)
    for part in (slice(0, 13), slice(13, 40)):
        core.mix(weights, outs, mixed, part)
        core.mix_to_weights(grads, outs, grad_weights, part)
    torch.testing.assert_close(mixed, torch.einsum("bge,ebh->bgh", weights, outs.float()), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(grad_weights, torch.einsum("bgh,ebh->bge", grads, outs.float()), rtol=1e-4, atol=1e-4)
    for e in range(n):
        expected = torch.einsum("bg,bgh->bh", weights[:, :, e], grads)
        torch.testing.assert_close(core.mix_to_outputs(weights, grads, slice(e, e + 1), torch.float32), expected)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_scatter_add_equals_torch(dtype):
    codes, grads, table = torch.randint(9, (50, 4), dtype=dtype), torch.randn(50, 4, 3), torch.randn(9, 3)
    expected = table.index_add(0, codes.flatten(), grads.flatten(0, 1))
    core.scatter_add(codes, grads, table)
    torch.testing.assert_close(table, expected)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (16, 32), (33, 50), (100, 16)])
def test_transpose_equals_torch(rows, columns):
    x = torch.randn(rows, columns + 2)[:, :columns]
    assert torch.equal(core.transposed(x), x.t())


def test_transposes_matrices_that_are_not_dense():
    for x in (torch.randn(6, 8)[:, ::2], torch.randn(4).expand(6, 4), torch.randn(4, 6).t()):
        assert torch.equal(core.transposed(x), x.t())


def test_a_library_with_other_structs_is_refused(monkeypatch):
    class Older(ctypes.Structure):
        _fields_ = core._Layer._fields_[:-1]

    monkeypatch.setattr(core, "_Layer", Older)
    with pytest.raises(core.CoreMissingError, match="of another version: install the package again"):
        core.declare(core.load()[0])


@pytest.mark.parametrize("content", [b"", b"not a library"], ids=["empty", "text"])
def test_a_library_that_cannot_be_loaded_counts_as_missing(content, tmp_path, monkeypatch):
    (tmp_path / "core").write_bytes(content)
    monkeypatch.setattr(core, "find", lambda name: str(tmp_path / "core"))
    with pytest.raises(core.CoreMissingError, match="the compiled core cannot be loaded"):
        LOAD.__wrapped__()


def test_a_library_with_other_signatures_is_refused(monkeypatch):
    """The structs may be equal, but an additional argument would be treated as an address."""
    monkeypatch.setattr(core, "VERSION", core.VERSION - 1)
    with pytest.raises(core.CoreMissingError, match="of another version"):
        core.declare(core.load()[0])


def test_a_library_without_a_layout_is_refused():
    with pytest.raises(core.CoreMissingError, match="of another version"):
        core.declare(object())


def test_tensors_are_on_the_cpu_whatever_the_default_device():
    with torch.device("meta"):
        assert core.room(3).device.type == "cpu"
        _, layer_ = layer_on_cpu()
    assert layer_.out.device.type == "cpu"


def layer_on_cpu():
    with torch.device("cpu"):
        spec = layer(2, 5, 8)[0]
    return spec, core.Layer(spec, 5, torch.float32)


REFUSED = {
    "an unsupported type": lambda: layer(2, 5, 8, dtype=torch.float16),
    "another shape": lambda: core.address(torch.zeros(2, 3), (3, 2)),
    "another type": lambda: core.address(torch.zeros(2, 3, dtype=torch.float64), (2, 3)),
    "not contiguous": lambda: core.address(torch.zeros(3, 2).t(), (2, 3)),
    "rows that are not dense": lambda: core.matrix(torch.zeros(3, 2).t(), (2, 3), torch.float32),
    "rows that overlap": lambda: core.matrix(torch.zeros(3).expand(2, 3), (2, 3), torch.float32),
    "three dimensions": lambda: core.matrix(torch.zeros(2, 3, 1), (2, 3), torch.float32),
    "a member beyond the last": lambda: layer(2, 5, 8)[1].forward(slice(2, 3), slice(0, 8), torch.zeros(5, 8)),
    "a matrix for two members": lambda: layer(2, 5, 8)[1].forward(slice(0, 2), slice(0, 8), torch.zeros(5, 8)),
    "some columns of two members": lambda: layer(2, 5, 8)[1].forward(
        slice(0, 2), slice(0, 4), torch.zeros(2, 5, 8)[..., :4]
    ),
    "columns beyond the last": lambda: layer(2, 5, 8)[1].forward(slice(0, 1), slice(4, 12), torch.zeros(5, 8)),
    "columns that start within a word": lambda: layer(2, 5, 8)[1].forward(slice(0, 1), slice(2, 8), torch.zeros(5, 6)),
    "too few rows": lambda: layer(2, 5, 8)[1].forward(slice(0, 1), slice(0, 8), torch.zeros(4, 8)),
    "z in another type": lambda: layer(2, 5, 8)[1].forward(slice(0, 1), slice(0, 8), torch.zeros(5, 8).bfloat16()),
    "rows of a mixture beyond the last": lambda: core.mix(
        torch.zeros(3, 1, 2), torch.zeros(2, 3, 4), torch.zeros(3, 1, 4), slice(0, 4)
    ),
    "an expert beyond the last": lambda: core.mix_to_outputs(
        torch.zeros(3, 1, 2), torch.zeros(3, 1, 4), slice(2, 3), torch.float32
    ),
    "weights of more experts": lambda: core.mix(
        torch.zeros(3, 1, 3), torch.zeros(2, 3, 4), torch.zeros(3, 1, 4), slice(0, 3)
    ),
    "a code beyond the table": lambda: core.scatter_add(torch.tensor([[9]]), torch.zeros(1, 1, 3), torch.zeros(9, 3)),
    "a negative code": lambda: core.scatter_add(torch.tensor([[-1]]), torch.zeros(1, 1, 3), torch.zeros(9, 3)),
    "a moment of another shape": lambda: core.adam_pieces(
        core.Adam(), [torch.zeros(3), torch.zeros(3), torch.zeros(3), torch.zeros(4)], None, 100
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_invalid_arguments_are_refused_before_any_address_is_used(case):
    with pytest.raises((ValueError, KeyError), match=r"expected a|there (are|is) no|there are codes|float16"):
        REFUSED[case]()
