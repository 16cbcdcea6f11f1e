"""Adagrad with one number per table row, and Adam for all other weights.

Adam keeps two moments per weight, which for a table of millions of rows is twice the table. Here each row has one
number, the sum over the steps of its gradient's mean square, and its steps get shorter as that grows. Systems with
large tables train them this way [1]_.

References
----------
.. [1] M. Naumov et al., "Deep Learning Recommendation Model for Personalization and Recommendation Systems", 2019;
   "row-wise Adagrad" of FBGEMM and TorchRec.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sklearn_fsmd.training.optimizers.rowwise_adam import RowWiseAdam, RowWiseAdamW


class RowWiseAdagrad(RowWiseAdam):
    """Adam for dense gradients and row-wise Adagrad for sparse ones.

    Parameters
    ----------
    table_lr : the learning rate of row-wise Adagrad; weight decay uses that of Adam.
    """

    def __init__(self, params: Any, *, table_lr: float = 0.05, weight_decay: float = 0.0, **options: Any) -> None:
        super().__init__(params, weight_decay=weight_decay, **options)
        self.table_lr = table_lr

    def _step_rows(self, parameter: Tensor, rows: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["sum"] = torch.zeros(len(parameter), dtype=parameter.dtype, device=parameter.device)
        state["step"] += 1
        w, gradient = self._decayed(parameter[rows], rows, gradient, parameter, group)
        total = state["sum"][rows] + gradient.square().mean(dim=1)
        w.addcdiv_(gradient, total.sqrt().add_(group["eps"]).unsqueeze(1), value=-self.table_lr)
        parameter.index_copy_(0, rows, w)
        state["sum"].index_copy_(0, rows, total)


class RowWiseAdagradW(RowWiseAdagrad, RowWiseAdamW):
    """:class:`RowWiseAdagrad` with the decoupled weight decay of :class:`torch.optim.AdamW`."""
