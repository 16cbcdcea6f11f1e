"""What the processes exchange at each step, so that it is the step of one process with all of their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sklearn_fsmd.network import seed_dropout, sum_by_rows
from sklearn_fsmd.training.distributed.processes import Processes

RUNNING = ("running_mean", "running_var")
"""The buffers of a batch norm, which each step moves."""
WHOLE_TABLE = 2**19
"""A dense gradient of so many numbers, 2 MiB, travels whole: sooner than its rows are found and told to each other."""


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
    gradients as with the loss. All that is dense travels in one flat tensor, small tables among it. Of a larger table
    only the rows travel that a batch has read, whether its optimizer takes sparse gradients or dense ones.

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
        by_rows = {
            id(part.weight)
            for part in module.modules()
            if isinstance(part, nn.Embedding) and (part.sparse or part.weight.numel() > WHOLE_TABLE)
        }
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.tables = [p for p in parameters if id(p) in by_rows]
        self.dense = [p for p in parameters if id(p) not in by_rows]
        self.running = [buffer for name, buffer in module.named_buffers() if name.split(".")[-1] in RUNNING]
        shares_of = [*self.dense, *self.running, torch.zeros((), dtype=torch.float32)]  # the last one is the loss
        n_dense, n_counts = len(self.dense), processes.size * len(self.tables)
        sizes = [*(t.numel() for t in shares_of), n_dense, n_counts]
        self.flat = torch.zeros(sum(sizes), dtype=torch.float32, device=self.dense[0].device)
        *pieces, self.has_gradient, counts = self.flat.split(sizes)
        self.views = [piece.view(t.shape) for piece, t in zip(pieces, shares_of, strict=True)]
        self.n_read = counts.view(processes.size, len(self.tables))
        """How many rows of each table each process has read."""

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
        read = [self._read(table) for table in self.tables]
        for view, tensor in zip(self.views, [*gradients, *self.running, loss], strict=True):
            view.zero_() if tensor is None else view.copy_(tensor)
        self.has_gradient.copy_(torch.tensor([g is not None for g in gradients]))
        self.flat.mul_(self.share)
        self.n_read.zero_()[self.processes.rank] = torch.tensor([len(rows) for rows, _ in read])
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
        if self.tables:
            self._exchange_rows(read)
        return self.views[-1].clone()

    def _read(self, table: nn.Parameter) -> tuple[Tensor, Tensor]:
        """The rows of a table that this process has read, and their gradients: ``(n,)`` and ``(n, D)``."""
        gradient = table.grad
        if gradient is None or not self.shares.n_own:
            if gradient is not None and not gradient.is_sparse:
                gradient.zero_()  # it is of rows that count nothing
            return table.new_empty(0, dtype=torch.int64), table.new_empty((0, table.shape[1]))
        if gradient.is_sparse:
            gradient = gradient.coalesce()
            return gradient.indices()[0], gradient.values()
        rows = gradient.any(dim=1).nonzero().squeeze(1)
        return rows, gradient[rows]

    def _exchange_rows(self, read: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Give each table the gradients of the rows that any process has read.

        A row's number travels as the bits of two floats, beside its gradient.
        """
        told = [
            torch.cat((rows.view(torch.float32).reshape(len(rows), 2), values * self.share), dim=1)
            for rows, values in read
        ]
        counts = self.n_read.int().tolist()
        parts = self.processes.gather(told, "the exchange of embeddings", counts)
        for table, (own, _), messages in zip(self.tables, read, zip(*parts, strict=True), strict=True):
            rows = [message[:, :2].flatten().clone().view(torch.int64) for message in messages]  # aligned
            values = [message[:, 2:] for message in messages]
            if table.grad is not None and not table.grad.is_sparse:
                table.grad.index_fill_(0, own, 0.0)
                for r, v in zip(rows, values, strict=True):  # in the same order in each process: the same bits
                    table.grad.index_add_(0, r, v)
            elif table.grad is not None or any(map(len, rows)):
                every, gradient = torch.cat(rows), torch.cat(values)
                shape = table.shape
                table.grad = torch.sparse_coo_tensor(every.unsqueeze(0), gradient, shape, check_invariants=False)
        sum_by_rows(self.tables)

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
