"""The numbers of a column that is larger than memory: exact moments, and a sample for bins and ranks."""

from __future__ import annotations

import numpy as np

from sklearn_fsmd.encoding import Moments, Numbers
from sklearn_fsmd.encoding.sources import sizes


class SampledNumbers(Numbers):
    """Keeps all numbers while they are few, in their order, and an even sample when there are more.

    Each number draws a key, and those with the smallest keys are kept.

    Parameters
    ----------
    seed : of the keys.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = np.random.default_rng(seed)
        self.most = sizes.SAMPLE_NUMBERS
        self.keys: list[np.ndarray] = []
        self.below = np.float32(1.0)
        self.n_kept = 0
        self.of_all = Moments()

    def add(self, block: np.ndarray) -> None:
        if not block.size:
            return
        self.of_all.add(block)
        keys = self.random.random(len(block), dtype=np.float32)
        if self.below < 1:
            block, keys = block[keys < self.below], keys[keys < self.below]
        self.blocks.append(block)
        self.keys.append(keys)
        self.n_kept += len(block)
        if self.n_kept > 1.25 * self.most:
            self._thin()

    def sample(self) -> np.ndarray:
        if self.n_kept > self.most:
            self._thin()
        return super().sample()

    def moments(self, sample: np.ndarray) -> tuple[float, float, float, float]:
        seen = self.of_all
        if seen.n <= self.most:
            return super().moments(sample)
        return float(seen.mean), float(seen.std), float(seen.low), float(seen.high)

    def _thin(self) -> None:
        numbers, keys = np.concatenate(self.blocks), np.concatenate(self.keys)
        kept = np.sort(np.argpartition(keys, self.most - 1)[: self.most])
        self.blocks, self.keys, self.n_kept = [numbers[kept]], [keys[kept]], self.most
        self.below = self.keys[0].max()
