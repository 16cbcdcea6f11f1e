"""Products of matrices: by MKL, or by tiles where those are faster.

MKL takes its kernels by the maker of a processor, not by what it can do: on AMD's it leaves half of the arithmetic in
float32 unused, and in bfloat16 three quarters. Tiles are a loop around :func:`.tiles.make_tile` as BLIS has it: of B
that is packed into panels, which stay in the second cache, and of A a strip, which stays in the first.
"""

from __future__ import annotations

import numpy as np
from numba import carray

from sklearn_fsmd.execution.loops.blas import call_mkl, compile_, is_slow_here
from sklearn_fsmd.execution.loops.tiles import LANES, ROWS, make_tile, pointer, supported

DEPTH = 256
"""How many numbers of a row of A and a column of B are multiplied before the next are taken up."""
PANEL = 2 * LANES
U16, U32 = np.uint16, np.uint32
TILES, TILES_LOW = (is_slow_here() and supported(low=low) for low in (False, True))

_tiles = {(n, low): make_tile(n, low=low) for n in (1, 2) for low in (False, True)}
_one, _two, _one_low, _two_low = _tiles[1, False], _tiles[2, False], _tiles[1, True], _tiles[2, True]


@compile_
def multiply(low, a, lda, ta, b, ldb, tb, c, ldc, m, n, k):
    """C (m, n) = A·B of row-major matrices at these addresses; A and B are kept transposed if `ta`, `tb`.

    `lda` and so on are the numbers from a row to the next. With `low`, A and B are bfloat16, and C is float32. By
    tiles each number of C is added up in the same order whatever the rows and columns beside it.
    """
    if m < ROWS or k == 0 or not (TILES_LOW if low else TILES):
        call_mkl(low, a, lda, ta, b, ldb, tb, c, ldc, m, n, k)
    elif low:
        multiply_low(a, lda, ta, b, ldb, tb, c, ldc, m, n, k)
    else:
        multiply_float(a, lda, ta, b, ldb, tb, c, ldc, m, n, k)


@compile_
def multiply_float(a, lda, ta, b, ldb, tb, c, ldc, m, n, k):
    row, step = (4, lda * 4) if ta else (lda * 4, 4)
    panels, edge = aligned(min(k, DEPTH) * rounded_up(n)), aligned(ROWS * PANEL)
    for start in range(0, k, DEPTH):
        depth = min(DEPTH, k - start)
        if tb:
            pack_turned(floats(b + start * 4, (n - 1) * ldb + depth), ldb, panels, n, depth)
        else:
            pack(floats(b + start * ldb * 4, (depth - 1) * ldb + n), ldb, panels, n, depth)
        for block in range(0, m, ROWS):
            i = min(block, m - ROWS)  # the last strip has rows of the one before
            at, into = a + i * row + start * step, c + i * ldc * 4
            strip(False, at, row, step, panels, into, ldc, n, depth, start > 0, block - i, edge)


@compile_
def multiply_low(a, lda, ta, b, ldb, tb, c, ldc, m, n, k):
    """As :func:`multiply_float`, of numbers that each are two in bfloat16, neighbours along k."""
    most = min(k + 1, DEPTH) // 2
    panels, edge = aligned(most * rounded_up(n)), aligned(ROWS * PANEL)
    pairs, a_pairs = np.empty(most * n, np.uint32), np.empty(most * (m if ta else ROWS), np.uint32)
    numbers = panels.view(np.uint32)
    for start in range(0, k, DEPTH):
        depth = min(DEPTH, k - start)
        half = (depth + 1) // 2
        if tb:
            pair_neighbours(lows(b + start * 2, (n - 1) * ldb + depth), ldb, pairs, n, depth)
            pack_turned(pairs, half, numbers, n, half)
        else:
            pair_rows(lows(b + start * ldb * 2, (depth - 1) * ldb + n), ldb, pairs, n, depth)
            pack(pairs, n, numbers, n, half)
        if ta:
            pair_rows(lows(a + start * lda * 2, (depth - 1) * lda + m), lda, a_pairs, m, depth)
        for block in range(0, m, ROWS):
            i = min(block, m - ROWS)
            at, row, step = a_pairs.ctypes.data + i * 4, 4, m * 4
            if not ta:
                at, row, step = a + (i * lda + start) * 2, lda * 2, 4
                if depth % 2:  # what follows a row may be anything, and no number times it is 0
                    pair_neighbours(lows(at, (ROWS - 1) * lda + depth), lda, a_pairs, ROWS, depth)
                    at, row = a_pairs.ctypes.data, half * 4
            strip(True, at, row, step, panels, c + i * ldc * 4, ldc, n, half, start > 0, block - i, edge)


