"""Serving without torch and this library, the code in docs/serving.md, and rows of real data."""

import importlib.util
import json
import pickle
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sklearn_fsmd import FSMDClassifier, MultiTaskClassifier
from sklearn_fsmd.datasets import fetch_census_income, fetch_kuairand_pure
from tests.conftest import SMALL, make_frame
from tests.export.files import BLOCKS, CODE, File, check_same, plain, shaken

SERVER = f"""
import importlib.util, json, pickle, sys
sys.path[:] = json.loads(sys.argv[1])
import numpy as np
import onnxruntime
{CODE}
session = onnxruntime.InferenceSession(sys.argv[2])
columns = json.loads(session.get_modelmeta().custom_metadata_map["columns"])
with open(sys.argv[3], "rb") as file:
    X = pickle.load(file)
marginals = session.run(["marginals"], inputs(columns, X))[0]
for name in ("torch", "sklearn", "pandas", "sklearn_fsmd", "onnx"):
    assert name not in sys.modules, name
    assert importlib.util.find_spec(name) is None, name
np.save(sys.argv[4], marginals)
"""
NEEDED = ("numpy", "onnxruntime", "flatbuffers", "packaging", "google")
"""Modules that onnxruntime imports."""


def test_predicts_without_torch_and_this_library(tmp_path):
    X, Y = make_frame(200)
    model = shaken(FSMDClassifier(**SMALL).fit(X, Y))
    file = File(model, tmp_path)
    packages = tmp_path / "packages"
    packages.mkdir()
    for name in NEEDED:
        found = importlib.util.find_spec(name)
        for folder in found.submodule_search_locations if found else ():
            (packages / name).symlink_to(folder)
        for libraries in Path(folder).parent.glob(f"{name}.libs") if found else ():
            (packages / libraries.name).symlink_to(libraries)
    (tmp_path / "X.pickle").write_bytes(pickle.dumps(plain(X)))
    paths = sysconfig.get_paths()
    path = [str(packages), paths["stdlib"], str(Path(paths["stdlib"]) / "lib-dynload")]
    arguments = [json.dumps(path), file.path, tmp_path / "X.pickle", tmp_path / "p.npy"]
    run = subprocess.run([sys.executable, "-I", "-S", "-c", SERVER, *arguments], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    np.testing.assert_allclose(np.load(tmp_path / "p.npy"), model.predict_marginals(X), rtol=0, atol=1e-6)


def test_the_code_of_the_docs_gives_the_predictions_of_the_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for block in BLOCKS:
        exec(compile(block, "docs/serving.md", "exec"), namespace)
    X, model = namespace["X"][:100], namespace["model"]
    np.testing.assert_allclose(namespace["marginals"], model.predict_marginals(X), atol=1e-6)
    np.testing.assert_allclose(namespace["conditionals"], model.predict_conditionals(X), atol=1e-5)
    np.testing.assert_allclose(namespace["rank_score"], model.rank_score(X, [1.0, 0.5]), rtol=1e-5)


# ---------------------------------------------------------------------------------------------------------- real data


UNSEEN = {"string": ["", "ünseen"], "int64": [2**63 - 1, 2**63 - 2, -(2**63)], "double": [1e30, -1e30, 0.5]}


def with_odd_values(X, types, random):
    """Rows with 5 % missing values and 5 % values that fit has not seen."""
    columns = {}
    for name, kind in types.items():
        column = X[name].astype(object)
        is_unseen, missing = random.uniform(size=(2, len(X))) < 0.05
        unseen = pd.Series(random.choice(np.array(UNSEEN[kind], object), len(X)), X.index, dtype=object)
        columns[name] = column.mask(is_unseen, unseen).mask(missing | column.isna(), None)
        if kind == "double":
            columns[name] = columns[name].astype(float)
    return pd.DataFrame(columns)


def check_real_rows(train, rows, folder, **params):
    X, Y = train
    model = MultiTaskClassifier(**{**SMALL, "max_epochs": 1, "batch_size": 512, **params}).fit(X, Y)
    file = File(model, folder)
    X = rows[:10_000]
    assert len(X) == 10_000
    assert check_same(model, file, X, atol=1e-5) <= 1e-5
    assert check_same(model, file, with_odd_values(X, file.types, np.random.RandomState(0)), atol=1e-5) <= 1e-5
    return model, file


@pytest.mark.usefixtures("real_data")
def test_ten_thousand_rows_of_census_income(tmp_path):
    X, Y = fetch_census_income(subset="validation", return_X_y=True)
    _, file = check_real_rows((X[:4000], Y[:4000]), X[4000:], tmp_path, link="independent")
    assert len(file.types) == 39
    assert "string" in file.types.values()


@pytest.mark.usefixtures("real_data")
def test_ten_thousand_rows_of_kuairand(tmp_path):
    X, Y = fetch_kuairand_pure(start="2022-05-04", end="2022-05-04", return_X_y=True)
    rows, _ = fetch_kuairand_pure(start="2022-05-05", end="2022-05-06", return_X_y=True)
    model, file = check_real_rows((X[:4000], Y[:4000]), rows, tmp_path, n_members=2, link="chain")
    assert model._encoder.statistics is not None
    assert file.types["user_id"] == "int64"
