"""A decorator that creates and documents constructors, so that a dozen classes share one list of parameters."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import reduce
from numbers import Integral
from typing import Any, TypeVar, dataclass_transform

from sklearn.utils._param_validation import StrOptions

T = TypeVar("T")
OPTIONS = r"""(?:'[^']*'|"[^"]*"|None)"""
LITERAL = re.compile(
    rf"(?P<none>None \| |(?:\w+\.)?Optional\[)?(?:\w+\.)?Literal\[(?P<options>{OPTIONS}(?:, {OPTIONS})*)\]\]?"
    r"(?P<or_none> \| None)?"
)
"""An annotation ``Literal[…]`` of strings: as in the source, or as Python prints the type."""


@dataclass_transform(kw_only_default=True, eq_default=False)
def estimator(cls: type[T]) -> type[T]:
    """Turn the annotated fields of `cls` into keyword-only constructor parameters.

    A type ``Literal["a", "b"]`` of strings, with or without ``| None``, becomes a constraint, unless
    `_parameter_constraints` of the class has one for the parameter.

    A subclass inherits the parameters of its parent, their constraints and their documentation. If it declares a
    parameter as a ``ClassVar``, the parameter becomes a constant of the class.
    """
    parents = [base for base in cls.__bases__ if is_dataclass(base)]
    if not hasattr(cls, "__post_init__"):
        cls.__post_init__ = _refuse_undeclared  # type: ignore[attr-defined]
    own_doc = inspect.cleandoc(cls.__dict__.get("__doc__") or "")
    result = dataclass(kw_only=True, eq=False, repr=False)(cls)
    names = [field.name for field in fields(result)]  # type: ignore[arg-type]
    constraints: dict[str, Any] = {}
    for base in reversed(result.__mro__):
        constraints |= _literal_constraints(base) | base.__dict__.get("_parameter_constraints", {})
    result._parameter_constraints = {  # type: ignore[attr-defined]
        name: constraint for name, constraint in constraints.items() if name in names
    }
    docs = [_inherited_doc(cls, parent) for parent in parents]
    result.__doc__ = reduce(lambda doc, parent: merge_docs(doc, parent, names), docs or [""], own_doc)
    inherited = {field.name for parent in parents for field in fields(parent)}
    for name in inspect.get_annotations(cls).keys() & set(names) & inherited:  # the class changes the default
        default = f"default={getattr(result, name)!r}".replace("\\", r"\\")
        result.__doc__ = re.sub(rf"^({name} : .*)default=.*$", rf"\g<1>{default}", result.__doc__, flags=re.MULTILINE)
    return result


def _literal_constraints(cls: type) -> dict[str, Any]:
    """Constraints of the parameters whose type is a ``Literal`` of strings, with or without None."""
    constraints = {}
    for name, annotation in inspect.get_annotations(cls).items():
        if match := LITERAL.fullmatch(str(annotation)):
            options = set(ast.literal_eval(f"[{match['options']}]"))
            or_none = [None] if match["none"] or match["or_none"] or None in options else []
            constraints[name] = [StrOptions(options - {None}), *or_none]
    return constraints


def group_of(group: type[T], values: Mapping[str, Any]) -> T:
    """An instance of `group` with the values of its parameters; `values` may contain others too."""
    return group(**{field.name: values[field.name] for field in fields(group)})  # type: ignore[arg-type]


def check_widths(p: object, *names: str) -> None:
    """Raise unless the parameters `names` of `p` are sequences of layer widths; scikit-learn has no such constraint."""
    for name in names:
        widths = getattr(p, name)
        if not all(isinstance(width, Integral) and not isinstance(width, bool) and int(width) >= 1 for width in widths):
            raise ValueError(
                f"The {name!r} parameter of {type(p).__name__} must be a tuple of int in the range [1, inf). "
                f"Got {widths!r} instead."
            )


def _refuse_undeclared(p: Any) -> None:
    """Raise if a class changes a default without declaring the parameter: the inherited default would stay in force."""
    names = {field.name for field in fields(p)}
    for cls in type(p).__mro__:
        attributes = vars(cls)
        declared = inspect.get_annotations(cls) if "__dataclass_fields__" in attributes else {}
        if undeclared := sorted(names & attributes.keys() - declared.keys()):
            name = undeclared[0]
            raise TypeError(
                f"{cls.__name__} sets the parameter {name!r} without declaring it, which has no effect. Declare it "
                f"with a type, `{name}: … = …`, and decorate the class with `estimator` of sklearn_fsmd.parameters."
            )
        names -= declared.keys()


def merge_docs(own: str, parent: str, names: Sequence[str]) -> str:
    """The docstring `own`, with the sections of `parent` that it lacks.

    Parameters and references of both docstrings are combined. Only the parameters in `names` are kept, in that order.
    """
    own_sections, parent_sections = _sections(own), _sections(parent)
    order = [*parent_sections, *(title for title in own_sections if title not in parent_sections)]
    parts = [own_sections.get("", "").rstrip()]
    for title in order:
        if not title or (title not in own_sections and title == "See Also"):
            continue
        body = own_sections.get(title) or parent_sections[title]
        if title == "References" and title in own_sections and title in parent_sections:
            body = parent_sections[title].rstrip() + "\n" + own_sections[title]
        if title == "Parameters":
            entries = _entries(own_sections.get(title, "")) + _entries(parent_sections.get(title, ""))
            by_name = {_name_of(entry): entry.rstrip() for entry in reversed(entries)}
            body = "\n".join(by_name[name] for name in names if name in by_name)
        parts.append(f"{title}\n{'-' * len(title)}\n{body.rstrip()}")
    return "\n\n".join(parts) + "\n"


def _inherited_doc(cls: type, parent: type) -> str:
    """The docstring of `parent`; its example uses `cls`, and is left out if `cls` is in another package.

    The example imports its class from the package of `parent`.
    """
    before, title, example = (inspect.getdoc(parent) or "").partition("Examples\n--------\n")
    package, package_of_parent = (one.__module__.partition(".")[0] for one in (cls, parent))
    if package != package_of_parent:
        return before
    return before + title + example.replace(parent.__name__, cls.__name__)


def _sections(doc: str) -> dict[str, str]:
    """Split a numpydoc docstring into {title: body}; the text before the first section has the title ''."""
    pieces = re.split(r"^(\w[\w ]*)\n-{3,}\n", doc, flags=re.MULTILINE)
    return {"": pieces[0], **dict(zip(pieces[1::2], pieces[2::2], strict=True))}


def _entries(body: str) -> list[str]:
    """Split a section into entries: a line that is not indented, and the indented lines below it."""
    return re.findall(r"^\S.*\n(?:(?:[ \t]+.*)?\n|[ \t]+.*$)*", body.rstrip() + "\n\n", flags=re.MULTILINE)


def _name_of(entry: str) -> str:
    return entry.split(":", 1)[0].strip()
