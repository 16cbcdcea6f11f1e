"""What rows hold that training has not seen: new values of categories, numbers beyond the range of fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.compose import fitted_model, reach
from sklearn_fsmd.encoding import CategoryColumn, FeatureEncoder, NumericColumn, column_of, factorize
from sklearn_fsmd.metrics import check_count

Found = tuple[float, float, list[Any]]
"""The shares of what is missing and of what is unseen, and examples of that."""


def unseen_values(model: Any, X: Any, *, n_examples: int = 3) -> pd.DataFrame:
    """How much of each column `fit` has not seen.

    A prediction takes a new value for a missing one, and cuts off a number at the range of fit, without a warning. In a
    column of ids that come up every day some are new as a rule. If nearly all are, the column says nothing where the
    model is used, and is better left out. New values of a column that has few may be typos, or somebody has changed
    how the log is written.

    Parameters
    ----------
    model : fitted MultiTaskClassifier, or a Pipeline or search that ends in one
        Of a Pipeline the columns are those that the model reads.
    X : DataFrame or array-like of shape (n_samples, n_features)
        Rows to predict for.
    n_examples : int, default=3
        How many of the unseen values of a category or a list are shown.

    Returns
    -------
    table : DataFrame, a row per column that predictions read, those with the largest share of unseen values first
        ``holds``, "categories", "numbers", "lists" or "vectors". ``missing``, the share of the rows without a value.
        ``unseen``, of categories the share of the rows whose value fit has not seen, or less than `min_frequency`
        times; of lists the share of all values in them; of numbers the share of the rows where they are cut off, NaN
        without `numeric_scaling`; of vectors the share of all their components. ``examples`` of these: the most
        frequent values, as the model knows them (True is 1), or the lowest and the highest number.

    Raises
    ------
    TypeError
        If the model is none of this library's classifiers.
    ValueError
        If X has not the columns of fit or no rows, or a column holds values of another kind, such as strings where
        fit had numbers.

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
    X, own = reach(model, X)
    own = own.snapshot()
    encoder = own._encoder
    rows = encoder.main_part(own._table(X))
    names = [name for name, is_bias in zip(encoder.display_names, encoder.is_bias, strict=True) if not is_bias]
    table = pd.DataFrame(
        [_of_column(encoder.main, position, rows, n_examples) for position in range(len(names))],
        index=pd.Index(names, name="column"),
        columns=["holds", "missing", "unseen", "examples"],
    )
    return table.sort_values("unseen", ascending=False, kind="stable")


def _of_column(main: FeatureEncoder, position: int, X: Any, n_examples: int) -> tuple[str, float, float, list[Any]]:
    """A row of the table."""
    column = column_of(X, position)
    if position in main.categories:
        return "categories", *_of_categories(main.categories[position], column, n_examples)
    if position in main.lists:
        of_lists = main.lists[position]
        values, starts = of_lists.read(column)
        _, unseen, examples = _of_categories(main.vocabulary_of(of_lists), values, n_examples)
        return "lists", float((np.diff(starts) == 0).mean()), unseen, examples
    if position in main.vectors:
        of_vectors = main.vectors[position]
        x = of_vectors.read(column)
        beyond = (x < of_vectors.low) | (x > of_vectors.high)
        return "vectors", float(np.isnan(x).any(axis=1).mean()), float(beyond.mean()), []
    return "numbers", *_of_numbers(main.numeric[position], column)


def _of_categories(known: CategoryColumn, column: Any, n_examples: int) -> Found:
    positions, values, kind = factorize(column, known.name)
    n_missing, *counts = np.bincount(positions + 1, minlength=len(values) + 1)
    of_unseen = np.where(known.knows(values, kind), 0, counts)
    most = np.argsort(-of_unseen, kind="stable")[: min(n_examples, np.count_nonzero(of_unseen))]
    n = max(len(positions), 1)  # lists may all be empty
    return float(n_missing / n), float(of_unseen.sum() / n), values[most].tolist()


def _of_numbers(known: NumericColumn, column: Any) -> Found:
    x, (low, high) = known.floats(column), known.ends
    beyond = x[(x < low) | (x > high)]
    examples = sorted({float(beyond.min()), float(beyond.max())}) if len(beyond) else []
    return float(np.isnan(x).mean()), np.nan if np.isnan(low) else len(beyond) / len(x), examples
