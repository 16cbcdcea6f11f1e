"""Decorators of scikit-learn for methods, typed so that a type checker still knows the signature of the method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sklearn.base import _fit_context
from sklearn.utils.metaestimators import available_if

F = TypeVar("F", bound=Callable[..., Any])


def checks_parameters(method: F) -> F:
    """Check the parameters of the estimator against their constraints before a method that fits."""
    return _fit_context(prefer_skip_nested_validation=True)(method)


def offered_if(check: Callable[[Any], bool]) -> Callable[[F], F]:
    """Offer a method only on estimators for which `check` returns True."""
    return available_if(check)
