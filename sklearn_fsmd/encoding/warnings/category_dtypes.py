"""A warning of columns of category dtype that `categorical_features` leaves out, and that are read as numbers."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sklearn_fsmd.encoding.columns import columns_of_x
from sklearn_fsmd.encoding.table import FeatureEncoder
from sklearn_fsmd.parameters import warn


def warn_of_category_dtypes(encoder: FeatureEncoder, X: Any) -> None:
    """Warn, once for all of them, of numeric columns whose dtype says that they are categories.

    Parameters
    ----------
    encoder : fitted on X, with columns that the user has selected.
    X : DataFrame or 2-D array.
    """
    if not isinstance(X, pd.DataFrame):
        return
    names = [X.columns[i] for i in encoder.numeric if isinstance(X.dtypes.iloc[i], pd.CategoricalDtype)]
    if names:
        warn(
            f"{columns_of_x(names)}: the dtype is category, but `categorical_features` does not select it, so its "
            f"values are taken as quantities. Add {names}; or if they are quantities, "
            f"X.astype({dict.fromkeys(names, 'float')}), and this warning is gone."
        )
