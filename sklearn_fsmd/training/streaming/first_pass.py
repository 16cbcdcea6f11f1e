"""The first pass over a data set: it fits the encoder, collects the classes, and samples rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding import Growth, InputEncoder
from sklearn_fsmd.encoding.columns import CategoryColumn
from sklearn_fsmd.encoding.sources import Block
from sklearn_fsmd.encoding.table import Encoded, FeatureEncoder, read_table
from sklearn_fsmd.encoding.targets import LabelledRows, TargetEncoder, Targets
from sklearn_fsmd.training.streaming.content import Content
from sklearn_fsmd.training.streaming.counting import Counter, CountsOnDisk
from sklearn_fsmd.training.streaming.dataset import Dataset, listed
from sklearn_fsmd.training.streaming.labels import SeenLabels
from sklearn_fsmd.training.streaming.numbers import SampledNumbers


class FirstPass(NamedTuple):
    """Results of the first pass.

    Attributes
    ----------
    encoder : fitted on all rows.
    labels : a small Y that contains all values of each target; None if training is continued.
    first : the first block of rows.
    sample, valid : blocks of sampled training rows, and of validation rows.
    content : a digest of the rows if the fit has a checkpoint; else empty.
    """

    encoder: InputEncoder
    labels: Any
    first: Block
    sample: list[Block]
    valid: list[Block]
    content: str


def first_pass(estimator: Any, dataset: Dataset, seed: int, growth: Growth | None = None) -> FirstPass:
    """Read all rows once.

    Parameters
    ----------
    estimator : its parameters set the encoding, and its names and number of columns are set.
    seed : of the samples of numbers.
    growth : adds new values to the former encoding, if training is continued.
    """
    of_dtype = isinstance(estimator.categorical_features, str) and estimator.categorical_features == "from_dtype"
    if growth is None and of_dtype:
        dataset.source.refuse_other_categories(dataset.features)
    encoder = InputEncoder(estimator)
    labels = labels_of(estimator, dataset)
    counter = Counter(estimator.n_threads)
    first: Block | None = None
    sample, valid = [], []
    content = None if estimator.checkpoint is None else Content()
    try:
        for block in dataset.blocks():
            with block.named():
                X = read_table(estimator, dataset.features_of(block.frame), reset=first is None and growth is None)
                if first is None and growth is None:
                    encoder.take_columns(dataset.source.with_column_kinds(X))
                    _bound_memory(encoder, counter, seed)
                first = first or block
                if growth is None:
                    encoder.update(X)
                    labels.add(block.frame[listed(dataset.targets)])
                else:
                    growth.update(X)
                if content is not None:
                    content.add(block.frame)
            sample += _some(block, dataset.held.training_sample(block.positions))
            valid += _some(block, dataset.held.validation_sample(block.positions))
        if growth is None:
            encoder.finalize()
    finally:
        counter.close()
    assert first is not None
    rest = first, sample, valid, "" if content is None else content.hexdigest()
    return FirstPass(encoder, labels.table(), *rest) if growth is None else FirstPass(growth.finish(), None, *rest)


def labels_of(estimator: Any, dataset: Dataset) -> SeenLabels:
    """A collector of the labels of the data set."""
    return SeenLabels(dataset.targets, estimator.value_targets or (), lambda Y: estimator._new_targets(Y, None))


def _bound_memory(encoder: InputEncoder, counter: Counter, seed: int) -> None:
    """Let columns keep counts on disk and samples of numbers, instead of all values in memory."""
    for part in encoder.parts:
        for vocabulary in vocabularies_of(part):
            vocabulary.seen = CountsOnDisk(counter)
        for position, column in part.numeric.items():
            column.seen = SampledNumbers(seed + position)


def vocabularies_of(encoder: FeatureEncoder) -> list[CategoryColumn]:
    """The vocabularies of the categories, and of the lists that do not share a category column's."""
    of_lists = [column.own for column in encoder.lists.values()]
    return [*encoder.categories.values(), *(vocabulary for vocabulary in of_lists if vocabulary is not None)]


def encoded(
    blocks: Sequence[Block],
    dataset: Dataset,
    encoder: InputEncoder,
    targets: TargetEncoder,
    parents: Sequence[int | None],
) -> LabelledRows:
    """Encode blocks of rows, with unscaled weights."""
    rows: list[Encoded] = []
    labels: list[Targets] = []
    for block in blocks:
        with block.named():
            X, Y, weights = (of(block.frame) for of in (dataset.features_of, dataset.targets_of, dataset.weights_of))
            encoded_targets, _ = targets.encode_part(Y, weights, parents)
            rows.append(encoder.encode(X))
            labels.append(encoded_targets)
    return Encoded.joined(rows), Targets.joined(labels)


def validation_blocks(estimator: Any, dataset: Dataset) -> list[Block]:
    """The rows of a validation data set that are kept in memory: all, or a uniform sample.

    Raises
    ------
    ValueError
        If its columns are not those of fit.
    """
    sampled = []
    for block in dataset.blocks():
        with block.named():
            read_table(estimator, dataset.features_of(block.frame), reset=False)
        sampled += _some(block, dataset.held.validation_sample(block.positions))
    return sampled


def _some(block: Block, which: np.ndarray) -> list[Block]:
    """Some rows of a block, without the categories that only its other rows have."""
    if not which.any():
        return []
    frame = block.frame[which].copy(deep=False)  # else pandas 2 warns of assigning to a selection
    for name, dtype in frame.dtypes.items():
        if isinstance(dtype, pd.CategoricalDtype):
            frame[name] = frame[name].cat.remove_unused_categories()
    return [block._replace(frame=frame, positions=block.positions[which])]
