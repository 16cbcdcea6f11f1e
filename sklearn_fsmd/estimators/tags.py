"""The scikit-learn tags of estimators that accept tables with columns of any kind."""

from __future__ import annotations

from sklearn.utils import Tags

from sklearn_fsmd.parameters import Documented


class TakesTables(Documented):
    """Mixin for an estimator that accepts strings, categories and missing values.

    List it before the classes of scikit-learn among the base classes.
    """

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        if tags.transformer_tags is not None:
            tags.transformer_tags.preserves_dtype = []
        return tags
