"""The columns of X in two groups: those that the network reads, and those that the bias tower alone may see."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.column_selection import categorical_mask, column_mask
from sklearn_fsmd.encoding.table_encoder import Encoded, FeatureEncoder

N_REFERENCE = 10_000


class InputEncoder:
    """Encodes the columns of both groups.

    Parameters
    ----------
    p : an estimator with the parameters of the encoding, and with `bias_features` and `pretrain_features`.

    Attributes
    ----------
    main : FeatureEncoder of the network's columns.
    bias : FeatureEncoder of the bias features; None if there are none.
    is_bias : (n_features,) bool.
    reference : Encoded, the bias features of some rows of fit, from which their neutral level is taken.
    pretrained : (n_main_features,) bool, which of the network's columns pretraining reads.
    """

    def __init__(self, p: Any) -> None:
        self.main = FeatureEncoder.of(p)
        self.bias = None if p.bias_features is None else FeatureEncoder.of(p)
        self.bias_features, self.pretrain_features = p.bias_features, p.pretrain_features

    def fit_encode(self, X: Any, more: Any = None) -> Encoded:
        """Learn, once, the encoding of a DataFrame or 2-D array and return it encoded, followed by the rows of `more`.

        What the columns are is decided by `X`: together, two columns of category dtype can be one of numbers.
        """
        self.names = list(X.columns) if isinstance(X, pd.DataFrame) else []
        self.is_bias = self._bias_mask(X)
        self.pretrained = self._pretrained_mask(X)[~self.is_bias]
        del self.bias_features, self.pretrain_features  # from here on the masks say it; these may be code
        is_category = categorical_mask(self.main.categorical, X)
        self.main.categorical = is_category[~self.is_bias]
        table = X if more is None else _stack(X, more)
        encoded = self.main.fit_encode(self.main_part(table))
        if more is not None:
            self.main.check_alike(self.main_part(X), self.main_part(more))
        if self.bias is None:
            return encoded
        self.bias.categorical = is_category[self.is_bias]
        bias = self.bias.fit_encode(_columns(table, self.is_bias))
        shown = np.linspace(0, len(X) - 1, N_REFERENCE)  # what has not been shown has no place
        self.reference = bias.take(np.unique(shown.astype(int)))
        return replace(encoded, bias=bias)

    def _bias_mask(self, X: Any) -> np.ndarray:
        mask = column_mask("bias_features", self.bias_features, X)
        if self.bias is not None and not mask.any():
            raise ValueError(f"The 'bias_features' parameter {self.bias_features!r} names no column.")
        if mask.all():
            raise ValueError("All columns of X are 'bias_features', which leaves none for the network.")
        return mask

    def _pretrained_mask(self, X: Any) -> np.ndarray:
        if self.pretrain_features is None:
            return np.ones(X.shape[1], dtype=bool)
        mask = column_mask("pretrain_features", self.pretrain_features, X)
        if not mask.any():
            raise ValueError(f"The 'pretrain_features' parameter {self.pretrain_features!r} names no column.")
        if (twice := np.flatnonzero(mask & self.is_bias)).size:
            name = self.names[twice[0]] if self.names else f"x{twice[0]}"
            raise ValueError(
                f"Column {name!r} is one of the 'bias_features', which do not enter the network, and cannot be one of "
                "the 'pretrain_features'."
            )
        return mask

    def encode(self, X: Any) -> Encoded:
        """Encode a table that has the columns of fit, for training that goes on or for validation."""
        encoded = self.main.encode(self.main_part(X))
        return encoded if self.bias is None else replace(encoded, bias=self.bias.encode(_columns(X, self.is_bias)))

    def encode_main(self, X: Any) -> Encoded:
        """Encode what a prediction needs."""
        return self.main.encode(self.main_part(X))

    def main_part(self, X: Any) -> Any:
        """The columns of the network, of a table with all columns."""
        return X if self.bias is None else _columns(X, ~self.is_bias)

    def filled(self, X: Any) -> Any:
        """`X` with columns in the place of the bias features where these were left out, as a prediction may do."""
        if self.bias is None:
            return X
        places = np.flatnonzero(self.is_bias)
        if isinstance(X, pd.DataFrame):
            X = X.copy(deep=False)
            for place, name in enumerate(self.names):
                if self.is_bias[place] and name not in X.columns and place <= X.shape[1]:
                    X.insert(place, name, np.nan)
            return X
        array = np.array(X, dtype=object) if isinstance(X, (list, tuple)) else np.asarray(X)
        if array.ndim == 2 and array.shape[1] == (~self.is_bias).sum():
            return np.insert(array, places - np.arange(len(places)), 0, axis=1)
        return X


def _columns(X: Any, mask: np.ndarray) -> Any:
    return X.loc[:, mask] if isinstance(X, pd.DataFrame) else X[:, mask]


def _stack(X: Any, more: Any) -> Any:
    """The rows of two tables of equal columns."""
    if isinstance(X, pd.DataFrame):
        return pd.concat([X, more], ignore_index=True)
    return np.concatenate([X, more])
