"""One file for JSON and arrays: safetensors, with a checksum, written under a temporary name and renamed.

A file is read once, by one pass that also sums it up. So what somebody writes into it meanwhile, as a copy in place
does, is refused or not read at all; mapped into memory, it would be half of one model and half of another.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from importlib.metadata import version
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from sklearn_fsmd.persistence.replacing import replacing

VERSION = 3
"""Of the format. It is raised when a file of before could no longer be read as it stands, and when a former version
would make something else of a file of today."""

PACKAGES = ("sklearn-fsmd", "torch", "scikit-learn", "numpy", "pandas")
LARGEST_HEADER = 100_000_000  # which is also what safetensors itself takes
LARGEST_CONTENT = 90_000_000
"""Bytes; the rest of a header names the arrays."""
CHECKSUM = re.compile(rb'"sha256":"([0-9a-f]{64})"')
BLOCK = 1 << 20
DTYPES = {"BOOL": "?", **{f"{kind}{8 * n}": f"<{kind.lower()}{n}" for kind in "UIF" for n in (1, 2, 4, 8)}}
"""What safetensors calls the types of numpy."""
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What a file that means something else ends in."""


def write(path: str | os.PathLike[str], kind: str, content: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a file of a `kind`, such as "model"; what was at `path` before stays whole if that fails.

    The checksum is the SHA-256 of the file with zeros in the place of the checksum itself.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If the content that is no array is larger than a file can hold.
    """
    versions = {name: version(name) for name in PACKAGES}
    metadata = {"kind": kind, "version": str(VERSION), "content": json.dumps(content), "sha256": "0" * 64}
    if (size := len(json.dumps(metadata["content"]))) > LARGEST_CONTENT:
        raise ValueError(
            f"{path} cannot be written: what it holds beside arrays takes {size:,} bytes, and there is room for "
            f"{LARGEST_CONTENT:,}. Categories that are not all strings or all numbers are written there: pass them as "
            "strings."
        )
    with replacing(path, SafetensorError) as temporary:
        save_file(dict(arrays), temporary, metadata={**metadata, "versions": json.dumps(versions)})
        with temporary.open("r+b") as file:
            header = _Header(file)
            _take_rest(file, header.digest)
            file.seek(header.position)
            file.write(header.digest.hexdigest().encode())


def read(path: str | os.PathLike[str], kind: str) -> tuple[Any, dict[str, np.ndarray]]:
    """Content and arrays of a file that :func:`write` has written.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If it is something else, of another kind, damaged, or of a format that is newer than this library.
    """
    arrays: dict[str, np.ndarray] = {}
    unreadable: Exception | None = None
    with Path(path).open("rb") as file:
        try:
            header = _Header(file)
        except ValueError as error:
            raise ValueError(f"{path} is not a file of sklearn-fsmd, or its beginning is lost: {error}.") from None
        try:
            arrays = _arrays(file, header)
        except UNREADABLE as error:  # of which the checksum may say more
            unreadable = error
        _take_rest(file, header.digest)
        if header.digest.hexdigest().encode() != header.checksum:
            raise ValueError(
                f"{path} is damaged or was changed: its checksum is not that of its content. Save it anew, or take "
                "another copy."
            )
    try:
        if unreadable is not None:
            raise unreadable
        metadata = json.loads(header.text)["__metadata__"]
        if int(metadata["version"]) > VERSION:
            raise NewerError(json.loads(metadata["versions"])["sklearn-fsmd"], metadata["version"])
        if metadata["kind"] != kind:
            raise ValueError(f"it holds a {metadata['kind']}, not a {kind}")
        return json.loads(metadata["content"]), arrays
    except NewerError as error:
        raise ValueError(
            f"{path} was written by sklearn-fsmd {error.args[0]} in format {error.args[1]}; this version reads formats "
            f"up to {VERSION}. Update sklearn-fsmd."
        ) from None
    except UNREADABLE as error:
        raise ValueError(f"{path} cannot be read as a {kind} of sklearn-fsmd: {error}") from error


def kind_of(path: str | os.PathLike[str]) -> str:
    """The kind of a file, sound or not, by its header alone.

    Raises
    ------
    ValueError
        If it is no file of :func:`write`.
    """
    with Path(path).open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = file.read(size) if 0 < size <= LARGEST_HEADER else b""
    try:
        return json.loads(header)["__metadata__"]["kind"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(
            f"{path} is not a file of sklearn-fsmd, and is not replaced. Remove it, or name another."
        ) from None


class NewerError(Exception):
    """The file is of a version that does not exist yet."""


class _Header:
    """The header of a file, read from its beginning.

    Attributes
    ----------
    text : what it says, JSON.
    checksum, position : the checksum that it names, and where that stands in the file.
    digest : has taken up the header; what follows is to be given to it.

    Raises
    ------
    ValueError
        If it is none.
    """

    def __init__(self, file: IO[bytes]) -> None:
        size = int.from_bytes(file.read(8), "little")
        if not 0 < size <= LARGEST_HEADER:
            hint = " and is perhaps a pickle; see SECURITY.md before joblib.load" if size & 0xFF == 0x80 else ""
            raise ValueError(f"it does not begin with the size of a header{hint}")
        self.text = file.read(size)
        if len(self.text) < size:
            raise ValueError("its header is cut off")
        if not (found := CHECKSUM.search(self.text)):
            raise ValueError("it has no checksum")
        start, end = found.span(1)
        self.checksum, self.position = self.text[start:end], 8 + start
        blank = self.text[:start] + b"0" * (end - start) + self.text[end:]
        self.digest = hashlib.sha256(size.to_bytes(8, "little") + blank)


def _arrays(file: BufferedReader, header: _Header) -> dict[str, np.ndarray]:
    """The arrays that follow a header, of which no more is read than it names."""
    entries = [(name, entry) for name, entry in json.loads(header.text).items() if name != "__metadata__"]
    n_bytes, at = os.fstat(file.fileno()).st_size - file.tell(), 0
    arrays = {}
    for name, entry in sorted(entries, key=lambda pair: pair[1]["data_offsets"]):
        dtype, shape, (start, end) = np.dtype(DTYPES[entry["dtype"]]), entry["shape"], entry["data_offsets"]
        if start != at or end > n_bytes or math.prod(shape) * dtype.itemsize != end - start:
            raise ValueError(f"the array {name!r} is not where its header says")
        arrays[name] = array = np.empty(shape, dtype)
        content = array.reshape(-1).view(np.uint8)
        n_read = file.readinto(content.data)
        header.digest.update(content[:n_read].data)
        at = end
    if at != n_bytes:
        raise ValueError(f"its arrays have {at:,} bytes, and {n_bytes:,} follow the header")
    return arrays


def _take_rest(file: IO[bytes], digest: Any) -> None:
    while block := file.read(BLOCK):
        digest.update(block)
