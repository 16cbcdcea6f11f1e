"""A network as a differentiable function of its embedded inputs."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from sklearn_fsmd.encoding import InputEncoder
from sklearn_fsmd.encoding.table import Encoded
from sklearn_fsmd.network import Linear, Lists, Member, Ragged

Scale = Literal["log_odds", "probability", "value"]


class Path:
    """A function from numbers, fields and first-order terms to one prediction per row.

    The fields of vectors are no inputs, since they are computed from the numbers, and so are their first-order terms.

    Parameters
    ----------
    model : fitted MultiTaskClassifier.
    k : int, the position of the target; binary targets come first, then values.
    target : str, the name of the target.
    scale : the predicted quantity.
    conditional : whether it is that of the target given its parent, instead of the marginal.

    Attributes
    ----------
    start : inputs of the baseline, a row of which nothing is known.
    """

    def __init__(self, model: Any, k: int, target: str, scale: Scale, *, conditional: bool = False) -> None:
        self.k, self.target, self.scale, self.conditional = k, target, scale, conditional
        self.predictor, self.calibration = model._predictor, model.calibration_
        self.network = model.module_
        of_values = model._targets.of_values
        self.parents = [] if of_values is None else of_values.parents
        self.linear = [_linear_of(member) for member in self.network.members]
        self.start = self.inputs(unknown_row(model._encoder))

    @torch.no_grad()
    def inputs(self, rows: Encoded) -> tuple[Tensor, ...]:
        """Numbers ``(B, N)``, and for each member fields ``(B, F + L, S, D)`` and perhaps terms ``(B, F + L, O)``."""
        codes, numbers, *lists = rows.tensors(self.predictor.device)
        inputs = [numbers]
        for member, linear in zip(self.network.members, self.linear, strict=True):
            located = member.embedding.locate(codes, *lists)
            inputs.append(member.embedding.look_up(located, numbers))
            if linear is not None:
                inputs.append(linear.terms(located.codes, located.lists))
        return tuple(tensor.clone() for tensor in inputs)

    def __call__(self, numbers: Tensor, *fields_and_terms: Tensor) -> Tensor:
        """Predict each row, ``(B,)``, from its :meth:`inputs`."""
        remaining, embedded = iter(fields_and_terms), []
        for member, linear in zip(self.network.members, self.linear, strict=True):
            fields = next(remaining)
            terms = None if linear is None else next(remaining)
            # The first argument stands for the codes, which only the first-order terms need. These are given here.
            x = member.embedding.with_vectors(fields, numbers, fields)
            embedded.append(x._replace(first_order=terms))
        logits, outputs = self.network.split(self.network.outputs_of(embedded))
        if self.calibration is not None:
            slopes, intercepts = torch.from_numpy(self.calibration.T).to(logits)
            logits = logits * slopes + intercepts
        n_binary = logits.shape[1]
        if self.k < n_binary and self.conditional:
            return logits[:, self.k] if self.scale == "log_odds" else torch.sigmoid(logits[:, self.k])
        if self.k < n_binary:
            if self.scale == "probability":
                return self.network.link.marginals(logits)[:, self.k]
            log_yes, log_no = self.network.link.log_probs(logits)
            return (log_yes - log_no)[:, self.k]
        v = self.k - n_binary
        expected: Tensor = self.network.values(outputs)[:, v]
        parent = self.parents[v]
        return (
            expected
            if parent is None or self.conditional
            else expected * self.network.link.marginals(logits)[:, parent]
        )


def unknown_row(encoder: InputEncoder) -> Encoded:
    """Encode a row of which nothing is known: unknown categories, missing numbers and vectors, empty lists."""
    main = encoder.main
    # Of unknown categories and missing numbers. Files of earlier commits have an offset too many if there are no codes.
    codes = np.asarray(main.offsets[: len(main.cardinalities)], dtype=np.int64)[None]
    fillings = [column.filling for column in main.numeric.values()]
    numbers = np.array([[*fillings, *[0.0] * sum(main.vector_widths)]], dtype=np.float32)
    empty = Ragged(torch.zeros(0, dtype=torch.int64), torch.zeros(2, dtype=torch.int64))
    rows = Encoded(codes, numbers, lists=Lists((empty,) * len(main.lists)) if main.lists else None)
    return rows if encoder.statistics is None else encoder.statistics.append(rows)


def _linear_of(member: Member) -> Linear | None:
    """The part of a member that computes its first-order terms, or None."""
    if member.low_order is not None and member.first_order is None:
        part = type(member.low_order).__name__
        raise ValueError(f"Attributions do not support the low-order part {part}, which was registered.")
    return member.first_order
