"""Losses: how far the predictions of a batch are from its labels, and what each label counts."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sklearn_fsmd.network.links import TreeLink
from sklearn_fsmd.network.values import ValueModel

Terms = tuple[Tensor, Tensor | None]
"""The cross-entropy of each label, ``(B, K)``, and what it counts, ``(B, K)`` or None for 1."""


def entire_space(link: TreeLink, logits: Tensor, labels: Tensor, weights: Tensor | None) -> Terms:
    """Eq. (11): the cross-entropy of each target's *marginal* probability, over all rows.

    In a chain the marginal of conversion, pCTCVR, speaks of the click a second time.
    """
    log_yes, log_no = link.log_probs(logits)
    return -torch.lerp(log_no, log_yes, labels), weights


def likelihood(link: TreeLink, logits: Tensor, labels: Tensor, weights: Tensor | None) -> Terms:
    """The exact likelihood of a chain: log P(y_1) + y_1 · log P(y_2 | y_1 = 1), and so on.

    A step counts where its parent has happened. Where the parent's label was not observed, the nearest observed step
    before it takes its place. In a tree whose missing label has several children, these are taken one by one.
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
"""What the parameter `chain_loss` names: a sum of losses, each with its share."""


class MultiTaskLoss(nn.Module):
    """Σ_k w_k · mean_i c_ik · CE_ik, with the cross-entropies and counts that `chain_loss` names.

    With "entire_space" these are Eqs. (7) and (11). The losses of `values` follow as further tasks.

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
        self.shares = CHAIN_LOSSES["entire_space" if link.stands_alone else chain_loss]  # all are the same there
        self.register_buffer("task_weights", task_weights)

    def forward(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        return self.per_task(logits, labels, weights)[0] @ self.task_weights

    def per_task(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """For each task the mean of its counted cross-entropies, and of what its labels count; both ``(K,)``.

        Logits ``(R, B, K)`` of several members are judged one by one.
        """
        if logits.dim() == 3:
            n_readers = len(logits)
            logits, labels = logits.flatten(0, 1), labels.repeat(n_readers, 1)
            weights = None if weights is None else weights.repeat(n_readers, 1)
        if self.values is None:
            return self._of_labels(logits, labels, weights)
        k, n_outputs = len(self.link.parents), self.values.n_outputs
        weights = torch.ones_like(labels) if weights is None else weights
        losses, counted = self._of_labels(logits[:, :k], labels[:, :k], weights[:, :k])
        outputs = logits[:, k:].unflatten(1, (-1, n_outputs))
        # Of what does not count the loss could be infinite, and 0 times that is no number.
        outputs = torch.where(weights[:, k:, None] > 0, outputs, 0.0)
        of_values = torch.where(weights[:, k:] > 0, self.values.loss(outputs, labels[:, k:]), 0.0)
        more, counted_more = _means(of_values, weights[:, k:])
        return torch.cat((losses, more)), torch.cat((counted, counted_more))

    def _of_labels(self, logits: Tensor, labels: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        means = [_means(*terms(self.link, logits, labels, weights)) for _, terms in self.shares]
        if len(means) == 1:
            return means[0]
        losses, counted = zip(*means, strict=True)
        shares = logits.new_tensor([share for share, _ in self.shares])
        return shares @ torch.stack(losses), shares @ torch.stack(counted)


def _means(losses: Tensor, counts: Tensor | None) -> tuple[Tensor, Tensor]:
    """The mean of the counted losses of each task, and of the counts, ``(K,)``."""
    if counts is None:
        return losses.mean(dim=0), losses.new_ones(losses.shape[1])
    return (losses * counts).mean(dim=0), counts.mean(dim=0)
