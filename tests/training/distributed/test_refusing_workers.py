"""How a worker of a cluster handles an error, without a cluster."""

import json

import pytest
from sklearn.base import BaseEstimator
from torch import distributed

from sklearn_fsmd import ray
from sklearn_fsmd.training.distributed import LostProcessError


class Refusing(BaseEstimator):
    """A fit that ends with an error."""

    def __init__(self, error, checkpoint=None):
        self.error, self.checkpoint = error, checkpoint

    def fit_dataset(self, **fit):
        raise self.error


def test_any_worker_of_a_cluster_may_refuse(tmp_path, monkeypatch):
    """A file is missing on one machine: the worker there reports it, and the first worker loses the other one."""
    job = {"folder": str(tmp_path), "fit": {}}
    monkeypatch.setattr(distributed, "get_rank", lambda: 0)
    lost = LostProcessError("process 1 is missing")
    with pytest.raises(LostProcessError):
        ray._work(job | {"estimator": Refusing(lost)})
    monkeypatch.setattr(distributed, "get_rank", lambda: 1)
    ray._work(job | {"estimator": Refusing(FileNotFoundError("no such file"))})
    told = json.loads((tmp_path / ray.REFUSED).read_text())
    assert told == {"kind": "FileNotFoundError", "message": "no such file"}
    monkeypatch.setattr(distributed, "get_rank", lambda: 0)
    ray._work(job | {"estimator": Refusing(lost)})
