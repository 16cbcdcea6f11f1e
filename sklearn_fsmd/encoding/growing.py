"""Values that come up after fit get codes of their own, after those of before, which stay."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from sklearn_fsmd.encoding.canonical import Counted, add_counts, factorize
from sklearn_fsmd.encoding.column_selection import column_of
from sklearn_fsmd.encoding.columns import CategoryColumn
from sklearn_fsmd.encoding.input_encoder import InputEncoder
from sklearn_fsmd.encoding.shallow import shallow
from sklearn_fsmd.encoding.table_encoder import FeatureEncoder


class Growth:
    """What further rows add to a fitted encoding, if they may: `update` for each block of rows, then `finish`.

    A value gets a code when it has been seen `min_frequency` times since fit, in one call or in several. The columns of
    `bias_features` do not grow: their neutral level is that of the rows of fit.

    Parameters
    ----------
    encoder : stays as it is.
    grows : whether values get codes; otherwise those that are new stay unknown.
    """

    def __init__(self, encoder: InputEncoder, *, grows: bool) -> None:
        self.encoder, self.grows = encoder, grows
        self.counted: dict[int, list[Counted]] = {}
        """What is not known, by the identity of the vocabulary; in parts, each smaller than the one before it."""

    def update(self, X: Any) -> None:
        """Look at some rows of all columns.

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
        for position, of_lists in main.lists.items():
            self._count(main.vocabulary_of(of_lists), of_lists.read(column_of(X, position))[0], of_lists.name)

    def _count(self, vocabulary: CategoryColumn, column: Any, name: str) -> None:
        positions, values, kind = factorize(column, name)
        known = vocabulary.knows(values, kind, name)
        if known.all():
            return
        counts = np.bincount(positions + 1, minlength=len(values) + 1)[1:]
        start = [] if vocabulary.rare is None else [vocabulary.rare]
        parts = self.counted.setdefault(id(vocabulary), start)
        parts.append((values[~known], counts[~known], kind))
        while len(parts) > 1 and len(parts[-2][0]) <= len(parts[-1][0]):  # so a value is moved a few times, not often
            _join_last(parts)

    def finish(self) -> InputEncoder:
        """A copy of the encoder that knows the new values, and whose statistics can go on learning."""
        if not self.grows:
            return self.encoder.copy()
        made = copy.copy(self.encoder)
        made.main = self._grown(self.encoder.main)
        if made.statistics is not None:
            made.statistics = made.statistics.grown(made.main)
        return made

    def _grown(self, main: FeatureEncoder) -> FeatureEncoder:
        made = copy.copy(main)
        made.categories = {position: self._with_more(column) for position, column in main.categories.items()}
        if main.lists:
            made.lists = {position: copy.copy(column) for position, column in main.lists.items()}
            for column in made.lists.values():
                column.own = None if column.own is None else self._with_more(column.own)
        made.number_rows()
        return made

    def _with_more(self, vocabulary: CategoryColumn) -> CategoryColumn:
        if id(vocabulary) not in self.counted:
            return vocabulary
        parts = self.counted[id(vocabulary)]
        while len(parts) > 1:
            _join_last(parts)
        values, counts, kind = parts[0]
        often = counts >= vocabulary.min_frequency
        made = shallow(vocabulary)
        made.rare = (values[~often], counts[~often], kind) if not often.all() else None
        if often.any():
            made.append(values[often], kind)
        return made


def _join_last(parts: list[Counted]) -> None:
    """Make one of the last two parts."""
    last = parts.pop()
    parts.append(add_counts(parts.pop(), last))
