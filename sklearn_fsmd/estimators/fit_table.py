"""Training on a table in memory."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np

from sklearn_fsmd.encoding import Growth, InputEncoder
from sklearn_fsmd.encoding.targets import (
    LabelledRows,
    StepSums,
    refuse_unlabeled,
    refuse_unlabeled_validation,
    warn_of_other_steps,
    without_young_steps,
)
from sklearn_fsmd.encoding.warnings import warn_of_target_columns
from sklearn_fsmd.estimators.fitting import Fitting
from sklearn_fsmd.estimators.learned import Learned
from sklearn_fsmd.estimators.sampled_logs import refuse_other_rate, refuse_weights_that_correct_too
from sklearn_fsmd.parameters import estimator
from sklearn_fsmd.training import Checkpoint, InMemory, construction, validation_rows


@estimator
class Tables(Fitting):
    """Mixin for an estimator that can be fitted on a table in memory, at once or chunk by chunk."""

    def _learn(self, *args: Any, **kwargs: Any) -> Self:
        """Train a copy on a table, and take its result atomically; see :meth:`_read_and_train`."""
        return self._learn_atomically(
            lambda copied, user_generator: copied._read_and_train(user_generator, *args, **kwargs)
        )

    def _read_and_train(
        self,
        user_generator: np.random.RandomState | None,
        X: Any,
        Y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any] | None = None,
        *,
        epochs: int | Literal["auto"],
        continues: bool,
        is_partial: bool = False,
        classes: Any = None,
        X_unlabeled: Any = None,
        checkpoint: Checkpoint | None = None,
    ) -> np.random.RandomState | None:
        """Learn the encoding, build a net and train it; or train those of the former fit further.

        Parameters
        ----------
        user_generator : copy of the `RandomState` that is the parameter `random_state`, or None.
        continues : whether to continue from the former fit, if there is one.
        is_partial : whether the rows are those of a `partial_fit`. Then weights are not scaled, no validation rows are
            set aside, and the level of probabilities is not corrected at the end.

        Returns
        -------
        generator : `user_generator` after the fit, or None if the fit did not draw from it.
        """
        self._check_parameters()
        from_scratch = checkpoint is not None or not (continues and hasattr(self, "_predictor"))
        random = self._generator(user_generator, checkpoint, from_scratch)
        X, Y, sample_weight = self._check_data(X, Y, sample_weight, from_scratch)
        former = None
        if not from_scratch:
            if is_partial:
                refuse_other_rate(self.negative_sampling_rate, self.net_.spec_)
            former = construction.resume_training(self, self.net_)
        data = X, Y, sample_weight, validation, X_unlabeled, classes
        learned = self._encode_table(*data, random, from_scratch=from_scratch, is_partial=is_partial)
        adds_regressions = from_scratch and self._adds_regressions(learned)
        level = None
        if self.value_targets or not is_partial:
            level = self._level_rows(learned, adds_regressions=adds_regressions)
        statistics, held_out = learned.encoder.statistics, learned.held_out
        if statistics is not None:
            order = random if self.validation == "random" else None
            more = is_partial or (self._grows and not from_scratch)
            rows, labels = learned.train
            with_own = statistics.learn(learned.encoder.main, rows, labels, order, more=more), labels
            learned = learned.with_statistics()._replace(train=with_own)
            level = None if level is None else level.with_statistics(statistics)
        is_resumed = checkpoint is not None and checkpoint.resumes
        net = self._net_for(former, learned, random, adds_regressions=adds_regressions, is_resumed=is_resumed)
        used_generator = self._train(
            net,
            InMemory(*learned.train),
            learned.valid,
            epochs=epochs,
            encoder=learned.encoder,
            targets=learned.targets,
            random=random,
            checkpoint=checkpoint,
            level=level,
        )
        if statistics is not None and held_out is not None:
            # Validation rows that were set aside from X count too. Rows of `X_val` do not: the user may evaluate on
            # them.
            statistics.add(held_out[0].codes, without_young_steps(held_out[1], learned.parents))
        return used_generator if from_scratch and user_generator is not None else None

    def _encode_table(
        self,
        X: Any,
        Y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any] | None,
        X_unlabeled: Any,
        classes: Any,
        random: np.random.RandomState,
        *,
        from_scratch: bool,
        is_partial: bool,
    ) -> Learned:
        """Learn the encoding, or extend that of the former fit, and encode the rows, without statistics of the targets.

        Validation rows are set aside if they are needed and not given.
        """
        targets = self._new_targets(Y, classes) if from_scratch else self._targets.check_classes(classes)
        parents = self._parents(targets)
        labels = targets.encode(Y, sample_weight, parents, scale=not is_partial)
        refuse_weights_that_correct_too(self.negative_sampling_rate, labels, parents)
        if is_partial:  # labels may not be final yet
            labels = without_young_steps(labels, parents)
        if from_scratch:
            encoder = InputEncoder(self)
            rows = encoder.fit_encode(X, self._check_unlabeled(X, X_unlabeled))
            warn_of_target_columns(X, Y)
            warn_of_other_steps(targets, labels)
            self._warn_of_columns(encoder, targets, X, labels)
        else:
            growth = Growth(self._encoder, grows=self._grows)
            growth.update(X)
            encoder = growth.finish()
            rows = encoder.encode(X)
        train = (rows if X_unlabeled is None else rows.select(np.arange(len(X)))), labels
        valid, held_out = None, None
        if validation is not None:
            valid = self._encode_validation(*validation, X, encoder, targets, parents)
        elif not is_partial and validation_rows.wants_split(self, len(X)):
            train, valid, held_out = self._split_validation(train, random)
        steps = StepSums.from_targets(train[1], parents)
        if from_scratch and not is_partial:
            refuse_unlabeled(*train[1].totals(), steps, targets.names, parents)
        if valid is not None:
            self._check_validation(train[1], valid[1], steps, targets, parents, is_given=validation is not None)
        if from_scratch:
            self._choose_statistics(encoder, parents, train, valid, random)
        return Learned(
            encoder=encoder,
            targets=targets,
            parents=parents,
            train=train,
            valid=valid,
            held_out=held_out,
            labels=train[1],
            steps=steps,
            n_training=len(train[0]),
            n_rows=None if is_partial else len(X),
            pretrains_on=rows,
        )

    def _split_validation(
        self, data: LabelledRows, random: np.random.RandomState
    ) -> tuple[LabelledRows, LabelledRows, LabelledRows]:
        """Training rows, validation rows, and the latter with weights in the units of the training rows."""
        seed = self._seed_of_split(random)
        n, packed = getattr(self, "_validating", (0, np.empty(0, np.uint8)))
        was_valid = np.unpackbits(packed, count=n).astype(bool)
        is_valid = validation_rows.choose(self, data[1], np.random.RandomState(seed), was_valid)
        self._validating: tuple[int, np.ndarray] = len(is_valid), np.packbits(is_valid)
        train, valid, held_out = validation_rows.split(*data, is_valid)
        refuse_unlabeled_validation(valid[1])
        return train, valid, held_out
