"""Predictions of a trained network, without an optimizer and without skorch."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearn_fsmd.encoding.table import Encoded
from sklearn_fsmd.execution import MANY, Scoring
from sklearn_fsmd.network import MultiTaskNetwork, set_execution
from sklearn_fsmd.parameters.machine import threads, without_autocast

CPU_CHUNK = 512
GPU_CHUNK = 65_536


class Predictor:
    """A network in evaluation mode, and its device.

    Parameters
    ----------
    network : MultiTaskNetwork, on `device`
    device : str
    spec : the parameters of the network and of its training.
    net : the net that has trained the network; None if the network was read from a file.
    """

    def __init__(self, network: MultiTaskNetwork, device: str, spec: dict[str, Any], net: Any = None) -> None:
        self.network, self.device, self.spec, self._nets = network, device, spec, {} if net is None else {"net": net}
        set_execution(network, Scoring())

    def trained_by(self, make_net: Callable[[Predictor], Any]) -> Any:
        """The net around the network, which `make_net` makes at the first call if the network was read from a file."""
        # `setdefault` is atomic, so all threads get the same net.
        return self._nets.get("net") or self._nets.setdefault("net", make_net(self))

    def _eval_network(self) -> MultiTaskNetwork:
        """The network, back in evaluation mode if a user has changed that: predictions must not update statistics."""
        return self.network.eval() if self.network.training else self.network

    @torch.inference_mode()
    def logits(self, rows: Encoded, n_threads: int | None) -> np.ndarray:
        """The log-odds of the steps, ``(n, K)`` float32."""
        with threads(n_threads), without_autocast(self.device):
            logits, _ = self.network.split(in_chunks(self._eval_network(), *rows.tensors(self.device)))
            return finite(logits.cpu().numpy())

    @torch.inference_mode()
    def marginals(self, rows: Encoded, n_threads: int | None, calibration: np.ndarray | None = None) -> np.ndarray:
        """P(Y_k = 1) of each row and task, ``(n, K)`` float32.

        `calibration` ``(K, 2)`` are slopes and intercepts of the log-odds; None stands for 1 and 0.
        """
        return self.marginals_and_values(rows, n_threads, calibration)[0]

    @torch.inference_mode()
    def log_probabilities(
        self, rows: Encoded, n_threads: int | None, calibration: np.ndarray | None = None
    ) -> np.ndarray:
        """Log P(Y_k = 0) and log P(Y_k = 1), ``(n, K, 2)`` float32, also of probabilities near 0 and 1."""
        logits = _calibrated(torch.from_numpy(self.logits(rows, n_threads)), calibration)
        log_yes, log_no = self.network.link.log_probs(logits)
        return torch.stack((log_no, log_yes), dim=2).numpy()

    @torch.inference_mode()
    def steps(self, rows: Encoded, n_threads: int | None, calibration: np.ndarray | None = None) -> np.ndarray:
        """P(step | previous step), ``(n, K)`` float32; the marginal of a target without a previous step."""
        logits = _calibrated(torch.from_numpy(self.logits(rows, n_threads)), calibration)
        return torch.sigmoid(logits).numpy()

    @torch.inference_mode()
    def marginals_and_values(
        self, rows: Encoded, n_threads: int | None, calibration: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The marginals, and E[value | parent] of each value target, ``(n, V)`` float32; None if there are none."""
        with threads(n_threads), without_autocast(self.device):
            logits, outputs = self.network.split(in_chunks(self._eval_network(), *rows.tensors(self.device)))
            p = self.network.link.marginals(_calibrated(logits, calibration))
            marginals = finite(p.cpu().numpy())
            if self.network.values is None or outputs is None:
                return marginals, None
            return marginals, finite(self.network.values(outputs).cpu().numpy())

    @torch.inference_mode()
    def gate_weights(self, rows: Encoded, n_threads: int | None) -> np.ndarray:
        """The weights of the experts, ``(n, levels, K, E)`` float32."""
        with threads(n_threads), without_autocast(self.device):
            return in_chunks(self._eval_network().gate_weights, *rows.tensors(self.device)).cpu().numpy()


def _calibrated(logits: Tensor, calibration: np.ndarray | None) -> Tensor:
    """Apply slopes and intercepts ``(K, 2)`` to the log-odds ``(n, K)``."""
    if calibration is None:
        return logits
    slopes, intercepts = torch.from_numpy(calibration.T.astype(np.float32)).to(logits.device)
    return logits * slopes + intercepts


def finite(predictions: np.ndarray) -> np.ndarray:
    """Return the predictions ``(n, K)`` unchanged.

    Raises
    ------
    ValueError
        If one is NaN or infinite.
    """
    if not np.isfinite(predictions).all():
        row = int(np.argmin(np.isfinite(predictions).all(axis=1)))
        raise ValueError(
            f"The prediction of row {row} is {predictions[row].tolist()}. Its numbers may be too large for the "
            "network: with numeric_scaling=None numbers are not clipped to the range of fit."
        )
    return predictions


def in_chunks(module: Callable[..., Tensor], *inputs: Any) -> Tensor:
    """The output of `module` for any number of rows, computed in chunks.

    On a CPU the chunks are distributed over as many threads as torch may use. Each thread computes a chunk alone, so
    the threads do not wait for each other at every operation, and the activations of a chunk stay in the cache.
    """
    on_cpu, n = inputs[0].device.type == "cpu", len(inputs[0])
    size = CPU_CHUNK if on_cpu else GPU_CHUNK
    if on_cpu and n >= 2 * MANY:
        size = MANY  # with the compiled core, if it is available
    if n <= size:
        return module(*inputs)
    chunks = zip(*(x.split(size) for x in inputs), strict=True)
    n_threads = torch.get_num_threads()
    if not on_cpu or n_threads == 1:
        return torch.cat([module(*chunk) for chunk in chunks])

    def by_one_thread(chunk: tuple[Tensor, ...]) -> Tensor:
        with threads(1), torch.inference_mode():
            return module(*chunk)

    with ThreadPoolExecutor(n_threads) as pool:
        return torch.cat(list(pool.map(by_one_thread, chunks)))


def in_chunks_alone(module: Callable[..., Tensor], *inputs: Any) -> Tensor:
    """As :func:`in_chunks`, but the bits do not depend on the number of threads: one thread computes few rows too."""
    with threads(1 if len(inputs[0]) <= CPU_CHUNK else None):
        return in_chunks(module, *inputs)
