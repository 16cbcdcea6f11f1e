"""A file with JSON and arrays: safetensors with a checksum, written under a temporary name and renamed.

A file is read in a single pass, which also computes the checksum. So if another process overwrites the file in place
meanwhile, the mixed content is refused. With a memory map, half of one model and half of another could be loaded.
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

VERSION = 4
"""Version of the format.

It is raised when older files can no longer be read without a conversion, and when an older version of the library would
misinterpret new files.
"""

PACKAGES = ("sklearn-fsmd", "torch", "scikit-learn", "numpy", "pandas")
LARGEST_HEADER = 100_000_000  # bytes; the limit of safetensors itself
LARGEST_CONTENT = 90_000_000
"""Bytes of JSON content; the rest of a header names the arrays."""
CHECKSUM = re.compile(rb'"sha256":"([0-9a-f]{64})"')
BLOCK = 1 << 20
DTYPES = {"BOOL": "?", **{f"{kind}{8 * n}": f"<{kind.lower()}{n}" for kind in "UIF" for n in (1, 2, 4, 8)}}
"""The numpy dtypes, by their names in safetensors."""
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""Exceptions that a file with other content can lead to."""


def write(path: str | os.PathLike[str], kind: str, content: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a file of a `kind`, such as "model". An existing file stays unchanged if that fails.

    The checksum is the SHA-256 of the file with zeros instead of the checksum itself.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If the JSON content is larger than a file can hold.
    """
    versions = {name: version(name) for name in PACKAGES}
    metadata = {"kind": kind, "version": str(VERSION), "content": json.dumps(content), "sha256": "0" * 64}
    if (size := len(json.dumps(metadata["content"]))) > LARGEST_CONTENT:
        raise ValueError(
            f"{path} cannot be written: its content apart from arrays takes {size:,} bytes, and there is room for "
            f"{LARGEST_CONTENT:,}. Categories that are not all strings or all numbers are written there: pass them as "
            "strings."
        )
    with replacing(path, SafetensorError) as temporary:
        save_file(dict(arrays), temporary, metadata={**metadata, "versions": json.dumps(versions)})
        with temporary.open("r+b") as file:
            header = _Header(file)
            _hash_rest(file, header.digest)
            file.seek(header.position)
            file.write(header.digest.hexdigest().encode())


def read(path: str | os.PathLike[str], kind: str) -> tuple[Any, dict[str, np.ndarray]]:
    """Read the content and the arrays of a file that :func:`write` has written.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If the file is something else, of another kind, damaged, or of a newer format than this library knows.
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
        except UNREADABLE as error:  # raised below, unless the checksum shows that the file is damaged
            unreadable = error
        _hash_rest(file, header.digest)
        if header.digest.hexdigest().encode() != header.checksum:
            raise ValueError(
                f"{path} is damaged or was changed: its checksum does not match its content. Save it again, or use "
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
    """The kind of a file by its header alone, even if the rest is damaged.

    Raises
    ------
    ValueError
        If the file was not written by :func:`write`.
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
    """The format of the file is newer than this library."""


class _Header:
    """The header of a file, read from its beginning.

    Attributes
    ----------
    text : content of the header, JSON.
    checksum, position : the checksum in the header, and its position in the file.
    digest : hash of the header, to be updated with the rest of the file.

    Raises
    ------
    ValueError
        If the file does not begin with such a header.
    """

    def __init__(self, file: IO[bytes]) -> None:
        size = int.from_bytes(file.read(8), "little")
        if not 0 < size <= LARGEST_HEADER:
            hint = " and is perhaps a pickle; see SECURITY.md before joblib.load" if size & 0xFF == 0x80 else ""
            raise ValueError(f"it does not begin with the size of a header{hint}")
        self.text = file.read(size)
        if len(self.text) < size:
            raise ValueError("its header is cut off")
        if not (match := CHECKSUM.search(self.text)):
            raise ValueError("it has no checksum")
        start, end = match.span(1)
        self.checksum, self.position = self.text[start:end], 8 + start
        blank = self.text[:start] + b"0" * (end - start) + self.text[end:]
        self.digest = hashlib.sha256(size.to_bytes(8, "little") + blank)


def _arrays(file: BufferedReader, header: _Header) -> dict[str, np.ndarray]:
    """Read the arrays that follow a header, and nothing after them."""
    entries = [(name, entry) for name, entry in json.loads(header.text).items() if name != "__metadata__"]
    n_bytes, position = os.fstat(file.fileno()).st_size - file.tell(), 0
    arrays = {}
    for name, entry in sorted(entries, key=lambda pair: pair[1]["data_offsets"]):
        dtype, shape, (start, end) = np.dtype(DTYPES[entry["dtype"]]), entry["shape"], entry["data_offsets"]
        if start != position or end > n_bytes or math.prod(shape) * dtype.itemsize != end - start:
            raise ValueError(f"the array {name!r} is not where its header says")
        arrays[name] = array = np.empty(shape, dtype)
        content = array.reshape(-1).view(np.uint8)
        n_read = file.readinto(content.data)
        header.digest.update(content[:n_read].data)
        position = end
    if position != n_bytes:
        raise ValueError(f"its arrays have {position:,} bytes, and {n_bytes:,} follow the header")
    return arrays


def _hash_rest(file: IO[bytes], digest: Any) -> None:
    while block := file.read(BLOCK):
        digest.update(block)
