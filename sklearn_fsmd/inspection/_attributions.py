"""Attributions of a prediction to the columns of its row: integrated gradients, computed by captum."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from sklearn.utils import Bunch

from sklearn_fsmd.compose import fitted_model, rows_and_model
from sklearn_fsmd.encoding.table import as_pandas
from sklearn_fsmd.encoding.targets import index_of_target
from sklearn_fsmd.inspection._columns import Sources, sources_of
from sklearn_fsmd.inspection._path import Path, Scale
from sklearn_fsmd.metrics import check_count, with_value_parents
from sklearn_fsmd.parameters import warn
from sklearn_fsmd.parameters.machine import cpu_by_default, threads

ROWS = 256
"""Number of rows that are attributed together."""
BATCH = 4096
"""Number of points on their paths that are computed at once."""
MORE_STEPS = (1, 8, 64)
"""Factors by which the number of steps grows for rows whose attributions do not add up yet."""
TOLERANCE = 0.01
"""Largest remainder of a row without a warning, as a share of the absolute attributions of the row."""


@cpu_by_default()
def attributions(
    model: Any,
    X: Any,
    *,
    target: int | str = 0,
    scale: Literal["log_odds", "probability"] | None = None,
    conditional: bool = False,
    n_steps: int = 64,
) -> Bunch:
    """Compute how much each column contributes to the prediction of a row, against a row of which nothing is known.

    Integrated gradients [IG]_ integrate the gradients along a straight path, from the embeddings of a row of unknown
    categories, missing numbers and vectors, and empty lists, to the embeddings of the given row. So the attributions of
    a row add up to the difference of the two predictions. The attribution of a column is the sum over its embedding,
    its first-order terms, its scaled number or its components, and its statistics of the targets. The statistics of a
    pair of columns have a column of their own. Attributions explain what the model computes, not what would happen if a
    column were changed.

    Parameters
    ----------
    model : fitted MultiTaskClassifier, or a Pipeline or search that ends in one
        For a Pipeline, the columns are those that the model gets from the steps before it.
    X : DataFrame or array-like of shape (n_samples, n_features)
        The rows to explain; a hundred take seconds.
    target : int or str, default=0
        A binary target or one of `value_targets`, by its name or its position. Positions count the binary targets
        first, then the values.
    scale : {"log_odds", "probability"}, default=None
        Scale of the attributions: the marginal probability of a binary target, or its log-odds, which None means. For a
        target with values, attributions are in the units of the target, and `scale` must be None.
    conditional : bool, default=False
        Whether to explain the prediction given that the step before the target has happened, such as P(conversion |
        click), instead of the marginal probability or the expected value per impression.
    n_steps : int, default=64
        Number of points on the path at which gradients are computed. If the sum of the attributions of a row misses the
        difference by more than 1 % of the sum of their absolute values, the row gets up to 64 times as many points, and
        a warning if these are not enough.

    Returns
    -------
    result : Bunch
        ``frame``, a DataFrame of attributions with a row per row of X and a column per column of the model;
        ``baseline``, the prediction for the row of which nothing is known; ``predictions`` (n_samples,);
        ``remainders`` (n_samples,), the difference of the predictions minus the sum of the attributions; ``data``, X as
        the model gets it; ``target``, the name of the target, such as "conversion | click" if it is `conditional`; and
        ``scale``.

    Raises
    ------
    ImportError
        If captum is not installed: ``pip install 'sklearn-fsmd[explain]'``.
    TypeError
        If the model is no classifier of this package.
    ValueError
        If there is no such target or scale, if `conditional` is set and the target follows no other one, or if the
        low-order part is one that you have registered.

    References
    ----------
    .. [IG] M. Sundararajan, A. Taly, Q. Yan, "Axiomatic Attribution for Deep Networks", ICML 2017.

    Examples
    --------
    >>> from sklearn_fsmd import FSMDClassifier
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> from sklearn_fsmd.inspection import attributions
    >>> X, Y = make_funnel(500, random_state=0, return_X_y=True)
    >>> model = FSMDClassifier(max_epochs=1, random_state=0).fit(X, Y)
    >>> result = attributions(model, X[:2], target="click")
    >>> bool(abs(result.frame.sum(axis=1) - (result.predictions - result.baseline)).max() < 0.01)
    True
    """
    integrated_gradients = _import_captum()
    fitted_model(model)
    check_count("n_steps", n_steps)
    X, last = rows_and_model(model, X)
    last = last.snapshot()
    path = Path(last, *_target_and_scale(last, target, scale, conditional=conditional), conditional=conditional)
    rows, sources = last._rows(X), sources_of(last._encoder)
    blocks, prediction_blocks = [], []
    with threads(last.n_threads):
        with torch.no_grad():
            baseline = float(path(*path.start))
        for start in range(0, len(rows), ROWS):
            inputs = path.inputs(rows.take(np.arange(start, min(start + ROWS, len(rows)))))
            with torch.no_grad():
                prediction_blocks.append(path(*inputs).double().cpu().numpy())
            differences = prediction_blocks[-1] - baseline
            blocks.append(_integrate(integrated_gradients(path), path, inputs, differences, sources, n_steps))
    attributed, predictions = np.concatenate(blocks), np.concatenate(prediction_blocks)
    remainders = predictions - baseline - attributed.sum(axis=1)
    _warn_of_remainders(remainders, attributed, n_steps)
    data = as_pandas(X)
    index = data.index if isinstance(data, pd.DataFrame) else None
    return Bunch(
        frame=pd.DataFrame(attributed, columns=sources.names, index=index),
        baseline=baseline,
        predictions=predictions,
        remainders=remainders,
        data=data,
        target=path.target,
        scale=path.scale,
    )


def _integrate(
    gradients: Any, path: Path, inputs: tuple[torch.Tensor, ...], differences: np.ndarray, sources: Sources, n: int
) -> np.ndarray:
    """Attributions ``(B, columns)``; rows whose attributions do not add up with `n` steps get more steps."""
    attributed = np.zeros((len(differences), len(sources.names)))
    pending = np.arange(len(differences))
    for factor in MORE_STEPS:
        ends = tuple(tensor[torch.from_numpy(pending)] for tensor in inputs)
        starts = tuple(start.expand_as(end) for start, end in zip(path.start, ends, strict=True))
        by_input = gradients.attribute(ends, starts, n_steps=n * factor, internal_batch_size=max(BATCH, len(pending)))
        attributed[pending] = _by_column(by_input, sources)
        remainders = differences[pending] - attributed[pending].sum(axis=1)
        pending = pending[_are_too_large(remainders, attributed[pending])]
        if not len(pending):
            break
    return attributed


def _by_column(by_input: tuple[torch.Tensor, ...], sources: Sources) -> np.ndarray:
    """Sum the attributions of the inputs (numbers, fields and first-order terms) by column: ``(n, columns)``."""
    numbers, *fields_and_terms = (tensor.double().cpu() for tensor in by_input)
    by_column = torch.zeros(len(numbers), len(sources.names), dtype=torch.float64)
    by_column.index_add_(1, torch.from_numpy(sources.numbers), numbers)
    for tensor in fields_and_terms:
        by_column.index_add_(1, torch.from_numpy(sources.fields), tensor.flatten(2).sum(dim=2))
    return by_column.numpy()


def _target_and_scale(model: Any, target: int | str, scale: Any, *, conditional: bool) -> tuple[int, str, Scale]:
    """The position of the target, the name of what is explained, and its scale."""
    names = [*model.task_names_, *model.value_names_]
    k = index_of_target(target, names)
    parent = with_value_parents(model, model.module_.link.parents)[k] if conditional else None
    if conditional and parent is None:
        raise ValueError(f"{names[k]!r} follows no other target, so it has no conditional prediction.")
    name = names[k] if parent is None else f"{names[k]} | {names[parent]}"
    if k >= len(model.task_names_):
        if scale is not None:
            raise ValueError(f"{names[k]!r} holds values and has no {scale!r}. Leave `scale` out.")
        return k, name, "value"
    if scale not in (None, "log_odds", "probability"):
        raise ValueError(f"`scale` must be 'log_odds' or 'probability'. Got {scale!r}.")
    return k, name, scale or "log_odds"


def _are_too_large(remainders: np.ndarray, attributed: np.ndarray) -> np.ndarray:
    return np.abs(remainders) > np.maximum(TOLERANCE * np.abs(attributed).sum(axis=1), 1e-6)


def _warn_of_remainders(remainders: np.ndarray, attributed: np.ndarray, n_steps: int) -> None:
    if (bad := np.flatnonzero(_are_too_large(remainders, attributed))).size:
        row = int(bad[np.argmax(np.abs(remainders[bad]))])
        warn(
            f"The attributions of {len(bad)} of {len(remainders)} rows do not add up: in row {row} they miss "
            f"{remainders[row]:.3g}, and the sum of their absolute values is {np.abs(attributed[row]).sum():.3g}. Take "
            f"more than n_steps={n_steps}."
        )


def _import_captum() -> Any:
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise ImportError("Attributions are computed by captum: pip install 'sklearn-fsmd[explain]'.") from error
    return IntegratedGradients
