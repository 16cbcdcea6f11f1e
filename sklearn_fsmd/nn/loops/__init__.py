"""Training's inner loops, compiled by numba: what torch does in a dozen passes through memory, in two or three.

Nothing here is imported before a fit asks :func:`available`, since numba takes its time. All arrays are C-contiguous
float32 unless a name says `low`: that is bfloat16, which numpy does not know and which goes as int16. Stacks are
``(n, B, O)``; `e0` to `e1` are the members meant, and `c0` to `c1` the columns. No loop looks whether its arguments
fit each other: that is the business of those who call.
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
        from sklearn_fsmd.nn.loops import layers
    except (ImportError, RuntimeError):  # the latter where numba finds no folder that it may write to
        return False
    _forget_old_code(Path(layers.forward.stats.cache_path))
    return True


def _forget_old_code(kept: Path) -> None:
    """Remove what was compiled from other sources.

    Numba looks whether the file of a function has changed, but not those of the functions that it calls.
    """
    sources = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    mark = kept / f"{hashlib.sha256(sources).hexdigest()[:16]}.sources"
    if mark.exists():
        return
    for pattern in ("*.nbi", "*.nbc", "*.sources"):
        for path in kept.glob(pattern):
            path.unlink(missing_ok=True)
    kept.mkdir(parents=True, exist_ok=True)
    mark.touch()
