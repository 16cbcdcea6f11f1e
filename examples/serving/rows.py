"""The rows of a request become the inputs of a session, column by column."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from serving.columns import Column, inputs_of
from serving.refusal import RefusalError, shown


def inputs_of_rows(rows: Sequence[Any], columns: Sequence[Column], not_needed: Sequence[str]) -> dict[str, np.ndarray]:
    """The inputs for rows, each an object with a value for each column.

    Parameters
    ----------
    not_needed : columns that a row may have beside these; they are ignored.

    Raises
    ------
    RefusalError
        If a row is no object, lacks a column, has an unknown one, or a value that the column cannot hold.
    """
    names = [column["name"] for column in columns]
    wanted = set(names)
    for i, row in enumerate(rows):
        if type(row) is not dict:
            raise RefusalError(422, f"Row {i} is {shown(row)}. Send an object with a value for each column.", row=i)
        if row.keys() != wanted:
            _refuse_other_columns(i, row, names, not_needed)
    given: dict[str, np.ndarray] = {}
    for column in columns:
        name = column["name"]
        given |= inputs_of(column, [row[name] for row in rows])
    return given


def _refuse_other_columns(i: int, row: dict[str, Any], names: Sequence[str], not_needed: Sequence[str]) -> None:
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
            what = f"Did you mean {close[0]!r}?" if close else "Leave it out; /openapi.json lists the columns."
            label = name.encode(errors="replace").decode()
            raise RefusalError(422, f"Row {i} has the unknown column {shown(label)}. {what}", row=i, column=label[:100])
