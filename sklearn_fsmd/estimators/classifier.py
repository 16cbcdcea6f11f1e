"""MultiTaskClassifier: everything that makes a network a scikit-learn estimator."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Self

from sklearn.utils import Tags

from sklearn_fsmd.encoding import one_of
from sklearn_fsmd.estimators.atomic import one_at_a_time
from sklearn_fsmd.estimators.datasets import Datasets
from sklearn_fsmd.parameters import checks_parameters, estimator
from sklearn_fsmd.persistence import FORMAT_1_DEFAULTS, flat_history, network_state, restore_network
from sklearn_fsmd.training import making


@estimator
class MultiTaskClassifier(Datasets):
    """Learn several binary targets at once: click and conversion, or any chain, tree or set of targets.

    The network has four parts, each a parameter: embeddings feed a low-order part and an extractor with a tower per
    task; a link turns the tasks' logits into probabilities [FSMD]_.

    Attributes
    ----------
    classes_ : list of n_tasks arrays of shape (2,), or array of shape (2,)
        The classes of each target; an array where Y was one-dimensional.
    task_names_ : list of str
        The columns of Y; where it has no names "y" of one target, "click" and "conversion" of two, else "task0", ….
    value_names_ : list of str
        The columns of Y that hold values; "value0", … where it has no names.
    n_features_in_ : int
        Number of columns of X in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
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
        `negative_sampling_rate`. None if nothing is corrected.
    device_ : str
        The device that the network is on, such as "cpu".

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

    @checks_parameters
    @one_at_a_time
    def fit(
        self,
        X: Any,
        Y: Any = None,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        Y_val: Any = None,
        sample_weight_val: Any = None,
        X_unlabeled: Any = None,
        resume: bool = False,
        y: Any = None,
    ) -> Self:
        """Learn the targets `Y` from `X`.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Strings, categories, booleans, numbers and missing values are welcome. Rows of X and Y are paired by
            position.
        Y : array-like of shape (n_samples,) or (n_samples, n_columns)
            Two classes per binary target; columns of `value_targets` hold numbers. NaN in a column of a 2-D Y means
            "not observed". In a chain, a step after a 0 is a 0; rows where it is a 1 are warned of.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
            Weights of the rows, or of each label: a column for each column of Y.
        X_val, Y_val : as X and Y, default=None
            Validation data, instead of a part of X and Y: for early stopping, and for how bold predictions are in the
            end.
        sample_weight_val : as `sample_weight`, default=None
            Weights of the validation data. None counts each row as 1, whatever `sample_weight` says of X.
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
        TypeError
            If a column of X holds what is neither a number nor a category, such as dates.
        FloatingPointError
            If the loss is no longer finite.
        """
        if (X_val is None) != (Y_val is None):
            raise ValueError("`X_val` and `Y_val` go together; only one of them was given.")
        if sample_weight_val is not None and X_val is None:
            raise ValueError("`sample_weight_val` is for the rows of `X_val`, which was not given.")
        from_scratch = not (self.warm_start and hasattr(self, "_predictor"))
        if X_unlabeled is not None and not (self.pretrain_epochs and from_scratch):
            why = "it goes on from a former fit" if self.pretrain_epochs else "pretrain_epochs is 0"
            raise ValueError(f"`X_unlabeled` is for pretraining, which this fit has none of: {why}.")
        validation = None if X_val is None else (X_val, Y_val, sample_weight_val)
        checkpoint = self._checkpoint(from_scratch, resume)
        options = {"epochs": self.max_epochs, "X_unlabeled": X_unlabeled, "checkpoint": checkpoint}
        options["goes_on"] = self.warm_start
        return self._learn(X, one_of(Y, y), sample_weight, validation, **options)

    @checks_parameters
    def partial_fit(
        self, X: Any, Y: Any = None, classes: Any = None, sample_weight: Any = None, *, y: Any = None
    ) -> Self:
        """Train for one pass over a part of the data.

        The first call learns the encoding of X. Values that come up later are unknown ones, or get rows of their own:
        see the parameter `new_categories`. A step of which nothing is known where it could have happened is left out:
        in rows that are too young its labels are 0s alone. A calibration is removed.

        Parameters
        ----------
        X, Y : as in :meth:`fit`.
        classes : array of shape (2,), or list of n_tasks arrays, default=None
            The classes of the targets, if the first call may not show both of each.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
            As in :meth:`fit`, but not scaled to a mean of 1, for a part of the data is no measure: 1 is what the mean
            row of `fit` counted.
        y : as in :meth:`fit`.

        Returns
        -------
        self : the fitted estimator.
        """
        if hasattr(self, "_predictor"):
            self._validate_params()  # which scikit-learn does for the first call alone
        return self._learn(X, one_of(Y, y), sample_weight, epochs=1, goes_on=True, classes=classes, split=False)

    def __getattr__(self, name: str) -> Any:
        """`net_` of an estimator that was read from a file: it is made when somebody asks, and scoring does not."""
        if name != "net_" or "_predictor" not in self.__dict__:
            return object.__getattribute__(self, name)  # which raises the usual AttributeError
        self.net_ = making.net_of(self._predictor, self.history_)
        return self.net_

    def __getstate__(self) -> dict[str, Any]:
        """Parameters and fitted state, the network as plain arrays of weights: small, and safe to look at."""
        # What an __init__ of the user's own leaves to the class is said too: what is missing is of former versions.
        state = {field.name: getattr(self, field.name) for field in fields(self)} | dict(super().__getstate__())
        predictor, _ = state.pop("_predictor", None), state.pop("net_", None)
        return state if predictor is None else {**state, "net_": network_state(predictor, self.history_)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        parameters = {field.name for field in fields(self)}
        state = {name: value for name, value in FORMAT_1_DEFAULTS.items() if name in parameters} | dict(state)
        frozen = state.pop("net_", None)
        if frozen is not None:
            state.setdefault("calibration_", None)
            state["history_"] = flat_history(state["history_"], state["task_names_"])
        super().__setstate__(state)
        if frozen is not None:
            self._predictor = restore_network(self._encoder, len(self._targets.classes), frozen)
            self.device_ = self._predictor.device

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.multi_label = True
        return tags
