"""Rules that combine the tasks' losses into one step: by fixed weights, or by weights that training adapts.

Conflicting gradients, the "seesaw", are the paper's own subject; it leaves the weights w_k of Eqs. (7) and (11) open.
Each rule gets the losses of a batch and calls backward. The user's `task_weights` multiply the weights of a rule: if
the losses contained them, the rule would balance them away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_fsmd.network import coalesced


class Fixed:
    """The sum of the losses, weighted by `task_weights`; the base class of all rules."""

    def __init__(self, task_weights: Tensor) -> None:
        self.task_weights = task_weights
        self.n_tasks = len(task_weights)

    def to(self, device: str) -> Fixed:
        self.task_weights = self.task_weights.to(device)
        return self

    def seed(self, seed: int) -> None:
        """Set the seed of a rule that draws random numbers."""

    def state_dict(self) -> dict[str, Any]:
        """The state of the rule."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the state of a rule of the same kind."""

    def to_spec(self) -> dict[str, list[float]]:
        """The numbers of :meth:`state_dict`, which are saved with the weights."""
        return {name: x.tolist() for name, x in self.state_dict().items() if isinstance(x, (Tensor, np.ndarray))}

    def load_spec(self, spec: dict[str, list[float]]) -> None:
        """Continue from the numbers of :meth:`to_spec`; start from scratch if `spec` is empty."""
        if spec:
            self.load_state_dict({name: np.asarray(value) for name, value in spec.items()})

    def parameters(self) -> list[nn.Parameter]:
        """Parameters that the optimizer trains in addition to those of the network."""
        return []

    @contextmanager
    def watching(self, network: nn.Module) -> Iterator[None]:
        """Observe `network` during training, as far as the rule needs it."""
        yield

    def set_process_mean(self, mean: Callable[[Tensor], Tensor] | None) -> None:
        """Set the function that takes means over the rows of several processes; None for a single process."""

    def backward(self, network: nn.Module, losses: Tensor, counted: Tensor) -> None:
        """Compute the gradients of a batch.

        Parameters
        ----------
        network : the module that is trained.
        losses : (K,)
        counted : (K,), the mean weight of each task's labels in the batch; missing labels have weight 0.
        """
        (losses @ self.task_weights).backward()

    def summary(self, task_names: Sequence[str]) -> dict[str, float]:
        """Entries for the history of an epoch."""
        return {}


class Uncertainty(Fixed):
    """Σ_k w_k (exp(−s_k) L_k + s_k / 2) with trained s_k, the log-variances of the tasks [1]_.

    If only a share of a task's labels is observed in a batch, its s_k / 2 is multiplied by that share, like its loss.

    References
    ----------
    .. [1] A. Kendall, Y. Gal, R. Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry
       and Semantics", CVPR 2018, Eq. (10).
    """

    def __init__(self, task_weights: Tensor) -> None:
        super().__init__(task_weights)
        self.log_variances = nn.Parameter(torch.zeros(self.n_tasks, dtype=torch.float32))

    def to(self, device: str) -> Uncertainty:
        super().to(device)
        self.log_variances = nn.Parameter(self.log_variances.detach().to(device))
        return self

    def state_dict(self) -> dict[str, Any]:
        return {"log_variances": self.log_variances.detach()}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.log_variances.copy_(torch.as_tensor(state["log_variances"]))

    def parameters(self) -> list[nn.Parameter]:
        return [self.log_variances]

    def backward(self, network: nn.Module, losses: Tensor, counted: Tensor) -> None:
        s = self.log_variances
        ((torch.exp(-s) * losses + 0.5 * s * counted) @ self.task_weights).backward()

    def summary(self, task_names: Sequence[str]) -> dict[str, float]:
        return _named(task_names, torch.exp(-self.log_variances.detach()).tolist())


