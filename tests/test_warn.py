"""Warnings point at the line of the user, however deep in the package they are raised."""

import os
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import sklearn_fsmd
from sklearn_fsmd import FSMDClassifier, metrics
from sklearn_fsmd.export.onnx import to_onnx
from sklearn_fsmd.parameters import warn
from tests.conftest import SMALL

Y = pd.DataFrame({"click": [0, 1] * 60, "conversion": [1, 0] * 60})
X = pd.DataFrame({"user_id": np.arange(120) % 60, "price": np.linspace(0, 1, 120)})
TINY = SMALL | {"max_epochs": 1}
PIPELINE = make_pipeline(FunctionTransformer(), FSMDClassifier(**TINY)).fit(X[["price"]], Y["click"])
CALLS = {
    "fit": lambda: FSMDClassifier(**TINY).fit(X, Y),
    "text labels": lambda: FSMDClassifier(**TINY).fit(X[["price"]], Y["click"].map({0: "skip", 1: "buy"})),
    "one class": lambda: FSMDClassifier(**TINY).fit(X[["price"]], Y["click"] * 0),
    "partial_fit": lambda: FSMDClassifier(**TINY).partial_fit(X, Y),
    "pipeline": lambda: make_pipeline(FunctionTransformer(), FSMDClassifier(**TINY)).fit(X, Y),
    "grid search": lambda: GridSearchCV(FSMDClassifier(**TINY), {"lr": [0.1]}, cv=2).fit(X, Y),
    "metric": lambda: metrics.mean_auc([[0, 0], [0, 1]], [[0.1, 0.2], [0.3, 0.4]]),
    "export, through contextlib": lambda: to_onnx(PIPELINE, "model.onnx"),
    "grouped metric": lambda: metrics.group_auc([0, 1], [0.1, 0.9], [1, 2]),
}


@pytest.mark.parametrize("call", CALLS)
def test_warnings_point_at_the_calling_file(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        CALLS[call]()
    ours = [w for w in caught if not issubclass(w.category, (FutureWarning, DeprecationWarning))]
    assert ours
    assert {w.filename for w in ours} == {__file__}


def test_a_script_next_to_the_package_counts_as_user_code():
    for package in (sklearn_fsmd, sklearn):
        path = f"{os.path.dirname(package.__file__)}_demo.py"
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            exec(compile("warn('look here')", path, "exec"), {"warn": warn})
        assert caught[0].filename == path
