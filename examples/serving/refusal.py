"""The error of a request that is refused: a status, and one sentence for the client."""

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
    """Return the error of a value that the column cannot hold; `text` describes it and what to send instead."""
    return RefusalError(422, f"Row {row}, column {column!r}: {text}", row=row, column=column)


def shown(value: Any) -> str:
    """Return a value as JSON, truncated if it is long."""
    try:
        text = json.dumps(value)
    except (ValueError, RecursionError):  # for example an integer with thousands of digits
        text = f"a {type(value).__name__} that is too large to be shown"
    return text if len(text) <= 60 else f"{text[:57]}..."
