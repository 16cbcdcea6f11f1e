"""Adam that updates only the rows of a large table that a batch has read.

A dense step goes through the whole table, its gradient and two moments, which for millions of rows takes longer than
the network. Here a row and its moments stay unchanged until the row is read again. The decoupled weight decay that it
has missed is applied then, at the present rate, unless :meth:`RowWiseAdam.catch_up` did so before the rate changed. A
penalty in the gradient counts only in steps that read the row. So a rare row moves only when it has a gradient, where
dense Adam moves it on by momentum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

DENSE_ONLY = ("amsgrad", "maximize")


class RowWiseAdam(torch.optim.Adam):
    """:class:`torch.optim.Adam` that takes row-wise steps where a gradient is sparse.

    Raises
    ------
    ValueError
        At a step by rows with an option of Adam that is not implemented for rows.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None and parameter.grad.is_sparse:
                    if option := next((name for name in DENSE_ONLY if group[name]), None):
                        raise ValueError(
                            f"optimizer__{option}=True has no effect on tables that are trained by rows. Set "
                            "embedding_optimizer='dense'."
                        )
                    gradient, parameter.grad = parameter.grad.coalesce(), None  # so that the dense step skips it
                    self._step_rows(parameter, gradient.indices()[0], gradient.values(), group)
        step: Any = torch.optim.Adam.step
        if getattr(step, "hooked", False):  # torch wraps this method too: hooks would be called twice
            step = step.__wrapped__
        return step(self, closure)

    def _step_rows(self, parameter: Tensor, rows: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["step"] += 1
        t, (beta1, beta2) = int(state["step"]), group["betas"]
        w, m, v = (tensor.index_select(0, rows) for tensor in (parameter, state["exp_avg"], state["exp_avg_sq"]))
        w, gradient = self._decayed(w, rows, gradient, parameter, group)
        m.lerp_(gradient, 1 - beta1)
        v.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        scale = v.sqrt().div_((1 - beta2**t) ** 0.5).add_(group["eps"])
        w.addcdiv_(m, scale, value=-group["lr"] / (1 - beta1**t))
        for tensor, values in ((parameter, w), (state["exp_avg"], m), (state["exp_avg_sq"], v)):
            tensor.index_copy_(0, rows, values)

    def _decayed(
        self, w: Tensor, rows: Tensor, gradient: Tensor, parameter: Tensor, group: dict[str, Any]
    ) -> tuple[Tensor, Tensor]:
        """Weights and gradients of some rows after weight decay.

        Decoupled decay changes the weights, for all steps since the rows were read; other decay changes the gradients.
        """
        state = self.state[parameter]
        t = int(state["step"])
        if "last" not in state:  # the first step by rows, or the first with decay
            if not group["weight_decay"]:
                return w, gradient
            state["last"] = torch.full((len(parameter),), t - 1, dtype=torch.int32, device=parameter.device)
        if group["decoupled_weight_decay"]:
            w *= _decay_of(t - state["last"][rows], group, w.dtype)
        elif group["weight_decay"]:
            gradient = gradient.add(w, alpha=group["weight_decay"])
        state["last"][rows] = t
        return w, gradient

    @torch.no_grad()
    def catch_up(self) -> None:
        """Apply the decay that rows have missed, before its rate changes."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if "last" not in (state := self.state.get(parameter, {})):
                    continue
                t = int(state["step"])
                if group["decoupled_weight_decay"]:
                    parameter *= _decay_of(t - state["last"], group, parameter.dtype)
                state["last"].fill_(t)


def _decay_of(n_steps: Tensor, group: dict[str, Any], dtype: torch.dtype) -> Tensor | float:
    """Factor of decoupled weight decay after so many steps, ``(n, 1)``."""
    if not group["weight_decay"]:
        return 1.0
    return (1 - group["lr"] * group["weight_decay"]) ** n_steps.to(dtype).unsqueeze(1)


class RowWiseAdamW(RowWiseAdam):
    """:class:`RowWiseAdam` with the decoupled weight decay of :class:`torch.optim.AdamW`."""

    def __init__(self, params: Any, *, weight_decay: float = 1e-2, **options: Any) -> None:
        super().__init__(params, weight_decay=weight_decay, decoupled_weight_decay=True, **options)
