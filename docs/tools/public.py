"""The public names: the names in `__all__` of the package and of its public modules."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any, NamedTuple

import sklearn_fsmd


class Name(NamedTuple):
    """A public name of a module, and its value."""

    module: str
    name: str
    value: Any

    @property
    def path(self) -> str:
        return f"{self.module}.{self.name}"

    @property
    def kind(self) -> str:
        if inspect.isclass(self.value):
            return "class"
        return "function" if callable(self.value) else "data"

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return summary(self.value)


def summary(value: Any) -> str:
    """The first line of a docstring, without citations."""
    return re.sub(r" \[\w+\]_", "", (inspect.getdoc(value) or "").split("\n")[0])


def modules() -> list[str]:
    """The public modules, the package itself first."""
    return ["sklearn_fsmd", *(f"sklearn_fsmd.{name}" for name in sklearn_fsmd._MODULES)]


def names(module: str) -> list[Name]:
    """The names in `__all__` of a module."""
    imported = importlib.import_module(module)
    return [Name(module, name, getattr(imported, name)) for name in imported.__all__]


def all_names() -> list[Name]:
    return [name for module in modules() for name in names(module)]


def methods(cls: type) -> list[str]:
    """The public methods and properties of a class that this package defines, including inherited ones."""
    return [name for name in dir(cls) if not name.startswith("_") and _is_ours(cls, name) and _is_method(cls, name)]


def _is_ours(cls: type, name: str) -> bool:
    owner = next(base for base in cls.__mro__ if name in vars(base))
    return owner.__module__.split(".")[0] == "sklearn_fsmd"


def _is_method(cls: type, name: str) -> bool:
    """Whether a name is a method or a property, including methods with scikit-learn's `available_if`.

    The `set_…_request` methods are excluded: scikit-learn generates and describes them.
    """
    is_routine = inspect.isroutine(getattr(cls, name)) and not re.fullmatch(r"set_\w+_request", name)
    return is_routine or is_property(cls, name)


def is_property(cls: type, name: str) -> bool:
    return isinstance(inspect.getattr_static(cls, name), property)
