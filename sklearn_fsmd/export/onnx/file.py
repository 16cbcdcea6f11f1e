"""to_onnx: write a fitted estimator as an ONNX file, which programs in other languages can run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from numbers import Integral
from typing import Any

import numpy as np

from sklearn_fsmd.estimators import MultiTaskClassifier
from sklearn_fsmd.export.onnx.columns import Column, bias_names, columns_of
from sklearn_fsmd.export.onnx.last_step import last_step
from sklearn_fsmd.export.onnx.names import OUTPUTS, VALUES
from sklearn_fsmd.export.onnx.network import outputs_by_member
from sklearn_fsmd.export.onnx.outputs import conditionals, marginals, rank_score, step_probabilities
from sklearn_fsmd.export.onnx.rows import encode_rows
from sklearn_fsmd.export.onnx.size import check_size
from sklearn_fsmd.export.onnx.values import expected, per_impression
from sklearn_fsmd.export.onnx.weights import digest_of
from sklearn_fsmd.parameters.machine import cpu_by_default
from sklearn_fsmd.persistence import digest_of as digest_of_values
from sklearn_fsmd.persistence import replacing
from sklearn_fsmd.ranking import exponents_of, listed

OPSETS = range(18, 22)
FORMAT = 1
"""Version of inputs, outputs and metadata.

It is raised if a program that can use files of the current version could not use those of the next one.
"""
PACKAGES = ("sklearn-fsmd", "torch", "onnx")


@cpu_by_default()
def to_onnx(
    model: Any,
    path: str | os.PathLike[str],
    *,
    opset: int = 18,
    rank_weights: Sequence[float] | np.ndarray | Mapping[str, float] | None = None,
) -> None:
    """Write a fitted model as one ONNX file whose inputs are raw columns.

    The file contains the whole prediction: vocabularies, missing values, scaling, bins, target statistics, network,
    calibration, link and ensemble. To score with it, a program needs an ONNX runtime such as onnxruntime, but neither
    torch nor this library.

    Parameters
    ----------
    model : MultiTaskClassifier or one of the named models; or a Pipeline or search that ends in one
        Fitted model. Of a Pipeline only the last step is written; a warning and the metadata name the steps before it.
    path : str or path
        File to write. An existing file is replaced when the new one is complete.
    opset : int, default=18
        Version of the standard ONNX operators, 18 to 21.
    rank_weights : array-like of shape (n_tasks,) or (n_tasks + n_values,), or dict, default=None
        Exponents of the output `rank_score`, see :meth:`~sklearn_fsmd.MultiTaskClassifier.rank_score`: those of the
        probabilities, then those of the expected values, which are 0 if they are omitted. A dict gives them by name.
        None means 1 for all.

    Raises
    ------
    ImportError
        If onnx is not installed, or onnxscript for an extractor of your own.
    NotFittedError
        If the model is not fitted.
    OSError
        If the file cannot be written. An existing file stays unchanged.
    TypeError
        If `model` is not a model of this library.
    ValueError
        If `opset` or `rank_weights` is out of range, if a column cannot be an input, if the file would be larger than
        2 GiB, or if the 'extractor', the 'low_order' part or the distribution of values cannot be written.

    Notes
    -----
    The file has an input for each column that predictions need, with the name of the column:

    - categories and numbers: strings, int64 or double of shape ``(n,)``;
    - lists: two inputs, for a column `tags` the values of all rows as `tags`, and as `tags_offsets` the n + 1 indices
      at which the rows begin and end;
    - vectors: float of shape ``(n, d)``.

    The outputs are `marginals` and `conditionals`, float of shape ``(n, n_tasks)``, and `rank_score`, double of shape
    ``(n,)``. Models with `value_targets` also have `values`, float of shape ``(n, n_values)``. The metadata entry
    "columns" lists the types of the inputs and the values that stand for missing ones.

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
        from sklearn_fsmd.export.onnx.graph import Graph
    except ImportError as error:
        raise ImportError(
            f"to_onnx needs onnx, which cannot be imported ({error}): pip install 'sklearn-fsmd[onnx]'."
        ) from error
    estimator, previous_steps = last_step(model)
    if not isinstance(opset, Integral) or opset not in OPSETS:
        raise ValueError(f"`opset` must be an integer from {OPSETS[0]} to {OPSETS[-1]}. Got {opset!r}.")
    network, encoder, value_targets = estimator.module_, estimator._encoder, estimator._targets.of_values
    n_values = 0 if value_targets is None else len(value_targets.names)
    weights = _exponents(listed(rank_weights, estimator, "rank_weights"), len(estimator.task_names_), n_values)
    output_names = [*OUTPUTS, VALUES] if n_values else OUTPUTS
    columns = columns_of(encoder, output_names)
    check_size(encoder, network, columns)

    g = Graph([*output_names, *(name for column in columns for name in column.input_names)], int(opset))
    members = outputs_by_member(g, network, encode_rows(g, encoder, columns))
    parents = network.link.parents
    p_steps = step_probabilities(g, [member.logits for member in members], parents, estimator.calibration_)
    p = factors = marginals(g, p_steps, parents)
    values = None
    if value_targets is not None and network.values is not None:
        conditional_values = expected(g, network.values, [member.values for member in members])
        values = per_impression(g, conditional_values, p, len(parents), value_targets.parents)
        factors = g.concat([p, values])
    g.output("marginals", p, "float", ["n", len(parents)])
    g.output("conditionals", conditionals(g, p_steps, parents), "float", ["n", len(parents)])
    g.output("rank_score", rank_score(g, factors, weights), "double", ["n"])
    if values is not None:
        g.output(VALUES, values, "float", ["n", n_values])
    content = g.model(_metadata(estimator, columns, weights, previous_steps)).SerializeToString()
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _exponents(rank_weights: Any, n_tasks: int, n_values: int) -> np.ndarray:
    """One exponent per task and value; those of values are 0 by default if there are exponents of tasks."""
    if rank_weights is None:
        return np.ones(n_tasks + n_values)
    weights = exponents_of(rank_weights, sorted({n_tasks, n_tasks + n_values}), "rank_weights")
    return np.append(weights, np.zeros(n_tasks + n_values - len(weights)))


def _metadata(
    estimator: MultiTaskClassifier, columns: Sequence[Column], weights: np.ndarray, previous_steps: list[str]
) -> dict[str, str]:
    """The metadata of the file, as JSON except for the hashes."""
    calibration, value_targets = estimator.calibration_, estimator._targets.of_values
    content: dict[str, Any] = {
        "format": FORMAT,
        "model": type(estimator).__name__,
        "task_names": [str(name) for name in estimator.task_names_],
        "parents": list(estimator.module_.link.parents),
        "classes": [[str(value) for value in classes] for classes in estimator._targets.classes],
        "value_names": [] if value_targets is None else list(value_targets.names),
        "value_parents": [] if value_targets is None else list(value_targets.parents),
        "value_loss": None if value_targets is None else value_targets.loss,
        "columns": [column.metadata() for column in columns],
        "not_needed": bias_names(estimator._encoder),
        "rank_weights": weights.tolist(),
        "calibration": None if calibration is None else np.asarray(calibration).tolist(),
        "steps_before": previous_steps,
        "versions": {name: version(name) for name in PACKAGES},
    }
    return {
        **{name: json.dumps(value) for name, value in content.items()},
        "weights_sha256": digest_of(estimator.module_),
        "encoding_sha256": digest_of_values(estimator._encoder),
    }
