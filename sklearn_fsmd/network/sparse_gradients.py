"""Sparse gradients of tables, coalesced so that each row occurs once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


def coalesced(gradients: Sequence[Tensor]) -> list[Tensor]:
    """Coalesce sparse gradients, each of the shape ``(n_rows, …)``, like `Tensor.coalesce`.

    `Tensor.coalesce` sorts the rows of each gradient. On a CPU, gradients with the same codes share the sorting here,
    as those of embeddings and first-order terms do.
    """
    result: list[Tensor] = []
    codes: Tensor | None = None
    for gradient in gradients:
        if gradient.is_coalesced() or gradient.device.type != "cpu":
            result.append(gradient.coalesce())
            continue
        indices, values = gradient._indices()[0], gradient._values()
        if codes is None or not torch.equal(indices, codes):
            codes = indices
            rows, positions = torch.unique(codes, return_inverse=True)
        sums = values.new_zeros((len(rows), *values.shape[1:])).index_add_(0, positions, values)
        result.append(
            torch.sparse_coo_tensor(
                rows[None], sums, gradient.shape, device=values.device, is_coalesced=True, check_invariants=False
            )
        )
    return result


def sum_by_rows(parameters: Iterable[nn.Parameter]) -> None:
    """Coalesce the sparse gradients of `parameters` in place."""
    sparse = [p for p in parameters if p.grad is not None and p.grad.is_sparse]
    for parameter, gradient in zip(sparse, coalesced([p.grad for p in sparse]), strict=True):  # type: ignore[misc]
        parameter.grad = gradient
