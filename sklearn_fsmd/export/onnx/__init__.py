"""A fitted model as an ONNX graph, node by node."""

from sklearn_fsmd.export.onnx.file import to_onnx

__all__ = [
    "to_onnx",
]
