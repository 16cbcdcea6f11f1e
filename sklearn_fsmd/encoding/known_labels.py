"""Targets of which there is nothing to learn, or nothing to judge by, are refused or warned of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sklearn_fsmd.encoding.step_rates import StepSums
from sklearn_fsmd.encoding.targets import TargetEncoder, Targets
from sklearn_fsmd.parameters import warn

NONE = "no observed label whose weight is not zero"
IN_SCORES = (
    "So it is observed too rarely here, and its scores are not those of rows whose labels are final. Judge rows that "
    "are old enough."
)
IN_RATES = (
    "So its rates fall. Give rows whose labels are final; or give young ones in a call of their own, which leaves out "
    "a step of which nothing is known yet."
)
FEW = 0.05
"""Of the rows in which a step has happened, so many may lack a label of the next one."""


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
        if parent is not None and positive[parent] and not steps.tried[k] + steps.aside[k].sum():
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


def warn_unjudged(targets: Targets, known: TargetEncoder, parents: Sequence[int | None]) -> None:
    """Warn of targets of which the rows that validate tell nothing, though the step before has happened there."""
    positive = targets.full_weights * targets.labels
    happened = np.append(positive.any(axis=0), True)  # the last is for what follows no step
    steps = StepSums.from_targets(targets, parents)
    tells = [bool(tried + aside.sum()) for tried, aside in zip(steps.tried, steps.aside, strict=True)]
    names, before = list(known.names), [-1 if parent is None else parent for parent in parents]
    if targets.values is not None and known.of_values is not None:
        tells += [bool(column.any()) for column in targets.values.weights.T]
        names += known.of_values.names
        before += [-1 if parent is None else parent for parent in known.of_values.parents]
    silent = [name for name, told, parent in zip(names, tells, before, strict=True) if happened[parent] and not told]
    if silent:
        warn(
            f"The rows that validate have no known label of {', '.join(map(repr, silent))}, so early stopping does not "
            "look at it. Validate on rows whose labels are final: give `X_val` and `Y_val`."
        )


def warn_of_young_rows(
    labels: np.ndarray,
    weights: np.ndarray,
    names: Sequence[str],
    parents: Sequence[int | None],
    *,
    judged: Sequence[int] | None = None,
    usual: np.ndarray | None = None,
) -> None:
    """Warn of targets that are unknown where the step before has happened, and are a known 0 where it has not.

    Parameters
    ----------
    labels, weights : ``(n, K + V)``, the latter 0 where nothing was observed.
    judged : of which targets a score is asked; None is all.
    usual : ``(K,)``, the share of known labels, of rows in which the step before has happened, that is no news to
        rates of the targets; None for scores.
    """
    then = IN_SCORES if usual is None else IN_RATES
    for k in range(len(names)) if judged is None else judged:
        if (parent := parents[k]) is None:
            continue
        known = weights[:, parent] > 0
        unknown = [weights[known & (labels[:, parent] == label), k] == 0 for label in (0, 1)]
        if not all(map(len, unknown)):
            continue
        without, missing = (float(part.mean()) for part in unknown)
        if missing - max(without, 0.0 if usual is None else 1 - usual[k]) > FEW:
            warn(
                f"{names[k]!r} is unknown in {100 * missing:.0f} % of the rows where {names[parent]!r} is 1, and a "
                f"known 0 where that is 0. {then}"
            )


def warn_of_other_steps(targets: TargetEncoder, labels: Targets) -> None:
    """Warn of values that are known only where a step has happened that is not said to be the one they follow.

    They would be learned from those rows, and expected of all.
    """
    if targets.of_values is None or labels.values is None:
        return
    names, observed = targets.names, labels.full_weights > 0
    yes, no = observed & (labels.labels == 1), observed & (labels.labels == 0)
    followed = zip(targets.value_names, targets.of_values.parents, labels.values.weights.T, strict=True)
    for name, parent, weights in followed:
        known = weights > 0
        asked = np.ones(len(known), dtype=bool) if parent is None else yes[:, parent]
        only = yes[known].any(axis=0) & ~no[known].any(axis=0)  # where it is not missing
        steps = [k for k in range(len(names)) if only[k] and no[asked, k].any()]
        if steps:
            step = names[min(steps, key=lambda k: yes[:, k].sum())]
            rows = "all rows" if parent is None else f"all rows where {names[parent]!r} is 1"
            warn(
                f"The value {name!r} is known only where {step!r} is 1, and is expected of {rows} as if it were like "
                f"that there. If it is 0 elsewhere, set value_parents={ {name: step} }."
            )
