"""One list of parameters for a dozen classes: a decorator that makes and documents constructors."""

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
"""A type as it is written, or as Python shows it."""


@dataclass_transform(kw_only_default=True, eq_default=False)
def estimator(cls: type[T]) -> type[T]:
    """Turn the annotated fields of `cls` into keyword-only constructor parameters.

    The type ``Literal["a", "b"]``, of strings, with or without ``| None``, is a constraint, unless the class has
    another one in `_parameter_constraints`.

    A subclass inherits its parent's parameters, their constraints and their documentation. One that declares a
    parameter as a ``ClassVar`` fixes it: it is a constant of the class then, and no parameter.
    """
    parents = [base for base in cls.__bases__ if is_dataclass(base)]
    if not hasattr(cls, "__post_init__"):
        cls.__post_init__ = _refuse_undeclared  # type: ignore[attr-defined]
    own_doc = inspect.cleandoc(cls.__dict__.get("__doc__") or "")
    made = dataclass(kw_only=True, eq=False, repr=False)(cls)
    names = [field.name for field in fields(made)]  # type: ignore[arg-type]
    constraints: dict[str, Any] = {}
    for base in reversed(made.__mro__):
        constraints |= _options_of(base) | base.__dict__.get("_parameter_constraints", {})
    made._parameter_constraints = {name: c for name, c in constraints.items() if name in names}  # type: ignore[attr-defined]
    docs = [_inherited_doc(cls, parent) for parent in parents]
    made.__doc__ = reduce(lambda doc, parent: merge_docs(doc, parent, names), docs or [""], own_doc)
    inherited = {field.name for parent in parents for field in fields(parent)}
    for name in cls.__annotations__.keys() & set(names) & inherited:  # a default of its own
        default = f"default={getattr(made, name)!r}".replace("\\", r"\\")
        made.__doc__ = re.sub(rf"^({name} : .*)default=.*$", rf"\g<1>{default}", made.__doc__, flags=re.MULTILINE)
    return made


def _options_of(cls: type) -> dict[str, Any]:
    """The constraints of those parameters whose types name the strings that they may be, and perhaps None."""
    constraints = {}
    for name, annotation in inspect.get_annotations(cls).items():
        if found := LITERAL.fullmatch(str(annotation)):
            options = set(ast.literal_eval(f"[{found['options']}]"))
            or_none = [None] if found["none"] or found["or_none"] or None in options else []
            constraints[name] = [StrOptions(options - {None}), *or_none]
    return constraints


def group_of(group: type[T], values: Mapping[str, Any]) -> T:
    """The parameters of `group` by their values, of which there may be others."""
    return group(**{field.name: values[field.name] for field in fields(group)})  # type: ignore[arg-type]


def check_widths(p: object, *names: str) -> None:
    """Raise unless the parameters `names` of `p` are widths of layers; scikit-learn has no constraint for that."""
    for name in names:
        widths = getattr(p, name)
        if not all(isinstance(width, Integral) and not isinstance(width, bool) and int(width) >= 1 for width in widths):
            raise ValueError(
                f"The {name!r} parameter of {type(p).__name__} must be a tuple of int in the range [1, inf). "
                f"Got {widths!r} instead."
            )


def _refuse_undeclared(p: Any) -> None:
    """Raise if a class gives a parameter a default of its own and does not declare it: the former one is in force."""
    names = {field.name for field in fields(p)}
    for cls in type(p).__mro__:
        own = vars(cls)
        declared = own.get("__annotations__", {}) if "__dataclass_fields__" in own else {}
        if lost := sorted(names & own.keys() - declared.keys()):
            raise TypeError(
                f"{cls.__name__} sets {lost[0]!r}, a parameter, which has no effect so. A class declares a parameter "
                f"with a type, `{lost[0]}: … = …`, and with the decorator `estimator` of sklearn_fsmd.parameters."
            )
        names -= declared.keys()


def merge_docs(own: str, parent: str, names: Sequence[str]) -> str:
    """The docstring `own`, with the sections of `parent` that it lacks.

    Parameters and references are those of both; of the parameters only those in `names`, in that order.
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
    """The docstring of `parent`, whose example is one of `cls` if that is of the same package: it imports the name."""
    before, title, example = (inspect.getdoc(parent) or "").partition("Examples\n--------\n")
    here, there = (one.__module__.partition(".")[0] for one in (cls, parent))
    return before + title + example.replace(parent.__name__, cls.__name__) if here == there else before


def _sections(doc: str) -> dict[str, str]:
    """A numpydoc docstring as {title: body}; the text before the first section has the title ''."""
    pieces = re.split(r"^(\w[\w ]*)\n-{3,}\n", doc, flags=re.MULTILINE)
    return {"": pieces[0], **dict(zip(pieces[1::2], pieces[2::2], strict=True))}


def _entries(body: str) -> list[str]:
    """The entries of a section: each a line that is not indented, with the indented lines below it."""
    return re.findall(r"^\S.*\n(?:(?:[ \t]+.*)?\n|[ \t]+.*$)*", body.rstrip() + "\n\n", flags=re.MULTILINE)


def _name_of(entry: str) -> str:
    return entry.split(":", 1)[0].strip()
