"""What a fit knows of its rows when training begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sklearn_fsmd.encoding import InputEncoder
from sklearn_fsmd.encoding.table import Encoded
from sklearn_fsmd.encoding.targets import LabelledRows, StepSums, TargetEncoder, Targets
from sklearn_fsmd.training import regression_rows


class Learned(NamedTuple):
    """The encoding of the rows of a fit, and the encoded rows.

    Attributes
    ----------
    encoder, targets, parents : the encodings of rows and targets, and the parent of each target.
    train : the training rows; of a data set, some of them.
    valid : the validation rows; None without any.
    held_out : those that were set aside from the training rows, with weights in the units of these; None without any.
    labels : targets of some training rows, among them the largest value of each value target.
    steps : sums over the labels of all training rows.
    n_training : the number of these.
    n_rows : the number of rows of the fit, with validation rows; None in `partial_fit`, after which others follow.
    pretrains_on : the rows that pretraining learns from; None for a data set, which is not pretrained on.
    """

    encoder: InputEncoder
    targets: TargetEncoder
    parents: Sequence[int | None]
    train: LabelledRows
    valid: LabelledRows | None
    held_out: LabelledRows | None
    labels: Targets
    steps: StepSums
    n_training: int
    n_rows: int | None
    pretrains_on: Encoded | None = None

    @property
    def rates(self) -> np.ndarray:
        """How often each step happened where the one before it did, ``(K,)``."""
        return np.asarray(self.steps.rates(self.parents))

    @property
    def n_events(self) -> np.ndarray:
        """As returned by :func:`~sklearn_fsmd.training.regression_rows.n_events_of`, ``(K + V,)``."""
        return regression_rows.n_events_of(self.steps, self.train[1], self.n_training)

    def with_statistics(self) -> Learned:
        """The validation rows with the statistics of the targets that the encoder has learned."""
        statistics = self.encoder.statistics
        if statistics is None or self.valid is None:
            return self
        return self._replace(valid=(statistics.append(self.valid[0]), self.valid[1]))
