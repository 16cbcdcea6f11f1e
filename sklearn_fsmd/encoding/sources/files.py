"""Where the files of a data set are: a path, a glob, a folder, a URL, or a list of these."""

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
BUFFER = 1 << 17
"""So many bytes of a column are read at a time."""


class File(NamedTuple):
    """One Parquet file.

    Attributes
    ----------
    name : what messages call it.
    path : where it is in its file system.
    system : the file system of fsspec; None for the local one.
    """

    name: str
    path: str
    system: Any = None

    def open(self) -> Any:
        """The file as a ``pyarrow.parquet.ParquetFile``.

        Raises
        ------
        OSError
            If it cannot be reached.
        ValueError
            If it is no whole Parquet file.
        """
        from pyarrow.parquet import ParquetFile

        with self.readable():
            where = self.path if self.system is None else self.system.open(self.path, "rb")
            return ParquetFile(where, buffer_size=BUFFER, pre_buffer=False)

    @property
    def place(self) -> str:
        """Where it is, links followed: by what one file is known under two names."""
        if self.system is None:
            return os.path.realpath(self.path)
        # By its token fsspec tells a file system from another of its kind: another archive, another host.
        return f"{type(self.system).__name__} {getattr(self.system, '_fs_token', '')} {self.path}"

    def stamp(self) -> str:
        """Changes when the content of the file does."""
        with self.readable():
            if self.system is None:
                found = Path(self.path).stat()
                return f"{found.st_size} {found.st_mtime_ns} {found.st_ino}"
            return f"{self.system.size(self.path)} {self.system.ukey(self.path)}"

    @contextmanager
    def readable(self) -> Iterator[None]:
        """Let errors of reading name the file."""
        import pyarrow as pa

        try:
            yield
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{self.name} is not there (any more).") from error
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise ValueError(f"{self.name} cannot be read as a Parquet file: {_first_line(error)}") from error
        except OSError as error:  # which damaged pages raise too
            raise OSError(f"{self.name} cannot be read: {_first_line(error)}") from error


def batches_of(
    opened: Any, size: int, groups: Sequence[int] | None = None, columns: Sequence[str] | None = None, **options: Any
) -> Iterator[Any]:
    """What ``iter_batches`` of an open file gives, of lists of dictionaries too, such as polars writes.

    pyarrow cannot join those of several row groups, so they are read group by group.
    """
    import pyarrow.types as types

    if any(is_list(kind) and types.is_dictionary(kind.value_type) for kind in opened.schema_arrow.types):
        every = range(opened.metadata.num_row_groups) if groups is None else groups
        for group in every:
            yield from opened.iter_batches(size, [group], columns, **options)
    else:
        yield from opened.iter_batches(size, groups, columns, **options)


def find_files(source: Any, left_out: LeftOut | None = None) -> list[File]:
    """All files of a data set, in their order: those of a folder or a glob are sorted, and none is there twice.

    Of a list, paths that are not there may be left out, if `left_out` says so.

    Raises
    ------
    OSError
        If there are none, or a URL cannot be reached.
    ValueError
        If `source` is an empty list, or a file is found twice.
    TypeError
        If it is something else.
    """
    found = _found(source, left_out or LeftOut())
    seen: dict[str, str] = {}
    for file in found:
        if (known := seen.get(file.place)) is not None:
            again = "" if known == file.name else f", as {known} too"
            raise ValueError(
                f"{file.name} is in the data set twice{again}. Its rows would count twice, and validate beside their "
                "twins: name it once."
            )
        seen[file.place] = file.name
    return found


def _found(source: Any, left_out: LeftOut) -> list[File]:
    if isinstance(source, (list, tuple)):
        if not source:
            raise ValueError("The list of files is empty.")
        found: list[File] = []
        for one in source:
            with left_out.trying(str(one)):
                found += _found(one, left_out)
        return found
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            "A data set is a path, a glob, a folder, a URL, a list of these, or a function that returns an iterator of "
            f"DataFrames. Got {type(source).__name__}."
        )
    where = _without_protocol(source)
    if "://" in where or "::" in where:
        return _remote(where)
    if Path(where).is_dir():
        return _some(_data(_inside(where), where), f"The folder {where} holds no file *.parquet.")
    if Path(where).exists() or not glob.has_magic(where):
        return [File(where, where)]
    each = (_inside(one) if Path(one).is_dir() else [one] for one in glob.glob(where, recursive=True))
    named = _by_name({path for some in each for path in some})
    return _some(_data(named, where), f"No file is named like {where}, and none *.parquet is in such a folder.")


