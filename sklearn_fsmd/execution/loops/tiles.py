"""The innermost loop of a product of matrices, in AVX-512: a tile of the result stays in registers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, config, types
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

LANES = 16
"""Float32 numbers of a register."""
ROWS = 12
"""Of a tile. With two registers a row that leaves 8 of the 32 for what is multiplied."""

FLOAT, INT, ADDRESS = ir.FloatType(), ir.IntType(32), ir.IntType(64)
FLOATS, PAIRS = ir.VectorType(FLOAT, LANES), ir.VectorType(INT, LANES)


def supported(*, low: bool) -> bool:
    """Whether the processor has the instructions; not if numba is told to compile for another one."""
    if config.CPU_NAME is not None or config.CPU_FEATURES is not None:
        return False
    return ("+avx512bf16" if low else "+avx512f") in get_host_cpu_features().split(",")


def make_tile(n_registers: int, *, low: bool) -> Any:
    """A function for tiles of :data:`ROWS` rows and `n_registers` registers.

    Called as ``tile(a, a_row, a_step, b, c, c_row, k, add)``: C (+)= A·B, where A has a row each `a_row` bytes and its
    next number each `a_step`; the k rows of B lie one after the other, aligned to registers; C has a row each `c_row`
    bytes and is overwritten unless `add`. With `low` a number of A and of B is two in bfloat16, whose products are
    added up.
    """

    def write(context: Any, builder: Any, _: Any, args: Any) -> Any:
        if supported(low=low):  # else it is never called, and could not be compiled
            _write(builder, args, n_registers, low)
        return context.get_dummy_value()

    @intrinsic
    def tile(context, a, a_row, a_step, b, c, c_row, k, add):
        return types.void(*[types.intp] * 8), write

    return tile


def _write(builder: Any, args: Any, n_registers: int, low: bool) -> None:
    a, a_row, a_step, b, c, c_row, k, add = args
    element, operand = (INT, PAIRS) if low else (FLOAT, FLOATS)

    def at(address: Any, n_bytes: int | Any) -> Any:
        return builder.add(address, ADDRESS(n_bytes) if isinstance(n_bytes, int) else n_bytes)

    def load(address: Any, type_: Any, alignment: int) -> Any:
        loaded = builder.load(builder.inttoptr(address, type_.as_pointer()))
        loaded.align = alignment
        return loaded

    def store(value: Any, address: Any) -> None:
        builder.store(value, builder.inttoptr(address, FLOATS.as_pointer())).align = 4

    def everywhere(x: Any) -> Any:
        undefined = ir.Constant(operand, ir.Undefined)
        first = builder.insert_element(undefined, x, INT(0))
        return builder.shuffle_vector(first, undefined, ir.Constant(PAIRS, [0] * LANES))

    def multiply_add(x: Any, y: Any, total: Any) -> Any:
        if low:
            name, given = "llvm.x86.avx512bf16.dpbf16ps.512", [total, x, y]
        else:
            name, given = f"llvm.fma.v{LANES}f32", [x, y, total]
        kind = ir.FunctionType(FLOATS, [argument.type for argument in given])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), given)

    def stepping(start: Any) -> Any:
        phi = builder.phi(start.type)
        phi.add_incoming(start, before)
        return phi

    # Four rows share an address, so that all addresses fit in registers.
    twice = builder.shl(a_row, ADDRESS(1))
    offsets = [0, a_row, twice, builder.add(twice, a_row)]
    quads = [a]
    for _ in range(4, ROWS, 4):
        quads.append(builder.add(quads[-1], builder.shl(a_row, ADDRESS(2))))

    before, loop, after = builder.block, builder.append_basic_block("products"), builder.append_basic_block("sums")
    builder.branch(loop)
    builder.position_at_end(loop)
    left, b_now, quads_now = stepping(k), stepping(b), [stepping(quad) for quad in quads]
    totals = [[stepping(ir.Constant(FLOATS, None)) for _ in range(n_registers)] for _ in range(ROWS)]
    ys = [load(at(b_now, 64 * j), operand, 64) for j in range(n_registers)]
    results = []
    for i, row in enumerate(totals):
        x = everywhere(load(at(quads_now[i // 4], offsets[i % 4]), element, 2 if low else 4))
        results.append([multiply_add(x, y, total) for y, total in zip(ys, row, strict=True)])
    steps = [(left, at(left, -1)), (b_now, at(b_now, 64 * n_registers))]
    steps += [(quad, at(quad, a_step)) for quad in quads_now]
    steps += [pair for row in zip(totals, results, strict=True) for pair in zip(*row, strict=True)]
    for now, following in steps:
        now.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed(">", steps[0][1], ADDRESS(0)), loop, after)

    builder.position_at_end(after)
    with builder.if_else(builder.icmp_signed("!=", add, ADDRESS(0))) as branches:
        for branch, is_added in zip(branches, (True, False), strict=True):
            with branch:
                row_at = c
                for row in results:
                    for j, value in enumerate(row):
                        place = at(row_at, 64 * j)
                        store(builder.fadd(value, load(place, FLOATS, 4)) if is_added else value, place)
                    row_at = at(row_at, c_row)


@intrinsic
def pointer(context, address):
    """What :func:`numba.carray` takes, from an address."""

    def write(context: Any, builder: Any, _: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.intp), write
