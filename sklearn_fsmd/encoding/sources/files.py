"""The files of a data set, given by a path, a glob, a folder, a URL, or a list of these."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from sklearn_fsmd.encoding.sources.left_out import LeftOut
from sklearn_fsmd.encoding.sources.schema import is_list

HIDDEN = ("_", ".")
"""First characters of the names of temporary files and folders."""
BUFFER = 1 << 17
"""Number of bytes of a column that are read at a time."""


def open_parquet(where: Any) -> Any:
    """Open a Parquet file, given by a path or as an open file, to read it block by block.

    By default pyarrow keeps what it has read in memory until the file is closed, or reads whole row groups at once.
    """
    from pyarrow.parquet import ParquetFile

    return ParquetFile(where, buffer_size=BUFFER, pre_buffer=False)


class File(NamedTuple):
    """One Parquet file.

    Attributes
    ----------
    name : its name in messages.
    path : its path in its file system.
    system : the file system of fsspec; None for the local one.
    """

    name: str
    path: str
    system: Any = None

    def open(self) -> Any:
        """Open the file as a ``pyarrow.parquet.ParquetFile``.

        Raises
        ------
        OSError
            If it cannot be reached.
        ValueError
            If it is not a complete Parquet file.
        """
        with self.readable():
            return open_parquet(self.path if self.system is None else self.system.open(self.path, "rb"))

    @property
    def place(self) -> str:
        """Its resolved path, which identifies a file that is given under two names."""
        if self.system is None:
            return os.path.realpath(self.path)
        # The token of fsspec distinguishes file systems of the same class, such as two archives or two hosts.
        return f"{type(self.system).__name__} {getattr(self.system, '_fs_token', '')} {self.path}"

    def stamp(self) -> str:
        """Return a string that changes when the content of the file changes."""
        with self.readable():
            if self.system is None:
                stat = Path(self.path).stat()
                return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ino}"
            return f"{self.system.size(self.path)} {self.system.ukey(self.path)}"

    @contextmanager
    def readable(self) -> Iterator[None]:
        """Convert errors of reading to errors that name the file."""
        import pyarrow as pa

        try:
            yield
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{self.name} is not there (any more).") from error
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise ValueError(f"{self.name} cannot be read as a Parquet file: {_first_line(error)}") from error
        except OSError as error:  # also for damaged pages
            raise OSError(f"{self.name} cannot be read: {_first_line(error)}") from error


def batches_of(
    opened: Any, size: int, groups: Sequence[int] | None = None, columns: Sequence[str] | None = None, **options: Any
) -> Iterator[Any]:
    """Do the same as ``iter_batches`` of an open file, also for lists of dictionaries, as written by polars.

    pyarrow cannot concatenate these from several row groups, so they are read group by group.
    """
    import pyarrow.types as types

    if any(is_list(kind) and types.is_dictionary(kind.value_type) for kind in opened.schema_arrow.types):
        all_groups = range(opened.metadata.num_row_groups) if groups is None else groups
        for group in all_groups:
            yield from opened.iter_batches(size, [group], columns, **options)
    else:
        yield from opened.iter_batches(size, groups, columns, **options)


def find_files(source: Any, left_out: LeftOut | None = None) -> list[File]:
    """Find all files of a data set, in their order; the files of a folder or a glob are sorted.

    Paths of a list that do not exist are left out if `left_out` allows it.

    Raises
    ------
    OSError
        If there are no files, or a URL cannot be reached.
    ValueError
        If `source` is an empty list, or a file is found twice.
    TypeError
        If it is something else.
    """
    files = _find(source, left_out or LeftOut())
    names: dict[str, str] = {}
    for file in files:
        if (known := names.get(file.place)) is not None:
            other_name = "" if known == file.name else f", as {known} too"
            raise ValueError(
                f"{file.name} is in the data set twice{other_name}. Its rows would count twice, and may be in both "
                "training and validation: name it once."
            )
        names[file.place] = file.name
    return files


def _find(source: Any, left_out: LeftOut) -> list[File]:
    if isinstance(source, (list, tuple)):
        if not source:
            raise ValueError("The list of files is empty.")
        files: list[File] = []
        for item in source:
            with left_out.trying(str(item)):
                files += _find(item, left_out)
        return files
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            "A data set is a path, a glob, a folder, a URL, a list of these, or a function that returns an iterator of "
            f"DataFrames. Got {type(source).__name__}."
        )
    path = _without_protocol(source)
    if "://" in path or "::" in path:
        return _find_remote(path)
    if Path(path).is_dir():
        return _files(_without_hidden(_inside(path), path), f"The folder {path} contains no file *.parquet.")
    if Path(path).exists() or not glob.has_magic(path):
        return [File(path, path)]
    matches = (_inside(match) if Path(match).is_dir() else [match] for match in glob.glob(path, recursive=True))
    paths = _sorted({file for files in matches for file in files})
    return _files(
        _without_hidden(paths, path), f"No file matches {path}, and no folder that matches it contains *.parquet."
    )


def _inside(folder: str) -> list[str]:
    """Find the files ``*.parquet`` in a folder and its subfolders; links are followed, but no folder is read twice."""
    files, visited = [], set()
    for path, folders, names in os.walk(folder, onerror=_fail, followlinks=True):
        if (real := os.path.realpath(path)) in visited:
            folders.clear()
            continue
        visited.add(real)
        folders.sort()  # of two links to one folder, always follow the same one
        files += [os.path.join(path, name) for name in names if name.endswith(".parquet")]  # also broken links
    return _sorted(files)


def _fail(error: OSError) -> None:
    """Raise the error: ``os.walk`` would silently skip a folder that cannot be read."""
    raise error


def _sorted(paths: Iterable[str]) -> list[str]:
    """Sort paths, folder by folder."""
    return sorted(paths, key=lambda path: PurePath(path).parts)


def is_of(path: str | os.PathLike[str], source: Any, files: Sequence[File]) -> bool:
    """Whether a local file is one of the `files` of the data set `source`, or would be if it were written."""
    real = Path(os.path.realpath(path))
    if any(file.system is None and os.path.realpath(file.path) == str(real) for file in files):
        return True
    return any(
        _would_find(os.path.realpath(_without_protocol(item)), real)
        for item in (source if isinstance(source, (list, tuple)) else [source])
    )


def _without_protocol(source: str | os.PathLike[str]) -> str:
    """Convert a URL of the local file system to a path; return anything else unchanged."""
    path = os.fspath(source)
    if not path.startswith(("file://", "local://")):
        return path
    from fsspec.implementations.local import LocalFileSystem

    return str(LocalFileSystem._strip_protocol(path))


def _would_find(source: str, path: Path) -> bool:
    """Whether a folder or a glob would find the file `path`. For "**" this may return True wrongly, but not False."""
    if Path(source).is_dir():
        is_found = path.is_relative_to(source) and path.suffix == ".parquet"
    else:  # all files in a folder that matches the glob are read
        candidates = [path, *(path.parents if path.suffix == ".parquet" else ())]
        is_found = any(_matches(source, candidate) for candidate in candidates)
    return is_found and bool(_without_hidden([str(path)], source))


def _matches(pattern: str, path: Path) -> bool:
    if "**" in pattern:
        return fnmatch(str(path), pattern.replace("**/", "*"))
    parts = Path(pattern).parts
    return len(parts) == len(path.parts) and all(map(fnmatch, path.parts, parts))


def _find_remote(url: str) -> list[File]:
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(url)

        def inside(folder: str) -> list[str]:
            return _sorted(file for file in system.find(folder) if file.endswith(".parquet"))

        if glob.has_magic(path):
            infos = system.glob(path, detail=True)
            matches = (inside(match) if info["type"] == "directory" else [match] for match, info in infos.items())
            paths = _without_hidden(_sorted({file for files in matches for file in files}), path)
        elif system.isdir(path):
            paths = _without_hidden(inside(path), path)
        else:
            paths = [path] if system.exists(path) else []
    except ImportError as error:
        raise ImportError(f"{url} cannot be reached: {error}") from error
    except Exception as error:  # each file system raises its own types
        raise OSError(f"{url} cannot be reached: {type(error).__name__}, {_first_line(error)}") from error
    if not paths:
        raise FileNotFoundError(f"There is no Parquet file at {url}.")
    return [File(url if file == path else system.unstrip_protocol(file), file, system) for file in paths]


def _files(paths: list[str], message: str) -> list[File]:
    """Create the files, or raise an error with this message if there are none."""
    if not paths:
        raise FileNotFoundError(message)
    return [File(path, path) for path in paths]


def _without_hidden(paths: Iterable[str], source: str) -> list[str]:
    """Drop temporary files of a job that writes: the names of these, or of their folders, begin with "_" or ".".

    Such names are kept if they are part of the folder or glob `source` itself.
    """
    parts = PurePath(source).parts
    n_explicit = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    if n_explicit < len(parts) and parts[-1].startswith(HIDDEN):
        return list(paths)
    return [path for path in paths if not any(part.startswith(HIDDEN) for part in PurePath(path).parts[n_explicit:])]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
