"""Targets with values: how the outputs of a tower say the distribution of a watch time, a price or a count.

All losses are at least 0, and 0 for a perfect prediction, so that every rule that balances tasks can work with them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid


class ValueModel(nn.Module):
    """The distribution of each of `V` values, given that its parent has happened, from the `P` outputs of its tower.

    Values are learned in units of their own spread: `center` and `scale` are those of the rows of training. Afterwards
    `level` and `slope` correct the expectation E to level · E^slope; of :class:`Squared`, to level + slope · E.

    **Shape**: outputs ``(B, V, P)``, values ``(B, V)``.
    """

    n_outputs = 1
    multiplies = True
    """Whether it is corrected on the scale of logarithms."""
    center: Tensor
    scale: Tensor
    level: Tensor
    slope: Tensor

    def __init__(self, n_values: int) -> None:
        super().__init__()
        self.n_values = n_values
        self.register_buffer("center", torch.zeros(n_values))
        self.register_buffer("scale", torch.ones(n_values))
        self.register_buffer("level", torch.full((n_values,), float(self.multiplies)))
        self.register_buffer("slope", torch.ones(n_values))

    def forward(self, outputs: Tensor) -> Tensor:
        """E[value | parent] in the units of Y, ``(B, V)``."""
        expected = self.expectation(outputs)
        if not self.multiplies:
            return self.level + self.slope * expected
        logs = expected.clamp(min=torch.finfo(expected.dtype).tiny).log()
        return (self.level.log() + self.slope * logs).exp()  # a power alone may be beyond a float32

    def expectation(self, outputs: Tensor) -> Tensor:
        """What the distribution expects, before it is corrected, ``(B, V)``."""
        raise NotImplementedError

    def loss(self, outputs: Tensor, values: Tensor) -> Tensor:
        """How far the distribution is from each value, ``(B, V)``."""
        raise NotImplementedError

    def mean(self, outputs: Tensor) -> Tensor:
        """The outputs ``(B, V, P)`` whose expectation is the mean of those of the outputs ``(M, B, V, P)``."""
        raise NotImplementedError

    def init_from_values(self, values: Tensor, weights: Tensor) -> Tensor:
        """Take center and scale from ``(n, V)``; returned are the outputs ``(V, P)`` to start at."""
        raise NotImplementedError

    def widen(self, values: Tensor, weights: Tensor) -> None:
        """See further values ``(n, V)``, of training that goes on, which may be larger than those of before."""


class LogNormal(ValueModel):
    """Zero with the probability 1 − π, else lognormal, with a spread that is the same for all rows: for prices.

    The outputs are the log-odds of π and the location of the logarithms, as in [1]_. NOTE[DIFF] there a third output is
    the spread, and the expectation has exp(σ²/2) of it: whatever is wrong with a row's spread is exponentiated, and
    rows that were learned by heart have hardly any. Here `level` and `slope` make means of medians.

    No expectation is above the largest value that training has seen, before it is corrected.

    References
    ----------
    .. [1] X. Wang, T. Liu, J. Miao, "A Deep Probabilistic Model for Customer Lifetime Value Prediction", 2019, Eq. (4).
    """

    n_outputs = 2
    largest: Tensor

    def __init__(self, n_values: int) -> None:
        super().__init__(n_values)
        self.register_buffer("largest", torch.ones(n_values))

    def expectation(self, outputs: Tensor) -> Tensor:
        median = (self.center + self.scale * outputs[..., 1]).exp().minimum(self.largest)
        return torch.sigmoid(outputs[..., 0]) * median

    def loss(self, outputs: Tensor, values: Tensor) -> Tensor:
        is_some = (values > 0).to(values)
        logs = (values.clamp(min=1e-30).log() - self.center) / self.scale
        of_chance = binary_cross_entropy_with_logits(outputs[..., 0], is_some, reduction="none")
        return of_chance + is_some * (logs - outputs[..., 1]).square() / 2

    def mean(self, outputs: Tensor) -> Tensor:
        log_chance = logsigmoid(outputs[..., 0])  # finite where the chance itself is too small for a float32
        log_median = (self.scale * outputs[..., 1]).minimum(self.largest.log() - self.center)  # each its own largest
        of_chance = torch.logsumexp(log_chance, dim=0)
        together = torch.logsumexp(log_chance + log_median, dim=0) - of_chance
        log_odds = of_chance - torch.logsumexp(logsigmoid(-outputs[..., 0]), dim=0)
        return torch.stack((log_odds, together / self.scale), dim=-1)

    def init_from_values(self, values: Tensor, weights: Tensor) -> Tensor:
        positive = weights * (values > 0)
        logs = values.clamp(min=1e-30).log()
        self.center.copy_(_mean(logs, positive))
        self.scale.copy_(_spread(logs, positive))
        self.largest.fill_(1e-30)
        self.widen(values, weights)
        chance = torch.logit(_mean((values > 0).to(values), weights).clamp(1e-3, 1 - 1e-3)).to(values)
        return torch.stack((chance, torch.zeros_like(chance)), dim=1)

    def widen(self, values: Tensor, weights: Tensor) -> None:
        self.largest.copy_(torch.where(weights > 0, values, 0).amax(dim=0).maximum(self.largest))


class Squared(ValueModel):
    """Half the squared error, in units of the variance."""

    multiplies = False

    def expectation(self, outputs: Tensor) -> Tensor:
        return self.center + self.scale * outputs.squeeze(-1)

    def loss(self, outputs: Tensor, values: Tensor) -> Tensor:
        return ((values - self.center) / self.scale - outputs.squeeze(-1)).square() / 2

    def mean(self, outputs: Tensor) -> Tensor:
        return outputs.mean(dim=0)

    def init_from_values(self, values: Tensor, weights: Tensor) -> Tensor:
        self.center.copy_(_mean(values, weights))
        self.scale.copy_(_spread(values, weights))
        return self.center.new_zeros(self.n_values, 1)


class Poisson(ValueModel):
    """Half the deviance of a Poisson distribution, in units of the mean: for counts, and whatever varies as they do."""

    def expectation(self, outputs: Tensor) -> Tensor:
        return self.scale * outputs.squeeze(-1).exp()

    def loss(self, outputs: Tensor, values: Tensor) -> Tensor:
        y, log_rate = values / self.scale, outputs.squeeze(-1)
        return torch.special.xlogy(y, y) - y * log_rate + log_rate.exp() - y

    def mean(self, outputs: Tensor) -> Tensor:
        return torch.logsumexp(outputs, dim=0) - math.log(len(outputs))

    def init_from_values(self, values: Tensor, weights: Tensor) -> Tensor:
        mean = _mean(values, weights)
        self.scale.copy_(torch.where(mean > 0, mean, torch.ones_like(mean)))
        return self.center.new_zeros(self.n_values, 1)


VALUE_LOSSES: dict[str, type[ValueModel]] = {"lognormal": LogNormal, "squared": Squared, "poisson": Poisson}
"""What the parameter `value_loss` names."""


def build_values(value_targets: Sequence[str | int] | None, value_loss: str) -> ValueModel | None:
    return VALUE_LOSSES[value_loss](len(value_targets)) if value_targets else None


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean of each column, in float64 on the CPU; 0 where nothing counts."""
    values, weights = values.cpu().double(), weights.cpu().double()
    return torch.where(weights > 0, values * weights, 0).sum(dim=0) / weights.sum(dim=0).clamp(min=1e-30)


def _spread(values: Tensor, weights: Tensor) -> Tensor:
    """The weighted standard deviation of each column; 1 where all are alike, as far as a float32 tells."""
    mean = _mean(values, weights)
    spread = _mean((values.cpu().double() - mean).square(), weights).sqrt()
    return torch.where(spread > 1e-6 * mean.abs(), spread, torch.ones_like(spread))
