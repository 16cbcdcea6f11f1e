"""How a network is trained."""

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
"""What `validation_metric` may name besides the AUC of one task; networks that share nothing have it of each task."""
OPTIMIZERS = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "adagrad": torch.optim.Adagrad,
    "sgd": torch.optim.SGD,
}


@estimator
class OptimizationParameters:
    """What can be chosen of a step of training.

    Parameters
    ----------
    task_weights : array-like of shape (n_tasks,), or (n_tasks + n_values,) with `value_targets`, or None, default=None
        Weights of the tasks in the loss (Eqs. 7 and 11); None weighs all by 1. First come the binary targets, in the
        order of `task_names_`, then the values, in that of `value_names_`.
    task_weighting : {"fixed", "uncertainty", "pcgrad", "gradnorm"}, default="fixed"
        How the tasks' losses become one step. "fixed" adds them up. "uncertainty" trains
        a weight per task along with the network. "pcgrad" takes out of each task's gradient what conflicts with
        another's. "gradnorm" finds weights with which the tasks train at a like pace. What they found, before it is
        multiplied by `task_weights`, is in `history_`.
    chain_loss : {"entire_space", "likelihood", "both"}, default="likelihood"
        How the steps of a chain or tree are learned. "entire_space" is the paper's Eq. (11): the cross-entropy of each
        target's marginal probability, over all rows. "likelihood" is that of each step given its parent, over the rows
        where the parent has happened. "both" is the mean of the two.
    optimizer : {"adamw", "adam", "adagrad", "sgd"} or torch.optim.Optimizer class, default="adamw"
        The optimizer.
    embedding_optimizer : {"auto", "dense", "sparse", "rowwise_adagrad"}, default="auto"
        How the tables of embeddings are trained. A "dense" step goes through all rows. A "sparse" one touches only
        those that the batch has read, the others neither move nor decay until they are read again: for columns of
        many values. It exists for "adam" and "adamw"; "auto" takes it for these where a table has 2**19 weights
        or more. "rowwise_adagrad" is sparse too, and remembers one number for a row where these remember two for each
        weight; all other weights are trained by "adam" or "adamw". The embeddings of a value are one row, those of
        all tasks.
    embedding_lr : float, default=0.05
        Learning rate of "rowwise_adagrad". The steps of a row get shorter the more often it has been read.
    lr : float or "auto", default="auto"
        Learning rate. "auto" is 2e-3. With fewer than 20,000 rows, of which a fit makes few steps, it is 5e-3, and with
        fewer than 1,000 it is 1e-2, unless these are the first of :meth:`partial_fit`. Training that goes on keeps it.
    weight_decay : float or "auto", default="auto"
        Weight decay of all weights but biases and the scales of normalisations. "auto" is 0.03 with AdamW, which makes
        weights smaller by themselves, and 0 with all others, most of which add it to the gradient, as a penalty: there
        0.03 would drown what a rare value says.
    average_decay : float, default=0.995
        Decay per step of the exponential moving average of the weights, which is evaluated and kept in their place;
        0 keeps the weights themselves.
    net_params : dict or None, default=None
        Further parameters of the skorch net, e.g. ``{"optimizer__betas": (0.9, 0.98)}``.
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
    """What can be chosen of training.

    Parameters
    ----------
    negative_sampling_rate : float, default=1.0
        Share of the rows without the first event (no click) that were kept when the log was thinned at random: 0.1 if
        one in ten was kept. Predictions are corrected for it. With independent targets it must be 1.
    unknown_rate : float, default=0.01
        Share of the values that are hidden in training, so that the embedding of unknown values is trained. They
        are drawn with replacement, so of a rate r the share is 1 − exp(−r).
    bias_dropout : float, default=0.1
        Share of the rows whose bias features are hidden in training.
    pretrain_epochs : int, default=0
        Passes of a denoising autoencoder over the rows, those of `X_unlabeled` included, before training. The
        network starts from its embeddings, and the first layer of each expert or bottom, if `extractor` is a
        name, from the layer that read them.
    pretrain_noise : float, default=0.2
        Share of the values that are swapped for those of other rows, and the size of the Gaussian noise that is
        added to numbers, in standard deviations of these.
    batch_size : int or "auto", default="auto"
        Rows per step; "auto" is 1024, and less for few rows: a hundredth of them, but at least 32. With `n_members`
        above 1 it is larger, so that each member reads so many: twice as large if their number is even.
    max_epochs : int or "auto", default="auto"
        Most passes over the data. "auto" is 30; without validation data, by which training could end earlier, as many
        as make 30 steps, but from 3 to 30.
    early_stopping : bool or "auto", default="auto"
        Whether to stop when `validation_metric` no longer gets better. "auto" does it where `X_val` is given or X has
        at least 1000 rows. Where there is validation data, the best weights are kept, also if False.
    validation_fraction : float, default=0.1
        Share of the rows that early stopping sets aside if `X_val` is not given.
    validation : {"random", "last"}, default="random"
        Which rows are set aside: random ones, each combination of labels in proportion; or the last ones, for logs
        that are sorted by time.
    validation_metric : str, default="auto"
        What early stopping watches: "mean_auc", the mean AUC of the tasks; "loss"; "<task>_auc", by the name of a task;
        or "<value>_loss", by the name of a value. "auto" is the mean AUC, but the loss with `bias_features`, or where
        validation labels are of one class.
    patience : int, default=2
        Epochs without a better validation score before stopping.
    tol : float, default=1e-4
        A validation score counts as better if it is higher by this much. The best weights are kept in any case.
    callbacks : list of skorch callbacks or None, default=None
        Called during training. They are used as they are, as skorch does: what one keeps of a fit, such as a schedule
        its optimizer, is in pickles of the estimator too.
    precision : {"float32", "bf16"}, default="float32"
        Number format of the matrix products in training. "bf16" makes them about twice as fast where the processor has
        instructions for it (avx512_bf16, amx, CUDA from Ampere on); elsewhere it warns and takes float32. All else,
        and every prediction, is computed in float32.
    checkpoint : str, path or None, default=None
        A file that fit writes after each epoch, so that ``fit(…, resume=True)`` can go on where a fit was killed.
        It is replaced when the next one is complete, and left there in the end; a fit from the start
        removes it first. Not for the candidates of a search, which would all write the same file.
    checkpoint_rows : int or None, default=None
        After how many rows the `checkpoint` is written within an epoch too, where epochs are long. A fit goes on from
        there to the same bits.
    warm_start : bool, default=False
        Whether a further call of fit goes on from the fitted weights, with the vocabularies and
        bins learned before. Statistics of the targets are learned anew, unless ``new_categories="grow"``.
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
