"""Properties that hold for every table: columns of all dtypes, with any values, any of them missing."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_fsmd import FSMDClassifier, MultiTaskClassifier
from sklearn_fsmd.encoding.columns.canonical import MISSING_CODES
from sklearn_fsmd.encoding.table.encoder import FeatureEncoder
from sklearn_fsmd.encoding.table.single_rows import FEW_ROWS
from sklearn_fsmd.inference.predictor import CPU_CHUNK
from sklearn_fsmd.network.embedding import Columns, Embedding
from sklearn_fsmd.network.links import TreeLink, parents_of
from tests.conftest import SMALL

TINY = {**SMALL, "embedding_dim": 2, "expert_dims": (4,), "tower_dims": (4,), "max_epochs": 1, "min_frequency": 1}
pytestmark = pytest.mark.filterwarnings("ignore:.*categories that are negative numbers")
FITS = settings(max_examples=30, deadline=None, derandomize=True)
ENCODINGS = settings(max_examples=100, deadline=None, derandomize=True)

# ------------------------------------------------------------------------------------------------------------- tables

EXACT = 2.0**24
"""float32 holds every whole number below this; larger floats are refused as categories, since ids could collide."""
INTEGERS = ("int8", "int16", "int32", "int64", "uint8")
TEXT, HUGE = st.text(max_size=3), st.integers(2**62 - 3, 2**62 + 3)


def numbers_of(dtype):
    if np.dtype(dtype).kind in "iu":
        return st.integers(int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    return st.floats(-EXACT, EXACT, exclude_min=True, exclude_max=True, width=np.finfo(dtype).bits)


KINDS = {
    "text": (object, TEXT),
    "string": ("string", TEXT),
    "text as pandas reads it": (None, TEXT),
    "category of text": ("category", TEXT),
    "category of ints": ("category", numbers_of("int64")),
    "category of huge ids": ("category", HUGE),
    "huge ids": ("int64", HUGE),
    "nullable huge ids": ("Int64", HUGE),
    "large numbers": ("float64", st.floats(-3e38, 3e38)),
    "bool": ("bool", st.booleans()),
    "boolean": ("boolean", st.booleans()),
    **{dtype: (dtype, numbers_of(dtype)) for dtype in (*INTEGERS, "float32", "float64")},
    **{dtype: (dtype, numbers_of(dtype.lower())) for dtype in ("Int64", "Float64")},
}
"""For each kind of column, its dtype and the strategy that draws its values."""

NEVER_MISSING = {"bool", "huge ids", *INTEGERS}
CATEGORIES = [kind for kind in KINDS if "text" in kind or "category" in kind or kind == "string"]
"""Kinds that are categorical by their dtype, and have an unlimited number of possible values."""


def column(kind, values):
    """A column of `values`, where None means missing."""
    dtype, _ = KINDS[kind]
    if dtype != "category":
        return pd.Series(values, dtype=dtype)
    levels = list(dict.fromkeys(value for value in values if value is not None))
    codes = [-1 if value is None else levels.index(value) for value in values]
    index = pd.Index(levels, dtype=object if kind.endswith("text") else np.int64)
    return pd.Series(pd.Categorical.from_codes(codes, index))


@st.composite
def columns(draw, kind, n):
    """A column of `n` rows with one or several values, of which none, some or all are missing."""
    known = draw(st.lists(KINDS[kind][1], min_size=1, max_size=5, unique=True))
    choices = [known] if kind in NEVER_MISSING else [known, [*known, None], [None]]
    values = st.sampled_from(draw(st.sampled_from(choices)))
    return column(kind, draw(st.lists(values, min_size=n, max_size=n)))


ANY_KIND = st.sampled_from(list(KINDS))


def kinds_with_first(kind):
    """The kinds of one to four columns; the first is drawn from `kind`."""
    return st.builds(lambda first, others: [first, *others], kind, st.lists(ANY_KIND, max_size=3))


ANY_KINDS = kinds_with_first(ANY_KIND)


@st.composite
def tables(draw, kinds=ANY_KINDS):
    n, kinds = draw(st.integers(2, 2 * FEW_ROWS)), draw(kinds)
    return pd.DataFrame({f"{i}, {kind}": draw(columns(kind, n)) for i, kind in enumerate(kinds)})


def not_too_large(X):
    """A mask of the columns, without those whose floats are too large for categories."""
    return [not name.endswith("large numbers") for name in X.columns]


ENCODERS = st.fixed_dictionaries(
    {
        "categorical_features": st.sampled_from(["from_dtype", not_too_large]),
        "numeric_scaling": st.sampled_from(["standard", "quantile"]),
        "numeric_bins": st.sampled_from([0, 1, 8]),
        "min_frequency": st.sampled_from([1, 2, "auto"]),
    }
)


def encoder(**params):
    return FeatureEncoder.from_params(MultiTaskClassifier(**{**TINY, **params}))


def fit(X, cls=FSMDClassifier, n_tasks=2, **params):
    """A model fitted to targets that are 1 in every second, fourth, eighth … row."""
    Y = np.stack([np.arange(len(X)) % 2 ** (k + 1) == 0 for k in range(n_tasks)], axis=1)
    return cls(**{**TINY, **params}).fit(X, Y.astype(int))


def one_by_one(X):
    return [X.iloc[[i]] for i in range(len(X))]


def repeated(X, n):
    """`X` repeated until it has more than `n` rows."""
    return pd.concat([X] * (n // len(X) + 1), ignore_index=True)


# -------------------------------------------------------------------------------------------------------- predictions


@FITS
@given(X=tables(), params=ENCODERS)
def test_any_table_is_fitted_and_scored(X, params):
    p = fit(X, **params).predict_marginals(X)
    assert p.shape == (len(X), 2)
    assert np.isfinite(p).all()
    assert ((p >= 0) & (p <= 1)).all()


@FITS
@given(X=tables(), params=ENCODERS, data=st.data())
def test_the_prediction_of_a_row_does_not_depend_on_other_rows(X, params, data):
    model = fit(X, **params)
    p = model.predict_marginals(X)
    order = data.draw(st.permutations(range(len(X))))
    cut = data.draw(st.integers(1, len(X) - 1))
    many = repeated(X, CPU_CHUNK)
    for parts, expected in (
        ([X.iloc[order]], p[order]),
        (one_by_one(X), p),
        ([X[:cut], X[cut:]], p),
        ([many], np.tile(p, (len(many) // len(X), 1))),
    ):
        actual = np.concatenate([model.predict_marginals(part) for part in parts])
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)


@FITS
@given(X=tables(kinds_with_first(st.sampled_from(["category of text", "category of ints"]))), data=st.data())
def test_the_order_of_category_levels_has_no_effect(X, data):
    reordered = X.copy()
    for name in X.columns[X.dtypes == "category"]:
        reordered[name] = X[name].cat.reorder_categories(data.draw(st.permutations(list(X[name].cat.categories))))
    model = fit(X)
    p = model.predict_marginals(X)
    np.testing.assert_array_equal(model.predict_marginals(reordered), p)
    np.testing.assert_array_equal(fit(reordered).predict_marginals(X), p)


@FITS
@given(kind=st.sampled_from(CATEGORIES), data=st.data())
def test_unseen_values_are_scored_alike(kind, data):
    """Missing values are unseen too if there were none in fit."""
    X = data.draw(tables(kinds_with_first(st.just(kind))))
    name = X.columns[0]
    has_missing = any(pd.isna(value) or value in MISSING_CODES for value in X[name])
    model = fit(X)
    new, another = ("not seen", "nor this") if KINDS[kind][1] is TEXT else (2**61, 2**61 + 1)
    values = new, another if has_missing else None
    one, other = (X.assign(**{name: column(kind, [value] * len(X))}) for value in values)
    for parts in ([0, len(X)], range(len(X) + 1)):
        p, q = ([model.predict_marginals(part[i:j]) for i, j in pairwise(parts)] for part in (one, other))
        np.testing.assert_array_equal(np.concatenate(p), np.concatenate(q))


@st.composite
def neighbours(draw):
    """A kind of category, and a table with columns `a` and `b` of this kind that have no value in common."""
    kind = draw(st.sampled_from(CATEGORIES))
    X = draw(tables())
    known = draw(st.lists(KINDS[kind][1], min_size=2, max_size=6, unique=True))
    cut = draw(st.integers(1, len(known) - 1))
    a, b = (
        draw(st.lists(st.sampled_from(part), min_size=len(X), max_size=len(X))) for part in (known[:cut], known[cut:])
    )
    return kind, X.assign(a=column(kind, a), b=column(kind, b))


@FITS
@given(neighbours())
def test_values_known_only_to_another_column_are_unknown(drawn):
    kind, X = drawn
    model = fit(X)
    missing = column(kind, [None] * len(X))
    for foreign, unknown in (
        (X.assign(a=X["b"]), X.assign(a=missing)),
        (X.assign(a=X["b"], b=X["a"]), X.assign(a=missing, b=missing)),
    ):
        np.testing.assert_array_equal(model.predict_marginals(foreign), model.predict_marginals(unknown))


@st.composite
def trees(draw):
    """The parents of up to five targets; each target except the last can have several children."""
    n = draw(st.integers(1, 5))
    return tuple(draw(st.none() | st.integers(0, k - 1)) if k else None for k in range(n))


CHAINS = st.integers(1, 5).map(lambda n_tasks: parents_of("chain", n_tasks))


def assert_never_rises(p, parents):
    for k, parent in enumerate(parents):
        assert (p[:, k] <= (1 if parent is None else p[:, parent])).all()


@FITS
@given(X=tables(), parents=CHAINS | trees(), params=ENCODERS)
def test_marginals_never_rise_along_a_path(X, parents, params):
    model = fit(X, MultiTaskClassifier, n_tasks=len(parents), link=parents, lr=0.5, **params)
    assert_never_rises(model.predict_marginals(X), parents)


@ENCODINGS
@given(parents=CHAINS | trees(), data=st.data())
def test_marginals_of_any_logits_never_rise_along_a_path(parents, data):
    row = st.lists(st.floats(width=32, allow_nan=False), min_size=len(parents), max_size=len(parents))
    p = TreeLink(parents).marginals(torch.tensor(data.draw(st.lists(row, min_size=1, max_size=20))))
    assert_never_rises(p, parents)
    assert ((p >= 0) & (p <= 1)).all()


# ---------------------------------------------------------------------------------------------------------- encodings


@st.composite
def pairs_of_tables(draw):
    """Two tables that have the same kinds of columns and nothing else in common."""
    kinds = draw(ANY_KINDS)
    return [draw(tables(st.just(kinds))) for _ in range(2)]


@ENCODINGS
@given(pair=pairs_of_tables(), params=ENCODERS)
def test_the_codes_of_a_column_stay_in_its_range(pair, params):
    first, second = pair
    table_encoder = encoder(**params)
    learned = table_encoder.fit_encode(first).codes
    ends = np.cumsum(table_encoder.cardinalities)
    np.testing.assert_array_equal(table_encoder.offsets[1:], ends[:-1])
    for codes in (learned, table_encoder.encode(second).codes, table_encoder.encode(repeated(second, FEW_ROWS)).codes):
        assert ((codes >= table_encoder.offsets) & (codes < ends)).all()


@ENCODINGS
@given(X=tables(), params=ENCODERS)
def test_few_rows_and_many_rows_are_encoded_the_same_way(X, params):
    table_encoder = encoder(**params)
    table_encoder.fit_encode(X)
    many = table_encoder.encode(repeated(X, FEW_ROWS))
    few = [table_encoder.encode(row) for row in one_by_one(X)]
    np.testing.assert_array_equal(np.concatenate([row.codes for row in few]), many.codes[: len(X)])
    np.testing.assert_array_equal(np.concatenate([row.numbers for row in few]), many.numbers[: len(X)])


@ENCODINGS
@given(X=tables(), params=ENCODERS, data=st.data())
def test_the_order_of_rows_has_no_effect_on_the_encoding(X, params, data):
    order = data.draw(st.permutations(range(len(X))))
    one, other = encoder(**params).fit_encode(X), encoder(**params).fit_encode(X.iloc[order])
    np.testing.assert_array_equal(other.codes, one.codes[order])
    np.testing.assert_allclose(other.numbers, one.numbers[order], rtol=1e-5, atol=1e-5)


@ENCODINGS
@given(X=tables())
def test_categories_have_equal_codes_if_and_only_if_they_are_equal(X):
    table_encoder = encoder(categorical_features=not_too_large, numeric_bins=0)
    codes = table_encoder.fit_encode(X).codes
    for f, position in enumerate(table_encoder.categories):
        values = X.iloc[:, position].tolist()
        missing = np.array([bool(pd.isna(value)) or value in MISSING_CODES for value in values])
        code_of_missing = table_encoder.offsets[f] + (missing.any() and not missing.all())
        np.testing.assert_array_equal(codes[missing, f], np.full(missing.sum(), code_of_missing))
        known = [value for value in values if not (pd.isna(value) or value in MISSING_CODES)]
        pairs = set(zip(known, codes[~missing, f].tolist(), strict=True))
        assert len(pairs) == len(set(known)) == len({code for _, code in pairs})
        assert not {code for _, code in pairs} & {table_encoder.offsets[f], code_of_missing}


@ENCODINGS
@given(kind=ANY_KIND, data=st.data())
def test_columns_with_equal_values_have_separate_embeddings(kind, data):
    values = data.draw(columns(kind, data.draw(st.integers(2, 2 * FEW_ROWS))))
    X = pd.DataFrame({"a": values, "b": values})
    table_encoder = encoder()
    encoded = table_encoder.fit_encode(X)
    a, b = (encoded.codes - table_encoder.offsets).T
    np.testing.assert_array_equal(a, b)
    assert not set(encoded.codes[:, 0]) & set(encoded.codes[:, 1])
    embedding = Embedding(Columns(table_encoder.cardinalities, 0), 2)
    before = embedding(*encoded.tensors()).fields
    with torch.no_grad():
        embedding.table.weight[: table_encoder.cardinalities[0]] += 1
    after = embedding(*encoded.tensors()).fields
    assert torch.equal(after[:, 1], before[:, 1])
    assert (after[:, 0] != before[:, 0]).all()
