"""How a worker of a cluster handles an error, tested without a cluster."""

import json

import pytest
from sklearn.base import BaseEstimator
from torch import distributed

from sklearn_fsmd import ray
from sklearn_fsmd.training.distributed import LostProcessError


class FailingEstimator(BaseEstimator):
    """Its fit raises the given error."""

    def __init__(self, error, checkpoint=None):
        self.error, self.checkpoint = error, checkpoint

    def fit_dataset(self, **fit):
        raise self.error


def test_an_error_of_any_worker_is_reported(tmp_path, monkeypatch):
    """A file is missing on one machine. The worker there reports it, and the first worker only loses a process."""
    job = {"folder": str(tmp_path), "fit": {}}
    monkeypatch.setattr(distributed, "get_rank", lambda: 0)
    lost = LostProcessError("process 1 is missing")
    with pytest.raises(LostProcessError):
        ray._work(job | {"estimator": FailingEstimator(lost)})
    monkeypatch.setattr(distributed, "get_rank", lambda: 1)
    ray._work(job | {"estimator": FailingEstimator(FileNotFoundError("no such file"))})
    report = json.loads((tmp_path / ray.REFUSED).read_text())
    assert report == {"kind": "FileNotFoundError", "message": "no such file"}
    monkeypatch.setattr(distributed, "get_rank", lambda: 0)
    ray._work(job | {"estimator": FailingEstimator(lost)})
