"""What each column of a row adds to its prediction: integrated gradients, by captum."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from sklearn.utils import Bunch

from sklearn_fsmd.compose import fitted_model, reach
from sklearn_fsmd.encoding import as_pandas, index_of_target
from sklearn_fsmd.inspection._columns import Sources, sources_of
from sklearn_fsmd.inspection._path import Path, Scale
from sklearn_fsmd.metrics import check_count
from sklearn_fsmd.parameters import warn
from sklearn_fsmd.parameters.machine import cpu_by_default, threads

ROWS = 256
"""How many rows are attributed together."""
BATCH = 4096
"""How many points of their ways are computed at once."""
MORE_STEPS = (1, 8, 64)
"""How many times as many steps those rows get whose attributions do not add up yet."""
TOLERANCE = 0.01
"""What share of all attributions may be left over before a warning says so."""


@cpu_by_default()
def attributions(
    model: Any,
    X: Any,
    *,
    target: int | str = 0,
    scale: Literal["log_odds", "probability"] | None = None,
    n_steps: int = 64,
) -> Bunch:
    """What each column of a row adds to its prediction, against a row of which nothing is known.

    Integrated gradients [IG]_ go straight from the embeddings of a row whose values are all missing to those of the
    row, and add up the gradients on the way. So the attributions of a row add up to the difference of the two
    predictions. Those of a column are the sums over its embedding, its first-order terms, its scaled number or its
    components, and its statistics of the targets; the statistics of a pair of columns have a column of their own. They
    say what the model does, not what would happen if a column were changed.

    Parameters
    ----------
    model : fitted MultiTaskClassifier, or a Pipeline or search that ends in one
        Of a Pipeline the columns are those that the model reads.
    X : DataFrame or array-like of shape (n_samples, n_features)
        Some rows; a hundred take seconds.
    target : int or str, default=0
        A binary target or one of `value_targets`, by its name, or by its position among the first and then the second.
    scale : {"log_odds", "probability"}, default=None
        Of which the attributions are shares: for a binary target the log-odds of its marginal probability (None), or
        that probability. Of a target with values they are in its units, and this must be None.
    n_steps : int, default=64
        At how many points of the way gradients are taken. Rows whose attributions do not add up to within 1 % of all
        of them, without their signs, get up to 64 times as many; a warning says if that is not enough.

    Returns
    -------
    found : Bunch
        ``frame``, a DataFrame with a row per row of X and a column per column; ``baseline``, the prediction of a row of
        which nothing is known; ``predictions`` (n_samples,); ``remainders`` (n_samples,), what the steps have missed;
        ``data``, X as the model reads it; ``target``, its name, and ``scale``.

    Raises
    ------
    ImportError
        If captum is not installed: ``pip install 'sklearn-fsmd[explain]'``.
    TypeError
        If the model is none of this library's classifiers.
    ValueError
        If there is no such target or scale, or the low-order part is one that was added from outside.

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
    >>> found = attributions(model, X[:2], target="click")
    >>> bool(abs(found.frame.sum(axis=1) - (found.predictions - found.baseline)).max() < 0.01)
    True
    """
    integrated_gradients = _captum()
    fitted_model(model)
    check_count("n_steps", n_steps)
    X, own = reach(model, X)
    own = own.snapshot()
    path = Path(own, *_target_and_scale(own, target, scale))
    rows, sources = own._rows(X), sources_of(own._encoder)
    parts, ends = [], []
    with threads(own.n_threads):
        with torch.no_grad():
            baseline = float(path(*path.start))
        for start in range(0, len(rows), ROWS):
            inputs = path.inputs(rows.take(np.arange(start, min(start + ROWS, len(rows)))))
            with torch.no_grad():
                ends.append(path(*inputs).double().cpu().numpy())
            parts.append(_integrated(integrated_gradients(path), path, inputs, ends[-1] - baseline, sources, n_steps))
    shares, predictions = np.concatenate(parts), np.concatenate(ends)
    remainders = predictions - baseline - shares.sum(axis=1)
    _warn_of(remainders, shares, n_steps)
    data = as_pandas(X)
    index = data.index if isinstance(data, pd.DataFrame) else None
    return Bunch(
        frame=pd.DataFrame(shares, columns=sources.names, index=index),
        baseline=baseline,
        predictions=predictions,
        remainders=remainders,
        data=data,
        target=path.target,
        scale=path.scale,
    )


def _integrated(
    gradients: Any, path: Path, inputs: tuple[torch.Tensor, ...], differences: np.ndarray, sources: Sources, n: int
) -> np.ndarray:
    """The attributions ``(B, columns)``; rows whose attributions do not add up at `n` steps get more."""
    shares = np.zeros((len(differences), len(sources.names)))
    pending = np.arange(len(differences))
    for more in MORE_STEPS:
        chosen = tuple(one[torch.from_numpy(pending)] for one in inputs)
        starts = tuple(one.expand_as(other) for one, other in zip(path.start, chosen, strict=True))
        given = gradients.attribute(chosen, starts, n_steps=n * more, internal_batch_size=max(BATCH, len(pending)))
        shares[pending] = _by_column(given, sources)
        pending = pending[_do_not_add_up(differences[pending] - shares[pending].sum(axis=1), shares[pending])]
        if not len(pending):
            break
    return shares


def _by_column(given: tuple[torch.Tensor, ...], sources: Sources) -> np.ndarray:
    """Attributions of numbers, and of the fields and first-order terms of each member, added up: ``(n, columns)``."""
    numbers, *of_fields = (one.double().cpu() for one in given)
    shares = torch.zeros(len(numbers), len(sources.names), dtype=torch.float64)
    shares.index_add_(1, torch.from_numpy(sources.numbers), numbers)
    for one in of_fields:
        shares.index_add_(1, torch.from_numpy(sources.fields), one.flatten(2).sum(dim=2))
    return shares.numpy()


def _target_and_scale(model: Any, target: int | str, scale: Any) -> tuple[int, str, Scale]:
    names = [*model.task_names_, *model.value_names_]
    k = index_of_target(target, names)
    if k >= len(model.task_names_):
        if scale is not None:
            raise ValueError(f"{names[k]!r} holds values and has no {scale!r}. Leave `scale` out.")
        return k, names[k], "value"
    if scale not in (None, "log_odds", "probability"):
        raise ValueError(f"`scale` must be 'log_odds' or 'probability'. Got {scale!r}.")
    return k, names[k], scale or "log_odds"


def _do_not_add_up(remainders: np.ndarray, shares: np.ndarray) -> np.ndarray:
    return np.abs(remainders) > np.maximum(TOLERANCE * np.abs(shares).sum(axis=1), 1e-6)


def _warn_of(remainders: np.ndarray, shares: np.ndarray, n_steps: int) -> None:
    if (bad := np.flatnonzero(_do_not_add_up(remainders, shares))).size:
        row = int(bad[np.argmax(np.abs(remainders[bad]))])
        warn(
            f"The attributions of {len(bad)} of {len(remainders)} rows do not add up: in row {row} they miss "
            f"{remainders[row]:.3g}, and without their signs they are {np.abs(shares[row]).sum():.3g} in all. Take "
            f"more than n_steps={n_steps}."
        )


def _captum() -> Any:
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise ImportError("Attributions are computed by captum: pip install 'sklearn-fsmd[explain]'.") from error
    return IntegratedGradients
