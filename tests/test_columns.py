"""Columns of categories and of numbers: codes, scaled numbers and bins."""

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sklearn_fsmd import MultiTaskClassifier
from sklearn_fsmd.encoding.columns import CategoryColumn, NumericColumn
from sklearn_fsmd.encoding.input_encoder import InputEncoder
from sklearn_fsmd.encoding.table.single_rows import code_of
from tests.conftest import make_frame

NAN = float("nan")


def fitted(values, **params):
    column = CategoryColumn("c", **params)
    return column, column.fit_encode(values).tolist()


STRINGS = ["b", "a", None, "a"]


@pytest.mark.parametrize(
    "values",
    [
        np.array(STRINGS, dtype=object),
        pd.Series(STRINGS, dtype=object),
        pd.Series(STRINGS, dtype="str"),
        pd.Series(STRINGS, dtype="string"),
        pd.Series(STRINGS, dtype="category"),
        pd.Series(STRINGS, dtype=pd.CategoricalDtype(["z", "b", "a"])),
        pd.Series(["b", "a", pd.NA, "a"], dtype=object),
        pd.Series(["b", "a", np.nan, "a"], dtype=object),
    ],
    ids=lambda v: str(v.dtype),
)
def test_strings_of_any_dtype_have_the_same_codes(values):
    column, codes = fitted(values)
    assert codes == [2, 1, 0, 1]
    assert column.n_rows == 3
    assert column.encode(pd.Series(["a", "b", "new", None], dtype="category")).tolist() == [1, 2, 0, 0]


INTEGERS = [7, 5, None, 5]


@pytest.mark.parametrize(
    "values",
    [
        pd.Series(INTEGERS),  # floats with a NaN
        pd.Series(INTEGERS, dtype="Int64"),
        pd.Series(INTEGERS, dtype=object),
        pd.Series(INTEGERS, dtype="category"),
        np.array([7, 5, -1, 5], dtype=np.int8),
        np.array([7, 5, -2, 5], dtype=np.float32),
    ],
    ids=lambda v: str(v.dtype),
)
def test_numbers_of_any_dtype_have_the_same_codes(values):
    column, codes = fitted(values)
    assert codes == [2, 1, 0, 1]
    assert column.encode(np.array([5, 7, 6, -1, -2])).tolist() == [1, 2, 0, 0, 0]
    assert column.encode(np.array([5.0, 7.5, NAN])).tolist() == [1, 0, 0]


def test_booleans_are_zeros_and_ones():
    column, codes = fitted(pd.array([True, False, None], dtype="boolean"))
    assert codes == [2, 1, 0]
    assert column.encode(np.array([False, True])).tolist() == [1, 2]
    assert column.encode(np.array([True, None], dtype=object)).tolist() == [2, 0]


def test_large_ids_are_exact():
    ids = np.array([2**62, 2**62 + 1, 2**53 + 1, 2**63 - 1])
    column, codes = fitted(ids)
    assert codes == [2, 3, 1, 4]
    assert column.encode(np.array([2**53, 2**62 + 2, 2**62 + 1])).tolist() == [0, 0, 3]
    assert column.encode(np.array([2**62 + 1, None], dtype=object)).tolist() == [3, 0]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (np.array([1, 2**24], dtype=np.float32), "16777216 as float32"),
        (np.array([1, 2.0**53]), "9007199254740992 as float64"),
        (np.array([2**63 + 5], dtype=np.uint64), "9223372036854775813"),
    ],
)
def test_ids_that_are_no_longer_exact_are_refused(values, shown):
    with pytest.raises(ValueError, match=shown):
        fitted(values)


def test_rare_values_share_the_unknown_row():
    column, codes = fitted(np.array(["a", "a", "b", "c", "c"], dtype=object), min_frequency=2)
    assert codes == [1, 1, 0, 2, 2]
    assert column.n_rows == 3


