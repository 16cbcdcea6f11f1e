"""Atomic writing of files: under a temporary name that is renamed, so that an existing file survives a failure."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST_NAME = 200
"""Bytes of the original name in that of a temporary file: file systems allow 255, and writers may add a suffix."""


@contextmanager
def replacing(path: str | os.PathLike[str], *errors: type[Exception]) -> Iterator[Path]:
    """Yield the path of an empty temporary file, which replaces `path` at the end, or is removed after an error.

    Other users cannot read the temporary file.

    Parameters
    ----------
    path : str or path. A symbolic link is followed, and an existing file keeps its mode.
    *errors : further types of exceptions that mean that the file could not be written.

    Raises
    ------
    OSError
        If the file cannot be written, or `path` is a folder, a device or a pipe.
    """
    path = Path(os.path.realpath(path))
    failures: tuple[type[Exception], ...] = (OSError, *errors)
    temporary, mode = _temporary_file(path)
    try:
        yield temporary
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except failures as error:
        raise _unwritten(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def refuse_unwritable(path: str | os.PathLike[str]) -> None:
    """Raise the OSError of :func:`replacing` before hours of work, instead of after them."""
    temporary, _ = _temporary_file(Path(os.path.realpath(path)))
    temporary.unlink()


def _temporary_file(path: Path) -> tuple[Path, int]:
    """Create an empty file in the same folder; return its path and the mode that the finished file gets."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {str(path.parent)!r}.")
    if path.exists() and not path.is_file():
        raise OSError(f"{path} cannot be written: it is a {'folder' if path.is_dir() else 'device or a pipe'}.")
    name = os.fsdecode(os.fsencode(path.name)[:LONGEST_NAME])
    temporary = path.with_name(f".{name}.{secrets.token_hex(4)}")
    try:
        temporary.touch(exist_ok=False)
        mode = (path if path.exists() else temporary).stat().st_mode
        temporary.chmod(0o600)
    except OSError as error:
        raise _unwritten(path, error) from error
    return temporary, mode


def _unwritten(path: Path, error: Exception) -> OSError:
    return OSError(f"{path} could not be written ({error}); an existing file is unchanged.")
