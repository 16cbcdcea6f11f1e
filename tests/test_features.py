from decimal import Decimal

import category_encoders
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OrdinalEncoder

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.encoding.columns.selection import categorical_mask
from sklearn_fsmd.encoding.table.encoder import FeatureEncoder
from sklearn_fsmd.training import feed
from sklearn_fsmd.training.batches import BatchIterator, TensorData
from tests.conftest import SMALL


def make_encoder(categorical="from_dtype", **params):
    return FeatureEncoder(
        categorical, **{"numeric_scaling": "quantile", "numeric_bins": 8, "min_frequency": 1, **params}
    )


def test_codes_of_different_columns_do_not_overlap(frame):
    X, _ = frame
    encoder = make_encoder()
    codes = encoder.fit_encode(X).codes
    bounds = np.cumsum(encoder.cardinalities)
    for f, offset in enumerate(encoder.offsets):
        assert codes[:, f].min() >= offset
        assert codes[:, f].max() < bounds[f]
    assert codes.max() < sum(encoder.cardinalities)


def test_unseen_values_get_the_unknown_code_of_their_own_column(frame):
    X, _ = frame
    encoder = make_encoder("all")
    encoder.fit_encode(X)
    strange = X.copy()
    strange["user"] = [10**6, -7, 2**62, -1, -2] * (len(X) // 5)
    strange["city"] = "Atlantis"
    codes = encoder.encode(strange).codes
    assert (codes[:, 0] == encoder.offsets[0]).all()
    assert (codes[:, 1] == encoder.offsets[1]).all()


def test_encode_gives_the_same_as_fit_encode(frame):
    X, _ = frame
    encoder = make_encoder()
    fitted, again = encoder.fit_encode(X), encoder.encode(X)
    np.testing.assert_array_equal(fitted.codes, again.codes)
    np.testing.assert_array_equal(fitted.numbers, again.numbers)


def test_codes_are_int32_and_share_memory_with_the_tensors(frame):
    rows = make_encoder().fit_encode(frame[0])
    assert rows.codes.dtype == np.int32
    codes, numbers = rows.tensors()
    assert codes.data_ptr() == rows.codes.ctypes.data
    assert numbers.data_ptr() == rows.numbers.ctypes.data
    assert codes.dtype == torch.int32


def test_frame_and_object_array_agree(frame):
    X = frame[0].drop(columns="visits").astype({"user": "int64"})
    from_frame = make_encoder([0, 1, 2]).fit_encode(X)
    from_array = make_encoder([0, 1, 2]).fit_encode(X.to_numpy(dtype=object))
    np.testing.assert_array_equal(from_frame.codes, from_array.codes)
    np.testing.assert_array_equal(from_frame.numbers, from_array.numbers)


def test_a_number_is_in_the_same_bin_as_float32_and_as_float64():
    """9.99 is slightly larger as float32; a row that is served as JSON has a float64."""
    prices = np.random.RandomState(0).choice([9.99, 19.99, 21.07, 24.9, 39.95], 400)
    X = pd.DataFrame({"price": prices, "count": np.arange(400) % 7})
    for fitted, encoded in (("float32", "float64"), ("float64", "float32")):
        encoder = make_encoder([])
        bins = encoder.fit_encode(X.astype({"price": fitted})).codes
        assert len(np.unique(bins[:, 0])) == 5
        np.testing.assert_array_equal(encoder.encode(X.astype({"price": encoded})).codes, bins)
        np.testing.assert_array_equal(encoder.encode(X[:3].astype({"price": encoded})).codes, bins[:3])
    edges = encoder.numeric[0].edges
    assert np.setdiff1d(edges, prices).size == len(edges) == 4


def test_neighbouring_floats_get_different_bins():
    x = np.repeat([1.0, np.nextafter(1.0, 2.0), np.nextafter(np.nextafter(1.0, 2.0), 2.0)], 20)
    assert len(np.unique(make_encoder([]).fit_encode(pd.DataFrame({"x": x})).codes)) == 3


def test_without_bins_numbers_have_no_codes(frame):
    rows = make_encoder(numeric_bins=0).fit_encode(frame[0])
    assert rows.codes.shape == (300, 3)
    assert rows.numbers.shape == (300, 2)


@pytest.mark.parametrize(
    ("make", "kwargs"),
    [
        (category_encoders.OrdinalEncoder, {}),
        (category_encoders.OrdinalEncoder, {"handle_missing": "return_nan", "handle_unknown": "return_nan"}),
        (OrdinalEncoder, {"handle_unknown": "use_encoded_value", "unknown_value": -1}),
        (OrdinalEncoder, {"handle_unknown": "use_encoded_value", "unknown_value": np.nan}),
        (
            OrdinalEncoder,
            {"handle_unknown": "use_encoded_value", "unknown_value": -2, "encoded_missing_value": -1},
        ),
    ],
)
def test_unknown_values_of_other_encoders_get_the_unknown_code(make, kwargs):
    train = pd.DataFrame({"city": ["a", "b", "a", "c"], "price": [1.0, 2.0, 3.0, 4.0]})
    later = pd.DataFrame({"city": ["b", "new", None], "price": [1.0, 2.0, np.nan]})
    columns = ColumnTransformer([("ids", make(**kwargs), ["city"])], remainder="passthrough").set_output(
        transform="pandas"
    )
    encoder = make_encoder([0])
    known = encoder.fit_encode(columns.fit_transform(train)).codes[:, 0]
    codes = encoder.encode(columns.transform(later)).codes[:, 0]
    assert codes.tolist() == [known[1], 0, 0]


class TestSelection:
    X = pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [True, False], "d": pd.Categorical([1, 2]), "e": [0.5, 1.5]})

    @pytest.mark.parametrize(
        ("selector", "expected"),
        [
            ("from_dtype", "bcd"),
            ("all", "abcde"),
            (None, ""),
            ([], ""),
            (["a", "d"], "ad"),
            ([0, 4], "ae"),
            ([True, False, False, False, True], "ae"),
            (np.array([1]), "b"),
            (pd.Series([True, False, False, False, True], dtype=object), "ae"),
            (pd.array([True, False, False, False, True], dtype="boolean"), "ae"),
            (np.array([np.int64(0), 4], dtype=object), "ae"),
            (lambda X: [c for c in X.columns if c < "c"], "ab"),
        ],
    )
    def test_selectors(self, selector, expected):
        assert "".join(self.X.columns[categorical_mask(selector, self.X)]) == expected

    def test_columns_of_object_arrays_are_classified_by_their_values(self):
        X = np.array([[1, "x", 2.5, None], [2, "y", None, True]], dtype=object)
        assert categorical_mask("from_dtype", X).tolist() == [False, True, False, True]

    @pytest.mark.parametrize(
        ("selector", "message"),
        [
            ([True], r"must have shape \(n_features,\), got: \(1,\)"),
            (["zz"], "item value 'zz' which is not a valid feature name"),
            ([5], r"must be in \[0, n_features - 1\], got index: 5"),
            ([-1], "got index: -1"),
            (np.array([True, False], dtype=object), r"must have shape \(n_features,\), got: \(2,\)"),
            (np.array([True, None], dtype=object), "a boolean mask must hold only True and False, got: None"),
            ("city", r"Got 'city' instead; one column is given as a list, \['city'\]"),
            ([0.5], "must be an array-like of bool, int or str, got: float64"),
        ],
    )
    def test_invalid_selectors_are_refused(self, selector, message):
        with pytest.raises(ValueError, match=message):
            categorical_mask(selector, self.X)

    @pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="needs numpy 2")
    @pytest.mark.parametrize("missing", [None, np.nan], ids=str)
    def test_numpy_strings_of_variable_length_are_categories(self, frame, missing):
        objects = frame[0][["city"]].assign(user=frame[0]["user"].astype(str)).astype(object).to_numpy()
        objects[pd.isna(objects)] = missing
        strings = objects.astype(np.dtypes.StringDType(na_object=missing))
        a, b = (FSMDClassifier(**SMALL).fit(X, frame[1]) for X in (objects, strings))
        np.testing.assert_array_equal(a.predict_marginals(objects), b.predict_marginals(strings))
        np.testing.assert_array_equal(a.predict_marginals(objects[:1]), b.predict_marginals(strings[:1]))

    def test_column_names_need_a_frame(self):
        with pytest.raises(ValueError, match="'a', but X has no column names"):
            categorical_mask(["a"], self.X.to_numpy())


