"""The folder of the data sets, and the download of their files."""

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
    """`folder`, or else the folder that SKLEARN_FSMD_DATA names, or else the cache folder of the platform."""
    chosen = folder or os.environ.get(ENVIRONMENT_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("sklearn_fsmd"))


def find(folder: Path, name: str) -> Path | None:
    """The path of the file `name` in `folder`, compressed with xz or not; None if there is none."""
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
    """The paths of the files `names` in `folder`; missing ones are extracted from the publisher's archive at `url`.

    Each file is written under a temporary name, and renamed when it is complete and its checksum is right. Existing
    files are neither replaced nor removed, nor is an archive that the user has put into the folder.

    Raises
    ------
    OSError
        If a file is missing and cannot be downloaded, or `download` is False.
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
        from_user = archive.is_file()
        if from_user:
            _check_archive(archive, archive_hash)
        else:
            archive = _download(url, archive_hash, folder, advice)
        try:
            _unpack(members(archive), missing, folder, file_hashes or {}, url)
        except (zipfile.BadZipFile, tarfile.ReadError, EOFError, zlib.error) as error:
            raise _damaged(archive, str(error)) if from_user else OSError(f"{url} came damaged: {error}.") from error
        finally:
            if not from_user:
                archive.unlink(missing_ok=True)
    return [path for name in names if (path := find(folder, name)) is not None]


def read_whole(path: Path, sha256: str | None = None) -> io.BytesIO:
    """Read a text file, decompress it, and check that it is complete.

    Parameters
    ----------
    path : path of the file, which is compressed if its name ends in ".xz".
    sha256 : hash of the content. Without it, a truncated file is detected only if it ends in the middle of a line.

    Raises
    ------
    ValueError
        If the file is damaged, truncated, or not the publisher's.
    """
    try:
        content = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    except (lzma.LZMAError, EOFError) as error:
        raise _damaged(path, str(error)) from error
    if sha256 is not None and (actual := hashlib.sha256(content).hexdigest()) != sha256:
        raise _damaged(path, f"its content has the SHA-256 {actual}, expected {sha256}")
    if not content.endswith(b"\n"):
        raise _damaged(path, "its last line has no end")
    return io.BytesIO(content)


def _damaged(path: Path, why: str) -> ValueError:
    return ValueError(
        f"{path} is damaged or is not the publisher's file ({why}). It is not replaced: remove it, or replace it with "
        "the publisher's file."
    )


def _check_archive(path: Path, expected: str | None) -> None:
    """Raise if an existing archive does not have the hash `expected`, written ``algorithm:digest``."""
    import pooch

    if expected is not None:
        algorithm, digest = expected.split(":")
        if (actual := pooch.file_hash(str(path), alg=algorithm)) != digest:
            raise _damaged(path, f"it has the {algorithm} {actual}, expected {digest}")


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
    """Extract the files `names` from the members of an archive to `folder`, and check their hashes."""
    missing = set(names)
    for path, stream in members:
        name = path.rsplit("/", 1)[-1]
        if name not in missing:
            continue
        digest = hashlib.sha256()
        temporary = folder / f".{name}.{secrets.token_hex(4)}"
        try:
            with temporary.open("xb") as target:  # not tempfile, so that the file has the user's default mode
                while block := stream.read(1 << 20):
                    digest.update(block)
                    target.write(block)
            if name in hashes and digest.hexdigest() != hashes[name]:
                raise ValueError(f"{name} in {url} has the SHA-256 {digest.hexdigest()}, expected {hashes[name]}.")
            temporary.replace(folder / name)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        missing.remove(name)
    if missing:
        raise ValueError(f"The archive {url} does not hold {', '.join(sorted(missing))}.")


def tar_members(archive: Path | IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    """The name and content of each file in a tar archive, compressed or not."""
    path, stream = (archive, None) if isinstance(archive, Path) else (None, archive)
    with tarfile.open(path, fileobj=stream) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None:
                yield member.name, content


def zipped_tar_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The name and content of each file in the tar archives inside a zip archive."""
    with zipfile.ZipFile(archive) as outer:
        for name in outer.namelist():
            if name.endswith((".tar.gz", ".tgz", ".tar")):
                with outer.open(name) as inner:
                    yield from tar_members(inner)