def test_values_seen_once_are_known_except_in_a_row_identifier():
    column, codes = fitted(np.array(["a", "a", "b", "c", None], dtype=object), min_frequency="auto")
    assert codes == [1, 1, 2, 3, 0]  # no more than half of the rows with a value have a unique one
    assert column.min_frequency == 1
    column, codes = fitted(np.array(["a", "a", "b", "c", "d"], dtype=object), min_frequency="auto")
    assert codes == [1, 1, 0, 0, 0]
    assert column.min_frequency == 2


def test_unused_categories_of_a_dtype_get_no_row():
    column, _ = fitted(pd.Series(["a"], dtype=pd.CategoricalDtype(["a", "b", "c"])))
    assert column.n_rows == 2


def test_unused_dictionary_values_of_an_arrow_slice_are_ignored():
    column, _ = fitted(np.array([1.0, 2.0]))
    words = pd.Series(pd.arrays.ArrowExtensionArray(pa.array(["x", None]).dictionary_encode()))
    assert column.encode(words[1:]).tolist() == [0]
    with pytest.raises(ValueError, match="held numbers in fit and holds strings now"):
        column.encode(words)


def test_mixed_values_get_distinct_codes():
    column, codes = fitted(np.array(["a", 1, 2.5, None], dtype=object))
    assert sorted(codes) == [0, 1, 2, 3]
    assert column.encode(np.array(["a"], dtype=object))[0] == codes[0]
    assert column.encode(np.array([1]))[0] == codes[1]


def test_negative_codes_among_mixed_values_are_missing():
    column, codes = fitted(np.array(["a", -1, 3, -2], dtype=object))
    assert codes[1] == codes[3] == 0
    assert column.encode(np.array([-1])).tolist() == [0]


def test_fractions_are_the_same_in_single_and_double_precision():
    column, codes = fitted(np.array([0.1, 0.25, 0.1]))
    assert column.encode(np.array([0.1, 0.25, 0.1], dtype=np.float32)).tolist() == codes


def test_intervals_are_encoded_as_their_text():
    ages = pd.cut(pd.Series([3, 30, 60]), [0, 18, 45, 99])
    column, codes = fitted(ages)
    assert codes == column.encode(ages.astype(str)).tolist() == [1, 2, 3]


MISSING = {
    "strings": (["b", "a", None, "a"], [None, NAN, pd.NA], "?"),
    "ids": ([10**17 + 1, 10**17, None, 10**17], [None, pd.NA, -1, -2], 5),
    "numbers": ([7.0, 5.0, NAN, 5.0], [None, NAN, -1, -2.0], 6),
    "fractions": ([2.5, 0.5, NAN, 0.5], [None, NAN, -1.0, -2], 1.5),
    "codes": ([7, 5, -1, 5], [None, NAN, -1, -2], 6),
    "mixed values": (["b", 1, None, 1], [None, NAN, -1, -2], "?"),
}


@pytest.mark.parametrize("kind", MISSING)
def test_missing_values_that_fit_has_seen_have_a_row_of_their_own(kind):
    values, missing, unknown = MISSING[kind]
    column, codes = fitted(pd.Series(values, dtype=object), knows_missing=True)
    assert codes == [3, 2, 1, 2]
    assert (column.n_rows, len(column.values)) == (4, 2)
    later = pd.Series([*missing, unknown, values[0]], dtype=object)
    assert column.encode(later).tolist() == [1] * len(missing) + [0, codes[0]]
    if kind != "mixed values":  # which are left to the encoding of arrays
        assert [code_of(column, value) for value in later] == column.encode(later).tolist()


def test_missing_values_are_unknown_if_fit_has_seen_none_or_few():
    column, _ = fitted(pd.Series(["a", "b"]), knows_missing=True)
    assert column.encode(pd.Series(["b", None])).tolist() == [2, 0]
    rare = pd.Series(["a", "a", "a", "b", None, None])
    for least, codes in ((2, [2, 2, 2, 0, 1, 1]), (3, [1, 1, 1, 0, 0, 0])):
        assert fitted(rare, min_frequency=least, knows_missing=True)[1] == codes


