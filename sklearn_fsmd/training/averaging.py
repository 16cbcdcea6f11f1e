"""An exponential moving average of a module's weights, which is evaluated and kept in their place."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WeightAverage:
    """The average w̄ ← d·w̄ + (1 − d)·w over the steps, free of the initial weights.

    It is the moving average that starts at zero, divided by the sum of its coefficients (as Adam does with its
    moments), which makes d = `decay` · (1 − decay^(t−1)) / (1 − decay^t) at step t. The running statistics of batch
    norm are averaged like the weights. With a decay of 0 the average is the module itself.

    :meth:`swap_in` puts the average into the module and :meth:`swap_out` the weights that are trained; only
    references are exchanged.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = module
        self.decay = decay
        self.step = 0
        self.is_in = False
        self.others = [t.detach().clone() for t in self._tensors()] if decay else []

    def _tensors(self) -> list[Tensor]:
        return [t for t in (*self.module.parameters(), *self.module.buffers()) if t.is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Take one step of training into the average."""
        if self.decay:
            self.step += 1
            newest = (1 - self.decay) / (1 - self.decay**self.step)
            torch._foreach_lerp_(self.others, [t.detach() for t in self._tensors()], newest)

    def swap_in(self) -> None:
        """Let the module hold the average."""
        if not self.is_in:
            self._swap()

    def swap_out(self) -> None:
        """Let the module hold the weights that are trained."""
        if self.is_in:
            self._swap()

    def _swap(self) -> None:
        self.is_in = not self.is_in
        for i, tensor in enumerate(self._tensors() if self.decay else []):
            tensor.data, self.others[i] = self.others[i], tensor.data

    @torch.no_grad()
    def level(self) -> None:
        """Let average and trained weights both be what the module holds."""
        for tensor, other in zip(self._tensors(), self.others, strict=False):
            other.copy_(tensor)
