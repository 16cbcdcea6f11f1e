"""Shallow copies of objects."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def shallow(original: T) -> T:
    """Copy an object, sharing its attributes; unlike ``copy.copy``, this ignores ``__getstate__`` and the like."""
    copied = object.__new__(type(original))
    copied.__dict__.update(original.__dict__)
    return copied
