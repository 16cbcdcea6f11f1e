"""The embeddings of a category, value by value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from sklearn_fsmd.metrics import fitted_model


def item_vectors(model: Any, column: str | int) -> pd.DataFrame:
    """The embeddings of a column's values, such as the items: what alike values have in common.

    An embedding says what its value adds to predictions beside the other columns. Two items are alike if their vectors
    have a high cosine. Rare values have hardly moved from where they began, near 0: look at lengths before at angles.

    Parameters
    ----------
    model : fitted MultiTaskClassifier, or a Pipeline or search that ends in one.
    column : str or int
        A column of categories or of lists that the model reads, by its name or its position in X.

    Returns
    -------
    vectors : DataFrame of shape (n_values, n_dimensions), float32
        Indexed by the known values, without the row for unknown ones. Its columns are 0, 1, …; where tasks share
        nothing, or with `n_members`, they have levels above: the target, and the member.

    Raises
    ------
    TypeError
        If the model is none of this library's classifiers.
    ValueError
        If there is no such column, or it holds numbers or vectors, which have no embedding per value.

    Examples
    --------
    >>> from sklearn_fsmd import FSMDClassifier
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> from sklearn_fsmd.inspection import item_vectors
    >>> X, Y = make_funnel(500, random_state=0, return_X_y=True)
    >>> model = FSMDClassifier(max_epochs=1, random_state=0).fit(X, Y)
    >>> item_vectors(model, "segment").shape
    (5, 16)
    """
    own = fitted_model(model).as_it_is()
    encoder = own._encoder
    position = _position(encoder, column)
    main = encoder.main
    if position in main.categories:
        vocabulary = main.categories[position]
        first = int(main.offsets[list(main.categories).index(position)])
    elif position in main.lists:
        of_list = main.lists[position]
        vocabulary = of_list.own or next(c for c in main.categories.values() if c.name == of_list.shares)
        first = int(main.list_offsets[list(main.lists).index(position)])
    else:
        kind = "vectors" if position in main.vectors else "numbers"
        raise ValueError(f"Column {column!r} holds {kind}: it has no embedding per value. Name a category or a list.")
    index = pd.Index(vocabulary.values.to_numpy(), name=str(column) if isinstance(column, str) else vocabulary.name)
    codes = torch.arange(first + 1, first + 1 + len(index), device=own.device_)  # the first is that of unknown values
    tables = [member.embedding.of_values(codes).cpu().numpy() for member in own.module_.members]
    return pd.DataFrame(np.hstack(tables), index=index, columns=_dimensions(own, len(tables)))


def _dimensions(model: Any, n_members: int) -> pd.Index:
    """The names of the dimensions: member, target and number, as far as there are several."""
    embedding = model.module_.embedding
    n_sets = embedding.n_sets
    width = embedding.table.weight.shape[1] // n_sets
    levels: dict[str, list[Any]] = {}
    if n_members > 1:
        levels["member"] = list(range(n_members))
    if n_sets > 1:
        levels["target"] = [*model.task_names_, *model.value_names_]
    levels["dimension"] = list(range(width))
    if len(levels) == 1:
        return pd.RangeIndex(width)
    return pd.MultiIndex.from_product(list(levels.values()), names=list(levels))


def _position(encoder: Any, column: str | int) -> int:
    """The position of a column among those that the network reads."""
    names = [str(name) for name in encoder.names] or [f"x{j}" for j in range(len(encoder.is_bias))]
    if isinstance(column, str) and column in names:
        in_x = names.index(column)
    elif isinstance(column, (int, np.integer)) and not isinstance(column, bool) and 0 <= column < len(names):
        in_x = int(column)
    else:
        raise ValueError(f"There is no column {column!r}; the model reads {names}.")
    if encoder.is_bias[in_x]:
        raise ValueError(f"Column {names[in_x]!r} is one of the 'bias_features', which the network does not embed.")
    return int((~encoder.is_bias[:in_x]).sum())
