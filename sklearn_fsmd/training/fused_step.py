"""Adam's step and the average of the weights piece by piece, shared by the threads of a crew."""

from __future__ import annotations

from typing import Any

import torch

from sklearn_fsmd.execution.crew import FEW, Crew
from sklearn_fsmd.execution.loops import updates
from sklearn_fsmd.training.averaging import WeightAverage
from sklearn_fsmd.training.rowwise import RowWiseAdam

UNUSUAL = ("amsgrad", "maximize", "capturable", "differentiable")


class FusedStep:
    """What optimizer and average do at a step, for those parameters for which a loop can do it.

    The optimizer keeps its state where torch has it; a parameter's first step is torch's, which makes that state.
    """

    def __init__(self, optimizer: RowWiseAdam, average: WeightAverage, crew: Crew) -> None:
        self.optimizer, self.average, self.crew = optimizer, average, crew
        self.place = {id(t): i for i, t in enumerate(average.tensors)} if average.decay else {}

    def __call__(self) -> None:
        newest = self.average.next_weight()
        work, left_out = [], []
        for group in self.optimizer.param_groups:
            usual = not any(group[name] for name in UNUSUAL) and not isinstance(group["lr"], torch.Tensor)
            for p in group["params"]:
                state = self.optimizer.state.get(p)
                is_dense = p.grad is not None and not p.grad.is_sparse and p.is_contiguous()
                if not (is_dense and usual and state and p.dtype == torch.float32):
                    continue
                work += self._pieces(p, state, group, newest)
                left_out.append(p)
        self.crew.each(lambda piece, _: updates.adam(*piece), work, FEW)
        fused = {self.place[id(p)] for p in left_out if id(p) in self.place}
        grads = [p.grad for p in left_out]
        for p in left_out:
            p.grad = None
        self.optimizer.step()
        for p, grad in zip(left_out, grads, strict=True):
            p.grad = grad
        self.average.update(without=fused)

    def _pieces(self, p: Any, state: dict[str, Any], group: dict[str, Any], newest: float) -> list[tuple[Any, ...]]:
        state["step"] += 1
        t, (beta1, beta2) = state["step"].item(), group["betas"]
        i = self.place.get(id(p))
        tensors = p.detach(), p.grad, state["exp_avg"], state["exp_avg_sq"]
        arrays = [x.contiguous().view(-1).numpy() for x in tensors]  # of these only the gradient may be copied
        average = arrays[0][:0] if i is None else self.average.others[i].view(-1).numpy()
        options = group["lr"], beta1, beta2, group["eps"], group["weight_decay"], group["decoupled_weight_decay"]
        rest = (*options, 1 - beta1**t, 1 - beta2**t, newest)
        return [(*arrays, average, s, min(s + FEW, p.numel()), *rest) for s in range(0, p.numel(), FEW)]