def predictions_for_missing_mean_zero(X, Y, **params):
    """A model, rows whose visits are missing, the mean or 0, and their predictions."""
    model = FSMDClassifier(**SMALL | {"numeric_scaling": None, **params}).fit(X, Y)
    rows = [X[:1].assign(visits=value) for value in (np.nan, X["visits"].mean(), 0.0)]
    return model, rows, [model.predict_marginals(row) for row in rows]


def test_missing_numbers_count_as_the_mean_without_scaling(frame):
    X, Y = frame
    model, rows, (missing, mean, zero) = predictions_for_missing_mean_zero(X, Y, numeric_bins=0)
    np.testing.assert_allclose(missing, mean, rtol=1e-5)
    assert np.abs(missing - zero).max() > 1e-4
    table = model.predict_marginals(pd.concat([X[:30], *rows]))  # many rows take another code path than one
    np.testing.assert_allclose(table[-3:], np.concatenate([missing, mean, zero]), rtol=1e-5)


def test_masked_numbers_are_replaced_by_the_mean(frame):
    X, Y = frame
    X = X.assign(visits=X["visits"] + 100.0)
    model, *_ = predictions_for_missing_mean_zero(X, Y, numeric_bins=8)
    fillings = feed.masking_options(model, model._encoder, model._encoder.encode(X), "cpu")["fillings"]
    column = [c.name for c in model._encoder.main.numeric.values()].index("visits")
    assert fillings[column] == pytest.approx(X["visits"].mean(), rel=1e-5)
    batches = BatchIterator(
        TensorData.from_rows(model._encoder.encode(X), model._targets.encode(Y), "cpu"),
        64,
        torch.Generator().manual_seed(0),
        offsets=torch.from_numpy(model._encoder.main.offsets.astype(np.int32)),
        fillings=fillings,
        n_categories=len(model._encoder.main.categories),
        unknown_rate=0.5,
    )
    (_, numbers), *_ = next(iter(batches))
    assert (numbers[:, column] >= 90).all()
    assert (numbers[:, column] == fillings[column]).any()


