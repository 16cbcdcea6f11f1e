"""Parameters of training."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_fsmd.parameters.declare import estimator

OF_ALL_TASKS = ("auto", "mean_auc", "loss")
"""Values of `validation_metric` that concern all tasks. Tasks that share nothing are validated separately by them."""
OPTIMIZERS = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "adagrad": torch.optim.Adagrad,
    "sgd": torch.optim.SGD,
}


@estimator
class OptimizationParameters:
    """Parameters of a step of training.

    Parameters
    ----------
    task_weights : array-like of shape (n_tasks,), or (n_tasks + n_values,) with `value_targets`, or None, default=None
        Weights of the tasks in the loss (Eqs. 7 and 11); with None all weights are 1. The binary targets come first, in
        the order of `task_names_`, then the value targets, in the order of `value_names_`. A task with weight 0 does
        not count in the mean AUC of early stopping either.
    task_weighting : {"fixed", "uncertainty", "pcgrad", "gradnorm"}, default="fixed"
        How the losses of the tasks are combined. "fixed" adds them. "uncertainty" learns a weight per task together
        with the network. "pcgrad" removes from the gradient of each task the part that conflicts with the gradient of
        another task. "gradnorm" finds weights with which the tasks train at a similar rate. `history_` contains the
        weights that were found, before they are multiplied by `task_weights`.
    chain_loss : {"entire_space", "likelihood", "both"}, default="likelihood"
        The loss of the steps of a chain or tree. "entire_space" is Eq. (11) of the paper: the cross-entropy of the
        marginal probability of each target, over all rows. "likelihood" is the cross-entropy of each step given its
        parent, over the rows in which the parent has happened. "both" is the mean of the two. If no target follows
        another one, any other value than the default is an error.
    optimizer : {"adamw", "adam", "adagrad", "sgd"} or torch.optim.Optimizer class, default="adamw"
        The optimizer. Its other options, such as betas, are set by `net_params`.
    embedding_optimizer : {"auto", "dense", "sparse", "rowwise_adagrad"}, default="auto"
        How the embedding tables are updated. A "dense" step updates all rows. A "sparse" step updates only the rows
        that occur in the batch; the other rows neither change nor decay until they occur again. It is meant for columns
        with many values, and works with "adam" and "adamw". "auto" is "sparse" for these two optimizers if a table has
        2**19 weights or more, else "dense". "rowwise_adagrad" is sparse too, but it stores one number per row where the
        others store two per weight; all other weights are trained by "adam" or "adamw". The embeddings of a value for
        all tasks are one row.
    embedding_lr : float, default=0.05
        Learning rate of "rowwise_adagrad". The steps of a row become shorter the more often the row occurs.
    lr : float or "auto", default="auto"
        Learning rate. "auto" is 2e-3. It is 5e-3 for fewer than 20,000 rows, since a fit on them has few steps, and
        1e-2 for fewer than 1,000; but not if training starts with `partial_fit`. Continued training keeps the value.
    weight_decay : float or "auto", default="auto"
        Weight decay of all weights except biases and the scales of normalisations. "auto" is 0.03 with AdamW, whose
        decay is separate from the gradient. It is 0 with all other optimizers: most of them add it to the gradient as
        an L2 penalty, where 0.03 would drown out the signal of rare values.
    average_decay : float, default=0.995
        Decay per step of the exponential moving average of the weights. Validation and the fitted model use this
        average; with 0 they use the weights themselves.
    net_params : dict or None, default=None
        Other parameters of the skorch net, e.g. ``{"optimizer__betas": (0.9, 0.98)}``.
    """

    task_weights: Sequence[float] | np.ndarray | None = None
    task_weighting: Literal["fixed", "uncertainty", "pcgrad", "gradnorm"] = "fixed"
    chain_loss: Literal["entire_space", "likelihood", "both"] = "likelihood"
    optimizer: Any = "adamw"
    embedding_optimizer: Literal["auto", "dense", "sparse", "rowwise_adagrad"] = "auto"
    embedding_lr: float = 0.05
    lr: float | Literal["auto"] = "auto"
    weight_decay: float | Literal["auto"] = "auto"
    average_decay: float = 0.995
    net_params: dict[str, Any] | None = None

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "task_weights": ["array-like", None],
        "optimizer": [StrOptions(set(OPTIMIZERS)), type],
        "embedding_lr": [Interval(Real, 0, None, closed="neither")],
        "lr": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "weight_decay": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "average_decay": [Interval(Real, 0, 1, closed="left")],
        "net_params": [dict, None],
    }


@estimator
class TrainingParameters(OptimizationParameters):
    """Parameters of the course of training.

    Parameters
    ----------
    negative_sampling_rate : float, default=1.0
        Share of the rows without the first event (no click) that were kept when the negatives of the log were randomly
        downsampled: 0.1 if one in ten was kept. Predictions are corrected for it. With independent targets it must
        be 1.
    unknown_rate : float, default=0.01
        Share of the values that are masked in training, so that the embedding of unknown values is learned. They are
        drawn with replacement, so a rate r masks a share of 1 − exp(−r).
    bias_dropout : float, default=0.1
        Share of the rows whose bias features are masked in training.
    pretrain_epochs : int, default=0
        Epochs of a denoising autoencoder over the rows, including those of `X_unlabeled`, before training. The network
        starts from the embeddings of the autoencoder. If `extractor` is a name, the first layer of each expert or
        bottom MLP also starts from the first layer of the autoencoder.
    pretrain_noise : float, default=0.2
        Share of the values that are replaced by values of other rows in pretraining. It is also the size of the
        Gaussian noise that is added to numbers, in standard deviations of the column.
    batch_size : int or "auto", default="auto"
        Rows per step. "auto" is 1024. With few rows it is a hundredth of their number, but at least 32. With
        `n_members` above 1 it is larger, so that each member still trains on that many rows: twice as large for an even
        number of members.
    max_epochs : int or "auto", default="auto"
        Maximum number of epochs. "auto" is 30. Without validation data, by which training could stop earlier, it is the
        number of epochs that gives about 30 steps, but at least 3 and at most 30.
    early_stopping : bool or "auto", default="auto"
        Whether to stop when `validation_metric` no longer improves. "auto" stops early if `X_val` is given or X has at
        least 1000 rows. If there is validation data, the best weights are kept, even with False.
    validation_fraction : float, default=0.1
        Share of the rows that early stopping sets aside if `X_val` is not given.
    validation : {"random", "last"}, default="random"
        Which rows are set aside. "random" draws them, stratified by the combinations of labels. "last" takes the last
        rows, for logs that are sorted by time.
    validation_metric : str, default="auto"
        The metric of early stopping: "mean_auc", the mean AUC of the tasks; "loss"; "<task>_auc", with the name of a
        task; "<task>_given_<step>_auc", such as "conversion_given_click_auc", on the rows in which the step before has
        happened; or "<value>_loss", with the name of a value target. "auto" is "mean_auc". It is "loss" with
        `bias_features`; if a task is rare, with fewer than 100 labels of one class among 1,000 or more validation rows;
        or if no task has validation labels of both classes.
    patience : int, default=2
        Number of epochs without a better validation score after which training stops.
    tol : float, default=1e-4
        Minimum improvement of the validation score that counts as better. It has no effect on which weights are kept:
        these are always the best ones.
    callbacks : list of skorch callbacks or None, default=None
        Callbacks that are called during training. They are not copied, as in skorch. So a pickle of the estimator also
        contains what a callback keeps after fit, such as the optimizer in a learning rate scheduler.
    precision : {"float32", "bf16"}, default="float32"
        Number format of the matrix products in training. "bf16" makes them about twice as fast if the hardware has
        instructions for bfloat16 (avx512_bf16, amx, CUDA from Ampere on); otherwise it warns and uses float32.
        Everything else, including every prediction, is computed in float32.
    checkpoint : str, path or None, default=None
        A file that `fit` writes after each epoch, so that ``fit(…, resume=True)`` can resume an interrupted fit. It is
        replaced atomically by the next one, and kept at the end of training. A fit from the beginning deletes it
        first. Do not use it for the candidates of a search, which would all write the same file.
    checkpoint_rows : int or None, default=None
        Number of rows after which the `checkpoint` is also written within an epoch, for long epochs. A resumed fit
        ends with the same weights to the last bit.
    warm_start : bool, default=False
        Whether another call of `fit` continues from the fitted weights, with the vocabularies and bins of the first
        call. Target statistics are computed again from the new rows, unless ``new_categories="grow"``.
    """

    negative_sampling_rate: float = 1.0
    unknown_rate: float = 0.01
    bias_dropout: float = 0.1
    pretrain_epochs: int = 0
    pretrain_noise: float = 0.2
    batch_size: int | Literal["auto"] = "auto"
    max_epochs: int | Literal["auto"] = "auto"
    early_stopping: bool | Literal["auto"] = "auto"
    validation_fraction: float = 0.1
    validation: Literal["random", "last"] = "random"
    validation_metric: str = "auto"
    patience: int = 2
    tol: float = 1e-4
    callbacks: Sequence[Any] | None = None
    precision: Literal["float32", "bf16"] = "float32"
    checkpoint: str | os.PathLike[str] | None = None
    checkpoint_rows: int | None = None
    warm_start: bool = False

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "negative_sampling_rate": [Interval(Real, 0, 1, closed="right")],
        "unknown_rate": [Interval(Real, 0, 1, closed="left")],
        "bias_dropout": [Interval(Real, 0, 1, closed="left")],
        "pretrain_epochs": [Interval(Integral, 0, None, closed="left")],
        "pretrain_noise": [Interval(Real, 0, 1, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "validation_metric": [str],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "callbacks": ["array-like", None],
        "checkpoint": [str, os.PathLike, None],
        "checkpoint_rows": [Interval(Integral, 1, None, closed="left"), None],
        "warm_start": ["boolean"],
    }
