"""Warnings that point to the line in the code of the user."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from pathlib import Path

import joblib
import sklearn

PACKAGE = Path(__file__).parent.parent
INSIDE = tuple(f"{path}{os.sep}" for path in (PACKAGE, Path(sklearn.__file__).parent, Path(joblib.__file__).parent))
INSIDE += (contextlib.__file__,)  # frames of `with` and of decorators


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn, with the first caller outside of this package, scikit-learn and joblib as the source of the warning."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(INSIDE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level + 1)
