"""to_onnx: a fitted estimator as a file that other languages read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from numbers import Integral
from typing import Any

import numpy as np

from sklearn_fsmd.estimators import MultiTaskClassifier
from sklearn_fsmd.export.columns import Column, bias_names, columns_of
from sklearn_fsmd.export.last_step import last_step
from sklearn_fsmd.export.names import OUTPUTS, VALUES
from sklearn_fsmd.export.network import outputs_by_member
from sklearn_fsmd.export.outputs import conditionals, marginals, rank_score, steps
from sklearn_fsmd.export.rows import encoded
from sklearn_fsmd.export.size import check_size
from sklearn_fsmd.export.values import expected, of_impressions
from sklearn_fsmd.export.weights import digest_of
from sklearn_fsmd.parameters.machine import cpu_by_default
from sklearn_fsmd.persistence import digest_of as digest_of_values
from sklearn_fsmd.persistence import replacing
from sklearn_fsmd.ranking import exponents_of, listed

OPSETS = range(18, 22)
FORMAT = 1
"""Of inputs, outputs and metadata. It is raised when a program that reads a file of before could no longer do so."""
PACKAGES = ("sklearn-fsmd", "torch", "onnx")


@cpu_by_default()
def to_onnx(
    model: Any,
    path: str | os.PathLike[str],
    *,
    opset: int = 18,
    rank_weights: Sequence[float] | np.ndarray | Mapping[str, float] | None = None,
) -> None:
    """Write a fitted model as one ONNX file, which takes raw columns.

    Vocabulary, missing values, scaling, bins, target statistics, network, calibration, link and ensemble are all in
    the file. A program needs an ONNX runtime to score with it, such as onnxruntime, and neither torch nor this
    library.

    Parameters
    ----------
    model : MultiTaskClassifier or one of the named models; or a Pipeline or search that ends in one
        Of a Pipeline the last step is written. A warning and the metadata name the steps before it.
    path : str or path
        A file of that name is replaced when the new one is complete.
    opset : int, default=18
        Version of the standard ONNX operators, 18 to 21.
    rank_weights : array-like of shape (n_tasks,) or (n_tasks + n_values,), or dict, default=None
        The exponents of the output `rank_score`, see :meth:`~sklearn_fsmd.MultiTaskClassifier.rank_score`; None takes
        1 for all. Those of expected values follow those of the probabilities, or are 0. A dict has them by name.

    Raises
    ------
    ImportError
        If onnx, or onnxscript for an extractor of your own, is not installed.
    NotFittedError
        If the model is not fitted.
    OSError
        If the file cannot be written; what was there before is unchanged then.
    TypeError
        If `model` is no model of this library.
    ValueError
        If `opset` or `rank_weights` is out of range, if a column cannot be an input, if the file would be larger than
        2 GiB, or if the 'extractor', the 'low_order' part or the distribution of values is one that cannot be written.

    Notes
    -----
    The file has one input of rank 1 for each column that predictions need, with the name of the column: strings,
    int64 or double. A column of lists has two, `tags` with all values and `tags_offsets` with the n + 1 places at
    which the rows begin and end. A column of vectors has one of rank 2, ``(n, d)`` float. Outputs are `marginals` and
    `conditionals`, ``(n, n_tasks)`` float, `rank_score`, ``(n,)`` double, and of models with `value_targets` also
    `values`, ``(n, n_values)`` float. The metadata entry "columns" has the types, and how a missing value is given.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_fsmd import FSMDClassifier
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> from sklearn_fsmd.export import to_onnx
    >>> X, Y = make_funnel(500, random_state=0, return_X_y=True)
    >>> model = FSMDClassifier(max_epochs=1, random_state=0).fit(X[["user_id", "price"]], Y)
    >>> path = tempfile.mkdtemp() + "/model.onnx"
    >>> to_onnx(model, path)
    >>> import onnxruntime
    >>> [column.name for column in onnxruntime.InferenceSession(path).get_inputs()]
    ['user_id', 'price']
    """
    try:
        from sklearn_fsmd.export.graph import Graph
    except ImportError as error:
        raise ImportError(
            f"to_onnx needs onnx, which cannot be imported ({error}): pip install 'sklearn-fsmd[onnx]'."
        ) from error
    estimator, before = last_step(model)
    if not isinstance(opset, Integral) or opset not in OPSETS:
        raise ValueError(f"`opset` must be an integer from {OPSETS[0]} to {OPSETS[-1]}. Got {opset!r}.")
    network, encoder, of_values = estimator.module_, estimator._encoder, estimator._targets.of_values
    n_values = 0 if of_values is None else len(of_values.names)
    weights = _exponents(listed(rank_weights, estimator, "rank_weights"), len(estimator.task_names_), n_values)
    outputs = [*OUTPUTS, VALUES] if n_values else OUTPUTS
    columns = columns_of(encoder, outputs)
    check_size(encoder, network, columns)

    g = Graph([*outputs, *(name for column in columns for name in column.input_names)], int(opset))
    outputs = outputs_by_member(g, network, encoded(g, encoder, columns))
    parents = network.link.parents
    of_steps = steps(g, [own.logits for own in outputs], parents, estimator.calibration_)
    p = factors = marginals(g, of_steps, parents)
    values = None
    if of_values is not None and network.values is not None:
        given = expected(g, network.values, [own.values for own in outputs])
        values = of_impressions(g, given, p, len(parents), of_values.parents)
        factors = g.concat([p, values])
    g.output("marginals", p, "float", ["n", len(parents)])
    g.output("conditionals", conditionals(g, of_steps, parents), "float", ["n", len(parents)])
    g.output("rank_score", rank_score(g, factors, weights), "double", ["n"])
    if values is not None:
        g.output(VALUES, values, "float", ["n", n_values])
    content = g.model(_metadata(estimator, columns, weights, before)).SerializeToString()
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _exponents(rank_weights: Any, n_tasks: int, n_values: int) -> np.ndarray:
    """One exponent per task and value."""
    if rank_weights is None:
        return np.ones(n_tasks + n_values)
    weights = exponents_of(rank_weights, sorted({n_tasks, n_tasks + n_values}), "rank_weights")
    return np.append(weights, np.zeros(n_tasks + n_values - len(weights)))


def _metadata(
    estimator: MultiTaskClassifier, columns: Sequence[Column], weights: np.ndarray, before: list[str]
) -> dict[str, str]:
    """What a program may want to know; each value but those of the hashes is JSON."""
    calibration, of_values = estimator.calibration_, estimator._targets.of_values
    content: dict[str, Any] = {
        "format": FORMAT,
        "model": type(estimator).__name__,
        "task_names": [str(name) for name in estimator.task_names_],
        "parents": list(estimator.module_.link.parents),
        "classes": [[str(value) for value in classes] for classes in estimator._targets.classes],
        "value_names": [] if of_values is None else list(of_values.names),
        "value_parents": [] if of_values is None else list(of_values.parents),
        "value_loss": None if of_values is None else of_values.loss,
        "columns": [column.described() for column in columns],
        "not_needed": bias_names(estimator._encoder),
        "rank_weights": weights.tolist(),
        "calibration": None if calibration is None else np.asarray(calibration).tolist(),
        "steps_before": before,
        "versions": {name: version(name) for name in PACKAGES},
    }
    return {
        **{name: json.dumps(value) for name, value in content.items()},
        "weights_sha256": digest_of(estimator.module_),
        "encoding_sha256": digest_of_values(estimator._encoder),
    }
