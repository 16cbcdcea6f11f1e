"""Gradients of tables by rows, in which each row stands once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


def coalesced(gradients: Sequence[Tensor]) -> list[Tensor]:
    """What `Tensor.coalesce` makes of sparse gradients, each of ``(n_rows, …)``.

    That sorts the rows of each gradient. Tables that were read by the same codes, as embeddings and first-order terms
    are, share the sorting here, on a CPU.
    """
    made: list[Tensor] = []
    codes: Tensor | None = None
    for gradient in gradients:
        if gradient.is_coalesced() or gradient.device.type != "cpu":
            made.append(gradient.coalesce())
            continue
        own, values = gradient._indices()[0], gradient._values()
        if codes is None or not torch.equal(own, codes):
            codes = own
            rows, places = torch.unique(codes, return_inverse=True)
        sums = values.new_zeros((len(rows), *values.shape[1:])).index_add_(0, places, values)
        made.append(
            torch.sparse_coo_tensor(
                rows[None], sums, gradient.shape, device=values.device, is_coalesced=True, check_invariants=False
            )
        )
    return made


def sum_by_rows(parameters: Iterable[nn.Parameter]) -> None:
    """Let each row stand once in the gradients of `parameters` that are sparse."""
    sparse = [p for p in parameters if p.grad is not None and p.grad.is_sparse]
    for parameter, gradient in zip(sparse, coalesced([p.grad for p in sparse]), strict=True):  # type: ignore[misc]
        parameter.grad = gradient
