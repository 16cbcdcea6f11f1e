"""How the tasks' losses become one step: by fixed weights, or by weights that the training finds itself.

Conflicting gradients, the "seesaw", are the paper's own subject; it leaves the weights w_k of Eqs. (7) and (11) open.
Each rule here is given the losses of a batch and calls backward. The user's `task_weights` multiply what a rule finds:
one that saw them in the losses would balance them away.
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
    """The sum of the losses."""

    def __init__(self, task_weights: Tensor) -> None:
        self.task_weights = task_weights
        self.n_tasks = len(task_weights)

    def to(self, device: str) -> Fixed:
        self.task_weights = self.task_weights.to(device)
        return self

    def state_dict(self) -> dict[str, Any]:
        """What the rule has found so far."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what a rule of the same kind has found."""

    def found(self) -> dict[str, list[float]]:
        """What goes with the weights into files: the numbers of :meth:`state_dict`."""
        return {name: x.tolist() for name, x in self.state_dict().items() if isinstance(x, (Tensor, np.ndarray))}

    def take(self, found: dict[str, list[float]]) -> None:
        """Go on from what :meth:`found` has said; from nothing, if that is empty."""
        if found:
            self.load_state_dict({name: np.asarray(value) for name, value in found.items()})

    def parameters(self) -> list[nn.Parameter]:
        """What the optimizer is to train beside the network."""
        return []

    @contextmanager
    def watching(self, network: nn.Module) -> Iterator[None]:
        """See what the rule needs to see of `network` while it is trained."""
        yield

    def share(self, mean: Callable[[Tensor], Tensor] | None) -> None:
        """Be told how to take means over the rows of several processes, of which this one has some; None if alone."""

    def backward(self, network: nn.Module, losses: Tensor, counted: Tensor) -> None:
        """Write the gradients of a batch.

        Parameters
        ----------
        network : the module that is trained.
        losses : (K,)
        counted : (K,), the mean of what each task's labels count in the batch.
        """
        (losses @ self.task_weights).backward()

    def summary(self, task_names: Sequence[str]) -> dict[str, float]:
        """What an epoch's row of the history is told."""
        return {}


class Uncertainty(Fixed):
    """Σ_k w_k (exp(−s_k) L_k + s_k / 2) with trained s_k, the log-variances of the tasks [1]_.

    In a batch where a share of a task's labels is observed, its s_k / 2 counts by that share: as the loss does.

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
    """Gradient surgery: each task's gradient loses its part against that of another which it conflicts with [1]_.

    Gradients are those of all parameters together. Only their inner products are needed for the projections: each
    projected gradient is a combination of the original ones, whose coefficients :func:`surgery` finds.

    References
    ----------
    .. [1] T. Yu et al., "Gradient Surgery for Multi-Task Learning", NeurIPS 2020, Alg. 1.
    """

    def __init__(self, task_weights: Tensor) -> None:
        super().__init__(task_weights)
        self.random = np.random.RandomState(0)  # of the order of projections, which needs no seed of its own
        self.n_steps = self.n_conflicts = 0

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
        gram = torch.stack(products).sum(dim=0).cpu().double().numpy()  # the device is waited for once per step
        weights = self.task_weights.cpu().double().numpy()  # in float64: the square of a small weight is not 0 there
        gram *= np.outer(weights, weights)
        coefficients = weights * surgery(gram, self.random.permutation)
        self.n_steps += 1
        self.n_conflicts += int((gram[np.triu_indices(self.n_tasks, 1)] < 0).any())
        for parameter, column in zip(parameters, columns, strict=True):
            parameter.grad = _as_it_lies(_combine(column, coefficients), parameter)

    def summary(self, task_names: Sequence[str]) -> dict[str, float]:
        share, self.n_steps, self.n_conflicts = self.n_conflicts / max(self.n_steps, 1), 0, 0
        return {"conflicting_steps": share}


def surgery(gram: np.ndarray, order_of: Callable[[int], Any]) -> np.ndarray:
    """Coefficients ``(K,)`` of the tasks' gradients in the sum of the projected ones.

    Parameters
    ----------
    gram : (K, K), the inner products of the gradients.
    order_of : gives the order in which K tasks are projected on, anew for each task.
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
    """One parameter's gradients; sparse ones, which stem from the same lookups, by the rows in order."""
    sparse = iter(coalesced([g for g in column if g is not None and g.is_sparse]))
    return [next(sparse) if g is not None and g.is_sparse else g for g in column]


