"""Adam's step and the average of the weights in one pass, shared by the threads of a crew."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from sklearn_fsmd.execution import FEW, Adam, Crew, adam, adam_pieces
from sklearn_fsmd.training.optimizers.rowwise_adam import RowWiseAdam
from sklearn_fsmd.training.optimizers.weight_average import WeightAverage

UNSUPPORTED = ("amsgrad", "maximize", "capturable", "differentiable")


class FusedStep:
    """A step of the optimizer and the average in the C core, for the parameters that it supports.

    The state stays in the torch optimizer. Torch makes the first step of a parameter, which creates its state.
    """

    def __init__(self, optimizer: RowWiseAdam, average: WeightAverage, crew: Crew) -> None:
        self.optimizer, self.average, self.crew = optimizer, average, crew
        self.position = {id(t): i for i, t in enumerate(average.tensors)} if average.decay else {}

    def __call__(self) -> None:
        if _has_hooks(self.optimizer):  # they must see all gradients before the step, and all weights after it
            self.optimizer.step()
            self.average.update()
            return
        newest = self.average.next_weight()
        work: list[Any] = []
        done, alive = [], []  # `alive` holds the tensors that `work` points to
        for group in self.optimizer.param_groups:
            is_supported = not any(group[name] for name in UNSUPPORTED) and not isinstance(group["lr"], torch.Tensor)
            options: dict[float, Adam] = {}
            # by the number of the step, which is the same for most parameters
            for p in group["params"]:
                state = self.optimizer.state.get(p)
                is_dense = p.grad is not None and not p.grad.is_sparse and p.is_contiguous()
                if not (is_dense and is_supported and state and p.dtype == torch.float32):
                    continue
                state["step"] += 1
                t, i = state["step"].item(), self.position.get(id(p))
                if t not in options:
                    options[t] = _options(group, t, newest)
                tensors = p.detach(), p.grad.contiguous(), state["exp_avg"], state["exp_avg_sq"]
                average = None if i is None else self.average.others[i]
                alive.append((options[t], tensors, average))
                work += adam_pieces(options[t], tensors, average, FEW)
                done.append(p)
        self.crew.each(adam, work, sum(p.numel() for p in done))
        torch.autograd.graph.increment_version(done)  # for an autograd graph that still needs the former weights
        fused = {self.position[id(p)] for p in done if id(p) in self.position}
        grads = [p.grad for p in done]
        for p in done:
            p.grad = None
        self.optimizer.step()
        for p, grad in zip(done, grads, strict=True):
            p.grad = grad
        self.average.update(without=fused)


def _has_hooks(optimizer: torch.optim.Optimizer) -> bool:
    """Whether there are hooks before or after a step of this optimizer, or of all optimizers."""
    hooks = optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks
    return any((*hooks, _global_optimizer_pre_hooks, _global_optimizer_post_hooks))


def _options(group: dict[str, Any], t: float, newest: float) -> Adam:
    beta1, beta2 = group["betas"]
    decoupled, decay, lr = group["decoupled_weight_decay"], group["weight_decay"], group["lr"]
    return Adam(
        keep1=1 - beta1,
        keep2=1 - beta2,
        eps=group["eps"],
        size=lr / (1 - beta1**t),
        root=math.sqrt(1 - beta2**t),
        shrink=1 - lr * decay if decoupled else 1.0,
        pull=0.0 if decoupled else decay,
        newest=newest,
    )
