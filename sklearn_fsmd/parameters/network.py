"""What a network is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from sklearn_fsmd.parameters.declare import estimator
from sklearn_fsmd.parameters.registry import EXTRACTORS, LOW_ORDER
from sklearn_fsmd.parameters.values import ValueParameters


@estimator
class EmbeddingParameters:
    """What can be chosen of embeddings.

    Parameters
    ----------
    embedding_dim : int, default=16
        Length of an embedding.
    """

    embedding_dim: int = 16

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "embedding_dim": [Interval(Integral, 1, None, closed="left")],
    }


@estimator
class NetworkParameters(ValueParameters, EmbeddingParameters):
    """What can be chosen of the network.

    Parameters
    ----------
    low_order : {"fm", "fwfm", "linear"} or None, default="fm"
        Low-order terms added to the tasks' logits: a factorization machine (Eq. 2 of [FSMD]_), one that learns how much
        each pair of columns counts, first-order terms alone, of each task its own, or none.
    extractor : {"ple", "mmoe", "shared_bottom", "shared_embedding", "separate"}, callable or module, default="ple"
        What turns the embedded row into one representation per task. "shared_embedding" is an MLP per task on
        embeddings that all share (ESMM); with "separate" the tasks share nothing, embeddings included. A callable, such
        as a class of your own, is called with the number of inputs and the number of tasks and returns a module that
        maps (B, n_inputs) to (B, K, H), or to a sequence of K tensors (B, H). A module is copied.
    link : {"chain", "independent"} or tuple of int or None, default="chain"
        How the targets depend on each other. "chain": each is a step after the one before it, and its probability
        the product of the steps' (Eq. 10). A tuple gives the parent of each target for a tree: ``(None, 0, 0, 1)``.
    list_pooling : {"mean", "sum", "max", "attention"}, default="mean"
        What is made of the embeddings of a list's values. By "attention" a list is read in the light of the category
        with which it shares its embeddings (see `shared_embeddings`): the last videos in that of the video at hand, as
        in DIN. A list that shares none is averaged then.
    fm_sharing : {"shared", "per_task"}, default="shared"
        Whether all tasks get the same FM logit, as in [FSMD]_, or each weighs the FM's terms by itself.
    fm_scale : float, default=0.1
        Factor of the FM's pairwise terms; 1 is Eq. (2) on the embeddings as they are.
    embedding_std : float, default=1e-4
        Standard deviation of the initial embeddings. Larger values let rare ids be memorised.
    embedding_compression : {"hash", "quotient_remainder"} or None, default=None
        What is done with columns of more than `max_embedding_rows` values. With "hash" values share rows of the tables,
        evenly; a warning says how many share one. With "quotient_remainder" a value's embedding is the product of a
        shared row and of one in a second, smaller table, and no two values have the same pair; first-order weights are
        shared as with "hash". The row of unknown values is not shared. Not with `pretrain_epochs`.
    max_embedding_rows : int, default=1_000_000
        Most rows of a table that a category has with `embedding_compression`, that of unknown values included. The
        second table has a row for each `max_embedding_rows` values.
    expert_dims : tuple of int, default=(256, 128)
        Widths of the layers of each expert, or of the bottom.
    n_experts : int, default=8
        Number of experts of "mmoe".
    n_task_experts : int, default=2
        Number of experts of each task in "ple".
    n_shared_experts : int, default=2
        Number of experts that the tasks share in "ple".
    n_levels : int, default=1
        Number of extraction levels of "ple"; 1 is CGC.
    gate_dims : tuple of int, default=()
        Widths of the hidden layers of the gates (Eq. 4). Without any, a gate is linear.
    tower_dims : tuple of int, default=(64,)
        Widths of the hidden layers of the towers.
    dropout : float or "auto", default="auto"
        Probability, in [0, 1), with which a hidden unit of experts and towers is dropped in training. It is rounded
        to a multiple of 1/256. "auto" is 0.3. It is 0.1 with 100,000 rows or more of which no column of categories or
        lists has more than 100 known values, so that there is less to learn by heart, unless these are the first of
        ``partial_fit``. Training that goes on keeps it.
    batch_norm : bool, default=True
        Whether hidden layers of experts and towers are batch-normalised.
    n_members : int, default=1
        Number of members of an ensemble inside the network. Each has embeddings, low-order terms, experts, gates and
        towers of its own; their probabilities are averaged. In training a row is shown to half of them: with four an
        epoch takes about twice as long as with one, and a prediction about four times as long.
    bias_tower_dims : tuple of int, default=(16,)
        Widths of the hidden layers of the bias tower.
    """

    low_order: str | None = "fm"
    extractor: str | Callable[[int, int], nn.Module] | nn.Module = "ple"
    link: str | Sequence[int | None] = "chain"
    list_pooling: Literal["mean", "sum", "max", "attention"] = "mean"
    fm_sharing: Literal["shared", "per_task"] = "shared"
    fm_scale: float = 0.1
    embedding_std: float = 1e-4
    embedding_compression: Literal["hash", "quotient_remainder"] | None = None
    max_embedding_rows: int = 1_000_000
    expert_dims: Sequence[int] = (256, 128)
    n_experts: int = 8
    n_task_experts: int = 2
    n_shared_experts: int = 2
    n_levels: int = 1
    gate_dims: Sequence[int] = ()
    tower_dims: Sequence[int] = (64,)
    dropout: float | Literal["auto"] = "auto"
    batch_norm: bool = True
    n_members: int = 1
    bias_tower_dims: Sequence[int] = (16,)

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "low_order": [StrOptions(LOW_ORDER.names), None],
        "extractor": [StrOptions(EXTRACTORS.names), callable],
        "link": [StrOptions({"chain", "independent"}), tuple, list],
        "fm_scale": [Interval(Real, 0, None, closed="left")],
        "embedding_std": [Interval(Real, 0, None, closed="left")],
        "max_embedding_rows": [Interval(Integral, 2, None, closed="left")],
        "expert_dims": [tuple, list],
        "n_experts": [Interval(Integral, 1, None, closed="left")],
        "n_task_experts": [Interval(Integral, 1, None, closed="left")],
        "n_shared_experts": [Interval(Integral, 1, None, closed="left")],
        "n_levels": [Interval(Integral, 1, None, closed="left")],
        "gate_dims": [tuple, list],
        "tower_dims": [tuple, list],
        "dropout": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
        "batch_norm": ["boolean"],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "bias_tower_dims": [tuple, list],
    }
