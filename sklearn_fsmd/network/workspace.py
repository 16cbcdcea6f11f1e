"""Memory that one training step lends to the next.

The activations of a step are megabytes each and die together. Left to the allocator of a CPU, their pages go back to
the system and are fetched, and cleared, again a moment later.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort_right
from collections.abc import Hashable, Iterable, Sequence

import torch
from torch import Tensor


class Workspace:
    """Buffers that are free at the moment. What is drawn from a :class:`Loan` comes back when the loan dies."""

    def __init__(self) -> None:
        self.free: list[Tensor] = []
        """By size, but where two threads came at once."""

    def take(self, n_bytes: int) -> Tensor:
        """A buffer of at least `n_bytes`: the smallest free one that fits, and the last used of these, or a new one."""
        i = bisect_left(self.free, n_bytes, key=_size)
        if i < len(self.free):
            i = bisect_right(self.free, self.free[i].nbytes, key=_size) - 1
            buffer = self.free.pop(i)
            if buffer.nbytes >= n_bytes:
                return buffer
            self.give_back([buffer])
        return torch.empty(n_bytes, dtype=torch.uint8, device="cpu")

    def give_back(self, buffers: Iterable[Tensor]) -> None:
        for buffer in buffers:
            insort_right(self.free, buffer, key=_size)


def _size(buffer: Tensor) -> int:
    return buffer.nbytes


class Loan:
    """Tensors for one computation: from a workspace, or fresh ones where there is none.

    Whoever holds the loan may use the tensors; they must not outlive it.
    """

    workspace: Workspace | None = None

    def __init__(self, workspace: Workspace | None, device: torch.device) -> None:
        self.device = device
        self.buffers: list[Tensor] = []
        self.named: dict[Hashable, Tensor] = {}
        if device.type == "cpu":  # elsewhere torch itself keeps freed memory
            self.workspace = workspace  # last, for __del__, which comes too where Ctrl+C has come before

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """A tensor of its own."""
        if self.workspace is None:
            return torch.empty(shape, dtype=dtype, device=self.device)
        n_bytes = math.prod(shape) * dtype.itemsize
        buffer = self.workspace.take(n_bytes)
        self.buffers.append(buffer)
        return buffer[:n_bytes].view(dtype).view(shape)

    def scratch(self, name: Hashable, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """A tensor that whoever asks by the same name and shape is given again."""
        key = (name, tuple(shape), dtype)
        if key not in self.named:
            self.named[key] = self.empty(shape, dtype)
        return self.named[key]

    def __del__(self) -> None:
        if self.workspace is not None:
            self.workspace.give_back(self.buffers)