def test_new_values_are_appended_after_a_row_of_missing_values():
    column, _ = fitted(pd.Series(["a", None]), knows_missing=True)
    column.append(np.array(["z", "c"], dtype=object), "strings")
    assert column.encode(pd.Series(["a", "c", "z", None, "?"])).tolist() == [2, 3, 4, 1, 0]


def test_a_column_of_only_missing_values_has_only_the_unknown_row():
    column, codes = fitted(np.array([None, NAN], dtype=object), knows_missing=True)
    assert codes == [0, 0]
    assert column.n_rows == 1
    assert column.encode(np.array(["a"], dtype=object)).tolist() == [0]
    assert column.encode(np.array([3])).tolist() == [0]


@pytest.mark.parametrize(
    ("at_fit", "later", "message"),
    [
        (np.array([1, 2]), np.array(["1"], dtype=object), "held numbers in fit and holds strings now .found '1'.\\."),
        (np.array([True]), np.array(["True"], dtype=object), "strings now .found 'True'; booleans are numbers.\\."),
        (np.array(["1"], dtype=object), np.array([1]), "held strings in fit and holds numbers now .found 1.."),
    ],
)
def test_a_change_of_type_is_refused(at_fit, later, message):
    column, _ = fitted(at_fit)
    with pytest.raises(ValueError, match=message):
        column.encode(later)


@pytest.mark.parametrize("column_class", [CategoryColumn, lambda name: NumericColumn(name, "quantile", 8)])
@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (pd.Series(pd.to_datetime(["2022-01-01"])), TypeError, "'when' has dtype datetime64"),
        (pd.Series(pd.to_datetime(["2022-01-01"])).dt.tz_localize("UTC"), TypeError, "'when' has dtype datetime64"),
        (pd.Series(pd.to_timedelta([3], unit="s")), TypeError, "'when' has dtype timedelta64"),
        (pd.Series(pd.period_range("2022", periods=1, freq="D")), TypeError, "'when' has dtype period"),
        (np.array([1 + 2j]), ValueError, "Complex data not supported"),
        (pd.Series(pd.arrays.SparseArray([0, 1])), TypeError, "Sparse data was passed: column 'when'"),
    ],
    ids=["datetime", "timezone", "timedelta", "period", "complex", "sparse"],
)
def test_columns_that_are_neither_numbers_nor_categories_are_refused(column_class, values, error, message):
    with pytest.raises(error, match=message):
        column_class("when").fit_encode(values)


def test_dates_as_objects_are_refused():
    with pytest.raises(TypeError, match="neither a number nor a category"):
        fitted(np.array([datetime.datetime(2022, 1, 1), None], dtype=object))


@pytest.mark.parametrize("nested", [[1, 2], {"a": 1}, {3}])
def test_nested_objects_are_refused(nested):
    values = np.empty(2, dtype=object)
    values[0], values[1] = "a", nested
    with pytest.raises(TypeError, match="Column 'c' holds .*, but here each argument must be a single string or num"):
        fitted(values)


# ------------------------------------------------------------------------------------------------------------ numbers


@pytest.mark.parametrize("scaling", ["quantile", "standard"])
def test_numbers_are_scaled_to_mean_0_and_variance_1(scaling, rng):
    x = rng.lognormal(sigma=2, size=5000)
    numbers, _ = NumericColumn("x", scaling, 8).fit_encode(x)
    assert numbers.dtype == np.float32
    assert numbers.mean() == pytest.approx(0, abs=1e-3)
    assert numbers.std() == pytest.approx(1, abs=1e-2)
    assert (np.diff(numbers[np.argsort(x)]) >= 0).all()


def test_quantile_scaling_is_robust_to_an_outlier():
    column = NumericColumn("x", "quantile", 8)
    column.fit_encode(np.append(np.arange(1000.0), 1e30))
    low, high, beyond = column.encode(np.array([0.0, 999.0, 1e35]))[0]
    assert low == pytest.approx(-np.sqrt(3), abs=0.02)
    assert high == pytest.approx(np.sqrt(3), abs=0.02)
    assert beyond == pytest.approx(np.sqrt(3), abs=0.02)


