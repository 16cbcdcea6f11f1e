"""An ONNX graph under construction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from sklearn_fsmd.export.onnx.names import Value

ML = "ai.onnx.ml"
ML_OPSET = 4
"""The first version in which a LabelEncoder holds its table as tensors."""
TYPES = {
    "string": onnx.TensorProto.STRING,
    "int64": onnx.TensorProto.INT64,
    "double": onnx.TensorProto.DOUBLE,
    "float": onnx.TensorProto.FLOAT,
}
SMALL = 1024
"""Bytes. Smaller constants are stored once if they are equal, larger ones if they are the same array object."""


class Graph:
    """Nodes and constants of a graph. Methods add nodes and return the names of the tensors that these compute.

    Parameters
    ----------
    reserved : names of inputs and outputs, which no other tensor may have.
    opset : version of the standard operators.
    """

    def __init__(self, reserved: Iterable[str], opset: int) -> None:
        self.opset = opset
        self._reserved = set(reserved)
        self._n_names = 0
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._stored: dict[tuple[str, tuple[int, ...], bytes] | int, tuple[Value, np.ndarray | None]] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def input(self, name: str, kind: str, shape: Sequence[str | int] = ("n",)) -> Value:
        """Declare an input. A dimension given by name may have another size in every call."""
        self._inputs.append(helper.make_tensor_value_info(name, TYPES[kind], shape))
        return name

    def output(self, name: str, value: Value, kind: str, shape: list[str | int]) -> None:
        """Declare `value` as an output."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, TYPES[kind], shape))

    def op(self, kind: str, *inputs: Value | np.ndarray | np.generic, domain: str = "", **attributes: Any) -> Value:
        """Add an operator with one output. Arrays among the inputs become constants."""
        return self._add(kind, inputs, 1, domain, attributes)[0]

    def columns(self, x: Value, n: int) -> list[Value]:
        """Split ``(B, n)`` into `n` columns ``(B, 1)``."""
        return self.split(x, [1] * n)

    def split(self, x: Value, sizes: Sequence[int]) -> list[Value]:
        """Split ``(B, n)`` into parts with these numbers of columns."""
        return (
            [x] if len(sizes) == 1 else self._add("Split", (x, np.array(sizes, np.int64)), len(sizes), "", {"axis": 1})
        )

    def concat(self, parts: list[Value], axis: int = 1) -> Value:
        """Concatenate tensors."""
        return parts[0] if len(parts) == 1 else self.op("Concat", *parts, axis=axis)

    def cast(self, x: Value, kind: str) -> Value:
        """Convert the type of the elements."""
        return self.op("Cast", x, to=TYPES[kind])

    def sigmoid(self, x: Value) -> Value:
        """1 / (1 + exp(−x)).

        The error of onnxruntime's operator Sigmoid is absolute: few digits of a small probability are right, or none.
        """
        return self.op("Reciprocal", self.op("Add", self.op("Exp", self.op("Neg", x)), np.float32(1)))

    def inline(self, model: Any, x: Value) -> Value:
        """Add all nodes of a model with one input and one output, and apply it to `x`."""
        prefix = f"{self._new_name()}/"
        graph = onnx.compose.add_prefix_graph(model.graph, prefix)
        self._nodes.append(helper.make_node("Identity", [x], [graph.input[0].name]))
        self._nodes.extend(graph.node)
        self._constants.extend(graph.initializer)
        return graph.output[0].name

    def model(self, metadata: Mapping[str, str]) -> Any:
        """Return the finished ``onnx.ModelProto``."""
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid(ML, ML_OPSET)]
        graph = helper.make_graph(self._nodes, "sklearn_fsmd", self._inputs, self._outputs, self._constants)
        model = helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=helper.find_min_ir_version_for(opsets),  # the newest one is unknown to older runtimes
            producer_name="sklearn-fsmd",
        )
        helper.set_model_props(model, dict(metadata))
        return model

    def _add(self, kind: str, inputs: Iterable[Any], n: int, domain: str, attributes: dict[str, Any]) -> list[Value]:
        names = [x if isinstance(x, str) else self._constant(np.asarray(x)) for x in inputs]
        outputs = [self._new_name() for _ in range(n)]
        converted = {k: numpy_helper.from_array(v) if isinstance(v, np.ndarray) else v for k, v in attributes.items()}
        self._nodes.append(helper.make_node(kind, names, outputs, domain=domain, **converted))
        return outputs

    def _constant(self, array: np.ndarray) -> Value:
        is_small = array.nbytes < SMALL
        key = (str(array.dtype), array.shape, array.tobytes()) if is_small else id(array)
        if key not in self._stored:
            name = self._new_name()
            self._stored[key] = name, None if is_small else array  # a reference, so that no other array gets its id
            self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name))
        return self._stored[key][0]

    def _new_name(self) -> str:
        while True:
            name = f"v{self._n_names}"
            self._n_names += 1
            if name not in self._reserved:
                return name
