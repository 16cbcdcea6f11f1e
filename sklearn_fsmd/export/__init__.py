"""Export of a fitted model: as an ONNX file for other programs, as a model card for readers."""

from sklearn_fsmd.export.card import model_card
from sklearn_fsmd.export.onnx import to_onnx

__all__ = ["model_card", "to_onnx"]
