"""Fits with the compiled core ("fused") and with torch, and the choice between these two ways of execution."""

import gc
import os
import pickle
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

from sklearn_fsmd import (
    ESMMClassifier,
    FSMDClassifier,
    MMoEClassifier,
    SharedBottomClassifier,
    SingleTaskClassifier,
    show_versions,
)
from sklearn_fsmd.execution import core
from sklearn_fsmd.execution.choice import VARIABLE, ByCore, ByTorch, available_way, way_to_train
from tests.conftest import SMALL, supported

MODELS = {
    "fsmd": (FSMDClassifier, {"gate_dims": (6,), "n_levels": 2}),
    "mmoe": (MMoEClassifier, {"expert_dims": (40, 24)}),
    "shared bottom": (SharedBottomClassifier, {"batch_norm": False}),
    "esmm": (ESMMClassifier, {"task_weighting": "pcgrad"}),
    "single task": (SingleTaskClassifier, {"optimizer": "sgd"}),
    "sparse": (FSMDClassifier, {"embedding_optimizer": "sparse"}),
}


@pytest.fixture
def fused(monkeypatch):
    monkeypatch.setenv(VARIABLE, "fused")


def missing():
    raise core.CoreMissingError("the package was built without a C compiler")


def test_the_compiled_core_is_available(monkeypatch):
    """A development installation has a compiler. Without this test nobody would notice that the core is missing."""
    monkeypatch.delenv(VARIABLE, raising=False)
    way, reason = available_way("cpu")
    assert way == "fused", reason


@pytest.mark.parametrize("case", MODELS)
def test_both_ways_train_similar_models(case, frame, monkeypatch):
    cls, params = MODELS[case]
    model = cls(**{**supported(cls, SMALL), "dropout": 0.0, **params})
    results = []
    for name in ("fused", "torch"):
        monkeypatch.setenv(VARIABLE, name)
        model.fit(*frame)
        results.append((model.predict_marginals(frame[0]), [epoch["train_loss"] for epoch in model.history_]))
    (marginals, losses), (expected, expected_losses) = results
    np.testing.assert_allclose(marginals, expected, atol=2e-3)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-3)


def test_both_ways_predict_the_same_except_for_rounding(frame, monkeypatch, fused):
    model = FSMDClassifier(**SMALL).fit(*frame)
    rows = np.tile(np.arange(len(frame[0])), 2**13 // len(frame[0]) + 1)
    by_core = model.predict_marginals(frame[0].iloc[rows])
    monkeypatch.setenv(VARIABLE, "torch")
    np.testing.assert_array_equal(model.predict_marginals(frame[0].iloc[rows]), by_core)  # chosen once per model
    by_torch = pickle.loads(pickle.dumps(model)).predict_marginals(frame[0].iloc[rows])
    assert not np.array_equal(by_core, by_torch)
    np.testing.assert_allclose(by_core, by_torch, atol=1e-6)


def test_resuming_with_another_way_of_execution_is_refused(frame, tmp_path, monkeypatch, fused):
    model = FSMDClassifier(**SMALL, checkpoint=tmp_path / "fit.safetensors").fit(*frame)
    monkeypatch.setenv(VARIABLE, "torch")
    with pytest.raises(ValueError, match="with execution 'fused', whose last bits .* Set SKLEARN_FSMD_EXECUTION=fused"):
        model.fit(*frame, resume=True)


def test_threads_end_after_the_fit(frame, fused):
    def pools():
        return [thread.name for thread in threading.enumerate() if "ThreadPool" in thread.name]

    before = pools()
    FSMDClassifier(**SMALL, n_threads=3, pretrain_epochs=1).fit(*frame)
    assert pools() == before


def shown_versions(capsys):
    show_versions()
    return dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())


def test_show_versions_prints_versions_device_and_execution(capsys, monkeypatch):
    import torch

    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(torch, "__version__", "2.99+build")
    lines = shown_versions(capsys)
    assert lines["torch"] == "2.99+build"
    assert lines["device"] == "cpu" or torch.cuda.is_available() or torch.backends.mps.is_available()
    assert lines["execution"].startswith("fused (compiled core for ")
    monkeypatch.setenv(VARIABLE, "torch")
    assert shown_versions(capsys)["execution"] == "torch (set by SKLEARN_FSMD_EXECUTION)"
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr(core, "load", missing)
    assert shown_versions(capsys)["execution"] == "torch (the package was built without a C compiler)"


def test_the_environment_variable_sets_the_execution(monkeypatch, frame):
    monkeypatch.setenv(VARIABLE, "torch")
    assert type(way_to_train("cpu", None)) is ByTorch
    by_torch = FSMDClassifier(**SMALL).fit(*frame).predict_marginals(frame[0])
    monkeypatch.setenv(VARIABLE, "fused")
    way = way_to_train("cpu", None)
    assert type(way) is ByCore
    way.crew.close()
    with pytest.raises(ValueError, match="is not available: the device is 'cuda'"):
        way_to_train("cuda", None)
    monkeypatch.setattr(core, "load", missing)
    with pytest.raises(ValueError, match="FSMD_EXECUTION=fused is not available: the package was built without"):
        FSMDClassifier(**SMALL).fit(*frame)
    monkeypatch.delenv(VARIABLE)
    np.testing.assert_array_equal(FSMDClassifier(**SMALL).fit(*frame).predict_marginals(frame[0]), by_torch)
    monkeypatch.setenv(VARIABLE, "fast")
    with pytest.raises(ValueError, match="must be 'torch' or 'fused'. Got 'fast'"):
        FSMDClassifier(**SMALL).fit(*frame)


@pytest.mark.parametrize(("capability", "level"), [("avx2", "avx2"), ("default", "any")])
def test_a_processor_without_avx512_uses_a_core_for_its_level(capability, level):
    """Limiting the instruction level of torch limits the core too. Results are equal except for rounding."""
    code = """
import numpy as np
from sklearn_fsmd import FSMDClassifier, show_versions
from tests.conftest import SMALL, make_frame
show_versions()
X, Y = make_frame()
print(*FSMDClassifier(**SMALL, dropout=0.0).fit(X, Y).predict_marginals(X)[:, 0].tolist())
"""
    results = []
    for environment in ({}, {"ATEN_CPU_CAPABILITY": capability}):
        environment = {**os.environ, VARIABLE: "fused", **environment}
        run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        *versions, numbers = run.stdout.splitlines()
        results.append(np.array(numbers.split(), dtype=float))
    assert f"execution: fused (compiled core for {level}" in "\n".join(versions)
    np.testing.assert_allclose(*results, atol=2e-3)


def test_the_net_of_an_earlier_fit_is_freed_at_once(frame):
    """A net in a reference cycle would wait for the garbage collector, and a long process would grow."""
    model = FSMDClassifier(**SMALL).fit(*frame)
    gc.collect()
    gc.disable()
    try:
        references = weakref.ref(model.net_), weakref.ref(model.module_)
        model.fit(*frame)
        assert [reference() for reference in references] == [None, None]
    finally:
        gc.enable()