def _inside(folder: str) -> list[str]:
    """The files ``*.parquet`` of a folder and of those in it, also where these are links; none is entered twice."""
    found, entered = [], set()
    for where, folders, names in os.walk(folder, onerror=_fail, followlinks=True):
        if (real := os.path.realpath(where)) in entered:
            folders.clear()
            continue
        entered.add(real)
        folders.sort()  # which of two links is followed does not depend on the disk
        found += [os.path.join(where, name) for name in names if name.endswith(".parquet")]  # links to nothing too
    return _by_name(found)


def _fail(error: OSError) -> None:
    """A folder that cannot be read would be left out without a word."""
    raise error


def _by_name(paths: Iterable[str]) -> list[str]:
    """Sorted, folder by folder."""
    return sorted(paths, key=lambda path: PurePath(path).parts)


def is_of(path: str | os.PathLike[str], source: Any, files: Sequence[File]) -> bool:
    """Whether a local file is, or would be if it were written, one of the `files` of the data set `source`."""
    real = Path(os.path.realpath(path))
    if any(file.system is None and os.path.realpath(file.path) == str(real) for file in files):
        return True
    return any(
        _would_find(os.path.realpath(_without_protocol(one)), real)
        for one in (source if isinstance(source, (list, tuple)) else [source])
    )


def _without_protocol(source: str | os.PathLike[str]) -> str:
    """The path of a URL of the local file system; all else as it is."""
    where = os.fspath(source)
    if not where.startswith(("file://", "local://")):
        return where
    from fsspec.implementations.local import LocalFileSystem

    return str(LocalFileSystem._strip_protocol(where))


def _would_find(where: str, path: Path) -> bool:
    """Whether a folder or a glob would have `path` among its files. Of "**" too much is said rather than too little."""
    if Path(where).is_dir():
        is_inside = path.is_relative_to(where) and path.suffix == ".parquet"
    else:  # a folder that is named is read whole
        named = [path, *(path.parents if path.suffix == ".parquet" else ())]
        is_inside = any(_is_named(where, one) for one in named)
    return is_inside and bool(_data([str(path)], where))


def _is_named(pattern: str, path: Path) -> bool:
    if "**" in pattern:
        return fnmatch(str(path), pattern.replace("**/", "*"))
    parts = Path(pattern).parts
    return len(parts) == len(path.parts) and all(map(fnmatch, path.parts, parts))


def _remote(url: str) -> list[File]:
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(url)

        def inside(folder: str) -> list[str]:
            return _by_name(one for one in system.find(folder) if one.endswith(".parquet"))

        if glob.has_magic(path):
            named = system.glob(path, detail=True)
            each = (inside(one) if of["type"] == "directory" else [one] for one, of in named.items())
            found = _data(_by_name({one for some in each for one in some}), path)
        elif system.isdir(path):
            found = _data(inside(path), path)
        else:
            found = [path] if system.exists(path) else []
    except ImportError as error:
        raise ImportError(f"{url} cannot be reached: {error}") from error
    except Exception as error:  # each file system has its own
        raise OSError(f"{url} cannot be reached: {type(error).__name__}, {_first_line(error)}") from error
    if not found:
        raise FileNotFoundError(f"There is no Parquet file at {url}.")
    return [File(url if one == path else system.unstrip_protocol(one), one, system) for one in found]


def _some(paths: list[str], otherwise: str) -> list[File]:
    if not paths:
        raise FileNotFoundError(otherwise)
    return [File(path, path) for path in paths]


def _data(paths: Iterable[str], where: str) -> list[str]:
    """Those that are no left-overs of a job that writes: these, and their folders, begin with "_" or ".".

    What `where`, a folder or a glob, begins in that way itself is meant.
    """
    parts = PurePath(where).parts
    meant = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    if meant < len(parts) and parts[-1].startswith(HIDDEN):
        return list(paths)
    return [path for path in paths if not any(part.startswith(HIDDEN) for part in PurePath(path).parts[meant:])]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
