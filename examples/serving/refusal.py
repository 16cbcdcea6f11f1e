"""A request that is not answered as asked: the status, and one sentence for whoever sent it."""

import json
from typing import Any


class RefusalError(Exception):
    def __init__(self, status: int, detail: str, *, row: int | None = None, column: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.content = {"detail": detail}
        if row is not None:
            self.content["row"] = row
        if column is not None:
            self.content["column"] = column


def bad_value(row: int, column: str, text: str) -> RefusalError:
    """A value that the column cannot hold; `text` says what it is and what to send."""
    return RefusalError(422, f"Row {row}, column {column!r}: {text}", row=row, column=column)


def shown(value: Any) -> str:
    """A value of JSON as it is in JSON, cut off where it is long."""
    try:
        text = json.dumps(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, say
        text = f"a {type(value).__name__} that is too large to be shown"
    return text if len(text) <= 60 else f"{text[:57]}..."
