"""Losses of a batch: the cross-entropy of each label and its weight."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sklearn_fsmd.network.links import TreeLink
from sklearn_fsmd.network.values import ValueModel

Terms = tuple[Tensor, Tensor | None]
"""The cross-entropy of each label, ``(B, K)``, and its weight, ``(B, K)``; None stands for weights of 1."""


def entire_space(link: TreeLink, logits: Tensor, labels: Tensor, weights: Tensor | None) -> Terms:
    """Eq. (11): the cross-entropy of the *marginal* probability of each target, over all rows.

    In a chain the marginal probability of conversion, pCTCVR, contains that of the click, so the click counts twice.
    """
    log_yes, log_no = link.log_probs(logits)
    return -torch.lerp(log_no, log_yes, labels), weights


def likelihood(link: TreeLink, logits: Tensor, labels: Tensor, weights: Tensor | None) -> Terms:
    """The exact likelihood of a chain: log P(y_1) + y_1 · log P(y_2 | y_1 = 1), and so on.

    A step counts in the rows in which its parent has happened. If the label of the parent is missing, the nearest
    observed step before it is used instead. In a tree a missing label may have several children; their losses are added
    as if they were independent.
    """
    observed = None if weights is None else weights > 0
    log_yes, log_no, takes_place = link.log_probs_given(logits, labels, observed)
    return -torch.lerp(log_no, log_yes, labels), takes_place if weights is None else takes_place * weights


Share = tuple[float, Callable[[TreeLink, Tensor, Tensor, Tensor | None], Terms]]

CHAIN_LOSSES: dict[str, tuple[Share, ...]] = {
    "entire_space": ((1.0, entire_space),),
    "likelihood": ((1.0, likelihood),),
    "both": ((0.5, entire_space), (0.5, likelihood)),
}
"""The losses of each value of the parameter `chain_loss`, with their weights in the sum."""


class MultiTaskLoss(nn.Module):
    """Σ_k w_k · mean_i c_ik · CE_ik, with the cross-entropies CE and the weights c of the labels by `chain_loss`.

    With "entire_space" this is Eqs. (7) and (11). The losses of `values` follow as further tasks.

    **Shape**: logits, labels and weights ``(B, K)`` → a scalar. A weight of 0 masks a label. With `V` values of `P`
    outputs the logits are ``(B, K + V·P)``, labels and weights ``(B, K + V)``.
    """

    task_weights: Tensor

    def __init__(
        self, link: TreeLink, task_weights: Tensor, chain_loss: str = "entire_space", values: ValueModel | None = None
    ) -> None:
        super().__init__()
        self.link = link
        self.values = values
        self.shares = CHAIN_LOSSES["entire_space" if link.stands_alone else chain_loss]  # without steps all are equal
        self.register_buffer("task_weights", task_weights)

    def forward(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        return self.per_task(logits, labels, weights)[0] @ self.task_weights

    def per_task(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """For each task the mean of its weighted cross-entropies, and of the weights of its labels; both ``(K,)``.

        The logits ``(R, B, K)`` of several members are compared with the same labels.
        """
        if logits.dim() == 3:
            n_readers = len(logits)
            logits, labels = logits.flatten(0, 1), labels.repeat(n_readers, 1)
            weights = None if weights is None else weights.repeat(n_readers, 1)
        if self.values is None:
            return self._binary_losses(logits, labels, weights)
        k, n_outputs = len(self.link.parents), self.values.n_outputs
        weights = torch.ones_like(labels) if weights is None else weights
        losses, mean_weights = self._binary_losses(logits[:, :k], labels[:, :k], weights[:, :k])
        outputs = logits[:, k:].unflatten(1, (-1, n_outputs))
        # The loss of a value with weight 0 could be infinite, and 0 · ∞ is NaN.
        outputs = torch.where(weights[:, k:, None] > 0, outputs, 0.0)
        elementwise = torch.where(weights[:, k:] > 0, self.values.loss(outputs, labels[:, k:]), 0.0)
        value_losses, value_weights = _means(elementwise, weights[:, k:])
        return torch.cat((losses, value_losses)), torch.cat((mean_weights, value_weights))

    def _binary_losses(self, logits: Tensor, labels: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        means = [_means(*terms(self.link, logits, labels, weights)) for _, terms in self.shares]
        if len(means) == 1:
            return means[0]
        losses, mean_weights = zip(*means, strict=True)
        shares = logits.new_tensor([share for share, _ in self.shares])
        return shares @ torch.stack(losses), shares @ torch.stack(mean_weights)


def _means(losses: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """For each task the mean of its weighted losses, and of the weights, ``(K,)``."""
    if weights is None:
        return losses.mean(dim=0), losses.new_ones(losses.shape[1])
    return (losses * weights).mean(dim=0), weights.mean(dim=0)
