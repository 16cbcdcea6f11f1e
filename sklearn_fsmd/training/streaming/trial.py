"""Read a single file as the passes will, to find out whether it can be used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sklearn_fsmd.encoding import InputEncoder
from sklearn_fsmd.encoding.sources import Block
from sklearn_fsmd.encoding.table import read_table
from sklearn_fsmd.encoding.targets import TargetEncoder, check_values, check_weights
from sklearn_fsmd.training.streaming.dataset import Dataset, listed
from sklearn_fsmd.training.streaming.first_pass import labels_of


class Trial:
    """Raises an error for a file whose rows cannot be encoded, or whose targets do not fit those of former files.

    Parameters
    ----------
    estimator : its parameters set how rows are encoded. It must be a copy, since its columns are set.
    dataset : defines the roles of the columns.
    fitted : encoders of features and targets, if training is continued.
    """

    def __init__(
        self, estimator: Any, dataset: Dataset, fitted: tuple[InputEncoder, TargetEncoder] | None = None
    ) -> None:
        self.estimator, self.dataset, self.fitted = estimator, dataset, fitted
        self.labels = labels_of(estimator, dataset)
        self.widths: dict[int, int] = {}
        """Length of the vectors of each column."""

    def __call__(self, blocks: Iterator[Block]) -> None:
        labels, widths = self.labels.copy(), dict(self.widths)
        for block in blocks:
            with block.named():
                X = read_table(self.estimator, self.dataset.features_of(block.frame), reset=self.fitted is None)
                if self.fitted is not None:
                    encoder, target_encoder = self.fitted
                    encoder.encode(X)
                    target_encoder.encode_part(
                        self.dataset.targets_of(block.frame), self.dataset.weights_of(block.frame)
                    )
                else:
                    encoder = InputEncoder(self.estimator)
                    encoder.take_columns(self.dataset.source.with_column_kinds(X))
                    encoder.update(X)
                    _refuse_other_widths(encoder, widths)
                    targets = block.frame[listed(self.dataset.targets)]
                    labels.add(targets)
                    for name in self.estimator.value_targets or ():
                        check_values(targets[name], name, self.estimator.value_loss)
                    weights = self.dataset.weights_of(block.frame)
                    if weights is not None:
                        check_weights(weights, targets.shape)
        self.labels, self.widths = labels, widths


def _refuse_other_widths(encoder: InputEncoder, widths: dict[int, int]) -> None:
    """Raise ValueError if vectors have another length than those of former files, and record their lengths."""
    for position, column in encoder.main.vectors.items():
        if column.width is not None and widths.setdefault(position, column.width) != column.width:
            raise ValueError(
                f"Column {column.name!r} holds vectors of {column.width} numbers, and in former files of "
                f"{widths[position]}."
            )
