"""Encoder of the columns of X in two groups: the inputs of the network, and the bias features of the bias tower."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.columns import SequenceOptions, categorical_mask, column_mask, column_names, evenly_spaced
from sklearn_fsmd.encoding.statistics import Key, TargetStatistics, automatic_keys, named_keys
from sklearn_fsmd.encoding.table import Encoded, FeatureEncoder, named_in_errors, refuse_masked, shallow
from sklearn_fsmd.encoding.targets import Targets
from sklearn_fsmd.parameters import InputParameters

N_REFERENCE = 10_000


class InputEncoder:
    """Encoder of the network's columns and of the bias features.

    Parameters
    ----------
    p : the parameters of the encoding.

    Attributes
    ----------
    main : FeatureEncoder of the network's columns.
    bias : FeatureEncoder of the bias features; None if there are none.
    is_bias : (n_features,) bool.
    reference : Encoded, the bias features of some rows of fit, from which their neutral level is computed.
    pretrained : (n_main_features,) bool, which of the network's columns are used in pretraining.
    statistics : TargetStatistics of the network's categories; None if there are none.
    """

    statistics: TargetStatistics | None = None

    def __init__(self, p: InputParameters) -> None:
        self.main = FeatureEncoder.from_params(p, SequenceOptions(p), p.interpolate_bins)
        self.bias = None if p.bias_features is None else FeatureEncoder.from_params(p)
        self.bias_features, self.pretrain_features = p.bias_features, p.pretrain_features

    def update(self, block: Any) -> None:
        """Learn from a block of rows, a DataFrame or 2-D array; the first block determines the kinds of the columns."""
        if not hasattr(self, "is_bias"):
            self.take_columns(block)
        self.main.update(self.main_part(block))
        if self.bias is not None:
            self.bias.update(_columns(block, self.is_bias))

    def take_columns(self, block: Any) -> None:
        """Determine the kind of each column from the first rows."""
        self._read_parameters(block)
        for part in self.parts:
            part.take_columns(self.main_part(block) if part is self.main else _columns(block, self.is_bias))

    @property
    def parts(self) -> list[FeatureEncoder]:
        """The encoders of both groups."""
        return [self.main] if self.bias is None else [self.main, self.bias]

    @property
    def display_names(self) -> list[str]:
        """Names of the columns of X; x0, x1, … for an array."""
        return [str(name) for name in self.names] or [f"x{j}" for j in range(len(self.is_bias))]

    def finalize(self) -> None:
        """Fix the encoding, after all rows have been seen."""
        self.main.finalize()
        if self.bias is not None:
            self.bias.finalize()
            self.take_reference(self.bias.encode(self.__dict__.pop("first_bias_rows")))

    def fit_encode(self, X: Any, X_unlabeled: Any = None) -> Encoded:
        """Learn the encoding of a whole table and return it encoded, followed by the rows of `X_unlabeled`.

        The kinds of the columns are determined by `X` alone: concatenating two columns of category dtype may give a
        column of numbers.
        """
        if X_unlabeled is not None:
            self.update(X)
            with named_in_errors("X_unlabeled"):
                self.update(X_unlabeled)
            self.finalize()
            return Encoded.joined([self.encode(X), self.encode(X_unlabeled)])
        self._read_parameters(X)
        encoded = self.main.fit_encode(self.main_part(X))
        if self.bias is None:
            return encoded
        bias = self.bias.fit_encode(_columns(X, self.is_bias))
        del self.first_bias_rows
        self.take_reference(bias)
        return replace(encoded, bias=bias)

    def _read_parameters(self, X: Any) -> None:
        self.names = list(X.columns) if isinstance(X, pd.DataFrame) else []
        self.is_bias = self._bias_mask(X)
        self.pretrained = self._pretrained_mask(X)[~self.is_bias]
        del self.bias_features, self.pretrain_features  # replaced by the masks; callables may not be picklable
        is_category = categorical_mask(self.main.categorical, X)
        self.main.categorical = is_category[~self.is_bias]
        if (options := self.main.sequences) is not None:
            is_list, is_vector = options.masks(X)
            for content, mask in ("lists", is_list), ("vectors", is_vector):
                if (conflicts := np.flatnonzero(mask & self.is_bias)).size:
                    name = column_names(X)[conflicts[0]]
                    raise ValueError(f"Column {name!r} holds {content}, and cannot be one of the 'bias_features'.")
            options.list_features, options.vector_features = is_list[~self.is_bias], is_vector[~self.is_bias]
        if self.bias is not None:
            self.bias.categorical = is_category[self.is_bias]
            self.first_bias_rows = _columns(X, self.is_bias)  # rows of `X_unlabeled` were not shown: no positions

    def take_reference(self, bias_rows: Encoded) -> None:
        """Take a sample of these encoded bias features, evenly spaced, as the reference."""
        self.reference = bias_rows.take(evenly_spaced(len(bias_rows), N_REFERENCE))

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
        if (conflicts := np.flatnonzero(mask & self.is_bias)).size:
            name = self.names[conflicts[0]] if self.names else f"x{conflicts[0]}"
            raise ValueError(
                f"Column {name!r} is one of the 'bias_features', which do not enter the network, and cannot be one of "
                "the 'pretrain_features'."
            )
        return mask

    def encode(self, X: Any) -> Encoded:
        """Encode a table that has the columns of fit, for further training or for validation."""
        return self._with_bias(self.main.encode(self.main_part(X)), X)

    def encode_main(self, X: Any) -> Encoded:
        """Encode the inputs of the network for prediction: its columns and the statistics."""
        rows = self.main.encode(self.main_part(X))
        return rows if self.statistics is None else self.statistics.append(rows)

    def encode_shown(self, X: Any) -> Encoded:
        """Encode the inputs of the network for prediction, and the bias features of each row."""
        return self._with_bias(self.encode_main(X), X)

    def _with_bias(self, rows: Encoded, X: Any) -> Encoded:
        return rows if self.bias is None else replace(rows, bias=self.bias.encode(_columns(X, self.is_bias)))

    def copy(self) -> InputEncoder:
        """Return a copy whose statistics can be updated without changing this encoder; itself if it has none."""
        if self.statistics is None:
            return self
        copied = copy.copy(self)
        copied.statistics = shallow(self.statistics)
        return copied

    def choose_statistics(
        self,
        selector: Any,
        parents: Sequence[int | None],
        train: tuple[Encoded, Targets],
        valid: tuple[Encoded, Targets] | None,
        random: np.random.RandomState,
    ) -> None:
        """Choose the columns that get statistics of the targets; see `statistics_features` of the estimators."""
        if isinstance(selector, str):
            valid_codes = None if valid is None else (valid[0].selected_codes(), valid[1])
            keys = automatic_keys(self.main, parents, (train[0].selected_codes(), train[1]), valid_codes, random)
        else:
            keys = self.named_statistics(selector)
        if keys:
            self.statistics = TargetStatistics(keys, parents)

    def named_statistics(self, selector: Any) -> list[Key]:
        """Return the keys that `statistics_features` names; none if it is "auto".

        Raises
        ------
        ValueError
            If it names a column that does not exist or does not hold categories.
        """
        if isinstance(selector, str):
            return []
        positions = np.flatnonzero(~self.is_bias)
        columns = {int(positions[position]): f for f, position in enumerate(self.main.categories)}
        return named_keys(selector, columns, self.names)

    @property
    def statistics_features(self) -> list[Any]:
        """What has statistics, in the form of the parameter: names, or positions in an array; a tuple for a pair."""
        if self.statistics is None:
            return []
        names = self.names_of_codes(self.statistics.keys)
        keys = [tuple(names[f] for f in key) for key in self.statistics.keys]
        return [key if len(key) > 1 else key[0] for key in keys]

    @property
    def n_scalars(self) -> int:
        """Number of scalar inputs of the network: the numeric columns and the statistics, without the vectors."""
        return len(self.main.numeric) + (0 if self.statistics is None else self.statistics.n_columns)

    def names_of_codes(self, keys: Sequence[Sequence[int]]) -> dict[int, Any]:
        """Map each code column of these keys to the name of its column, or to its position in an array."""
        names = self.names or range(len(self.is_bias))
        in_x = np.flatnonzero(~self.is_bias)[list(self.main.categories)]
        return {f: names[in_x[f]] for f in sorted({f for key in keys for f in key})}

    def main_part(self, X: Any) -> Any:
        """Select the columns of the network from a table with all columns."""
        return X if self.bias is None else _columns(X, ~self.is_bias)

    def filled(self, X: Any) -> Any:
        """Insert columns for the bias features if `X` lacks them, as it may in prediction."""
        if self.bias is None:
            return X
        positions = np.flatnonzero(self.is_bias)
        if isinstance(X, pd.DataFrame):
            X = X.copy(deep=False)
            if not self.names and X.shape[1] == (~self.is_bias).sum():  # fitted on an array
                for position in positions.tolist():
                    name = f"x{position}"
                    while name in X.columns:
                        name += "_"
                    X.insert(position, name, np.nan)
            for position, name in enumerate(self.names):
                if self.is_bias[position] and name not in X.columns and position <= X.shape[1]:
                    X.insert(position, name, np.nan)
            return X
        refuse_masked(X, "X")
        array = np.array(X, dtype=object) if isinstance(X, (list, tuple)) else np.asarray(X)
        if array.ndim == 2 and array.shape[1] == (~self.is_bias).sum():
            return np.insert(array, positions - np.arange(len(positions)), 0, axis=1)
        return X


def _columns(X: Any, mask: np.ndarray) -> Any:
    return X.loc[:, mask] if isinstance(X, pd.DataFrame) else X[:, mask]
