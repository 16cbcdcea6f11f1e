"""The page of all parameters: one table per group, with the models that have other defaults or lack a parameter."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from typing import Any

from numpydoc.docscrape import ClassDoc

from sklearn_fsmd import DenoisingEmbedder, MultiTaskClassifier
from tools import api, public
from tools.results import as_table

MARKS = re.compile(r"\[(\w+)\]_|:\w+:`~?[\w.]*?(\w+)`|`{1,2}([^`]+)`{1,2}")


def models() -> list[type]:
    """The estimators of the package, the general one first."""
    classes = [name.value for name in public.names("sklearn_fsmd") if name.kind == "class"]
    return sorted(classes, key=lambda cls: cls is not MultiTaskClassifier)


def page() -> str:
    """The page as Markdown."""
    import pandas as pd

    classifiers = [cls for cls in models() if cls is not DenoisingEmbedder]
    described = {p.name: p for p in ClassDoc(MultiTaskClassifier)["Parameters"]}
    defaults = {field.name: field.default for field in fields(MultiTaskClassifier)}
    sections = [INTRODUCTION]
    for title, names in api.groups_of(MultiTaskClassifier).items():
        rows = [
            {
                "parameter": f"`{name}`",
                "default": f"`{defaults[name]!r}`",
                "description": first_sentence(" ".join(described[name].desc)),
                "other defaults; models without it": "; ".join(differences(name, classifiers)) or "–",
            }
            for name in names
        ]
        sections += [f"## {title}\n", as_table(pd.DataFrame(rows)), ""]
    return "\n".join(sections)


INTRODUCTION = """# Parameters

The parameters of all models, in groups. {class}`~sklearn_fsmd.MultiTaskClassifier` has all of them, and its page
describes them in full. A named model lacks the parameters that have no effect in it.
{class}`~sklearn_fsmd.DenoisingEmbedder` has the parameters of embeddings, of encoding and of the machine.
"""


def first_sentence(text: str) -> str:
    """The first sentence of a description, as Markdown."""
    sentence = re.split(r"(?<=[.;]) (?=[A-Z\"])", text, maxsplit=1)[0]
    return MARKS.sub(lambda m: m[1] or f"`{m[2] or m[3]}`", sentence)


def differences(name: str, classes: list[type]) -> list[str]:
    """The models in which a parameter has another default, and the models without the parameter."""
    general: Any = getattr(MultiTaskClassifier, name)
    others, without = [], []
    for cls in classes:
        default = next((field.default for field in fields(cls) if field.name == name), MISSING)  # type: ignore[arg-type]
        short = cls.__name__.removesuffix("Classifier")
        if default is MISSING:
            without.append(short)
        elif default != general:
            others.append(f"{short} `{default!r}`")
    if len(without) == len(classes) - 1:
        return [*others, "without it: all named models"]
    return [*others, "without it: " + ", ".join(without)] if without else others
