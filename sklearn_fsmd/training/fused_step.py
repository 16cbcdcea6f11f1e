"""Adam's step and the average of the weights piece by piece, shared by the threads of a crew."""

from __future__ import annotations

import math
from typing import Any

import torch

from sklearn_fsmd.execution import FEW, Adam, Crew, adam, adam_pieces
from sklearn_fsmd.training.rowwise_adam import RowWiseAdam
from sklearn_fsmd.training.weight_average import WeightAverage

UNUSUAL = ("amsgrad", "maximize", "capturable", "differentiable")


class FusedStep:
    """What optimizer and average do at a step, for those parameters for which the core can do it.

    The optimizer keeps its state where torch has it; a parameter's first step is torch's, which makes that state.
    """

    def __init__(self, optimizer: RowWiseAdam, average: WeightAverage, crew: Crew) -> None:
        self.optimizer, self.average, self.crew = optimizer, average, crew
        self.position = {id(t): i for i, t in enumerate(average.tensors)} if average.decay else {}

    def __call__(self) -> None:
        newest = self.average.next_weight()
        work: list[Any] = []
        left_out, kept = [], []
        for group in self.optimizer.param_groups:
            usual = not any(group[name] for name in UNUSUAL) and not isinstance(group["lr"], torch.Tensor)
            options: dict[float, Adam] = {}
            """By the number of the step, which is the same for most parameters."""
            for p in group["params"]:
                state = self.optimizer.state.get(p)
                is_dense = p.grad is not None and not p.grad.is_sparse and p.is_contiguous()
                if not (is_dense and usual and state and p.dtype == torch.float32):
                    continue
                state["step"] += 1
                t, i = state["step"].item(), self.position.get(id(p))
                if t not in options:
                    options[t] = _options(group, t, newest)
                tensors = p.detach(), p.grad.contiguous(), state["exp_avg"], state["exp_avg_sq"]
                kept.append((options[t], tensors))
                average = None if i is None else self.average.others[i]
                work += adam_pieces(options[t], tensors, average, FEW)
                left_out.append(p)
        self.crew.each(adam, work, FEW)
        fused = {self.position[id(p)] for p in left_out if id(p) in self.position}
        grads = [p.grad for p in left_out]
        for p in left_out:
            p.grad = None
        self.optimizer.step()
        for p, grad in zip(left_out, grads, strict=True):
            p.grad = grad
        self.average.update(without=fused)


def _options(group: dict[str, Any], t: float, newest: float) -> Adam:
    beta1, beta2 = group["betas"]
    decoupled, decay, lr = group["decoupled_weight_decay"], group["weight_decay"], group["lr"]
    return Adam(
        beta1=beta1,
        beta2=beta2,
        eps=group["eps"],
        size=lr / (1 - beta1**t),
        root=math.sqrt(1 - beta2**t),
        shrink=1 - lr * decay if decoupled else 1.0,
        pull=0.0 if decoupled else decay,
        newest=newest,
    )