class PCGrad(Fixed):
    """Gradient surgery: remove from each task's gradient the component that conflicts with another task's [1]_.

    A gradient is that of all parameters together. The projections need only inner products: each projected gradient is
    a linear combination of the original ones, with the coefficients of :func:`surgery`.

    References
    ----------
    .. [1] T. Yu et al., "Gradient Surgery for Multi-Task Learning", NeurIPS 2020, Alg. 1.
    """

    def __init__(self, task_weights: Tensor) -> None:
        super().__init__(task_weights)
        self.seed(0)
        self.n_steps = self.n_conflicts = 0

    def seed(self, seed: int) -> None:
        self.random = np.random.RandomState(seed)  # draws the order of projections

    def state_dict(self) -> dict[str, Any]:
        return {"random": self.random, "n_steps": self.n_steps, "n_conflicts": self.n_conflicts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.random = state["random"]
        self.n_steps, self.n_conflicts = state.get("n_steps", 0), state.get("n_conflicts", 0)

    def backward(self, network: nn.Module, losses: Tensor, counted: Tensor) -> None:
        parameters = [p for p in network.parameters() if p.requires_grad]
        gradients = [
            torch.autograd.grad(loss, parameters, retain_graph=k < self.n_tasks - 1, allow_unused=True)
            for k, loss in enumerate(losses)
        ]
        columns = [_same_rows(column) for column in zip(*gradients, strict=True)]
        products = [_inner_products(column) for column in columns if any(g is not None for g in column)]
        gram = torch.stack(products).sum(dim=0).cpu().double().numpy()  # the only wait for the device in a step
        weights = self.task_weights.cpu().double().numpy()  # in float64: the square of a small weight is not 0 there
        gram *= np.outer(weights, weights)
        coefficients = weights * surgery(gram, self.random.permutation)
        self.n_steps += 1
        self.n_conflicts += int((gram[np.triu_indices(self.n_tasks, 1)] < 0).any())
        for parameter, column in zip(parameters, columns, strict=True):
            parameter.grad = _in_layout_of_parameter(_combine(column, coefficients), parameter)

    def summary(self, task_names: Sequence[str]) -> dict[str, float]:
        share, self.n_steps, self.n_conflicts = self.n_conflicts / max(self.n_steps, 1), 0, 0
        return {"conflicting_steps": share}


def surgery(gram: np.ndarray, order_of: Callable[[int], Any]) -> np.ndarray:
    """Coefficients ``(K,)`` of the tasks' gradients in the sum of the projected ones.

    Parameters
    ----------
    gram : (K, K), the inner products of the gradients.
    order_of : draws the order in which K tasks are projected on; called for each task.
    """
    n_tasks = len(gram)
    total = np.zeros(n_tasks)
    for i in range(n_tasks):
        projected = np.eye(n_tasks)[i]
        for j in order_of(n_tasks):
            inner = projected @ gram[j]
            if j != i and inner < 0 < gram[j, j]:
                projected[j] -= inner / gram[j, j]
        total += projected
    return total


def _same_rows(column: Sequence[Tensor | None]) -> list[Tensor | None]:
    """The gradients of one parameter; sparse ones, which are of the same lookups, coalesced to the same rows."""
    sparse = iter(coalesced([g for g in column if g is not None and g.is_sparse]))
    return [next(sparse) if g is not None and g.is_sparse else g for g in column]


def _values(gradient: Tensor) -> Tensor:
    return gradient.values() if gradient.is_sparse else gradient


def _inner_products(column: Sequence[Tensor | None]) -> Tensor:
    """Inner products of the tasks' gradients of one parameter, ``(K, K)``; at least one task has a gradient."""
    flat = [None if g is None else _values(g).flatten() for g in column]
    gram = next(g for g in flat if g is not None).new_zeros((len(flat), len(flat)))
    for i, j in zip(*np.triu_indices(len(flat)), strict=True):
        if (left := flat[i]) is not None and (right := flat[j]) is not None:
            gram[i, j] = gram[j, i] = torch.dot(left, right)
    return gram


def _combine(column: Sequence[Tensor | None], coefficients: np.ndarray) -> Tensor | None:
    terms = [g * c for g, c in zip(column, coefficients.tolist(), strict=True) if g is not None]
    return sum(terms[1:], start=terms[0]) if terms else None


def _in_layout_of_parameter(gradient: Tensor | None, parameter: Tensor) -> Tensor | None:
    """A gradient with the strides of its parameter, which torch's fused optimizers assume.

    ``backward`` ensures that; ``torch.autograd.grad`` may return a transposed view.
    """
    if gradient is None or gradient.is_sparse or gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


class GradNorm(Fixed):
    """Σ_k w_k L_k with weights that equalise the pace of the tasks by the norms of their gradients [1]_.

    NOTE[DIFF] the norm of a task's gradient is taken at the inputs of the towers, not at the weights of the last shared
    layer: every extractor has such inputs, and their gradients cost no more than the towers. The logarithms of the
    weights move by the difference between the norms and their targets, relative to the mean norm. Steps of fixed size
    would depend on the scale of the losses and oscillate around the target. The initial loss is the mean over some
    batches, during which the weights stay. In an ensemble the norms are those of its first member.

    References
    ----------
    .. [1] Z. Chen et al., "GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep Multitask Networks",
       ICML 2018, Alg. 1.
    """

    ALPHA, LR = 1.5, 0.025
    N_FIRST = 10
    """Number of batches over which a task's initial loss is averaged: a single one may have very few of its labels."""
    mean: Callable[[Tensor], Tensor] | None = None
    """Takes the mean over the rows of several processes."""

    def __init__(self, task_weights: Tensor) -> None:
        super().__init__(task_weights)
        self.weights = np.ones(self.n_tasks)
        self.first_losses = np.full(self.n_tasks, math.nan)
        self.n_first = np.zeros(self.n_tasks, dtype=np.int64)
        self.counts = task_weights.cpu().numpy() > 0

    def state_dict(self) -> dict[str, Any]:
        return {"weights": self.weights, "first_losses": self.first_losses, "n_first": self.n_first}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.weights, self.first_losses = state["weights"].copy(), state["first_losses"].copy()
        of_former_versions = np.where(np.isnan(self.first_losses), 0, self.N_FIRST)
        self.n_first = np.array(state.get("n_first", of_former_versions), dtype=np.int64)

    @contextmanager
    def watching(self, network: nn.Module) -> Iterator[None]:
        def keep_inputs(towers: nn.Module, inputs: tuple[Tensor]) -> None:
            self.shared = inputs[0]

        hook = network.get_submodule("towers").register_forward_pre_hook(keep_inputs)
        try:
            yield
        finally:
            hook.remove()
            self.__dict__.pop("shared", None)

    def set_process_mean(self, mean: Callable[[Tensor], Tensor] | None) -> None:
        self.mean = mean

    def backward(self, network: nn.Module, losses: Tensor, counted: Tensor) -> None:
        if self.shared.requires_grad:  # else the shared part is frozen, and there is nothing to balance
            norms = [torch.autograd.grad(loss, self.shared, retain_graph=True)[0].norm() for loss in losses]
            statistics = torch.stack((losses.detach(), counted, torch.stack(norms)))
            if self.mean is not None:
                statistics = self.mean(statistics)
            means = statistics[0] / statistics[1].clamp(min=1e-9)
            self._update(*torch.stack((means, statistics[2])).cpu().double().numpy())
        (losses @ (self.task_weights * losses.new_tensor(self.weights))).backward()

    def _update(self, losses: np.ndarray, norms: np.ndarray) -> None:
        """Update the weights by the mean losses of the observed labels and the norms of the gradients.

        Tasks are left out that have no observed label in the batch, a weight of 0, or no initial loss yet.
        """
        active = (norms > 0) & self.counts
        is_first = active & (self.n_first < self.N_FIRST)
        if is_first.any():
            self.n_first[is_first] += 1
            before = np.nan_to_num(self.first_losses[is_first])
            self.first_losses[is_first] = before + (losses[is_first] - before) / self.n_first[is_first]
        active &= ~is_first
        if not active.any():
            return
        pace = losses[active] / self.first_losses[active]
        weighted = self.weights[active] * norms[active]
        target = weighted.mean() * (pace / pace.mean()) ** self.ALPHA
        moved = self.weights[active] * np.exp(-self.LR * (weighted - target) / weighted.mean())
        self.weights[active] = moved * self.weights[active].sum() / moved.sum()

    def summary(self, task_names: Sequence[str]) -> dict[str, float]:
        return _named(task_names, self.weights.tolist())


def _named(task_names: Sequence[str], weights: Sequence[float]) -> dict[str, float]:
    """The weights of the tasks under their names in the history."""
    return {f"task_weight_{name}": weight for name, weight in zip(task_names, weights, strict=True)}


RULES: dict[str, type[Fixed]] = {"fixed": Fixed, "uncertainty": Uncertainty, "pcgrad": PCGrad, "gradnorm": GradNorm}
