"""The weights of a network as arrays, and a record of which were read."""

from __future__ import annotations

import hashlib

import numpy as np
from torch import Tensor, nn

from sklearn_fsmd.network import HiddenLayer, StackedLinear

BIAS_TOWER = "bias_tower."
NEUTRAL = "bias_tower.neutral"


class Weights:
    """Returns weights as float32 arrays, and remembers which were read."""

    def __init__(self) -> None:
        self._read: set[int] = set()

    def __call__(self, tensor: Tensor) -> np.ndarray:
        """Return the array of a parameter or buffer."""
        self._read.add(id(tensor))
        return np.ascontiguousarray(tensor.detach().cpu().numpy(), dtype=np.float32).reshape(tuple(tensor.shape))

    def linear(self, layer: StackedLinear, e: int) -> tuple[np.ndarray, np.ndarray]:
        """Weight ``(I, O)`` and bias ``(O,)`` of map `e`."""
        return self(layer.weight)[e], self(layer.bias)[e]

    def hidden(self, layer: HiddenLayer, e: int) -> tuple[np.ndarray, np.ndarray]:
        """Weight ``(I, O)`` and bias ``(O,)`` of member `e` of a hidden layer, batch norm included."""
        self.all_of(layer)
        weight, bias = layer.folded()
        return self(weight)[e], self(bias)[e]

    def all_of(self, module: nn.Module) -> None:
        """Mark all weights of a module as read."""
        self._read.update(id(tensor) for tensor in module.state_dict(keep_vars=True).values())

    def unread(self, network: nn.Module) -> list[str]:
        """The names of the weights that were not read, except for bias tower weights that predictions do not use."""
        state = network.state_dict(keep_vars=True)
        needed = (name for name in state if name == NEUTRAL or not name.startswith(BIAS_TOWER))
        return [name for name in needed if id(state[name]) not in self._read]


def digest_of(network: nn.Module) -> str:
    """The SHA-256 of names and values of all weights."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).data)
    return digest.hexdigest()
