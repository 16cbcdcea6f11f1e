"""MultiTaskClassifier: the general scikit-learn estimator of the package."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Self

from sklearn.utils import Tags

from sklearn_fsmd.encoding.targets import one_of
from sklearn_fsmd.estimators.atomic import one_at_a_time
from sklearn_fsmd.estimators.fit_dataset import Datasets
from sklearn_fsmd.estimators.fit_table import Tables
from sklearn_fsmd.parameters import checks_parameters, estimator
from sklearn_fsmd.persistence import FORMAT_1_DEFAULTS, flat_history, network_state, restore_network


@estimator
class MultiTaskClassifier(Tables, Datasets):
    """Learn several binary targets at once: click and conversion, or any chain, tree or set of targets.

    The network has four parts, each set by a parameter. Embeddings feed a low-order part and an extractor with a tower
    per task. A link turns the logits of the tasks into probabilities [FSMD]_.

    Attributes
    ----------
    classes_ : list of n_tasks arrays of shape (2,), or array of shape (2,)
        The classes of each target; a single array if Y was one-dimensional.
    task_names_ : list of str
        Names of the binary columns of Y. If Y has no names: "y" for one target, "click" and "conversion" for two, and
        "task0", "task1", … for more.
    value_names_ : list of str
        Names of the columns of Y that hold values; "value0", "value1", … if Y has no names.
    n_features_in_ : int
        Number of columns of X in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of X. Defined only if all of them are strings.
    n_iter_ : int
        Number of epochs that were run.
    history_ : list of dict
        For each epoch the losses, the scores of the better validation check, and the duration: `epoch`, `train_loss`,
        `dur` (seconds); with validation rows `valid_loss`, `valid_auc` (the mean over the tasks), `valid_auc_<task>`,
        `valid_auc_<task>_given_<step>`, `valid_loss_<value>`, and `valid_best`, which is 1 if it is the best check so
        far; and what `task_weighting` has found, such as `task_weight_<task>`.
    net_ : skorch.NeuralNet
        The skorch net that trained the network.
    module_ : torch.nn.Module
        The fitted network.
    network_shares_ : ndarray of shape (n_tasks + n_values,) or None
        Share of the network in the log-odds of each step, and then in each expected value; the rest is that of a
        regression. None if `fit` did not add regressions, see the parameter `logistic_regression`.
    statistics_features_ : list
        The columns, and tuples of columns, that have target statistics, by name, or by position in an array: those that
        the parameter `statistics_features` names, or that "auto" has chosen.
    calibration_ : ndarray of shape (n_tasks, 2) or None
        Slope and intercept that correct the log-odds of each step, from :meth:`calibrate` or for
        `negative_sampling_rate`. None if nothing is corrected.
    device_ : str
        The device that holds the network, such as "cpu".

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
            The columns may hold strings, categories, booleans, numbers, lists, vectors and missing values. Tables of
            pandas, polars and pyarrow are accepted. Rows of X and Y are paired by position.
        Y : array-like of shape (n_samples,) or (n_samples, n_columns)
            Two classes per binary target; columns of `value_targets` hold numbers. NaN in a column of a 2-D Y means
            "not observed". In a chain, a step after an observed 0 counts as 0 if it is missing, and a 1 there causes a
            warning.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
            Weights of the rows, or of each label, with a column for each column of Y.
        X_val, Y_val : as X and Y, default=None
            Validation data, instead of a part of X and Y. They are used for early stopping, and at the end of training
            to correct overconfident or underconfident predictions.
        sample_weight_val : as `sample_weight`, default=None
            Weights of the validation data. None gives each row the weight 1, whatever `sample_weight` is.
        X_unlabeled : as X, default=None
            Further rows without targets, from which the fit learns categories, bins and, by pretraining, embeddings.
            Needs `pretrain_epochs`.
        resume : bool, default=False
            Continue from the file that the parameter `checkpoint` names. A fit with the same data and parameters has
            left it when it was interrupted. The result is the same, bit by bit, as without the interruption. If there
            is no such file, the fit starts from the beginning.
        y : default=None
            Another name of Y, for tools that pass the targets as `y`.

        Returns
        -------
        self : the fitted estimator.

        Raises
        ------
        ValueError
            If X or Y cannot be read, if a parameter is out of range, if parameters contradict each other, if an
            embedding table would not fit into memory, or if the file of `checkpoint` is of another fit.
        TypeError
            If a column of X holds neither numbers nor categories, but for instance dates.
        FloatingPointError
            If the loss is no longer finite.
        OSError
            If the file of `checkpoint` cannot be read or written.
        """
        if (X_val is None) != (Y_val is None):
            raise ValueError("`X_val` and `Y_val` go together; only one of them was given.")
        if sample_weight_val is not None and X_val is None:
            raise ValueError("`sample_weight_val` is for the rows of `X_val`, which was not given.")
        from_scratch = not (self.warm_start and hasattr(self, "_predictor"))
        if X_unlabeled is not None and not (self.pretrain_epochs and from_scratch):
            why = "it continues a former fit" if self.pretrain_epochs else "pretrain_epochs is 0"
            raise ValueError(f"`X_unlabeled` is for pretraining, and this fit does none: {why}.")
        validation = None if X_val is None else (X_val, Y_val, sample_weight_val)
        return self._learn(
            X,
            one_of(Y, y),
            sample_weight,
            validation,
            epochs=self.max_epochs,
            continues=self.warm_start,
            X_unlabeled=X_unlabeled,
            checkpoint=self._checkpoint(from_scratch, resume),
        )

    @checks_parameters
    def partial_fit(
        self, X: Any, Y: Any = None, classes: Any = None, sample_weight: Any = None, *, y: Any = None
    ) -> Self:
        """Train for one pass over a part of the data.

        The first call learns the encoding of X. Values that come up later are unknown, or get embeddings of their own:
        see the parameter `new_categories`. A step is left out if its label is unknown in all rows in which the step
        before it has happened: the rows are too young, and its only known labels are 0s. The call removes a
        calibration.

        Parameters
        ----------
        X, Y : as in :meth:`fit`.
            Later calls need the columns of the first one.
        classes : array of shape (2,), or list of n_tasks arrays, default=None
            The classes of the targets. Needed if the first chunk may lack one of the two classes of a target.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
            As in :meth:`fit`, but not scaled to a mean of 1, since a chunk does not represent all data. A weight of 1
            is the mean weight of a row in `fit`.
        y : as in :meth:`fit`.

        Returns
        -------
        self : the fitted estimator.

        Raises
        ------
        ValueError
            If X or Y are not as in the first call, if a target has a class that is not in `classes`, if a parameter of
            the architecture or of the encoding has changed, or if the rows are clearly those of a whole log, and the
            model was fitted on a sampled one (`negative_sampling_rate`).
        TypeError, FloatingPointError
            As in :meth:`fit`.
        """
        if hasattr(self, "_predictor"):
            self._validate_params()  # scikit-learn validates in the first call only
        return self._learn(X, one_of(Y, y), sample_weight, epochs=1, continues=True, is_partial=True, classes=classes)

    def __getstate__(self) -> dict[str, Any]:
        """Parameters and fitted state, with the network as plain arrays of weights: small, and safe to inspect."""
        # Parameters that the __init__ of a subclass does not set are stored too, with the default of the class. So if a
        # parameter is missing in a file, a former version has written it.
        state = {field.name: getattr(self, field.name) for field in fields(self)} | dict(super().__getstate__())
        predictor = state.pop("_predictor", None)
        return state if predictor is None else {**state, "net_": network_state(predictor)}

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
