"""The parameters: declared, documented and constrained here, and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from sklearn_fsmd.parameters.declare import estimator

OPTIMIZERS = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "adagrad": torch.optim.Adagrad,
    "sgd": torch.optim.SGD,
}


@estimator
class TableParameters:
    """What can be chosen of how a table is encoded and embedded, and where that is computed.

    Parameters
    ----------
    embedding_dim : int, default=16
        Length of an embedding.
    categorical_features : {"from_dtype", "all"}, None, array-like or callable, default="from_dtype"
        Which columns hold categories: those of category, string, object or bool dtype; all; none; or those of a
        boolean mask, indices, names or a callable that is given X. Integers are places, whatever the names.
    numeric_scaling : {"standard", "quantile"} or None, default="standard"
        How numeric columns are scaled: to mean 0 and variance 1, or to ranks among the values of fit. Values outside
        the range that fit has seen are taken for its ends.
    numeric_bins : int, default=48
        Number of bins into which numeric columns are cut, in addition; the bins have embeddings. A missing number has
        a bin of its own. With 0 there are none, and a missing number counts as the mean.
    min_frequency : int, default=2
        Categories seen less often in fit share the embedding of unknown values.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1", "mps" …; "auto" takes an accelerator where there is one.
    n_threads : int or None, default=None
        Threads of torch; None leaves them as they are.
    random_state : int, RandomState instance or None, default=None
        Source of all that is random: initial weights, the order of the rows, what is dropped or set aside.
    verbose : int, default=0
        1 shows a progress bar in fit.
    """

    embedding_dim: int = 16
    categorical_features: Any = "from_dtype"
    numeric_scaling: Literal["standard", "quantile"] | None = "standard"
    numeric_bins: int = 48
    min_frequency: int = 2
    device: str = "auto"
    n_threads: int | None = None
    random_state: Any = None
    verbose: int = 0

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "embedding_dim": [Interval(Integral, 1, None, closed="left")],
        "categorical_features": ["array-like", StrOptions({"from_dtype", "all"}), callable, None],
        "numeric_scaling": [StrOptions({"quantile", "standard"}), None],
        "numeric_bins": [Interval(Integral, 0, None, closed="left")],
        "min_frequency": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }


@estimator
class MultiTaskParameters(TableParameters):
    """What can be chosen of a :class:`~sklearn_fsmd.MultiTaskClassifier`.

    Parameters
    ----------
    low_order : {"fm", "linear"} or None, default="fm"
        Low-order terms added to the tasks' logits: a factorization machine (Eq. 2 of [FSMD]_), its first-order terms
        alone, or none.
    extractor : {"ple", "mmoe", "shared_bottom", "shared_embedding", "separate"}, callable or module, default="ple"
        What turns the embedded row into one representation a task. "shared_embedding" is an MLP a task on embeddings
        that all share (ESMM); with "separate" the tasks share nothing, embeddings included. A callable, such as a
        class of your own, is called with the number of inputs and the number of tasks and returns a module that
        maps (B, n_inputs) to (B, K, H), or to a sequence of K tensors (B, H). A module is copied.
    link : {"chain", "independent"} or tuple of int or None, default="chain"
        How the targets depend on each other. "chain": each is a step after the one before it, and its probability
        the product of the steps' (Eq. 10). A tuple gives the parent of each target for a tree: ``(None, 0, 0, 1)``.
    fm_sharing : {"shared", "per_task"}, default="shared"
        Whether all tasks get the same FM logit, as in [FSMD]_, or each weighs the FM's terms by itself.
    embedding_std : float, default=1e-4
        Standard deviation of the initial embeddings. Larger values let rare ids be memorised.
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
    dropout : float, default=0.3
        Probability, in [0, 1), with which a hidden unit of experts and towers is dropped in training.
    batch_norm : bool, default=True
        Whether hidden layers of experts and towers are batch-normalised.
    unknown_rate : float, default=0.01
        Share of the values that are hidden in training, so that the embedding of unknown values is trained.
    bias_features : array-like, callable or None, default=None
        Columns that say how an impression was shown (position, tab, …), by a boolean mask, indices, names or a
        callable. They leave the network; a small tower on them adds to the first task's logit in training, and takes
        upon itself what the place does to clicks. Predictions of that task, and of those that follow from it in the
        link, are those of an item that its place does not hold back; they need no such columns.
    bias_tower_dims : tuple of int, default=(16,)
        Widths of the hidden layers of the bias tower.
    bias_dropout : float, default=0.1
        Share of the rows whose bias features are hidden in training.
    pretrain_epochs : int, default=0
        Passes of a denoising autoencoder over the rows, those of `X_unlabeled` included, before training. The
        network starts from its embeddings, and the first layer of each expert or bottom, if `extractor` is a
        name, from the layer that read them.
    pretrain_features : array-like, callable or None, default=None
        Columns that it reads and reconstructs, by a boolean mask, indices, names or a callable; None for all.
    pretrain_noise : float, default=0.2
        Share of the values that are swapped for those of other rows, and the size of the Gaussian noise that is
        added to numbers, in standard deviations of these.
    task_weights : array-like of shape (n_tasks,) or None, default=None
        Weights of the tasks in the loss (Eqs. 7 and 11); None weighs all by 1.
    task_weighting : {"fixed", "uncertainty", "pcgrad", "gradnorm"}, default="fixed"
        How the tasks' losses become one step. "fixed" adds them up. "uncertainty" trains
        a weight a task along with the network. "pcgrad" takes out of each task's gradient what conflicts with
        another's. "gradnorm" finds weights with which the tasks train at a like pace. What they found, before it is
        multiplied by `task_weights`, is in `history_`.
    optimizer : {"adamw", "adam", "adagrad", "sgd"} or torch.optim.Optimizer class, default="adamw"
        The optimizer.
    embedding_optimizer : {"auto", "dense", "sparse"}, default="auto"
        How the tables of embeddings are trained. A "dense" step goes through all rows. A "sparse" one touches only
        those that the batch has read, the others neither move nor decay until they are read again: for tables of
        millions of rows. It exists for "adam" and "adamw"; "auto" takes it for these where a table has 2**25 weights
        or more.
    lr : float, default=2e-3
        Learning rate.
    weight_decay : float, default=0.03
        Weight decay of all weights but biases and the scales of batch norm.
    batch_size : int or "auto", default="auto"
        Rows a step; "auto" is 1024, and less for few rows: a hundredth of them, but at least 32.
    max_epochs : int, default=30
        Most passes over the data.
    early_stopping : bool or "auto", default="auto"
        Whether to stop when `validation_metric` no longer gets better. "auto" does it where `X_val` is given or X has
        at least 1000 rows. Where there is validation data, the best weights are kept, also if False.
    validation_fraction : float, default=0.1
        Share of the rows that early stopping sets aside if `X_val` is not given.
    validation : {"random", "last"}, default="random"
        Which rows are set aside: random ones, each combination of labels in proportion; or the last ones, for logs
        that are sorted by time.
    validation_metric : str, default="auto"
        What early stopping watches: "mean_auc", the mean AUC of the tasks; "loss"; or "<task>_auc", by the name of a
        task. "auto" is the mean AUC, but the loss with `bias_features`, or where validation labels are of one class.
    patience : int, default=3
        Epochs without a better validation score before stopping.
    tol : float, default=1e-4
        A validation score counts as better if it is higher by this much. The best weights are kept in any case.
    average_decay : float, default=0.995
        Decay a step of the exponential moving average of the weights, which is evaluated and kept in their place;
        0 keeps the weights themselves.
    callbacks : list of skorch callbacks or None, default=None
        Called during training.
    net_params : dict or None, default=None
        Further parameters of the skorch net, e.g. ``{"optimizer__betas": (0.9, 0.98)}``.
    precision : {"float32", "bf16"}, default="float32"
        Number format of the matrix products in training. "bf16" makes them about twice as fast where the processor has
        instructions for it (avx512_bf16, amx, CUDA from Ampere on); elsewhere it warns and takes float32. All else,
        and every prediction, is computed in float32.
    checkpoint : str, path or None, default=None
        A file that fit writes after each epoch, so that ``fit(…, resume=True)`` can go on where a fit was killed.
        It is replaced when the next one is complete, and left there in the end; a fit from the start
        removes it first. Not for the candidates of a search, which would all write the same file.
    warm_start : bool, default=False
        Whether a further call of fit goes on from the fitted weights, with the encoding learned before.
    """

    low_order: Literal["fm", "linear"] | None = "fm"
    extractor: str | Callable[[int, int], nn.Module] | nn.Module = "ple"
    link: str | Sequence[int | None] = "chain"
    fm_sharing: Literal["shared", "per_task"] = "shared"
    embedding_std: float = 1e-4
    expert_dims: Sequence[int] = (256, 128)
    n_experts: int = 8
    n_task_experts: int = 2
    n_shared_experts: int = 2
    n_levels: int = 1
    gate_dims: Sequence[int] = ()
    tower_dims: Sequence[int] = (64,)
    dropout: float = 0.3
    batch_norm: bool = True
    unknown_rate: float = 0.01
    bias_features: Any = None
    bias_tower_dims: Sequence[int] = (16,)
    bias_dropout: float = 0.1
    pretrain_epochs: int = 0
    pretrain_features: Any = None
    pretrain_noise: float = 0.2
    task_weights: Sequence[float] | None = None
    task_weighting: Literal["fixed", "uncertainty", "pcgrad", "gradnorm"] = "fixed"
    optimizer: Any = "adamw"
    embedding_optimizer: Literal["auto", "dense", "sparse"] = "auto"
    lr: float = 2e-3
    weight_decay: float = 0.03
    batch_size: int | Literal["auto"] = "auto"
    max_epochs: int = 30
    early_stopping: bool | Literal["auto"] = "auto"
    validation_fraction: float = 0.1
    validation: Literal["random", "last"] = "random"
    validation_metric: str = "auto"
    patience: int = 3
    tol: float = 1e-4
    average_decay: float = 0.995
    callbacks: Sequence[Any] | None = None
    net_params: dict[str, Any] | None = None
    precision: Literal["float32", "bf16"] = "float32"
    checkpoint: str | os.PathLike[str] | None = None
    warm_start: bool = False

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "low_order": [StrOptions({"fm", "linear"}), None],
        "extractor": [
            StrOptions({"ple", "mmoe", "shared_bottom", "shared_embedding", "separate"}),
            callable,
        ],
        "link": [StrOptions({"chain", "independent"}), tuple, list],
        "fm_sharing": [StrOptions({"shared", "per_task"})],
        "embedding_std": [Interval(Real, 0, None, closed="left")],
        "expert_dims": [tuple, list],
        "n_experts": [Interval(Integral, 1, None, closed="left")],
        "n_task_experts": [Interval(Integral, 1, None, closed="left")],
        "n_shared_experts": [Interval(Integral, 1, None, closed="left")],
        "n_levels": [Interval(Integral, 1, None, closed="left")],
        "gate_dims": [tuple, list],
        "tower_dims": [tuple, list],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "batch_norm": ["boolean"],
        "unknown_rate": [Interval(Real, 0, 1, closed="left")],
        "bias_features": ["array-like", callable, None],
        "bias_tower_dims": [tuple, list],
        "bias_dropout": [Interval(Real, 0, 1, closed="left")],
        "pretrain_epochs": [Interval(Integral, 0, None, closed="left")],
        "pretrain_features": ["array-like", callable, None],
        "pretrain_noise": [Interval(Real, 0, 1, closed="neither")],
        "task_weights": ["array-like", None],
        "task_weighting": [StrOptions({"fixed", "uncertainty", "pcgrad", "gradnorm"})],
        "optimizer": [StrOptions(set(OPTIMIZERS)), type],
        "embedding_optimizer": [StrOptions({"auto", "dense", "sparse"})],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "validation": [StrOptions({"random", "last"})],
        "validation_metric": [str],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "average_decay": [Interval(Real, 0, 1, closed="left")],
        "callbacks": ["array-like", None],
        "net_params": [dict, None],
        "precision": [StrOptions({"float32", "bf16"})],
        "checkpoint": [str, os.PathLike, None],
        "warm_start": ["boolean"],
    }