@pytest.mark.parametrize("missing", [False, True])
def test_decimals_in_object_columns_are_numbers(frame, missing):
    X, Y = frame
    exact = [Decimal(f"{value:.2f}") for value in np.linspace(1, 500, len(X))]
    column = pd.Series(exact, dtype=object, index=X.index)
    if missing:
        column.iloc[::5] = None
    model = FSMDClassifier(**SMALL).fit(X.assign(price=column), Y)
    assert "price" in [c.name for c in model._encoder.main.numeric.values()]
    floats = X.assign(price=column.astype(float))
    same = FSMDClassifier(**SMALL).fit(floats, Y).predict_marginals(floats)
    np.testing.assert_array_equal(model.predict_marginals(X.assign(price=column)), same)


@pytest.mark.parametrize("many", [False, True])
def test_nan_predictions_are_refused(frame, many):
    X, Y = frame
    model = FSMDClassifier(**SMALL | {"numeric_scaling": None}).fit(X, Y)
    odd = (X if many else X[:3]).assign(price=[1.0, 1e25, *[1.0] * (len(X) - 2 if many else 1)])
    for method in (model.predict, model.predict_marginals, model.rank_score, model.predict_conditionals):
        with pytest.raises(ValueError, match=r"The prediction of row 1 is \[nan, nan\]. Its numbers may be too large"):
            method(odd)
