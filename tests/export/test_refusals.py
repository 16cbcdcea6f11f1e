"""Errors, warnings and metadata of `to_onnx`; existing files stay unchanged after an error."""

import json
import sys

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

import sklearn_fsmd.export.onnx.size
from sklearn_fsmd import DenoisingEmbedder, FSMDClassifier, MultiTaskClassifier, SharedBottomClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.export import to_onnx
from sklearn_fsmd.history import HistoryFeatures
from sklearn_fsmd.network import MultiTaskNetwork
from tests.cases import cases, check, fit, small
from tests.conftest import SMALL, make_frame, supported
from tests.export.files import File, check_same, shaken

X, Y = make_frame(120)
MODEL = fit(X, Y)


class OwnLowOrder(nn.Module):
    pass


def with_column(name, values):
    return fit(X.assign(**{name: values}), Y)


def with_low_order():
    model = fit(X, Y)
    model.module_.low_order = OwnLowOrder()
    return model


def with_more_weights():
    model = fit(X, Y)
    model.module_.head = nn.Linear(2, 3)
    return model


def with_another_network():
    class Other(MultiTaskNetwork):
        pass

    model = fit(X, Y)
    model.module_.__class__ = Other
    return model


def with_another_column():
    model = fit(X, Y)
    del model._encoder.main.numeric[3]
    return model


def two_columns():
    column = np.empty(len(X), dtype=object)
    column[:] = [["a"]] * len(X)
    return fit(X.assign(tags=column, tags_offsets=1.0), Y)


MIXED = ["a", 1] * 60
RANGE = "`opset` must be an integer from 18 to 21. Got"
WEIGHTS = "`rank_weights` must be 2 finite numbers, one per task. Got"


@cases(
    (
        "not fitted",
        lambda p: to_onnx(FSMDClassifier(), p),
        NotFittedError,
        "This FSMDClassifier instance is not fitted",
    ),
    (
        "search that is not fitted",
        lambda p: to_onnx(GridSearchCV(FSMDClassifier(), {}), p),
        NotFittedError,
        "This GridSearchCV instance is not fitted",
    ),
    (
        "pipeline that is not fitted",
        lambda p: to_onnx(make_pipeline(FSMDClassifier()), p),
        NotFittedError,
        "This FSMDClassifier instance is not fitted",
    ),
    (
        "other estimator",
        lambda p: to_onnx(LogisticRegression(), p),
        TypeError,
        "A fitted MultiTaskClassifier or one of the named models is needed, or a Pipeline or search that ends in one. "
        "Got LogisticRegression.",
    ),
    (
        "search without refit",
        lambda p: to_onnx(GridSearchCV(small(), {"lr": [1e-3]}, cv=2, refit=False).fit(X, Y), p),
        TypeError,
        "This GridSearchCV was made with refit=False, so it has no model. Set refit=True, …",
    ),
    (
        "embedder",
        lambda p: to_onnx(DenoisingEmbedder(), p),
        TypeError,
        "A fitted MultiTaskClassifier …Got DenoisingEmbedder.",
    ),
    (
        "path of a file",
        lambda p: to_onnx("model.safetensors", p),
        TypeError,
        "A fitted MultiTaskClassifier …Got str.",
    ),
    ("opset", lambda p: to_onnx(MODEL, p, opset=17), ValueError, f"{RANGE} 17."),
    ("opset as a string", lambda p: to_onnx(MODEL, p, opset="18"), ValueError, f"{RANGE} '18'."),
    ("too few weights", lambda p: to_onnx(MODEL, p, rank_weights=[1]), ValueError, f"{WEIGHTS} [1] instead."),
    (
        "all weights 0",
        lambda p: to_onnx(MODEL, p, rank_weights=[0, 0]),
        ValueError,
        "`rank_weights` must not all be zero: there would be nothing to rank by. Got [0, 0].",
    ),
    ("NaN", lambda p: to_onnx(MODEL, p, rank_weights=[np.nan, 1]), ValueError, f"{WEIGHTS} [nan, 1] instead."),
    ("string", lambda p: to_onnx(MODEL, p, rank_weights="ab"), ValueError, f"{WEIGHTS} 'ab' instead."),
    ("no folder", lambda p: to_onnx(MODEL, p.parent / "no" / "m"), OSError, "m cannot be written: there is no folder"),
    (
        "mixed values",
        lambda p: to_onnx(with_column("mix", MIXED), p),
        ValueError,
        "Column 'mix' held mixed values in fit ('a' and 1), and an ONNX input has one type, a string or a number. "
        "Convert it to strings and fit again.",
    ),
    (
        "bytes",
        lambda p: to_onnx(with_column("raw", [b"a", b"b"] * 60), p),
        ValueError,
        "Column 'raw' held bytes in fit (b'a'), and an ONNX input has one type",
    ),
    (
        "column with the name of an output",
        lambda p: to_onnx(with_column("marginals", 1.0), p),
        ValueError,
        "Column 'marginals' of X would have the name of an output of the file. Rename it before fit.",
    ),
    (
        "column without a name",
        lambda p: to_onnx(with_column("", 1.0), p),
        ValueError,
        "Column '' of X has an empty name",
    ),
    (
        "column with the name of offsets",
        lambda p: to_onnx(two_columns(), p),
        ValueError,
        "Column 'tags_offsets' of X would have the name of another input of the file.",
    ),
    (
        "custom low-order part",
        lambda p: to_onnx(with_low_order(), p),
        ValueError,
        "The 'low_order' part is a OwnLowOrder, and to_onnx knows 'linear', 'fm' and 'fwfm'.",
    ),
    (
        "unknown weights",
        lambda p: to_onnx(with_more_weights(), p),
        ValueError,
        "The network has weights that to_onnx does not know: head.weight, head.bias.",
    ),
    (
        "custom network",
        lambda p: to_onnx(with_another_network(), p),
        ValueError,
        "The network is a Other with the link TreeLink, which to_onnx does not know.",
    ),
    (
        "column of an unknown kind",
        lambda p: to_onnx(with_another_column(), p),
        ValueError,
        "Column 'price' does not hold categories, numbers, lists of categories or vectors, and to_onnx writes no",
    ),
)
def test_invalid_calls_are_refused_and_write_no_file(case, tmp_path):
    check(case, lambda: case.action(tmp_path / "model.onnx"))
    assert not any(tmp_path.iterdir())


