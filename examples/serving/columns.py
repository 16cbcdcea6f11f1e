"""Convert the JSON values of a column to inputs of the session, or refuse a value by its row."""

import re
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from serving.refusal import bad_value, shown

TYPES = {"string": object, "int64": np.int64, "double": np.float64, "float": np.float32}
EXACT = 2**53
"""Largest whole number that JavaScript represents exactly; it rounds larger ones."""
LARGEST = float(np.finfo(np.float32).max)


def _not_above(digits: str) -> str:
    """Return a pattern for the numbers with as many digits as this one that are not larger."""
    patterns = [digits]
    for i, digit in enumerate(digits):
        least = int(i == 0)
        if int(digit) > least:
            patterns.append(f"{digits[:i]}[{least}-{int(digit) - 1}][0-9]{{{len(digits) - i - 1}}}")
    return "|".join(patterns)


INTEGER = f"-?(0|[1-9][0-9]{{0,17}}|{_not_above(str(2**63 - 1))})|-{2**63}"
"""Pattern of an int64 without leading zeros."""
_integer = re.compile(INTEGER)

Column = dict[str, Any]
"""A column, as described in the metadata of the file."""


def inputs_of(column: Column, values: Sequence[Any]) -> dict[str, np.ndarray]:
    """Return the inputs for the values of a column, one per row; None is a missing value.

    Raises
    ------
    RefusalError
        For the first value that the column cannot hold.
    """
    if column["holds"] == "lists":
        return _lists(column, values)
    return {column["name"]: _vectors(column, values) if column["holds"] == "vectors" else _scalars(column, values)}


def _scalars(column: Column, values: Sequence[Any]) -> np.ndarray:
    kind, missing = column["type"], column["missing"]
    present = [value for value in values if value is not None]
    array = _fast_array(kind, present)
    if array is None:
        _check_values(column, values)
        array = np.array([CONVERTERS[kind](value) for value in present], TYPES[kind])
    if len(present) == len(values):
        return array
    filled = np.full(len(values), float(missing) if kind == "double" else missing, TYPES[kind])
    filled[[value is not None for value in values]] = array
    return filled


def _check_values(column: Column, values: Sequence[Any]) -> None:
    for row, value in enumerate(values):
        if value is not None:
            try:
                CONVERTERS[column["type"]](value)
            except ValueError as error:
                raise bad_value(row, column["name"], str(error)) from None


def _lists(column: Column, values: Sequence[Any]) -> dict[str, np.ndarray]:
    """Return the concatenated lists without missing values, and the offsets at which the rows begin."""
    kind, separator, rows = column["type"], column.get("separator"), []  # older files have no separator
    for row, value in enumerate(values):
        if type(value) is str and separator is not None:
            value = [part for part in value.split(separator) if part]
        if value is not None and type(value) is not list:
            or_string = "" if separator is None else f", or a string with {shown(separator)} between the values"
            raise bad_value(
                row, column["name"], f"{shown(value)} is no list. Send a list{or_string}, or null where it is missing."
            )
        rows.append([item for item in value or () if item is not None])
    flat = list(chain.from_iterable(rows))
    array = _fast_array(kind, flat)
    if array is None:
        for row, items in enumerate(rows):
            _check_items(column, row, items, CONVERTERS[kind])
        array = np.array([CONVERTERS[kind](item) for item in flat], TYPES[kind])
    return {column["name"]: array, column["offsets"]: np.cumsum([0, *map(len, rows)], dtype=np.int64)}


def _vectors(column: Column, values: Sequence[Any]) -> np.ndarray:
    width, name = column["width"], column["name"]
    for row, value in enumerate(values):
        if value is not None and (type(value) is not list or len(value) != width):
            what = f"a list of {len(value)}" if type(value) is list else shown(value)
            raise bad_value(row, name, f"it holds {what}. Send a list of {width} numbers, or null where it is missing.")
    flat = list(chain.from_iterable(value for value in values if value is not None))
    array = _fast_array("double", flat)
    if array is None:
        for row, value in enumerate(values):
            _check_items(column, row, value or (), _number)
        array = np.array([float(item) for item in flat])
    filled = np.full((len(values), width), np.nan, TYPES["float"])
    filled[[value is not None for value in values]] = array.reshape(-1, width)
    return filled


def _check_items(column: Column, row: int, items: Sequence[Any], convert: Callable[[Any], Any]) -> None:
    for item in items:
        try:
            convert(item)
        except ValueError as error:
            raise bad_value(row, column["name"], f"in the list, {error}") from None


def _fast_array(kind: str, values: list[Any]) -> np.ndarray | None:
    """Convert all values at once if they have the usual types; return None if they must be converted one by one."""
    types = set(map(type, values))
    if kind == "string":
        if types <= {str} and _is_unicode("".join(values)):
            return np.array(values, object)
    elif kind == "int64":
        if types <= {int} and (not values or -EXACT <= min(values) <= max(values) <= EXACT):
            return np.array(values, np.int64)
    elif types <= {int, float}:
        try:
            array = np.array(values, np.float64)
        except OverflowError:
            return None
        return array if (np.abs(array) <= LARGEST).all() else None
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _string(value: Any) -> str:
    if type(value) is not str:
        remedy = f' Send "{value}".' if type(value) is int else " Send a string, or null where it is missing."
        raise ValueError(f"{shown(value)} is no string.{remedy}")
    if not _is_unicode(value):
        raise ValueError(f"{shown(value)} is no valid Unicode: it has half of a surrogate pair. Send the whole pair.")
    return value


def _whole(value: Any) -> int:
    if type(value) is bool:
        return int(value)
    if type(value) is str and _integer.fullmatch(value):
        return int(value)
    if type(value) is int or (type(value) is float and value.is_integer()):
        if -EXACT <= value <= EXACT:
            return int(value)
        raise ValueError(f"{shown(value)} is beyond 2^53, where clients round numbers. Send it as a string of digits.")
    raise ValueError(
        f"{shown(value)} is no whole number of 64 bits. Send a number (or true or false), or a string of digits "
        "without leading zeros."
    )


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"{shown(value)} is no number. Send a number, or null where it is missing.")
    if value != value:
        raise ValueError("NaN is no JSON. Send a number, or null where it is missing.")
    if not -LARGEST <= value <= LARGEST:
        raise ValueError(f"{shown(value)} is too large for a float of 32 bits. Send a number up to {LARGEST:.6g}.")
    return float(value)


CONVERTERS: dict[str, Callable[[Any], Any]] = {"string": _string, "int64": _whole, "double": _number, "float": _number}
"""For each type, a function that converts one value or raises ValueError."""
