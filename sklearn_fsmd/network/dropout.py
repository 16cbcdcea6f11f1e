"""Dropout that is cheap on a CPU and draws from a source of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Zero each element with probability `p` in training and scale the rest, so that the mean stays.

    Two things differ from :class:`torch.nn.Dropout`. An element is kept or dropped by a random byte: on a CPU the
    Bernoulli draws of torch are serial and can take half of a training step. So `p` is rounded to a multiple of 1/256
    (and the scale is that of the rounded value). And the bytes come from `source` where there is one, so that
    concurrent fits do not disturb each other and the global generator is left alone; see :func:`seed_dropout`.

    **Shape**: any, kept.
    """

    source: np.random.SFC64 | torch.Generator | None = None

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0.0 <= p < 1.0:
            raise ValueError(f"the dropout probability must be in [0, 1), got {p=}")
        self.threshold = min(round(p * 256), 255)
        self.scale = 256.0 / (256 - self.threshold) if self.threshold else 1.0

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.threshold:
            return x
        return x * self.mask(x).mul_(self.scale)

    def mask(self, x: Tensor) -> Tensor:
        """A fresh mask of the shape and type of `x`, 1 where an element is kept."""
        if x.device.type != "cpu":
            source = self.source if isinstance(self.source, torch.Generator) else None
            drawn = torch.randint(256, x.shape, dtype=torch.uint8, device=x.device, generator=source)
            return (drawn >= self.threshold).to(x.dtype)
        n = x.numel()
        bytes_ = self._words((n + 7) // 8).numpy().view(np.uint8)[:n]
        np.greater_equal(bytes_, self.threshold, out=bytes_.view(bool))  # ten times as fast as torch's
        return torch.from_numpy(bytes_).view(x.shape).to(x.dtype)

    def draw_keys(self, n: int) -> Tensor:
        """Random int32, two for each of `n` members, for whoever draws the bytes in another way, ``(n, 2)``."""
        return self._words(n).view(torch.int32).view(n, 2)

    def _words(self, n: int) -> Tensor:
        """`n` random words on the CPU, each of eight random bytes."""
        if isinstance(self.source, np.random.SFC64):
            return torch.from_numpy(self.source.random_raw(n).view(np.int64))
        # The default upper end of random_ for int64 leaves the sign bit out; this range fills all eight bytes.
        return torch.empty(n, dtype=torch.int64, device="cpu").random_(-(2**63), None, generator=self.source)

    def extra_repr(self) -> str:
        return f"p={self.threshold / 256:.4g}"


def dropout_state(module: nn.Module) -> Any:
    """The state of the source that :func:`seed_dropout` gave to `module`; None where nothing is ever dropped."""
    source = next((part.source for part in module.modules() if isinstance(part, Dropout)), None)
    if source is None:
        return None
    return source.get_state() if isinstance(source, torch.Generator) else source.state


def set_dropout_state(module: nn.Module, state: Any) -> None:
    """Let the source go on from a state that :func:`dropout_state` has given."""
    source = next((part.source for part in module.modules() if isinstance(part, Dropout)), None)
    if isinstance(source, torch.Generator):
        source.set_state(state)
    elif source is not None:
        source.state = state


def seed_dropout(module: nn.Module, seed: int, device: torch.device | str = "cpu") -> None:
    """Let every :class:`Dropout` inside `module` draw from one source, seeded with `seed`.

    On a CPU that is a bit generator of numpy, which fills memory twice as fast as torch's.
    """
    on_cpu = torch.device(device).type == "cpu"
    source = np.random.SFC64(seed) if on_cpu else torch.Generator(device).manual_seed(seed)
    for part in module.modules():
        if isinstance(part, Dropout):
            part.source = source
