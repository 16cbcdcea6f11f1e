"""Learning from data sets that are larger than memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np

from sklearn_fsmd.encoding import (
    Growth,
    InputEncoder,
    LabelledRows,
    StatisticsSums,
    TargetEncoder,
    draw_scale,
    refuse_unlabeled,
    refuse_unlabeled_validation,
    warn_of_contradictions,
    warn_of_other_steps,
    warn_unlabeled_validation,
)
from sklearn_fsmd.estimators.atomic import one_at_a_time
from sklearn_fsmd.estimators.learning import Learning
from sklearn_fsmd.parameters import checks_parameters, estimator, warn
from sklearn_fsmd.parameters.machine import draw_seed
from sklearn_fsmd.persistence import digest_of
from sklearn_fsmd.training import Checkpoint, arrays_of, level_rows, making, validation_rows
from sklearn_fsmd.training.distributed import Processes, together
from sklearn_fsmd.training.streaming import (
    Dataset,
    HoldOut,
    LabelSums,
    StreamFeed,
    Trial,
    encoded,
    first_pass,
    refuse_a_choice,
    scan,
    validation_blocks,
)


@estimator
class Datasets(Learning):
    """An estimator that learns from data sets as from tables."""

    @checks_parameters
    @one_at_a_time
    def fit_dataset(
        self,
        source: Any,
        targets: Any,
        *,
        sample_weight: Any = None,
        validation: Any = None,
        columns: Sequence[Any] | None = None,
        resume: bool = False,
        on_error: str = "raise",
    ) -> Self:
        """Learn from a data set that may be larger than memory: what :meth:`fit` does with a table.

        The rows are read several times: once for vocabularies, scales and classes, once for the rates of the targets,
        and once in each epoch; those of a function once more before, to count them. An epoch takes row groups in random
        order, several at a time, and shuffles pools of rows.

        Called in each of several processes, which torchrun or Ray has started, they train one model together: each
        reads a part of the row groups in an epoch, and has its part of each batch.

        Parameters
        ----------
        source : str, path, list of these, or callable
            Parquet files: one, a glob, a folder (its ``*.parquet``, those of its folders too, sorted by name), a URL
            that fsspec can read, or a list of these. Or a function that returns an iterator of DataFrames, the same
            ones at each call; their order is that of each epoch, but for shuffled pools.
        targets : list of str, or str
            The columns of `source` that are targets, (n_tasks,) binary ones and those that the parameter
            `value_targets` names. A str stands for one target, as a Y of shape (n_samples,) does.
        sample_weight : str or list of str, default=None
            The column that holds the weight of each row; or one for each target.
        validation : as `source`, default=None
            Rows for early stopping, with the same columns. None sets `validation_fraction` of the rows aside where
            `early_stopping` wants that: rows drawn by their positions, or the last ones with ``validation="last"``. Of
            more than 200,000 such rows an even sample is used, which is kept in memory.
        columns : list of str, or str, default=None
            The columns to learn from; None for all but targets and weights.
        resume : bool, default=False
            Go on from the file that the parameter `checkpoint` names; see :meth:`fit`. With `checkpoint_rows` a fit
            goes on in the middle of an epoch.
        on_error : {"raise", "skip"}, default="raise"
            What is done with files that cannot be learned from: damaged ones, those of other columns or types, without
            a target, with values that are refused. "raise" ends with an error that names the file, or the small files
            that were read together. "skip" reads each file by itself first, which is one pass more, leaves these out,
            and names them in one warning. The first file that is left says what the columns are. It is an error if no
            other file has these columns, though several others agree with each other; if a file changes during the fit;
            and if numbers were a category of pandas in some files and not in others.

        Returns
        -------
        self : the fitted estimator.

        Raises
        ------
        OSError
            If a file cannot be reached or read.
        ValueError
            If a file is damaged, has other columns than the first, or changes meanwhile; if what it holds cannot be
            learned from, as in :meth:`fit`; if a parameter is out of range.
        TypeError
            If `source` is no data set.
        FloatingPointError
            If the loss is no longer finite.
        LostProcessError
            If one of several processes has died, hangs or has failed, with its rank: a RuntimeError.
        """
        if self.pretrain_epochs:
            raise ValueError(
                f"pretrain_epochs={self.pretrain_epochs} needs all rows in memory, which `fit_dataset` does without. "
                "Set it to 0, or use `fit`."
            )
        refuse_a_choice(validation)
        from_scratch = not (self.warm_start and hasattr(self, "_predictor"))
        if columns is None and not from_scratch:
            columns = getattr(self, "feature_names_in_", None)
        with together() as processes:

            def opened(source: Any, columns: Sequence[Any] | None) -> Dataset:
                dataset = Dataset.from_source(source, columns, targets, sample_weight, on_error)
                return dataset if processes is None else replace(dataset, note_work=processes.note_work)

            dataset = opened(source, columns)
            valid = None if validation is None else opened(validation, dataset.features)
            if valid is not None and (processes is None or processes.rank == 0):
                valid.warn_of_rows_of(dataset)
            checkpoint = self._checkpoint(from_scratch, resume)
            fitted = None if from_scratch else (self._encoder, self._targets)
            new_trial = partial(Trial, self.snapshot(), dataset, fitted)
            trial = new_trial()
            dataset = dataset.leave_out(trial, new_trial)
            valid = None if valid is None else valid.leave_out(trial)  # which is to go with the rows of training
            if processes is None or processes.rank == 0:
                dataset.warn_of_large_groups()
            return self._learn_atomically(
                lambda copied, users: copied._read_and_stream(
                    users, dataset, valid, checkpoint, from_scratch, processes
                )
            )

    def _read_and_stream(
        self,
        users: np.random.RandomState | None,
        dataset: Dataset,
        validation: Dataset | None,
        checkpoint: Checkpoint | None,
        from_scratch: bool,
        processes: Processes | None,
    ) -> np.random.RandomState | None:
        """What `_read_and_train` does with a table, in passes over a data set."""
        self._check_parameters()
        random = self._generator(users, checkpoint, from_scratch)
        if processes is not None:
            random = _agreed(processes, dataset, checkpoint, random)
        seed, n_rows = self._seed_of_split(random), dataset.source.n_rows
        splits = validation is None and validation_rows.wants_split(self, n_rows)
        dataset = replace(dataset, held=HoldOut.from_params(self, n_rows, seed) if splits else HoldOut(n_rows, seed))
        if validation is not None:
            validation = replace(validation, held=HoldOut(validation.source.n_rows, seed, fraction=1.0))

        net = None if from_scratch else making.resume_training(self, self.net_)
        encoder, targets, parents, sums, held, sample, valid, content = self._learn_encoding(
            dataset, validation, random, from_scratch
        )
        rates = sums.rates()
        if validation is not None and valid is not None:
            self._refuse_unsampled(parents, sums.steps, valid[1])
        if net is None:
            net = making.new_net(self, encoder, sums.with_largest(sample[1]), rates, random, None, n_rows)
        else:
            making.grow(self, net, self._encoder, encoder)
            making.widen(net, sums.with_largest(sample[1]))
        level = level_rows.sample(*sample, rates, self.negative_sampling_rate)
        if encoder.statistics is not None:
            level = level.told(encoder.statistics)
        del sample
        if sums.of_groups is not None:
            dataset = replace(dataset, rates=sums.of_groups.table())
        feed = StreamFeed(dataset, encoder, targets, parents, sums, level[:2], content, processes)
        if processes is not None:
            own = encoder, targets, *feed.identity(), *(arrays_of(*valid) if valid else ())
            processes.check_same(digest_of(*own), "encoding, or other rows,")
        drawn = self._train(
            net,
            feed,
            valid,
            epochs=self.max_epochs,
            encoder=encoder,
            targets=targets,
            random=random,
            checkpoint=checkpoint,
            level=level,
            processes=processes,
        )
        if held is not None:
            held.finish(sums.factors, more=True)
        return drawn if from_scratch and users is not None else None

    def _learn_encoding(
        self, dataset: Dataset, validation: Dataset | None, random: np.random.RandomState, from_scratch: bool
    ) -> LearnedEncoding:
        """The passes before the first epoch."""
        found = first_pass(
            self, dataset, draw_seed(random), None if from_scratch else Growth(self._encoder, grows=self._grows)
        )
        content = found.content
        encoder, targets = found.encoder, self._new_targets(found.labels, None) if from_scratch else self._targets
        parents = self._parents(targets)
        how = dataset, encoder, targets, parents
        if from_scratch:
            features, labels = dataset.features_of(found.first.frame), encoded([found.first], *how)[1]
            self._warn_of_columns(encoder, targets, features, labels)
        sample = _rows(found.sample, how)
        if from_scratch:
            warn_of_other_steps(targets, sample[1])
        valid = _rows(found.valid, how) if found.valid else None
        del found
        if validation is not None:
            valid = _rows(validation_blocks(self, validation), (validation, *how[1:]))
        if valid is not None:
            refuse_unlabeled_validation(valid[1])
        if from_scratch:
            self._choose_statistics(encoder, parents, sample, valid, random)
        more = self._grows and not from_scratch
        sums, held = scan(*how, more=more)
        warn_of_contradictions(sums.n_odd, sums.n_rows, targets.names, parents)
        if from_scratch:
            refuse_unlabeled(sums.weights, sums.positive, sums.steps, targets.names, parents)
        if valid is not None:
            warn_unlabeled_validation(valid[1], targets, parents)
        if from_scratch and encoder.bias is not None and sample[0].bias is not None:
            encoder.take_reference(sample[0].bias)
        if encoder.statistics is not None:
            if not more:
                draw_scale(encoder.statistics, sample[0].codes, sample[1], random)
            valid = None if valid is None else (encoder.statistics.append(valid[0]), valid[1])
        return LearnedEncoding(encoder, targets, parents, sums, held, sample, valid, content)


class LearnedEncoding(NamedTuple):
    """What the passes before the first epoch have found.

    Attributes
    ----------
    encoder, targets, parents : how rows and targets are read.
    sums : of the targets of all rows of training.
    held : the sums for the statistics of the rows that are set aside; None without any.
    sample : some of these rows, without statistics of the targets.
    valid : the rows of validation, encoded as for a prediction; None without any.
    content : what tells all of the rows from others.
    """

    encoder: InputEncoder
    targets: TargetEncoder
    parents: Sequence[int | None]
    sums: LabelSums
    held: StatisticsSums | None
    sample: LabelledRows
    valid: LabelledRows | None
    content: str


def _rows(blocks: Sequence[Any], how: tuple[Any, ...]) -> LabelledRows:
    """Some rows, encoded, whose weights have a mean of 1."""
    rows, targets = encoded(blocks, *how)
    return rows, targets.scaled()


def _agreed(
    processes: Processes, dataset: Dataset, checkpoint: Checkpoint | None, random: np.random.RandomState
) -> np.random.RandomState:
    """The random state of the first process, for all, if they have the same files before them.

    Raises
    ------
    ValueError
        If they have not.
    """
    groups = dataset.in_order(0)  # which says if the rows cannot be dealt
    if len(groups) < processes.size and processes.rank == 0:
        warn(
            f"{processes.size} processes deal {len(groups)} row groups to each other, so some have nothing to do. "
            "Write the files with smaller row groups, of about 100,000 rows."
        )
    resumed = checkpoint is not None and checkpoint.resumes
    processes.check_same(digest_of(*dataset.source.identity(), resumed), "data set or checkpoint")
    state = processes.of_first(random.get_state(), "the beginning")
    if processes.rank:
        random = np.random.RandomState()
        random.set_state(state)
    return random
