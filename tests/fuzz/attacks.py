"""Fuzz tests: each takes a random number generator, and fails if it finds a fault."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from sklearn_fsmd import MultiTaskClassifier, metrics
from sklearn_fsmd.encoding.table.encoder import FeatureEncoder
from sklearn_fsmd.encoding.table.validation import as_pandas
from sklearn_fsmd.encoding.targets.encoder import TargetEncoder
from tests.conftest import make_frame
from tests.fuzz.columns import CONTAINERS, column_of, series_of, table_of
from tests.fuzz.options import one_of, options
from tests.fuzz.oracle import Category, Number, RefusedError
from tests.test_all_or_nothing import VARIANTS, assert_same, run_traced, twins

ROWS = [1, 3, 17, 100]


def call(action):
    """Return the result of `action`; a refusal must name the column, and any other error is a fault."""
    try:
        return action()
    except (TypeError, ValueError) as error:
        if "'c0'" in str(error) or "'x0'" in str(error):
            raise RefusedError(str(error)) from error
        raise AssertionError(f"a message without the column: {error}") from error


def result_or_none(action):
    try:
        return action()
    except RefusedError:
        return None


def converted_column(table):
    """The single column of a table as the library converts it."""
    table = call(lambda: as_pandas(table))
    return table.iloc[:, 0] if isinstance(table, pd.DataFrame) else table[:, 0]


def slice_rows(table, start, stop):
    return table.slice(start, stop - start) if isinstance(table, pa.Table) else table[start:stop]


def encoding(random):
    """An encoder is fitted to a column and encodes others as the oracle does, for any length, type and container."""
    is_category = random.uniform() < 0.7
    min_frequency = one_of(random, [1, 2, 3, "auto"])
    fitted = column_of(random, one_of(random, ROWS))
    table = table_of([fitted], one_of(random, CONTAINERS))
    if table is None:
        return
    encoder = FeatureEncoder.from_params(
        MultiTaskClassifier(
            categorical_features=[is_category], min_frequency=min_frequency, numeric_bins=0, random_state=0
        )
    )
    oracle = result_or_none(
        lambda: Category(converted_column(table), min_frequency) if is_category else Number(converted_column(table))
    )
    encoded = result_or_none(lambda: call(lambda: encoder.fit_encode(as_pandas(table))))
    assert (oracle is None) == (encoded is None), (
        f"refused: {oracle is None}, not {encoded is None}: {describe(fitted)}"
    )
    if encoded is None:
        return
    compare(encoded, oracle.encode(converted_column(table)), is_category, fitted)
    if random.uniform() < 0.1:
        encoder = pickle.loads(pickle.dumps(encoder))
    for _ in range(4):
        dtype = fitted.dtype.name if random.uniform() < 0.3 else None
        other = fitted if random.uniform() < 0.3 else column_of(random, one_of(random, ROWS), dtype)
        if random.uniform() < 0.3:  # the same values in another type
            other = series_of(fitted.tolist(), one_of(random, ["object", "category", "float64", "Int64", "str"]))
        table = None if other is None else table_of([other], one_of(random, CONTAINERS))
        if table is None:
            continue
        for size in ROWS:
            size = min(size, len(table))
            start = random.randint(len(table) - size + 1)
            piece = slice_rows(table, start, start + size)
            expected = result_or_none(lambda piece=piece: oracle.encode(converted_column(piece)))
            encoded = result_or_none(lambda piece=piece: call(lambda: encoder.encode(as_pandas(piece))))
            assert (expected is None) == (encoded is None), (
                f"refused: {expected is None}, not {encoded is None}: "
                f"{describe(converted_column(piece))} after {describe(fitted)}"
            )
            if encoded is not None:
                compare(encoded, expected, is_category, fitted, other)


def describe(column):
    """A column as text for a message; pandas 2 cannot print all columns."""
    column = pd.Series(column) if isinstance(column, np.ndarray) else column
    return f"{column.dtype}: {column.tolist()!r}"


def compare(encoded, expected, is_category, *columns):
    shown = " then ".join(map(describe, columns))
    actual = encoded.codes[:, 0] if is_category else encoded.numbers[:, 0]
    if is_category:
        np.testing.assert_array_equal(actual, expected, err_msg=shown)
    else:
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5, err_msg=shown)


CLASSES = [(0, 1), (False, True), (0.0, 1.0), ("no", "yes"), (1, 2), (-1, 1), ("a", "\udc80")]
TARGET_DTYPES = [
    *("object", "str", "string[python]", "string[pyarrow]", "category", "bool", "boolean", "int64", "Int64", "float32"),
    *("Float64", "bool[pyarrow]", "int64[pyarrow]", "double[pyarrow]", "decimal", "dictionary", "large string"),
]


def targets(random):
    """Two classes are encoded as 0 and 1, and missing labels are ignored, in any type and container."""
    low, high = one_of(random, CLASSES)
    n, n_tasks = one_of(random, [3, 17]), random.randint(1, 4)
    truth = random.randint(2, size=(n, n_tasks)).astype(float)
    truth[:2] = [[0.0], [1.0]]
    if random.uniform() < 0.5:
        truth[2:][random.uniform(size=(n - 2, n_tasks)) < 0.3] = np.nan
    missing = one_of(random, [None, float("nan"), pd.NA])
    columns = []
    for k in range(n_tasks):
        column = [missing if np.isnan(t) else high if t else low for t in truth[:, k]]
        columns.append(series_of(column, one_of(random, TARGET_DTYPES)))
    if any(
        c is None or c.nunique() != 2 or (c.isna() != np.isnan(t)).any() for c, t in zip(columns, truth.T, strict=True)
    ):
        return  # the type cannot hold the labels, or converts both classes to True
    Y = table_of(columns, one_of(random, CONTAINERS))
    if Y is None or (isinstance(Y, pl.DataFrame) and pl.Object in Y.dtypes):
        return
    encoder = TargetEncoder().fit(Y)
    encoded = encoder.encode(Y, scale=False)
    observed = ~np.isnan(truth)
    np.testing.assert_array_equal(encoded.labels, np.nan_to_num(truth), err_msg=repr(Y))
    weights = np.ones_like(truth) if encoded.weights is None else encoded.weights
    np.testing.assert_array_equal(weights > 0, observed)
    if n_tasks > 1 and not isinstance(Y, np.ndarray):
        assert encoder.names == [f"c{k}" for k in range(n_tasks)]
        reordered = Y.select(encoder.names[::-1]) if not isinstance(Y, pd.DataFrame) else Y[encoder.names[::-1]]
        assert result_or_none(lambda: call_on_targets(lambda: encoder.encode(reordered))) is None, (
            "columns in another order"
        )


def call_on_targets(action):
    try:
        return action()
    except (TypeError, ValueError) as error:
        raise RefusedError(str(error)) from error


def order_of_rows(random):
    """No metric depends on the order of the rows; few distinct scores make ties."""
    n = one_of(random, [2, 5, 30, 200])
    p = random.randint(1, one_of(random, [2, 5, 1000]) + 1, size=(n, 2)) / 1001
    y = random.randint(2, size=(n, 2)).astype(float)
    if random.uniform() < 0.3:
        y[random.uniform(size=y.shape) < 0.2] = np.nan
    weights, groups = random.randint(3, size=n) + 0.5, random.randint(4, size=n)
    gain, order = random.randint(4, size=n), random.permutation(n)
    n_bins, k = random.randint(1, 25), random.randint(1, 6)
    cases = {
        "auc_per_task": lambda i: metrics.auc_per_task(y[i], p[i], sample_weight=weights[i]),
        "cvr_auc": lambda i: metrics.cvr_auc(y[i], p[i]),
        "mean_log_loss": lambda i: metrics.mean_log_loss(y[i], p[i], sample_weight=weights[i]),
        "expected_calibration_error": lambda i: metrics.expected_calibration_error(y[i, 0], p[i, 0], n_bins=n_bins),
        "group_auc": lambda i: metrics.group_auc(y[i, 0], p[i, 0], groups[i]),
        "ndcg_at_k": lambda i: metrics.ndcg_at_k(gain[i], p[i, 0], groups[i], k=k),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, metric in cases.items():
            np.testing.assert_allclose(metric(order), metric(np.arange(n)), rtol=1e-9, atol=1e-12, err_msg=name)


def interruption(random):
    """A model of any kind stays unchanged if its training is interrupted at any line."""
    variant = one_of(random, list(VARIANTS))
    data = make_frame(120), make_frame(70, seed=1)
    one, other, third = twins(data, 3, **VARIANTS[variant])
    n_lines = run_traced(third, lambda: third.partial_fit(*data[1]))
    before = one.predict_marginals(data[0][0])
    for line in random.randint(1, n_lines, size=5):
        try:
            run_traced(one, lambda: one.partial_fit(*data[1]), line)
            raise AssertionError(f"{variant}: line {line} of {n_lines} did not interrupt")
        except KeyboardInterrupt:
            np.testing.assert_array_equal(one.predict_marginals(data[0][0]), before, err_msg=f"{variant}, line {line}")
    for model in (one, other):
        model.partial_fit(*data[1])
    assert_same(one, other)


FUZZ_TESTS = {
    "encoding": encoding,
    "targets": targets,
    "order_of_rows": order_of_rows,
    "options": options,
    "interruption": interruption,
}
