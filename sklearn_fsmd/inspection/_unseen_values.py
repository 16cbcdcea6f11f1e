"""Values that fit has not seen: new values of categories and lists, numbers beyond the range of fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.compose import fitted_model, rows_and_model
from sklearn_fsmd.encoding.columns import CategoryColumn, NumericColumn, column_of, factorize
from sklearn_fsmd.encoding.table import FeatureEncoder
from sklearn_fsmd.metrics import check_count

Shares = tuple[float, float, list[Any]]
"""Share of missing values, share of unseen values, and examples of unseen values."""


def unseen_values(model: Any, X: Any, *, n_examples: int = 3) -> pd.DataFrame:
    """Compute the share of values of each column that `fit` has not seen.

    A prediction treats new categories as unknown, and clips a number to the range of fit, without a warning. In a
    column of ids, some new values are normal. If nearly all are new, the column has no information in production, so
    leave it out. New values in a column with few values may be typos, or the format of the log may have changed.

    Parameters
    ----------
    model : fitted MultiTaskClassifier, or a Pipeline or search that ends in one
        For a Pipeline, the columns are those that the model gets from the steps before it.
    X : DataFrame or array-like of shape (n_samples, n_features)
        Rows to predict for.
    n_examples : int, default=3
        Number of unseen values of a category or a list to show.

    Returns
    -------
    table : DataFrame with a row per column that predictions need, those with the largest share of unseen values first
        ``holds``: "categories", "numbers", "lists" or "vectors".

        ``missing``: the share of rows without a value. In a category this is a value too if fit has seen some.

        ``unseen``: for categories, the share of rows whose value fit has not seen, or less than `min_frequency` times;
        for lists, the share of such values among all values in the lists; for numbers, the share of rows in which the
        number is clipped, NaN without `numeric_scaling`; for vectors, the share of components that are clipped.

        ``examples``: the most frequent unseen values, as the model knows them (True is 1), or the lowest and the
        highest clipped number.

    Raises
    ------
    TypeError
        If the model is no classifier of this package.
    ValueError
        If X does not have the columns of fit or has no rows, or if a column holds values of another kind, such as
        strings instead of numbers.

    Examples
    --------
    >>> from sklearn_fsmd import FSMDClassifier
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> from sklearn_fsmd.inspection import unseen_values
    >>> X, Y = make_funnel(500, random_state=0, return_X_y=True)
    >>> model = FSMDClassifier(max_epochs=1, random_state=0).fit(X, Y)
    >>> unseen_values(model, X[:100].assign(device="phnoe"))["examples"]["device"]
    ['phnoe']
    """
    fitted_model(model)
    check_count("n_examples", n_examples)
    X, last = rows_and_model(model, X)
    last = last.snapshot()
    encoder = last._encoder
    rows = encoder.main_part(last._table(X))
    names = [name for name, is_bias in zip(encoder.display_names, encoder.is_bias, strict=True) if not is_bias]
    table = pd.DataFrame(
        [_row_of(encoder.main, position, rows, n_examples) for position in range(len(names))],
        index=pd.Index(names, name="column"),
        columns=["holds", "missing", "unseen", "examples"],
    )
    return table.sort_values("unseen", ascending=False, kind="stable")


def _row_of(main: FeatureEncoder, position: int, X: Any, n_examples: int) -> tuple[str, float, float, list[Any]]:
    """The row of the table for one column."""
    column = column_of(X, position)
    if position in main.categories:
        return "categories", *_category_shares(main.categories[position], column, n_examples)
    if position in main.lists:
        list_column = main.lists[position]
        values, starts = list_column.read(column)
        _, unseen, examples = _category_shares(main.vocabulary_of(list_column), values, n_examples)
        return "lists", float((np.diff(starts) == 0).mean()), unseen, examples
    if position in main.vectors:
        vector_column = main.vectors[position]
        x = vector_column.read(column)
        is_clipped = (x < vector_column.low) | (x > vector_column.high)
        return "vectors", float(np.isnan(x).any(axis=1).mean()), float(is_clipped.mean()), []
    return "numbers", *_number_shares(main.numeric[position], column)


def _category_shares(vocabulary: CategoryColumn, column: Any, n_examples: int) -> Shares:
    positions, values, kind = factorize(column, vocabulary.name)
    n_missing, *counts = np.bincount(positions + 1, minlength=len(values) + 1)
    unseen_counts = np.where(vocabulary.knows(values, kind), 0, counts)
    most_frequent = np.argsort(-unseen_counts, kind="stable")[: min(n_examples, np.count_nonzero(unseen_counts))]
    n = max(len(positions), 1)  # lists may all be empty
    return float(n_missing / n), float(unseen_counts.sum() / n), values[most_frequent].tolist()


def _number_shares(fitted: NumericColumn, column: Any) -> Shares:
    x, (low, high) = fitted.floats(column), fitted.ends
    clipped = x[(x < low) | (x > high)]
    examples = sorted({float(clipped.min()), float(clipped.max())}) if len(clipped) else []
    return float(np.isnan(x).mean()), np.nan if np.isnan(low) else len(clipped) / len(x), examples
