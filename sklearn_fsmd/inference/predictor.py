"""A trained network is asked: all that scoring needs, without an optimizer and without skorch."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearn_fsmd.encoding import Encoded
from sklearn_fsmd.execution import MANY, Scoring
from sklearn_fsmd.network import MultiTaskNetwork, set_execution
from sklearn_fsmd.parameters.machine import threads, without_autocast

CPU_CHUNK = 512
GPU_CHUNK = 65_536


class Predictor:
    """A network in evaluation mode, and where it is.

    Parameters
    ----------
    network : MultiTaskNetwork, on `device`.
    device : str
    spec : the parameters that the network and its training were made of.
    """

    def __init__(self, network: MultiTaskNetwork, device: str, spec: dict[str, Any]) -> None:
        self.network, self.device, self.spec = network, device, spec
        set_execution(network, Scoring())

    def _asked(self) -> MultiTaskNetwork:
        """The network, in evaluation mode whatever somebody has done with it: a prediction changes no statistics."""
        return self.network.eval() if self.network.training else self.network

    @torch.inference_mode()
    def logits(self, rows: Encoded, n_threads: int | None) -> np.ndarray:
        """The log-odds of each row's steps, ``(n, K)`` float32."""
        with threads(n_threads), without_autocast(self.device):
            logits, _ = self.network.split(in_chunks(self._asked(), *rows.tensors(self.device)))
            return finite(logits.cpu().numpy())

    @torch.inference_mode()
    def marginals(self, rows: Encoded, n_threads: int | None, calibration: np.ndarray | None = None) -> np.ndarray:
        """P(Y_k = 1) of each row and task, ``(n, K)`` float32.

        `calibration` ``(K, 2)`` are slopes and intercepts of the log-odds; None for 1 and 0.
        """
        return self.marginals_and_values(rows, n_threads, calibration)[0]

    @torch.inference_mode()
    def steps(self, rows: Encoded, n_threads: int | None, calibration: np.ndarray | None = None) -> np.ndarray:
        """P(step | the one before it), ``(n, K)`` float32: of a target without one its marginal."""
        logits = _calibrated(torch.from_numpy(self.logits(rows, n_threads)), calibration)
        return torch.sigmoid(logits).numpy()

    @torch.inference_mode()
    def marginals_and_values(
        self, rows: Encoded, n_threads: int | None, calibration: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The marginals, and E[value | parent] of each value, ``(n, V)`` float32; None where there are none."""
        with threads(n_threads), without_autocast(self.device):
            logits, outputs = self.network.split(in_chunks(self._asked(), *rows.tensors(self.device)))
            p = self.network.link.marginals(_calibrated(logits, calibration))
            marginals = finite(p.cpu().numpy())
            if self.network.values is None or outputs is None:
                return marginals, None
            return marginals, finite(self.network.values(outputs).cpu().numpy())

    @torch.inference_mode()
    def gate_weights(self, rows: Encoded, n_threads: int | None) -> np.ndarray:
        """The weights of the experts, ``(n, levels, K, E)`` float32."""
        with threads(n_threads), without_autocast(self.device):
            return in_chunks(self._asked().gate_weights, *rows.tensors(self.device)).cpu().numpy()


def _calibrated(logits: Tensor, calibration: np.ndarray | None) -> Tensor:
    """The log-odds ``(n, K)`` after the slopes and intercepts ``(K, 2)``."""
    if calibration is None:
        return logits
    slopes, intercepts = torch.from_numpy(calibration.T.astype(np.float32)).to(logits.device)
    return logits * slopes + intercepts


def finite(answers: np.ndarray) -> np.ndarray:
    """What a network says of each row, ``(n, K)``.

    Raises
    ------
    ValueError
        If it is no number, or infinite.
    """
    if not np.isfinite(answers).all():
        row = int(np.argmin(np.isfinite(answers).all(axis=1)))
        raise ValueError(
            f"The prediction of row {row} is {answers[row].tolist()}. Its numbers may be too large for the network: "
            "with numeric_scaling=None nothing cuts them off at the range of fit."
        )
    return answers


def in_chunks(module: Callable[..., Tensor], *inputs: Any) -> Tensor:
    """What `module` makes of any number of rows.

    On a CPU the rows go in chunks through as many threads as torch may use, each of which computes alone: none waits
    for the other at every operation, and the activations of a chunk stay in the cache.
    """
    on_cpu, n = inputs[0].device.type == "cpu", len(inputs[0])
    size = CPU_CHUNK if on_cpu else GPU_CHUNK
    if on_cpu and n >= 2 * MANY:
        size = MANY  # the fast way, where it is
    if n <= size:
        return module(*inputs)
    chunks = zip(*(x.split(size) for x in inputs), strict=True)
    n_threads = torch.get_num_threads()
    if not on_cpu or n_threads == 1:
        return torch.cat([module(*chunk) for chunk in chunks])

    def alone(chunk: tuple[Tensor, ...]) -> Tensor:
        with threads(1), torch.inference_mode():
            return module(*chunk)

    with ThreadPoolExecutor(n_threads) as pool:
        return torch.cat(list(pool.map(alone, chunks)))


def in_chunks_alone(module: Callable[..., Tensor], *inputs: Any) -> Tensor:
    """The same, whose bits do not depend on the number of threads: few rows, too, are computed by one."""
    with threads(1 if len(inputs[0]) <= CPU_CHUNK else None):
        return in_chunks(module, *inputs)
