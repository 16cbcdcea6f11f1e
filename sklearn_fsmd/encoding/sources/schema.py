"""Types of the columns of Parquet files, and whether those of several files agree."""

from __future__ import annotations

import re
from typing import Any

from sklearn_fsmd.encoding.columns import twice_in

LARGEST_PRECISION = {128: 38, 256: 76}
"""Largest number of digits of decimals, by their number of bits."""


def columns_of(schema: Any, name: str) -> dict[str, Any]:
    """Return the types of the columns of a file, without those that hold the index of a pandas DataFrame.

    Raises
    ------
    ValueError
        If two columns have the same name.
    """
    names = schema.names
    if twice := twice_in(names):
        raise ValueError(f"{name} has more than one column named {twice[0]!r}.")
    index = _index_of(schema)
    return {field.name: field.type for field in schema if field.name not in index}


def named_index_of(schema: Any) -> list[str]:
    """Return the columns that were the index of a pandas DataFrame and had a name there."""
    return [name for name in _index_of(schema) if not re.fullmatch(r"__index_level_\d+__", name)]


def _index_of(schema: Any) -> list[str]:
    return [name for name in (schema.pandas_metadata or {}).get("index_columns", []) if isinstance(name, str)]


def categories_of(schema: Any) -> list[str]:
    """Return the columns that were categories, by the metadata of pandas; Parquet stores this only for strings."""
    columns = (schema.pandas_metadata or {}).get("columns", [])
    return [column["name"] for column in columns if column.get("pandas_type") == "categorical" and column.get("name")]


def agree(one: Any, other: Any) -> bool:
    """Whether these types may be in one column of two files: sizes may differ, and one column may have no values."""
    import pyarrow.types as types

    if types.is_null(one) or types.is_null(other):
        return True
    if is_list(one) and is_list(other):
        a, b = one.value_type, other.value_type
        return agree(a, b) and (types.is_null(a) or types.is_null(b) or types.is_floating(a) == types.is_floating(b))
    return _kind(one) == _kind(other)


def merged_type(one: Any, other: Any) -> Any:
    """Merge two types that agree: any type rather than null, and the wider type of numbers."""
    import pyarrow.types as types

    if types.is_null(one):
        return other
    if is_list(one) and is_list(other):
        return _list_of_both(one, other)
    if is_number(one) and is_number(other):
        for decimal, whole in ((one, other), (other, one)):
            if types.is_decimal(decimal) and types.is_integer(whole):
                return _decimal_of_both(decimal, whole)
        return _wider(one, other)
    return _wider(one, other) if types.is_timestamp(one) and types.is_timestamp(other) else one


def _wider(one: Any, other: Any) -> Any:
    """Type of numbers that holds both, or type of times with the finer unit."""
    import pyarrow as pa

    both = [pa.schema([pa.field("column", kind)]) for kind in (one, other)]
    return pa.unify_schemas(both, promote_options="permissive").field(0).type


def _list_of_both(one: Any, other: Any) -> Any:
    """Type for the lists of both; of fixed length if both have the same one."""
    import pyarrow as pa

    if one == other:
        return one
    inner = merged_type(one.value_type, other.value_type)
    lengths = {kind.list_size if pa.types.is_fixed_size_list(kind) else None for kind in (one, other)}
    if len(lengths) == 1 and (length := lengths.pop()) is not None:
        return pa.list_(inner, length)
    return (pa.large_list if any(map(pa.types.is_large_list, (one, other))) else pa.list_)(inner)


def _decimal_of_both(decimal: Any, whole: Any) -> Any:
    """Type for decimals and integers; the one that Arrow would choose has a digit too few for its own cast."""
    import pyarrow as pa

    digits = len(str(2**whole.bit_width - 1 if str(whole).startswith("u") else 2 ** (whole.bit_width - 1)))
    precision = max(decimal.precision - decimal.scale, digits) + decimal.scale
    if precision > LARGEST_PRECISION[256]:
        return decimal  # a cast of large integers to it will raise an error
    is_large = precision > LARGEST_PRECISION[128] or pa.types.is_decimal256(decimal)
    return (pa.decimal256 if is_large else pa.decimal128)(precision, decimal.scale)


def is_untyped(kind: Any) -> bool:
    """Whether a type tells nothing of the values: all are missing, or lists that are all empty."""
    import pyarrow.types as types

    return types.is_null(kind) or (is_list(kind) and types.is_null(kind.value_type))


def _kind(kind: Any) -> str:
    import pyarrow.types as types

    if types.is_dictionary(kind):
        inner = _kind(kind.value_type)
        return f"categories of {inner}" if inner == "numbers" else inner  # other numbers are quantities
    if is_number(kind):
        return "numbers"
    if types.is_timestamp(kind):
        return f"times of the zone {kind.tz}"
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return "strings"
    return str(kind)


def is_number(kind: Any) -> bool:
    """Whether a type is one of integers, floats or decimals."""
    import pyarrow.types as types

    return types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)


def is_list(kind: Any) -> bool:
    """Whether a type is one of lists, of fixed or variable length."""
    import pyarrow.types as types

    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
