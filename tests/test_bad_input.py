"""Bad X: each case raises an error or a warning that names the column, the value found and what to do.

Bad targets are in test_bad_targets.py, bad parameters in test_bad_parameters.py.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pytest
from scipy import sparse

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.encoding.table.encoder import BLOCK, FeatureEncoder
from tests.cases import (
    DAY,
    INF,
    N,
    cases,
    cell,
    changed,
    check,
    fit,
    make_fitted,
    no_feature,
    no_match,
    no_number,
    put,
    too_large,
)
from tests.conftest import SMALL


@pytest.fixture(scope="module")
def fitted():
    return make_fitted()


def category(value):
    return pd.Categorical([value] * N)


def number(value):
    """Put `value` into the second column of the first row of an array."""

    def change(array):
        changed = array.astype(object if isinstance(value, int) else float)
        changed[0, 1] = value
        return changed

    return change


SPAN = np.timedelta64(3, "h")
DAY_UTC = pd.Timestamp(DAY, tz="UTC")
SPARSE = pd.arrays.SparseArray([0.0] * N)
SERIES = "Expected a 2-dimensional container but got <class 'pandas…'> instead. Row i of a DataFrame X is X.iloc[[i]]"
WAYS = pytest.mark.parametrize("way", ["fit", "predict", "predict one row"])

# --------------------------------------------------------------------------- X that is refused at fit and at predict


def inexact_id(value):
    text = f"Column 'user' holds {value}, where neighbouring ids can no longer be told apart. Pass ids as integers or"
    return ValueError, text


def too_large_id(value):
    text = f"Column 'user' holds {value}: ids above 2**63 - 1 are not supported. Pass them as strings."
    return ValueError, text


def not_scalar(name, value):
    return TypeError, f"Column {name!r} holds {value}…, but here each argument must be a single string or number. Give"


@WAYS
@cases(
    ("inf", put(price=INF), *too_large("price", "inf")),
    ("-inf", put(price=-INF), *too_large("price", "-inf")),
    ("1e300", put(price=1e300), *too_large("price", "1e+300")),
    ("id inf", put(user=category(INF)), ValueError, "Input X contains infinity: column 'user'."),
    ("id 1e300", put(user=category(1e300)), *inexact_id("1.0000000000000001e+300 as float64")),
    ("id float32", put(user=category(np.float32(2**24))), *inexact_id("16777216 as float32")),
    ("id 2**63", put(user=category(np.uint64(2**63))), *too_large_id("9223372036854775808")),
    ("id 2**64", put(user=cell(2**64, 2**64)), *too_large_id("18446744073709551616")),
    ("complex", put(price=1j), ValueError, "Complex data not supported: column 'price' has dtype complex128."),
    ("complex cell", put(city=cell(1j)), ValueError, "Complex data not supported: column 'city' holds 1j."),
    ("datetime", put(price=DAY), *no_feature("price", "datetime64[…]")),
    ("time zone", put(city=DAY_UTC), *no_feature("city", "datetime64[…UTC]")),
    ("timedelta", put(visits=pd.Timedelta("1D")), *no_feature("visits", "timedelta64[…]")),
    ("period", put(price=pd.Period("2022", "D")), *no_feature("price", "period[D]")),
    ("date categories", put(city=category(DAY)), *no_feature("city", "datetime64[…]")),
    ("date objects", put(city=cell(DAY, DAY)), *no_feature("city", "datetime64[…]")),
    ("sparse column", put(price=SPARSE), TypeError, "Sparse data was passed: column 'price' …. Use .sparse.to_dense"),
    ("list", put(city=cell([1, 2])), *not_scalar("city", "[1, 2]")),
    ("dict", put(city=cell({"a": 1})), *not_scalar("city", "{'a': 1}")),
    ("set", put(user=cell({3}, 5)), *not_scalar("user", "{3}")),
    ("Series", put(city=cell(pd.Series([7]))), *not_scalar("city", "0    7")),
    ("object", put(city=cell(object())), *not_scalar("city", "<object object")),
    ("duplicate name", lambda X: X[[*X, "city"]], ValueError, "X has more than one column named 'city'."),
    ("no rows", lambda X: X[:0], ValueError, "Found array with 0 sample(s) (shape=(0, 5)) while a minimum of 1"),
    ("no columns", lambda X: X[[]], ValueError, "Found array with 0 feature(s) (shape=(…, 0)) while a minimum of 1"),
)
def test_bad_columns_of_a_frame_are_refused(case, way, fitted):
    X = case.action(fitted.X)
    if way == "fit":
        check(case, lambda: fit(X, fitted.Y[: len(X)]))
    else:
        check(case, lambda: fitted.model.predict(X[:1] if way == "predict one row" else X))


@WAYS
@cases(
    ("inf", number(INF), *too_large("x1", "inf")),
    ("-inf", number(-INF), *too_large("x1", "-inf")),
    ("1e300", number(1e300), *too_large("x1", "1e+300")),
    ("10**400", number(10**400), ValueError, "Input X contains a value too large: column 'x1'."),
    ("complex", lambda A: A + 1j, ValueError, "Complex data not supported"),
    ("dates", lambda A: A.astype(int).astype("M8[D]"), *no_feature("x0", "datetime64[D]")),
    ("sparse", sparse.csr_matrix, TypeError, "Sparse data was passed for X, but dense data is required. Use '.toarray"),
    ("masked", lambda A: np.ma.masked_less(A, 9), TypeError, "X has masked values, which would count. Pass X.astype"),
    ("1-D", lambda A: A[:, 0], ValueError, "Expected 2D array, got 1D array instead"),
    ("3-D", lambda A: A[:, :, None], ValueError, "Found array with dim 3, while dim <= 2 is required by FSMD"),
    ("a Series", lambda A: pd.Series(A[:, 0]), ValueError, SERIES),
    ("None", lambda A: None, ValueError, "Expected 2D array, got scalar array instead:\narray=None."),
    ("a string", lambda A: "a.csv", ValueError, "Expected 2D array, got scalar array instead:\narray=a.csv."),
    ("ragged", lambda A: [[1, 2], [3]], ValueError, "The requested array has an inhomogeneous shape"),
    (
        "a dict",
        lambda A: {"x0": 1.0},
        TypeError,
        "X must be a DataFrame or an array. Got a dict: pass pandas.DataFrame",
    ),
    (
        "dicts",
        lambda A: [{"x0": 1.0}],
        TypeError,
        "X must be a DataFrame or an array. Got a list of dicts: pass pandas",
    ),
    ("no rows", lambda A: A[:0], ValueError, "Found array with 0 sample(s) (shape=(0, 3)) while a minimum of 1"),
    ("no columns", lambda A: A[:, :0], ValueError, "Found array with 0 feature(s) (shape=(…, 0)) while a minimum of 1"),
)
def test_bad_arrays_are_refused(case, way, fitted):
    X = case.action(fitted.array)
    if way == "fit":
        check(case, lambda: fit(X, fitted.Y))
    else:
        one = way == "predict one row" and isinstance(X, np.ndarray)
        check(case, lambda: fitted.array_model.predict(X[:1] if one else X))


@cases(
    ("date among strings", put(city=cell(DAY)), TypeError, "Column 'city' holds datetime.…, which is neither a number"),
    ("mixed names", lambda X: X.set_axis([*"abcd", 5], axis=1), TypeError, "Feature names are only supported if all"),
    (
        "digits as numbers",
        put(city="3"),
        ValueError,
        "Column 'city' is read as numbers but holds '3'. Convert it, or",
    ),
)
def test_bad_columns_that_only_fit_refuses(case, fitted):
    if case.id == "mixed names":
        check(case, lambda: fit(case.action(fitted.X), fitted.Y))
        return
    names = None if case.id == "digits as numbers" else "from_dtype"
    check(case, lambda: fit(case.action(fitted.X)[["city"]], fitted.Y, categorical_features=names))


# ---------------------------------------------------------------------------------- X at predict that differs from fit


@pytest.mark.parametrize("n", [1, N], ids=["one row", "many"])
@cases(
    ("missing column", lambda X: X.drop(columns="city"), *no_match("Feature names seen at fit time, yet now…\n- city")),
    ("extra column", put(town=1), *no_match("Feature names unseen at fit time:\n- town")),
    ("renamed", lambda X: X.rename(columns={"city": "town"}), *no_match("unseen at fit time:\n- town…missing:\n- cit")),
    ("other order", lambda X: X[X.columns[::-1]], *no_match("Feature names must be in the same order")),
    ("a row as a Series", lambda X: X.iloc[0], ValueError, SERIES),
    ("mixed names", lambda X: X.set_axis([*"abcd", 5], axis=1), *no_match("They were ['user'…['a', 'b', 'c', 'd', 5]")),
    ("no names", lambda X: X.to_numpy(object), UserWarning, "X does not have valid feature names, but FSMDClassifier"),
    ("numbers for strings", put(city=3), *changed("city", "strings", "numbers", 3)),
    ("number among strings", put(city=cell(3)), *changed("city", "strings", "…", 3)),
    ("bytes for strings", put(city=cell(b"a", b"a")), *changed("city", "strings", "bytes", b"a")),
    ("tuple among strings", put(city=cell((1, 2))), *changed("city", "strings", "mixed values", (1, 2))),
    ("strings for ids", put(user="7"), *changed("user", "numbers", "strings", "7")),
    ("string among ids", put(user=cell("7", 7)), *changed("user", "numbers", "…", "7")),
    ("categories for ids", put(user=category("7")), *changed("user", "numbers", "strings", "7")),
    ("strings for flags", put(member="yes"), *changed("member", "numbers", "strings", "yes")),
    ("words for numbers", put(price="dear"), *no_number("price", "'dear'")),
    ("word among numbers", put(price=cell("dear", 2.0)), *no_number("price", "'dear'")),
    ("digits for numbers", put(price="3.5"), *no_number("price", "'3.5'")),
    ("categories for numbers", put(price=category("3.5")), *no_number("price", "'3.5'")),
    ("list among numbers", put(price=cell([1], 2.0)), *no_number("price", "[1]", TypeError)),
    ("date among numbers", put(price=cell(DAY, 2.0)), *no_number("price", "datetime.…", TypeError)),
    ("timedelta among numbers", put(price=cell(SPAN, 2.0)), *no_number("price", "np.…(3,'h')", TypeError)),
    ("complex among numbers", put(price=cell(1j, 2.0)), *no_number("price", "1j", TypeError)),
)
def test_frames_that_differ_from_fit_are_refused_or_warned_of(case, n, fitted):
    X = case.action(fitted.X)
    check(case, lambda: fitted.model.predict(X[:n]))


@cases(
    ("missing column", lambda A: A[:, :2], ValueError, "X has 2 features, but FSMDClassifier is expecting 3 features"),
    ("extra column", lambda A: A[:, [0, 1, 2, 2]], ValueError, "X has 4 features, but FSMDClassifier is expecting 3"),
    ("strings", lambda A: A.astype(str), *no_number("x0", "'1.764…'")),
    ("lists", lambda A: [["a", 1.0, 2.0]], *no_number("x0", "'a'")),
    ("names", lambda A: pd.DataFrame(A, columns=[*"abc"]), UserWarning, "X has feature names, but FSMDClassifier was"),
)
def test_arrays_that_differ_from_fit_are_refused_or_warned_of(case, fitted):
    check(case, lambda: fitted.array_model.predict(case.action(fitted.array)))


@cases(
    ("other names", lambda X: X.rename(columns={"city": "town"}), ValueError, "`X_unlabeled` has ['user', 'town'"),
    ("other order", lambda X: X[X.columns[::-1]], ValueError, "`X_unlabeled` must be those of X, in their order"),
    ("an array", lambda X: X.to_numpy(object), TypeError, "X and `X_unlabeled` must be of one kind. Got <class"),
    ("numbers for strings", put(city=3), ValueError, "Column 'city' held strings in the rows before and holds numbers"),
    (
        "strings for ids",
        put(user="7"),
        ValueError,
        "In `X_unlabeled`: Column 'user' held numbers in…before…'7'",
    ),
    (
        "words for numbers",
        put(price="dear"),
        ValueError,
        "'price' is read as numbers but holds 'dear'. Convert it",
    ),
    ("no rows", lambda X: X[:0], ValueError, "Found array with 0 sample(s)"),
)
def test_bad_unlabeled_rows_are_refused(case, fitted):
    check(case, lambda: fit(fitted.X, fitted.Y, X_unlabeled=case.action(fitted.X), pretrain_epochs=1))


# ------------------------------------------------------------------------------------------------------ ids as numbers

IDS = np.array([5, 2**24, 2**24 + 1, 2**53, 2**53 + 1, 2**62, 2**62 + 1])


@pytest.fixture(scope="module")
def id_model():
    ids = np.tile(IDS, 40)
    Y = np.stack([ids % 2, ids % 2], axis=1)
    return fit(pd.DataFrame({"id": ids}), Y, categorical_features="all", max_epochs=5)


def predict_ids(model, ids, n):
    p = np.stack([model.predict_marginals(pd.DataFrame({"id": [i] * n}))[-1] for i in ids])
    assert p.shape == (len(ids), 2)
    return p


@pytest.mark.parametrize("n", [1, 50], ids=["one row", "many"])
def test_neighbouring_ids_get_different_predictions(id_model, n):
    p = predict_ids(id_model, IDS.tolist(), n)
    assert len(np.unique(p[:, 0])) == len(IDS)


@pytest.mark.parametrize("n", [1, 50], ids=["one row", "many"])
@pytest.mark.parametrize("code", [-1, -2, -3, 6, 10**6, 2**24 + 2, 2**53 + 2, 2**62 + 2, 2**63 - 1])
def test_unseen_ids_are_treated_as_missing_ones_that_fit_has_not_seen(id_model, code, n):
    np.testing.assert_array_equal(predict_ids(id_model, [code], n), predict_ids(id_model, [None], n))
    assert (predict_ids(id_model, [code], n) != predict_ids(id_model, IDS.tolist(), n)).all()


@pytest.mark.parametrize("n", [1, 50], ids=["one row", "many"])
def test_an_id_of_more_than_63_bits_is_refused(id_model, n):
    with pytest.raises(ValueError, match=r"Column 'id' holds 9223372036854775808: ids above 2\*\*63 - 1"):
        predict_ids(id_model, [2**63], n)


def test_a_column_with_a_single_value_can_be_fitted(fitted):
    model = fit(pd.DataFrame({"a": ["x"] * N}), fitted.Y)
    p = model.predict_marginals(pd.DataFrame({"a": ["x", "y"]}))
    assert np.isfinite(p).all()
    assert (p[0] != p[1]).all()


def test_a_million_distinct_ids_get_distinct_codes():
    ids = np.random.RandomState(0).permutation(10**6) * 3 + 2**40
    encoder = FeatureEncoder("all", numeric_scaling=None, numeric_bins=0, min_frequency=1)
    codes = encoder.fit_encode(ids[:, None]).codes[:, 0]
    assert encoder.cardinalities == [10**6 + 1]
    np.testing.assert_array_equal(codes, (ids - 2**40) // 3 + 1)
    np.testing.assert_array_equal(encoder.encode(np.repeat(ids[:20, None] + 1, 2, axis=0)).codes, 0)


def test_errors_number_the_rows_of_a_large_array_from_its_start(frame):
    """The array is encoded in blocks."""
    _, Y = frame
    X = np.random.RandomState(0).normal(size=(BLOCK + 20, 2))
    model = FSMDClassifier(**SMALL).fit(X[: len(Y)], Y)
    X[BLOCK + 7, 1] = np.inf
    with pytest.raises(ValueError, match=f"Column 'x1' has inf in row {BLOCK + 7}"):
        model.predict(X)


def test_rows_that_contain_lists_are_refused(frame):
    _, Y = frame
    with pytest.raises(ValueError, match=r"none of which is a list .*pass pandas.DataFrame\(X\)"):
        FSMDClassifier(**SMALL).fit([[1.0, [1, 2]]] * len(Y), Y)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([(1, 2, 3)] * 300, pa.month_day_nano_interval()), "Column 'odd' holds intervals of months and days"),
        (pa.array([[1, 2]] * 300, pa.list_view(pa.int64())), "Column 'odd' is a list_view.* Cast it"),
    ],
    ids=["interval", "list view"],
)
def test_unsupported_arrow_types_are_refused(frame, column, message):
    _, Y = frame
    table = pa.table({"price": np.arange(300.0), "odd": column})
    with pytest.raises(TypeError, match=message):
        FSMDClassifier(**SMALL).fit(table, Y)


def test_run_end_encoded_arrow_columns_give_the_same_predictions(frame):
    X, Y = frame
    cities = pa.array(X["city"].astype(object).where(X["city"].notna(), None).tolist())
    plain = pa.table({"city": cities})
    runs = pa.table({"city": pyarrow.compute.run_end_encode(cities)})
    predictions = [FSMDClassifier(**SMALL).fit(table, Y).predict_marginals(table) for table in (plain, runs)]
    np.testing.assert_array_equal(*predictions)


def test_a_vector_column_without_any_vector_is_refused(frame):
    _, Y = frame
    table = pa.table({"price": np.arange(300.0), "v": pa.nulls(300)})
    with pytest.raises(ValueError, match="Column 'v' holds vectors, and in fit no row has one"):
        FSMDClassifier(**SMALL, vector_features=["v"]).fit(table, Y)
