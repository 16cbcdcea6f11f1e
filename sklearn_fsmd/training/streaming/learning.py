"""The first pass over a data set: what its columns hold, which classes the targets have, and a sample of the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from sklearn_fsmd.encoding import (
    CategoryColumn,
    Encoded,
    FeatureEncoder,
    Growth,
    InputEncoder,
    LabelledRows,
    TargetEncoder,
    Targets,
    read_table,
)
from sklearn_fsmd.encoding.sources import Block
from sklearn_fsmd.training.streaming.content import Content
from sklearn_fsmd.training.streaming.counting import Counter, CountsOnDisk
from sklearn_fsmd.training.streaming.dataset import Dataset, listed
from sklearn_fsmd.training.streaming.labels import SeenLabels, joined
from sklearn_fsmd.training.streaming.numbers import SampledNumbers


class FirstPass(NamedTuple):
    """What it has found.

    Attributes
    ----------
    encoder : fitted on all rows.
    labels : a small Y that has all values of each target; None where training goes on.
    first : the first rows.
    sample, valid : blocks of rows of training, and of the rows that are held out.
    content : what tells these rows from others, if the fit has a checkpoint; else empty.
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
    estimator : its parameters say how, and it is told the names and the number of the columns.
    seed : of the samples of numbers.
    growth : what takes new values into the encoding of before, where training goes on.
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
                    _keep_little(encoder, counter, seed)
                first = first or block
                if growth is None:
                    encoder.update(X)
                    labels.add(block.frame[listed(dataset.targets)])
                else:
                    growth.update(X)
                if content is not None:
                    content.add(block.frame)
            sample += _some(block, dataset.held.sampled(block.positions))
            valid += _some(block, dataset.held.kept(block.positions))
        if growth is None:
            encoder.finalize()
    finally:
        counter.close()
    assert first is not None
    found = first, sample, valid, "" if content is None else content.told()
    return FirstPass(encoder, labels.table(), *found) if growth is None else FirstPass(growth.finish(), None, *found)


def labels_of(estimator: Any, dataset: Dataset) -> SeenLabels:
    """What is going to see the targets of the data set."""
    return SeenLabels(dataset.targets, estimator.value_targets or (), lambda Y: estimator._new_targets(Y, None))


def _keep_little(encoder: InputEncoder, counter: Counter, seed: int) -> None:
    """Let no column keep all that it sees."""
    for part in encoder.parts:
        for vocabulary in vocabularies_of(part):
            vocabulary.seen = CountsOnDisk(counter)
        for position, column in part.numeric.items():
            column.seen = SampledNumbers(seed + position)


def vocabularies_of(encoder: FeatureEncoder) -> list[CategoryColumn]:
    """What maps values to codes: the categories, and the lists that do not share one's."""
    own = [column.own for column in encoder.lists.values()]
    return [*encoder.categories.values(), *(vocabulary for vocabulary in own if vocabulary is not None)]


def encoded(
    blocks: Sequence[Block],
    dataset: Dataset,
    encoder: InputEncoder,
    targets: TargetEncoder,
    parents: Sequence[int | None],
    seen: Callable[[dict[int, int]], None] = lambda n_odd: None,
) -> LabelledRows:
    """Blocks of rows, encoded, with weights as they were given; `seen` is told which rows contradict a step."""
    rows: list[Encoded] = []
    labels: list[Targets] = []
    for block in blocks:
        with block.named():
            X, Y, weights = (of(block.frame) for of in (dataset.features_of, dataset.targets_of, dataset.weights_of))
            made, n_odd = targets.encode_part(Y, weights, parents)
            rows.append(encoder.encode(X))
            labels.append(made)
            seen(n_odd)
    return Encoded.joined(rows), joined(labels)


def validation_blocks(estimator: Any, dataset: Dataset) -> list[Block]:
    """Of a data set that validates the rows that are kept: all, or an even sample.

    Raises
    ------
    ValueError
        If its columns are not those of fit.
    """
    kept = []
    for block in dataset.blocks():
        with block.named():
            read_table(estimator, dataset.features_of(block.frame), reset=False)
        kept += _some(block, dataset.held.kept(block.positions))
    return kept


def _some(block: Block, which: np.ndarray) -> list[Block]:
    if not which.any():
        return []
    return [block._replace(frame=block.frame[which], positions=block.positions[which])]
