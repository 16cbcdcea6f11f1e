"""Objects that share all that they hold."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def shallow(original: T) -> T:
    """Another object with the same attributes, which can be exchanged; how it is pickled has no say."""
    made = object.__new__(type(original))
    made.__dict__.update(original.__dict__)
    return made
