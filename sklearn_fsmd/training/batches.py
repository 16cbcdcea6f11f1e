"""Rows as tensors, and batches of them: slices, never a collation of single rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from skorch.dataset import Dataset
from torch import Tensor

from sklearn_fsmd.encoding import Encoded, Targets
from sklearn_fsmd.network import Lists

Batch = tuple[tuple[Any, ...], Tensor, Tensor | None]
"""Inputs (tensors, and lists where there are some), labels and weights."""


@dataclass(frozen=True)
class TensorData(Dataset):
    """Rows as tensors on the device of the fit; to callbacks of skorch a data set with its `X` and `y`.

    Attributes
    ----------
    inputs : codes (m, F), numbers (m, N) and, if there are any, lists of an encoded table, then codes and numbers of
        its bias features if there are any.
    labels, weights : (n, K) of the rows that are meant; weights may be None. Where there are values, these and what
        they count are `n_values` further columns.
    rows : (n,), where these are in the encoded table; None if they are all of it, in order.
    """

    inputs: tuple[Any, ...]
    labels: Tensor
    weights: Tensor | None
    rows: Tensor | None = None
    n_values: int = 0

    @classmethod
    def from_rows(cls, rows: Encoded, targets: Targets, device: str) -> TensorData:
        labels, weights, n_values = targets.labels, targets.weights, 0
        if targets.values is not None:
            n_values = targets.values.values.shape[1]
            weights = np.ones_like(labels) if weights is None else weights
            labels = np.concatenate((labels, targets.values.values), axis=1)
            weights = np.concatenate((weights, targets.values.weights), axis=1)
        return cls(
            rows.tensors(device),
            torch.from_numpy(labels).to(device),
            None if weights is None else torch.from_numpy(weights).to(device),
            None if rows.rows is None else torch.from_numpy(rows.rows).to(device),
            n_values,
        )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def X(self) -> TensorData:  # noqa: N802 (skorch's name)
        """What :meth:`Net.predict_proba` takes."""
        return self

    @property
    def y(self) -> np.ndarray:
        """The labels ``(n, K)``; NaN where one is missing."""
        n_tasks = self.labels.shape[1] - self.n_values
        labels = self.labels[:, :n_tasks].cpu().numpy()
        if self.weights is None:
            return labels
        return np.where(self.weights[:, :n_tasks].cpu().numpy() > 0, labels, np.nan)

    def selected(self) -> tuple[Any, ...]:
        """The inputs of the rows that are meant."""
        return self.inputs if self.rows is None else tuple(x[self.rows] for x in self.inputs)

    def part(self, start: int, stop: int) -> TensorData:
        """The rows from `start` to before `stop`, of data of which all rows are meant; they share its memory."""
        rows = slice(start, stop)
        weights = None if self.weights is None else self.weights[rows]
        return replace(self, inputs=tuple(x[rows] for x in self.inputs), labels=self.labels[rows], weights=weights)

    def followed_by(self, other: TensorData) -> TensorData:
        """The rows of both, of which all are meant."""
        inputs = tuple(
            Lists.joined((a, b)) if isinstance(a, Lists) else torch.cat((a, b))
            for a, b in zip(self.inputs, other.inputs, strict=True)
        )
        labels = torch.cat((self.labels, other.labels))
        weights = None
        if not (self.weights is None and other.weights is None):
            weights = torch.cat([torch.ones_like(x.labels) if x.weights is None else x.weights for x in (self, other)])
        return replace(self, inputs=inputs, labels=labels, weights=weights)

    def batch(self, which: Tensor) -> Batch:
        weights = None if self.weights is None else self.weights[which]
        rows = which if self.rows is None else self.rows[which]
        return tuple(x[rows] for x in self.inputs), self.labels[which], weights


class Batches:
    """Batches of all rows of training, in a new random order at each pass.

    A last batch of a single row joins the batch before it: it has no variance to normalise by. In each batch a share
    `unknown_rate` of the values is hidden: a code is swapped for the column's unknown row, so that this row learns
    what to say of a value about which nothing is known. With the bin of a number the number itself is hidden.
    The numbers beyond those that have bins are left alone: components of vectors, and statistics.

    Parameters
    ----------
    data : the rows, or those of them that are at hand for whoever wants to look at some.
    offsets : (F,), the unknown row of each code column.
    fillings : (N,), what a missing number is in each numeric column; None for 0.
    n_categories : how many of the code columns are categories; the others are the bins of the numbers, in their order.
    list_offsets : the unknown row of each column of lists; None if there are none.
    bias_offsets, bias_fillings : the same of the bias features; in a share `bias_dropout` of the rows all of these are
        hidden.

    Attributes
    ----------
    n_own, n_all, step_seed : where several processes train, see :class:`~sklearn_fsmd.training.distributed.Shares`.
    """

    n_own = n_all = step_seed = 0

    def __init__(
        self,
        data: TensorData,
        batch_size: int,
        generator: torch.Generator,
        *,
        offsets: Tensor,
        fillings: Tensor | None = None,
        n_categories: int,
        unknown_rate: float,
        list_offsets: Sequence[int] | None = None,
        bias_offsets: Tensor | None = None,
        bias_fillings: Tensor | None = None,
        bias_dropout: float = 0.0,
    ) -> None:
        self.data = data
        self.batch_size = batch_size
        self.generator = generator
        self.hiding = generator
        """What the hidden values are drawn from."""
        self.offsets = offsets
        self.fillings = fillings
        self.n_categories = n_categories
        self.unknown_rate = unknown_rate
        self.list_offsets = None if list_offsets is None else torch.tensor(list_offsets)
        self.bias_offsets = bias_offsets
        self.bias_fillings = bias_fillings
        self.bias_dropout = bias_dropout

        self.begun: dict[str, Any] | None = None
        """The pass to be gone on with; see :meth:`state_dict`."""

    @property
    def n_rows(self) -> int:
        """How many rows a pass has."""
        return len(self.data)

    def __len__(self) -> int:
        full, rest = divmod(self.n_rows, self.batch_size)
        return max(full + (rest > 1), 1)

    def __iter__(self) -> Iterator[Batch]:
        begun, self.begun = self.begun, None
        if begun is not None:
            self.generator.set_state(begun["first"])
        self.first = self.generator.get_state()
        order = self.draw_order()
        self.n_done = 0 if begun is None else int(begun["n_done"])
        if begun is not None:
            self.generator.set_state(begun["now"])
        for batch in self.cut(order, self.n_done):
            self.n_done += 1
            yield self._with_hidden_values(batch)

    def draw_order(self) -> Any:
        """Draw what the order of a pass depends on from the generator."""
        raise NotImplementedError

    def cut(self, order: Any, first: int) -> Iterator[Batch]:
        """The batches of a pass, from the batch number `first` on; their tensors are copies."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """Where a pass is, in its middle: what its order depends on, and how many batches have been taken."""
        return {"first": self.first, "now": self.generator.get_state(), "n_done": self.n_done}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next pass go on where :meth:`state_dict` was asked.

        Raises
        ------
        ValueError
            If there is no such batch.
        """
        if not 0 <= int(state["n_done"]) <= len(self):
            raise ValueError(f"{state['n_done']} batches of a pass of {len(self)} cannot have been taken")
        for name in ("first", "now"):
            torch.Generator().set_state(state[name])  # which raises for what is no state
        self.begun = dict(state)

    def _with_hidden_values(self, batch: Batch) -> Batch:
        codes, numbers, *more = batch[0]
        self._hide(codes, numbers)
        bias = more if self.list_offsets is None else more[1:]
        if self.list_offsets is not None and self.unknown_rate:
            lists = more[0].hidden(self.unknown_rate, self.list_offsets, self.hiding)
            batch = (codes, numbers, lists, *bias), *batch[1:]
        if self.bias_offsets is not None:
            self._hide_bias(*bias, offsets=self.bias_offsets)
        return batch

    def _hide(self, codes: Tensor, numbers: Tensor) -> None:
        """Hide values of a batch in place; its tensors are copies of the rows."""
        chance = torch.rand((), generator=self.hiding, dtype=torch.float32).item()
        n_hidden = int(self.unknown_rate * codes.numel() + chance)  # rounded up or down, right in the mean
        if n_hidden:
            cells = torch.randint(codes.numel(), (n_hidden,), generator=self.hiding)
            rows, columns = cells // codes.shape[1], cells % codes.shape[1]
            is_bin = columns >= self.n_categories  # found before these go to a device, which would be waited for
            of_bins = rows[is_bin].to(codes.device), columns[is_bin].to(codes.device) - self.n_categories
            rows, columns = rows.to(codes.device), columns.to(codes.device)
            codes[rows, columns] = self.offsets[columns]
            numbers[of_bins] = 0.0 if self.fillings is None else self.fillings[of_bins[1]]

    def _hide_bias(self, codes: Tensor, numbers: Tensor, *, offsets: Tensor) -> None:
        """Hide all bias features of some rows, so that the network learns to explain clicks without them."""
        hidden = torch.rand(len(codes), generator=self.hiding, dtype=torch.float32) < self.bias_dropout
        hidden = hidden.nonzero().squeeze(1).to(codes.device)
        codes[hidden] = offsets
        numbers[hidden] = 0.0 if self.bias_fillings is None else self.bias_fillings


class BatchIterator(Batches):
    """Batches of a :class:`TensorData` that holds all rows."""

    def draw_order(self) -> Tensor:
        n = self.n_rows
        return torch.randperm(n, generator=self.generator, dtype=torch.int32 if n < 2**31 else torch.int64)

    def cut(self, order: Tensor, first: int) -> Iterator[Batch]:
        n, n_batches, order = self.n_rows, len(self), order.to(self.data.labels.device)
        for i in range(first, n_batches):
            stop = n if i == n_batches - 1 else (i + 1) * self.batch_size
            yield self.data.batch(order[i * self.batch_size : stop].long())
