"""An exponential moving average of a module's weights, which is evaluated and kept instead of them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

CHUNK = 1_000_000
"""Rows of a large table that are processed at a time."""
NEGLIGIBLE = 1e-6
"""The number of steps of an average is taken as large if its first weights count less than this."""
SMALL_TABLE = 2**20
"""A table of up to this many weights is averaged as a whole, not by rows."""


def check_same_shapes(expected: Mapping[Any, Tensor], actual: Mapping[Any, Tensor]) -> None:
    """Raise ValueError unless both have tensors of the same names and shapes."""
    if {name: t.shape for name, t in expected.items()} != {name: t.shape for name, t in actual.items()}:
        raise ValueError("the saved tensors are not of the shapes of this network")


class WeightAverage:
    """The average w̄ ← d·w̄ + (1 − d)·w over the steps, in which the initial weights do not count.

    It is the moving average that starts at zero, divided by the sum of its coefficients (as Adam does with its
    moments), which makes d = `decay` · (1 − decay^(t−1)) / (1 − decay^t) at step t. The running statistics of batch
    norm are averaged like the weights. With a decay of 0 the average is the module itself. `fixed` tensors, which
    training does not change, are left out.

    A step changes few rows of a large table with sparse gradients. The average of the others is caught up when it is
    needed: if w has been the same from step s to t, w̄ − w has shrunk by decay^(t−s) · (1 − decay^s) / (1 − decay^t).

    :meth:`swap_in` puts the average into the module, and :meth:`swap_out` the trained weights; only references are
    exchanged.
    """

    def __init__(self, module: nn.Module, decay: float, fixed: Iterable[Tensor] = ()) -> None:
        self.decay = decay
        self.step = 0
        self.is_in = False
        # Only tensors of the state, since other buffers are constants. Collected once, since a search takes as long as
        # the average itself.
        state = module.state_dict(keep_vars=True).values()
        left_out = {id(t) for t in fixed}
        unique = {id(t): t for t in state if id(t) not in left_out}  # tied weights once
        self.tensors = [t for t in unique.values() if t.is_floating_point()]
        self.others = [t.detach().clone() for t in self.tensors] if decay else []
        self.last: dict[int, Tensor] = {}
        """For each row of a large table with sparse gradients the step up to which its average is up to date."""
        self.changing: dict[int, Tensor] = {}
        """The rows of such tables that the present step changes."""

    @torch.no_grad()
    def before_step(self) -> None:
        """Catch up the rows of large tables that the step will change, while they have their old values."""
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

    def resume_from(self, step: int | None) -> None:
        """Treat the weights of the module as the average over `step` steps; None means a large number."""
        if step is None:
            step = math.ceil(math.log(NEGLIGIBLE) / math.log(self.decay)) if self.decay else 0
        self.step = step

    def continued(self, decay: float) -> WeightAverage:
        """The same average, which the module must hold, to go on with another decay or with other optimizers."""
        self.decay, self.last = decay, {}  # all rows are up to date
        return self

    def next_weight(self) -> float:
        """The weight 1 − d of the next step."""
        return (1 - self.decay) / (1 - self.decay ** (self.step + 1))

    @torch.no_grad()
    def update(self, without: Collection[int] = ()) -> None:
        """Update the average after a training step, except tensors with indices in `without`, updated elsewhere."""
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
        """Bring the average of some rows, which have not changed since their last step, up to the present step."""
        if self.step:
            s, log_decay = self.last[i][rows].float(), math.log(self.decay)
            remaining = torch.exp(log_decay * (self.step - s)) * torch.expm1(log_decay * s)
            remaining /= math.expm1(log_decay * self.step)
            present = tensor.detach()[rows]
            self.others[i][rows] = torch.lerp(present, self.others[i][rows], remaining.to(present.dtype).unsqueeze(1))
        self.last[i][rows] = self.step

    def swap_in(self) -> None:
        """Let the module hold the average."""
        if not self.is_in:
            for i in self.last:
                for start in range(0, len(self.tensors[i]), CHUNK):
                    self._catch_up(i, self.tensors[i], slice(start, start + CHUNK))
            self._swap()

    def swap_out(self) -> None:
        """Let the module hold the trained weights."""
        if self.is_in:
            self._swap()

    def _swap(self) -> None:
        self.is_in = not self.is_in
        for i, tensor in enumerate(self.tensors if self.decay else []):
            tensor.data, self.others[i] = self.others[i], tensor.data

    def state_dict(self) -> dict[str, Any]:
        """State of the average; the module must hold the trained weights."""
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
    def other_set(self) -> Iterator[None]:
        """Let the module hold the other set of weights within the context; there is none with a decay of 0."""
        self._swap()
        yield
        self._swap()

    @contextmanager
    def moving_both(self, tensors: Sequence[Tensor]) -> Iterator[None]:
        """Apply changes of these tensors of the module within the context to their other set too."""
        ids = {id(tensor) for tensor in tensors}
        pairs = [(t, other) for t, other in zip(self.tensors, self.others, strict=False) if id(t) in ids]
        before = [tensor.detach().clone() for tensor, _ in pairs]
        yield
        with torch.no_grad():
            for (tensor, other), old in zip(pairs, before, strict=True):
                other += tensor - old

    @torch.no_grad()
    def reset_to_module(self) -> None:
        """Set both the average and the trained weights to the weights of the module."""
        for tensor, other in zip(self.tensors, self.others, strict=False):
            other.copy_(tensor)
