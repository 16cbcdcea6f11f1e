"""What fits of tables and of data sets share: the net, the rows that correct it, and the fitted attributes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state

from sklearn_fsmd.encoding import InputEncoder
from sklearn_fsmd.encoding.targets import LabelledRows, TargetEncoder
from sklearn_fsmd.estimators.atomic import copy_generator, generator_of
from sklearn_fsmd.estimators.calibration import Calibration
from sklearn_fsmd.estimators.input_checks import Reading
from sklearn_fsmd.estimators.learned import Learned
from sklearn_fsmd.estimators.sampled_logs import noted, refuse_unsampled_rows, shift_of
from sklearn_fsmd.estimators.update_statistics import Statistics
from sklearn_fsmd.inference import Predictor
from sklearn_fsmd.parameters import check_widths, estimator
from sklearn_fsmd.parameters.machine import draw_seed
from sklearn_fsmd.persistence import Saving
from sklearn_fsmd.training import (
    Checkpoint,
    Feed,
    Net,
    check_callbacks,
    construction,
    level_rows,
    regression_rows,
    trainer,
)

WITHOUT_EFFECT = {"checkpoint", "checkpoint_rows", "verbose"}
"""Parameters that may change when a fit is resumed."""


@estimator
class Fitting(Statistics, Calibration, Saving, Reading, ClassifierMixin, BaseEstimator):
    """Mixin with the parts of training that do not depend on where the rows are."""

    def _check_parameters(self) -> None:
        """Check what the parameter constraints cannot express, before rows are read."""
        check_widths(self, "expert_dims", "gate_dims", "tower_dims", "bias_tower_dims")
        check_callbacks(self.callbacks)

    @property
    def _grows(self) -> bool:
        """Whether values that come up in further training get embeddings of their own."""
        return self.new_categories == "grow"

    def _generator(
        self, user_generator: np.random.RandomState | None, checkpoint: Checkpoint | None, from_scratch: bool
    ) -> np.random.RandomState:
        """Random generator of the fit. A fit from scratch also forgets the former validation rows."""
        if not from_scratch:
            return copy_generator(self._random)
        for name in ("_split_seed", "_validating"):
            self.__dict__.pop(name, None)
        return checkpoint.random if checkpoint else generator_of(self.random_state, user_generator)

    def _seed_of_split(self, random: np.random.RandomState) -> int:
        """Seed that draws the validation rows. It is kept, so that further training draws the same rows."""
        if not hasattr(self, "_split_seed"):
            self._split_seed: int = draw_seed(random)
        return self._split_seed

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

    def _adds_regressions(self, learned: Learned) -> bool:
        """Whether a new network is averaged with regressions at the end of the fit."""
        if learned.n_rows is None:
            return False
        return regression_rows.adds_regressions(
            self, learned.n_rows, learned.train[0], learned.n_events, learned.n_training, learned.encoder.main
        )

    def _level_rows(self, learned: Learned, *, adds_regressions: bool) -> level_rows.LevelRows:
        """The rows by which predictions are corrected, without statistics of the targets.

        `partial_fit` corrects only the level of values.
        """
        rates = None if learned.n_rows is None else learned.rates
        level = level_rows.sample(*learned.train, rates, self.negative_sampling_rate)
        if not adds_regressions:
            return level
        fits = regression_rows.rows_of_fits(
            self,
            learned.train,
            learned.held_out,
            learned.parents,
            learned.n_events,
            len(learned.encoder.main.categories),
        )
        return level._replace(of_regressions=fits)

    def _net_for(
        self,
        former: Net | None,
        learned: Learned,
        random: np.random.RandomState,
        *,
        adds_regressions: bool,
        is_resumed: bool = False,
    ) -> Net:
        """A new net, or the `former` one, widened for values and categories that it does not know.

        `is_resumed` means that weights are read from a checkpoint, so there is no need to pretrain.
        """
        if former is None:
            unlabeled = None if is_resumed else learned.pretrains_on
            net = construction.new_net(
                self,
                learned.encoder,
                learned.labels,
                learned.rates,
                random,
                unlabeled,
                learned.n_rows,
                adds_regressions=adds_regressions,
            )
        else:
            net = former
            spec = self._predictor.spec
            if spec.get("negative_sampling_rate", 1.0) == self.negative_sampling_rate:
                refuse_unsampled_rows(spec, learned.steps, learned.parents)
            construction.grow(self, net, self._encoder, learned.encoder)
            construction.widen(net, learned.labels)
        if former is None or learned.n_rows is not None:
            net.spec_ = noted(net.spec_, learned.steps, learned.parents)
        return net

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
        """Train the net and set the fitted attributes; for the arguments see :func:`trainer.train`.

        Returns
        -------
        random : the generator of the fit, or None if the fit was resumed from a checkpoint, which has its own.
        """
        state: dict[str, Any] = {"encoder": encoder, "targets": targets, "random": random, "checkpoint": checkpoint}
        trainer.train(self, net, feed, valid, **state, **options)
        self._set_fitted_attributes(net, encoder, targets, random)
        return None if checkpoint is not None and checkpoint.resumes else random

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
