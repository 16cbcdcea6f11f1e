"""A file is read by itself, as the passes will read it, to find out whether it can be learned from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sklearn_fsmd.encoding import InputEncoder, TargetEncoder, check_values, check_weights, read_table
from sklearn_fsmd.encoding.sources import Block
from sklearn_fsmd.training.streaming.dataset import Dataset, listed
from sklearn_fsmd.training.streaming.learning import labels_of


class Trial:
    """Raises an error for a file whose rows cannot be encoded, or whose targets are not those of the files before.

    Parameters
    ----------
    estimator : its parameters say how rows are encoded; it is told of columns, so it is a copy.
    dataset : what is read as what.
    fitted : encoders of features and targets, where training goes on.
    """

    def __init__(
        self, estimator: Any, dataset: Dataset, fitted: tuple[InputEncoder, TargetEncoder] | None = None
    ) -> None:
        self.estimator, self.dataset, self.fitted = estimator, dataset, fitted
        self.labels = labels_of(estimator, dataset)
        self.widths: dict[int, int] = {}
        """How long the vectors of each column are."""

    def __call__(self, blocks: Iterator[Block]) -> None:
        labels, widths = self.labels.copy(), dict(self.widths)
        for block in blocks:
            with block.named():
                X = read_table(self.estimator, self.dataset.features_of(block.frame), reset=self.fitted is None)
                if self.fitted is not None:
                    encoder, known = self.fitted
                    encoder.encode(X)
                    known.encode_part(self.dataset.targets_of(block.frame), self.dataset.weights_of(block.frame))
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
    """Raise ValueError if vectors are of another length than those of files before; note how long they are."""
    for position, column in encoder.main.vectors.items():
        if column.width is not None and widths.setdefault(position, column.width) != column.width:
            raise ValueError(
                f"Column {column.name!r} holds vectors of {column.width} numbers, and in files before of "
                f"{widths[position]}."
            )
