"""What a net remembers of the fit that made it: its `spec_`, which goes with the weights into files."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from sklearn_fsmd.parameters import MultiTaskParameters, NetworkParameters, OptimizationParameters

NETWORK = tuple(field.name for field in fields(NetworkParameters))
OPTIMIZATION = tuple(field.name for field in fields(OptimizationParameters))
ARCHITECTURE = (*(name for name in NETWORK if name != "embedding_std"), "bias_features")
"""The parameters that a network is made of; training that goes on cannot change them."""
ENCODING = (
    *("categorical_features", "numeric_scaling", "numeric_bins", "interpolate_bins", "min_frequency"),
    *("target_statistics", "statistics_features", "list_features", "list_separator", "max_list_length"),
    *("vector_features", "shared_embeddings"),
)
"""Nor can it change how rows were encoded. Files of former versions do not say what these parameters were, and of
callables, which files cannot hold, they do not say that there were some."""

BESIDE = ("bias_features", "device", "negative_sampling_rate")
"""What else a net remembers of the fit that made it."""

AUTO_LR, BATCH_ROWS, AVERAGED_STEPS, BALANCE = "auto_lr", "fitted_batch_size", "averaged_steps", "balance"
"""And of its training: which learning rate is "auto", how many rows the batches had, of how many steps the weights are
the average, and what `task_weighting` has found. Files of former versions do not say."""


def spec_of(p: MultiTaskParameters) -> dict[str, Any]:
    """The parameters of `p` that a net is made of."""
    of_encoding = {name: _told(getattr(p, name)) for name in ENCODING}
    return {name: getattr(p, name) for name in (*NETWORK, *OPTIMIZATION, *BESIDE)} | of_encoding


def _plain(value: Any) -> Any:
    """Numbers and arrays of numpy and pandas as those of Python."""
    return value.tolist() if hasattr(value, "tolist") else value


def _told(value: Any) -> Any:
    """A parameter as it can be kept and compared; of code its name."""
    value = _plain(value)
    return value if _is_plain(value) else f"<{getattr(value, '__qualname__', type(value).__qualname__)}>"


def _is_plain(value: Any) -> bool:
    """Whether a parameter can be kept and compared: it is none of code or of a library's own."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (str, int, float, dict))


def differs(old: Any, new: Any) -> bool:
    """Whether a parameter has changed."""
    return old is not new and not np.array_equal(np.asarray(old, dtype=object), np.asarray(new, dtype=object))
