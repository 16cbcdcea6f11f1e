"""Equal initial weights for weights of the same shape, in every model."""

import zlib
from collections import Counter
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch.nn import init


@contextmanager
def equal_starts(seed):
    """Inside this context, the i-th matrix of a shape gets the same initial weights in every network."""
    n_drawn = Counter()

    def generator_for(shape):
        n_drawn[shape] += 1
        return torch.Generator().manual_seed(zlib.crc32(repr((seed, shape, n_drawn[shape])).encode()))

    def by_shape(draw):
        def drawn(tensor, *args, **options):
            for matrix in tensor if tensor.dim() == 3 else [tensor]:  # a stack is drawn matrix by matrix
                draw(matrix, *args, **options, generator=generator_for(tuple(matrix.shape)))
            return tensor

        return drawn

    with (
        patch.object(init, "uniform_", by_shape(init.uniform_)),
        patch.object(init, "normal_", by_shape(init.normal_)),
    ):
        yield
