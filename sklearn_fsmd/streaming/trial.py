"""A file is read by itself, as the passes will read it, to find out whether it can be learned from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding import InputEncoder, TargetEncoder, read_table
from sklearn_fsmd.streaming.dataset import Dataset
from sklearn_fsmd.streaming.frames import Block
from sklearn_fsmd.streaming.learning import labels_of, names_of


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

    def __call__(self, blocks: Iterator[Block]) -> None:
        labels = self.labels.copy()
        for block in blocks:
            with block.named():
                X = read_table(self.estimator, self.dataset.features_of(block.frame), reset=self.fitted is None)
                if self.fitted is not None:
                    encoder, known = self.fitted
                    encoder.encode(X)
                    known.encode_part(self.dataset.targets_of(block.frame), self.dataset.weights_of(block.frame))
                else:
                    named = [name for name in self.dataset.source.categories if name in self.dataset.features]
                    encoder = InputEncoder(self.estimator)
                    encoder.take_columns(X.astype(dict.fromkeys(named, "category")))
                    encoder.update(X)
                    targets = block.frame[names_of(self.dataset.targets)]
                    labels.add(targets)
                    self._refuse_infinity(targets)
        self.labels = labels

    def _refuse_infinity(self, Y: pd.DataFrame) -> None:
        for name in self.estimator.value_targets or ():
            if np.isinf(Y[name].dropna().to_numpy(dtype=np.float64)).any():
                raise ValueError(f"Column {name!r} of Y contains infinity.")