@compile_
def strip(low, a, row, step, panels, c, ldc, n, depth, add, skip, edge):
    """ROWS rows of C, panel by panel; of these the first `skip` are there already."""
    for j in range(0, n, PANEL):
        width = min(PANEL, n - j)
        is_whole = skip == 0 and width % LANES == 0
        b = panels.ctypes.data + j * depth * 4
        into, into_row = (c + j * 4, ldc * 4) if is_whole else (edge.ctypes.data, PANEL * 4)
        if low and width > LANES:
            _two_low(a, row, step, b, into, into_row, depth, add and is_whole)
        elif low:
            _one_low(a, row, step, b, into, into_row, depth, add and is_whole)
        elif width > LANES:
            _two(a, row, step, b, into, into_row, depth, add and is_whole)
        else:
            _one(a, row, step, b, into, into_row, depth, add and is_whole)
        if not is_whole:
            for i in range(skip, ROWS):
                out, tile = floats(c + (i * ldc + j) * 4, width), edge[i * PANEL : i * PANEL + width]
                for x in range(width):
                    out[x] = out[x] + tile[x] if add else tile[x]


@compile_
def pack(b, ldb, panels, n, depth):
    """Columns of B in panels, whose rows lie one after the other; the last one is filled with zeros."""
    zero = panels.dtype.type(0)
    for j in range(0, n, PANEL):
        width, into = min(PANEL, n - j), rounded_up(min(PANEL, n - j))
        for p in range(depth):
            out, x = panels[j * depth + p * into : j * depth + (p + 1) * into], b[p * ldb + j : p * ldb + j + width]
            out[width:] = zero
            for i in range(width):
                out[i] = x[i]


@compile_
def pack_turned(b, ldb, panels, n, depth):
    """The same, of a B that is kept transposed."""
    zero = panels.dtype.type(0)
    for j in range(0, n, PANEL):
        width, into = min(PANEL, n - j), rounded_up(min(PANEL, n - j))
        panel = panels[j * depth : j * depth + depth * into]
        for i in range(into):
            if i >= width:
                for p in range(depth):
                    panel[p * into + i] = zero
            else:
                x = b[(j + i) * ldb : (j + i) * ldb + depth]
                for p in range(depth):
                    panel[p * into + i] = x[p]


@compile_
def pair_rows(x, ld, pairs, n, depth):
    """Each row of `n` bfloat16 in the lower halves of numbers and the next one, or zeros, in the upper halves."""
    for p in range((depth + 1) // 2):
        out, first = pairs[p * n : (p + 1) * n], x[2 * p * ld : 2 * p * ld + n]
        if 2 * p + 1 < depth:
            second = x[(2 * p + 1) * ld : (2 * p + 1) * ld + n]
            for i in range(n):
                out[i] = U32(first[i]) | U32(second[i]) << U32(16)
        else:
            for i in range(n):
                out[i] = U32(first[i])


@compile_
def pair_neighbours(x, ld, pairs, n, depth):
    """Each two neighbours of a row in a number, for `n` rows; at the end of an odd row with a zero."""
    length = (depth + 1) // 2 * 2
    halves = pairs.view(np.uint16)
    for i in range(n):
        out, row = halves[i * length : (i + 1) * length], x[i * ld : i * ld + depth]
        out[length - 1] = U16(0)
        for p in range(depth):
            out[p] = row[p]


@compile_
def rounded_up(n):
    return (n + LANES - 1) // LANES * LANES


@compile_
def aligned(n):
    """Room for so many float32 numbers, which begins where a register's worth does."""
    room = np.empty(n + LANES, np.float32)
    skip = -room.ctypes.data % 64 // 4
    return room[skip : skip + n]


@compile_
def floats(address, n):
    return carray(pointer(address), n, np.float32)


@compile_
def lows(address, n):
    return carray(pointer(address), n, np.uint16)
