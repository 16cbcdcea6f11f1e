"""Pickles hold plain arrays, and unpickled models equal the original ones."""

import copy
import hashlib
import json
import pickle
import pickletools

import joblib
import numpy as np
import pytest
import skops.io

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.persistence import container
from tests.conftest import SMALL, make_frame


@pytest.fixture(scope="module")
def fitted():
    X, Y = make_frame()
    return FSMDClassifier(**SMALL).fit(X, Y), X, Y


def copies(model, folder):
    yield pickle.loads(pickle.dumps(model))
    yield copy.deepcopy(model)
    joblib.dump(model, folder / "model.joblib")
    yield joblib.load(folder / "model.joblib")


def test_a_copy_predicts_the_same(fitted, tmp_path):
    model, X, Y = fitted
    for copied in copies(model, tmp_path):
        np.testing.assert_array_equal(copied.predict_marginals(X), model.predict_marginals(X))
        assert copied.history_ == model.history_
        assert copied.device_ == model.device_
        copied.partial_fit(X, Y)
        assert copied.n_iter_ == model.n_iter_ + 1


def test_parameters_set_after_fit_do_not_change_what_was_fitted(fitted):
    model, X, Y = fitted
    changed = copy.deepcopy(model).set_params(embedding_dim=9, n_levels=3)
    copied = pickle.loads(pickle.dumps(changed))
    np.testing.assert_array_equal(copied.predict_marginals(X), model.predict_marginals(X))
    assert copied.embedding_dim == 9
    assert copied.score(X, Y) == model.score(X, Y)


def test_pickles_hold_no_objects_of_torch_or_skorch(fitted):
    model, _, _ = fitted
    modules = {
        str(argument).split(" ")[0].split(".")[0]
        for code, argument, _ in pickletools.genops(pickle.dumps(model, protocol=2))
        if code.name == "GLOBAL"
    }
    assert "sklearn_fsmd" in modules
    assert not modules & {"torch", "skorch", "tqdm"}


def test_skops_has_to_trust_only_classes_of_this_library(fitted):
    model, X, _ = fitted
    content = skops.io.dumps(model)
    untrusted = skops.io.get_untrusted_types(data=content)
    assert {name.split(".")[0] for name in untrusted} == {"sklearn_fsmd"}
    copied = skops.io.loads(content, trusted=untrusted)
    np.testing.assert_array_equal(copied.predict_marginals(X), model.predict_marginals(X))


def test_an_unavailable_device_is_replaced_by_the_cpu(fitted):
    model, X, _ = fitted
    state = model.__getstate__()
    state["net_"]["spec"]["device"] = "cuda:77"
    copied = FSMDClassifier()
    copied.__setstate__(state)
    assert copied.device_ == "cpu"
    np.testing.assert_array_equal(copied.predict_marginals(X), model.predict_marginals(X))


@pytest.mark.parametrize("how", ["other weights", "cut off", "longer"])
def test_a_file_that_changes_while_it_is_read_is_refused(how, tmp_path, monkeypatch):
    """The checksum is computed from the bytes that were read, so a file that changes meanwhile is refused."""
    path, read = tmp_path / "m", container._arrays
    ones, twos = ({"a": np.full(50_000, x)} for x in (1.0, 2.0))
    container.write(path, "model", [], ones)
    container.write(tmp_path / "other", "model", [], twos)
    other = (tmp_path / "other").read_bytes()

    def read_late(file, header):
        with path.open("r+b") as writer:
            if how == "cut off":
                writer.truncate(100_000)
            else:
                writer.write(other + b"more" * (how == "longer"))
        return read(file, header)

    monkeypatch.setattr(container, "_arrays", read_late)
    with pytest.raises(ValueError, match="is damaged or was changed"):
        container.read(path, "model")


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]},
        {"dtype": "F64", "shape": [4], "data_offsets": [0, 32]},
        {"dtype": "F64", "shape": [3], "data_offsets": [8, 32]},
        {"dtype": "F64", "shape": [-3], "data_offsets": [0, 24]},
        {"dtype": "F99", "shape": [3], "data_offsets": [0, 24]},
        {"dtype": "F64", "shape": "abc", "data_offsets": [0, 24]},
        {"dtype": "F64", "shape": [3], "data_offsets": 24},
        {"dtype": "F64", "shape": [0, 2**70], "data_offsets": [0, 0]},
        {},
        7,
    ],
    ids=str,
)
def test_a_header_that_contradicts_the_content_is_refused(entry, tmp_path):
    path, expected = tmp_path / "m", {"dtype": "F64", "shape": [3], "data_offsets": [0, 24]}
    container.write(path, "model", [], {"a": np.arange(3.0)})
    whole = path.read_bytes()
    size = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + size])
    assert header["a"] == expected
    header["a"] = entry
    header["__metadata__"]["sha256"] = "0" * 64
    text = json.dumps(header, separators=(",", ":")).encode()
    content = len(text).to_bytes(8, "little") + text + whole[8 + size :]
    path.write_bytes(content.replace(b"0" * 64, hashlib.sha256(content).hexdigest().encode()))
    with pytest.raises(ValueError, match="cannot be read as a model of sklearn-fsmd"):
        container.read(path, "model")


def test_content_too_large_for_the_header_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(container, "LARGEST_CONTENT", 1000)
    path, message = (
        tmp_path / "m.safetensors",
        "its content apart from arrays takes .* bytes, and there is room for 1,000",
    )
    for content in (["x" * 2000], [""] * 240):  # the quotes are escaped once more
        with pytest.raises(ValueError, match=message):
            container.write(path, "model", content, {})
    assert not list(tmp_path.iterdir())
    container.write(path, "model", ["x" * 900], {})
    assert container.read(path, "model")[0] == ["x" * 900]
