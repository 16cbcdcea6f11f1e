"""Downloads from a local server, and their errors."""

import gzip
import hashlib
import http.server
import io
import lzma
import tarfile
import threading
import zipfile

import pytest

from sklearn_fsmd.datasets import _census, _files, fetch_census_income, fetch_kuairand_pure

CONTENT = {"a.csv": b"x,y\n1,2\n", "b.csv": b"z\n3\n"}


def tar_bytes():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in CONTENT.items():
            info = tarfile.TarInfo(f"top/data/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zip_bytes():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "hello")
        archive.writestr("inner.tar.gz", tar_bytes())
    return buffer.getvalue()


@pytest.fixture
def publisher():
    files = {"/data.tar.gz": tar_bytes(), "/data.zip": zip_bytes(), "/empty.tar.gz": gzip.compress(b"\0" * 1024)}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = files.get(self.path)
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def ensure(folder, url, **changes):
    arguments = {"archive_hash": None, "members": _files.tar_members, **changes}
    return _files.ensure_files(folder, list(CONTENT), url=url, **arguments)


def test_files_are_extracted_and_the_archive_is_removed(tmp_path, publisher):
    paths = ensure(tmp_path / "set", f"{publisher}/data.tar.gz")
    assert {p.name: p.read_bytes() for p in paths} == CONTENT
    assert sorted(p.name for p in (tmp_path / "set").iterdir()) == sorted(CONTENT)
    (tmp_path / "mine").touch()
    assert {p.stat().st_mode for p in paths} == {(tmp_path / "mine").stat().st_mode}  # the default permissions
    assert ensure(tmp_path / "set", "http://127.0.0.1:9/gone") == paths  # nothing is fetched twice


def test_files_are_extracted_from_a_nested_archive(tmp_path, publisher):
    paths = ensure(tmp_path, f"{publisher}/data.zip", members=_files.zipped_tar_members)
    assert {p.name: p.read_bytes() for p in paths} == CONTENT


def test_existing_files_are_used_compressed_or_not(tmp_path):
    (tmp_path / "a.csv").write_bytes(CONTENT["a.csv"])
    (tmp_path / "b.csv.xz").write_bytes(lzma.compress(CONTENT["b.csv"]))
    paths = ensure(tmp_path, "http://127.0.0.1:9/gone")
    assert [p.name for p in paths] == ["a.csv", "b.csv.xz"]


@pytest.mark.parametrize(
    "changes",
    [
        {"archive_hash": "md5:" + "0" * 32},
        {"file_hashes": {"a.csv": "0" * 64}},
    ],
    ids=["archive", "file"],
)
def test_a_wrong_checksum_leaves_nothing_behind(tmp_path, publisher, changes):
    with pytest.raises(ValueError, match="hash|SHA-256"):
        ensure(tmp_path, f"{publisher}/data.tar.gz", **changes)
    assert not [p for p in tmp_path.iterdir() if p.suffix == ".csv" or p.name.startswith(".")]


def test_the_right_checksums_pass(tmp_path, publisher):
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
    ensure(tmp_path, f"{publisher}/data.tar.gz", file_hashes=hashes)


def test_an_archive_without_the_files_is_refused(tmp_path, publisher):
    with pytest.raises(ValueError, match=r"does not hold a.csv, b.csv"):
        ensure(tmp_path, f"{publisher}/empty.tar.gz")


def test_the_error_of_a_failed_download_names_the_folder_to_fill(tmp_path):
    folder = tmp_path / "set"
    with pytest.raises(
        OSError, match=rf"could not be downloaded(.|\n)*Put a.csv, b.csv .* into {folder}.*SKLEARN_FSMD_DATA"
    ):
        ensure(folder, "http://127.0.0.1:9/data.tar.gz")


@pytest.mark.parametrize("fetch", [fetch_census_income, fetch_kuairand_pure])
def test_no_download_if_download_if_missing_is_false(tmp_path, fetch):
    with pytest.raises(OSError, match=f"Data not found, and download_if_missing=False. Put .* into {tmp_path}"):
        fetch(data_home=tmp_path, download_if_missing=False)


def test_data_home_follows_the_argument_then_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("SKLEARN_FSMD_DATA", str(tmp_path / "env"))
    assert _files.data_home() == tmp_path / "env"
    assert _files.data_home(tmp_path) == tmp_path
    monkeypatch.delenv("SKLEARN_FSMD_DATA")
    assert _files.data_home().name == "sklearn_fsmd"


def test_census_columns_are_the_published_42():
    assert len(_census.COLUMNS) == 42
    assert set(_census.NUMERIC) < set(_census.COLUMNS)


def test_the_error_of_a_truncated_or_changed_file_names_it(tmp_path):
    whole = b"x,y\n" + b"1,2\n" * 1000
    digest = hashlib.sha256(whole).hexdigest()
    for name, content, reason in [
        ("a.csv", whole[:-4], "SHA-256"),
        ("b.csv", whole + b"1,2\n", "SHA-256"),
        ("a.csv.xz", lzma.compress(whole)[:-20], "end-of-stream"),
        ("b.csv.xz", b"no xz at all", "format not supported"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} is damaged or is not .*{reason}.* It is not replaced"):
            _files.read_whole(tmp_path / name, digest)
        assert (tmp_path / name).read_bytes() == content
    (tmp_path / "c.csv").write_bytes(whole[:-2])
    with pytest.raises(ValueError, match=r"c.csv is damaged .*its last line has no end"):
        _files.read_whole(tmp_path / "c.csv")
    (tmp_path / "d.csv.xz").write_bytes(lzma.compress(whole))
    assert _files.read_whole(tmp_path / "d.csv.xz", digest).read() == whole


@pytest.mark.parametrize("suffix", ["", ".xz"])
def test_a_truncated_census_file_is_refused(tmp_path, suffix):
    folder = tmp_path / "census-income"
    folder.mkdir()
    for name in _census.SHA256:
        content = b"73, Not in universe\n" * 10
        (folder / f"{name}{suffix}").write_bytes(lzma.compress(content)[:-9] if suffix else content)
    with pytest.raises(ValueError, match=f"census-income.test{suffix} is damaged"):
        fetch_census_income(subset="test", data_home=tmp_path)


def test_an_archive_provided_by_the_user_is_kept(tmp_path):
    archive, content = tmp_path / "data.tar.gz", tar_bytes()
    archive.write_bytes(content)
    digest = hashlib.md5(content).hexdigest()
    with pytest.raises(ValueError, match=r"data.tar.gz is damaged .*expected 0000.*It is not replaced"):
        ensure(tmp_path, "http://127.0.0.1:9/data.tar.gz", archive_hash="md5:" + "0" * 32)
    paths = ensure(tmp_path, "http://127.0.0.1:9/data.tar.gz", archive_hash=f"md5:{digest}")
    assert {p.name: p.read_bytes() for p in paths} == CONTENT
    assert archive.read_bytes() == content


@pytest.mark.parametrize("suffix", ["tar.gz", "zip"])
def test_the_error_of_a_damaged_archive_names_it(tmp_path, publisher, suffix):
    members = _files.tar_members if suffix == "tar.gz" else _files.zipped_tar_members
    whole = tar_bytes() if suffix == "tar.gz" else zip_bytes()
    archive = tmp_path / f"data.{suffix}"
    archive.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=f"data.{suffix} is damaged or is not the publisher's file"):
        ensure(tmp_path, f"http://127.0.0.1:9/data.{suffix}", members=members)
    assert archive.read_bytes() == whole[: len(whole) // 2]


def test_a_download_that_cannot_be_unpacked_is_removed(tmp_path, publisher):
    for url, members in [("data.zip", _files.tar_members), ("data.tar.gz", _files.zipped_tar_members)]:
        with pytest.raises(OSError, match=f"{url} came damaged"):
            ensure(tmp_path, f"{publisher}/{url}", members=members)
        assert list(tmp_path.iterdir()) == []
