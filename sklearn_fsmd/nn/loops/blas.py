"""Products of matrices from within compiled loops, by the BLAS of torch."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch
from llvmlite import binding
from numba import types

compile_ = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz"})
compile_sums = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})
"""Where a loop is a single sum, whose order is then the compiler's."""


def _addresses(*names: str) -> list[int]:
    """Where routines of torch's own BLAS are: on x86, MKL's, which have kernels for each processor.

    Raises
    ------
    ImportError
        If this build of torch does not show them.
    """
    for path in (Path(torch.__file__).parent / "lib").glob("*torch_cpu.*"):
        library = ctypes.CDLL(str(path))
        found = [ctypes.cast(getattr(library, name), ctypes.c_void_p).value for name in names if hasattr(library, name)]
        if len(found) == len(names):
            return [address for address in found if address is not None]
    raise ImportError(f"torch {torch.__version__} shows no {' and '.join(names)}")


# By a name, and not by their addresses, so that what is compiled can be kept for the next process.
for _name, _address in zip(("sgemm", "gemm_bf16"), _addresses("sgemm_", "gemm_bf16bf16f32_"), strict=True):
    binding.add_symbol(f"sklearn_fsmd_{_name}", _address)
_signature = types.void(*[types.intp] * 13)
_sgemm: Any = types.ExternalFunction("sklearn_fsmd_sgemm", _signature)
_gemm_bf16: Any = types.ExternalFunction("sklearn_fsmd_gemm_bf16", _signature)


@compile_
def multiply(low, a, lda, ta, b, ldb, tb, c, ldc, m, n, k):
    """C (m, n) = A·B of row-major matrices at these addresses; A and B are kept transposed if `ta`, `tb`.

    `lda` and so on are the numbers from a row to the next. With `low`, A and B are bfloat16, and C is float32.

    Fortran's matrices are column-major: there it is Cᵀ = Bᵀ·Aᵀ. All arguments are passed by address.
    """
    sizes = np.array([n, m, k, ldb, lda, ldc], dtype=np.int32)
    factors = np.array([1.0, 0.0], dtype=np.float32)
    letters = np.array([84 if tb else 78, 84 if ta else 78], dtype=np.uint8)  # "T" or "N"
    i, f, t = sizes.ctypes.data, factors.ctypes.data, letters.ctypes.data
    if low:
        _gemm_bf16(t, t + 1, i, i + 4, i + 8, f, b, i + 12, a, i + 16, f + 4, c, i + 20)
    else:
        _sgemm(t, t + 1, i, i + 4, i + 8, f, b, i + 12, a, i + 16, f + 4, c, i + 20)
    return sizes[0] + factors[0] + letters[0]  # they have to live as long as the call


@compile_
def round_to_bf16(x, out):
    """`x` as bfloat16, to the nearest, ties to even; what is not a number stays so."""
    bits = x.view(np.uint32)
    for j in range(len(x)):
        u = bits[j]
        rounded = (u + np.uint32(0x7FFF) + ((u >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
        out[j] = np.uint32(0x7FC0) if (u & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000) else rounded
