"""A fitted model as one ONNX file, which takes raw columns and needs neither torch nor this library."""

from sklearn_fsmd.export.onnx_file import to_onnx

__all__ = ["to_onnx"]
