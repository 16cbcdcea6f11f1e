"""Text that looks like quantities, times or lists but is taken as categories, as files have it.

One "n/a" makes a column of prices text, and so do decimal commas; times and lists are text until they are parsed. Of a
large file pandas makes numbers in one part and text in another.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.canonical import columns_of_x
from sklearn_fsmd.encoding.column_selection import evenly_spaced
from sklearn_fsmd.encoding.table_encoder import FeatureEncoder
from sklearn_fsmd.parameters import warn

MANY_VALUES = 30
"""A column of fewer values is well off as categories."""
N_ROWS = 10_000
"""That many rows are looked at."""
WORDS_SIDE_BY_SIDE = r"['\"]\s+['\"]"
"""So numpy prints them, and Python makes one word of them."""
TIME = r"\d{4}-\d\d?-\d\d?([ T]\d|$)"
DECIMAL_COMMA = r"-?(\d+|\d{1,3}(\.\d{3})+),\d+$"
THOUSANDS = r"-?\d{1,3}(,\d{3})+$"
"""What may be one or the other is no reason to say that it is a decimal comma."""


def warn_of_text(encoder: FeatureEncoder, X: Any) -> None:
    """Warn, once for all of a kind, of columns of text in which nine of ten values are numbers or times, or all lists.

    Of the numbers most have a fraction: whole numbers as text are ids, as a rule. A column of category dtype is what
    the user has chosen.

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
    for are_such, what in KINDS:
        if found := [name for name, values in texts.items() if are_such(values)]:
            if_not = f"If not, X.astype({dict.fromkeys(found, 'category')}), and this warning is gone."
            warn(f"{columns_of_x(found)}: {what.format(column=f'X[{found[0]!r}]')} {if_not}")


def warn_of_two_types(encoder: FeatureEncoder) -> None:
    """Warn, once, of columns of categories that know a number and the same as text.

    Parameters
    ----------
    encoder : fitted.
    """
    found = {}
    for column in encoder.categories.values():
        if column.kind != "mixed values":
            continue
        values = column.values.tolist()  # noqa: PD011 (an attribute of ours)
        as_text = {str(value) for value in values if type(value) is int}
        if both := [value for value in values if type(value) is str and value in as_text]:
            found[column.name] = both
    if found:
        name, both = next(iter(found.items()))
        warn(
            f"{columns_of_x(found)}: values are there as numbers and as text, which are two categories, such as "
            f"{both[0]} and {both[0]!r}; so are {len(both):,} of {name!r}. Give the column one type where it is read: "
            f"pd.read_csv(…, dtype={{{name!r}: 'string'}})."
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
    return _are_read(values, ast.literal_eval)


def _are_other_lists(values: Any) -> bool:
    return not _are_lists(values) and (_are_like(r"\[\s*(['\"]|np\.).*\]$", values) or _are_read(values, json.loads))


def _are_read(values: Any, parse: Callable[[str], Any]) -> bool:
    try:
        return all(isinstance(parse(value), list) for value in values)
    except (TypeError, ValueError, SyntaxError, MemoryError, RecursionError):
        return False


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
        "file with `decimal=','`, or replace the comma by a point and use pd.to_numeric. If they are lists, name them "
        "in `list_features`, with list_separator=','.",
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
"""What text may be, and what is said of it."""
