"""Where data sets lie, and how they get there."""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import secrets
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

ENVIRONMENT_VARIABLE = "SKLEARN_FSMD_DATA"


def data_home(folder: str | os.PathLike[str] | None = None) -> Path:
    """`folder`, or the one that SKLEARN_FSMD_DATA names, or the platform's cache folder."""
    chosen = folder or os.environ.get(ENVIRONMENT_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("sklearn_fsmd"))


def find(folder: Path, name: str) -> Path | None:
    """The file `name` in `folder`, compressed with xz or not."""
    for candidate in (folder / name, folder / f"{name}.xz"):
        if candidate.is_file():
            return candidate
    return None


def ensure_files(
    folder: Path,
    names: Sequence[str],
    *,
    url: str,
    archive_hash: str | None,
    members: Callable[[Path], Iterator[tuple[str, IO[bytes]]]],
    file_hashes: dict[str, str] | None = None,
    download: bool = True,
) -> list[Path]:
    """The files `names` of `folder`; what is not there is taken from the publisher's archive at `url`.

    Each file is written under a temporary name and renamed when it is complete and its checksum is right. Files that
    are there, an archive too, are neither replaced nor removed.

    Raises
    ------
    OSError
        If a file is missing and cannot be downloaded, or may not be.
    ValueError
        If a checksum is wrong.
    """
    missing = [name for name in names if find(folder, name) is None]
    if missing:
        advice = (
            f"Put {', '.join(missing)} (as they are or compressed with xz) into {folder}; the publisher's archive is "
            f"{url}. Or let the environment variable {ENVIRONMENT_VARIABLE} name the folder that holds "
            f"{folder.name!r}."
        )
        if not download:
            raise OSError(f"Data not found, and download_if_missing=False. {advice}")
        archive = folder / url.rsplit("/", 1)[1]
        is_users = archive.is_file()
        if is_users:
            _check_archive(archive, archive_hash)
        else:
            archive = _download(url, archive_hash, folder, advice)
        try:
            _unpack(members(archive), missing, folder, file_hashes or {}, url)
        except (zipfile.BadZipFile, tarfile.ReadError, EOFError, zlib.error) as error:
            raise _damaged(archive, str(error)) if is_users else OSError(f"{url} came damaged: {error}.") from error
        finally:
            if not is_users:
                archive.unlink(missing_ok=True)
    return [path for name in names if (path := find(folder, name)) is not None]


def read_whole(path: Path, sha256: str | None = None) -> io.BytesIO:
    """The content of a text file, decompressed and checked to be all of it.

    Parameters
    ----------
    path : of the file, compressed if its name ends in ".xz".
    sha256 : of the content; where it is not known, only a cut in the middle of a line is seen.

    Raises
    ------
    ValueError
        If the file is damaged, cut off, or another one.
    """
    try:
        content = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    except (lzma.LZMAError, EOFError) as error:
        raise _damaged(path, str(error)) from error
    if sha256 is not None and (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise _damaged(path, f"its content has the SHA-256 {found}, expected {sha256}")
    if not content.endswith(b"\n"):
        raise _damaged(path, "its last line has no end")
    return io.BytesIO(content)


def _damaged(path: Path, why: str) -> ValueError:
    return ValueError(
        f"{path} is damaged or is not the publisher's file ({why}). It is not replaced: remove it, or put the "
        "publisher's in its place."
    )


def _check_archive(path: Path, expected: str | None) -> None:
    """Raise if an archive that is there has not the hash ``algorithm:digest``."""
    import pooch

    if expected is not None:
        algorithm, digest = expected.split(":")
        if (found := pooch.file_hash(str(path), alg=algorithm)) != digest:
            raise _damaged(path, f"it has the {algorithm} {found}, expected {digest}")


def _download(url: str, archive_hash: str | None, folder: Path, advice: str) -> Path:
    import pooch
    import requests

    try:
        downloader: Any = pooch.HTTPDownloader(progressbar=True)
        return Path(pooch.retrieve(url, archive_hash, fname=url.rsplit("/", 1)[1], path=folder, downloader=downloader))
    except (OSError, requests.RequestException) as error:
        raise OSError(f"{url} could not be downloaded ({error}). {advice}") from None


def _unpack(
    members: Iterator[tuple[str, IO[bytes]]], names: Sequence[str], folder: Path, hashes: dict[str, str], url: str
) -> None:
    left = set(names)
    for path, stream in members:
        name = path.rsplit("/", 1)[-1]
        if name not in left:
            continue
        digest = hashlib.sha256()
        temporary = folder / f".{name}.{secrets.token_hex(4)}"
        try:
            with temporary.open("xb") as target:  # with the mode that the user's files have
                while block := stream.read(1 << 20):
                    digest.update(block)
                    target.write(block)
            if name in hashes and digest.hexdigest() != hashes[name]:
                raise ValueError(f"{name} in {url} has the SHA-256 {digest.hexdigest()}, expected {hashes[name]}.")
            temporary.replace(folder / name)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        left.remove(name)
    if left:
        raise ValueError(f"The archive {url} does not hold {', '.join(sorted(left))}.")


def tar_members(archive: Path | IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and content of the files of a compressed tar archive."""
    path, stream = (archive, None) if isinstance(archive, Path) else (None, archive)
    with tarfile.open(path, fileobj=stream) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None:
                yield member.name, content


def zipped_tar_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The same, of the tar archives inside a zip archive."""
    with zipfile.ZipFile(archive) as outer:
        for name in outer.namelist():
            if name.endswith((".tar.gz", ".tgz", ".tar")):
                with outer.open(name) as inner:
                    yield from tar_members(inner)
