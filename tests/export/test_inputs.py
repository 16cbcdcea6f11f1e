"""The inputs of exported files: names, types, missing values, and unusual values."""

import datetime
import itertools

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

from sklearn_fsmd import FSMDClassifier
from tests.conftest import SMALL
from tests.export.files import DOCS, File, check_same, shaken

N = 240
Y = pd.DataFrame({"click": np.arange(N) % 2, "conversion": np.arange(N) % 4 == 3}).astype(int)
TOP = 2**63 - 1


def repeated(values, n=N, dtype=object):
    return pd.Series(list(itertools.islice(itertools.cycle(values), n)), dtype=dtype)


def export(folder, X, **params):
    model = shaken(FSMDClassifier(**{**SMALL, "max_epochs": 1, **params}).fit(X, Y[: len(X)]))
    return model, File(model, folder)


def scores(file, **given):
    return file.run_inputs(given)["marginals"][:, 0]


@pytest.fixture(scope="module")
def city_and_price(tmp_path_factory):
    X = pd.DataFrame({"city": repeated(["Rome", "Oslo", "Paris"]), "price": np.linspace(-3, 9, N)})
    return export(tmp_path_factory.mktemp("priced"), X)


KINDS = {
    "strings": (["a", "b", None], "string", "<missing>"),
    "strings without missing ones": (["a", "b", "c"], "string", ""),
    "empty strings": (["a", "", None], "string", "<missing>"),
    "strings that look like markers": (["", "<missing>", "a"], "string", "<<missing>>"),
    "missing strings and a marker": (["<missing>", "a", None], "string", "<<missing>>"),
    "times": ([datetime.time(12, 30), datetime.time(8), None], "string", "<missing>"),
    "integers": ([1, 2, 7, None], "int64", -1),
    "largest integers": ([TOP, TOP - 1, TOP - 2], "int64", -1),
    "smallest integers": ([-TOP - 1, -TOP, 3], "int64", -1),
    "whole floats": ([1.0, 2.0, np.nan], "int64", -1),
    "booleans": ([True, False, None], "int64", -1),
    "fractions": ([0.5, 1.5, 2.0, None], "double", "NaN"),
    "float32": ([np.float32(0.1), np.float32(0.2), np.float32(3)], "double", "NaN"),
}


@pytest.mark.parametrize(("values", "kind", "missing"), KINDS.values(), ids=KINDS)
def test_each_type_of_categories_has_its_input_type(values, kind, missing, tmp_path):
    X = pd.DataFrame({"c": repeated(values), "price": np.arange(N) / N})
    model, file = export(tmp_path, X, categorical_features=["c"])
    assert file.columns[0] == {"name": "c", "holds": "categories", "type": kind, "missing": missing}
    check_same(model, file, X.assign(c=repeated([float(str(v)) if isinstance(v, np.float32) else v for v in values])))
    p = scores(file, c=_input_of(file, values), price=np.zeros(len(values)))
    assert len(set(p.round(6))) == len(values)  # each value has its embedding, and so do missing ones
    unknown = {"string": np.array(["?"], object), "int64": np.array([12345]), "double": np.array([99.5])}[kind]
    absent = {"string": np.array([missing], object), "int64": np.array([-1]), "double": np.array([np.nan])}[kind]
    of_unknown, of_absent = (scores(file, c=value, price=np.zeros(1)) for value in (unknown, absent))
    assert of_unknown not in p
    is_known = any(pd.isna(value) for value in values)
    assert of_absent == (p[[pd.isna(value) for value in values]] if is_known else of_unknown)


def _input_of(file, values):
    plain = [float(str(v)) if isinstance(v, np.float32) else v for v in values]
    return file.inputs(pd.DataFrame({"c": pd.Series(plain, dtype=object), "price": 0.0}))["c"]


