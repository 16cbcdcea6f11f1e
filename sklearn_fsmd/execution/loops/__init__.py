"""Inner loops, compiled by numba: what torch does in a dozen passes through memory, in two or three.

Nothing here is imported before somebody asks :func:`available`, since numba takes its time: a fit, or a prediction for
many rows. Arrays are C-contiguous. Numbers are float32, or bfloat16, which numpy does not know and which go as int16:
the operands of products where a loop is called with `low`. Stacks are ``(n, B, O)``; `e0` to `e1` are the members
meant, and `c0` to `c1` the columns. No loop looks whether its arguments fit each other: that is the business of those
who call.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


@cache
def available() -> bool:
    """Whether there are compiled loops: numba, somewhere to keep its code, and the BLAS that they need.

    ``NUMBA_DISABLE_JIT=1`` says no.
    """
    try:
        from numba import config

        if config.DISABLE_JIT:
            return False
        from sklearn_fsmd.execution.loops import layers

        _forget_old_code(Path(layers.forward.stats.cache_path))
    except (ImportError, RuntimeError, OSError):  # RuntimeError where numba finds no folder that it may write to
        return False
    return True


def _forget_old_code(kept: Path) -> None:
    """Remove what was compiled from other sources.

    Numba looks whether the file of a function has changed, but not those of the functions that it calls.
    """
    sources = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    mark = kept / f"{hashlib.sha256(sources).hexdigest()[:16]}.sources"
    kept.mkdir(parents=True, exist_ok=True)
    try:
        mark.touch(exist_ok=False)  # of processes that begin together, one removes
    except FileExistsError:
        return
    for pattern in ("*.nbi", "*.nbc", "*.sources"):
        for path in set(kept.glob(pattern)) - {mark}:
            path.unlink(missing_ok=True)
