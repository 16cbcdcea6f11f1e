"""Equal initial weights where shapes agree, whatever the model."""

import zlib
from collections import Counter
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch.nn import init


@contextmanager
def equal_starts(seed):
    """Within this, the i-th matrix that is made of some shape starts at the same weights in every network."""
    made = Counter()

    def generator_for(shape):
        made[shape] += 1
        return torch.Generator().manual_seed(zlib.crc32(repr((seed, shape, made[shape])).encode()))

    def by_shape(draw):
        def drawn(tensor, *args, **options):
            for matrix in tensor if tensor.dim() == 3 else [tensor]:  # a stack of maps is drawn map by map
                draw(matrix, *args, **options, generator=generator_for(tuple(matrix.shape)))
            return tensor

        return drawn

    with (
        patch.object(init, "uniform_", by_shape(init.uniform_)),
        patch.object(init, "normal_", by_shape(init.normal_)),
    ):
        yield
