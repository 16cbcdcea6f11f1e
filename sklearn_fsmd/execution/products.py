"""Matrix products, by the fastest function of torch."""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sklearn_fsmd.execution import core

SMALL = 2**20
"""With fewer multiplications than this, ``torch.mm`` takes less time than the overhead of oneDNN."""


@cache
def onednn() -> Callable[..., Tensor] | None:
    """OneDNN's x·Wᵀ + b; None if ``torch.mm`` is faster, or if this torch does not have it.

    ``torch.mm`` uses MKL, which has no kernels for AMD processors; there oneDNN is up to twice as fast. On Intel
    processors MKL has less overhead, and does not copy a transposed first factor.
    """
    return None if torch.backends.mkl.is_available() and is_by_intel() else linear_pointwise()


def linear_pointwise() -> Callable[..., Tensor] | None:
    """``torch.ops.mkldnn._linear_pointwise``, which the compiler of torch uses; None if it is not available.

    It is private and may change, so one product is compared with the expected result.
    """
    try:
        operation: Any = torch.ops.mkldnn._linear_pointwise
        if not torch.backends.mkldnn.is_available():
            return None
        numbers = torch.arange(96, dtype=torch.float32, device="cpu")
        x, w = numbers.view(16, 6), numbers[:30].view(6, 5) - 10.0
        is_equal = torch.equal(operation(x, w.t(), w[0], "none", [], ""), torch.addmm(w[0], x, w))
    except (AttributeError, RuntimeError):
        return None
    return operation if is_equal else None


def is_by_intel() -> bool:
    """Whether the processor is by Intel; False if that is not known."""
    cpuinfo = Path("/proc/cpuinfo")  # on Linux; on Windows `platform` knows it
    return "GenuineIntel" in (cpuinfo.read_text() if cpuinfo.exists() else platform.processor())


def product(
    a: Tensor,
    b: Tensor,
    shift: Tensor | None = None,
    *,
    transposed: Tensor | None = None,
    into: Tensor | None = None,
) -> Tensor:
    """A·B plus `shift` in each row, for one member or several. In bfloat16 torch uses oneDNN by itself.

    `transposed` is Bᵀ, if the caller has it: oneDNN needs that.
    """
    linear = None if a.dim() == 3 or a.dtype != torch.float32 or _is_small(a, b) else onednn()
    out = into if linear is None and into is not None and into.dtype == a.dtype else None
    if linear is not None:
        if a.stride(1) != 1:  # oneDNN would copy it, with slower code
            a = core.transposed(a.t())
        result = linear(a, _dense(b.t() if transposed is None else transposed), shift, "none", [], "")
    elif a.dim() == 3:
        result = torch.bmm(a, b, out=out) if shift is None else torch.baddbmm(shift, a, b, out=out)
    else:
        result = torch.mm(a, b, out=out) if shift is None else torch.addmm(shift, a, b, out=out)
    return result if into is None or result is into else into.copy_(result)


def first_transposed(x: Tensor) -> Tensor:
    """The transpose of `x` as the first factor of several products; a copy for oneDNN, a view for ``torch.mm``."""
    return core.transposed(x) if x.dtype == torch.float32 and onednn() else x.mT


def _is_small(a: Tensor, b: Tensor) -> bool:
    return a.shape[0] * a.shape[1] * b.shape[1] < SMALL


def _dense(b: Tensor) -> Tensor:
    """`b` with adjacent rows: for other strides oneDNN falls back to code that is slower by orders of magnitude."""
    (row, column), (n, m) = b.stride(), b.shape
    return b if (row, column) in ((m, 1), (1, n)) else b.contiguous()
