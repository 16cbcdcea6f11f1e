"""Fits with compiled loops, and without them."""

import gc
import os
import platform
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

from sklearn_fsmd import ESMMClassifier, FSMDClassifier, MMoEClassifier, SharedBottomClassifier, SingleTaskClassifier
from sklearn_fsmd.execution import loops
from tests.conftest import SMALL

needs_loops = pytest.mark.skipif(not loops.available(), reason="numba is not there, or may not compile")
WAYS = {
    "fsmd": (FSMDClassifier, {"gate_dims": (6,), "n_levels": 2}),
    "mmoe": (MMoEClassifier, {"expert_dims": (40, 24)}),
    "shared bottom": (SharedBottomClassifier, {"batch_norm": False}),
    "esmm": (ESMMClassifier, {"task_weighting": "pcgrad"}),
    "nothing shared": (SingleTaskClassifier, {"optimizer": "sgd"}),
    "by rows": (FSMDClassifier, {"embedding_optimizer": "sparse"}),
}


def test_they_are_there_where_numba_is():
    """Else the tests above and below would be left out in silence."""
    numba = pytest.importorskip("numba")
    if numba.config.DISABLE_JIT or platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("numba is told not to compile, or the processor is another")
    assert loops.available()


def without_loops(patch):
    patch.setattr(loops, "available", lambda: False)


@needs_loops
@pytest.mark.parametrize("way", WAYS)
def test_they_train_as_torch_does(way, frame, monkeypatch):
    cls, params = WAYS[way]
    model = cls(**{**SMALL, "dropout": 0.0, **params})
    by_loops = model.fit(*frame).predict_marginals(frame[0])
    losses = [epoch["train_loss"] for epoch in model.history_]
    without_loops(monkeypatch)
    np.testing.assert_allclose(model.fit(*frame).predict_marginals(frame[0]), by_loops, atol=2e-3)
    np.testing.assert_allclose([epoch["train_loss"] for epoch in model.history_], losses, rtol=1e-3)


@needs_loops
def test_they_predict_as_torch_does(frame, monkeypatch):
    model = FSMDClassifier(**SMALL).fit(*frame)
    rows = np.tile(np.arange(len(frame[0])), 2**16 // len(frame[0]) + 1)
    by_loops = model.predict_marginals(frame[0].iloc[rows])
    without_loops(monkeypatch)
    by_torch = model.predict_marginals(frame[0].iloc[rows])
    assert not np.array_equal(by_loops, by_torch)
    np.testing.assert_allclose(by_loops, by_torch, atol=1e-6)


@needs_loops
def test_a_fit_is_resumed_in_the_way_in_which_it_began(frame, tmp_path, monkeypatch):
    model = FSMDClassifier(**SMALL, checkpoint=tmp_path / "fit.safetensors").fit(*frame)
    without_loops(monkeypatch)
    with pytest.raises(ValueError, match="with compiled loops, whose last bits are others. Let numba compile"):
        model.fit(*frame, resume=True)


@needs_loops
def test_threads_end_with_the_fit(frame):
    before = threading.active_count()
    FSMDClassifier(**SMALL, n_threads=3).fit(*frame)
    assert threading.active_count() == before


@needs_loops
def test_numba_may_be_told_not_to_compile():
    code = "from sklearn_fsmd.execution import loops; print(loops.available())"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "False"


@needs_loops
def test_what_was_compiled_from_other_sources_is_forgotten(tmp_path):
    kept = tmp_path / "kept"
    loops._forget_old_code(kept)
    (mark,) = kept.iterdir()
    (kept / "layers.forward.nbi").touch()
    loops._forget_old_code(kept)
    assert len(list(kept.iterdir())) == 2
    mark.rename(kept / "0123456789abcdef.sources")
    (kept / "layers.cpython-311.pyc").touch()
    loops._forget_old_code(kept)
    assert {path.name for path in kept.iterdir()} == {mark.name, "layers.cpython-311.pyc"}


@needs_loops
def test_a_library_that_cannot_be_loaded_is_no_reason_to_fail():
    code = """
import ctypes
def CDLL(*given, load=ctypes.CDLL, **more):
    if "torch_cpu" in str(given[0]):
        raise OSError("not a library")
    return load(*given, **more)
ctypes.CDLL = CDLL
from sklearn_fsmd.execution import loops
print(loops.available())
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


@needs_loops
def test_without_a_folder_for_compiled_code_torch_trains():
    """As in a container that may write nowhere."""
    code = """
import numba.core.caching as caching
caching.CacheImpl._locator_classes = []
from sklearn_fsmd.execution import loops
print(loops.available())
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_a_former_net_is_freed_at_once(frame):
    """A net that refers to itself waits for the garbage collector, and a process that fits all day grows."""
    model = FSMDClassifier(**SMALL).fit(*frame)
    gc.collect()
    gc.disable()
    try:
        former = weakref.ref(model.net_), weakref.ref(model.module_)
        model.fit(*frame)
        assert [reference() for reference in former] == [None, None]
    finally:
        gc.enable()
