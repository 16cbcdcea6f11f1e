"""Open, check and run a file written by `to_onnx`."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from serving.columns import inputs_of

FORMAT = 1
"""Format of `to_onnx`, which raises it when inputs, outputs or metadata change their meaning."""


class BrokenFileError(Exception):
    """The file cannot be served; the message says why."""


class ModelFile:
    """An open model file. It is immutable and thread-safe.

    Attributes
    ----------
    columns : the columns that a row must have, see "Metadata" in docs/serving.md.
    not_needed : further columns that a row may have; they are ignored.
    task_names, value_names : names of the binary targets and of the value targets.
    rank_weights : the exponents of the score, of the tasks and then of the values.
    version : the first digits of a hash of the metadata, which contain exponents and hashes of weights and encoding.
    """

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # requests run in parallel instead
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has many error classes
            raise BrokenFileError(f"onnxruntime cannot open it: {_first_line(error)}") from error
        try:
            self._read_metadata(self._session.get_modelmeta().custom_metadata_map)
        except Exception as error:  # metadata may hold anything
            raise BrokenFileError(f"its metadata are not those of to_onnx ({error!r})") from error
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._score_missing_row()

    def _read_metadata(self, metadata: dict[str, str]) -> None:
        if (version := json.loads(metadata["format"])) != FORMAT:
            raise ValueError(f"format {version!r}, and this server reads format {FORMAT}")
        self.columns: list[dict[str, Any]] = json.loads(metadata["columns"])
        self.not_needed: list[str] = json.loads(metadata["not_needed"])
        self.task_names: list[str] = json.loads(metadata["task_names"])
        self.value_names: list[str] = json.loads(metadata.get("value_names", "[]"))
        self.rank_weights = np.array(json.loads(metadata["rank_weights"]), float)
        self._check()
        self.version = sha256(json.dumps(metadata, sort_keys=True).encode()).hexdigest()[:12]

    def _check(self) -> None:
        """Raise ValueError or TypeError for metadata that `to_onnx` does not write and that would fail in requests."""
        names = [column["name"] for column in self.columns]
        for what, listed in (("columns", [*names, *self.not_needed]), ("targets", self.factor_names)):
            if not all(isinstance(name, str) for name in listed):
                raise TypeError(f"the names of the {what} are {listed!r}")
            if len(set(listed)) < len(listed):
                raise ValueError(f"two of the {what} {listed!r} have one name")
        if self.rank_weights.shape != (len(self.factor_names),) or not np.isfinite(self.rank_weights).all():
            raise ValueError(f"the exponents {self.rank_weights.tolist()} are not those of {self.factor_names}")

    def _score_missing_row(self) -> None:
        """Score a row in which everything is missing, and check the outputs."""
        inputs: dict[str, np.ndarray] = {}
        try:
            for column in self.columns:
                inputs |= inputs_of(column, [None])
            shapes = {name: output.shape for name, output in self.run(inputs).items()}
        except Exception as error:
            raise BrokenFileError(f"it cannot score a row of missing values: {_first_line(error)}") from error
        n_tasks, n_values = len(self.task_names), len(self.value_names)
        expected = {"marginals": (1, n_tasks), "conditionals": (1, n_tasks), "rank_score": (1,)}
        expected |= {"values": (1, n_values)} if n_values else {}
        if shapes != expected:
            raise BrokenFileError(f"its outputs are {shapes}, and its metadata announce {expected}")

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs by name."""
        return dict(zip(self._outputs, self._session.run(None, inputs), strict=True))

    @property
    def factor_names(self) -> list[str]:
        """Names of the factors of the score."""
        return [*self.task_names, *self.value_names]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
