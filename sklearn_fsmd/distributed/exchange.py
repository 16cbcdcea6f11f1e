"""What the processes exchange at each step, so that it is the step of one process with all of their rows."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sklearn_fsmd.distributed.processes import Processes
from sklearn_fsmd.network import seed_dropout

RUNNING = ("running_mean", "running_var")
"""The buffers of a batch norm, which each step moves."""


class Shares(Protocol):
    """What the batches of a process say of the one at hand.

    Attributes
    ----------
    n_own, n_all : how many of its rows this process has, and how many all have together.
    step_seed : of what is drawn at the step, another one in each process.
    """

    n_own: int
    n_all: int
    step_seed: int


class Exchange:
    """Makes the losses, the gradients and the running statistics of a step those of all rows.

    A loss is a mean over rows, so the whole one is the mean of those of the processes, by their rows: it is with
    gradients as with the loss. All that is dense travels in one flat tensor. Of a table of embeddings only the rows
    travel that a batch has read, whether its optimizer takes sparse gradients or dense ones.

    Parameters
    ----------
    processes : those that take part.
    module : the network.
    optimizer : of all that is trained.
    shares : the batches.
    """

    def __init__(
        self, processes: Processes, module: nn.Module, optimizer: torch.optim.Optimizer, shares: Shares
    ) -> None:
        self.processes, self.module, self.shares = processes, module, shares
        of_tables = {id(part.weight) for part in module.modules() if isinstance(part, nn.Embedding)}
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.tables = [p for p in parameters if id(p) in of_tables]
        self.dense = [p for p in parameters if id(p) not in of_tables]
        self.running = [buffer for name, buffer in module.named_buffers() if name.split(".")[-1] in RUNNING]
        sizes = [*(t.numel() for t in (*self.dense, *self.running)), 1]
        self.flat = torch.zeros(sum(sizes) + len(self.dense), device=self.dense[0].device)
        *pieces, self.has_gradient = self.flat.split([*sizes, len(self.dense)])
        shapes = [t.shape for t in (*self.dense, *self.running)]
        self.views = [piece.view(shape) for piece, shape in zip(pieces, [*shapes, torch.Size()], strict=True)]

    @property
    def n_rows(self) -> int:
        """Of the step at hand."""
        return self.shares.n_all

    @property
    def share(self) -> float:
        """How much of the step at hand this process does."""
        return self.shares.n_own / self.shares.n_all

    def begin_step(self, device: str) -> None:
        """Let the process draw what it drops from a seed of its own and of this step: so none needs to be kept."""
        seed_dropout(self.module, self.shares.step_seed, device)

    @torch.no_grad()
    def __call__(self, loss: Tensor) -> Tensor:
        """Exchange what this process has of the step; returns the loss of all rows."""
        gradients = [p.grad for p in self.dense]
        found = [*gradients, *self.running, loss]
        for view, tensor in zip(self.views, found, strict=True):
            view.zero_() if tensor is None else view.copy_(tensor)
        self.has_gradient.copy_(torch.tensor([g is not None for g in gradients]))
        self.flat.mul_(self.share)
        self.processes.sum(self.flat, "the sum of the gradients")
        if any(g is None for g in gradients):
            given = self.has_gradient.tolist()
            for p, n in zip(self.dense, given, strict=True):
                p.grad = torch.zeros_like(p) if p.grad is None and n else p.grad
        n_dense = len(self.dense)
        for p, view in zip(self.dense, self.views, strict=False):
            if p.grad is not None:
                p.grad.copy_(view)
        for buffer, view in zip(self.running, self.views[n_dense:], strict=False):
            buffer.copy_(view)
        self._exchange_rows()
        return self.views[-1].clone()

    def _exchange_rows(self) -> None:
        """Give each table the gradients of the rows that any process has read."""
        if not self.tables:
            return
        parts = self.processes.gather([self._message(table) for table in self.tables], "the exchange of embeddings")
        for table, messages in zip(self.tables, zip(*parts, strict=True), strict=True):
            every, gradient = torch.cat(messages), table.grad
            rows = every[:, :2].contiguous().view(torch.int64).squeeze(1)
            whole = torch.sparse_coo_tensor(rows.unsqueeze(0), every[:, 2:], table.shape, check_invariants=False)
            whole = whole.coalesce()
            if gradient is not None and not gradient.is_sparse:
                gradient.zero_().index_copy_(0, whole.indices()[0], whole.values())
            elif gradient is not None or len(rows):
                table.grad = whole

    def _message(self, table: nn.Parameter) -> Tensor:
        """The rows that this process has read, and their share of the gradient, ``(n, 2 + D)``.

        A row's number travels as the bits of two floats.
        """
        gradient = table.grad
        if gradient is None or not self.shares.n_own:
            return table.new_empty((0, 2 + table.shape[1]))
        if gradient.is_sparse:
            gradient = gradient.coalesce()
            rows, values = gradient.indices()[0], gradient.values()
        else:
            rows = gradient.any(dim=1).nonzero().squeeze(1)
            values = gradient[rows]
        bits = rows.to(torch.int64).view(torch.float32).reshape(len(rows), 2)
        return torch.cat((bits, values * self.share), dim=1)

    def mean(self, sums: Tensor) -> Tensor:
        """The sum over the processes of what each has, by its share."""
        whole = sums * self.share
        self.processes.sum(whole, "the balance of the tasks")
        return whole

    def of_first(self, *values: Any) -> Any:
        """What the first process has seen, for whoever decides by it."""
        return self.processes.of_first(values, "a look at the validation data")

    def decided(self, stop: bool) -> bool:
        """Whether the first process stops."""
        return self.processes.of_first(stop, "the end of an epoch")

    def check(self, digest: str) -> None:
        """Raise ValueError unless all processes have come to the same bits."""
        try:
            self.processes.check_same(digest, "set of weights")
        except ValueError as error:
            raise ValueError(
                f"{error} The processes need the same versions of everything, processors of one kind, and callbacks "
                "that do the same in each."
            ) from error
