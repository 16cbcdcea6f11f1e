"""Training on a cluster with Ray Train: workers that die are replaced, and training continues.

Needs the extra ``ray``.
"""

from __future__ import annotations

import json
import os
import pickle
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from sklearn.base import clone

from sklearn_fsmd.estimators import MultiTaskClassifier
from sklearn_fsmd.persistence import replacing
from sklearn_fsmd.training.distributed import LostProcessError
from sklearn_fsmd.training.streaming import as_given, refuse_a_choice

__all__ = ["fit_dataset"]

E = TypeVar("E", bound=MultiTaskClassifier)
REFUSALS: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in (FloatingPointError, FileNotFoundError, ImportError, TypeError, ValueError)
}
"""Errors that another try would not fix."""
SLOW_FOLDER = 10.0
"""Seconds after which a file that another machine has written is visible."""
CHECKPOINT, MODEL, REFUSED = "fit.checkpoint", "model.pickle", "refused.json"


def fit_dataset(
    estimator: E,
    source: Any,
    targets: Any,
    *,
    storage_path: str | os.PathLike[str],
    num_workers: int | tuple[int, int] = 1,
    resources_per_worker: Mapping[str, float] | None = None,
    max_failures: int = 3,
    resume: bool = False,
    sample_weight: Any = None,
    validation: Any = None,
    columns: str | Sequence[Any] | None = None,
    on_error: str = "raise",
    resize_seconds: float = 60.0,
) -> E:
    """Fit an estimator on the workers of a Ray cluster, by its ``fit_dataset`` in several processes.

    A worker that dies is replaced, and the workers continue from the last checkpoint: the end of an epoch, or within
    one with the estimator's `checkpoint_rows`. An error that another try would not fix, such as a file that is no
    Parquet file, ends the fit at once.

    Parameters
    ----------
    estimator : an estimator of this library. Its `checkpoint` must be None, and its `warm_start` False.
    source, targets : those of ``estimator.fit_dataset``: files that all machines see under the same name.
    storage_path : str or path of a folder that all machines see. The checkpoint and the model are written there.
    num_workers : int or (int, int), default=1
        Number of processes; or the smallest and the largest number, between which Ray starts as many as the cluster
        has room for.
    resources_per_worker : dict, default=None
        Resources that Ray reserves for each process, such as ``{"CPU": 4}`` or ``{"CPU": 4, "GPU": 1}``; None for one
        CPU.
    max_failures : int, default=3
        How often workers are restarted at most.
    resume : bool, default=False
        Whether to continue from the checkpoint in `storage_path`, if there is one.
    sample_weight, validation, columns, on_error : those of ``estimator.fit_dataset``.
    resize_seconds : float, default=60.0
        Interval at which Ray checks whether there is room for more workers, if their number may change.

    Returns
    -------
    estimator : the estimator itself, fitted.

    Raises
    ------
    ImportError
        If Ray is not installed.
    ValueError
        If a parameter cannot be used with workers, or the data are invalid.
    ray.train.TrainingFailedError
        If workers have failed more often than `max_failures`.

    Notes
    -----
    `Ray Train <https://docs.ray.io/en/latest/train/train.html>`_ starts the workers, which then connect to each other
    by ``torch.distributed``. If no cluster is connected, Ray starts one on this machine.

    Examples
    --------
    >>> from sklearn_fsmd import FSMDClassifier, ray
    >>> files, targets = "s3://logs/day=*/*.parquet", ["click", "conversion"]
    >>> model = ray.fit_dataset(
    ...     FSMDClassifier(), files, targets, storage_path="/shared/today", num_workers=(2, 8)
    ... )  # doctest: +SKIP
    """
    if getattr(estimator, "checkpoint", None) is not None:
        raise ValueError("The 'checkpoint' parameter must be None: the checkpoint is written to `storage_path`.")
    if getattr(estimator, "warm_start", False):
        raise ValueError("The 'warm_start' parameter must be False: workers train from the start.")
    refuse_a_choice(validation)
    train, unfitted = _ray_train(), clone(estimator)
    folder = _folder(storage_path)
    for name in (MODEL, REFUSED, *(() if resume else (CHECKPOINT,))):
        (folder / name).unlink(missing_ok=True)
    resources = dict(resources_per_worker or {"CPU": 1})
    arguments = {"sample_weight": sample_weight, "columns": as_given("columns", columns), "on_error": on_error}
    arguments |= {"source": _absolute(source), "targets": targets, "validation": _absolute(validation)}
    job = {"estimator": unfitted, "fit": arguments, "folder": str(folder)}
    trainer = train.torch.TorchTrainer(
        _work,
        train_loop_config=job,
        torch_config=train.torch.TorchConfig(backend="nccl" if resources.get("GPU") else "gloo"),
        scaling_config=train.ScalingConfig(
            num_workers=num_workers,
            resources_per_worker=resources,
            use_gpu=bool(resources.get("GPU")),
            elastic_resize_monitor_interval_s=resize_seconds,
        ),
        run_config=train.RunConfig(
            name=f"ray-{uuid.uuid4().hex[:8]}",
            storage_path=str(folder),
            failure_config=train.FailureConfig(max_failures=max_failures),
        ),
    )
    trainer.fit()
    if (folder / REFUSED).exists():
        refused = json.loads((folder / REFUSED).read_text())
        raise REFUSALS[refused["kind"]](refused["message"])
    fitted = vars(pickle.loads((folder / MODEL).read_bytes()))  # by pickle, as Ray itself returns results of workers
    parameters = estimator.get_params(deep=False)
    learned = {name: value for name, value in fitted.items() if name not in parameters}

    def take(copied: E, generator: np.random.RandomState | None) -> np.random.RandomState | None:
        copied.__dict__.update(learned)  # after a restart `_random` continues that of the checkpoint
        return None if generator is None else learned["_random"]

    return estimator._learn_atomically(take)


