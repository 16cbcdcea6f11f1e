"""X and Y become codes, numbers, labels and weights. Here: the encoder of all inputs, and vocabularies that grow."""

from sklearn_fsmd.encoding.growing import Growth
from sklearn_fsmd.encoding.input_encoder import InputEncoder

__all__ = [
    "Growth",
    "InputEncoder",
]
