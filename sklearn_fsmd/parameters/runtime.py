"""Where and how it is computed."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval

from sklearn_fsmd.parameters.declare import estimator


@estimator
class RuntimeParameters:
    """What can be chosen of the machine.

    Parameters
    ----------
    device : str, default="auto"
        "cpu", "cuda", "cuda:1", "mps" …; "auto" takes an accelerator where there is one.
    n_threads : int or None, default=None
        Threads of torch, at most 1024; None leaves them as they are.
    random_state : int, RandomState instance or None, default=None
        Source of all that is random: initial weights, the order of the rows, what is dropped or set aside.
    verbose : int, default=0
        1 shows a progress bar in fit, or a line per epoch where the output is no terminal.
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
