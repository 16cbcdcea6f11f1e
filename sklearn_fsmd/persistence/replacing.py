"""A file is written under a temporary name and renamed, so what was there before stays whole if that fails."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str], *errors: type[Exception]) -> Iterator[Path]:
    """Give the path of an empty temporary file, which becomes `path` at the end, or is removed at an error.

    Parameters
    ----------
    path : str or path. A link stays one, and a file keeps its mode.
    *errors : further types of errors that mean that the file could not be written.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    path = Path(os.path.realpath(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {str(path.parent)!r}.")
    failures: tuple[type[Exception], ...] = (OSError, *errors)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        temporary.touch(exist_ok=False)
        mode = (path if path.exists() else temporary).stat().st_mode
        yield temporary
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except failures as error:
        raise OSError(f"{path} could not be written ({error}); what was there before is unchanged.") from error
    finally:
        temporary.unlink(missing_ok=True)
