"""Parameters of the machine: device, threads, random numbers and output."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval

from sklearn_fsmd.parameters.declare import estimator


@estimator
class RuntimeParameters:
    """Parameters of the machine.

    Parameters
    ----------
    device : str, default="auto"
        "cpu", "cuda", "cuda:1", "mps" and so on. "auto" uses an accelerator if there is one.
    n_threads : int or None, default=None
        Number of threads of torch, at most 1024. None does not change it.
    random_state : int, RandomState instance or None, default=None
        Seed of all random numbers: initial weights, the order of the rows, dropout, and the choice of validation rows.
    verbose : int, default=0
        With 1 `fit` shows a progress bar, or prints a line per epoch if the output is not a terminal.
    """

    device: str = "auto"
    n_threads: int | None = None
    random_state: Any = None
    verbose: int = 0

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "device": [str],
        "n_threads": [Interval(Integral, 1, 1024, closed="both"), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
