"""Matrix products for every memory layout of the factors, compared with numpy."""

import platform
from pathlib import Path

import numpy as np
import pytest
import torch

from sklearn_fsmd.execution.products import SMALL, is_by_intel, linear_pointwise, onednn, product

LARGE = (130, 257, 100)
"""A shape with more multiplications than SMALL."""
LAYOUTS = {
    "dense": lambda x: x,
    "transposed": lambda x: x.t().contiguous().t(),
    "with gaps": lambda x: torch.cat((x, torch.full_like(x, torch.nan)), dim=1)[:, : x.shape[1]],
    "transposed with gaps": lambda x: torch.cat((x, torch.full_like(x, torch.nan))).t().contiguous().t()[: len(x)],
}


@pytest.mark.usefixtures("multiplied_by")
@pytest.mark.parametrize("shape", [(3, 4, 5), LARGE])
@pytest.mark.parametrize("layout_b", LAYOUTS)
@pytest.mark.parametrize("layout_a", LAYOUTS)
def test_products_equal_numpy_for_every_layout(layout_a, layout_b, shape):
    m, n, k = shape
    assert (m * n * k >= SMALL) == (shape == LARGE)
    a, b, shift = torch.randn(m, k), torch.randn(k, n), torch.randn(n)
    expected = a.double().numpy() @ b.double().numpy()
    a, b = LAYOUTS[layout_a](a), LAYOUTS[layout_b](b)
    np.testing.assert_allclose(product(a, b), expected, atol=1e-4)
    np.testing.assert_allclose(product(a, b, transposed=b.t()), expected, atol=1e-4)
    np.testing.assert_allclose(product(a, b, shift), expected + shift.double().numpy(), atol=1e-4)
    for into in (torch.empty(m, n), torch.empty(m, 2 * n)[:, :n], torch.empty(n, m).t()):
        assert product(a, b, into=into) is into
        np.testing.assert_allclose(into, expected, atol=1e-4)
        product(a, b, shift, into=into)
        np.testing.assert_allclose(into, expected + shift.double().numpy(), atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_of_several_members_equal_torch(dtype):
    a, b, shift = torch.randn(3, 20, 9).to(dtype), torch.randn(3, 9, 4).to(dtype), torch.randn(4).to(dtype)
    expected = a.float() @ b.float()
    into = torch.empty(3, 20, 4)
    assert product(a, b, into=into) is into
    for found in (into, product(a, b), product(a, b, shift) - shift):
        torch.testing.assert_close(found.float(), expected, rtol=0.02, atol=0.1 if dtype == torch.bfloat16 else 1e-4)


def test_products_of_bfloat16_are_bfloat16():
    a, b = torch.randn(200, 90).bfloat16(), torch.randn(90, 70).bfloat16()
    found = product(a.t().contiguous().t(), b)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), a.float() @ b.float(), rtol=0.02, atol=0.1)


@pytest.mark.usefixtures("multiplied_by")
def test_no_layout_falls_back_to_slow_code():
    """OneDNN supports every layout, but it is a thousand times slower if the rows of B are not adjacent."""
    import time

    a, b = torch.randn(256, 256), torch.randn(256, 256)

    def seconds(b):
        product(a, b)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            product(a, b)
            times.append(time.perf_counter() - start)
        return min(times)

    assert all(seconds(layout_b(b)) < 30 * seconds(b) for layout_b in LAYOUTS.values())


@pytest.mark.parametrize("broken", ["missing", "raises", "wrong"])
def test_an_unusable_operation_of_torch_is_not_used(broken, monkeypatch):
    class Operations:
        @staticmethod
        def _linear_pointwise(x, w, b, *rest):
            if broken == "raises":
                raise RuntimeError("expected 7 arguments")
            return x @ w.t()  # without the bias

    if broken == "missing":
        del Operations._linear_pointwise
    monkeypatch.setattr(torch.ops, "mkldnn", Operations)
    assert linear_pointwise() is None


@pytest.mark.parametrize(
    ("maker", "mkl", "uses_onednn"),
    [("GenuineIntel", True, False), ("GenuineIntel", False, True), ("AuthenticAMD", True, True)],
)
def test_mkl_multiplies_on_intel_processors_only(maker, mkl, uses_onednn, monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda path: False)  # there is no /proc/cpuinfo, as on Windows
    monkeypatch.setattr(platform, "processor", lambda: f"Intel64 Family 6 Model 154 Stepping 3, {maker}")
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: mkl)
    assert (onednn.__wrapped__() is not None) == uses_onednn


def test_on_linux_the_maker_is_read_from_cpuinfo(monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda path: True)
    monkeypatch.setattr(Path, "read_text", lambda path: "processor\t: 0\nvendor_id\t: GenuineIntel\n")
    assert is_by_intel()
    monkeypatch.setattr(Path, "read_text", lambda path: "processor\t: 0\nvendor_id\t: AuthenticAMD\n")
    assert not is_by_intel()
