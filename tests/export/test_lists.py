"""Columns of lists in exported files: every pooling, unusual lists, and many threads."""

import numpy as np
import onnx
import pandas as pd
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument

from sklearn_fsmd import MultiTaskClassifier
from tests.export.files import File
from tests.export.models import check, fit
from tests.test_lists import make_lists


@pytest.mark.parametrize("pooling", ["mean", "sum", "max", "attention"])
@pytest.mark.parametrize("extractor", ["ple", "separate"])
def test_every_pooling_predicts_the_same(pooling, extractor, tmp_path):
    X, Y = make_lists(400)
    X["seen"] = [[user, "a", "zz"][: i % 4] for i, user in enumerate(X["user"])]
    shared = {"seen": "user"}
    model = fit(
        MultiTaskClassifier,
        X,
        Y,
        list_pooling=pooling,
        extractor=extractor,
        shared_embeddings=shared,
        max_list_length=3,
    )
    more, _ = make_lists(90, seed=4, n_tags=30)
    more["tags"] = pd.Series([None, [], [1, 2], [-1] * 9, [99, 4, -1, -2, 5]] * 18, dtype=object)
    more["seen"] = pd.Series(
        [[], None, ["b"], ["c", None, "d", "unseen"], ["a", "b", "c", "d", "e"]] * 18, dtype=object
    )
    file = check(model, tmp_path, X, more, more[::-1], more[1:2])
    assert file.types == {"user": "string", "price": "double", "tags": "int64", "seen": "string"}
    empty = more.assign(tags=[[]] * 90, seen=[[]] * 90)
    np.testing.assert_allclose(file.run(empty)["marginals"], model.predict_marginals(empty), atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_accepts_a_table_with_a_column_of_lists_only(pooling, tmp_path):
    X, Y = make_lists(400)
    model = fit(MultiTaskClassifier, X[["tags"]], Y, list_pooling=pooling, numeric_bins=0, low_order="fwfm")
    check(model, tmp_path, X[["tags"]])


def test_an_empty_list_before_a_truncated_list(tmp_path):
    X, Y = make_lists(400)
    X["seen"] = [[user, "a"] for user in X["user"]]
    params = {"list_pooling": "attention", "shared_embeddings": {"seen": "user"}, "max_list_length": 2}
    model = fit(MultiTaskClassifier, X, Y, **params)
    check(model, tmp_path, X[:4].assign(seen=[[], ["a", "b", "c", "d"], ["b"], []]))


def test_lists_may_be_strings_with_a_separator(tmp_path):
    X, Y = make_lists(400)
    written = X.assign(tags=["|".join(map(str, tags)) for tags in X["tags"]])
    model = fit(MultiTaskClassifier, written, Y, list_features=["tags"], list_separator="|")
    file = File(model, tmp_path)
    assert file.columns[2] == {
        "name": "tags",
        "holds": "lists",
        "type": "string",
        "offsets": "tags_offsets",
        "separator": "|",
    }
    expected = model.predict_marginals(written)
    assert expected.std(axis=0).min() > 0.001
    in_parts = X.assign(tags=[[str(tag) for tag in tags] for tags in X["tags"]])
    with_empty_parts = written.assign(tags=["|".join(["", tags, "", ""]) for tags in written["tags"]])
    for table in (written, in_parts, with_empty_parts):
        np.testing.assert_allclose(file.run(table)["marginals"], expected, atol=1e-6)


def test_a_string_is_refused_for_lists_of_integers(tmp_path):
    X, Y = make_lists(400)
    file = File(fit(MultiTaskClassifier, X, Y, list_separator="|"), tmp_path)
    assert file.columns[2]["separator"] is None  # a list of integers cannot be written as a string
    with pytest.raises(TypeError, match="Column 'tags' takes lists. Got the string '1|2'"):
        file.inputs(X[:2].assign(tags=["1|2", "3"]))


def test_invalid_offsets_are_an_error(tmp_path):
    X, Y = make_lists(400)
    file = File(fit(MultiTaskClassifier, X, Y), tmp_path)
    given = {"user": np.array(["a", "b"], object), "price": np.zeros(2), "tags": np.arange(5)}
    assert file.run_inputs({**given, "tags_offsets": np.array([0, 3, 5])})["marginals"].shape == (2, 2)
    for offsets, message in (([0, 3, 6], "out of data bounds"), ([0, 5], "concat"), ([0, 1, 2, 5], "concat")):
        with pytest.raises(Fail if message == "concat" else InvalidArgument, match=message):
            file.run_inputs({**given, "tags_offsets": np.array(offsets)})


def test_several_threads_do_not_lose_values_of_lists(tmp_path):
    """The ScatterND of onnxruntime loses terms if several threads add to the same element."""
    X, Y = make_lists(400)
    for pooling in ("mean", "attention", "max"):
        model = fit(MultiTaskClassifier, X, Y, list_pooling=pooling, max_list_length=10**6, shared_embeddings=None)
        file = File(model, tmp_path, n_threads=4)
        long = pd.DataFrame({"user": ["a", "b"], "price": [0.5, 1.5]})
        long["tags"] = pd.Series([np.arange(60_000) % 12, np.arange(30_000) % 5], dtype=object)
        short = long.assign(tags=pd.Series([np.arange(12), np.arange(5)], dtype=object))  # pooled, they are equal
        given = file.inputs(long)
        found = {file.run_inputs(given)["marginals"].tobytes() for _ in range(10)}
        assert len(found) == 1
        found = np.frombuffer(found.pop(), np.float32).reshape(2, 2)
        np.testing.assert_allclose(found, model.predict_marginals(short), atol=1e-6)


def test_a_shared_table_is_stored_once(tmp_path):
    X, Y = make_lists(400)
    X["seen"] = [[user, "a"] for user in X["user"]]
    X["pages"] = [[i % 300, i % 7] for i in range(400)]
    model = fit(MultiTaskClassifier, X, Y, min_frequency=1, embedding_dim=8)
    check(model, tmp_path, X)
    tables = model.module_.embedding.table.weight, model.module_.low_order.linear.categories.weight
    sizes = [list(initializer.dims) for initializer in onnx.load(tmp_path / "model.onnx").graph.initializer]
    assert [sizes.count(list(table.shape)) for table in tables] == [1, 1]
