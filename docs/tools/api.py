"""The pages of the API, one per public module and one per public name, made from `__all__`."""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from tools import public

PARAMETER_LINE = re.compile(r"^    \*\*(\w+)\*\*")


def write(docs: Path) -> dict[str, str]:
    """The pages as {path under `docs`: text}."""
    pages = {}
    for module in public.modules():
        pages[f"api/{module}.rst"] = _module_page(module)
        for name in public.names(module):
            pages[f"api/generated/{name.path}.rst"] = _name_page(name)
    return pages


def _module_page(module: str) -> str:
    doc = inspect.getdoc(importlib.import_module(module)) or ""
    names = public.names(module)
    lines = [_title(module), f".. module:: {module}", "", doc, ""]
    for kind, title in (("class", "Classes"), ("function", "Functions"), ("data", "Constants")):
        listed = [name for name in names if name.kind == kind]
        if listed:
            rows = [f"   * - :doc:`{name.name} <generated/{name.path}>`\n     - {name.summary}" for name in listed]
            lines += [f".. rubric:: {title}", "", ".. list-table::", "   :widths: 30 70", "", *rows, ""]
    pages = [f"   {name.name} <generated/{name.path}>" for name in names]
    return "\n".join([*lines, ".. toctree::", "   :hidden:", "", *pages, ""])


def _name_page(name: public.Name) -> str:
    lines = [_title(name.name), f".. currentmodule:: {name.module}", ""]
    lines.append(f".. auto{name.kind}:: {name.name}")
    uses = ["", f".. minigallery:: {name.path}", "   :add-heading: In the gallery", "   :heading-level: -", ""]
    if name.kind != "class":
        return "\n".join([*lines, *uses])
    described, inherited = _split(name)
    if inherited:
        parent = _documented_parent(name.value)
        rows = [
            f"   * - {_link(name.value, parent, m)}\n     - {public.summary(getattr(name.value, m))}" for m in inherited
        ]
        text = [".. rubric:: Methods", "", f"Inherited from :class:`~{parent}` and described there.", ""]
        table = "\n".join(["", *text, ".. list-table::", "   :widths: 30 70", "", *rows, ""])
        lines += [f"   {line}" if line else "" for line in table.split("\n")]
    for method in described:
        directive = "autoproperty" if public.is_property(name.value, method) else "automethod"
        lines += ["", f"   .. {directive}:: {method}"]
    return "\n".join([*lines, *uses])


def _link(cls: type, parent: str | None, method: str) -> str:
    role = "attr" if public.is_property(cls, method) else "meth"
    return f":{role}:`~{parent}.{method}`"


def _split(name: public.Name) -> tuple[list[str], list[str]]:
    """The methods that this page describes, and the inherited methods that the page of a parent describes."""
    parent = _documented_parent(name.value)
    if parent is None:
        return public.methods(name.value), []
    base = next(b for b in name.value.__mro__[1:] if parent.endswith(f".{b.__name__}"))
    methods = public.methods(name.value)
    described = [m for m in methods if getattr(base, m, None) is not getattr(name.value, m)]
    described = [
        m for m in described if inspect.getattr_static(base, m, None) is not inspect.getattr_static(name.value, m)
    ]
    return described, [m for m in methods if m not in described]


def _documented_parent(cls: type) -> str | None:
    """The path of the nearest public class that `cls` inherits from."""
    paths = {id(name.value): name.path for name in public.all_names()}
    return next((paths[id(base)] for base in cls.__mro__[1:] if id(base) in paths), None)


def _title(text: str) -> str:
    return f"{text}\n{'=' * len(text)}\n"


# ------------------------------------------------------------------------------------------------ parameters in groups


def group_of(cls: type, parameter: str) -> str:
    """The title of the group that declares a parameter, such as "The network"; "" if it is not declared in a group."""
    owners = [base for base in cls.__mro__ if parameter in inspect.get_annotations(base)]
    if not owners or not owners[-1].__module__.startswith("sklearn_fsmd.parameters"):
        return ""
    return title_of(owners[-1])


def title_of(group: type) -> str:
    """The first line of a group's docstring without what all begin with."""
    title = public.summary(group).removeprefix("Parameters of ").removesuffix(".")
    title = re.sub(r":\w+:`~[\w.]*?(\w+)`", r"\1", title)
    return title[0].upper() + title[1:]


def groups_of(cls: type) -> dict[str, list[str]]:
    """The parameters of an estimator by group, in the order of the signature."""
    groups: dict[str, list[str]] = {}
    for field in fields(cls) if is_dataclass(cls) else ():
        groups.setdefault(group_of(cls, field.name), []).append(field.name)
    return groups


def show_groups(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Insert the titles of the groups between the parameters, in the output of numpydoc."""
    if what != "class" or len(groups_of(obj)) < 2:
        return
    first = {group[0]: title for title, group in groups_of(obj).items() if title}
    start, end = _section(lines, ":Parameters:")
    with_titles: list[str] = []
    for line in lines[start:end]:
        match = PARAMETER_LINE.match(line)
        if match and match[1] in first:
            with_titles += [f"    .. rubric:: {first[match[1]]}", ""]
        with_titles.append(line)
    lines[start:end] = with_titles


def _section(lines: list[str], title: str) -> tuple[int, int]:
    start = lines.index(title)
    ends = (i for i, line in enumerate(lines[start + 1 :], start + 1) if line and not line.startswith(" "))
    return start, next(ends, len(lines))
