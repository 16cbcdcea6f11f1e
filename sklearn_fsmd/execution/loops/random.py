"""Random bytes: eight of numpy's generators SFC64 side by side, one in each lane of a register."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from sklearn_fsmd.execution.loops.blas import compile_

LANES = 8
N_BYTES = 8 * LANES
"""Of one draw."""

_WORDS = ir.VectorType(ir.IntType(64), LANES)


@compile_
def seed(state, key):
    """Let each generator begin as numpy's does with its three words of `key` (3, LANES)."""
    state[:3] = key
    state[3] = np.uint64(1)
    discarded = np.empty(12 * N_BYTES, np.uint8)
    draw(state.ctypes.data, discarded.ctypes.data, 12 * N_BYTES)
    return discarded[0]  # it has to live as long as the call


@compile_
def draw(state, out, n):
    """At least `n` bytes, up to the next multiple of N_BYTES: a word of each generator, then the next of each.

    Both are addresses, that of a state (4, LANES) and that of the bytes.
    """
    _draw(state, out, (n + N_BYTES - 1) // N_BYTES)


@intrinsic
def _draw(context, state, out, n):
    """Compilers do not see that four arrays of eight words could stay in four registers."""
    return types.void(types.intp, types.intp, types.intp), _write


def _write(context: Any, builder: Any, _: Any, args: Any) -> Any:
    state, out, n = args
    number = state.type

    def place(address: Any, i: int) -> Any:
        return builder.inttoptr(builder.add(address, number(i * N_BYTES)), _WORDS.as_pointer())

    def load(i: int) -> Any:
        loaded = builder.load(place(state, i))
        loaded.align = 8
        return loaded

    def shifted(shift: Any, x: Any, n_bits: int) -> Any:
        return shift(x, ir.Constant(_WORDS, [n_bits] * LANES))

    words = [load(i) for i in range(4)]
    before, loop, after = builder.block, builder.append_basic_block("draw"), builder.append_basic_block("drawn")
    builder.branch(loop)
    builder.position_at_end(loop)
    now = [builder.phi(x.type) for x in (*words, n, out)]
    for phi, x in zip(now, (*words, n, out), strict=True):
        phi.add_incoming(x, before)
    a, b, c, counter, left, at = now
    x = builder.add(builder.add(a, b), counter)
    builder.store(x, place(at, 0)).align = 1
    rotated = builder.or_(shifted(builder.shl, c, 24), shifted(builder.lshr, c, 40))
    following = [
        builder.xor(b, shifted(builder.lshr, b, 11)),
        builder.add(c, shifted(builder.shl, c, 3)),
        builder.add(rotated, x),
        builder.add(counter, ir.Constant(_WORDS, [1] * LANES)),
        builder.sub(left, number(1)),
        builder.add(at, number(N_BYTES)),
    ]
    for phi, next_ in zip(now, following, strict=True):
        phi.add_incoming(next_, loop)
    builder.cbranch(builder.icmp_signed(">", following[4], number(0)), loop, after)
    builder.position_at_end(after)
    for i in range(4):
        builder.store(following[i], place(state, i)).align = 8
    return context.get_dummy_value()
