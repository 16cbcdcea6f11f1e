"""Training on a table in memory: the encoding, the network, and the fitted attributes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state

from sklearn_fsmd.encoding import Growth, InputEncoder
from sklearn_fsmd.encoding.targets import (
    LabelledRows,
    StepSums,
    TargetEncoder,
    refuse_unlabeled,
    refuse_unlabeled_validation,
    warn_of_other_steps,
    without_young_steps,
)
from sklearn_fsmd.encoding.warnings import warn_of_target_columns
from sklearn_fsmd.estimators.atomic import copy_generator, generator_of
from sklearn_fsmd.estimators.calibration import Calibration
from sklearn_fsmd.estimators.input_checks import Reading
from sklearn_fsmd.estimators.sampled_logs import (
    noted,
    refuse_other_rate,
    refuse_unsampled_rows,
    refuse_weights_that_correct_too,
    shift_of,
)
from sklearn_fsmd.estimators.update_statistics import Statistics
from sklearn_fsmd.inference import Predictor
from sklearn_fsmd.parameters import check_widths, estimator
from sklearn_fsmd.parameters.machine import draw_seed
from sklearn_fsmd.persistence import Saving
from sklearn_fsmd.training import (
    Checkpoint,
    Feed,
    InMemory,
    Net,
    check_callbacks,
    construction,
    level_rows,
    regression_rows,
    trainer,
    validation_rows,
)

WITHOUT_EFFECT = {"checkpoint", "checkpoint_rows", "verbose"}
"""Parameters that may change when a fit is resumed."""


@estimator
class Learning(Statistics, Calibration, Saving, Reading, ClassifierMixin, BaseEstimator):
    """Mixin with the parts of training that fit, partial_fit and fit_dataset share."""

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
        X, Y, sample_weight = self._check_data(X, Y, sample_weight, from_scratch)
        random = self._generator(user_generator, checkpoint, from_scratch)
        targets = self._new_targets(Y, classes) if from_scratch else self._targets.check_classes(classes)
        parents = self._parents(targets)
        net = None if from_scratch else self._net_to_continue(is_partial=is_partial)
        labels = targets.encode(Y, sample_weight, parents, scale=not is_partial)
        refuse_weights_that_correct_too(self.negative_sampling_rate, labels, parents)
        if is_partial:  # labels may not be final yet
            labels = without_young_steps(labels, parents)
        if net is None:
            encoder = InputEncoder(self)
            rows = encoder.fit_encode(X, self._check_unlabeled(X, X_unlabeled))
            warn_of_target_columns(X, Y)
            warn_of_other_steps(targets, labels)
            self._warn_of_columns(encoder, targets, X, labels)
        else:
            encoder = self._grow_encoder(net, X)
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
        if net is None:
            self._choose_statistics(encoder, parents, train, valid, random)
        else:
            self._refuse_unsampled_rows(steps, parents)
            construction.widen(net, train[1])
        rates, level = steps.rates(parents), None
        if self.value_targets or not is_partial:  # `partial_fit` corrects only the level of values
            level = level_rows.sample(*train, None if is_partial else rates, self.negative_sampling_rate)
        more = is_partial or (self._grows and not from_scratch)
        adds_regressions, n_training = False, len(train[0])
        n_events = regression_rows.n_events_of(steps, train[1], n_training)
        if net is None and not is_partial:
            adds_regressions = regression_rows.adds_regressions(
                self, len(X), train[0], n_events, n_training, encoder.main
            )
        if level is not None and adds_regressions:
            data = train, held_out, parents, n_events, len(encoder.main.categories)
            level = level._replace(of_regressions=regression_rows.rows_of_fits(self, *data))
        train, valid, level = self._with_statistics(encoder, train, valid, level, random, more=more)
        if net is None:
            resumes = checkpoint is not None and checkpoint.resumes
            unlabeled, n_rows = (None if resumes else rows), (None if is_partial else len(X))
            net = construction.new_net(self, encoder, train[1], rates, random, unlabeled, n_rows, adds_regressions)
        if from_scratch or not is_partial:
            net.spec_ = noted(net.spec_, steps, parents)
        used_generator = self._train(
            net,
            InMemory(*train),
            valid,
            epochs=epochs,
            encoder=encoder,
            targets=targets,
            random=random,
            checkpoint=checkpoint,
            level=level,
        )
        if encoder.statistics is not None and held_out is not None:
            # Validation rows that were set aside from X count too. Rows of `X_val` do not: the user may evaluate on
            # them.
            encoder.statistics.add(held_out[0].codes, without_young_steps(held_out[1], parents))
        return used_generator if from_scratch and user_generator is not None else None

    def _net_to_continue(self, *, is_partial: bool) -> Net:
        """A copy of the net of the former fit, to train it further with the parameters of now."""
        if is_partial:
            refuse_other_rate(self.negative_sampling_rate, self.net_.spec_)
        return construction.resume_training(self, self.net_)

    def _refuse_unsampled_rows(self, steps: StepSums, parents: Sequence[int | None]) -> None:
        """Raise if rows of further training are clearly not sampled, and those of the former fit were, as now."""
        spec = self._predictor.spec
        if spec.get("negative_sampling_rate", 1.0) == self.negative_sampling_rate:
            refuse_unsampled_rows(spec, steps, parents)

    def _grow_encoder(self, net: Net, X: Any) -> InputEncoder:
        """Return an encoder that knows the new values of X, and add rows for them to the tables of the net."""
        growth = Growth(self._encoder, grows=self._grows)
        growth.update(X)
        encoder = growth.finish()
        construction.grow(self, net, self._encoder, encoder)
        return encoder

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

    def _seed_of_split(self, random: np.random.RandomState) -> int:
        """Seed that draws the validation rows. It is kept, so that further training draws the same rows."""
        if not hasattr(self, "_split_seed"):
            self._split_seed: int = draw_seed(random)
        return self._split_seed

    def _generator(
        self, user_generator: np.random.RandomState | None, checkpoint: Checkpoint | None, from_scratch: bool
    ) -> np.random.RandomState:
        """Random generator of the fit. A fit from scratch also forgets the former validation rows."""
        if not from_scratch:
            return copy_generator(self._random)
        for name in ("_split_seed", "_validating"):
            self.__dict__.pop(name, None)
        return checkpoint.random if checkpoint else generator_of(self.random_state, user_generator)

    def _choose_statistics(
        self,
        encoder: InputEncoder,
        parents: Sequence[int | None],
        train: LabelledRows,
        valid: LabelledRows | None,
        random: np.random.RandomState,
    ) -> None:
        """Choose the columns that get statistics of the targets, if any are requested."""
        if self.target_statistics is None:
            encoder.named_statistics(self.statistics_features)  # raises if there are no such columns
        else:
            encoder.choose_statistics(self.statistics_features, parents, train, valid, random)

    def _with_statistics(
        self,
        encoder: InputEncoder,
        train: LabelledRows,
        valid: LabelledRows | None,
        level: level_rows.LevelRows | None,
        random: np.random.RandomState,
        *,
        more: bool,
    ) -> tuple[LabelledRows, LabelledRows | None, level_rows.LevelRows | None]:
        """Learn the statistics of the targets from the training rows, if there are any, and append them to all rows.

        With `more`, the training rows are added to those that the statistics contain; otherwise they replace them.
        """
        statistics = encoder.statistics
        if statistics is None:
            return train, valid, level
        order = random if self.validation == "random" else None
        train = statistics.learn(encoder.main, *train, order, more=more), train[1]
        valid = None if valid is None else (statistics.append(valid[0]), valid[1])
        return train, valid, None if level is None else level.with_statistics(statistics)

    def _train(
        self,
        net: Net,
        feed: Feed,
        valid: LabelledRows | None,
        *,
        encoder: InputEncoder,
        targets: TargetEncoder,
        random: np.random.RandomState,
        checkpoint: Checkpoint | None,
        **options: Any,
    ) -> np.random.RandomState | None:
        """Train the net and set the fitted attributes.

        Returns
        -------
        random : the generator of the fit, or None if the fit was resumed from a checkpoint, which has its own.
        """
        state: dict[str, Any] = {"encoder": encoder, "targets": targets, "random": random, "checkpoint": checkpoint}
        trainer.train(self, net, feed, valid, **state, **options)
        self._set_fitted_attributes(net, encoder, targets, random)
        return None if checkpoint is not None and checkpoint.resumes else random

    @property
    def _grows(self) -> bool:
        """Whether values that come up in further training get embeddings of their own."""
        return self.new_categories == "grow"

    def _check_parameters(self) -> None:
        """Check what the parameter constraints cannot express, before rows are read."""
        check_widths(self, "expert_dims", "gate_dims", "tower_dims", "bias_tower_dims")
        check_callbacks(self.callbacks)

    def _set_fitted_attributes(
        self, net: Net, encoder: InputEncoder, targets: TargetEncoder, random: np.random.RandomState
    ) -> None:
        rate = self.negative_sampling_rate
        self._predictor = Predictor(net.module_, str(net.device), net.spec_, net)
        self._encoder: InputEncoder = encoder
        self._targets: TargetEncoder = targets
        self._random: np.random.RandomState = random
        self.task_names_ = targets.names
        self.classes_ = targets.classes[0] if targets.one_dimensional else targets.classes
        self.calibration_ = None if rate == 1 else shift_of(rate, self._parents(targets))
        self.device_ = str(net.device)
        self.history_ = net.epochs()
        self.n_iter_ = len(self.history_)

    def _checkpoint(self, from_scratch: bool, resume: bool) -> Checkpoint | None:
        """The object that writes the file of the parameter `checkpoint`, and reads it first to `resume`."""
        if self.checkpoint is None:
            if self.checkpoint_rows is not None:
                raise ValueError(
                    f"checkpoint_rows={self.checkpoint_rows} sets when a file is written, which the 'checkpoint' "
                    "parameter has to name."
                )
            if resume:
                raise ValueError("resume=True continues from a file, which the 'checkpoint' parameter has to name.")
            return None
        if self.callbacks is not None and len(self.callbacks):
            raise ValueError(
                "`checkpoint` and `callbacks` do not go together: the file cannot hold the state of callbacks."
            )
        if not from_scratch:
            raise ValueError(
                "`checkpoint` is for a fit from the start; with warm_start this one continues a former fit."
            )
        parameters = {name: value for name, value in self.get_params(deep=False).items() if name not in WITHOUT_EFFECT}
        random = copy_generator(check_random_state(self.random_state))
        name, every = type(self).__name__, self.checkpoint_rows
        return Checkpoint(self.checkpoint, name, parameters, random, resume=resume, every=every)
