"""What show_versions says, and the environment variable that chooses how networks are computed."""

import numpy as np
import pytest

from sklearn_fsmd import FSMDClassifier, show_versions
from sklearn_fsmd.execution import loops
from sklearn_fsmd.execution.ways import VARIABLE, ByLoops, ByTorch, way_to_train
from tests.conftest import SMALL


def said(capsys):
    show_versions()
    return dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())


def test_it_names_versions_device_and_way(capsys, monkeypatch):
    import torch

    lines = said(capsys)
    assert lines["torch"] == torch.__version__
    assert lines["device"] == "cpu" or torch.cuda.is_available() or torch.backends.mps.is_available()
    assert lines["execution"].startswith("fused (" if loops.available() else "torch (no compiled loops: ")
    monkeypatch.setenv(VARIABLE, "torch")
    assert said(capsys)["execution"] == "torch (SKLEARN_FSMD_EXECUTION says so)"
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr(loops, "available", lambda: False)
    assert said(capsys)["execution"].startswith("torch (no compiled loops: numba is not installed")


def test_the_environment_chooses(monkeypatch, frame):
    monkeypatch.setenv(VARIABLE, "torch")
    assert type(way_to_train("cpu", None)) is ByTorch
    by_torch = FSMDClassifier(**SMALL).fit(*frame).predict_marginals(frame[0])
    monkeypatch.delenv(VARIABLE)
    with monkeypatch.context() as patch:
        patch.setattr(loops, "available", lambda: False)
        np.testing.assert_array_equal(FSMDClassifier(**SMALL).fit(*frame).predict_marginals(frame[0]), by_torch)
        patch.setenv(VARIABLE, "fused")
        with pytest.raises(ValueError, match="SKLEARN_FSMD_EXECUTION=fused cannot be had: no compiled loops: numba is"):
            FSMDClassifier(**SMALL).fit(*frame)
    monkeypatch.setenv(VARIABLE, "fast")
    with pytest.raises(ValueError, match="must be 'torch' or 'fused'. Got 'fast'"):
        FSMDClassifier(**SMALL).fit(*frame)


@pytest.mark.skipif(not loops.available(), reason="numba is not there, or may not compile")
def test_the_fused_way_can_be_asked_for(monkeypatch):
    monkeypatch.setenv(VARIABLE, "fused")
    way = way_to_train("cpu", None)
    assert type(way) is ByLoops
    way.crew.close()
    with pytest.raises(ValueError, match="cannot be had: the device is 'cuda'"):
        way_to_train("cuda", None)
