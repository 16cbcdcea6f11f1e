"""The file is replaced while the server runs: by good files, by broken ones, and under load."""

import os
import threading
import time
from types import SimpleNamespace

import numpy as np
import onnx
import pytest

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.export import to_onnx
from tests.conftest import SMALL
from tests.serving.conftest import make_rows, rows_of, train
from tests.serving.process import EXAMPLES, wait_for


@pytest.fixture(scope="module")
def newer(tmp_path_factory):
    """Another model, and the content of its file."""
    path = tmp_path_factory.mktemp("newer") / "model.onnx"
    return train(path, seed=5), path.read_bytes()


@pytest.fixture
def live(trained, tmp_path):
    """A file that may be replaced."""
    path = tmp_path / "live" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(trained.path.read_bytes())
    return path


def replace(path, content):
    new = path.with_suffix(".new")
    new.write_bytes(content)
    os.replace(new, path)


def clicks(answer):
    assert answer.status_code == 200, answer.text
    return np.array([row["probabilities"]["click"] for row in answer.json()["rows"]])


def version(server):
    return server.get("/ready").json()["model"]


def test_a_new_file_is_loaded_under_load(live, trained, newer, start):
    """No request fails, and each answer comes from one model and names it."""
    server = start(live)
    model, content = newer
    first, answers, is_done = version(server), [], threading.Event()

    def ask():
        while not is_done.is_set():
            answers.append(server.post("/score", {"rows": trained.rows}))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    replace(live, content)
    second = wait_for(lambda: version(server) != first and version(server))
    time.sleep(0.3)
    is_done.set()
    for thread in threads:
        thread.join()
    expected = {first: trained.model, second: model}
    expected = {name: model.predict_marginals(trained.X)[:, 0] for name, model in expected.items()}
    assert np.abs(expected[first] - expected[second]).max() > 0.01
    for answer in answers:
        np.testing.assert_allclose(clicks(answer), expected[answer.json()["model"]], rtol=0, atol=1e-5)
    assert {answer.json()["model"] for answer in answers} == {first, second}
    assert server.metric('serving_model_loads_total{result="ok"}') == 2


def test_a_new_file_may_have_other_columns(live, trained, start, tmp_path):
    server = start(live)
    first = version(server)
    other = train(tmp_path / "other.onnx", value_targets=None, value_parents=None, bias_features=["position", "price"])
    replace(live, (tmp_path / "other.onnx").read_bytes())
    wait_for(lambda: version(server) != first)
    schemas = server.get("/openapi.json").json()["components"]["schemas"]
    assert "price" not in schemas["Row"]["required"]
    rows = rows_of(trained.X.drop(columns="price"))
    answer = server.post("/score", {"rows": rows})
    np.testing.assert_allclose(
        clicks(answer), other.predict_marginals(trained.X.drop(columns="price"))[:, 0], rtol=0, atol=1e-5
    )
    assert answer.json()["rows"][0]["values"] == {}


def test_the_log_lists_which_columns_a_new_file_changes(live, trained, start, tmp_path):
    server = start(live)
    X, Y = make_rows()
    X = X.drop(columns=["price", "tags", "position"]).assign(city=np.arange(len(X)) / 4, shop="corner")
    model = FSMDClassifier(**SMALL | {"max_epochs": 1}).fit(X, Y.drop(columns="seconds"))
    to_onnx(model, tmp_path / "other.onnx")
    replace(live, (tmp_path / "other.onnx").read_bytes())
    wait_for(lambda: "takes other rows than model" in server.log(), describe=server.log)
    (line,) = (line for line in server.log().splitlines() if "takes other rows" in line)
    assert line.endswith(
        "'shop' is new (categories, string); 'price' is refused; 'tags' is refused; 'position' is refused; "
        "'city' was categories, string, and is numbers, double"
    )
    assert "WARNING" in line


