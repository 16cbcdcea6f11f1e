"""One column of a request: values of JSON become the inputs of a session, or a refusal that names the row."""

import re
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from serving.refusal import bad_value, shown

TYPES = {"string": object, "int64": np.int64, "double": np.float64, "float": np.float32}
EXACT = 2**53
"""The whole numbers up to here are the same in JavaScript, which rounds larger ones."""
LARGEST = float(np.finfo(np.float32).max)


def _not_above(digits: str) -> str:
    """A pattern for the numbers of as many digits that are not above this one."""
    ways = [digits]
    for i, digit in enumerate(digits):
        least = int(i == 0)
        if int(digit) > least:
            ways.append(f"{digits[:i]}[{least}-{int(digit) - 1}][0-9]{{{len(digits) - i - 1}}}")
    return "|".join(ways)


INTEGER = f"-?(0|[1-9][0-9]{{0,17}}|{_not_above(str(2**63 - 1))})|-{2**63}"
"""The pattern of an int64, written without zeros in front."""
_integer = re.compile(INTEGER)

Column = dict[str, Any]
"""A column as the metadata of the file describe it."""


def inputs_of(column: Column, values: Sequence[Any]) -> dict[str, np.ndarray]:
    """The inputs for the values of all rows, one a row; None is a missing value.

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
    known = [value for value in values if value is not None]
    array = _quickly(kind, known)
    if array is None:
        _refuse_odd_value(column, values)
        array = np.array([ONE[kind](value) for value in known], TYPES[kind])
    if len(known) == len(values):
        return array
    filled = np.full(len(values), float(missing) if kind == "double" else missing, TYPES[kind])
    filled[[value is not None for value in values]] = array
    return filled


def _refuse_odd_value(column: Column, values: Sequence[Any]) -> None:
    for row, value in enumerate(values):
        if value is not None:
            try:
                ONE[column["type"]](value)
            except ValueError as error:
                raise bad_value(row, column["name"], str(error)) from None


def _lists(column: Column, values: Sequence[Any]) -> dict[str, np.ndarray]:
    """All values one after the other, and where each row begins; missing values are left out."""
    kind, separator, rows = column["type"], column.get("separator"), []  # files of before have none
    for row, value in enumerate(values):
        if type(value) is str and separator is not None:
            value = [part for part in value.split(separator) if part]
        if value is not None and type(value) is not list:
            written = "" if separator is None else f", or a string with {shown(separator)} between the values"
            raise bad_value(
                row, column["name"], f"{shown(value)} is no list. Send a list{written}, or null where it is missing."
            )
        rows.append([item for item in value or () if item is not None])
    flat = list(chain.from_iterable(rows))
    array = _quickly(kind, flat)
    if array is None:
        for row, own in enumerate(rows):
            _refuse_odd_item(column, row, own, ONE[kind])
        array = np.array([ONE[kind](item) for item in flat], TYPES[kind])
    return {column["name"]: array, column["offsets"]: np.cumsum([0, *map(len, rows)], dtype=np.int64)}


def _vectors(column: Column, values: Sequence[Any]) -> np.ndarray:
    width, name = column["width"], column["name"]
    for row, value in enumerate(values):
        if value is not None and (type(value) is not list or len(value) != width):
            what = f"a list of {len(value)}" if type(value) is list else shown(value)
            raise bad_value(row, name, f"it holds {what}. Send a list of {width} numbers, or null where it is missing.")
    flat = list(chain.from_iterable(value for value in values if value is not None))
    array = _quickly("double", flat)
    if array is None:
        for row, value in enumerate(values):
            _refuse_odd_item(column, row, value or (), _number)
        array = np.array([float(item) for item in flat])
    filled = np.full((len(values), width), np.nan, TYPES["float"])
    filled[[value is not None for value in values]] = array.reshape(-1, width)
    return filled


def _refuse_odd_item(column: Column, row: int, items: Sequence[Any], one: Callable[[Any], Any]) -> None:
    for item in items:
        try:
            one(item)
        except ValueError as error:
            raise bad_value(row, column["name"], f"in the list, {error}") from None


def _quickly(kind: str, known: list[Any]) -> np.ndarray | None:
    """All values at once where they are of the usual types; None where each must be looked at."""
    types = set(map(type, known))
    if kind == "string":
        if types <= {str} and _is_unicode("".join(known)):
            return np.array(known, object)
    elif kind == "int64":
        if types <= {int} and (not known or -EXACT <= min(known) <= max(known) <= EXACT):
            return np.array(known, np.int64)
    elif types <= {int, float}:
        try:
            array = np.array(known, np.float64)
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
        more = f' Send "{value}".' if type(value) is int else " Send a string, or null where it is missing."
        raise ValueError(f"{shown(value)} is no string.{more}")
    if not _is_unicode(value):
        raise ValueError(f"{shown(value)} is no valid Unicode, for it has half of a surrogate pair. Send it whole.")
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
        "without zeros in front."
    )


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"{shown(value)} is no number. Send a number, or null where it is missing.")
    if value != value:
        raise ValueError("NaN is no JSON. Send a number, or null where it is missing.")
    if not -LARGEST <= value <= LARGEST:
        raise ValueError(f"{shown(value)} is too large for a float of 32 bits. Send a number up to {LARGEST:.6g}.")
    return float(value)


ONE: dict[str, Callable[[Any], Any]] = {"string": _string, "int64": _whole, "double": _number, "float": _number}
"""One value of each type."""
