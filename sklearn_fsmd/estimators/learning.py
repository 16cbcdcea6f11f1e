"""How an estimator learns from a table: its encoding, a network, and what it takes over of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state

from sklearn_fsmd.encoding import (
    Growth,
    InputEncoder,
    LabelledRows,
    StepSums,
    TargetEncoder,
    Targets,
    refuse_unlabeled,
    refuse_unlabeled_validation,
    warn_of_other_steps,
    warn_of_target_columns,
    warn_unlabeled_validation,
)
from sklearn_fsmd.estimators.atomic import generator_of, own_generator
from sklearn_fsmd.estimators.calibration import Calibration, refuse_other_rate, shift_of
from sklearn_fsmd.estimators.reading import Reading
from sklearn_fsmd.estimators.statistics import Statistics
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
    level_rows,
    making,
    trainer,
    validation_rows,
)

WITHOUT_EFFECT = {"checkpoint", "checkpoint_rows", "verbose", "warm_start"}
"""Parameters that may differ where a fit is resumed."""


@estimator
class Learning(Statistics, Calibration, Saving, Reading, ClassifierMixin, BaseEstimator):
    """What fit, partial_fit and fit_dataset have in common."""

    def _learn(self, *args: Any, **kwargs: Any) -> Self:
        """Read and train on a copy, and take over what came of it at once; or nothing, if that fails."""
        return self._learn_atomically(lambda copied, users: copied._read_and_train(users, *args, **kwargs))

    def _read_and_train(
        self,
        users: np.random.RandomState | None,
        X: Any,
        Y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any] | None = None,
        *,
        epochs: int | Literal["auto"],
        goes_on: bool,
        classes: Any = None,
        split: bool = True,
        X_unlabeled: Any = None,
        checkpoint: Checkpoint | None = None,
    ) -> np.random.RandomState | None:
        """Learn the encoding and make a net; or go on with those of the former fit, if it `goes_on` and there is one.

        `users` is a copy of the `RandomState` that was given as `random_state`, or None; returned is what it has come
        to, if it was drawn from.
        """
        self._check_parameters()
        from_scratch = checkpoint is not None or not (goes_on and hasattr(self, "_predictor"))
        X, Y, sample_weight = self._checked(X, Y, sample_weight, from_scratch)
        random = self._generator(users, checkpoint, from_scratch)
        targets = self._new_targets(Y, classes) if from_scratch else self._targets.check_classes(classes)
        parents = self._parents(targets)
        if not (from_scratch or split):
            refuse_other_rate(self.negative_sampling_rate, self.net_.spec_)
        net = None if from_scratch else making.resume_training(self, self.net_)
        labels = targets.encode(Y, sample_weight, parents, scale=split)
        if not split:  # rows of `partial_fit` may be of today
            labels = labels.without_young_steps(parents)
        encoder = InputEncoder(self) if net is None else self._grown(net, X)
        rows = encoder.fit_encode(X, self._like(X, X_unlabeled)) if from_scratch else encoder.encode(X)
        if from_scratch:
            warn_of_target_columns(X, Y)
            warn_of_other_steps(targets, labels)
            self._warn_of_columns(encoder, targets, X, labels)
        data = (rows if X_unlabeled is None else rows.select(np.arange(len(X)))), labels
        valid, held = None, None
        if validation is not None:
            valid = self._given_validation(*validation, X, encoder, targets, parents)
        elif split and validation_rows.wants_split(self, len(data[0])):
            data, valid, held = self._set_aside(data, random)
        if net is not None:
            making.widen(net, data[1])
        steps = StepSums.from_targets(data[1], parents)
        if from_scratch and split:
            refuse_unlabeled(*data[1].totals(), steps, targets.names, parents)
        if valid is not None:
            warn_unlabeled_validation(valid[1], targets, parents)
        if from_scratch:
            self._choose_statistics(encoder, parents, data, valid, random)
        rates = steps.rates(parents)
        if validation is not None and valid is not None:
            self._refuse_unsampled(parents, steps, valid[1])
        level = None
        if split or self.value_targets:  # `partial_fit` leaves probabilities; values are corrected always
            level = level_rows.sample(*data, rates if split else None, self.negative_sampling_rate)
        more = not split or (self._grows and not from_scratch)
        data, valid, level = self._with_statistics(encoder, data, valid, level, random, more=more)
        if net is None:
            resumes = checkpoint is not None and checkpoint.resumes
            unlabeled, n_rows = (None if resumes else rows), (len(X) if split else None)
            net = making.new_net(self, encoder, data[1], rates, random, unlabeled, n_rows)
        drawn = self._train(
            net,
            InMemory(*data),
            valid,
            epochs=epochs,
            encoder=encoder,
            targets=targets,
            random=random,
            checkpoint=checkpoint,
            level=level,
        )
        if encoder.statistics is not None and valid is not None and held is not None:
            # They are rows of X. Those of `X_val` are left out: by these the user may judge.
            encoder.statistics.add(valid[0].codes, held.without_young_steps(parents))
        return drawn if from_scratch and users is not None else None

    def _grown(self, net: Net, X: Any) -> InputEncoder:
        """The encoder for training that goes on; it and the net have rows for what comes up in X."""
        growth = Growth(self._encoder, grows=self._grows)
        growth.update(X)
        encoder = growth.finish()
        making.grow(self, net, self._encoder, encoder)
        return encoder

    def _set_aside(
        self, data: LabelledRows, random: np.random.RandomState
    ) -> tuple[LabelledRows, LabelledRows, Targets]:
        """Rows to train on, rows that validate, and what statistics of the targets count of the latter in the end."""
        seed = self._seed_of_split(random)
        n, packed = getattr(self, "_validating", (0, np.empty(0, np.uint8)))
        before = np.unpackbits(packed, count=n).astype(bool)
        is_valid = validation_rows.chosen(self, data[1], np.random.RandomState(seed), before)
        self._validating: tuple[int, np.ndarray] = len(is_valid), np.packbits(is_valid)
        train, valid, held = validation_rows.split(*data, is_valid)
        refuse_unlabeled_validation(valid[1])
        return train, valid, held

    def _seed_of_split(self, random: np.random.RandomState) -> int:
        """What draws the rows that validate: the same ones when training goes on."""
        if not hasattr(self, "_split_seed"):
            self._split_seed: int = draw_seed(random)
        return self._split_seed

    def _generator(
        self, users: np.random.RandomState | None, checkpoint: Checkpoint | None, from_scratch: bool
    ) -> np.random.RandomState:
        """The generator of the fit. A fit from scratch forgets the former validation rows."""
        if not from_scratch:
            return own_generator(self._random)
        for name in ("_split_seed", "_validating"):
            self.__dict__.pop(name, None)
        return checkpoint.random if checkpoint else generator_of(self.random_state, users)

    def _choose_statistics(
        self,
        encoder: InputEncoder,
        parents: Sequence[int | None],
        train: LabelledRows,
        valid: LabelledRows | None,
        random: np.random.RandomState,
    ) -> None:
        """Decide which columns have statistics of the targets, if there are to be some."""
        if self.target_statistics is None:
            encoder.named_statistics(self.statistics_features)  # which says if there are no such columns
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
        """The same rows with the statistics of the targets, if there are some; they are learned from those to train on.

        These rows add to what the statistics know, if there are to be `more`, or take its place.
        """
        statistics = encoder.statistics
        if statistics is None:
            return train, valid, level
        order = random if self.validation == "random" else None
        train = statistics.learn(encoder.main, *train, order, more=more), train[1]
        valid = None if valid is None else (statistics.append(valid[0]), valid[1])
        return train, valid, None if level is None else level.told(statistics)

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
        """Train the net, and be fitted; returned is what was drawn from, or None if a checkpoint went on."""
        given: dict[str, Any] = {"encoder": encoder, "targets": targets, "random": random, "checkpoint": checkpoint}
        trainer.train(self, net, feed, valid, **given, **options)
        self._take_over(net, encoder, targets, random)
        return None if checkpoint is not None and checkpoint.resumes else random

    @property
    def _grows(self) -> bool:
        """Whether training goes on with new rows, whose values get rows of their own."""
        return self.new_categories == "grow"

    def _check_parameters(self) -> None:
        """Refuse what constraints do not say, before rows are read."""
        check_widths(self, "expert_dims", "gate_dims", "tower_dims", "bias_tower_dims")
        check_callbacks(self.callbacks)

    def _take_over(
        self, net: Net, encoder: InputEncoder, targets: TargetEncoder, random: np.random.RandomState
    ) -> None:
        """Be fitted: keep what was learned."""
        rate = self.negative_sampling_rate
        self.net_: Net = net
        self._predictor = Predictor(net.module_, str(net.device), net.spec_)
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
        """What writes the file named `checkpoint`, and reads it first to `resume`."""
        if self.checkpoint is None:
            if self.checkpoint_rows is not None:
                raise ValueError(
                    f"checkpoint_rows={self.checkpoint_rows} says when to write a file, which the 'checkpoint' "
                    "parameter has to name."
                )
            if resume:
                raise ValueError("resume=True goes on from a file, which the 'checkpoint' parameter has to name.")
            return None
        if self.callbacks is not None and len(self.callbacks):
            raise ValueError(
                "`checkpoint` and `callbacks` do not go together: the file cannot hold what callbacks remember."
            )
        if not from_scratch:
            raise ValueError("`checkpoint` is for a fit from the start; with warm_start this one goes on from another.")
        parameters = {name: value for name, value in self.get_params(deep=False).items() if name not in WITHOUT_EFFECT}
        random = own_generator(check_random_state(self.random_state))
        name, every = type(self).__name__, self.checkpoint_rows
        return Checkpoint(self.checkpoint, name, parameters, random, resume=resume, every=every)
