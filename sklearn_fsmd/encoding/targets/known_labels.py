"""Errors and warnings for targets without labels to learn from, or to evaluate on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sklearn_fsmd.encoding.targets.encoder import TargetEncoder, Targets
from sklearn_fsmd.encoding.targets.step_rates import StepSums
from sklearn_fsmd.parameters import warn

NONE = "no observed label whose weight is not zero"
IN_SCORES = (
    "So it is observed too rarely here, and its scores are not those of rows whose labels are final. Evaluate on "
    "rows that are old enough."
)
IN_RATES = (
    "So its rates fall. Give rows whose labels are final; or give young ones in a separate call, which leaves out a "
    "step of which nothing is known yet."
)
IN_VALIDATION = (
    "So validation scores are mostly those of rows without that step. Validate on rows whose labels are final, and "
    "leave the others out."
)
FEW = 0.05
"""Share of the rows with a step that may lack a label of the next step without a warning."""


def refuse_unlabeled(
    total: np.ndarray, positive: np.ndarray, steps: StepSums, names: Sequence[str], parents: Sequence[int | None]
) -> None:
    """Raise if the training rows have no label of a target, or only 0s that follow from the parent step.

    Parameters
    ----------
    total, positive : (K,), the weights of the observed labels, and those of the positive ones.
    steps : the sums over the labels of each step.
    """
    young = steps.young(positive, parents)
    for k, (name, parent) in enumerate(zip(names, parents, strict=True)):
        if not total[k]:
            raise ValueError(f"Column {name!r} of Y has {NONE} in the rows of training, so there is nothing to learn.")
        if parent is not None and k in young:
            raise ValueError(
                f"Column {name!r} of Y has {NONE} in the rows of training where {names[parent]!r} is 1, so there is "
                "nothing to learn."
            )


def refuse_unlabeled_validation(targets: Targets) -> None:
    """Raise if the validation rows have no label of any target."""
    has_values = targets.values is not None and targets.values.weights.any()
    if targets.weights is not None and not targets.weights.any() and not has_values:
        raise ValueError(
            f"Y has {NONE} in the validation rows. With validation='last' these are the last ones: leave out rows "
            "whose labels are not known yet, give rows to validate on, or set early_stopping=False."
        )


def warn_unlabeled_validation(targets: Targets, encoder: TargetEncoder, parents: Sequence[int | None]) -> None:
    """Warn of targets without a label in the validation rows, though their parent step has happened there."""
    positive = targets.full_weights * targets.labels
    happened = np.append(positive.any(axis=0), True)  # the last element is for targets without a parent
    steps = StepSums.from_targets(targets, parents)
    has_labels = [bool(n + unknown.sum()) for n, unknown in zip(steps.tried, steps.parent_unknown, strict=True)]
    names, all_parents = list(encoder.names), [-1 if parent is None else parent for parent in parents]
    if targets.values is not None and encoder.of_values is not None:
        has_labels += [bool(column.any()) for column in targets.values.weights.T]
        names += encoder.of_values.names
        all_parents += [-1 if parent is None else parent for parent in encoder.of_values.parents]
    rows = zip(names, has_labels, all_parents, strict=True)
    unlabeled = [name for name, has_label, parent in rows if happened[parent] and not has_label]
    if unlabeled:
        warn(
            f"The validation rows have no known label of {', '.join(map(repr, unlabeled))}, so validation does not "
            f"score {'it' if len(unlabeled) == 1 else 'them'}. Validate on rows whose labels are final."
        )


def warn_of_validation_without_events(
    train: Targets, valid: Targets, names: Sequence[str], parents: Sequence[int | None]
) -> None:
    """Warn of steps whose labels are all alike in the validation rows, but not in the training rows."""
    steps = [StepSums.from_targets(rows, parents) for rows in (train, valid)]
    for name, n_train, n_valid, n_labels in zip(
        names, *(part.n_events for part in steps), steps[1].n_labels, strict=True
    ):
        if n_train > 0 and n_labels > 0 and n_valid == 0:
            warn(
                f"{name!r} has one class in the validation rows and two in the training rows, so validation does not "
                "watch how it is ranked. Validate on more rows."
            )


def warn_of_young_rows(
    labels: np.ndarray,
    weights: np.ndarray,
    names: Sequence[str],
    parents: Sequence[int | None],
    *,
    judged: Sequence[int] | None = None,
    usual: np.ndarray | None = None,
    rows: str = "rows",
    consequence: str = IN_SCORES,
) -> None:
    """Warn of targets that are unknown where their parent step has happened, and a known 0 where it has not.

    Parameters
    ----------
    labels, weights : ``(n, K + V)``; a weight is 0 where nothing was observed.
    judged : the indices of the targets that are scored; None for all.
    usual : ``(K,)``, the share of known labels, among the rows in which the parent step has happened, with which these
        rows are compared; None for 1.
    rows, consequence : the name of the rows in the warning, and its end.
    """
    for k in range(len(names)) if judged is None else judged:
        if (parent := parents[k]) is None:
            continue
        known = [_is_known(labels, weights, k, parent, label) for label in (0, 1)]
        if not all(map(len, known)):
            continue
        unknown_after_0, unknown_after_1 = (float((~part).mean()) for part in known)
        if unknown_after_1 - max(unknown_after_0, 0.0 if usual is None else 1 - usual[k]) > FEW:
            warn(
                f"{names[k]!r} is unknown in {100 * unknown_after_1:.0f} % of the {rows} where {names[parent]!r} is 1, "
                f"and a known 0 where that is 0. {consequence}"
            )


def _is_known(labels: np.ndarray, weights: np.ndarray, k: int, parent: int, label: int) -> np.ndarray:
    """Whether target `k` has a label, for each row in which that of its parent is `label`."""
    return weights[(weights[:, parent] > 0) & (labels[:, parent] == label), k] > 0


def warn_of_young_validation(
    train: Targets, valid: Targets, names: Sequence[str], parents: Sequence[int | None]
) -> None:
    """Warn of targets that are known less often in validation rows than in training rows, where the parent happened."""
    judged, usual = [], np.ones(len(parents))
    for k, parent in enumerate(parents):
        if parent is None:
            continue
        of_train, of_valid = (_is_known(rows.labels, rows.full_weights, k, parent, 1) for rows in (train, valid))
        if of_train.any() and of_valid.any():  # of none in the validation rows another warning says it
            share = float(of_train.mean())
            usual[k] = share - 2 * np.sqrt(share * (1 - share) / len(of_valid))  # what chance may leave of it
            judged.append(k)
    options = {"rows": "validation rows", "consequence": IN_VALIDATION}
    warn_of_young_rows(valid.labels, valid.full_weights, names, parents, judged=judged, usual=usual, **options)


def warn_of_other_steps(targets: TargetEncoder, labels: Targets) -> None:
    """Warn of values that are known only where a step has happened which is not given as their parent.

    They would be learned from those rows, and predicted for all rows.
    """
    if targets.of_values is None or labels.values is None:
        return
    names, observed = targets.names, labels.full_weights > 0
    is_1, is_0 = observed & (labels.labels == 1), observed & (labels.labels == 0)
    for name, parent, weights in zip(
        targets.value_names, targets.of_values.parents, labels.values.weights.T, strict=True
    ):
        known = weights > 0
        predicted = np.ones(len(known), dtype=bool) if parent is None else is_1[:, parent]
        is_always_1 = is_1[known].any(axis=0) & ~is_0[known].any(axis=0)  # where the step is known
        steps = [k for k in range(len(names)) if is_always_1[k] and is_0[predicted, k].any()]
        if steps:
            step = names[min(steps, key=lambda k: is_1[:, k].sum())]
            rows = "all rows" if parent is None else f"all rows where {names[parent]!r} is 1"
            warn(
                f"The value {name!r} is known only where {step!r} is 1, and is expected of {rows} as if it were like "
                f"that there. If it is 0 elsewhere, set value_parents={ {name: step} }."
            )
