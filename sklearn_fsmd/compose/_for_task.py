"""A transformer in a Pipeline whose Y has several columns sees one of them, or none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils import Tags, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, _routing_enabled, process_routing
from sklearn.utils.validation import check_is_fitted

from sklearn_fsmd.encoding import DEFAULT_NAMES, as_pandas, index_of_target, names_of
from sklearn_fsmd.parameters import Documented, warn


class ForTask(Documented, TransformerMixin, BaseEstimator):
    """Let a transformer see one of several targets, or none.

    A Pipeline hands its Y to every step. Some transformers refuse one of several columns, though they look at it hardly
    or not at all: the encoders of category_encoders do. This one passes them a single column, or nothing.

    Parameters
    ----------
    transformer : transformer
        A copy of it is fitted.
    task : int, str or None, default=None
        The index or the name of the target that it is to see, for instance for a target encoder; None for none. Where y
        has no names, they are those of the models: "click" and "conversion" of two, "task0", "task1", … of more, and
        "y" of one.

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
        X : as the transformer takes it.
        y : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
        **fit_params : dict
            Passed to the transformer; with scikit-learn's metadata routing, what it has requested.

        Returns
        -------
        self : the fitted transformer.

        Raises
        ------
        ValueError
            If y does not have the task, or is None and the transformer needs it; what the transformer raises, as where
            it takes no missing labels.
        """
        routed, given = self._routed("fit", fit_params), self._given(y)
        with self._about_gaps(given):
            self.transformer_ = clone(self.transformer).fit(X, *given, **routed)
        return self

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """As the transformer itself does it: encoders of a target treat the rows that they are fitted on apart.

        Parameters
        ----------
        X, y : as in :meth:`fit`.
        **fit_params : dict
            As in :meth:`fit`.

        Returns
        -------
        X_out : what the transformer returns.
        """
        transformer, given = clone(self.transformer), self._given(y)
        with self._about_gaps(given):
            if hasattr(transformer, "fit_transform"):
                made = transformer.fit_transform(X, *given, **self._routed("fit_transform", fit_params))
            else:  # as a Pipeline does it
                made = transformer.fit(X, *given, **self._routed("fit", fit_params)).transform(X)
        self.transformer_ = transformer
        return made

    def transform(self, X: Any) -> Any:
        """What the fitted transformer makes of X.

        Parameters
        ----------
        X : table of shape (n_samples, n_features), as the transformer takes it.

        Returns
        -------
        X_out : what the transformer returns.
        """
        check_is_fitted(self)
        return self.transformer_.transform(X)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns, as the fitted transformer gives them.

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
        """The number of columns of X in fit, as the transformer has it."""
        return self.transformer_.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """The names of the columns of X in fit, as the transformer has them."""
        return self.transformer_.feature_names_in_

    def get_metadata_routing(self) -> MetadataRouter:
        """What scikit-learn's metadata routing asks: which metadata the transformer has requested.

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
        tags.target_tags.multi_output = self.task is not None
        tags.no_validation = inner.no_validation
        return tags

    def _routed(self, method: str, fit_params: dict[str, Any]) -> dict[str, Any]:
        return process_routing(self, method, **fit_params).transformer[method] if _routing_enabled() else fit_params

    @contextmanager
    def _about_gaps(self, given: tuple[Any, ...]) -> Iterator[None]:
        """Let an error of the transformer say that labels are missing, which the model after it may take."""
        try:
            yield
        except ValueError as error:
            n_missing = sum(int(pd.isna(np.asarray(y, dtype=object)).sum()) for y in given)
            if not n_missing:
                raise
            name = type(self.transformer).__name__
            raise ValueError(
                f"ForTask(task={self.task!r}): y has {n_missing:,} missing labels, and {name} says: {error} If it "
                "takes none, fit it on rows whose label is known, or leave it out: the models encode categories alone."
            ) from error

    def _given(self, y: Any) -> tuple[Any, ...]:
        """What the transformer is given beside X: the column of Y, or nothing."""
        y = as_pandas(y)
        if self.task is None:
            return ()
        if y is None:
            if get_tags(self.transformer).target_tags.required:
                raise ValueError("This ForTask estimator requires y to be passed, but the target y is None.")
            return ()
        names: list[Any] = list(y.columns) if isinstance(y, pd.DataFrame) else [*names_of(y)]
        position = index_of_target(self.task, names)
        if np.ndim(y) == 1:
            return (y,)
        if self.task in DEFAULT_NAMES and not isinstance(y, pd.DataFrame):
            warn(
                f"Y has no names, so its columns are taken for {list(names)}, and task={self.task!r} for the one at "
                f"position {position}. Pass a DataFrame, or task={position}. Within cross_val_predict Y has no names."
            )
        return (y.iloc[:, position] if isinstance(y, pd.DataFrame) else np.asarray(y)[:, position],)
