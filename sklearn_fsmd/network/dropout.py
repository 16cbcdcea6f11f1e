"""Dropout that is fast on a CPU and draws from a separate random generator."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Zero each element with probability `p` in training, and scale the others so that the mean stays the same.

    There are two differences from :class:`torch.nn.Dropout`. First, a random byte decides whether an element is
    dropped: on a CPU the Bernoulli draws of torch are serial and can take half of a training step. So `p` is rounded to
    a multiple of 1/256, and the scale is that of the rounded value. Second, the bytes come from `source` if there is
    one. So concurrent fits do not affect each other, and the global generator is not used; see :func:`seed_dropout`.

    **Shape**: any; the output has the shape of the input.
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
        """A random mask with the shape and dtype of `x`: 1 for elements that are kept, else 0."""
        if x.device.type != "cpu":
            source = self.source if isinstance(self.source, torch.Generator) else None
            random_bytes = torch.randint(256, x.shape, dtype=torch.uint8, device=x.device, generator=source)
            return (random_bytes >= self.threshold).to(x.dtype)
        n = x.numel()
        mask = self._words((n + 7) // 8).numpy().view(np.uint8)[:n]
        np.greater_equal(mask, self.threshold, out=mask.view(bool))  # in place; ten times as fast as torch
        return torch.from_numpy(mask).view(x.shape).to(x.dtype)

    def draw_keys(self, n: int) -> Tensor:
        """Two random int32 for each of `n` members, ``(n, 2)``: keys for an execution that draws the bytes itself."""
        return self._words(n).view(torch.int32).view(n, 2)

    def _words(self, n: int) -> Tensor:
        """`n` random int64 on the CPU, each of eight random bytes."""
        if isinstance(self.source, np.random.SFC64):
            return torch.from_numpy(self.source.random_raw(n).view(np.int64))
        # The default range of random_ for int64 leaves out the sign bit; this range fills all eight bytes.
        return torch.empty(n, dtype=torch.int64, device="cpu").random_(-(2**63), None, generator=self.source)

    def extra_repr(self) -> str:
        return f"p={self.threshold / 256:.4g}"


def dropout_state(module: nn.Module) -> Any:
    """The state of the generator that :func:`seed_dropout` has set in `module`; None if there is no dropout."""
    source = next((part.source for part in module.modules() if isinstance(part, Dropout)), None)
    if source is None:
        return None
    return source.get_state() if isinstance(source, torch.Generator) else source.state


def set_dropout_state(module: nn.Module, state: Any) -> None:
    """Restore a state that was returned by :func:`dropout_state`."""
    source = next((part.source for part in module.modules() if isinstance(part, Dropout)), None)
    if isinstance(source, torch.Generator):
        source.set_state(state)
    elif source is not None:
        source.state = state


def seed_dropout(module: nn.Module, seed: int, device: torch.device | str = "cpu") -> None:
    """Let every :class:`Dropout` inside `module` draw from one generator with the seed `seed`.

    On a CPU this is a bit generator of numpy, which fills memory twice as fast as torch.
    """
    on_cpu = torch.device(device).type == "cpu"
    source = np.random.SFC64(seed) if on_cpu else torch.Generator(device).manual_seed(seed)
    for part in module.modules():
        if isinstance(part, Dropout):
            part.source = source
