"""ForTask: fits a transformer of a Pipeline on one column of Y, or on none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from sklearn import get_config
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils import Tags, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted

from sklearn_fsmd.encoding.table import as_pandas
from sklearn_fsmd.encoding.targets import DEFAULT_NAMES, index_of_target, names_of, refuse_sparse
from sklearn_fsmd.parameters import Documented, warn


class ForTask(Documented, TransformerMixin, BaseEstimator):
    """Fit a transformer on one of several targets, or on none.

    A Pipeline passes its Y to every step. Some transformers refuse a Y with several columns although they hardly use
    it, such as the encoders of category_encoders. `ForTask` passes them a single column, or no y at all.

    Parameters
    ----------
    transformer : transformer
        `fit` fits a copy of it.
    task : int, str or None, default=None
        The index or the name of the target that the transformer, for instance a target encoder, gets as y. With None it
        gets no y. If y has no names, they are the default names of the models: "y" for one target, "click" and
        "conversion" for two, and "task0", "task1", … for more.

    Attributes
    ----------
    transformer_ : the fitted copy.

    Examples
    --------
    >>> import pandas as pd
    >>> from category_encoders import OrdinalEncoder
    >>> from sklearn_fsmd.compose import ForTask
    >>> X, Y = pd.DataFrame({"city": ["a", "b"]}), [[0, 0], [1, 1]]
    >>> ForTask(OrdinalEncoder()).fit(X, Y).transform(X)["city"].tolist()
    [1, 2]
    """

    def __init__(self, transformer: Any, task: int | str | None = None) -> None:
        self.transformer = transformer
        self.task = task

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> ForTask:
        """Fit a copy of the transformer on X and the chosen column of y.

        Parameters
        ----------
        X : table of shape (n_samples, n_features), of any type that the transformer accepts.
        y : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
        **fit_params : dict
            Passed to the transformer; with scikit-learn's metadata routing, only those that it has requested.

        Returns
        -------
        self : the fitted transformer.

        Raises
        ------
        ValueError
            If y does not have the task, if it is None and the transformer needs it, or if the transformer raises it,
            for instance because it does not support missing labels.
        """
        routed, y_args = self._routed("fit", fit_params), self._y_args(y)
        with self._explain_missing_labels(y_args):
            self.transformer_ = clone(self.transformer).fit(X, *y_args, **routed)
        return self

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Fit and transform by the method of the transformer: target encoders encode the rows of fit differently.

        Parameters
        ----------
        X, y : as in :meth:`fit`.
        **fit_params : dict
            As in :meth:`fit`.

        Returns
        -------
        X_out : the output of the transformer.
        """
        transformer, y_args = clone(self.transformer), self._y_args(y)
        with self._explain_missing_labels(y_args):
            if hasattr(transformer, "fit_transform"):
                X_out = transformer.fit_transform(X, *y_args, **self._routed("fit_transform", fit_params))
            else:  # a Pipeline does the same
                X_out = transformer.fit(X, *y_args, **self._routed("fit", fit_params)).transform(X)
        self.transformer_ = transformer
        return X_out

    def transform(self, X: Any) -> Any:
        """Transform X by the fitted transformer.

        Parameters
        ----------
        X : table of shape (n_samples, n_features), of any type that the transformer accepts.

        Returns
        -------
        X_out : the output of the transformer.
        """
        check_is_fitted(self)
        return self.transformer_.transform(X)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the output columns of the fitted transformer.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Passed to the transformer.

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self)
        return np.asarray(self.transformer_.get_feature_names_out(input_features), dtype=object)

    @property
    def n_features_in_(self) -> int:
        """Number of columns of X in fit, from the transformer."""
        return self.transformer_.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns of X in fit, from the transformer."""
        return self.transformer_.feature_names_in_

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the metadata that the transformer has requested, for scikit-learn's metadata routing.

        Returns
        -------
        routing : MetadataRouter
        """
        methods = MethodMapping()
        for method in ("fit", "fit_transform"):
            methods.add(caller=method, callee=method)
        return MetadataRouter(owner=type(self).__name__).add(transformer=self.transformer, method_mapping=methods)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.transformer)
        tags.input_tags = inner.input_tags
        tags.transformer_tags = inner.transformer_tags
        tags.target_tags.required = inner.target_tags.required
        tags.target_tags.multi_output = True
        tags.no_validation = inner.no_validation
        return tags

    def _routed(self, method: str, fit_params: dict[str, Any]) -> dict[str, Any]:
        routes = get_config()["enable_metadata_routing"]
        return process_routing(self, method, **fit_params).transformer[method] if routes else fit_params

    @contextmanager
    def _explain_missing_labels(self, y_args: tuple[Any, ...]) -> Iterator[None]:
        """Add to an error of the transformer that labels are missing, which the model after it may support."""
        try:
            yield
        except ValueError as error:
            n_missing = sum(int(pd.isna(np.asarray(y, dtype=object)).sum()) for y in y_args)
            if not n_missing:
                raise
            name = type(self.transformer).__name__
            raise ValueError(
                f"ForTask(task={self.task!r}): y has {n_missing:,} missing labels, and {name} says: {error} If it does "
                "not support them, fit it on rows whose label is known, or leave it out: the models encode categories "
                "themselves."
            ) from error

    def _y_args(self, y: Any) -> tuple[Any, ...]:
        """The arguments of the transformer after X: the column of Y, or none."""
        y = as_pandas(y)
        if self.task is None:
            if get_tags(self.transformer).target_tags.required:
                name = type(self.transformer).__name__
                raise ValueError(f"{name} needs y, and task=None passes none: set `task` to the target that it gets.")
            return ()
        if y is None:
            if get_tags(self.transformer).target_tags.required:
                raise ValueError("This ForTask estimator requires y to be passed, but the target y is None.")
            return ()
        refuse_sparse(y)
        names: list[Any] = list(y.columns) if isinstance(y, pd.DataFrame) else [*names_of(y)]
        position = index_of_target(self.task, names)
        if isinstance(y, pd.Series) or not (isinstance(y, pd.DataFrame) or np.asarray(y).ndim > 1):
            return (y,)
        if self.task in DEFAULT_NAMES and not isinstance(y, pd.DataFrame):
            warn(
                f"Y has no names, so its columns are treated as {list(names)}, and task={self.task!r} as the one at "
                f"position {position}. Pass a DataFrame, or task={position}. Within cross_val_predict Y has no names."
            )
        return (y.iloc[:, position] if isinstance(y, pd.DataFrame) else np.asarray(y)[:, position],)
