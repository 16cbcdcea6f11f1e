"""Products of matrices, by the fastest that torch has for them."""

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
"""With fewer multiplications than this, ``torch.mm`` is done before oneDNN has begun."""


@cache
def onednn() -> Callable[..., Tensor] | None:
    """OneDNN's x·Wᵀ + b; None where ``torch.mm`` is the faster one, or torch has no other.

    ``torch.mm`` is MKL's. It has no kernels for AMD's processors, on which oneDNN is up to twice as fast. On Intel's it
    begins sooner, and reads a transposed first factor as it is.
    """
    return None if torch.backends.mkl.is_available() and is_by_intel() else linear_pointwise()


def linear_pointwise() -> Callable[..., Tensor] | None:
    """``torch.ops.mkldnn._linear_pointwise``, which torch's own compiler calls; None where torch has it not.

    It is private. So it is looked for, and one product is compared.
    """
    try:
        operation: Any = torch.ops.mkldnn._linear_pointwise
        if not torch.backends.mkldnn.is_available():
            return None
        numbers = torch.arange(96, dtype=torch.float32, device="cpu")
        x, w = numbers.view(16, 6), numbers[:30].view(6, 5) - 10.0
        right = torch.equal(operation(x, w.t(), w[0], "none", [], ""), torch.addmm(w[0], x, w))
    except (AttributeError, RuntimeError):
        return None
    return operation if right else None


def is_by_intel() -> bool:
    """Whether Intel made the processor; False where the system does not say."""
    said = Path("/proc/cpuinfo")  # of Linux; Windows tells Python
    return "GenuineIntel" in (said.read_text() if said.exists() else platform.processor())


def product(
    a: Tensor,
    b: Tensor,
    shift: Tensor | None = None,
    *,
    transposed: Tensor | None = None,
    into: Tensor | None = None,
) -> Tensor:
    """A·B, to whose rows `shift` is added; or those of several members. In bfloat16 torch goes to oneDNN by itself.

    `transposed` is Bᵀ, where it is at hand: oneDNN reads that.
    """
    linear = None if a.dim() == 3 or a.dtype != torch.float32 or _is_small(a, b) else onednn()
    out = into if linear is None and into is not None and into.dtype == a.dtype else None
    if linear is not None:
        if a.stride(1) != 1:  # it would be copied, by slower code
            a = core.transposed(a.t())
        made = linear(a, _dense(b.t() if transposed is None else transposed), shift, "none", [], "")
    elif a.dim() == 3:
        made = torch.bmm(a, b, out=out) if shift is None else torch.baddbmm(shift, a, b, out=out)
    else:
        made = torch.mm(a, b, out=out) if shift is None else torch.addmm(shift, a, b, out=out)
    return made if into is None or made is into else into.copy_(made)


def first_transposed(x: Tensor) -> Tensor:
    """The transpose of x as the first factor of several products; ``torch.mm`` needs no copy."""
    return core.transposed(x) if x.dtype == torch.float32 and onednn() else x.mT


def _is_small(a: Tensor, b: Tensor) -> bool:
    return a.shape[0] * a.shape[1] * b.shape[1] < SMALL


def _dense(b: Tensor) -> Tensor:
    """`b` without gaps: with gaps between its rows oneDNN falls back to code that is slower by orders of magnitude."""
    (row, column), (n, m) = b.stride(), b.shape
    return b if (row, column) in ((m, 1), (1, n)) else b.contiguous()
