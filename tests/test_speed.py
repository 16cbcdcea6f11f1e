"""The speed benchmark runs on few rows; its results are not tested."""

import pytest

from benchmarks.speed import growth, run
from benchmarks.speed.growth import Case
from sklearn_fsmd.encoding.table import FeatureEncoder
from sklearn_fsmd.training import Net

FEW = {"expert_dims": (8,), "tower_dims": (4,)}


def test_encoding_is_timed():
    found = run.encode(n=200, rounds=2)
    assert found.keys() == {"fit_transform_s", "transform_s"}
    assert min(found.values()) > 0


@pytest.mark.parametrize("params", [{}, {"task_weighting": "pcgrad"}, {"n_tasks": 4}])
def test_steps_are_timed(params):
    assert Case(9000, **FEW, **params).steps()["step_ms"] > 0


def test_steps_are_timed_with_a_larger_embedding_table():
    before = Net.train_step, FeatureEncoder.fit_encode
    found = Case(5000, batch_size=1024, **FEW).steps(100_000)
    assert found["table_rows"] == 100_000
    assert before == (Net.train_step, FeatureEncoder.fit_encode)


def test_memory_is_measured_in_a_separate_process():
    found = growth.alone(5000, {"batch_size": 1024, **FEW}, Case.steps, 100_000)
    assert found["peak_bytes"] > 2 * found["parameter_bytes"]  # the weights and the moments of their optimizer


def test_whole_fits_are_timed(monkeypatch):
    monkeypatch.setattr(growth, "TIMED_ROWS", 10_000)
    found = Case(5000, **FEW).fit()
    assert found["seconds"] > 0
    assert found["encoded_bytes"] == 5000 * 40 * 4
