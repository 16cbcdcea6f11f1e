"""Calls of torch's BLAS from within compiled loops."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch
from llvmlite import binding
from numba import types

U32 = np.uint32

compile_ = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz"})
compile_sums = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})
"""Where a loop is a single sum, whose order is then the compiler's."""


def _library() -> ctypes.CDLL:
    """Torch's own BLAS: on x86, MKL, which has kernels for each processor.

    Raises
    ------
    ImportError
        If this build of torch does not show its routines.
    """
    for path in (Path(torch.__file__).parent / "lib").glob("*torch_cpu.*"):
        if path.suffix not in (".so", ".dylib", ".dll"):
            continue
        library = ctypes.CDLL(str(path))
        if all(hasattr(library, name) for name in ROUTINES.values()):
            return library
    raise ImportError(f"torch {torch.__version__} shows no {' and '.join(ROUTINES.values())}")


def is_slow_here() -> bool:
    """Whether MKL takes the processor for one of AMD's, for which it has no kernels in AVX-512."""
    return hasattr(_mkl, "mkl_serv_cpuiszen") and bool(_mkl.mkl_serv_cpuiszen())


ROUTINES = {"sgemm": "sgemm_", "gemm_bf16": "gemm_bf16bf16f32_"}
_mkl = _library()
# By a name, and not by their addresses, so that what is compiled can be kept for the next process.
for _name, _routine in ROUTINES.items():
    _address = ctypes.cast(getattr(_mkl, _routine), ctypes.c_void_p).value
    binding.add_symbol(f"sklearn_fsmd_{_name}", _address)
_signature = types.void(*[types.intp] * 13)
_sgemm: Any = types.ExternalFunction("sklearn_fsmd_sgemm", _signature)
_gemm_bf16: Any = types.ExternalFunction("sklearn_fsmd_gemm_bf16", _signature)


@compile_
def call_mkl(low, a, lda, ta, b, ldb, tb, c, ldc, m, n, k):
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
def round_to_bf16(bits, out):
    """Numbers given by their bits (uint32) as bfloat16: the nearest, ties to even; what is not a number stays so."""
    for j in range(len(bits)):  # every sum is said to have 32 bits, or numba takes 64
        u = bits[j]
        rounded = U32(u + U32(U32(0x7FFF) + U32(U32(u >> U32(16)) & U32(1)))) >> U32(16)
        out[j] = U32(0x7FC0) if U32(u & U32(0x7FFFFFFF)) > U32(0x7F800000) else U32(rounded)
