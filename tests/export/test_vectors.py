"""Columns of vectors in exported files: missing vectors, the range of fit, and every part that uses vectors."""

import numpy as np
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

from sklearn_fsmd import MultiTaskClassifier
from tests.export.files import File, check_same
from tests.export.models import check, fit
from tests.test_vectors import WIDTH, make_vectors, objects

OPTIONS = {
    "ple": {"extractor": "ple"},
    "separate embeddings, fwfm": {"extractor": "separate", "low_order": "fwfm"},
    "separate embeddings, fm per task": {"extractor": "separate", "low_order": "fm", "fm_sharing": "per_task"},
    "fwfm": {"low_order": "fwfm"},
    "linear": {"low_order": "linear"},
    "no low order": {"low_order": None},
    "members": {"n_members": 2},
    "statistics": {"statistics_features": ["user"]},
    "quantile": {"numeric_scaling": "quantile", "numeric_bins": 0},
    "with lists and values": {"value_targets": ["seconds"], "value_parents": {"seconds": "click"}},
}


def make_rows(n=300, seed=0):
    X, Y = make_vectors(n, seed)
    random = np.random.default_rng(seed + 1)
    X["w"] = objects([list(row) for row in random.normal(size=(n, 2)).round(3)])
    X["tags"] = objects([list("abc"[: i % 4]) for i in range(n)])
    return X, Y.assign(seconds=np.where(Y["click"] == 1, random.lognormal(size=n), np.nan))


def odd_rows():
    """Rows with missing vectors, and with components far beyond the range of fit."""
    X, _ = make_rows(40, seed=5)
    X["w"] = objects([None, [0.0, 0.0], [1e30, -1e30], [-3e38, 3e38]] * 10)
    return X


@pytest.mark.parametrize("params", OPTIONS.values(), ids=OPTIONS)
def test_every_part_predicts_the_same(params, tmp_path):
    X, Y = make_rows()
    if "value_targets" not in params:
        X, Y = X.drop(columns="tags"), Y.drop(columns="seconds")
    file = check(fit(MultiTaskClassifier, X, Y, **params), tmp_path, X, odd_rows()[X.columns])
    assert file.columns[1] == {"name": "v", "holds": "vectors", "type": "float", "width": WIDTH, "missing": "NaN"}
    shapes = {given.name: given.shape for given in file.session.get_inputs()}
    assert (shapes["v"], shapes["w"]) == (["n", WIDTH], ["n", 2])


@pytest.mark.parametrize("low_order", ["fm", "fwfm", "linear", None])
def test_accepts_a_table_with_a_column_of_vectors_only(low_order, tmp_path):
    X, Y = make_vectors()
    check(fit(MultiTaskClassifier, X[["v"]], Y, low_order=low_order), tmp_path, X[["v"]])


def test_a_vector_with_any_nan_is_missing(tmp_path):
    X, Y = make_rows()
    X, Y = X[["user", "price", "w"]], Y[["click", "buy"]]
    file = File(fit(MultiTaskClassifier, X, Y), tmp_path)
    given = {"user": np.array(["a"] * 5, object), "price": np.zeros(5)}
    w = np.array([[np.nan, np.nan], [0.5, np.nan], [np.nan, 7.0], [0.5, 7.0], [np.inf, -np.inf]], np.float32)
    p = file.run_inputs({**given, "w": w})["marginals"][:, 0]
    assert p[0] == p[1] == p[2]
    assert len({p[0], p[3], p[4]}) == 3
    far = np.array([[1e38, -1e38]] * 5, np.float32)
    assert file.run_inputs({**given, "w": far})["marginals"][0, 0] == p[4]


def test_vectors_of_another_width_are_an_error(tmp_path):
    X, Y = make_rows()
    file = File(fit(MultiTaskClassifier, X[["user", "w"]], Y[["click", "buy"]]), tmp_path)
    user = np.array(["a", "b"], object)
    for width in (1, 3):
        with pytest.raises(InvalidArgument, match=f"for input: w .*\\n index: 1 Got: {width} Expected: 2"):
            file.run_inputs({"user": user, "w": np.zeros((2, width), np.float32)})
    with pytest.raises(InvalidArgument, match="Invalid rank for input: w"):
        file.run_inputs({"user": user, "w": np.zeros(2, np.float32)})
    with pytest.raises((Fail, InvalidArgument, RuntimeException)):
        file.run_inputs({"user": user, "w": np.zeros((3, 2), np.float32)})


def test_components_at_the_ends_of_the_range_predict_the_same(tmp_path):
    X, Y = make_vectors()
    model = fit(MultiTaskClassifier, X, Y)
    column = model._encoder.main.vectors[1]
    ends = [column.low, column.high, column.center, column.low - 1e-3, column.high + 1e-3]
    rows = X[:5].assign(v=objects([end.astype(np.float32) for end in ends]))
    check_same(model, File(model, tmp_path), rows)