def test_standard_scaling_clips_to_the_range_of_fit():
    column = NumericColumn("x", "standard", 4)
    numbers, _ = column.fit_encode(np.array([1.0, 2.0, 6.0]))
    assert column.encode(np.array([-1e30, 1e30]))[0].tolist() == [numbers.min(), numbers.max()]


def test_numbers_stay_unchanged_without_scaling():
    numbers, _ = NumericColumn("x", None, 4).fit_encode(np.array([1.5, -3.0]))
    assert numbers.tolist() == [1.5, -3.0]


def test_bins_hold_equally_many_rows(rng):
    column = NumericColumn("x", "quantile", 10)
    _, bins = column.fit_encode(rng.normal(size=10_000))
    assert column.n_rows == 11
    np.testing.assert_allclose(np.bincount(bins, minlength=11), [0] + [1000] * 10, atol=2)


def test_bins_of_a_column_of_mostly_zeros_split_the_other_values():
    column = NumericColumn("x", "quantile", 10)
    _, bins = column.fit_encode(np.concatenate([np.zeros(9000), np.arange(1, 901), -np.arange(1, 101)]))
    sizes = np.bincount(bins)
    assert sizes.max() == 9000
    assert 10 <= np.count_nonzero(sizes) <= 12
    assert sorted(sizes[sizes > 0])[-2] <= 120


def test_a_frequent_value_has_its_own_bin():
    x = np.concatenate([np.zeros(900), np.arange(1, 101)])
    column = NumericColumn("x", "quantile", 20)
    _, bins = column.fit_encode(x)
    assert len(np.unique(bins[:900])) == 1
    assert bins[0] not in bins[900:]


def test_a_missing_number_has_bin_0_and_the_value_0():
    column = NumericColumn("x", "standard", 4)
    numbers, bins = column.fit_encode(pd.array([1, 2, None, 4], dtype="Int64"))
    assert (numbers[2], bins[2]) == (0.0, 0)
    assert (bins[[0, 1, 3]] > 0).all()


@pytest.mark.parametrize("scaling", ["quantile", "standard", None])
@pytest.mark.parametrize("x", [np.full(5, 3.0), np.full(5, NAN), np.array([2.0])])
def test_constant_and_empty_columns_have_finite_numbers(scaling, x):
    column = NumericColumn("x", scaling, 8)
    numbers, _ = column.fit_encode(x)
    assert np.isfinite(numbers).all()
    assert np.isfinite(column.encode(np.array([10.0, NAN]))[0]).all()


@pytest.mark.parametrize(("value", "n"), [(0.1, 3), (0.1, 1000), (1_000_000.1, 7), (-2.0, 5)])
def test_a_constant_column_is_0_whatever_the_rounding_of_its_mean(value, n):
    """The deviation of equal numbers may be as small as the rounding of their mean, and would make them 1 or -1."""
    whole, blocks = NumericColumn("x", "standard", 8), NumericColumn("x", "standard", 8)
    numbers, _ = whole.fit_encode(np.full(n, value))
    for _ in range(n):
        blocks.update(np.array([value]))
    blocks.finalize()
    np.testing.assert_array_equal(numbers, 0)
    np.testing.assert_array_equal(blocks.encode(np.array([value, NAN]))[0], 0)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300])
def test_infinity_is_refused_with_column_and_row(value):
    message = r"infinity or a value too large for dtype\('float32'\). Column 'x' has .* in row 1"
    with pytest.raises(ValueError, match=message):
        NumericColumn("x", "quantile", 8).fit_encode(np.array([1.0, value]))


def test_a_string_in_a_numeric_column_is_refused():
    with pytest.raises(ValueError, match="Column 'x' is read as numbers but holds 'oops'"):
        NumericColumn("x", "quantile", 8).fit_encode(np.array([1.0, "oops"], dtype=object))