def test_changes_of_widths_separators_and_unneeded_columns_are_listed(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    from serving.reload import _change_of_rows

    def model(width, separator, not_needed):
        vector = {"name": "vector", "holds": "vectors", "type": "float", "width": width}
        tags = {"name": "tags", "holds": "lists", "type": "string", "separator": separator}
        return SimpleNamespace(columns=[vector, tags], not_needed=not_needed)

    previous = model(3, "|", ["position"])
    assert _change_of_rows(previous, previous) == ""
    assert _change_of_rows(previous, model(4, ",", [])) == (
        "'position' is refused; 'vector' was vectors, float of 3 numbers, and is vectors, float of 4 numbers; "
        "'tags' was lists, string, or with '|' in between, and is lists, string, or with ',' in between"
    )


def test_the_same_network_with_other_rank_weights_is_another_model(live, trained, start, tmp_path):
    server = start(live)
    first = version(server)
    to_onnx(trained.model, tmp_path / "other.onnx", rank_weights=[1.0, 5.0, 0.0])
    replace(live, (tmp_path / "other.onnx").read_bytes())
    second = wait_for(lambda: version(server) != first and version(server))
    answer = server.post("/rank", {"rows": trained.rows}).json()
    assert answer["model"] == second
    assert answer["weights"] == {"click": 1.0, "conversion": 5.0, "seconds": 0.0}


def without_metadata(content):
    model = onnx.load_from_string(content)
    del model.metadata_props[:]
    return model.SerializeToString()


def with_metadata(content, name, value):
    model = onnx.load_from_string(content)
    for entry in model.metadata_props:
        if entry.key == name:
            entry.value = value
    return model.SerializeToString()


BROKEN = {
    "empty": (lambda content: b"", "onnxruntime cannot open it"),
    "cut off": (lambda content: content[: len(content) // 2], "onnxruntime cannot open it"),
    "text": (lambda content: b"hello" * 100, "onnxruntime cannot open it"),
    "no metadata": (without_metadata, "its metadata are not those of to_onnx"),
    "another format": (lambda content: with_metadata(content, "format", "2"), "this server reads format 1"),
    "no JSON": (lambda content: with_metadata(content, "columns", "["), "its metadata are not those of to_onnx"),
    "missing columns": (lambda content: with_metadata(content, "columns", "[]"), "it cannot score a row of missing"),
    "other tasks": (lambda content: with_metadata(content, "task_names", '["a"]'), "are not those of ['a'"),
    "task names that are no list": (
        lambda content: with_metadata(content, "task_names", "5"),
        "its metadata are not those of",
    ),
    "columns nested too deeply": (
        lambda content: with_metadata(content, "columns", "[" * 10_000),
        "its metadata are not",
    ),
    "duplicate task names": (
        lambda content: with_metadata(content, "task_names", '["click", "click"]'),
        "two of the targets ['click', 'click', 'seconds'] have one name",
    ),
    "too few exponents": (
        lambda content: with_metadata(content, "rank_weights", "[1]"),
        "the exponents [1.0] are not those",
    ),
    "exponents that are not finite": (
        lambda content: with_metadata(content, "rank_weights", "[NaN, 1, 1]"),
        "the exponents [nan, 1.0",
    ),
    "other outputs": (
        lambda content: with_metadata(with_metadata(content, "value_names", "[]"), "rank_weights", "[1, 1]"),
        "its metadata announce",
    ),
}


def test_broken_files_leave_the_previous_model_in_use(live, trained, newer, start):
    server = start(live)
    first, expected = version(server), clicks(server.post("/score", {"rows": trained.rows}))
    for n, (name, (broken, text)) in enumerate(BROKEN.items(), start=1):
        replace(live, broken(newer[1]))
        wait_for(lambda n=n: server.metric('serving_model_loads_total{result="failed"}') == n, describe=server.log)
        wait_for(lambda text=text: text in (server.get("/ready").json()["error"] or ""), describe=server.log)
        ready = server.get("/ready")
        assert (ready.status_code, ready.json()["ready"], ready.json()["model"]) == (200, True, first), name
        assert server.metric("serving_model_is_current") == 0
        assert f"model {first} stays in use" in server.log().splitlines()[-1]
        np.testing.assert_array_equal(clicks(server.post("/score", {"rows": trained.rows})), expected)
    n_lines = len(server.log().splitlines())
    time.sleep(0.3)
    assert len(server.log().splitlines()) == n_lines  # a broken file is opened only once
    replace(live, newer[1])
    wait_for(lambda: version(server) != first)
    assert server.get("/ready").json()["error"] is None
    assert server.metric("serving_model_is_current") == 1


def test_a_file_is_tried_again_after_its_mode_was_changed(live, newer, monkeypatch):
    """The content does not change, only the permission to read it."""
    monkeypatch.syspath_prepend(EXAMPLES)
    from serving import reload
    from serving.metrics import Metrics

    tries = []

    def refuse(path):
        tries.append(path)
        raise reload.BrokenFileError("system error number 13")

    monkeypatch.setattr(reload, "ModelFile", refuse)
    store = reload.ModelStore(live, Metrics())
    store.refresh()
    store.refresh()
    assert len(tries) == 1
    live.chmod(0o600)
    store.refresh()
    assert len(tries) == 2


def test_a_deleted_file_leaves_the_model_in_use(live, trained, start):
    server = start(live)
    content = live.read_bytes()
    live.unlink()
    wait_for(lambda: server.get("/ready").json()["error"])
    assert "cannot be read: No such file or directory" in server.get("/ready").json()["error"]
    assert server.post("/score", {"rows": trained.rows}).status_code == 200
    replace(live, content)
    wait_for(lambda: server.get("/ready").json()["error"] is None)


def test_a_file_that_is_written_in_pieces_is_loaded_once_complete(live, newer, start):
    """Files should not be written this way, but once the file is complete it is served."""
    server = start(live)
    first, content = version(server), newer[1]
    with open(live, "wb") as file:
        for part in range(0, len(content), len(content) // 5 + 1):
            file.write(content[part : part + len(content) // 5 + 1])
            file.flush()
            time.sleep(0.1)
            assert server.get("/ready").status_code == 200
    wait_for(lambda: version(server) != first)
    assert server.get("/ready").json()["error"] is None


def test_a_server_that_starts_without_a_file_loads_it_later(live, trained, start):
    content = live.read_bytes()
    live.unlink()
    server = start(live)
    assert server.get("/health").status_code == 200
    assert server.get("/ready").status_code == server.post("/score", {"rows": trained.rows}).status_code == 503
    assert "No such file" in server.post("/rank", {"rows": []}).json()["detail"]
    assert server.get("/openapi.json").json()["info"]["version"] == "no model"
    replace(live, content)
    wait_for(lambda: server.get("/ready").status_code == 200)
    assert server.post("/score", {"rows": trained.rows}).status_code == 200