def _values(gradient: Tensor) -> Tensor:
    return gradient.values() if gradient.is_sparse else gradient


def _inner_products(column: Sequence[Tensor | None]) -> Tensor:
    """What one parameter that has a gradient adds to the inner products, ``(K, K)``."""
    flat = [None if g is None else _values(g).flatten() for g in column]
    gram = next(g for g in flat if g is not None).new_zeros((len(flat), len(flat)))
    for i, j in zip(*np.triu_indices(len(flat)), strict=True):
        if (left := flat[i]) is not None and (right := flat[j]) is not None:
            gram[i, j] = gram[j, i] = torch.dot(left, right)
    return gram


def _combine(column: Sequence[Tensor | None], coefficients: np.ndarray) -> Tensor | None:
    terms = [g * c for g, c in zip(column, coefficients.tolist(), strict=True) if g is not None]
    return sum(terms[1:], start=terms[0]) if terms else None


def _as_it_lies(gradient: Tensor | None, parameter: Tensor) -> Tensor | None:
    """A gradient laid out in memory as its parameter is, which torch's fused optimizers take for granted.

    ``backward`` sees to that; ``torch.autograd.grad`` hands on what a function has returned, a transposed view too.
    """
    if gradient is None or gradient.is_sparse or gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


class GradNorm(Fixed):
    """Σ_k w_k L_k with weights that let the tasks train at a like pace, by the norms of their gradients [1]_.

    NOTE[DIFF] the norm of a task's gradient is taken at the representations that the towers read, not at the weights
    of the last shared layer: these exist in every extractor, and cost no more than the towers. And the logarithms of
    the weights move by how far the norms are from where they should be, relative to their mean: not by steps of one
    size, which would depend on the scale of the losses and swing around the aim. The loss of the start is the mean over
    some batches, in which the weights stay.

    References
    ----------
    .. [1] Z. Chen et al., "GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep Multitask Networks",
       ICML 2018, Alg. 1.
    """

    ALPHA, LR = 1.5, 0.025
    N_FIRST = 10
    """So many batches say what a task's loss was at the start: one alone may have a handful of its labels."""
    mean: Callable[[Tensor], Tensor] | None = None
    """Over the rows of several processes."""

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
        def keep(towers: nn.Module, inputs: tuple[Tensor]) -> None:
            self.shared = inputs[0]

        hook = network.get_submodule("towers").register_forward_pre_hook(keep)
        try:
            yield
        finally:
            hook.remove()
            self.__dict__.pop("shared", None)

    def share(self, mean: Callable[[Tensor], Tensor] | None) -> None:
        self.mean = mean

    def backward(self, network: nn.Module, losses: Tensor, counted: Tensor) -> None:
        if self.shared.requires_grad:  # else it is frozen, and there is nothing to balance
            norms = [torch.autograd.grad(loss, self.shared, retain_graph=True)[0].norm() for loss in losses]
            seen = torch.stack((losses.detach(), counted, torch.stack(norms)))
            if self.mean is not None:
                seen = self.mean(seen)
            means = seen[0] / seen[1].clamp(min=1e-9)
            self._update(*torch.stack((means, seen[2])).cpu().double().numpy())
        (losses @ (self.task_weights * losses.new_tensor(self.weights))).backward()

    def _update(self, losses: np.ndarray, norms: np.ndarray) -> None:
        """One step of the weights, from the mean loss of the observed labels and the norms of the gradients.

        A task without an observed label in the batch has no part in it, nor has one whose weight is 0, or whose loss at
        first is not known yet.
        """
        active = (norms > 0) & self.counts
        fresh = active & (self.n_first < self.N_FIRST)
        if fresh.any():
            self.n_first[fresh] += 1
            before = np.nan_to_num(self.first_losses[fresh])
            self.first_losses[fresh] = before + (losses[fresh] - before) / self.n_first[fresh]
        active &= ~fresh
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
    """The weights of the tasks as the history calls them."""
    return {f"task_weight_{name}": weight for name, weight in zip(task_names, weights, strict=True)}


RULES: dict[str, type[Fixed]] = {"fixed": Fixed, "uncertainty": Uncertainty, "pcgrad": PCGrad, "gradnorm": GradNorm}
