"""The low-order part: first-order terms (the wide model), the FM of Eq. (2), and a field-weighted FM.

References
----------
.. [FwFM] J. Pan et al., "Field-weighted Factorization Machines for Click-Through Rate Prediction in Display
   Advertising", WWW 2018.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from sklearn_fsmd.network.embedding import Columns, Embedded, Table, embedding_dim_of, pooling_without_candidate
from sklearn_fsmd.network.ragged import Lists
from sklearn_fsmd.parameters import LOW_ORDER, NetworkParameters

FMSharing = Literal["shared", "per_task"]
STD = 1e-4
"""Standard deviation of the initial weights."""


class Linear(nn.Module):
    """First-order terms ⟨w, x⟩: one weight per value of a category and per number, for each of `n_outputs`.

    The numbers are the numeric columns and the components of vectors. The weights of the values of a list are pooled
    like their embeddings.

    **Shape**: :class:`Embedded` → ``(B, n_outputs)``.
    """

    def __init__(self, n_rows: int, n_numbers: int, n_outputs: int, *, pooling: str = "mean") -> None:
        super().__init__()
        self.pooling = pooling_without_candidate(pooling)
        self.categories = Table(n_rows, n_outputs)
        self.numbers = nn.Parameter(torch.zeros(n_numbers, n_outputs))
        nn.init.normal_(self.categories.weight, std=STD)

    def forward(self, x: Embedded) -> Tensor:
        if self.training and self.numbers.shape[1] == 1:
            # The gradient of a product with one column would be summed in one part per thread, so its bits would vary.
            numbers = (x.numbers * self.numbers.t()).sum(dim=1, keepdim=True)
        else:
            numbers = x.numbers @ self.numbers
        if x.first_order is not None:
            return x.first_order.sum(dim=1) + numbers
        first_order = self.categories(x.codes).sum(dim=1) + numbers
        for column in x.lists or ():
            first_order = first_order + self.categories.pooled(column, self.pooling)
        return first_order

    def terms(self, codes: Tensor, lists: Lists | None = None) -> Tensor:
        """The terms of each code and each list, ``(B, F + L, n_outputs)``."""
        list_terms = [self.categories.pooled(column, self.pooling).unsqueeze(1) for column in lists or ()]
        return torch.cat((self.categories(codes), *list_terms), dim=1)


class FM(nn.Module):
    """Factorization machine, Eq. (2), over embedded categories and numeric columns.

    For a category `V_i` is its row of the embedding table and `x_i` is 1. For a numeric column `V_i` is a learned
    vector and `x_i` is the scaled number. A column of vectors is like a category whose `V_i` is the mapped vector.
    With ``sharing="shared"`` every task gets the same logit, as in Eq. (1). With "per_task" each task has separate
    first-order weights, and a weight for each of the `D` dimensions over which the pairwise products are summed.
    If there are several sets of embeddings, there is one FM per set.

    The pairwise terms are multiplied by `scale`, as if the embeddings were multiplied by √scale for the FM. The terms
    are quadratic, so those of the averaged weights differ from their average over the steps. This difference grows with
    `scale`: predictions become too low, and rank less well.

    **Shape**: :class:`Embedded` → ``(B, 1)`` or ``(B, K)``, to be added to the tasks' logits.
    """

    def __init__(
        self,
        columns: Columns,
        n_tasks: int,
        dim: int,
        *,
        n_sets: int = 1,
        sharing: FMSharing = "shared",
        scale: float = 1.0,
        pooling: str = "mean",
    ) -> None:
        super().__init__()
        self.scale = scale
        per_task = sharing == "per_task"
        n_outputs = n_tasks if per_task or n_sets > 1 else 1
        self.linear = Linear(columns.n_rows, columns.n_numbers, n_outputs, pooling=pooling)
        self.vectors = nn.Parameter(torch.empty(columns.n_numeric, n_sets, dim))  # the V_i of the numeric columns
        self.weights = nn.Parameter(torch.ones(n_tasks, dim)) if per_task else None
        nn.init.normal_(self.vectors, std=STD)

    def forward(self, x: Embedded) -> Tensor:
        pairs = self.pairwise(x)  # (B, S, D)
        if self.weights is not None:
            pairs = pairs * self.weights
        return self.linear(x) + pairs.sum(dim=2)

    def pairwise(self, x: Embedded) -> Tensor:
        """Scale · Σ_{i<j} V_i ∘ V_j x_i x_j, before the sum over dimensions, by ½[(Σv)² − Σv²]."""
        vectors = self.vectors.flatten(1)
        # One batched product, of which two threads compute one matrix each: a matrix that they share has other bits.
        left, right = torch.stack((x.scalars, x.scalars.square())), torch.stack((vectors, vectors.square()))
        numeric_sums, numeric_squares = torch.bmm(left, right)
        sums = x.fields.sum(dim=1).flatten(1) + numeric_sums
        squares = x.fields.square().sum(dim=1).flatten(1) + numeric_squares
        return (0.5 * self.scale * (sums.square() - squares)).unflatten(1, self.vectors.shape[1:])


class FieldWeightedFM(FM):
    """An FM with a weight for each pair of fields, [FwFM]_: Σ_{i<j} r_{ij} ⟨V_i, V_j⟩ x_i x_j.

    So informative pairs, such as user and author, count more than other pairs. The weights `r` start at 1; the
    parameter is their difference from 1.

    **Shape**: as in :class:`FM`.
    """

    places: Tensor

    def __init__(self, columns: Columns, n_tasks: int, dim: int, **options: Any) -> None:
        super().__init__(columns, n_tasks, dim, **options)
        n, n_sets = columns.n_fields + columns.n_numeric, self.vectors.shape[1]
        self.pair_weights = nn.Parameter(torch.zeros(n_sets, n * (n - 1) // 2))
        self.register_buffer("places", torch.triu_indices(n, n, offset=1), persistent=False)

    def pairwise(self, x: Embedded) -> Tensor:
        """Scale · Σ_{i<j} r_{ij} V_i ∘ V_j x_i x_j, before the sum over dimensions."""
        numeric = x.scalars[:, :, None, None] * self.vectors
        fields = torch.cat((x.fields, numeric), dim=1).transpose(1, 2)  # (B, S, n, D)
        first, second = self.places
        r = self.pair_weights.new_zeros(fields.shape[1], fields.shape[2], fields.shape[2])
        r[:, first, second] = 1 + self.pair_weights
        return self.scale * (fields * (r @ fields)).sum(dim=2)


@LOW_ORDER.register("linear", reads=("logistic_regression",))
def _linear(p: NetworkParameters, columns: Columns, n_tasks: int, n_sets: int) -> Linear:
    return Linear(columns.n_rows, columns.n_numbers, n_tasks, pooling=p.list_pooling)


@LOW_ORDER.register("fm", reads=("fm_sharing", "fm_scale", "logistic_regression"))
def _fm(p: NetworkParameters, columns: Columns, n_tasks: int, n_sets: int, cls: type[FM] = FM) -> FM:
    # Regressions differ by task, and so does an FM that is averaged with them. A fit replaces "auto" by True or False.
    sharing = "per_task" if p.logistic_regression is True else p.fm_sharing
    options: dict[str, Any] = {"sharing": sharing, "scale": p.fm_scale, "pooling": p.list_pooling}
    return cls(columns, n_tasks, embedding_dim_of(p), n_sets=n_sets, **options)


@LOW_ORDER.register("fwfm", reads=("fm_sharing", "fm_scale", "logistic_regression"))
def _fwfm(p: NetworkParameters, columns: Columns, n_tasks: int, n_sets: int) -> FM:
    return _fm(p, columns, n_tasks, n_sets, FieldWeightedFM)
