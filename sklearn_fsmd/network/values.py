"""Value targets: distributions of a watch time, a price or a count, from the outputs of a tower.

All losses are at least 0, and 0 for a perfect prediction, so that every rule for task weights can work with them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

MANY_ZEROS = 0.2
"""With a larger share of zeros, whether a lognormal is 0 is said to differ more between rows than its location."""


class ValueModel(nn.Module):
    """The distribution of each of `V` values, given that its parent has happened, from the `P` outputs of its tower.

    Values are standardised: `center` and `scale` are those of the training rows. After training `level` and `slope`
    correct the expectation E to level · E^slope; in :class:`Squared` to level + slope · E. The low-order part of the
    network is added to the first output, and a regression may take its place; see :meth:`regressed`.

    **Shape**: outputs ``(B, V, P)``, values ``(B, V)``.
    """

    n_outputs = 1
    multiplies = True
    """Whether `level` and `slope` correct the logarithm of the expectation."""
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
        return (self.level.log() + self.slope * logs).exp()  # E^slope alone could overflow in float32

    def expectation(self, outputs: Tensor) -> Tensor:
        """The expected values before the correction, ``(B, V)``."""
        raise NotImplementedError

    def loss(self, outputs: Tensor, values: Tensor) -> Tensor:
        """The loss of the distribution for each value, ``(B, V)``."""
        raise NotImplementedError

    def mean(self, outputs: Tensor) -> Tensor:
        """The outputs ``(B, V, P)`` whose expectation is the mean over `M` of the outputs ``(M, B, V, P)``."""
        raise NotImplementedError

    def init_from_values(self, values: Tensor, weights: Tensor) -> Tensor:
        """Set center and scale from values ``(n, V)``, and return the initial outputs ``(V, P)``."""
        raise NotImplementedError

    @property
    def family(self) -> Literal["logistic", "normal", "poisson"]:
        """Of what a regression predicts by the first output: the log-odds, the mean, or the logarithm of the mean."""
        return "normal"

    def regressed(self, values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """What a regression predicts by the first output, and its weights, both ``(n, V)``, from values and weights."""
        return (values - self.center) / self.scale, weights

    def widen(self, values: Tensor, weights: Tensor) -> None:
        """Extend the range by the values ``(n, V)`` of continued training, which may be larger than earlier ones."""


class LogNormal(ValueModel):
    """Zero with the probability 1 − π, else lognormal, with the same spread for all rows: for prices.

    The outputs are the location of the logarithms and the log-odds of π, as in [1]_, in the order `order`: the log-odds
    come first if many values are 0, and in models saved by former versions. NOTE[DIFF] in [1]_ a third output is the
    spread σ, and the expectation has the factor exp(σ²/2). This exponentiates errors of the spread of a row, and the
    spread of memorised rows is close to 0. Here `level` and `slope` turn medians into means instead.

    No expectation exceeds the largest value in training, neither before the correction nor after it: a single row whose
    location is far off would otherwise outweigh all others.

    References
    ----------
    .. [1] X. Wang, T. Liu, J. Miao, "A Deep Probabilistic Model for Customer Lifetime Value Prediction", 2019, Eq. (4).
    """

    n_outputs = 2
    largest: Tensor
    order: Tensor

    def __init__(self, n_values: int) -> None:
        super().__init__(n_values)
        self.register_buffer("largest", torch.ones(n_values))
        self.register_buffer("order", torch.tensor([0, 1]))

    def forward(self, outputs: Tensor) -> Tensor:
        return super().forward(outputs).minimum(self.largest)

    def expectation(self, outputs: Tensor) -> Tensor:
        location, log_odds = self._parts(outputs)
        return torch.sigmoid(log_odds) * (self.center + self.scale * location).exp().minimum(self.largest)

    def loss(self, outputs: Tensor, values: Tensor) -> Tensor:
        location, log_odds = self._parts(outputs)
        is_positive = (values > 0).to(values)
        cross_entropy = binary_cross_entropy_with_logits(log_odds, is_positive, reduction="none")
        return cross_entropy + is_positive * (self._standardised_logs(values) - location).square() / 2

    def mean(self, outputs: Tensor) -> Tensor:
        location, log_odds = self._parts(outputs)
        log_pi = logsigmoid(log_odds)  # finite even if π is too small for a float32
        log_median = (self.scale * location).minimum(self.largest.log() - self.center)  # relative to the center
        log_sum_pi = torch.logsumexp(log_pi, dim=0)
        log_mean_median = torch.logsumexp(log_pi + log_median, dim=0) - log_sum_pi
        mean_log_odds = log_sum_pi - torch.logsumexp(logsigmoid(-log_odds), dim=0)
        return torch.stack((log_mean_median / self.scale, mean_log_odds), dim=-1).index_select(-1, self.order)

    def _parts(self, outputs: Tensor) -> Sequence[Tensor]:
        """The location of the logarithms and the log-odds of π, each ``(…, B, V)``."""
        return outputs.index_select(-1, self.order).unbind(-1)

    def _standardised_logs(self, values: Tensor) -> Tensor:
        return (values.clamp(min=1e-30).log() - self.center) / self.scale

    def init_from_values(self, values: Tensor, weights: Tensor) -> Tensor:
        positive_weights = weights * (values > 0)
        logs = values.clamp(min=1e-30).log()
        self.center.copy_(_mean(logs, positive_weights))
        self.scale.copy_(_spread(logs, positive_weights))
        self.largest.fill_(1e-30)
        self.widen(values, weights)
        p_positive = _mean((values > 0).to(values), weights)
        if p_positive.mean() < 1 - MANY_ZEROS:
            self.order.copy_(torch.tensor([1, 0]))
        log_odds = torch.logit(p_positive.clamp(1e-3, 1 - 1e-3)).to(values)
        return torch.stack((torch.zeros_like(log_odds), log_odds), dim=1).index_select(-1, self.order)

    @property
    def family(self) -> Literal["logistic", "normal", "poisson"]:
        return "logistic" if int(self.order[0]) else "normal"

    def regressed(self, values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        if self.family == "logistic":
            return (values > 0).to(values), weights
        return self._standardised_logs(values), weights * (values > 0)

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
    """Half the deviance of a Poisson distribution, in units of the mean: for counts and similar values."""

    @property
    def family(self) -> Literal["logistic", "normal", "poisson"]:
        return "poisson"

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
"""The class of each value of the parameter `value_loss`."""


def build_values(value_targets: Sequence[str | int] | None, value_loss: str) -> ValueModel | None:
    return VALUE_LOSSES[value_loss](len(value_targets)) if value_targets else None


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean of each column, in float64 on the CPU; 0 if all weights are 0."""
    values, weights = values.cpu().double(), weights.cpu().double()
    return torch.where(weights > 0, values * weights, 0).sum(dim=0) / weights.sum(dim=0).clamp(min=1e-30)


def _spread(values: Tensor, weights: Tensor) -> Tensor:
    """The weighted standard deviation of each column; 1 if all values are equal, up to the precision of float32."""
    mean = _mean(values, weights)
    spread = _mean((values.cpu().double() - mean).square(), weights).sqrt()
    return torch.where(spread > 1e-6 * mean.abs(), spread, torch.ones_like(spread))
