"""Targets of which there is nothing to learn, or nothing to judge by, are refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sklearn_fsmd.encoding.step_rates import StepSums
from sklearn_fsmd.encoding.targets import Targets

NONE = "no observed label whose weight is not zero"


def refuse_unlabeled(
    total: np.ndarray, positive: np.ndarray, steps: StepSums, names: Sequence[str], parents: Sequence[int | None]
) -> None:
    """Raise if the rows of training tell nothing of a target, or only what follows from the step before.

    Parameters
    ----------
    total, positive : (K,), the weights of the observed labels, and those of the positive ones.
    steps : what of that tells of each step.
    """
    for k, (name, parent) in enumerate(zip(names, parents, strict=True)):
        if not total[k]:
            raise ValueError(f"Column {name!r} of Y has {NONE} in the rows of training, so there is nothing to learn.")
        if parent is not None and positive[parent] and not steps.tried[k] + steps.aside[k]:
            raise ValueError(
                f"Column {name!r} of Y has {NONE} in the rows of training where {names[parent]!r} is 1, so there is "
                "nothing to learn."
            )


def refuse_unjudged(targets: Targets) -> None:
    """Raise if the rows that validate tell nothing of any target."""
    of_values = targets.values is not None and targets.values.weights.any()
    if targets.weights is not None and not targets.weights.any() and not of_values:
        raise ValueError(
            f"Y has {NONE} in the rows that validate. With validation='last' these are the last ones: leave rows out "
            "whose labels are not known yet, give rows to validate on, or set early_stopping=False."
        )
