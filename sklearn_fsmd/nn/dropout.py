"""Dropout that is cheap on a CPU and draws from a generator of its own."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Zero each element with probability `p` in training and scale the rest, so that the mean stays.

    Two things differ from :class:`torch.nn.Dropout`. The mask comes from bytes, eight of which are cut from one
    64-bit draw: on a CPU the Bernoulli draws of torch are serial and can take half of a training step. So `p` is
    rounded to a multiple of 1/256 (and the scale is that of the rounded value). And the draws come from `generator`
    where one is set, so that concurrent fits do not disturb each other and the global generator is left alone.

    **Shape**: any, kept.
    """

    generator: torch.Generator | None = None

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0.0 <= p < 1.0:
            raise ValueError(f"the dropout probability must be in [0, 1), got {p=}")
        self.threshold = min(round(p * 256), 255)
        self.scale = 256.0 / (256 - self.threshold)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.threshold:
            return x
        return x * self.mask(x.shape, x.device).to(x.dtype).mul_(self.scale)

    def mask(self, shape: torch.Size, device: torch.device) -> Tensor:
        """A fresh mask: uint8, 1 where an element is kept."""
        n = shape.numel()
        draws = torch.empty((n + 7) // 8, dtype=torch.int64, device=device)
        # The default upper end of random_ for int64 leaves the sign bit out; this range fills all eight bytes.
        draws.random_(-(2**63), None, generator=self.generator)
        bytes_ = draws.view(torch.uint8)[:n].view(shape)
        if device.type == "cpu":  # where numpy compares bytes ten times as fast as torch
            return torch.from_numpy(np.greater_equal(bytes_.numpy(), self.threshold).view(np.uint8))
        return (bytes_ >= self.threshold).view(torch.uint8)

    def extra_repr(self) -> str:
        return f"p={self.threshold / 256:.4g}"


def set_generator(module: nn.Module, generator: torch.Generator | None) -> None:
    """Let every :class:`Dropout` inside `module` draw from `generator`."""
    for part in module.modules():
        if isinstance(part, Dropout):
            part.generator = generator
