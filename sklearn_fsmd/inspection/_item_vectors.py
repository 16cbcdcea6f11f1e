"""The embeddings of a category, value by value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from sklearn_fsmd.compose import fitted_model
from sklearn_fsmd.encoding import FeatureEncoder, InputEncoder
from sklearn_fsmd.network import Embedding, Lists, Ragged
from sklearn_fsmd.parameters.machine import cpu_by_default

BLOCK = 8192
"""Values that are looked up together."""


@cpu_by_default()
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
    own = fitted_model(model).snapshot()
    encoder = own._encoder
    in_x = _column_of(encoder, column)
    position = int((~encoder.is_bias[:in_x]).sum())  # among those that the network reads
    main = encoder.main
    if position in main.lists and main.lists[position].own is None:  # those of the category whose values it shares
        position = next(p for p, c in main.categories.items() if c.name == main.lists[position].shares)
    if position in main.categories:
        vocabulary = main.categories[position]
        field = list(main.categories).index(position)
    elif position in main.lists:
        vocabulary = main.lists[position].own
        field = len(main.offsets) + list(main.lists).index(position)
    else:
        kind = "vectors" if position in main.vectors else "numbers"
        raise ValueError(f"Column {column!r} holds {kind}: it has no embedding per value. Name a category or a list.")
    known = vocabulary.values.to_numpy()
    name = encoder.display_names[in_x]
    tables = [_vectors(member.embedding, main, field, len(known)) for member in own.module_.members]
    return pd.DataFrame(np.hstack(tables), index=pd.Index(known, name=name), columns=_dimensions(own, len(tables)))


@torch.no_grad()
def _vectors(embedding: Embedding, main: FeatureEncoder, field: int, n: int) -> np.ndarray:
    """What the network looks up for each of the `n` known values of a field, ``(n, S · D)``."""
    device, n_codes, parts = embedding.table.weight.device, len(main.offsets), []
    for start in range(0, n, BLOCK):
        values = 1 + torch.arange(start, min(start + BLOCK, n))  # 0 is that of unknown values
        codes = torch.from_numpy(np.asarray(main.offsets, dtype=np.int64)).repeat(len(values), 1)
        lists = None
        if field < n_codes:
            codes[:, field] += values
        else:  # a list of one value is that value, however lists are pooled
            one = field - n_codes
            nothing = Ragged(values[:0], torch.zeros(len(values) + 1, dtype=torch.int64))
            own = Ragged(values + int(main.list_offsets[one]), torch.arange(len(values) + 1))
            lists = Lists(tuple(own if j == one else nothing for j in range(len(main.lists)))).to(device)
        found = embedding.located(codes.to(device), lists)
        looked_up = embedding.looked_up(found, torch.zeros(len(values), len(main.numeric), device=device))
        parts.append(looked_up[:, field].flatten(1).cpu().numpy())
    return np.concatenate(parts) if n else np.empty((0, embedding.table.weight.shape[1]), np.float32)


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


def _column_of(encoder: InputEncoder, column: str | int) -> int:
    """The position of a column in X, of one that the network reads."""
    names = encoder.display_names
    is_number = isinstance(column, (int, np.integer)) and not isinstance(column, bool)
    if (is_number or isinstance(column, str)) and str(column) in names:  # what is a name and a position is a name
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
