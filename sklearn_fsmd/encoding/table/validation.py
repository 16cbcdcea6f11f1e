"""Validation of X: whatever the user passes becomes a pandas DataFrame or a 2-D array."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.utils.validation import check_array, validate_data

from sklearn_fsmd.encoding.columns import nested_error

_CAST = "Cast it to Int64; ids that are larger to String."
_NOT_IN_ARROW = {"Object": "Convert it by `.to_pandas()`.", "Int128": _CAST, "UInt128": _CAST}
"""Types of polars that Arrow does not have, and the remedy."""


@contextmanager
def named_in_errors(argument: str, hint: str = "") -> Iterator[None]:
    """Add the name of the argument, and a hint, to the errors that are raised inside."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"In `{argument}`: {error}{hint}") from error


def read_table(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Check X, and return it as a DataFrame or a 2-D array.

    Parameters
    ----------
    estimator : with `reset`, gets the names and the number of the columns; else, X must have the columns that it has.
    """
    X = as_pandas(X)
    refuse_masked(X, "X")
    if isinstance(X, (list, tuple)) and _as_array(X).dtype.kind in "US":
        X = np.array(X, dtype=object)  # keeps numbers among strings
    if isinstance(X, np.ndarray) and X.dtype.kind == "T":
        X = X.astype(object)  # numpy's strings of variable length, which pandas does not support
    if not reset and _is_as_in_fit(estimator, X):
        return X  # for a single row, the other checks would take a quarter of the time of a prediction
    if not isinstance(X, pd.DataFrame):
        _refuse_non_table(X)
        if reset:
            estimator._column_names = None
        return validate_data(estimator, X, reset=reset, dtype=None, ensure_all_finite=False)
    duplicates = X.columns[X.columns.duplicated()]
    if len(duplicates):
        raise ValueError(f"X has more than one column named {duplicates[0]!r}.")
    if 0 in X.shape:
        check_array(np.empty(X.shape, dtype=bool), estimator=estimator)  # scikit-learn's wording
    _check_names(estimator, X, reset=reset)
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    return X


def _refuse_non_table(X: Any) -> None:
    """Raise an error for rows that are dicts, which numpy treats as objects, and for a row that is a Series."""
    if isinstance(X, pd.Series):
        raise ValueError(
            f"Expected a 2-dimensional container but got {type(X)} instead. Row i of a DataFrame X is X.iloc[[i]], "
            "which is a DataFrame; a single column is X[[name]]."
        )
    if isinstance(X, Mapping) and not issparse(X):  # some sparse matrices of scipy are dicts
        raise TypeError(
            "X must be a DataFrame or an array. Got a dict: pass pandas.DataFrame([X]) if it is one row, "
            "pandas.DataFrame(X) if it holds columns."
        )
    if isinstance(X, (list, tuple)) and any(isinstance(row, Mapping) for row in X):
        raise TypeError("X must be a DataFrame or an array. Got a list of dicts: pass pandas.DataFrame(X).")


def _check_names(estimator: Any, X: pd.DataFrame, *, reset: bool) -> None:
    """Raise an error if the columns are not those of fit, in their order.

    Scikit-learn checks only names that are strings.
    """
    names = list(X.columns)
    if reset:
        estimator._column_names = names
        return
    expected = getattr(estimator, "_column_names", None)
    if expected is None or names == expected:
        return
    if not all(isinstance(name, str) for name in (*names, *expected)):
        raise ValueError(
            "The feature names should match those that were passed during fit.\n"
            f"They were {expected}, and are {names} now."
        )


def as_pandas(data: Any) -> Any:
    """Convert a table or column of polars, pyarrow, or another library with Arrow data to pandas; else return it.

    Raises
    ------
    TypeError
        If a column holds lists as categories, or is of a type that Arrow does not have, or the table is lazy.
    ValueError
        If a column holds values that its type does not allow.
    """
    if isinstance(data, (np.ndarray, pd.DataFrame, pd.Series)):
        return data
    if hasattr(data, "collect") and hasattr(data, "collect_schema"):
        raise TypeError(f"A {type(data).__name__} holds no data yet: pass {type(data).__name__}.collect().")
    if not hasattr(data, "__arrow_c_stream__") and not hasattr(data, "__arrow_c_array__"):
        return data
    import pyarrow as pa
    import pyarrow.compute

    name = getattr(data, "name", None) or None
    _refuse_types_not_in_arrow(data)
    data = data.to_arrow() if hasattr(data, "to_arrow") else data  # polars: without views, which are newer types
    try:
        table = data.read_all() if isinstance(data, pa.RecordBatchReader) else pa.table(data)
    except (TypeError, ValueError, pa.ArrowException):  # a column, not a table
        column = data if isinstance(data, (pa.Array, pa.ChunkedArray)) else pa.chunked_array(data)
        return as_pandas(pa.table({"": column})).iloc[:, 0].rename(name)
    for i, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type) and pa.types.is_nested(field.type.value_type):
            raise nested_error(f"values of the type {field.type}", field.name)
        if pa.types.is_interval(field.type):
            raise TypeError(f"Column {field.name!r} holds intervals of months and days. Make numbers of them, or text.")
        if pa.types.is_list_view(field.type) or pa.types.is_large_list_view(field.type):
            raise TypeError(
                f"Column {field.name!r} is a {field.type}. Cast it to pyarrow.list_({field.type.value_type})."
            )
        if pa.types.is_run_end_encoded(field.type):
            decoded = pa.compute.run_end_decode(table.column(i))
            table = table.set_column(i, pa.field(field.name, decoded.type), decoded)
        elif (known := _supported_type(field.type)) != field.type:  # a cast of lists of nulls to the same type fails
            table = table.set_column(i, field.with_type(known), table.column(i).cast(known))
    table = table.replace_schema_metadata(_readable_metadata(table.schema.metadata))
    try:
        return table.to_pandas(types_mapper=_arrow_dtype)
    except Exception:
        for column in table.column_names:
            try:
                table.select([column]).to_pandas(types_mapper=_arrow_dtype)
            except Exception as error:  # such as times after 24 o'clock, or a category twice
                raise ValueError(f"Column {column!r} of the Arrow data cannot be read: {error}.") from error
        raise


def _readable_metadata(metadata: Mapping[bytes, bytes] | None) -> Mapping[bytes, bytes] | None:
    """Clean the metadata of a table that was created from pandas, which tell, for example, which column is the index.

    Dtypes that pandas cannot parse, such as those of Arrow's lists and dictionaries, become "object".
    """
    if metadata is None or b"pandas" not in metadata:
        return metadata
    try:
        pandas_metadata = json.loads(metadata[b"pandas"])
        unknown = [column for column in pandas_metadata["columns"] if not _is_dtype(column["numpy_type"])]
    except (ValueError, LookupError, TypeError):  # from another writer; pandas will raise an error if needed
        return metadata
    if not unknown:
        return metadata
    for column in unknown:
        column["numpy_type"] = "object"
    return {**metadata, b"pandas": json.dumps(pandas_metadata).encode()}


def _is_dtype(name: Any) -> bool:
    try:
        pd.api.types.pandas_dtype(name)
    except Exception:  # numpy raises several types for an unknown name
        return False
    return True


def rows_of(X: Any, rows: np.ndarray) -> Any:
    """Select rows of a table of pandas, polars or pyarrow, of an array or of a list, without converting them."""
    if isinstance(X, (list, tuple)):
        return [X[row] for row in rows]
    if isinstance(X, (pd.DataFrame, pd.Series)):
        return X.iloc[rows]
    return X.take(rows) if hasattr(X, "schema") and hasattr(X, "take") else X[rows]


def _as_array(rows: Sequence[Any]) -> np.ndarray:
    try:
        return np.asarray(rows)
    except ValueError as error:
        raise ValueError(
            f"X must be rows of equally many values, none of which is a list ({error}). Lists are read in a DataFrame: "
            "pass pandas.DataFrame(X)."
        ) from error


def _refuse_types_not_in_arrow(data: Any) -> None:
    """Raise an error for a column of polars whose type Arrow lacks: objects would become memory addresses."""
    is_table = hasattr(data, "columns")
    dtypes = getattr(data, "schema", None) if is_table else {getattr(data, "name", ""): getattr(data, "dtype", None)}
    for name, dtype in dtypes.items() if isinstance(dtypes, dict) else ():
        inner = dtype
        while hasattr(inner, "inner"):  # the type of the values of a list
            inner = inner.inner
        if remedy := _NOT_IN_ARROW.get(str(inner)):
            column = f"Column {name!r}" if name else "A column"
            raise TypeError(f"{column} has the type {dtype}, which Arrow does not have. {remedy}")


def _supported_type(kind: Any) -> Any:
    """Arrow type in which pandas gets a column: it cannot read views, nor, in earlier versions, unsigned codes."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind) and pa.types.is_unsigned_integer(kind.index_type):
        return pa.dictionary(pa.int64(), kind.value_type, kind.ordered)
    return {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}.get(kind, kind)


def _arrow_dtype(kind: Any) -> pd.ArrowDtype | None:
    """Dtype for a type of Arrow; None for categories and for extension types, for which pandas has its own."""
    import pyarrow as pa

    is_pandas = pa.types.is_dictionary(kind) or isinstance(kind, pa.BaseExtensionType)
    return None if is_pandas else pd.ArrowDtype(kind)


def refuse_masked(array: Any, name: str) -> None:
    """Raise an error for masked values, which numpy would pass on without the mask."""
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise TypeError(f"{name} has masked values, which would count. Pass {name}.astype(float).filled(np.nan).")


def _is_as_in_fit(estimator: Any, X: Any) -> bool:
    """Whether the checks would return `X` unchanged."""
    if type(X) is pd.DataFrame:
        return len(X) > 0 and X.columns.tolist() == getattr(estimator, "_column_names", None)
    if type(X) is not np.ndarray or hasattr(estimator, "feature_names_in_"):
        return False
    n, width = X.shape if X.ndim == 2 else (0, 0)
    return n > 0 and width == estimator.n_features_in_ and X.dtype.kind in "biuf"
