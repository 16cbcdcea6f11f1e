"""The canonical form of each kind of value, alone and in a column."""

import datetime
import enum
import uuid
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from sklearn_fsmd.encoding.columns.canonical import canonical, factorize, kind_of

NAN = float("nan")


class Colour(str, enum.Enum):  # noqa: UP042 (str() of it is not its value)
    RED = "red"


class Level(enum.IntEnum):
    TOP = 3


FORMS = [
    (None, None),
    (NAN, None),
    (np.float32("nan"), None),
    (pd.NA, None),
    (pd.NaT, None),
    (Decimal("NaN"), None),
    (-1, None),
    (-2.0, None),
    (np.int8(-1), None),
    (Decimal("-2.00"), None),
    (-3, -3),
    (True, 1),
    (np.bool_(False), 0),
    (1.0, 1),
    (-0.0, 0),
    (np.uint8(200), 200),
    (2**53 + 1, 2**53 + 1),
    (2**63 - 1, 2**63 - 1),
    (-(2**63), -(2**63)),
    (2.0**53 - 1, 2**53 - 1),
    (np.float32(2**24 - 1), 2**24 - 1),
    (np.float16(2047), 2047),
    (Level.TOP, 3),
    (Decimal("1.00"), 1),
    (Decimal("9007199254740993"), 2**53 + 1),
    (Fraction(4, 2), 2),
    (0.1, 0.1),
    (-1.5, -1.5),
    (np.float32(0.1), 0.1),
    (np.float16(0.1), 0.1),
    (np.longdouble(0.25), 0.25),
    (Decimal("0.50"), 0.5),
    (Decimal("2.25"), 2.25),
    (Fraction(1, 4), 0.25),
    (Fraction(1, 3), Fraction(1, 3)),
    ("", ""),
    ("1", "1"),
    ("-1", "-1"),
    ("x\udc80", "x\udc80"),
    (np.str_("a"), "a"),
    (Colour.RED, "red"),
    (datetime.time(12, 30), "12:30:00"),
    (pd.Interval(0, 18), "(0, 18]"),
    (pd.Interval(0.0, 18.0), "(0, 18]"),
    (pd.Interval(0.0, 17.5, closed="left"), "[0, 17.5)"),
    (Path("img/a.png"), str(Path("img/a.png"))),
    (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    (b"a", b"a"),
    (np.bytes_(b"a"), b"a"),
    ((1, "a"), (1, "a")),
]


def label_of(value):
    return f"{type(value).__name__} {value!r}".encode("unicode_escape").decode().split(" at 0x")[0]


@pytest.mark.parametrize(("value", "form"), FORMS, ids=lambda value: label_of(value))
def test_a_value_has_its_canonical_form(value, form):
    found = canonical(value, "c")
    assert found == form
    assert type(found) is type(form)


@pytest.mark.parametrize(("value", "form"), FORMS, ids=lambda value: label_of(value))
def test_a_column_has_the_canonical_forms_of_its_values(value, form):
    column = np.empty(3, dtype=object)
    column[:2] = [value, value]
    column[2] = "another"
    positions, forms, kind = factorize(column, "c")
    assert positions.tolist() == ([-1, -1, 0] if form is None else [0, 0, 1])
    assert forms.tolist() == ["another"] if form is None else [form, "another"]
    assert kind == ("strings" if form is None or isinstance(form, str) else "mixed values")
    alone = factorize(column[:2], "c")
    assert alone[2] == (None if form is None else kind_of(form))
    assert alone[1].tolist() == ([] if form is None else [form])


REFUSED = [
    ([1, 2], TypeError, "Column 'c' holds .*, but here each argument must be a single string or number"),
    ({"a": 1}, TypeError, "Column 'c' holds .*, but here each argument must be a single string or number"),
    (object(), TypeError, "Column 'c' holds .*, but here each argument must be a single string or number"),
    (datetime.date(2024, 1, 1), TypeError, "'c' holds .*neither a number nor a category"),
    (datetime.timedelta(1), TypeError, "'c' holds .*neither a number nor a category"),
    (np.timedelta64(3, "ns"), TypeError, "'c' holds .*neither a number nor a category"),
    (np.timedelta64(2, "M"), TypeError, "'c' holds .*neither a number nor a category"),
    (np.datetime64("2024-01-01"), TypeError, "'c' holds .*neither a number nor a category"),
    (pd.Period("2024"), TypeError, "'c' holds .*neither a number nor a category"),
    (torch.tensor(3), TypeError, "Column 'c' holds torch tensors. Pass numbers, or arrays of numpy"),
    (torch.zeros(2), TypeError, "Column 'c' holds torch tensors. Pass numbers, or arrays of numpy"),
    (1 + 2j, ValueError, "Complex data not supported: column 'c'"),
    (float("inf"), ValueError, "Input X contains infinity: column 'c'"),
    (Decimal("-Infinity"), ValueError, "Input X contains infinity: column 'c'"),
    (2**63, ValueError, r"ids above 2\*\*63 - 1 are not supported"),
    (-(2**63) - 1, ValueError, r"ids below -2\*\*63 are not supported"),
    (np.uint64(2**63), ValueError, r"ids above 2\*\*63 - 1 are not supported"),
    (Decimal("1E300000"), ValueError, r"ids above 2\*\*63 - 1 are not supported"),
    (Fraction(10**400, 3), ValueError, r"ids above 2\*\*63 - 1 are not supported"),
    (2.0**53, ValueError, "as float64, where neighbouring ids can no longer be told apart"),
    (np.float32(2**24), ValueError, "as float32, where neighbouring ids can no longer be told apart"),
    (np.float16(2048), ValueError, "as float16, where neighbouring ids can no longer be told apart"),
    (Decimal("0.12345678901234567890"), ValueError, "'c' holds 0.1234567890123456789.*more digits than a float64"),
]


def test_uuids_are_strings_in_object_and_arrow_columns():
    ids = [uuid.UUID(int=2**127 + i) for i in (3, 1, 3)]
    stored = pa.array([*(one.bytes for one in ids), None], pa.binary(16))
    column = pd.Series(pd.arrays.ArrowExtensionArray(pa.ExtensionArray.from_storage(pa.uuid(), stored)))
    for one in (column, pd.Series([*ids, None], dtype=object)):
        positions, forms, kind = factorize(one, "c")
        assert (positions.tolist(), forms.tolist(), kind) == ([0, 1, 0, -1], [str(ids[0]), str(ids[1])], "strings")


@pytest.mark.parametrize(("value", "error", "message"), REFUSED, ids=lambda value: label_of(value)[:40])
def test_a_bad_value_is_refused_alone_and_in_a_column(value, error, message):
    with pytest.raises(error, match=message):
        canonical(value, "c")
    column = np.empty(2, dtype=object)
    column[0], column[1] = "a", value
    with pytest.raises(error, match=message):
        factorize(column, "c")


def test_the_error_for_an_unhashable_value_names_the_column():
    column = np.array(["a", Decimal("sNaN")], dtype=object)
    with pytest.raises(TypeError, match="Column 'c': .*signaling NaN"):
        factorize(column, "c")


def test_strings_with_surrogates_are_distinguished():
    positions, forms, kind = factorize(np.array(["a\udc80", None, "\ud800", "a\udc80", "a"], dtype=object), "c")
    assert positions.tolist() == [0, -1, 1, 0, 2]
    assert (forms.tolist(), kind) == (["a\udc80", "\ud800", "a"], "strings")


def test_strings_that_differ_only_after_a_nul_are_distinguished():
    positions, forms, _ = factorize(np.array(["a\0x", "a\0y", "a\0x"], dtype=object), "c")
    assert (positions.tolist(), forms.tolist()) == ([0, 1, 0], ["a\0x", "a\0y"])
    positions, forms, _ = factorize(np.array([-2, "\udc80", "\ud800"], dtype=object), "c")
    assert (positions.tolist(), forms.tolist()) == ([-1, 0, 1], ["\udc80", "\ud800"])


def test_big_endian_numbers_are_accepted():
    positions, forms, kind = factorize(np.array([300_000, 7, 300_000], dtype=">i4"), "c")
    assert (positions.tolist(), forms.tolist(), kind) == ([0, 1, 0], [300_000, 7], "numbers")


def test_different_values_of_equal_form_are_one_category():
    times = np.array([datetime.time(8, 0), "08:00:00", "x"], dtype=object)
    positions, forms, kind = factorize(times, "c")
    assert positions.tolist() == [0, 0, 1]
    assert (forms.tolist(), kind) == (["08:00:00", "x"], "strings")
    positions, forms, _ = factorize(pd.Series([0.0, -0.0, 1.0], dtype="double[pyarrow]"), "c")
    assert (positions.tolist(), forms.tolist()) == ([0, 0, 1], [0, 1])


def test_integers_next_to_fractions_stay_exact():
    positions, forms, kind = factorize(np.array([2**60 + 1, 0.5, 2**60], dtype=object), "c")
    assert forms.tolist() == [2**60 + 1, 0.5, 2**60]
    assert kind == "numbers"
    assert positions.tolist() == [0, 1, 2]
