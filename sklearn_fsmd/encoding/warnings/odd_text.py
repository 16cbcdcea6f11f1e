"""Warnings of text and objects that look like quantities, times or lists but are treated as categories.

One "n/a" makes a column of prices text, and so do decimal commas. Times and lists are text until they are parsed.
pandas may read one part of a large file as numbers and another part as text.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.columns import columns_of_x, evenly_spaced
from sklearn_fsmd.encoding.table import FeatureEncoder
from sklearn_fsmd.encoding.warnings.signs import is_name_of_ids
from sklearn_fsmd.parameters import warn

MANY_VALUES = 30
"""A column with fewer values is not warned of: categories suit it."""
N_ROWS = 10_000
"""Largest number of rows that are inspected."""
WORDS_SIDE_BY_SIDE = r"['\"]\s+['\"]"
"""Strings as numpy prints them; Python parses them as one string."""
TIME = r"\d{4}-\d\d?-\d\d?([ T]\d|$)"
DECIMAL_COMMA = r"-?(\d+|\d{1,3}(\.\d{3})+),\d+$"
THOUSANDS = r"-?\d{1,3}(,\d{3})+$"
"""Numbers that may have separators of thousands instead of decimal commas."""
SEPARATORS = (" | ", "|", "; ", ";", ", ", ",")
"""What may separate the values of a list; the first that does counts."""


def warn_of_text(encoder: FeatureEncoder, X: Any) -> None:
    """Warn, once per kind, of columns of text in which nine of ten values are numbers or times, or all are lists.

    Of the numbers in text, most must have a fraction, since integers as text are usually ids. Integers as objects, as
    databases return them, are warned of unless the column has the name of an id. A column of category dtype is not
    warned of, since the user has chosen it.

    Parameters
    ----------
    encoder : fitted on X.
    X : DataFrame or 2-D array.
    """
    if not isinstance(X, pd.DataFrame):
        return
    rows = evenly_spaced(len(X), N_ROWS)
    names = X.columns.tolist()
    texts = {
        names[position]: X.iloc[rows, position].dropna().astype(object).unique()
        for position in encoder.categories
        if not isinstance(X.dtypes.iloc[position], pd.CategoricalDtype)
    }
    texts = {name: values for name, values in texts.items() if len(values) >= MANY_VALUES}
    separators = {name: _list_separator(values) for name, values in texts.items()}
    found = [(message, "", [name for name, values in texts.items() if matches(values)]) for matches, message in KINDS]
    are_whole = [name for name, values in texts.items() if pd.api.types.infer_dtype(values) == "integer"]
    found += [(WHOLE, "", [name for name in are_whole if not is_name_of_ids(str(name))])]
    found += [(SEPARATED, s, [name for name, separator in separators.items() if separator == s]) for s in SEPARATORS]
    for message, separator, columns in found:
        if columns:
            if_not = f"If not, X.astype({dict.fromkeys(columns, 'category')}), and this warning is gone."
            lists = [*(names[position] for position in encoder.lists), *columns]
            told = message.format(column=f"X[{columns[0]!r}]", lists=lists, separator=separator)
            warn(f"{columns_of_x(columns)}: {told} {if_not}")


def warn_of_two_types(encoder: FeatureEncoder) -> None:
    """Warn, once, of columns of categories or lists that contain the same number as a number and as text.

    Parameters
    ----------
    encoder : fitted.
    """
    duplicates = {}
    lists = [column.own for column in encoder.lists.values() if column.own is not None]
    for column in (*encoder.categories.values(), *lists):
        if column.kind != "mixed values":
            continue
        values = column.values.tolist()  # noqa: PD011 (an attribute of ours)
        as_text = {str(value) for value in values if type(value) is int}
        if both := [value for value in values if type(value) is str and value in as_text]:
            duplicates[column.name] = both
    if duplicates:
        name, both = next(iter(duplicates.items()))
        if any(column.name == name for column in lists):
            remedy = f"Give them one type: X[{name!r}].map(lambda values: [str(value) for value in values])."
        else:
            remedy = f"Give the column one type where it is read: pd.read_csv(…, dtype={{{name!r}: 'string'}})."
        warn(
            f"{columns_of_x(duplicates)}: values are there as numbers and as text, which are two categories, such as "
            f"{both[0]} and {both[0]!r}; so are {len(both):,} of {name!r}. {remedy}"
        )


def _are_quantities(values: Any) -> bool:
    if pd.api.types.infer_dtype(values) not in ("string", "mixed", "mixed-integer", "floating"):
        return False
    numbers = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce").dropna()
    return len(numbers) >= 0.9 * len(values) and bool((numbers != np.floor(numbers)).mean() > 0.5)


def _have_a_decimal_comma(values: Any) -> bool:
    return _are_like(DECIMAL_COMMA, values) and not _are_like(THOUSANDS, values)


def _are_lists(values: Any) -> bool:
    if not _are_like(r"\[.*\]$", values) or pd.Series(values, dtype=object).str.contains(WORDS_SIDE_BY_SIDE).any():
        return False
    return _parse_as_lists(values, ast.literal_eval)


def _are_other_lists(values: Any) -> bool:
    return not _are_lists(values) and (
        _are_like(r"\[\s*(['\"]|np\.).*\]$", values) or _parse_as_lists(values, json.loads)
    )


def _parse_as_lists(values: Any, parse: Callable[[str], Any]) -> bool:
    try:
        return all(isinstance(parse(value), list) for value in values)
    except (TypeError, ValueError, SyntaxError, MemoryError, RecursionError):
        return False


def _list_separator(values: Any) -> str | None:
    """What separates the values if most are lists of different lengths, with values that are in several; else None."""
    is_text = pd.api.types.infer_dtype(values) == "string"
    if not is_text or _are_like(r"\[.*\]$", values) or _are_like(THOUSANDS, values):
        return None
    separator = next((s for s in SEPARATORS if np.mean([s in value for value in values]) >= 0.5), None)
    parts = [value.split(separator) for value in values if separator]
    varies, repeats = len({*map(len, parts)}) > 1, len({*chain.from_iterable(parts)}) <= len(parts) / 2
    return separator if varies and repeats else None


def _are_times(values: Any) -> bool:
    return _are_like(TIME, values)


def _are_like(pattern: str, values: Any) -> bool:
    if pd.api.types.infer_dtype(values) != "string":
        return False
    return bool(pd.Series(values, dtype=object).str.match(pattern).mean() >= 0.9)


KINDS = (
    (
        _are_quantities,
        "most values are numbers, but the dtype is not numeric, so each is a category of its own. If they are "
        "quantities, convert them: {column} = pd.to_numeric({column}, errors='coerce').",
    ),
    (
        _have_a_decimal_comma,
        "numbers with a decimal comma, as text, so each is a category of its own. If they are quantities, read the "
        "file with `decimal=','`, or replace the comma by a point and use pd.to_numeric. If they are lists, pass "
        "list_features={lists}, which has to name all columns of lists, and list_separator=','.",
    ),
    (
        _are_lists,
        "lists as text, so each list is a category of its own. Parse them, {column} = {column}.map(ast.literal_eval, "
        "na_action='ignore'), and they are read as lists, or vectors.",
    ),
    (
        _are_other_lists,
        "text in brackets, so each is a category of its own. If these are lists as numpy or JSON writes them, write "
        "the file as Parquet, which keeps lists, or parse them, as by json.loads.",
    ),
    (
        _are_times,
        "times as text, so each is a category of its own, and later ones are unknown. Leave them out, or take the hour "
        "and the like: {column} = pd.to_datetime({column}), with utc=True if offsets differ, and "
        "`sklearn_fsmd.compose.TimeFeatures` before the model.",
    ),
)
"""Checks of the values of a column, and the warning for each."""
WHOLE = (
    "whole numbers in a column of objects, so each is a category of its own. If they are quantities, convert them: "
    "{column} = pd.to_numeric({column})."
)
SEPARATED = (
    "text that looks like lists with {separator!r} between the values, so each list is a category of its own. Pass "
    "list_features={lists}, which has to name all columns of lists, and list_separator={separator!r}."
)
