"""A file is written under a temporary name and renamed, so what was there before stays whole if that fails."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST_NAME = 200
"""Of a temporary file, in bytes: file systems have 255, and writers may add to it."""


@contextmanager
def replacing(path: str | os.PathLike[str], *errors: type[Exception]) -> Iterator[Path]:
    """Give the path of an empty temporary file, which becomes `path` at the end, or is removed at an error.

    Nobody else can read it meanwhile.

    Parameters
    ----------
    path : str or path. A link stays one, and a file keeps its mode.
    *errors : further types of errors that mean that the file could not be written.

    Raises
    ------
    OSError
        If the file cannot be written, or is none: a folder, a device or a pipe.
    """
    path = Path(os.path.realpath(path))
    failures: tuple[type[Exception], ...] = (OSError, *errors)
    temporary, mode = _beside(path)
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
    """Raise the OSError of :func:`replacing` now, where it would come after hours of work."""
    temporary, _ = _beside(Path(os.path.realpath(path)))
    temporary.unlink()


def _beside(path: Path) -> tuple[Path, int]:
    """A new, empty file in the same folder, and the mode that the finished one is to have."""
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
    return OSError(f"{path} could not be written ({error}); what was there before is unchanged.")
