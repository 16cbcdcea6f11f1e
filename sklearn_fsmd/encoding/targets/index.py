"""Index of a target that is given by name or position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def index_of_target(target: Any, names: Sequence[Any], kind: str = "target") -> int:
    """Return the index of a target that is given by name or position; `kind` is what error messages call it.

    Raises
    ------
    ValueError
        If there is no such target.
    """
    if target in names:
        return names.index(target)
    if isinstance(target, (int, np.integer)) and not isinstance(target, bool) and 0 <= target < len(names):
        return int(target)
    raise ValueError(f"There is no {kind} {target!r}; the {kind}s are {list(names)}, or 0 to {len(names) - 1}.")
