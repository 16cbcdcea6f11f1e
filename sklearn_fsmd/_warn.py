"""Warnings that point at the line of the user which they are about."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import joblib
import sklearn

INSIDE = tuple(str(Path(file).parent) for file in (__file__, sklearn.__file__, joblib.__file__))


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn of what a caller has done who is outside of this library, and of scikit-learn and its joblib."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(INSIDE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level + 1)
