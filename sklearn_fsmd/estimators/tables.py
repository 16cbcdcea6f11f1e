"""What estimators that read tables of any kind of columns tell scikit-learn of themselves."""

from __future__ import annotations

from sklearn.utils import Tags

from sklearn_fsmd.parameters import Documented


class TakesTables(Documented):
    """Strings, categories and missing values are taken. It stands before scikit-learn's classes among the parents."""

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        if tags.transformer_tags is not None:
            tags.transformer_tags.preserves_dtype = []
        return tags
