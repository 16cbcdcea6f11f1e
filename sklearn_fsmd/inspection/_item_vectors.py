"""Embeddings of the values of a category."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from sklearn_fsmd.compose import fitted_model
from sklearn_fsmd.encoding import InputEncoder
from sklearn_fsmd.encoding.columns import CategoryColumn
from sklearn_fsmd.encoding.table import FeatureEncoder
from sklearn_fsmd.network import Embedding, Lists, Ragged
from sklearn_fsmd.parameters.machine import cpu_by_default

BLOCK = 8192
"""Number of values that are looked up together."""


@cpu_by_default()
def item_vectors(model: Any, column: str | int) -> pd.DataFrame:
    """Return the embeddings of the values of a column, such as the items.

    An embedding shows what its value contributes to predictions in addition to the other columns. Two items are similar
    if their vectors have a high cosine similarity. The embeddings of rare values are still near their initial values,
    close to 0: check the lengths of vectors before you compare their angles.

    Parameters
    ----------
    model : fitted MultiTaskClassifier, or a Pipeline or search that ends in one.
    column : str or int
        A column of categories or of lists of the model, by its name or its position in X.

    Returns
    -------
    vectors : DataFrame of shape (n_values, n_dimensions), float32
        Indexed by the known values, without those for unknown and missing ones. Its columns are the dimensions 0, 1, ….
        If tasks do not share embeddings, or with `n_members`, there are further levels of columns: the target and the
        member.

    Raises
    ------
    TypeError
        If the model is no classifier of this package.
    ValueError
        If there is no such column, or if it holds numbers or vectors, which have no embedding per value.

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
    last = fitted_model(model).snapshot()
    encoder = last._encoder
    in_x = _position_in_x(encoder, column)
    position = int((~encoder.is_bias[:in_x]).sum())  # among the columns without `bias_features`
    main = encoder.main
    if position in main.lists and main.lists[position].own is None:  # the list shares the embeddings of a category
        position = next(p for p, c in main.categories.items() if c.name == main.lists[position].shares)
    if position in main.categories:
        vocabulary = main.categories[position]
        field = list(main.categories).index(position)
    elif position in main.lists:
        vocabulary = main.lists[position].own
        field = len(main.cardinalities) + list(main.lists).index(position)
    else:
        kind = "vectors" if position in main.vectors else "numbers"
        raise ValueError(f"Column {column!r} holds {kind}: it has no embedding per value. Name a category or a list.")
    values = vocabulary.values.to_numpy()
    name = encoder.display_names[in_x]
    tables = [_vectors(member.embedding, main, field, vocabulary) for member in last.module_.members]
    return pd.DataFrame(np.hstack(tables), index=pd.Index(values, name=name), columns=_dimensions(last, len(tables)))


@torch.no_grad()
def _vectors(embedding: Embedding, main: FeatureEncoder, field: int, vocabulary: CategoryColumn) -> np.ndarray:
    """The embedding of each of the n known values of a field, ``(n, S · D)``."""
    device, n_codes, blocks = embedding.table.weight.device, len(main.cardinalities), []
    n_rows = vocabulary.n_rows
    for start in range(vocabulary.first, n_rows, BLOCK):
        values = torch.arange(start, min(start + BLOCK, n_rows))
        codes = torch.from_numpy(np.asarray(main.offsets[:n_codes], dtype=np.int64)).repeat(len(values), 1)
        lists = None
        if field < n_codes:
            codes[:, field] += values
        else:  # whatever the pooling is, a list with one value gives the embedding of this value
            k = field - n_codes
            empty = Ragged(values[:0], torch.zeros(len(values) + 1, dtype=torch.int64))
            single = Ragged(values + int(main.list_offsets[k]), torch.arange(len(values) + 1))
            lists = Lists(tuple(single if j == k else empty for j in range(len(main.lists)))).to(device)
        located = embedding.locate(codes.to(device), lists)
        looked_up = embedding.look_up(located, torch.zeros(len(values), len(main.numeric), device=device))
        blocks.append(looked_up[:, field].flatten(1).cpu().numpy())
    return np.concatenate(blocks) if blocks else np.empty((0, embedding.table.weight.shape[1]), np.float32)


def _dimensions(model: Any, n_members: int) -> pd.Index:
    """The index of the columns: dimensions, below levels for members and targets if there are several."""
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


def _position_in_x(encoder: InputEncoder, column: str | int) -> int:
    """Position of a column in X; raises if it has no embedding because it is one of the `bias_features`."""
    names = encoder.display_names
    is_number = isinstance(column, (int, np.integer)) and not isinstance(column, bool)
    if (is_number or isinstance(column, str)) and str(column) in names:  # a name takes precedence over a position
        in_x = names.index(str(column))
    elif is_number and 0 <= int(column) < len(names):
        in_x = int(column)
    elif not isinstance(column, (str, int, np.integer)):
        raise TypeError(f"`column` must be a name or a position. Got a {type(column).__name__}.")
    else:
        raise ValueError(f"There is no column {column!r}; the model reads {names}.")
    if encoder.is_bias[in_x]:
        raise ValueError(f"Column {names[in_x]!r} is one of the 'bias_features', which the network does not embed.")
    return in_x
