"""MultiTaskClassifier: everything that makes a network a scikit-learn estimator."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_consistent_length

from sklearn_fsmd.encoding import (
    InputEncoder,
    TargetEncoder,
    as_pandas,
    one_of,
    read_table,
    warn_of_ids,
    warn_of_numbers,
)
from sklearn_fsmd.estimators.calibration import Calibration, shift_of
from sklearn_fsmd.estimators.exchange import generator_of, own_generator
from sklearn_fsmd.estimators.tables import TakesTables
from sklearn_fsmd.inference import Predictor
from sklearn_fsmd.network import parents_of
from sklearn_fsmd.parameters import MultiTaskParameters, check_widths, estimator
from sklearn_fsmd.persistence import BEFORE, Saving, flat_history, freeze, thaw
from sklearn_fsmd.training import Checkpoint, Net, trainer, validation_rows

WITHOUT_EFFECT = {"checkpoint", "verbose", "warm_start"}
"""Parameters that may differ where a fit is resumed."""


@estimator
class MultiTaskClassifier(Calibration, Saving, TakesTables, ClassifierMixin, MultiTaskParameters, BaseEstimator):
    """Learn several binary targets at once: click and conversion, or any chain, tree or set of targets.

    The network has four parts, each a parameter: embeddings feed a low-order part and an extractor with a tower a
    task; a link turns the tasks' logits into probabilities [FSMD]_.

    Attributes
    ----------
    classes_ : list of n_tasks arrays of shape (2,), or array of shape (2,)
        The classes of each target; an array where Y was one-dimensional.
    task_names_ : list of str
        The columns of Y, or "click", "conversion" (of two), "task0", … where it has no names.
    value_names_ : list of str
        The columns of Y that hold values; "value0", … where it has no names.
    n_features_in_ : int
        Number of columns of X in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns of X, where all are strings.
    n_iter_ : int
        Number of epochs that were run.
    history_ : list of dict
        For each epoch the losses, the validation AUC of each task and the seconds it took.
    net_ : skorch.NeuralNet
        The fitted net.
    module_ : torch.nn.Module
        The fitted network.
    calibration_ : ndarray of shape (n_tasks, 2) or None
        Slope and intercept by which the log-odds of each step are corrected: by :meth:`calibrate`, or for
        `negative_sampling_rate`. None if they are not.
    device_ : str
        Where it is.

    References
    ----------
    .. [FSMD] Z. Yang, P. Liu, P. Lu, "Personalized Recommendation Multi-Objective Optimization Model Based on Deep
       Learning".

    Examples
    --------
    >>> from sklearn_fsmd import MultiTaskClassifier
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> X, Y = make_funnel(n_samples=500, random_state=0, return_X_y=True)
    >>> model = MultiTaskClassifier(max_epochs=2, random_state=0).fit(X, Y)
    >>> model.predict_marginals(X).shape
    (500, 2)
    """

    # ---------------------------------------------------------------------------------------------------- learning

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        Y: Any = None,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        Y_val: Any = None,
        X_unlabeled: Any = None,
        resume: bool = False,
        y: Any = None,
    ) -> MultiTaskClassifier:
        """Learn the targets `Y` from `X`.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Strings, categories, booleans, numbers and missing values are welcome.
        Y : array-like of shape (n_samples,) or (n_samples, n_tasks)
            Two classes per task. NaN in a column of a 2-D Y means "not observed". In a chain, a step after a 0 is a 0.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weights of the rows, or of each label.
        X_val, Y_val : as X and Y, default=None
            Validation data for early stopping, instead of a part of X and Y.
        X_unlabeled : as X, default=None
            Further rows without targets, from which categories, bins and, by pretraining, embeddings are learned. With
            `pretrain_epochs`.
        resume : bool, default=False
            Go on from the file that the parameter `checkpoint` names, which a fit with the same data and parameters
            left behind when it was interrupted: the outcome is the same to the last bit. Without such a file the fit
            starts from the beginning.
        y : default=None
            Another name of Y, for tools that pass it by this one.

        Returns
        -------
        self : the fitted estimator.

        Raises
        ------
        ValueError
            If X or Y cannot be read, if a parameter is out of range, or if parameters contradict each other.
        FloatingPointError
            If the loss is no longer finite.
        """
        if (X_val is None) != (Y_val is None):
            raise ValueError("`X_val` and `Y_val` go together; only one of them was given.")
        anew = not (self.warm_start and hasattr(self, "_predictor"))
        if X_unlabeled is not None and not (self.pretrain_epochs and anew):
            why = "it goes on from a former fit" if self.pretrain_epochs else "pretrain_epochs is 0"
            raise ValueError(f"`X_unlabeled` is for pretraining, which this fit has none of: {why}.")
        validation = None if X_val is None else (X_val, Y_val)
        checkpoint = self._checkpoint(anew, resume)
        options = {"epochs": self.max_epochs, "anew": anew, "X_unlabeled": X_unlabeled, "checkpoint": checkpoint}
        return self._learn(X, one_of(Y, y), sample_weight, validation, **options)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, Y: Any = None, classes: Any = None, sample_weight: Any = None, *, y: Any = None
    ) -> MultiTaskClassifier:
        """Train for one pass over a part of the data.

        The first call learns the encoding of X: values that come up later are unknown ones.

        Parameters
        ----------
        X, Y, sample_weight, y : as in :meth:`fit`.
        classes : array of shape (2,), or list of n_tasks arrays, default=None
            The classes of the targets, if the first call may not show both of each.

        Returns
        -------
        self : the fitted estimator.
        """
        anew = not hasattr(self, "_predictor")
        return self._learn(X, one_of(Y, y), sample_weight, epochs=1, anew=anew, classes=classes, split=False)

    def _learn(self, *args: Any, **kwargs: Any) -> MultiTaskClassifier:
        """Read and train on a copy, and take over what came of it at once; or nothing, if that fails."""
        return self._exchange(lambda beside, users: beside._read_and_train(users, *args, **kwargs))

    def _read_and_train(
        self,
        users: np.random.RandomState | None,
        X: Any,
        Y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any] | None = None,
        *,
        epochs: int,
        anew: bool,
        classes: Any = None,
        split: bool = True,
        X_unlabeled: Any = None,
        checkpoint: Checkpoint | None = None,
    ) -> np.random.RandomState | None:
        """With `anew` learn the encoding and make a net, otherwise go on with those of the former fit.

        `users` is a copy of the user's generator; returned is what it has come to, if it was drawn from.
        """
        check_widths(self, "expert_dims", "gate_dims", "tower_dims", "bias_tower_dims")
        if Y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        X = read_table(self, X, reset=anew)
        Y, sample_weight = as_pandas(Y), as_pandas(sample_weight)
        check_consistent_length(X, Y)
        if anew:
            random = checkpoint.random if checkpoint else generator_of(self.random_state, users)
        else:
            random = own_generator(self._random)
        targets = self._new_targets(Y, classes) if anew else self._targets.check_classes(classes)
        parents = parents_of(self.link, len(targets.classes))
        if self.chain_loss != type(self).chain_loss and all(parent is None for parent in parents):
            raise ValueError(
                f"chain_loss={self.chain_loss!r} is for targets that are steps after others, and here none is: there "
                f"{'is one target' if len(parents) == 1 else f'are {len(parents)}'}, with link={self.link!r}."
            )
        calibration = None if self.negative_sampling_rate == 1 else shift_of(self.negative_sampling_rate, parents)
        net = None if anew else trainer.go_on_with(self, self.net_)
        labels = targets.encode(Y, sample_weight, parents, scale=split)
        encoder = InputEncoder(self) if anew else self._encoder.copy()
        rows = encoder.fit_encode(X, self._like(X, X_unlabeled)) if anew else encoder.encode(X)
        if anew and isinstance(self.categorical_features, str) and self.categorical_features == "from_dtype":
            part = encoder.main_part(X)
            warn_of_ids(encoder.main, part, labels, np.flatnonzero(~encoder.is_bias))
            warn_of_numbers(encoder.main, part)
        data = (rows if X_unlabeled is None else rows.select(np.arange(len(X)))), labels
        valid = None
        if validation is not None:
            X_val, Y_val = read_table(self, validation[0], reset=False), as_pandas(validation[1])
            check_consistent_length(X_val, Y_val)
            valid = encoder.encode(X_val), targets.encode(Y_val, None, parents)
        elif split and validation_rows.wants_split(self, len(data[0])):
            if anew or not hasattr(self, "_split_seed"):
                self._split_seed = trainer.draw_seed(random)  # the same rows validate when training goes on
            data, valid = validation_rows.split(self, *data, np.random.RandomState(self._split_seed))
        if anew and self.target_statistics is not None:
            encoder.choose_statistics(self.statistics_features, parents, data, valid, random)
        level = validation_rows.sample(*data) if split else None
        if encoder.statistics is not None:
            order = random if self.validation == "random" else None
            learned = encoder.statistics.learn(encoder.main, *data, order, more=not split)
            data = learned, data[1]
            level = None if level is None else (encoder.statistics.append(level[0]), level[1])
            valid = None if valid is None else (encoder.statistics.append(valid[0]), valid[1])

        if net is None:
            resumes = checkpoint is not None and checkpoint.resumes
            net = trainer.new_net(self, encoder, data[1], random, None if resumes else rows)
        options: dict[str, Any] = {
            "epochs": epochs,
            "encoder": encoder,
            "targets": targets,
            "random": random,
            "checkpoint": checkpoint,
            "level": level,
        }
        trainer.train(self, net, data, valid, **options)
        self.net_: Net = net
        self._predictor = Predictor(net.module_, str(net.device), net.spec_)
        self._encoder: InputEncoder = encoder
        self._targets: TargetEncoder = targets
        self._random: np.random.RandomState = random
        self.task_names_ = targets.names
        self.classes_ = targets.classes[0] if targets.one_dimensional else targets.classes
        self.calibration_ = calibration
        self.device_ = str(net.device)
        self.history_ = net.epochs()
        self.n_iter_ = len(self.history_)
        resumed = checkpoint is not None and checkpoint.was_resumed
        return random if anew and users is not None and not resumed else None

    def _new_targets(self, Y: Any, classes: Any) -> TargetEncoder:
        return TargetEncoder().fit(
            Y,
            classes,
            value_targets=self.value_targets,
            value_parents=self.value_parents,
            value_loss=self.value_loss,
        )

    def _checkpoint(self, anew: bool, resume: bool) -> Checkpoint | None:
        """What writes the file named `checkpoint`, and reads it first to `resume`."""
        if self.checkpoint is None:
            if resume:
                raise ValueError("resume=True goes on from a file, which the 'checkpoint' parameter has to name.")
            return None
        if self.callbacks:
            raise ValueError(
                "`checkpoint` and `callbacks` do not go together: the file cannot hold what callbacks remember."
            )
        if not anew:
            raise ValueError("`checkpoint` is for a fit from the start; with warm_start this one goes on from another.")
        parameters = {name: value for name, value in self.get_params(deep=False).items() if name not in WITHOUT_EFFECT}
        random = own_generator(check_random_state(self.random_state))
        return Checkpoint(self.checkpoint, type(self).__name__, parameters, random, resume=resume)

    def _like(self, X: Any, X_unlabeled: Any) -> Any:
        """X_unlabeled checked: it has the columns of X."""
        if X_unlabeled is None:
            return None
        X_unlabeled = as_pandas(X_unlabeled)
        if isinstance(X, pd.DataFrame) != isinstance(X_unlabeled, pd.DataFrame):
            raise TypeError(f"X and `X_unlabeled` must be of one kind. Got {type(X)} and {type(X_unlabeled)}.")
        if isinstance(X, pd.DataFrame) and list(X.columns) != list(X_unlabeled.columns):
            raise ValueError(
                "The columns of `X_unlabeled` must be those of X, in their order. "
                f"X has {list(X.columns)}, `X_unlabeled` has {list(X_unlabeled.columns)}."
            )
        return read_table(self, X_unlabeled, reset=False)

    def __getattr__(self, name: str) -> Any:
        """`net_` of an estimator that was read from a file: it is made when somebody asks, and scoring does not."""
        if name != "net_" or "_predictor" not in self.__dict__:
            return object.__getattribute__(self, name)  # which raises the error of the first look
        self.net_ = trainer.net_of(self._predictor, self.history_)
        return self.net_

    def __getstate__(self) -> dict[str, Any]:
        """Parameters and fitted state, the network as plain arrays of weights: small, and safe to look at."""
        state = dict(super().__getstate__())
        predictor, _ = state.pop("_predictor", None), state.pop("net_", None)
        return state if predictor is None else {**state, "net_": freeze(predictor, self.history_)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        parameters = {field.name for field in fields(self)}
        state = {name: value for name, value in BEFORE.items() if name in parameters} | dict(state)
        frozen = state.pop("net_", None)
        if frozen is not None:
            state.setdefault("calibration_", None)
            state["history_"] = flat_history(state["history_"], state["task_names_"])
        super().__setstate__(state)
        if frozen is not None:
            self._predictor = thaw(self._encoder, len(self._targets.classes), frozen)
            self.device_ = self._predictor.device

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        tags.classifier_tags.multi_class = False
        return tags
