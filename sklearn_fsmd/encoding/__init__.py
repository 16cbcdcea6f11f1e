"""X and Y become tensors: the encoder of the inputs, vocabularies that grow, and warnings of common mistakes."""

from sklearn_fsmd.encoding.growing import Growth
from sklearn_fsmd.encoding.input_encoder import InputEncoder

__all__ = [
    "Growth",
    "InputEncoder",
]
