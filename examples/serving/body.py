"""The body of a request: its type, its size, and the JSON in it."""

import asyncio
import json
from typing import Any

from starlette.requests import ClientDisconnect, Request

from serving.refusal import RefusalError, shown
from serving.settings import Settings

SURPLUS = 16
"""A body of more than this many times the limit is not read to its end: the connection is closed."""


async def read_body(request: Request, settings: Settings) -> bytes:
    """Return the bytes of the body, after checks of the headers and the size."""
    _check_headers(request)
    try:
        async with asyncio.timeout(settings.body_seconds):
            return await _read(request, settings.max_bytes)
    except TimeoutError:
        text = f"The body did not arrive within {settings.body_seconds:g} seconds."
        raise RefusalError(408, text) from None
    except ClientDisconnect:
        raise RefusalError(400, "The connection was closed before the body had arrived.") from None


async def _read(request: Request, limit: int) -> bytes:
    """Return the body. Bytes beyond the limit are read and discarded: clients read the answer after sending all."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size <= limit:
            parts.append(part)
        elif size > SURPLUS * limit:
            break
    if size > limit:
        raise RefusalError(413, f"The body has more than {limit:,} bytes. Send fewer rows at a time.")
    return b"".join(parts)


def _check_headers(request: Request) -> None:
    kind = request.headers.get("content-type", "")
    media, _, parameters = kind.partition(";")
    if media.strip().lower() != "application/json":
        raise RefusalError(415, f"The content type is {shown(kind)}. Send JSON as application/json.")
    charset = parameters.lower().replace(" ", "").replace('"', "")
    if "charset=" in charset and "charset=utf-8" not in charset:
        raise RefusalError(415, f"The content type is {shown(kind)}. Send JSON in UTF-8.")
    if (coding := request.headers.get("content-encoding", "identity").lower()) != "identity":
        raise RefusalError(415, f"The content encoding is {shown(coding)}. Send JSON as it is.")


def parse(body: bytes, fields: tuple[str, ...], max_rows: int) -> dict[str, Any]:
    """Return the fields of a request; `rows` is one of them.

    Raises
    ------
    RefusalError
        If the body is not JSON or has other fields. The rows are checked later.
    """
    try:
        content = json.loads(body.decode(), object_pairs_hook=_object_with_unique_keys)
    except RecursionError:
        raise RefusalError(400, "The JSON is nested too deeply. Rows are lists of flat objects.") from None
    except UnicodeDecodeError as error:
        raise RefusalError(400, f"The body is no UTF-8: its byte {error.start} cannot be read.") from None
    except ValueError as error:
        raise RefusalError(400, f"The body is no JSON that can be read: {error}") from None
    if type(content) is not dict:
        raise RefusalError(422, 'The body is no object. Send {"rows": [...]}.')
    if unknown := [name for name in content if name not in fields]:
        name = unknown[0].encode(errors="replace").decode()
        raise RefusalError(422, f"The body has the unknown field {shown(name)}. It has {' and '.join(fields)}.")
    if type(content.get("rows")) is not list:
        raise RefusalError(422, 'The body has no list "rows". Send {"rows": [...]}, with an object per row.')
    if (n := len(content["rows"])) > max_rows:
        raise RefusalError(422, f"The request has {n:,} rows. Send {max_rows:,} at most.")
    return content


def _object_with_unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        seen: set[str] = set()
        duplicate = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise ValueError(f"an object has the key {shown(duplicate)} twice.")
    return unique
