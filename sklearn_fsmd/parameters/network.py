"""Parameters of the network."""

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
    """Parameters of embeddings that are learned without targets.

    Parameters
    ----------
    embedding_dim : int, default=16
        Length of an embedding vector.
    """

    embedding_dim: int = 16

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "embedding_dim": [Interval(Integral, 1, None, closed="left")],
    }


@estimator
class NetworkParameters(ValueParameters):
    """Parameters of the network.

    Parameters
    ----------
    embedding_dim : int or "auto", default="auto"
        Length of an embedding vector. "auto" is 16. It is 32 for 100,000 rows or more without ids, under the conditions
        of "auto" for `dropout`. Continued training keeps the value.
    low_order : {"fm", "fwfm", "linear"} or None, default="fm"
        Low-order terms that are added to the logits of the tasks. "fm" is a factorization machine (Eq. 2 of [FSMD]_).
        "fwfm" is a field-weighted one, which learns a weight for each pair of columns. "linear" has first-order terms
        only, separate ones for each task. None adds nothing.
    extractor : {"ple", "mmoe", "shared_bottom", "shared_embedding", "separate"}, callable or module, default="ple"
        The module that turns the embedded row into one representation per task. "shared_embedding" has an MLP per task
        on shared embeddings (ESMM). With "separate" the tasks share nothing, not even embeddings. A callable, such as
        a class of your own, is called with the number of inputs and the number of tasks. It returns a module that maps
        (B, n_inputs) to (B, K, H), or to a sequence of K tensors (B, H). If you pass a module, it is copied.
    link : {"chain", "independent"} or tuple of int or None, default="chain"
        How the targets depend on each other. With "chain" each target is a step after the previous one, and its
        probability is the product of the probabilities of the steps (Eq. 10). With "independent" they do not depend on
        each other. A tuple gives the index of the parent of each target, or None, for a tree: ``(None, 0, 0, 1)``.
    list_pooling : {"mean", "sum", "max", "attention"}, default="mean"
        How the embeddings of the values of a list are combined. "attention" is a weighted mean, similar to DIN: the
        weights depend on the category with which the list shares its embeddings (see `shared_embeddings`), for example
        the video of the row for a list of the last videos. A list that shares no embeddings is averaged then.
    fm_sharing : {"shared", "per_task"}, default="shared"
        "shared" adds the same FM logit to all tasks, as in [FSMD]_. With "per_task" each task weights the terms of the
        FM separately, as always with `logistic_regression`.
    logistic_regression : bool or "auto", default="auto"
        Whether to average the log-odds of each step, at the end of `fit`, with those of a logistic regression
        on the same columns, which ranks better than a network where data are few. Expected values are averaged
        with a linear or a Poisson regression, according to `value_loss`. With e events of a step, e / (e + 3000)
        is the expected share of the network (at least 0.1), with v known values v / (v + 10000), and validation
        rows correct it. Then the regression is fitted again, together with the validation rows that `fit` has
        set aside; not with `warm_start`, since these rows validate further training. It has a ridge penalty for
        each column, whose strength its rows determine, a smooth curve over the bins of a number, and no
        statistics of the targets. It becomes a part of the first-order terms, which each task then has by
        itself. "auto" adds it with fewer than 100,000 rows, if these have up to 10 million values in all (a
        number with bins counts as 5), with fewer than 10,000 events of a step, or with fewer than 100,000 known
        values of one of the `value_targets`. It adds none to a table with more than 5 million distinct
        categories, or with `fit_dataset` to more than 200,000 rows. Of rows with more than 10 million values in
        all, the regression of a step is fitted on a sample that has all events of a rare step. Training that
        continues has none of its own, and there is none if it starts with `partial_fit`. Cannot be combined
        with ``list_pooling="max"``.
    fm_scale : float, default=0.1
        Factor of the pairwise terms of the FM. With 1 they are those of Eq. (2).
    embedding_std : float, default=1e-4
        Standard deviation of the initial embeddings. Larger values let the network memorise rare ids.
    embedding_compression : {"hash", "quotient_remainder"} or None, default=None
        How columns with more than `max_embedding_rows` values are stored. With "hash" values share rows of the tables
        evenly; a warning says how many values share a row. With "quotient_remainder" the embedding of a value is the
        product of a shared row and a row of a second, smaller table, and no two values have the same pair of rows;
        first-order weights are shared as with "hash". Unknown and missing values never share their rows. Cannot be
        combined with `pretrain_epochs`.
    max_embedding_rows : int, default=1_000_000
        Maximum number of table rows of a column with `embedding_compression`, including the rows of unknown and
        missing values. The second table has one row per `max_embedding_rows` values.
    expert_dims : tuple of int, default=(256, 128)
        Widths of the hidden layers of each expert, or of the bottom MLPs.
    n_experts : int, default=8
        Number of experts of "mmoe".
    n_task_experts : int, default=2
        Number of experts per task in "ple".
    n_shared_experts : int, default=2
        Number of experts that all tasks share in "ple".
    n_levels : int, default=1
        Number of extraction levels in "ple"; 1 is CGC.
    gate_dims : tuple of int, default=()
        Widths of the hidden layers of the gates (Eq. 4). With none, a gate is linear.
    tower_dims : tuple of int, default=(64,)
        Widths of the hidden layers of the towers.
    dropout : float or "auto", default="auto"
        Probability, in [0, 1), of dropping a hidden unit of experts and towers in training. It is rounded to a multiple
        of 1/256. "auto" is 0.3. It is 0.1 for 100,000 rows or more if no column of categories or lists has more than
        100 known values, since there is less to memorise then; but not if training starts with `partial_fit`.
        Continued training keeps the value.
    batch_norm : bool, default=True
        Whether the hidden layers of experts and towers use batch normalisation.
    n_members : int, default=1
        Number of members of an ensemble inside the network. Each member has its own embeddings, low-order terms,
        experts, gates and towers. The predicted probability is the mean over the members. In training each row is used
        by half of the members. With four members an epoch takes about twice as long as with one, and a prediction about
        four times as long.
    bias_tower_dims : tuple of int, default=(16,)
        Widths of the hidden layers of the bias tower.
    """

    embedding_dim: int | Literal["auto"] = "auto"
    low_order: str | None = "fm"
    extractor: str | Callable[[int, int], nn.Module] | nn.Module = "ple"
    link: str | Sequence[int | None] = "chain"
    list_pooling: Literal["mean", "sum", "max", "attention"] = "mean"
    fm_sharing: Literal["shared", "per_task"] = "shared"
    logistic_regression: bool | Literal["auto"] = "auto"
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
        "embedding_dim": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "low_order": [StrOptions(LOW_ORDER.names), None],
        "extractor": [StrOptions(EXTRACTORS.names), callable],
        "link": [StrOptions({"chain", "independent"}), tuple, list],
        "logistic_regression": ["boolean", StrOptions({"auto"})],
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
