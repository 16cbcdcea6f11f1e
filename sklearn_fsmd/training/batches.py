"""Rows as tensors, and batches of them, which are taken at once and never collated from single rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from skorch.dataset import Dataset
from torch import Tensor

from sklearn_fsmd.encoding.table import Encoded
from sklearn_fsmd.encoding.targets import Targets
from sklearn_fsmd.network import Lists

Batch = tuple[tuple[Any, ...], Tensor, Tensor | None]
"""Inputs (tensors, and lists if there are some), labels and weights."""


@dataclass(frozen=True)
class TensorData(Dataset):
    """Rows as tensors on the device of the fit; for skorch's callbacks a data set with `X` and `y`.

    Attributes
    ----------
    inputs : codes (m, F), numbers (m, N) and, if there are any, lists of an encoded table, then codes and numbers of
        its bias features if there are any.
    labels, weights : (n, K) of the selected rows; weights may be None. Values and their weights are `n_values` further
        columns.
    rows : (n,), positions of the selected rows in the encoded table; None if all are selected, in order.
    """

    inputs: tuple[Any, ...]
    labels: Tensor
    weights: Tensor | None
    rows: Tensor | None = None
    n_values: int = 0

    @classmethod
    def from_rows(cls, rows: Encoded, targets: Targets, device: str) -> TensorData:
        """Encoded rows and their targets as tensors."""
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
        """The argument of :meth:`Net.predict_proba`."""
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
        """The inputs of the selected rows."""
        return self.inputs if self.rows is None else tuple(x[self.rows] for x in self.inputs)

    def part(self, start: int, stop: int) -> TensorData:
        """The rows `start` to `stop` - 1, which share memory with this; all of its rows must be selected."""
        rows = slice(start, stop)
        weights = None if self.weights is None else self.weights[rows]
        return replace(self, inputs=tuple(x[rows] for x in self.inputs), labels=self.labels[rows], weights=weights)

    def followed_by(self, other: TensorData) -> TensorData:
        """The rows of both, of which all must be selected."""
        inputs = tuple(
            Lists.joined((a, b)) if isinstance(a, Lists) else torch.cat((a, b))
            for a, b in zip(self.inputs, other.inputs, strict=True)
        )
        labels = torch.cat((self.labels, other.labels))
        weights = None
        if not (self.weights is None and other.weights is None):
            weights = torch.cat([torch.ones_like(x.labels) if x.weights is None else x.weights for x in (self, other)])
        return replace(self, inputs=inputs, labels=labels, weights=weights)

    def batch(self, indices: Tensor) -> Batch:
        """The batch of the selected rows with these indices."""
        weights = None if self.weights is None else self.weights[indices]
        rows = indices if self.rows is None else self.rows[indices]
        return tuple(x[rows] for x in self.inputs), self.labels[indices], weights


class Batches:
    """Batches of all training rows, in a new random order in each pass.

    A last batch of a single row joins the batch before it, since batch norm needs more than one row. In each batch a
    share `unknown_rate` of the values is masked: a code is replaced by the code of unknown values, so that the table
    row of unknown values is trained. With the bin of a number the number itself is masked. Numbers without bins are not
    masked: components of vectors, and statistics.

    Parameters
    ----------
    data : the rows, or a sample of them.
    offsets : (F,), the code of unknown values in each code column.
    fillings : (N,), the number that replaces missing ones in each numeric column; None for 0.
    n_categories : how many of the code columns are categories; the others are the bins of the numbers, in their order.
    list_offsets : the code of unknown values in each column of lists; None if there are none.
    bias_offsets, bias_fillings : the same for the bias features. All of these are masked in a share `bias_dropout` of
        the rows.

    Attributes
    ----------
    n_own, n_all, step_seed : set if several processes train, see :class:`~sklearn_fsmd.training.distributed.Shares`.
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
        self.mask_generator = generator
        """Draws which values are masked."""
        self.offsets = offsets
        self.fillings = fillings
        self.n_categories = n_categories
        self.unknown_rate = unknown_rate
        self.list_offsets = None if list_offsets is None else torch.tensor(list_offsets)
        self.bias_offsets = bias_offsets
        self.bias_fillings = bias_fillings
        self.bias_dropout = bias_dropout

        self.resumed_pass: dict[str, Any] | None = None
        """State of a pass that is to be resumed; see :meth:`state_dict`."""

    @property
    def n_rows(self) -> int:
        """Number of rows of a pass."""
        return len(self.data)

    def __len__(self) -> int:
        full, rest = divmod(self.n_rows, self.batch_size)
        return max(full + (rest > 1), 1)

    def __iter__(self) -> Iterator[Batch]:
        resumed, self.resumed_pass = self.resumed_pass, None
        if resumed is not None:
            self.generator.set_state(resumed["first"])
        self.first = self.generator.get_state()
        order = self.draw_order()
        self.n_done = 0 if resumed is None else int(resumed["n_done"])
        if resumed is not None:
            self.generator.set_state(resumed["now"])
        for batch in self.batches_of(order, self.n_done):
            self.n_done += 1
            yield self._mask_values(batch)

    def draw_order(self) -> Any:
        """Draw the order of a pass, or a seed of it, from the generator."""
        raise NotImplementedError

    def batches_of(self, order: Any, first: int) -> Iterator[Batch]:
        """The batches of a pass, starting with batch number `first`; their tensors are copies."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """State within a pass: the generator at its start and now, and the number of batches taken."""
        return {"first": self.first, "now": self.generator.get_state(), "n_done": self.n_done}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next pass continue where :meth:`state_dict` was called.

        Raises
        ------
        ValueError
            If there is no such batch.
        """
        if not 0 <= int(state["n_done"]) <= len(self):
            raise ValueError(f"{state['n_done']} batches of a pass of {len(self)} cannot have been taken")
        for name in ("first", "now"):
            torch.Generator().set_state(state[name])  # raises if it is no state
        self.resumed_pass = dict(state)

    def _mask_values(self, batch: Batch) -> Batch:
        codes, numbers, *more = batch[0]
        self._mask(codes, numbers)
        bias = more if self.list_offsets is None else more[1:]
        if self.list_offsets is not None and self.unknown_rate:
            lists = more[0].hidden(self.unknown_rate, self.list_offsets, self.mask_generator)
            batch = (codes, numbers, lists, *bias), *batch[1:]
        if self.bias_offsets is not None:
            self._mask_bias(*bias, offsets=self.bias_offsets)
        return batch

    def _mask(self, codes: Tensor, numbers: Tensor) -> None:
        """Mask values of a batch in place; its tensors are copies of the rows."""
        chance = torch.rand((), generator=self.mask_generator, dtype=torch.float32).item()
        n_masked = int(self.unknown_rate * codes.numel() + chance)  # rounded up or down at random, right in the mean
        if n_masked:
            cells = torch.randint(codes.numel(), (n_masked,), generator=self.mask_generator)
            rows, columns = cells // codes.shape[1], cells % codes.shape[1]
            is_bin = columns >= self.n_categories  # on the CPU, to avoid waiting for the device
            of_bins = rows[is_bin].to(codes.device), columns[is_bin].to(codes.device) - self.n_categories
            rows, columns = rows.to(codes.device), columns.to(codes.device)
            codes[rows, columns] = self.offsets[columns]
            numbers[of_bins] = 0.0 if self.fillings is None else self.fillings[of_bins[1]]

    def _mask_bias(self, codes: Tensor, numbers: Tensor, *, offsets: Tensor) -> None:
        """Mask all bias features of some rows, so that the network learns to explain clicks without them."""
        is_masked = torch.rand(len(codes), generator=self.mask_generator, dtype=torch.float32) < self.bias_dropout
        masked = is_masked.nonzero().squeeze(1).to(codes.device)
        codes[masked] = offsets
        numbers[masked] = 0.0 if self.bias_fillings is None else self.bias_fillings


class BatchIterator(Batches):
    """Batches of a :class:`TensorData` that holds all rows."""

    def draw_order(self) -> Tensor:
        n = self.n_rows
        return torch.randperm(n, generator=self.generator, dtype=torch.int32 if n < 2**31 else torch.int64)

    def batches_of(self, order: Tensor, first: int) -> Iterator[Batch]:
        n, n_batches, order = self.n_rows, len(self), order.to(self.data.labels.device)
        for i in range(first, n_batches):
            stop = n if i == n_batches - 1 else (i + 1) * self.batch_size
            yield self.data.batch(order[i * self.batch_size : stop].long())
