"""An exponential moving average of a module's weights, which is evaluated and kept in their place."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

CHUNK = 1_000_000  # rows of a large table that are worked on at a time
NEGLIGIBLE = 1e-6
"""An average whose first weights count no more is that of many steps."""
SMALL_TABLE = 2**20
"""Up to that many weights a table is averaged whole, in one pass and without looking for rows."""


def check_same_shapes(expected: Mapping[Any, Tensor], found: Mapping[Any, Tensor]) -> None:
    """Raise ValueError unless both have tensors of the same names and shapes."""
    if {name: t.shape for name, t in expected.items()} != {name: t.shape for name, t in found.items()}:
        raise ValueError("the saved tensors are not of the shapes of this network")


class WeightAverage:
    """The average w̄ ← d·w̄ + (1 − d)·w over the steps, free of the initial weights.

    It is the moving average that starts at zero, divided by the sum of its coefficients (as Adam does with its
    moments), which makes d = `decay` · (1 − decay^(t−1)) / (1 − decay^t) at step t. The running statistics of batch
    norm are averaged like the weights. With a decay of 0 the average is the module itself. Tensors that are `fixed`,
    since training does not change them, are left out.

    A large table with sparse gradients changes in few rows at a step. The others are left alone and caught up when they
    are wanted: where w has been the same from step s to t, w̄ − w has shrunk by decay^(t−s) · (1 − decay^s) / (1 −
    decay^t).

    :meth:`swap_in` puts the average into the module and :meth:`swap_out` the weights that are trained; only
    references are exchanged.
    """

    def __init__(self, module: nn.Module, decay: float, fixed: Iterable[Tensor] = ()) -> None:
        self.decay = decay
        self.step = 0
        self.is_in = False
        # What is kept of a module: buffers outside its state are constants. Found once, since a search takes as long
        # as the average itself.
        state = module.state_dict(keep_vars=True).values()
        left_out = {id(t) for t in fixed}
        once = {id(t): t for t in state if id(t) not in left_out}  # tied weights too
        self.tensors = [t for t in once.values() if t.is_floating_point()]
        self.others = [t.detach().clone() for t in self.tensors] if decay else []
        self.last: dict[int, Tensor] = {}
        """For each row of a large table with sparse gradients the step up to which its average is right."""
        self.changing: dict[int, Tensor] = {}
        """The rows of such tables that the step at hand changes."""

    @torch.no_grad()
    def before_step(self) -> None:
        """See which rows of large tables the step will change, while they still have their old values."""
        self.changing = {}
        for i, tensor in enumerate(self.tensors if self.decay else []):
            if tensor.grad is None or not tensor.grad.is_sparse:
                continue
            if tensor.numel() <= SMALL_TABLE and i not in self.last:
                continue
            tensor.grad = tensor.grad.coalesce()
            self.changing[i] = rows = tensor.grad.indices()[0]
            if i not in self.last:
                self.last[i] = torch.full((len(tensor),), self.step, dtype=torch.int32, device=tensor.device)
            self._catch_up(i, tensor, rows)

    def go_on_from(self, step: int | None) -> None:
        """Let what the module holds count as the average of so many steps; None stands for more than can be told."""
        if step is None:
            step = math.ceil(math.log(NEGLIGIBLE) / math.log(self.decay)) if self.decay else 0
        self.step = step

    def next_weight(self) -> float:
        """The 1 − d of the next step."""
        return (1 - self.decay) / (1 - self.decay ** (self.step + 1))

    @torch.no_grad()
    def update(self, without: Collection[int] = ()) -> None:
        """Take one step of training into the average, but not those tensors into which somebody else has taken it."""
        if not self.decay:
            return
        newest = self.next_weight()
        self.step += 1
        tensors = self.tensors
        dense = [i for i in range(len(tensors)) if i not in self.last and i not in without]
        if dense:
            torch._foreach_lerp_([self.others[i] for i in dense], [tensors[i].detach() for i in dense], newest)
        for i, rows in self.changing.items():
            before, now = (t.index_select(0, rows) for t in (self.others[i], tensors[i]))
            self.others[i].index_copy_(0, rows, before.lerp_(now, newest))
            self.last[i][rows] = self.step

    def _catch_up(self, i: int, tensor: Tensor, rows: Tensor | slice) -> None:
        """Bring the average of some rows, which have not changed for a while, up to the present step."""
        s = self.last[i][rows].double()
        if self.step:
            left = self.decay ** (self.step - s) * (1 - self.decay**s) / (1 - self.decay**self.step)
            here = tensor.detach()[rows]
            self.others[i][rows] = torch.lerp(here, self.others[i][rows], left.to(here.dtype).unsqueeze(1))
        self.last[i][rows] = self.step

    def swap_in(self) -> None:
        """Let the module hold the average."""
        if not self.is_in:
            for i in self.last:
                for start in range(0, len(self.tensors[i]), CHUNK):
                    self._catch_up(i, self.tensors[i], slice(start, start + CHUNK))
            self._swap()

    def swap_out(self) -> None:
        """Let the module hold the weights that are trained."""
        if self.is_in:
            self._swap()

    def _swap(self) -> None:
        self.is_in = not self.is_in
        for i, tensor in enumerate(self.tensors if self.decay else []):
            tensor.data, self.others[i] = self.others[i], tensor.data

    def state_dict(self) -> dict[str, Any]:
        """What the average has come to, while the module holds the weights that are trained."""
        return {"step": self.step, "others": self.others, "last": self.last}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step = int(state["step"])
        check_same_shapes(dict(enumerate(self.others)), dict(enumerate(state["others"])))
        check_same_shapes({i: self.tensors[i][:, 0] for i in state["last"]}, state["last"])
        for other, saved in zip(self.others, state["others"], strict=True):
            other.copy_(saved)
        self.last = {i: last.to(self.tensors[i].device) for i, last in state["last"].items()}

    @contextmanager
    def moving_both(self, tensors: Sequence[Tensor]) -> Iterator[None]:
        """Whatever is added to these tensors of the module in the meantime, let it be added to their other set too."""
        wanted = {id(tensor) for tensor in tensors}
        found = [(t, other) for t, other in zip(self.tensors, self.others, strict=False) if id(t) in wanted]
        before = [tensor.detach().clone() for tensor, _ in found]
        yield
        with torch.no_grad():
            for (tensor, other), old in zip(found, before, strict=True):
                other += tensor - old

    @torch.no_grad()
    def take_module(self) -> None:
        """Let average and trained weights both be what the module holds."""
        for tensor, other in zip(self.tensors, self.others, strict=False):
            other.copy_(tensor)
