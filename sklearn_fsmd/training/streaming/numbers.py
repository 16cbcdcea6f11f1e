"""The numbers of a column that is larger than memory: exact moments, and a sample for bins and ranks."""

from __future__ import annotations

import numpy as np

from sklearn_fsmd.encoding.columns import Moments, Numbers
from sklearn_fsmd.encoding.sources import sizes


class SampledNumbers(Numbers):
    """Keeps all numbers in their order, or a uniform sample if there are many.

    Each number draws a key, and those with the smallest keys are kept.

    Parameters
    ----------
    seed : of the keys.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = np.random.default_rng(seed)
        self.max_numbers = sizes.SAMPLE_NUMBERS
        self.keys: list[np.ndarray] = []
        self.threshold = np.float32(1.0)
        self.n_kept = 0
        self.all_moments = Moments()

    def add(self, block: np.ndarray) -> None:
        if not block.size:
            return
        self.all_moments.add(block)
        keys = self.random.random(len(block), dtype=np.float32)
        if self.threshold < 1:
            block, keys = block[keys < self.threshold], keys[keys < self.threshold]
        self.blocks.append(block)
        self.keys.append(keys)
        self.n_kept += len(block)
        if self.n_kept > 1.25 * self.max_numbers:
            self._downsample()

    def sample(self) -> np.ndarray:
        if self.n_kept > self.max_numbers:
            self._downsample()
        return super().sample()

    def moments(self, sample: np.ndarray) -> tuple[float, float, float, float]:
        moments = self.all_moments
        if moments.n <= self.max_numbers:
            return super().moments(sample)
        return float(moments.mean), float(moments.std), float(moments.low), float(moments.high)

    def _downsample(self) -> None:
        """Keep the numbers with the smallest keys."""
        numbers, keys = np.concatenate(self.blocks), np.concatenate(self.keys)
        smallest = np.sort(np.argpartition(keys, self.max_numbers - 1)[: self.max_numbers])
        self.blocks, self.keys, self.n_kept = [numbers[smallest]], [keys[smallest]], self.max_numbers
        self.threshold = self.keys[0].max()
