"""Products of matrices in compiled loops, against numpy's."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from sklearn_fsmd.execution import loops

pytestmark = pytest.mark.skipif(not loops.available(), reason="numba is not there, or may not compile")
SHAPES = [
    (1, 1, 1),  # fewer rows than a tile has
    (11, 40, 9),
    (12, 16, 1),  # whole tiles
    (24, 64, 256),
    (13, 5, 3),  # and parts of them
    (25, 33, 7),
    (130, 130, 513),  # more than is multiplied at once
    (300, 17, 257),
]


def matrix(rows, columns, beyond, rng):
    """A matrix, and where it lies: with numbers that nobody may read between its rows."""
    room = np.full((rows, columns + beyond), np.nan, np.float32)
    room[:, :columns] = rng.normal(size=(rows, columns))
    return room[:, :columns], room


def lowered(room):
    bits = torch.from_numpy(room).to(torch.bfloat16)
    return bits.view(torch.int16).numpy(), bits.float().numpy()


def multiplied(multiply, shape, *, low, ta, tb, beyond, columns=slice(None)):
    """What `multiply` makes of random matrices, of which `columns` of B, and what it should."""
    m, n, k = shape
    rng = np.random.default_rng(0)
    a, a_room = matrix(*((k, m) if ta else (m, k)), beyond, rng)
    b, b_room = matrix(*((n, k) if tb else (k, n)), beyond, rng)
    rooms = a_room, b_room
    if low:
        (a_room, a), (b_room, b) = lowered(a_room), lowered(b_room)
        a, b = a[:, : a.shape[1] - beyond], b[:, : b.shape[1] - beyond]
    b = (b.T if tb else b)[:, columns]
    first = columns.start or 0
    b_at = b_room.ctypes.data + first * b_room.itemsize * (b_room.shape[1] if tb else 1)
    out = np.full((m, b.shape[1] + beyond), 7.0, np.float32)
    sizes = out.shape[1], m, b.shape[1], k
    multiply(low, a_room.ctypes.data, a_room.shape[1], ta, b_at, b_room.shape[1], tb, out.ctypes.data, *sizes)
    del rooms
    assert (out[:, b.shape[1] :] == 7).all()
    return out[:, : b.shape[1]], (a.T if ta else a).astype(float) @ b


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("beyond", [0, 3])
@pytest.mark.parametrize("tb", [False, True])
@pytest.mark.parametrize("ta", [False, True])
@pytest.mark.parametrize("low", [False, True])
@pytest.mark.parametrize("name", ["multiply", "call_mkl"])
def test_products(name, low, ta, tb, beyond, shape):
    from sklearn_fsmd.execution.loops import products

    got, expected = multiplied(getattr(products, name), shape, low=low, ta=ta, tb=tb, beyond=beyond)
    np.testing.assert_allclose(got, expected, atol=1e-5 * shape[2] ** 0.5, rtol=1e-4)


@pytest.mark.parametrize("low", [False, True])
def test_numbers_do_not_depend_on_how_the_columns_are_cut(low):
    from sklearn_fsmd.execution.loops.products import TILES, TILES_LOW, multiply

    if not (TILES_LOW if low else TILES):
        pytest.skip("MKL multiplies here, and does not promise it")
    whole, _ = multiplied(multiply, (100, 90, 300), low=low, ta=False, tb=False, beyond=0)
    for columns in (slice(0, 16), slice(16, 64), slice(64, 90)):
        part, _ = multiplied(multiply, (100, 90, 300), low=low, ta=False, tb=False, beyond=0, columns=columns)
        np.testing.assert_array_equal(part, whole[:, columns])


def test_a_processor_without_the_instructions():
    """Code for another processor, which numba can be told to compile, has no tiles and is right."""
    code = """
import numpy as np
from sklearn_fsmd.execution.loops import products
assert not (products.TILES or products.TILES_LOW)
a, b, c = np.ones((20, 4), np.float32), np.ones((4, 8), np.float32), np.empty((20, 8), np.float32)
products.multiply(False, a.ctypes.data, 4, False, b.ctypes.data, 8, False, c.ctypes.data, 8, 20, 8, 4)
assert (c == 4).all()
"""
    environment = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
