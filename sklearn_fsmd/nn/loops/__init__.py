"""Training's inner loops, compiled by numba: what torch does in a dozen passes through memory, in two or three.

Nothing here is imported before a fit asks :func:`available`, since numba takes its time. All arrays are C-contiguous
float32 unless a name says `low`: that is bfloat16, which numpy does not know and which goes as int16. Stacks are
``(n, B, O)``; `e0` to `e1` are the members meant, and `c0` to `c1` the columns. No loop looks whether its arguments
fit each other: that is the business of those who call.
"""

from __future__ import annotations

from functools import cache


@cache
def available() -> bool:
    """Whether loops can be compiled: numba is there, ``NUMBA_DISABLE_JIT`` is not, and torch has the BLAS they need."""
    try:
        import numba

        from sklearn_fsmd.nn.loops import blas  # noqa: F401 (it looks for the routines)
    except ImportError:
        return False
    return not getattr(numba.config, "DISABLE_JIT", False)
