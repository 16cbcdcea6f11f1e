"""Links: from the logits of the tasks to the probabilities of the targets."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid


class TreeLink(nn.Module):
    """Each logit is the log-odds of its target *given that its parent has happened*, if it has a parent.

    P(y_k = 1) = σ(z_k) · P(y_parent = 1), Eq. (10). A chain (click → conversion) is the tree ``(None, 0, 1, …)``;
    with ``(None, None, …)`` the targets are independent, Eq. (7).

    Parameters
    ----------
    parents : for each task the index of its parent, which must be an earlier task, or None.

    **Shape**: logits ``(B, K)`` → probabilities or log-probabilities ``(B, K)``.
    """

    def __init__(self, parents: Sequence[int | None]) -> None:
        super().__init__()
        self.parents = tuple(parents)

    @property
    def stands_alone(self) -> bool:
        """Whether no target has a parent."""
        return all(parent is None for parent in self.parents)

    def log_probs(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Log P(y_k = 1) and log P(y_k = 0), both exact for logits of any size.

        The product of Eq. (10) is a sum of logarithms here, since a product of sigmoids has no gradient at a logit of
        −60. The complement 1 − p_parent · σ(z) is the sum of two cases: the parent has not happened, or it has and this
        target has not. There is no subtraction, so no digits cancel.
        """
        log_yes, log_no = logsigmoid(logits).unbind(1), logsigmoid(-logits).unbind(1)
        yes: list[Tensor] = []
        no: list[Tensor] = []
        for k, parent in enumerate(self.parents):
            if parent is None:
                yes.append(log_yes[k])
                no.append(log_no[k])
            else:
                yes.append(yes[parent] + log_yes[k])
                no.append(torch.logaddexp(no[parent], yes[parent] + log_no[k]))
        return torch.stack(yes, dim=1), torch.stack(no, dim=1)

    def log_probs_given(self, logits: Tensor, labels: Tensor, observed: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """As :meth:`log_probs`, but given the observed labels before each step, and whether the step takes place.

        A step takes place if the nearest observed step before it has happened. If no step before it was observed, it
        counts as taking place, and its marginal probability is returned. So the probabilities of a chain multiply to
        the probability of all observed labels.

        Parameters
        ----------
        labels : (B, K)
        observed : (B, K) bool; None if all labels are observed.

        Returns
        -------
        log_yes, log_no : (B, K)
        takes_place : (B, K), 0 or 1.
        """
        log_yes, log_no = logsigmoid(logits).unbind(1), logsigmoid(-logits).unbind(1)
        yes: list[Tensor] = []
        no: list[Tensor] = []
        takes_place: list[Tensor] = []
        always = torch.ones_like(labels[:, 0])
        for k, parent in enumerate(self.parents):
            if parent is None:
                yes.append(log_yes[k])
                no.append(log_no[k])
                takes_place.append(always)
            elif observed is None:
                yes.append(log_yes[k])
                no.append(log_no[k])
                takes_place.append(labels[:, parent])
            else:
                is_observed = observed[:, parent]
                log_no_marginal = torch.logaddexp(no[parent], yes[parent] + log_no[k])
                yes.append(torch.where(is_observed, log_yes[k], yes[parent] + log_yes[k]))
                no.append(torch.where(is_observed, log_no[k], log_no_marginal))
                takes_place.append(torch.where(is_observed, labels[:, parent], takes_place[parent]))
        return torch.stack(yes, dim=1), torch.stack(no, dim=1), torch.stack(takes_place, dim=1)

    def marginals(self, logits: Tensor) -> Tensor:
        """P(y_k = 1): that of the parent times a factor of at most 1, so it never rises along a chain."""
        probs = list(torch.sigmoid(logits).unbind(1))
        for k, parent in enumerate(self.parents):
            if parent is not None:
                probs[k] = probs[parent] * probs[k]
        return torch.stack(probs, dim=1)

    def mean(self, logits: Tensor) -> Tensor:
        """The logits ``(B, K)`` whose marginals are the mean over `M` of the marginals of the logits ``(M, B, K)``.

        The odds of a step given its parent are ΣP(parent, step) : ΣP(parent, not the step).
        """
        log_yes, log_no = logsigmoid(logits).unbind(2), logsigmoid(-logits).unbind(2)
        yes: list[Tensor] = []
        odds: list[Tensor] = []
        for k, parent in enumerate(self.parents):
            before = 0.0 if parent is None else yes[parent]
            yes.append(before + log_yes[k])
            odds.append(torch.logsumexp(yes[k], dim=0) - torch.logsumexp(before + log_no[k], dim=0))
        return torch.stack(odds, dim=1)

    def prior_logits(self, rates: Tensor) -> Tensor:
        """The logits at which the probability of each step given its parent is in `rates` ``(K,)``.

        They are the initial biases of the towers.
        """
        return torch.logit(rates.clamp(1e-4, 1 - 1e-4))


def parents_of(link: str | Sequence[int | None], n_tasks: int) -> tuple[int | None, ...]:
    """The parents of the tasks by the parameter `link`: a name, or the parents themselves."""
    if link == "chain":
        return (None, *range(n_tasks - 1))
    if link == "independent":
        return (None,) * n_tasks
    if isinstance(link, str):
        raise ValueError(f"The 'link' parameter must be 'chain', 'independent' or a tuple of parents. Got {link!r}.")
    if len(link) != n_tasks:
        raise ValueError(f"The 'link' parameter names the parents of {len(link)} tasks, but Y has {n_tasks}: {link!r}.")
    for k, parent in enumerate(link):
        is_index = isinstance(parent, Integral) and not isinstance(parent, bool)
        if parent is not None and not (is_index and 0 <= parent < k):
            raise ValueError(
                f"The parent of task {k} in 'link' must be None{f' or a task before it, 0 to {k - 1}' if k else ''}. "
                f"Got {parent!r} in {link!r}."
            )
    return tuple(None if parent is None else int(parent) for parent in link)
