"""One file for JSON and arrays: safetensors, with a checksum, written under a temporary name and renamed."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from sklearn_fsmd.persistence.replacing import replacing

VERSION = 2
"""Of the format. It is raised when a file of before could no longer be read as it stands."""

PACKAGES = ("sklearn-fsmd", "torch", "scikit-learn", "numpy", "pandas")
LARGEST_HEADER = 100_000_000  # which is also what safetensors itself takes
LARGEST_CONTENT = 90_000_000
"""Bytes; the rest of a header names the arrays."""
CHECKSUM = re.compile(rb'"sha256":"([0-9a-f]{64})"')
BLOCK = 1 << 20


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
            position, digest = _checksum(file)
            file.seek(position)
            file.write(digest)


def read(path: str | os.PathLike[str], kind: str) -> tuple[Any, dict[str, np.ndarray]]:
    """Content and arrays of a file that :func:`write` has written.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If it is something else, of another kind, damaged, or of a format that is newer than this library.
    """
    with Path(path).open("rb") as file:
        try:
            position, digest = _checksum(file)
        except ValueError as error:
            raise ValueError(f"{path} is not a file of sklearn-fsmd, or its beginning is lost: {error}.") from None
        file.seek(position)
        if file.read(len(digest)) != digest:
            raise ValueError(
                f"{path} is damaged or was changed: its checksum is not that of its content. Save it anew, or take "
                "another copy."
            )
    try:
        with safe_open(path, framework="numpy") as tensors:
            metadata = tensors.metadata()
            if int(metadata["version"]) > VERSION:
                raise NewerError(json.loads(metadata["versions"])["sklearn-fsmd"], metadata["version"])
            if metadata["kind"] != kind:
                raise ValueError(f"it holds a {metadata['kind']}, not a {kind}")
            return json.loads(metadata["content"]), {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118
    except NewerError as error:
        raise ValueError(
            f"{path} was written by sklearn-fsmd {error.args[0]} in format {error.args[1]}; this version reads formats "
            f"up to {VERSION}. Update sklearn-fsmd."
        ) from None
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
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


def _checksum(file: IO[bytes]) -> tuple[int, bytes]:
    """Where the checksum stands in a file, and what it should be."""
    size = int.from_bytes(file.read(8), "little")
    if not 0 < size <= LARGEST_HEADER:
        hint = " and is perhaps a pickle; see SECURITY.md before joblib.load" if size & 0xFF == 0x80 else ""
        raise ValueError(f"it does not begin with the size of a header{hint}")
    header = file.read(size)
    if len(header) < size:
        raise ValueError("its header is cut off")
    if not (found := CHECKSUM.search(header)):
        raise ValueError("it has no checksum")
    start, end = found.span(1)
    digest = hashlib.sha256(size.to_bytes(8, "little") + header[:start] + b"0" * (end - start) + header[end:])
    while block := file.read(BLOCK):
        digest.update(block)
    return 8 + start, digest.hexdigest().encode()
