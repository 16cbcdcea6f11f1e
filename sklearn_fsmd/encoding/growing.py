"""Vocabularies that grow after fit: new values get codes after the existing ones, which stay."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from sklearn_fsmd.encoding.columns import CategoryColumn, Counted, add_counts, column_of, factorize
from sklearn_fsmd.encoding.input_encoder import InputEncoder
from sklearn_fsmd.encoding.table import FeatureEncoder, shallow


class Growth:
    """Adds the new values of further rows to a fitted encoder: call `update` for each block of rows, then `finish`.

    A value gets a code when it has been seen `min_frequency` times since fit, in one call or in several. The columns of
    `bias_features` do not grow: their neutral level is computed from the rows of fit.

    Parameters
    ----------
    encoder : InputEncoder, which is not changed.
    grows : whether new values get codes; otherwise they stay unknown.
    """

    def __init__(self, encoder: InputEncoder, *, grows: bool) -> None:
        self.encoder, self.grows = encoder, grows
        self.counted: dict[int, list[Counted]] = {}
        """Counts of unknown values, by the id of the vocabulary: a list of parts, each smaller than the one before."""

    def update(self, X: Any) -> None:
        """Count the new values in some rows, which have all columns.

        Raises
        ------
        ValueError
            If they hold values of another kind than those of fit.
        """
        if not self.grows:
            return
        main = self.encoder.main
        X = self.encoder.main_part(X)
        for position, category in main.categories.items():
            self._count(category, column_of(X, position), category.name)
        for position, list_column in main.lists.items():
            self._count(main.vocabulary_of(list_column), list_column.read(column_of(X, position))[0], list_column.name)

    def _count(self, vocabulary: CategoryColumn, column: Any, name: str) -> None:
        positions, values, kind = factorize(column, name)
        known = vocabulary.knows(values, kind, name)
        if known.all():
            return
        counts = np.bincount(positions + 1, minlength=len(values) + 1)[1:]
        start = [] if vocabulary.rare is None else [vocabulary.rare]
        parts = self.counted.setdefault(id(vocabulary), start)
        parts.append((values[~known], counts[~known], kind))
        while len(parts) > 1 and len(parts[-2][0]) <= len(parts[-1][0]):  # so each value is merged few times
            _join_last(parts)

    def finish(self) -> InputEncoder:
        """Return a copy of the encoder that knows the new values; its statistics can be updated independently."""
        if not self.grows:
            return self.encoder.copy()
        encoder = copy.copy(self.encoder)
        encoder.main = self._grown(self.encoder.main)
        if encoder.statistics is not None:
            encoder.statistics = encoder.statistics.grown(encoder.main)
        return encoder

    def _grown(self, main: FeatureEncoder) -> FeatureEncoder:
        grown = copy.copy(main)
        grown.categories = {position: self._with_new_values(column) for position, column in main.categories.items()}
        if main.lists:
            grown.lists = {position: copy.copy(column) for position, column in main.lists.items()}
            for column in grown.lists.values():
                column.own = None if column.own is None else self._with_new_values(column.own)
        grown.number_rows()
        return grown

    def _with_new_values(self, vocabulary: CategoryColumn) -> CategoryColumn:
        if id(vocabulary) not in self.counted:
            return vocabulary
        parts = self.counted[id(vocabulary)]
        while len(parts) > 1:
            _join_last(parts)
        values, counts, kind = parts[0]
        is_frequent = counts >= vocabulary.min_frequency
        grown = shallow(vocabulary)
        grown.rare = (values[~is_frequent], counts[~is_frequent], kind) if not is_frequent.all() else None
        if is_frequent.any():
            grown.append(values[is_frequent], kind)
        return grown


def _join_last(parts: list[Counted]) -> None:
    """Merge the last two parts."""
    last = parts.pop()
    parts.append(add_counts(parts.pop(), last))
