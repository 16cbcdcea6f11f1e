"""The exchange of the processes at each step, which makes it the step of one process with all of their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sklearn_fsmd.network import seed_dropout, sum_by_rows
from sklearn_fsmd.training.distributed.processes import Processes

RUNNING = ("running_mean", "running_var")
"""The buffers of batch norm, which each step updates."""
WHOLE_TABLE = 2**19
"""A dense gradient of up to this many numbers, 2 MiB, is sent whole, which is faster than finding its non-zero rows."""


class Shares(Protocol):
    """What a process knows of the present batch.

    Attributes
    ----------
    n_own, n_all : number of its rows in this process, and in all processes together.
    step_seed : seed of the step, which differs between processes.
    """

    n_own: int
    n_all: int
    step_seed: int


class Exchange:
    """Combines the losses, gradients and running statistics of the processes into those of all rows.

    A loss is a mean over rows, so the loss of all rows is the mean of the processes' losses, weighted by their numbers
    of rows; gradients likewise. All dense gradients, also of small tables, are sent in one flat tensor. Of a large
    table only the rows that a batch has read are sent, whether its gradient is sparse or dense.

    Parameters
    ----------
    processes : those that train together.
    module : the network.
    optimizer : has all trained parameters.
    shares : the batches of this process.
    """

    def __init__(
        self, processes: Processes, module: nn.Module, optimizer: torch.optim.Optimizer, shares: Shares
    ) -> None:
        self.processes, self.module, self.shares = processes, module, shares
        by_rows = {
            id(part.weight)
            for part in module.modules()
            if isinstance(part, nn.Embedding) and (part.sparse or part.weight.numel() > WHOLE_TABLE)
        }
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.tables = [p for p in parameters if id(p) in by_rows]
        self.dense = [p for p in parameters if id(p) not in by_rows]
        self.running = [buffer for name, buffer in module.named_buffers() if name.split(".")[-1] in RUNNING]
        sent = [*self.dense, *self.running, torch.zeros((), dtype=torch.float32)]  # the last one is the loss
        n_dense, n_counts = len(self.dense), processes.size * len(self.tables)
        sizes = [*(t.numel() for t in sent), n_dense, n_counts]
        self.flat = torch.zeros(sum(sizes), dtype=torch.float32, device=self.dense[0].device)
        *pieces, self.has_gradient, counts = self.flat.split(sizes)
        self.views = [piece.view(t.shape) for piece, t in zip(pieces, sent, strict=True)]
        self.n_read = counts.view(processes.size, len(self.tables))
        """The number of rows of each table that each process has read."""

    @property
    def n_rows(self) -> int:
        """The number of rows of the present step, in all processes."""
        return self.shares.n_all

    @property
    def share(self) -> float:
        """The share of the rows of the present step that this process has."""
        return self.shares.n_own / self.shares.n_all

    def begin_step(self, device: str) -> None:
        """Seed dropout for this process and step, so that its state need not be saved."""
        seed_dropout(self.module, self.shares.step_seed, device)

    @torch.no_grad()
    def __call__(self, loss: Tensor) -> Tensor:
        """Exchange gradients, running statistics and losses of the step, and return the loss of all rows."""
        gradients = [p.grad for p in self.dense]
        read = [self._read(table) for table in self.tables]
        for view, tensor in zip(self.views, [*gradients, *self.running, loss], strict=True):
            view.zero_() if tensor is None else view.copy_(tensor)
        self.has_gradient.copy_(torch.tensor([g is not None for g in gradients]))
        self.flat.mul_(self.share)
        self.n_read.zero_()[self.processes.rank] = torch.tensor([len(rows) for rows, _ in read])
        self.processes.sum(self.flat, "the sum of the gradients")
        if any(g is None for g in gradients):
            n_gradients = self.has_gradient.tolist()
            for p, n in zip(self.dense, n_gradients, strict=True):
                p.grad = torch.zeros_like(p) if p.grad is None and n else p.grad
        n_dense = len(self.dense)
        for p, view in zip(self.dense, self.views, strict=False):
            if p.grad is not None:
                p.grad.copy_(view)
        for buffer, view in zip(self.running, self.views[n_dense:], strict=False):
            buffer.copy_(view)
        if self.tables:
            self._exchange_rows(read)
        return self.views[-1].clone()

    def _read(self, table: nn.Parameter) -> tuple[Tensor, Tensor]:
        """Rows of a table that this process has read, and their gradients: ``(n,)`` and ``(n, D)``."""
        gradient = table.grad
        if gradient is None or not self.shares.n_own:
            if gradient is not None and not gradient.is_sparse:
                gradient.zero_()  # it is of rows that do not count
            return table.new_empty(0, dtype=torch.int64), table.new_empty((0, table.shape[1]))
        if gradient.is_sparse:
            gradient = gradient.coalesce()
            return gradient.indices()[0], gradient.values()
        rows = gradient.any(dim=1).nonzero().squeeze(1)
        return rows, gradient[rows]

    def _exchange_rows(self, read: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Set the gradient of each table for the rows that any process has read.

        A row's index is sent next to its gradient, as the bits of two floats.
        """
        messages = [
            torch.cat((rows.view(torch.float32).reshape(len(rows), 2), values * self.share), dim=1)
            for rows, values in read
        ]
        counts = self.n_read.int().tolist()
        parts = self.processes.gather(messages, "the exchange of embeddings", counts)
        for table, (own_rows, _), received in zip(self.tables, read, zip(*parts, strict=True), strict=True):
            rows = [message[:, :2].flatten().clone().view(torch.int64) for message in received]  # aligned
            values = [message[:, 2:] for message in received]
            if table.grad is not None and not table.grad.is_sparse:
                table.grad.index_fill_(0, own_rows, 0.0)
                for r, v in zip(rows, values, strict=True):  # in the same order in each process, for the same bits
                    table.grad.index_add_(0, r, v)
            elif table.grad is not None or any(map(len, rows)):
                all_rows, gradient = torch.cat(rows), torch.cat(values)
                shape = table.shape
                table.grad = torch.sparse_coo_tensor(all_rows.unsqueeze(0), gradient, shape, check_invariants=False)
        sum_by_rows(self.tables)

    def mean(self, sums: Tensor) -> Tensor:
        """The sum over the processes, weighted by their shares of the rows."""
        whole = sums * self.share
        self.processes.sum(whole, "the balance of the tasks")
        return whole

    def of_first(self, *values: Any) -> Any:
        """The values of the first process, so that all processes decide by the same values."""
        return self.processes.of_first(values, "the validation")

    def first_stops(self, stop: bool) -> bool:
        """Whether the first process stops."""
        return self.processes.of_first(stop, "the end of an epoch")

    def check(self, digest: str) -> None:
        """Raise ValueError unless all processes have the same bits."""
        try:
            self.processes.check_same(digest, "set of weights")
        except ValueError as error:
            raise ValueError(
                f"{error} All processes need the same versions of all libraries, the same type of processor, and "
                "callbacks that do the same in each."
            ) from error
