"""Convert the rows of a request to the inputs of the session, column by column."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from serving.columns import Column, inputs_of
from serving.refusal import RefusalError, shown


def inputs_of_rows(rows: Sequence[Any], columns: Sequence[Column], not_needed: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the inputs for rows; each row is an object with a value for each column.

    Parameters
    ----------
    not_needed : further columns that a row may have; they are ignored.

    Raises
    ------
    RefusalError
        If a row is not an object, lacks a column, has an unknown one, or has a value that its column cannot hold.
    """
    names = [column["name"] for column in columns]
    required = set(names)
    for i, row in enumerate(rows):
        if type(row) is not dict:
            raise RefusalError(422, f"Row {i} is {shown(row)}. Send an object with a value for each column.", row=i)
        if row.keys() != required:
            _check_columns(i, row, names, not_needed)
    inputs: dict[str, np.ndarray] = {}
    for column in columns:
        name = column["name"]
        inputs |= inputs_of(column, [row[name] for row in rows])
    return inputs


def _check_columns(i: int, row: dict[str, Any], names: Sequence[str], not_needed: Sequence[str]) -> None:
    for name in names:
        if name not in row:
            raise RefusalError(
                422,
                f"Row {i} has no column {name!r}. Send it, with null where its value is missing.",
                row=i,
                column=name,
            )
    known = {*names, *not_needed}
    for name in row:
        if name not in known:
            close = get_close_matches(name[:100], names, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else "Leave it out; /openapi.json lists the columns."
            label = name.encode(errors="replace").decode()
            raise RefusalError(422, f"Row {i} has the unknown column {shown(label)}. {hint}", row=i, column=label[:100])
