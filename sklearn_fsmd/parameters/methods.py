"""scikit-learn's decorators of methods, under which a type checker still sees the method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sklearn.base import _fit_context
from sklearn.utils.metaestimators import available_if

F = TypeVar("F", bound=Callable[..., Any])


def checks_parameters(method: F) -> F:
    """Let a method that learns look at the parameters of its estimator first, by their constraints."""
    return _fit_context(prefer_skip_nested_validation=True)(method)


def offered_if(check: Callable[[Any], bool]) -> Callable[[F], F]:
    """Let only those estimators have a method for which `check` holds."""
    return available_if(check)
