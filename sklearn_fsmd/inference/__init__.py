"""A trained network is asked, without an optimizer and without skorch."""

from sklearn_fsmd.inference.predictor import CPU_CHUNK, Predictor, build, in_chunks, layout_of

__all__ = ["CPU_CHUNK", "Predictor", "build", "in_chunks", "layout_of"]
