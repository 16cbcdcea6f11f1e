"""The responses: scores of rows, or a ranking."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from serving.model_file import ModelFile
from serving.refusal import RefusalError, shown
from serving.rows import inputs_of_rows

TINY = np.finfo(np.float32).tiny
"""Lower bound of the factors of a score, as in `sklearn_fsmd`."""
LARGEST_WEIGHT = 1000.0


def score(model: ModelFile, rows: Sequence[Any]) -> dict[str, Any]:
    """Return the probabilities, conditionals and values of each row by name, and its score."""
    outputs = _outputs(model, rows)
    columns = [
        (name, [dict(zip(names, row, strict=True)) for row in outputs[output].tolist()])
        for name, output, names in (
            ("probabilities", "marginals", model.task_names),
            ("conditionals", "conditionals", model.task_names),
            ("values", "values", model.value_names),
        )
    ]
    scores = np.minimum(outputs["rank_score"], np.finfo(np.float64).max).tolist()
    columns = [*columns, ("rank_score", scores)]
    keys = [name for name, _ in columns]
    answers = [dict(zip(keys, row, strict=True)) for row in zip(*(column for _, column in columns), strict=True)]
    return {"model": model.version, "rows": answers}


def rank(model: ModelFile, rows: Sequence[Any], weights: Any) -> dict[str, Any]:
    """Return the order of the rows, best first, the score of each row, and the exponents of the score."""
    exponents = _exponents(model, weights)
    outputs = _outputs(model, rows)
    factors = np.hstack((outputs["marginals"], outputs["values"]))
    logs = np.log(np.maximum(factors, TINY), dtype=np.float64) @ exponents
    logs[(factors <= 0)[:, exponents > 0].any(axis=1)] = -np.inf  # a product with a factor of 0
    order = np.argsort(-logs, kind="stable")
    scores = np.exp(np.minimum(logs, np.log(np.finfo(np.float64).max)))
    weights = dict(zip(model.factor_names, exponents.tolist(), strict=True))
    return {"model": model.version, "weights": weights, "order": order.tolist(), "scores": scores.tolist()}


def _outputs(model: ModelFile, rows: Sequence[Any]) -> dict[str, np.ndarray]:
    """Return the outputs of the model for the rows; "values" is always among them.

    Raises
    ------
    RefusalError
        If an output is not finite.
    """
    n_tasks, n_values = len(model.task_names), len(model.value_names)
    no_values = np.empty((len(rows), 0), np.float32)
    if not rows:
        empty = np.empty((0, n_tasks), np.float32)
        return {
            "marginals": empty,
            "conditionals": empty,
            "rank_score": np.empty(0),
            "values": np.empty((0, n_values), np.float32),
        }
    outputs = {"values": no_values, **model.run(inputs_of_rows(rows, model.columns, model.not_needed))}
    finite = np.isfinite(np.hstack((outputs["marginals"], outputs["conditionals"], outputs["values"]))).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise RefusalError(
            422, f"Row {row}: the model has no finite answer to it. Check its numbers, which may be too large.", row=row
        )
    return outputs


def _exponents(model: ModelFile, weights: Any) -> np.ndarray:
    """Return the exponents of the score: those of the request, or else those of the file."""
    if weights is None:
        return model.rank_weights
    names = model.factor_names
    if type(weights) is not dict:
        raise RefusalError(422, f"`weights` is {shown(weights)}. Send an object such as {{{shown(names[0])}: 1.0}}.")
    for name, weight in weights.items():
        if name not in names:
            raise RefusalError(422, f"`weights` names {shown(name)}. The names are {', '.join(map(shown, names))}.")
        if type(weight) not in (int, float) or not -LARGEST_WEIGHT <= weight <= LARGEST_WEIGHT:
            raise RefusalError(
                422, f"The weight of {shown(name)} is {shown(weight)}. Send a number from −1000 to 1000."
            )
    exponents = np.array([weights.get(name, 0.0) for name in names], float)
    if not exponents.any():
        raise RefusalError(422, "All `weights` are 0, so there is nothing to rank by. Give one of them another value.")
    return exponents