def test_a_file_above_two_gibibytes_is_refused_before_it_is_built(monkeypatch, tmp_path):
    monkeypatch.setattr(sklearn_fsmd.export.onnx.size, "LIMIT", 3000)
    monkeypatch.setattr("sklearn_fsmd.export.onnx.file.encode_rows", None)  # the function that would build it
    with pytest.raises(ValueError, match=r"The file would have 0.0 GiB, and ONNX files end at 0.0 GiB. Column 'user'"):
        to_onnx(MODEL, tmp_path / "model.onnx")


def test_the_estimated_size_is_a_lower_bound(tmp_path, monkeypatch):
    to_onnx(MODEL, tmp_path / "model.onnx")
    size = (tmp_path / "model.onnx").stat().st_size
    sizes = iter(range(size // 2, size, 50))
    estimate = next(limit for limit in sizes if not _is_refused(limit, monkeypatch))
    assert 0.5 * size < estimate <= size  # nodes, whose number is fixed, take the rest


def _is_refused(limit, monkeypatch):
    monkeypatch.setattr(sklearn_fsmd.export.onnx.size, "LIMIT", limit)
    encoder = MODEL._encoder
    columns = sklearn_fsmd.export.onnx.file.columns_of(encoder)
    try:
        sklearn_fsmd.export.onnx.size.check_size(encoder, MODEL.module_, columns)
    except ValueError:
        return True
    return False


def test_an_error_keeps_the_existing_file(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_text("before")
    with pytest.raises(ValueError, match="rank_weights"):
        to_onnx(MODEL, path, rank_weights=[1, 2, 3])
    assert path.read_text() == "before"
    to_onnx(MODEL, path)
    assert path.stat().st_size > 10_000
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.onnx"]


def test_the_same_model_gives_the_same_file(tmp_path):
    for name in "ab":
        to_onnx(MODEL, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_model_is_not_changed(tmp_path):
    before = MODEL.predict_marginals(X)
    to_onnx(MODEL, tmp_path / "model.onnx")
    np.testing.assert_array_equal(MODEL.predict_marginals(X), before)


def test_metadata_describe_the_model(tmp_path):
    model = fit(X, Y)
    file = File(model, tmp_path, rank_weights=(2, 0.5))
    metadata = {k: v if k.endswith("_sha256") else json.loads(v) for k, v in file.metadata.items()}
    assert metadata["task_names"] == ["click", "conversion"]
    assert metadata["parents"] == [None, 0]
    assert metadata["classes"] == [["0", "1"], ["0", "1"]]
    assert metadata["rank_weights"] == [2.0, 0.5]
    assert metadata["model"] == "FSMDClassifier"
    assert metadata["steps_before"] == []
    assert metadata["format"] == 1
    assert set(metadata["versions"]) == {"sklearn-fsmd", "torch", "onnx"}
    before = metadata["weights_sha256"]
    assert len(before) == 64
    assert File(model, tmp_path).metadata["weights_sha256"] == before
    assert File(shaken(model), tmp_path).metadata["weights_sha256"] != before


def test_the_hash_of_the_encoding_changes_with_its_statistics(tmp_path):
    """Updated statistics change predictions without training, so they change the hash of the encoding."""
    model = fit(X, Y, statistics_features=[0])
    before, again = (File(model, tmp_path).metadata for _ in range(2))
    assert before == again
    model.update_statistics(X[:50], Y[:50])
    after = File(model, tmp_path).metadata
    assert {name for name in before if before[name] != after[name]} == {"encoding_sha256"}


# ---------------------------------------------------------------------------------------------- pipelines and searches


def test_the_file_has_the_last_step_of_a_pipeline(tmp_path):
    table, targets = make_funnel(400, history=True, random_state=0, return_X_y=True)
    history = HistoryFeatures(time="time", keys=["user_id"], drop=["time"])
    model = FSMDClassifier(**SMALL)
    pipeline = make_pipeline(FunctionTransformer(), "passthrough", history, model).fit(table, targets)
    with pytest.warns(
        UserWarning,
        match=r"The file holds the last step of the Pipeline only. Apply the steps before it to the data before you "
        r"fill the inputs of the file: functiontransformer \(FunctionTransformer\), "
        r"historyfeatures \(HistoryFeatures\).",
    ):
        file = File(pipeline, tmp_path)
    assert json.loads(file.metadata["steps_before"])[1] == "historyfeatures (HistoryFeatures)"
    assert "user_id_events" in file.types
    check_same(pipeline[-1], file, pipeline[:-1].transform(table))


def test_accepts_searches_and_frozen_models(tmp_path):
    search = GridSearchCV(SharedBottomClassifier(**supported(SharedBottomClassifier, SMALL)), {"lr": [1e-3]}, cv=2).fit(
        X, Y
    )
    check_same(search.best_estimator_, File(search, tmp_path), X)
    check_same(MODEL, File(make_pipeline(FrozenEstimator(MODEL)), tmp_path), X)


def test_accepts_a_loaded_model(tmp_path):
    MODEL.save(tmp_path / "model.safetensors")
    check_same(MODEL, File(MultiTaskClassifier.load(tmp_path / "model.safetensors"), tmp_path), X)


def test_without_onnx_the_error_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "sklearn_fsmd.export.onnx.graph")
    with pytest.raises(
        ImportError, match=r"to_onnx needs onnx, which cannot be imported .*: pip install 'sklearn-fsmd\["
    ):
        to_onnx(MODEL, tmp_path / "model.onnx")


def test_without_onnxscript_custom_extractors_are_refused(monkeypatch, tmp_path):
    custom_extractor = lambda i, k: nn.Sequential(nn.Linear(i, 3 * k), nn.Unflatten(1, (k, 3)))  # noqa: E731
    model = MultiTaskClassifier(extractor=custom_extractor, max_epochs=1).fit(X, Y)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(
        ImportError, match=r"to_onnx writes an 'extractor' of your own by torch.onnx, which needs onnxscr"
    ):
        to_onnx(model, tmp_path / "model.onnx")
