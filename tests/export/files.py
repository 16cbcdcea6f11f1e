"""Helpers for tests of exported files: a file, its session, and its inputs made by the function in the docs."""

import json
import re
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from sklearn_fsmd.export import to_onnx

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "serving.md").read_text(), flags=re.DOTALL)
CODE = next(block for block in BLOCKS if "def inputs" in block)
DOCS = {}
exec(compile(CODE, "docs/serving.md", "exec"), DOCS)


class File:
    """An exported model, opened as a server does."""

    def __init__(self, model, folder, n_threads=1, **options):
        self.path = folder / "model.onnx"
        to_onnx(model, self.path, **options)
        self.session = open_session(self.path, n_threads)
        self.metadata = self.session.get_modelmeta().custom_metadata_map
        self.columns = json.loads(self.metadata["columns"])
        self.types = {column["name"]: column["type"] for column in self.columns}

    def inputs(self, X):
        return DOCS["inputs"](self.columns, plain(X))

    def run(self, X):
        """The outputs by name."""
        return self.run_inputs(self.inputs(X))

    def run_inputs(self, given):
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, given), strict=True))


def open_session(path, n_threads=1):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options)


def shaken(model, size=0.15, seed=0):
    """The model with noise on all weights, so that a weight that an export leaves out changes the outputs."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.module_.state_dict(keep_vars=True).items():
            if not tensor.is_floating_point():
                continue
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith(("running_var", "values.level")):  # these must not be negative
                tensor.add_(noise.abs())
            else:
                tensor.add_(size * noise)
    return model


def plain(X):
    """Convert a DataFrame or an array to lists of Python values by column name, with None for missing values."""
    if isinstance(X, np.ndarray):
        return {f"x{j}": X[:, j].tolist() for j in range(X.shape[1])}
    return {str(name): [None if _is_na(v) else v for v in column.astype(object).tolist()] for name, column in X.items()}


def _is_na(value):
    return (
        value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
    )


def check_same(model, file, X, atol=1e-6, rank_weights=None):
    """Check that file and model predict the same, and return the largest difference of the marginals.

    Expected values may be far from 1, so their tolerance is relative, and three times as large.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about values that fit has not seen
        p = model.predict_marginals(X)
        conditionals, score = model.predict_conditionals(X), model.rank_score(X, rank_weights)
        values = model.predict_values(X) if model.value_targets else None
    got = file.run(X)
    assert got["marginals"].dtype == np.float32
    assert got["rank_score"].dtype == np.float64
    assert got["marginals"].shape == p.shape
    np.testing.assert_allclose(got["marginals"], p, rtol=0, atol=atol)
    np.testing.assert_allclose(got["conditionals"], conditionals, rtol=0, atol=10 * atol)
    np.testing.assert_allclose(got["rank_score"], score, rtol=1e-4, atol=atol * max(1, np.abs(score).max()))
    if values is None:
        assert "values" not in got
    else:
        assert got["values"].dtype == np.float32
        np.testing.assert_allclose(got["values"], values, rtol=3 * atol, atol=3 * atol * np.abs(values).max())
    return np.abs(got["marginals"] - p).max()
