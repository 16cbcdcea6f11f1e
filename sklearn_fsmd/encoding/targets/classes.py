"""The two classes of a binary target."""

from __future__ import annotations

from numbers import Number
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import type_of_target

from sklearn_fsmd.encoding.columns import shown
from sklearn_fsmd.parameters import warn

VALUES_REMEDY = (
    "If it holds values, such as a watch time or a revenue, name it in `value_targets`, also in that of a "
    "`HistoryFeatures` in a Pipeline. If the values follow a step, name it in the `value_parents` of the classifier."
)
CODES_OF_NAN = " In `cross_val_predict(method='predict_proba')` scikit-learn codes the labels, and 2 stands for NaN."
_NO = {"no", "n", "false", "f", "0", "neg", "negative", "none", "off"}
"""Words that mean 0 if they are one of two classes."""


def given_classes(classes: Any, names: list[str]) -> list[np.ndarray]:
    """Convert the argument `classes`, two for all tasks or two per task, to the classes of each task.

    NaN is no class: ``np.unique(Y)``, which `learning_curve` passes, contains it if labels are unknown.
    """
    if not hasattr(classes, "__len__") or isinstance(classes, (str, set, dict)):
        raise ValueError(f"`classes` must be a list of two classes, or one such list per task. Got {classes!r}.")
    are_lists = [np.ndim(c) == 1 for c in classes]
    pairs = list(classes) if are_lists and all(are_lists) else [classes] * len(names)
    if len(pairs) != len(names):
        raise ValueError(f"`classes` has {len(pairs)} tasks, but Y has {len(names)}.")
    known = [[c for c in given if not pd.isna(c)] for given in pairs]
    for name, two, given in zip(names, known, pairs, strict=True):
        if len(two) != 2 or len(set(two)) != 2 or len({_kind(c) for c in two}) > 1:
            raise ValueError(
                f"`classes` must give two classes of one type for {name!r}. Got [{', '.join(map(shown, given))}]."
            )
    return [two_classes(_array_of(two), name) for name, two in zip(names, known, strict=True)]


def _array_of(labels: Any) -> np.ndarray:
    """Convert labels to an array; strings become objects, as in a table."""
    array = np.asarray(labels)
    return array.astype(object) if array.dtype.kind == "U" else array


def two_classes(column: np.ndarray, name: str) -> np.ndarray:
    """Find the two classes of a column of Y, sorted; the second is the positive one."""
    known = column[~pd.isna(column)]
    known = known.astype(np.float64) if known.dtype == np.longdouble else known  # files cannot hold long doubles
    if known.size == 0:
        raise ValueError(f"Column {name!r} of Y has no observed label, so there is nothing to learn.")
    if known.dtype.kind == "f" and np.isinf(known).any():
        raise ValueError(f"Input y contains infinity or a value too large for {known.dtype!r}: column {name!r}.")
    if known.dtype.kind in "mM":
        raise ValueError(f"Unknown label type: column {name!r} of Y has dtype {known.dtype}. Make it 0 and 1, or text.")
    try:
        target_type = type_of_target(known, input_name="y")
    except TypeError:
        if all(isinstance(label, bytes) for label in known):
            raise TypeError(
                f"Support for labels represented as bytes is not supported: column {name!r} of Y. Make them text."
            ) from None
        if len({_kind(label) for label in known}) == 1:
            raise
        target_type = "unknown"  # labels that cannot be sorted
    if target_type == "multiclass" and len(classes := np.unique(known)) > 2:
        blank = next((c for c in classes.tolist() if isinstance(c, str) and not c.strip()), None)
        if classes.dtype.kind in "if" and classes.tolist() == [-1, 0, 1]:
            blank = classes[0].item()
        raise ValueError(
            f"Only binary classification is supported. The type of the target is multiclass. Column {name!r} of Y has "
            f"{len(classes)} classes."
            + (f" {VALUES_REMEDY}" if classes.dtype.kind in "iuf" else "")
            + (CODES_OF_NAN if classes.dtype.kind == "i" and classes.tolist() == [0, 1, 2] else "")
            + ("" if blank is None else f" One is {blank!r}: if it stands for an unknown label, write NaN.")
        )
    if target_type == "unknown" and (others := [label for label in known if _is_unlike(label, known[0])]):
        raise ValueError(
            f"Column {name!r} of Y mixes types: it has the labels {shown(known[0])} and {shown(others[0])}. Give all "
            "labels one type, and write NaN for an unknown label."
        )
    if target_type not in ("binary", "multiclass"):
        raise ValueError(
            f"Unknown label type: {target_type}. Maybe you are trying to fit a classifier, which expects discrete "
            f"classes on a regression target with continuous values. Column {name!r} of Y has {shown(known[0])}. "
            f"{VALUES_REMEDY}"
        )
    classes = np.unique(known)
    if len(classes) == 2:
        warn_of_guess(f"Column {name!r} of Y", *classes.tolist())
        return classes
    if classes[0] in (0, 1):  # one class only, but the other one is clear
        warn(
            f"Column {name!r} of Y has only one class, {shown(classes[0])}. There is nothing to learn: take more "
            "rows, or leave the column out. Its classes are taken to be 0 and 1; of a classifier, "
            "`partial_fit(classes=…)` can name others."
        )
        return np.array([0, 1], dtype=classes.dtype if classes.dtype.kind != "b" else np.int64)
    raise ValueError(
        f"Column {name!r} of Y has only one class, {shown(classes[0])}; two are needed, or 0 and 1. "
        "Of a classifier, `partial_fit(classes=…)` can name both."
    )


def warn_of_guess(where: str, low: Any, high: Any) -> None:
    """Warn that, of two words, the one that sorts last is treated as the event, unless the first means "no"."""
    if isinstance(high, str) and low.lower() not in _NO and not _are_numbers_in_order(low, high):
        warn(
            f"{where} has the classes {low!r} and {high!r}: {high!r}, which sorts last, counts as 1. "
            f"If it should be {low!r}, pass y.map({{{high!r}: 0, {low!r}: 1}})."
        )


def _is_unlike(one: Any, other: Any) -> bool:
    """Whether two labels are of different kinds; here bools are not numbers."""
    are_bool = (isinstance(label, (bool, np.bool_)) for label in (one, other))
    return _kind(one) is not _kind(other) or len(set(are_bool)) > 1


def _kind(label: Any) -> type:
    """Kind of a label: one for all numbers, one for all strings, else its type."""
    if isinstance(label, (Number, np.bool_)):
        return Number
    return str if isinstance(label, str) else type(label)


def _are_numbers_in_order(low: str, high: str) -> bool:
    """Whether two words are numbers, such as "0.0" and "1.0", in increasing order."""
    try:
        return float(low) < float(high)
    except ValueError:
        return False