def _work(job: dict[str, Any]) -> None:
    """Fit in one worker."""
    import torch
    from torch import distributed as dist

    if torch.cuda.is_available():
        torch.cuda.set_device(_ray_train().torch.get_device())
    folder, is_first = Path(job["folder"]), dist.get_rank() == 0
    estimator = job["estimator"].set_params(checkpoint=str(folder / CHECKPOINT))
    try:
        estimator.fit_dataset(**job["fit"], resume=True)
    except tuple(REFUSALS.values()) as error:
        _refuse(folder, error)
        return
    except LostProcessError:
        if _is_refused(folder):  # by the process that is missing
            return
        raise
    if is_first:
        from ray import cloudpickle

        with replacing(folder / MODEL) as temporary:
            temporary.write_bytes(cloudpickle.dumps(estimator))
        (folder / REFUSED).unlink(missing_ok=True)  # of an error that another try has fixed


def _is_refused(folder: Path) -> bool:
    """Whether a worker reports an error that another try would not fix, within the time that a slow folder takes."""
    end = time.monotonic() + SLOW_FOLDER
    while not (exists := (folder / REFUSED).exists()) and time.monotonic() < end:
        time.sleep(0.1)
    return exists


def _refuse(folder: Path, error: Exception) -> None:
    """Report an error that another try would not fix."""
    kind = next(name for name, refusal in REFUSALS.items() if isinstance(error, refusal))
    with replacing(folder / REFUSED) as temporary:
        temporary.write_text(json.dumps({"kind": kind, "message": str(error)}))


def _folder(storage_path: str | os.PathLike[str]) -> Path:
    where = os.fspath(storage_path)
    if "://" in where:
        raise ValueError(f"`storage_path` must be a folder that all machines have mounted. Got the URL {where!r}.")
    folder = Path(where).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _absolute(source: Any) -> Any:
    """Files by absolute paths or URLs, since workers run in other folders."""
    if isinstance(source, (list, tuple)):
        return [_absolute(one) for one in source]
    if not isinstance(source, (str, os.PathLike)):
        return source
    where = os.fspath(source)
    return where if "://" in where or "::" in where else os.path.abspath(where)


def _ray_train() -> Any:
    try:
        import ray.train
        import ray.train.torch
    except ImportError as error:
        raise ImportError("Training on a cluster needs Ray: pip install 'sklearn-fsmd[ray]'.") from error
    return ray.train
