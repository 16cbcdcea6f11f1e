"""The `spec_` of a net: parameters and results of the fit that made it, which are saved with the weights."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from sklearn_fsmd.parameters import MultiTaskParameters, NetworkParameters, OptimizationParameters

NETWORK = tuple(field.name for field in fields(NetworkParameters))
OPTIMIZATION = tuple(field.name for field in fields(OptimizationParameters))
ARCHITECTURE = (*(name for name in NETWORK if name != "embedding_std"), "bias_features")
"""The parameters that determine the network; they cannot change when training is continued."""
ENCODING = (
    *("categorical_features", "numeric_scaling", "numeric_bins", "interpolate_bins", "min_frequency"),
    *("target_statistics", "statistics_features", "list_features", "list_separator", "max_list_length"),
    *("vector_features", "shared_embeddings"),
)
"""The parameters that determine the encoding of the rows; they cannot change either. Files of former versions lack
them. Callables are compared by their names."""

FURTHER = ("bias_features", "device", "negative_sampling_rate")
"""Further parameters in the `spec_` of a net."""

AUTO_LR, BATCH_ROWS, AVERAGED_STEPS, BALANCE = "auto_lr", "fitted_batch_size", "averaged_steps", "balance"
FIRST_STEP, NETWORK_SHARES = "first_step", "network_shares"
"""Results of the training in the `spec_`: the learning rate of "auto", the rows of a batch, the number of steps over
which the weights are averaged, the state of `task_weighting`, of a sampled log the rate of the first step and the
number of its labels, and the network's share of the mean with regressions. Files of former versions lack
them."""


def spec_of(p: MultiTaskParameters) -> dict[str, Any]:
    """The parameters of `p` that the `spec_` of a net has."""
    encoding = {name: _comparable(getattr(p, name)) for name in ENCODING}
    return {name: getattr(p, name) for name in (*NETWORK, *OPTIMIZATION, *FURTHER)} | encoding


def _plain(value: Any) -> Any:
    """Convert numbers and arrays of numpy and pandas to those of Python."""
    return value.tolist() if hasattr(value, "tolist") else value


def _comparable(value: Any) -> Any:
    """A parameter in a form that can be saved and compared: the name of a callable or of an object of a library."""
    value = _plain(value)
    return value if _is_plain(value) else f"<{getattr(value, '__qualname__', type(value).__qualname__)}>"


def _is_plain(value: Any) -> bool:
    """Whether a parameter can be saved and compared: it has no callable and no object of a library."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (str, int, float, dict))


def differs(old: Any, new: Any) -> bool:
    """Whether a parameter has changed."""
    return old is not new and not np.array_equal(np.asarray(old, dtype=object), np.asarray(new, dtype=object))
