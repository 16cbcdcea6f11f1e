"""Training on data sets that are larger than memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np

from sklearn_fsmd.encoding import Growth
from sklearn_fsmd.encoding.statistics import draw_scale
from sklearn_fsmd.encoding.targets import (
    LabelledRows,
    refuse_unlabeled,
    refuse_unlabeled_validation,
    warn_of_contradictions,
    warn_of_other_steps,
)
from sklearn_fsmd.estimators.atomic import one_at_a_time
from sklearn_fsmd.estimators.fitting import Fitting
from sklearn_fsmd.estimators.learned import Learned
from sklearn_fsmd.estimators.sampled_logs import refuse_weights_that_correct_too
from sklearn_fsmd.parameters import checks_parameters, estimator, warn
from sklearn_fsmd.parameters.machine import draw_seed
from sklearn_fsmd.persistence import digest_of
from sklearn_fsmd.training import Checkpoint, arrays_of, construction, validation_rows
from sklearn_fsmd.training.distributed import Processes, together
from sklearn_fsmd.training.streaming import (
    Dataset,
    HeldOutSums,
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
class Datasets(Fitting):
    """Mixin for an estimator that can be fitted on a data set that is larger than memory."""

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
        """Fit on a data set that may be larger than memory: does for a data set what :meth:`fit` does for a table.

        The rows are read several times: once for vocabularies, scales and classes, once for the rates of the targets,
        and once per epoch. The rows of a function are read once more at the beginning, to count them. An epoch reads
        row groups in random order, several at a time, and shuffles pools of rows.

        If several processes call this method, started by torchrun or Ray, they train one model together. In each epoch,
        each process reads a part of the row groups and computes its part of each batch.

        Parameters
        ----------
        source : str, path, list of these, or callable
            Parquet files: one file, a glob, a folder (its ``*.parquet`` files, including those of its subfolders,
            sorted by name), a URL that fsspec can read, or a list of these. Or a function that returns an iterator of
            DataFrames, the same ones at each call; each epoch reads them in this order and shuffles pools of rows.
        targets : list of str, or str
            The columns of `source` that are targets: the n_tasks binary ones and those that the parameter
            `value_targets` names. A str means one target, like a Y of shape (n_samples,).
        sample_weight : str or list of str, default=None
            The column that holds the weight of each row, or a column for each target.
        validation : as `source`, default=None
            Rows for early stopping, with the same columns. If it is None and `early_stopping` needs validation rows,
            `validation_fraction` of the rows are set aside: rows drawn by a hash of their positions, or the last ones
            with ``validation="last"``. Validation rows are kept in memory; of more than 200,000, an even sample is
            used.
        columns : list of str, or str, default=None
            The feature columns; None means all columns except targets and weights.
        resume : bool, default=False
            Continue from the file that the parameter `checkpoint` names; see :meth:`fit`. With `checkpoint_rows`, a fit
            can continue in the middle of an epoch.
        on_error : {"raise", "skip"}, default="raise"
            What to do with files that cannot be used: damaged files, and files with other columns or types, without a
            target, or with invalid values. "raise" raises an error that names the file, or the small files that were
            read together. "skip" first reads each file separately, which takes one more pass, leaves these files out,
            and names them in one warning. The first remaining file defines the columns. It still is an error if no
            other file has these columns although several others agree with each other, if a file changes during the
            fit, or if a column of numbers has a pandas category dtype in some files only.

        Returns
        -------
        self : the fitted estimator.

        Raises
        ------
        OSError
            If a file cannot be reached or read.
        ValueError
            If a file is damaged, has other columns than the first one, or changes during the fit; if its data are
            invalid, as in :meth:`fit`; or if a parameter is out of range.
        TypeError
            If `source` is no data set.
        FloatingPointError
            If the loss is no longer finite.
        LostProcessError
            If one of several processes has died, hangs or has failed. The message names its rank. A subclass of
            RuntimeError.
        """
        if self.pretrain_epochs:
            raise ValueError(
                f"pretrain_epochs={self.pretrain_epochs} needs all rows in memory, and `fit_dataset` does not load "
                "them. Set it to 0, or use `fit`."
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
            valid = None if valid is None else valid.leave_out(trial)  # the trial checks that it fits the training rows
            if processes is None or processes.rank == 0:
                dataset.warn_of_large_groups()
            return self._learn_atomically(
                lambda copied, user_generator: copied._read_and_stream(
                    user_generator, dataset, valid, checkpoint, from_scratch, processes
                )
            )

    def _read_and_stream(
        self,
        user_generator: np.random.RandomState | None,
        dataset: Dataset,
        validation: Dataset | None,
        checkpoint: Checkpoint | None,
        from_scratch: bool,
        processes: Processes | None,
    ) -> np.random.RandomState | None:
        """Do for a data set, in several passes, what `_read_and_train` does for a table."""
        self._check_parameters()
        random = self._generator(user_generator, checkpoint, from_scratch)
        if processes is not None:
            random = _synchronised_generator(processes, dataset, checkpoint, random)
        seed, n_rows = self._seed_of_split(random), dataset.source.n_rows
        splits = validation is None and validation_rows.wants_split(self, n_rows)
        dataset = replace(dataset, held=HoldOut.from_params(self, n_rows, seed) if splits else HoldOut(n_rows, seed))
        if validation is not None:
            validation = replace(validation, held=HoldOut(validation.source.n_rows, seed, fraction=1.0))

        former = None if from_scratch else construction.resume_training(self, self.net_)
        learned, sums, held_out_sums, content = self._encode_dataset(dataset, validation, random, from_scratch)
        encoder, targets = learned.encoder, learned.targets
        adds_regressions = from_scratch and self._adds_regressions(learned)
        level = self._level_rows(learned, adds_regressions=adds_regressions)
        if encoder.statistics is not None:
            level = level.with_statistics(encoder.statistics)
        valid = learned.with_statistics().valid
        net = self._net_for(former, learned, random, adds_regressions=adds_regressions)
        if sums.of_groups is not None:
            dataset = replace(dataset, rates=sums.of_groups.table())
        feed = StreamFeed(dataset, encoder, targets, learned.parents, sums, level[:2], content, processes)
        del learned  # and with it the rows that training does not need
        if processes is not None:
            content_of_process = encoder, targets, *feed.identity(), *(arrays_of(*valid) if valid else ())
            processes.check_same(digest_of(*content_of_process), "encoding, or other rows,")
        used_generator = self._train(
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
        if held_out_sums is not None:
            held_out_sums.finish(sums.factors)
        return used_generator if from_scratch and user_generator is not None else None

    def _encode_dataset(
        self, dataset: Dataset, validation: Dataset | None, random: np.random.RandomState, from_scratch: bool
    ) -> tuple[Learned, LabelSums, HeldOutSums | None, str]:
        """Run the passes before the first epoch.

        Returns
        -------
        learned : the encoding, and the encoded rows that are kept in memory, without statistics of the targets.
        sums : sums of the targets over all training rows.
        held_out_sums : what the statistics get after training, sums over the validation rows that were set aside; None
            without any.
        content : digest of all rows, which a resumed fit compares; empty without a checkpoint.
        """
        scanned = first_pass(
            self, dataset, draw_seed(random), None if from_scratch else Growth(self._encoder, grows=self._grows)
        )
        encoder, targets = scanned.encoder, self._new_targets(scanned.labels, None) if from_scratch else self._targets
        parents = self._parents(targets)
        encoding = dataset, encoder, targets, parents
        if from_scratch:
            features, labels = dataset.features_of(scanned.first.frame), encoded([scanned.first], *encoding)[1]
            self._warn_of_columns(encoder, targets, features, labels)
        sample = _encoded_rows(scanned.sample, encoding)
        refuse_weights_that_correct_too(self.negative_sampling_rate, sample[1], parents)
        if from_scratch:
            warn_of_other_steps(targets, sample[1])
        valid, held_out = None, encoded(scanned.valid, *encoding) if scanned.valid else None
        content = scanned.content
        del scanned
        if validation is not None:
            valid = _encoded_rows(validation_blocks(self, validation), (validation, *encoding[1:]))
            refuse_weights_that_correct_too(self.negative_sampling_rate, valid[1], parents)
        elif held_out is not None:
            valid = held_out[0], held_out[1].scaled()
        if valid is not None:
            refuse_unlabeled_validation(valid[1])
        if from_scratch:
            self._choose_statistics(encoder, parents, sample, valid, random)
        more = self._grows and not from_scratch
        sums, held_out_sums = scan(*encoding, more=more)
        warn_of_contradictions(sums.n_happened, targets.names, parents)
        if from_scratch:
            refuse_unlabeled(sums.weights, sums.positive, sums.steps, targets.names, parents)
        if valid is not None:
            self._check_validation(sample[1], valid[1], sums.steps, targets, parents, is_given=validation is not None)
        if from_scratch and encoder.bias is not None and sample[0].bias is not None:
            encoder.take_reference(sample[0].bias)
        if encoder.statistics is not None and not more:
            draw_scale(encoder.statistics, sample[0].codes, sample[1], random)
        learned = Learned(
            encoder=encoder,
            targets=targets,
            parents=parents,
            train=sample,
            valid=valid,
            held_out=None if held_out is None else (held_out[0], sums.scaled(held_out[1])),
            labels=sums.with_largest(sample[1]),
            steps=sums.steps,
            n_training=sums.n_rows,
            n_rows=dataset.source.n_rows,
        )
        return learned, sums, held_out_sums, content


def _encoded_rows(blocks: Sequence[Any], encoding: tuple[Any, ...]) -> LabelledRows:
    """Encode blocks of rows, and scale their weights to a mean of 1."""
    rows, targets = encoded(blocks, *encoding)
    return rows, targets.scaled()


def _synchronised_generator(
    processes: Processes, dataset: Dataset, checkpoint: Checkpoint | None, random: np.random.RandomState
) -> np.random.RandomState:
    """Check that all processes have the same data set, and give all of them the random state of the first process.

    Raises
    ------
    ValueError
        If the processes have different data sets or checkpoints.
    """
    groups = dataset.in_order(0)  # raises if the rows cannot be split among processes
    if len(groups) < processes.size and processes.rank == 0:
        warn(
            f"{processes.size} processes share {len(groups)} row groups, so some have nothing to do. "
            "Write the files with smaller row groups, of about 100,000 rows."
        )
    resumed = checkpoint is not None and checkpoint.resumes
    processes.check_same(digest_of(*dataset.source.identity(), resumed), "data set or checkpoint")
    state = processes.of_first(random.get_state(), "the beginning")
    if processes.rank:
        random = np.random.RandomState()
        random.set_state(state)
    return random