@pytest.mark.parametrize("make", [np.array, list, lambda values: pd.Series(values).astype("category")])
def test_float32_categories_are_matched_as_in_fit(make, tmp_path):
    values = np.tile(np.array([0.1, 0.2, 0.3, np.nan], np.float32), N // 4)
    X = pd.DataFrame({"c": pd.Series(values).astype("category"), "price": np.arange(N) / N})
    model, file = export(tmp_path, X)
    inputs = DOCS["inputs"](file.columns, {"c": make(values), "price": X["price"]})
    np.testing.assert_array_equal(inputs["c"], np.tile([0.1, 0.2, 0.3, np.nan], N // 4))
    p = file.run_inputs(inputs)["marginals"]
    np.testing.assert_allclose(p, model.predict_marginals(X), atol=1e-6)
    assert len(np.unique(p[:4, 0].round(5))) == 4


def test_negative_zero_equals_zero(tmp_path):
    X = pd.DataFrame({"c": repeated([0.0, 0.5, 1.0]), "price": np.arange(N) / N})
    _, file = export(tmp_path, X, categorical_features=["c"])
    p = scores(file, c=np.array([0.0, -0.0, 99.0]), price=np.zeros(3))
    assert p[0] == p[1] != p[2]


def test_minus_one_and_minus_two_are_missing(tmp_path):
    X = pd.DataFrame({"c": repeated([5, 6, -2, -1]), "d": repeated([0.5, 1.5, -2.0]), "price": np.arange(N) / N})
    model, file = export(tmp_path, X, categorical_features=["c", "d"])
    check_same(model, file, X)
    check_same(model, file, X.assign(c=99, d=np.nan))
    p = scores(file, c=np.array([-1, -2, -1, 99]), d=np.array([-1.0, -2.0, np.nan, np.nan]), price=np.zeros(4))
    assert p[0] == p[1] == p[2] != p[3]


def test_accepts_strings_of_every_script_and_length(tmp_path):
    values = ["", " ", "a", "ä", "a\u0308", "\U0001f600", "x" * 5000, "1", "1.0", "True", "nan", "None"]
    X = pd.DataFrame({"c": repeated(values, 10 * len(values)), "price": 0.0})
    model, file = export(tmp_path, X)
    check_same(model, file, X)
    assert len(set(scores(file, c=np.array(values, object), price=np.zeros(len(values))).round(6))) == len(values)


def test_strings_that_are_not_valid_unicode_are_left_out(tmp_path):
    X = pd.DataFrame({"c": repeated(["a", "\ud800", "b"]), "price": np.arange(N) / N})
    model = FSMDClassifier(**SMALL).fit(X, Y)
    with pytest.warns(UserWarning, match=r"Column 'c': 1 of its values cannot be written as UTF-8, such as '\\ud800'"):
        file = File(shaken(model), tmp_path)
    check_same(model, file, X[X["c"] != "\ud800"])


def test_extreme_and_infinite_numbers_are_clipped(city_and_price):
    """Numbers are clipped to the range of fit. Infinity is clipped too, whereas the model raises an error for it."""
    model, file = city_and_price
    numbers = np.array([-np.inf, -1e300, -1e30, -3.0, 9.0, 1e30, 1e300, np.inf, np.nan])
    p = scores(file, city=np.array(["Rome"] * 9, object), price=numbers)
    assert p[0] == p[1] == p[2] == p[3]
    assert p[4] == p[5] == p[6] == p[7]
    assert len({p[0], p[4], p[8]}) == 3
    np.testing.assert_allclose(
        p[3:6], model.predict_marginals(pd.DataFrame({"city": "Rome", "price": numbers[3:6]}))[:, 0], atol=1e-6
    )


@pytest.mark.parametrize("scaling", ["standard", "quantile"])
def test_numbers_at_the_edges_of_bins_are_in_the_same_bin(scaling, tmp_path):
    values = np.sort(np.random.RandomState(0).choice(np.round(np.random.RandomState(1).normal(size=60), 2), N))
    X = pd.DataFrame({"city": repeated(["Rome", "Oslo"]), "price": values, "flat": 1.0})
    model, file = export(tmp_path, X, numeric_scaling=scaling, numeric_bins=40)
    edges = model._encoder.main.numeric[1].edges
    assert len(edges) > 20
    near = np.concatenate([edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)])
    check_same(model, file, pd.DataFrame({"city": "Rome", "price": near, "flat": near}))
    ends = {1e300: [np.inf, 1e300], -1e300: [-np.inf, -1e300]}
    for far, extremes in ends.items():  # "flat" has fewer edges than "price"; its padding is no bin
        p = scores(file, city=np.array(["Rome"] * 2, object), price=np.array(extremes), flat=np.array(extremes))
        assert p[0] == p[1], far


@pytest.mark.parametrize("scaling", ["standard", "quantile"])
@pytest.mark.parametrize("exponent", [-30, -50, -200, -300, -310])
def test_accepts_tiny_numbers(scaling, exponent, tmp_path):
    X = pd.DataFrame({"price": np.tile([0.0, 1.0, 2.0, np.nan], N // 4) * 10.0**exponent})
    model, file = export(tmp_path, X, numeric_scaling=scaling)
    check_same(model, file, X)


def test_inputs_of_different_lengths_types_or_ranks_are_errors(city_and_price):
    _, file = city_and_price
    with pytest.raises(Fail, match="concat"):
        scores(file, city=np.array(["Rome", "Oslo"], object), price=np.zeros(1))
    with pytest.raises(InvalidArgument, match="Unexpected input data type"):
        scores(file, city=np.array(["Rome"], object), price=np.zeros(1, np.float32))
    with pytest.raises(InvalidArgument, match="Invalid rank"):
        scores(file, city=np.array([["Rome"]], object), price=np.zeros(1))


@pytest.mark.parametrize("lengths", [(1, 2, 3), (3, 1, 2), (1, 1, 4), (2, 2, 5), (4, 4, 1)])
@pytest.mark.parametrize("kind", ["strings", "numbers"])
def test_different_lengths_are_an_error_if_their_sum_would_fit(lengths, kind, tmp_path):
    """Columns with 1, 2 and 3 values have as many values as three columns with 2."""
    column = repeated(["Rome", "Oslo"]) if kind == "strings" else np.arange(N) / N
    _, file = export(tmp_path, pd.DataFrame(dict.fromkeys("abc", column)))
    given = {name: np.array(column[:n]) for name, n in zip("abc", lengths, strict=True)}
    with pytest.raises((Fail, RuntimeException, InvalidArgument)):
        file.run_inputs(given)


@pytest.mark.parametrize("n", [1, 2, 17, 1025, 100_000])
def test_accepts_any_number_of_rows(n, city_and_price):
    _, file = city_and_price
    given = {"city": np.array(["Rome", "Oslo", "?"] * (n // 3 + 1), object)[:n], "price": np.arange(n) % 7 / 2}
    got = file.run_inputs(given)
    assert got["marginals"].shape == (n, 2)
    assert got["rank_score"].shape == (n,)
    last = file.run_inputs({name: column[-1:] for name, column in given.items()})
    np.testing.assert_allclose(got["marginals"][-1:], last["marginals"], atol=1e-6)


def test_the_file_is_valid(city_and_price):
    _, file = city_and_price
    onnx.checker.check_model(file.path, full_check=True)
    model = onnx.load(file.path)
    assert {(o.domain, o.version) for o in model.opset_import} == {("", 18), ("ai.onnx.ml", 4)}
    assert model.ir_version <= 9
    shapes = {o.name: o.shape for o in file.session.get_outputs()}
    assert shapes == {"marginals": ["n", 2], "conditionals": ["n", 2], "rank_score": ["n"]}


def test_columns_may_have_the_names_of_nodes(tmp_path):
    X = pd.DataFrame({"v0": repeated(["a", "b"]), "v1": np.arange(N), "n": repeated(["c", "d", "e"]), "a b/ü": 0.5})
    model, file = export(tmp_path, X)
    check_same(model, file, X)
    assert list(file.types) == ["v0", "v1", "n", "a b/ü"]


def test_column_names_may_be_numbers(tmp_path):
    X = pd.DataFrame({0: repeated(["a", "b"]), 7: np.arange(N) / N})
    model, file = export(tmp_path, X)
    assert list(file.types) == ["0", "7"]
    check_same(model, file, X)


def test_a_session_starts_without_messages(city_and_price, capfd):
    onnxruntime.InferenceSession(city_and_price[1].path)
    assert capfd.readouterr() == ("", "")
