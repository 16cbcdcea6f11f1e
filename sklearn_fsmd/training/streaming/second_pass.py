"""The second pass over a data set: sums over the training rows, for which only a few columns are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sklearn_fsmd.encoding import InputEncoder
from sklearn_fsmd.encoding.sources import Block, GroupRates
from sklearn_fsmd.encoding.statistics import StatisticsSums
from sklearn_fsmd.encoding.targets import TargetEncoder, Targets
from sklearn_fsmd.training.streaming.dataset import Dataset
from sklearn_fsmd.training.streaming.labels import LabelSums


class HeldOutSums(NamedTuple):
    """Sums over the held-out rows, which the statistics get after training."""

    statistics: StatisticsSums
    labels: LabelSums

    def finish(self, factors: np.ndarray) -> None:
        """Add them to the statistics, without steps whose labels are not final, as `fit` does.

        `factors` are those of the weights of the training rows.
        """
        is_final = np.ones(len(factors))
        if self.labels.steps is not None:
            is_final[self.labels.steps.young(self.labels.positive, self.labels.parents)] = 0
        self.statistics.finish(factors * is_final, more=True)


def scan(
    dataset: Dataset,
    encoder: InputEncoder,
    targets: TargetEncoder,
    parents: Sequence[int | None],
    *,
    more: bool,
) -> tuple[LabelSums, HeldOutSums | None]:
    """Sum up labels and weights of the training rows, and set the statistics of the encoder, if it has any.

    `more` means that the statistics are added to the former ones.

    Returns
    -------
    sums : of the targets.
    held : sums for the statistics of the held-out rows; None if there are none.
    """
    firsts = dataset.source.first_rows()
    of_groups = None if firsts is None else GroupRates(firsts)
    sums = LabelSums(parents, of_groups=of_groups)
    columns, statistics, held = {}, None, None
    if encoder.statistics is not None:
        columns = encoder.names_of_codes(encoder.statistics.keys)
        is_weighted = dataset.weights is not None
        statistics = StatisticsSums(encoder.statistics, encoder.main, tallies=is_weighted and not more)
        if dataset.held.fraction:
            held = HeldOutSums(StatisticsSums(encoder.statistics, encoder.main, tallies=False), LabelSums(parents))

    def read(block: Block, rows: np.ndarray, of_rows: StatisticsSums | None) -> tuple[Targets, np.ndarray]:
        frame = block.frame[rows]
        with block.named():
            labels, n_happened = targets.encode_part(dataset.targets_of(frame), dataset.weights_of(frame), parents)
            if of_rows is not None:
                of_rows.add(_codes(encoder, columns, block, rows), labels)
        return labels, n_happened

    for block in dataset.blocks(list(columns.values())):
        held_out = dataset.held.held_out(block.positions)
        if held is not None and held_out.any():
            held.labels.add(read(block, held_out, held.statistics)[0])
        training = ~held_out
        if not training.any():
            continue
        labels, n_happened = read(block, training, statistics)
        sums.add(labels)
        sums.n_happened = sums.n_happened + n_happened
        if of_groups is not None:
            of_groups.add(block.positions[training], labels)
    if not sums.n_rows or not np.any(sums.weights):
        raise ValueError("Y has no observed label whose weight is not zero.")
    if statistics is not None:
        statistics.finish(sums.factors, more=more)
    return sums, held


def _codes(encoder: InputEncoder, columns: dict[int, object], block: Block, rows: np.ndarray) -> np.ndarray:
    """Codes of all category columns, ``(n, F)``, of which only some are read; the others are 0."""
    categories = list(encoder.main.categories.values())
    codes = np.zeros((int(rows.sum()), len(categories)), dtype=np.int64)
    for f, label in columns.items():
        codes[:, f] = categories[f].encode(block.frame[label][rows]) + encoder.main.offsets[f]
    return codes
