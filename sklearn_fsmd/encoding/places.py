"""Where a target stands among others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def place_of(target: Any, names: Sequence[Any], kind: str = "target") -> int:
    """The position of a target, of those of some `kind`, that is given by its name or by that position.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if target in names:
        return names.index(target)
    if isinstance(target, (int, np.integer)) and not isinstance(target, bool) and 0 <= target < len(names):
        return int(target)
    raise ValueError(f"There is no {kind} {target!r}; the {kind}s are {list(names)}, or 0 to {len(names) - 1}.")
