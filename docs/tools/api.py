"""The pages of the API: one per public module, one per public name, made of `__all__`."""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from tools import public

NAMED_LIKE = re.compile(r"^    \*\*(\w+)\*\*")


def write(docs: Path) -> dict[str, str]:
    """The pages as {path under `docs`: text}."""
    pages = {}
    for module in public.modules():
        pages[f"api/{module}.rst"] = _of_module(module)
        for name in public.names(module):
            pages[f"api/generated/{name.path}.rst"] = _of_name(name)
    return pages


def _of_module(module: str) -> str:
    doc = inspect.getdoc(importlib.import_module(module)) or ""
    names = public.names(module)
    lines = [_title(module), f".. module:: {module}", "", doc, ""]
    for kind, title in (("class", "Classes"), ("function", "Functions"), ("data", "Constants")):
        of_kind = [name for name in names if name.kind == kind]
        if of_kind:
            rows = [f"   * - :doc:`{name.name} <generated/{name.path}>`\n     - {name.summary}" for name in of_kind]
            lines += [f".. rubric:: {title}", "", ".. list-table::", "   :widths: 30 70", "", *rows, ""]
    pages = [f"   {name.name} <generated/{name.path}>" for name in names]
    return "\n".join([*lines, ".. toctree::", "   :hidden:", "", *pages, ""])


def _of_name(name: public.Name) -> str:
    lines = [_title(name.name), f".. currentmodule:: {name.module}", ""]
    lines.append(f".. auto{name.kind}:: {name.name}")
    uses = ["", f".. minigallery:: {name.path}", "   :add-heading: In the gallery", "   :heading-level: -", ""]
    if name.kind != "class":
        return "\n".join([*lines, *uses])
    shown, inherited = _split(name)
    if inherited:
        parent = _documented_parent(name.value)
        rows = [
            f"   * - {_link(name.value, parent, m)}\n     - {public.summary(getattr(name.value, m))}" for m in inherited
        ]
        text = [".. rubric:: Methods", "", f"Those of :class:`~{parent}`, which describes them.", ""]
        table = "\n".join(["", *text, ".. list-table::", "   :widths: 30 70", "", *rows, ""])
        lines += [f"   {line}" if line else "" for line in table.split("\n")]
    for method in shown:
        directive = "autoproperty" if public.is_property(name.value, method) else "automethod"
        lines += ["", f"   .. {directive}:: {method}"]
    return "\n".join([*lines, *uses])


def _link(cls: type, parent: str | None, method: str) -> str:
    role = "attr" if public.is_property(cls, method) else "meth"
    return f":{role}:`~{parent}.{method}`"


def _split(name: public.Name) -> tuple[list[str], list[str]]:
    """The methods that the page describes, and those that another page describes."""
    parent = _documented_parent(name.value)
    if parent is None:
        return public.methods(name.value), []
    base = next(b for b in name.value.__mro__[1:] if parent.endswith(f".{b.__name__}"))
    own = [m for m in public.methods(name.value) if getattr(base, m, None) is not getattr(name.value, m)]
    own = [m for m in own if inspect.getattr_static(base, m, None) is not inspect.getattr_static(name.value, m)]
    return own, [m for m in public.methods(name.value) if m not in own]


def _documented_parent(cls: type) -> str | None:
    """The path of the next public class that `cls` inherits from."""
    paths = {id(name.value): name.path for name in public.all_names()}
    return next((paths[id(base)] for base in cls.__mro__[1:] if id(base) in paths), None)


def _title(text: str) -> str:
    return f"{text}\n{'=' * len(text)}\n"


# ------------------------------------------------------------------------------------------------ parameters in groups


def group_of(cls: type, parameter: str) -> str:
    """The title of the group that declares a parameter: "The network" of `NetworkParameters`; "" of any other class."""
    owners = [base for base in cls.__mro__ if parameter in vars(base).get("__annotations__", {})]
    if not owners or not owners[-1].__module__.startswith("sklearn_fsmd.parameters"):
        return ""
    return title_of(owners[-1])


def title_of(group: type) -> str:
    """The first line of a group's docstring without what all begin with."""
    title = public.summary(group).removeprefix("What can be chosen of ").removesuffix(".")
    title = re.sub(r":\w+:`~[\w.]*?(\w+)`", r"\1", title)
    return title[0].upper() + title[1:]


def groups_of(cls: type) -> dict[str, list[str]]:
    """The parameters of an estimator by group, in the order of the signature."""
    groups: dict[str, list[str]] = {}
    for field in fields(cls) if is_dataclass(cls) else ():
        groups.setdefault(group_of(cls, field.name), []).append(field.name)
    return groups


def show_groups(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Put the titles of the groups between the parameters, in what numpydoc has made of a docstring."""
    if what != "class" or len(groups_of(obj)) < 2:
        return
    first = {group[0]: title for title, group in groups_of(obj).items() if title}
    start, end = _section(lines, ":Parameters:")
    made: list[str] = []
    for line in lines[start:end]:
        found = NAMED_LIKE.match(line)
        if found and found[1] in first:
            made += [f"    .. rubric:: {first[found[1]]}", ""]
        made.append(line)
    lines[start:end] = made


def _section(lines: list[str], title: str) -> tuple[int, int]:
    start = lines.index(title)
    ends = (i for i, line in enumerate(lines[start + 1 :], start + 1) if line and not line.startswith(" "))
    return start, next(ends, len(lines))