# ------------------------------------------------------------------------------------------------------- block by block

VALUES = {
    "ids": [10**17 + i for i in (3, 1, 2, 3, 3, 1)],
    "ids with missing values": [10**15 + 1, None, 10**15 + 1, 5, None, 5],
    "fractions and whole numbers": [1, 2, 1, 2.5, 2.0, 1.0],
    "strings": ["a", "b", None, "b", "a", "c"],
    "mixed values": ["a", 1, "a", 1, 2.5, "b"],
    "missing first": [None, None, None, "b", "a", "b"],
    "booleans": [True, False, True, True, False, True],
}


@pytest.mark.parametrize("min_frequency", [1, 2, "auto"])
@pytest.mark.parametrize("kind", VALUES)
def test_categories_learned_in_blocks_equal_those_of_the_column(kind, min_frequency):
    values = pd.Series(VALUES[kind], dtype=object)
    whole, blocks = (CategoryColumn("c", min_frequency, knows_missing=True) for _ in range(2))
    codes = whole.fit_encode(values)
    for start in (0, 2, 4):
        blocks.update(values[start : start + 2].reset_index(drop=True))
    blocks.finalize()
    pd.testing.assert_index_equal(blocks.values, whole.values)
    assert blocks.kind == whole.kind
    np.testing.assert_array_equal(blocks.encode(values), codes)
    assert "seen" not in vars(blocks)


def test_a_block_of_another_kind_is_refused():
    column = CategoryColumn("c")
    column.update(pd.Series(["a", "b"]))
    with pytest.raises(ValueError, match="Column 'c' held strings in the rows before and holds numbers in later ones"):
        column.update(pd.Series([1, 2]))


@pytest.mark.parametrize("scaling", ["standard", "quantile", None])
def test_numbers_learned_in_blocks_equal_those_of_the_column(scaling, rng):
    values = rng.lognormal(size=1000)
    values[::7] = np.nan
    whole, blocks = NumericColumn("x", scaling, 12), NumericColumn("x", scaling, 12)
    numbers, bins = whole.fit_encode(values)
    for block in np.array_split(values, 4):
        blocks.update(block)
    blocks.finalize()
    found = blocks.encode(values)
    np.testing.assert_array_equal(found[0], numbers)
    np.testing.assert_array_equal(found[1], bins)


def test_a_table_can_be_learned_block_by_block():
    X, _ = make_frame(500)
    p = MultiTaskClassifier(bias_features=["visits"])
    whole, blocks = InputEncoder(p), InputEncoder(p)
    rows = whole.fit_encode(X)
    for start in range(0, 500, 200):
        blocks.update(X[start : start + 200])
    blocks.finalize()
    found = blocks.encode(X)
    np.testing.assert_array_equal(found.codes, rows.codes)
    np.testing.assert_array_equal(found.numbers, rows.numbers)
    np.testing.assert_array_equal(found.bias.codes, rows.bias.codes)
    assert blocks.main.cardinalities == whole.main.cardinalities


@pytest.mark.parametrize(
    ("before", "after", "remedy"),
    [
        ("", ".0", r"X\['c'\]\.str\.removesuffix\('\.0'\)"),
        (".0", "", r"X\['c'\] \+ '\.0'"),
        ("", " ", r"X\['c'\]\.str\.strip\(\)"),
    ],
)
def test_text_that_is_spelled_otherwise_than_in_fit_is_warned_of(before, after, remedy):
    ids = pd.Series([str(i) for i in range(100, 150)])
    column, changed = fitted(ids + before)[0], ids + after
    with pytest.warns(UserWarning, match=f"Column 'c': none of its 50 different values was in fit, .*{remedy}"):
        assert not column.encode(changed).any()
    some_known = pd.concat([changed, ids[:1] + before])
    assert column.encode(some_known).tolist() == [0] * 50 + [1]  # it is no rule then
    assert not column.encode(changed[:9]).any()  # so few may be new
    assert not column.encode("new " + ids).any()
