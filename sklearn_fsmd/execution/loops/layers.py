"""A hidden layer, linear, batch norm, ReLU and dropout, and its gradients.

Sums over the rows go in blocks of :data:`BLOCK`, and in float64 over these. Batch norm is said by a slope and a shift a
column, into which the scale of dropout goes too, since ReLU(a·y) = a·ReLU(y).
"""

from __future__ import annotations

import numpy as np

from sklearn_fsmd.execution.loops.blas import compile_, round_to_bf16
from sklearn_fsmd.execution.loops.products import multiply
from sklearn_fsmd.execution.loops.random import LANES, N_BYTES, draw, seed

F = np.float32
BLOCK = 32


@compile_
def forward(
    low, inputs, row, ws, biases, scales, zs, outs, outs_low, e0, e1,
    bounds, first, last, keys, threshold, stretch,
    means, variances, slopes, eps, running_mean, running_var, momentum,
):  # fmt: skip
    """The layer for some members, and for the parts of their columns from `first` to before `last`.

    Parameters
    ----------
    inputs, row : the address of each member's input, and the numbers from a row of it to the next.
    zs : what the linear map gives; without batch norm (and `scales`), it may be `outs`.
    outs, outs_low : where the outputs are wanted: the one as float32, the other as bfloat16. One of them is empty.
    bounds : where the parts begin, and where the last one ends. Each draws on its own, see `keys`.
    means, variances, slopes : ``(n, O)``, of batch norm, for backward.
    """
    rows, c0, c1 = zs.shape[1], bounds[first], bounds[last]
    width, is_low = c1 - c0, len(outs_low) > 0
    block = np.empty((BLOCK if is_low else 0, width), np.float32)
    slope, shift = np.empty(width, np.float32), np.empty(width, np.float32)
    states = np.empty((last - first, 4, LANES), np.uint64)
    drawn = np.empty(width + N_BYTES, np.uint8)
    for e in range(e0, e1):
        linear(low, inputs[e], row, ws, zs, e, c0, c1)
        if len(scales):
            moments(zs[e], c0, c1, means[e], variances[e])
            for j in range(width):
                c = c0 + j
                slope[j] = scales[e, c] * F(stretch) / np.sqrt(variances[e, c] + F(eps))
                shift[j] = biases[e, c] * F(stretch) - means[e, c] * slope[j]
                slopes[e, c] = slope[j]
                running_mean[e, c] += F(momentum) * (means[e, c] - running_mean[e, c])
                running_var[e, c] += F(momentum) * (variances[e, c] * F(rows / (rows - 1)) - running_var[e, c])
        else:
            for j in range(width):
                slope[j] = F(stretch)
                shift[j] = biases[e, c0 + j] * F(stretch)
        for p in range(first, last if threshold else first):
            seed(states[p - first], keys[e, p])
        for b in range(rows):
            z, out = zs[e, b, c0:c1], block[b % BLOCK] if is_low else outs[e, b, c0:c1]
            if threshold:
                for p in range(first, last):  # what is drawn beyond a part's end is overwritten by the next part
                    draw(states[p - first].ctypes.data, drawn.ctypes.data + bounds[p] - c0, bounds[p + 1] - bounds[p])
                rectify_and_drop(z, slope, shift, out, drawn, np.uint8(threshold))
            else:
                rectify(z, slope, shift, out)
            if is_low and (b % BLOCK == BLOCK - 1 or b == rows - 1):
                round_rows(block, outs_low[e], b - b % BLOCK, b + 1, c0, c1)


@compile_
def evaluate(x, row, ws, slopes, shifts, e, out):
    """The layer for one member in prediction; batch norm is in the slopes and shifts of the columns."""
    _, n_in, n_out = ws.shape
    w = ws.ctypes.data + e * n_in * n_out * 4
    multiply(False, x, row, False, w, n_out, False, out.ctypes.data, n_out, len(out), n_out, n_in)
    slope, shift = slopes[e], shifts[e]
    for b in range(len(out)):
        o = out[b]
        for j in range(n_out):  # in its place; see `backward`
            y = o[j] * slope[j] + shift[j]
            o[j] = F(0) if y <= F(0) else y


@compile_
def round_rows(block, out, start, stop, c0, c1):
    """Some rows of a result, and of these the columns from `c0` to before `c1`, as bfloat16."""
    bits = block.view(np.uint32)
    if c1 - c0 == out.shape[1]:  # they follow each other
        round_to_bf16(bits[: stop - start].reshape(-1), out[start:stop].reshape(-1))
    else:
        for b in range(start, stop):
            round_to_bf16(bits[b - start], out[b, c0:c1])


@compile_
def linear(low, x, row, ws, zs, e, c0, c1):
    """Columns of the linear map of member `e`, whose input is at `x`."""
    _, n_in, n_out = ws.shape
    w, z = ws.ctypes.data + (e * n_in * n_out + c0) * ws.itemsize, zs.ctypes.data + (e * zs.shape[1] * n_out + c0) * 4
    multiply(low, x, row, False, w, n_out, False, z, n_out, zs.shape[1], c1 - c0, n_in)


@compile_
def moments(z, c0, c1, mean, variance):
    """Mean and variance of columns, by sums of what is left when the first row is taken away: near 0 as a rule."""
    rows, width = len(z), c1 - c0
    base = z[0, c0:c1].copy()
    sums, squares = np.zeros(width, np.float64), np.zeros(width, np.float64)
    part1, part2 = np.empty(width, np.float32), np.empty(width, np.float32)
    for start in range(0, rows, BLOCK):
        part1[:] = F(0)
        part2[:] = F(0)
        for b in range(start, min(start + BLOCK, rows)):
            x = z[b, c0:c1]
            for j in range(width):
                d = x[j] - base[j]
                part1[j] += d
                part2[j] += d * d
        for j in range(width):
            sums[j] += part1[j]
            squares[j] += part2[j]
    for j in range(width):
        d = sums[j] / rows
        mean[c0 + j] = F(base[j] + d)
        variance[c0 + j] = F(max(squares[j] / rows - d * d, 0.0))


@compile_
def rectify(z, slope, shift, out):
    """ReLU of a linear map of what a row's columns hold."""
    for j in range(len(out)):
        y = z[j] * slope[j] + shift[j]
        out[j] = F(0) if y <= F(0) else y  # what is not a number stays so


@compile_
def rectify_and_drop(z, slope, shift, out, drawn, threshold):
    """The same, and 0 where a random byte is below the threshold."""
    for j in range(len(out)):
        y = z[j] * slope[j] + shift[j]
        out[j] = F(0) if y <= F(0) or drawn[j] < threshold else y


@compile_
def backward(
    low, inputs, row, outs, zs, gs, ds, grad_ws, grad_biases, grad_scales, e0, e1, c0, c1,
    means, variances, slopes, stretch, eps,
):  # fmt: skip
    """From the gradient of the outputs, in `gs` (m, B, O), to those of the layer's parameters and of its linear map.

    The latter is put into `ds`: as bfloat16 if the products are, and else in the place of the former. `outs` may be
    bfloat16: all that counts is which are greater than zero.
    """
    rows, n_in, n_out, width = zs.shape[1], grad_ws.shape[1], zs.shape[2], c1 - c0
    mean, slope = np.zeros(width, np.float32), np.empty(width, np.float32)
    part1, part2 = np.empty(width, np.float32), np.empty(width, np.float32)
    sums, projections = np.empty(width, np.float64), np.empty(width, np.float64)
    block = np.empty((BLOCK if low else 0, width), np.float32)
    zero = outs.dtype.type(0)
    for e in range(e0, e1):
        k = e - e0
        sums[:] = 0.0
        projections[:] = 0.0
        if len(grad_scales):
            mean[:] = means[e, c0:c1]
        for start in range(0, rows, BLOCK):
            part1[:] = F(0)
            part2[:] = F(0)
            for b in range(start, min(start + BLOCK, rows)):
                g, out, z = gs[k, b, c0:c1], outs[e, b, c0:c1], zs[e, b, c0:c1]
                for j in range(width):
                    x = F(0) if out[j] <= zero else g[j]  # dropped and negative units are both zero in the output
                    part1[j] += x
                    part2[j] += x * (z[j] - mean[j])
            for j in range(width):
                sums[j] += part1[j]
                projections[j] += part2[j]
        # dz = slope · (g − mean(g) − ẑ · mean(g·ẑ)), with ẑ = (z − mean)/σ: slope · g + part1 + part2 · z
        for j in range(width):
            c = c0 + j
            grad_biases[e, c] = F(sums[j]) * F(stretch)
            slope[j], part1[j], part2[j] = F(stretch), F(0), F(0)
            if len(grad_scales):
                inverse_std = F(1) / np.sqrt(variances[e, c] + F(eps))
                grad_scales[e, c] = F(projections[j]) * inverse_std * F(stretch)
                slope[j] = slopes[e, c]
                part2[j] = -F(projections[j] / rows) * inverse_std * inverse_std * slope[j]
                part1[j] = -F(sums[j] / rows) * slope[j] - part2[j] * mean[j]
        for b in range(rows):
            g, out, z = gs[k, b, c0:c1], outs[e, b, c0:c1], zs[e, b, c0:c1]
            if not low:
                for j in range(width):
                    x = F(0) if out[j] <= zero else g[j]
                    g[j] = slope[j] * x + (part1[j] + part2[j] * z[j])
                continue
            d = block[b % BLOCK]
            for j in range(width):
                x = F(0) if out[j] <= zero else g[j]
                d[j] = slope[j] * x + (part1[j] + part2[j] * z[j])
            if b % BLOCK == BLOCK - 1 or b == rows - 1:
                round_rows(block, ds[k], b - b % BLOCK, b + 1, c0, c1)
        d = ds.ctypes.data + (k * rows * n_out + c0) * ds.itemsize
        into = grad_ws.ctypes.data + (e * n_in * n_out + c0) * 4
        multiply(low, inputs[e], row, True, d, n_out, False, into, n_out, n_in, width, rows)


@compile_
def through(low, ds, ws, places, row, e0, e1, c0, c1):
    """Columns of D·Wᵀ of the members: the gradient of each one's input, at the address ``places[e - e0]``."""
    rows, (_, n_in, n_out) = ds.shape[1], ws.shape
    for e in range(e0, e1):
        d, w = (
            ds.ctypes.data + (e - e0) * rows * n_out * ds.itemsize,
            ws.ctypes.data + (e * n_in + c0) * n_out * ws.itemsize,
        )
        multiply(low, d, n_out, False, w, n_out, True, places[e - e0] + c0 * 4, row, rows, c1 - c0, n_out)


@compile_
def add_up(terms, reads, out, group_stride, row_stride, start, stop):
    """The sums of the members' `terms` for each input that they read, for a range of rows."""
    n, _, width = terms.shape
    is_first = np.ones(n, np.bool_)
    for e in range(n):
        for other in range(e):
            is_first[e] &= reads[other] != reads[e]
    for b in range(start, stop):
        for e in range(n):
            at = reads[e] * group_stride + b * row_stride
            into, term = out[at : at + width], terms[e, b]
            for j in range(width):
                into[j] = term[j] if is_first[e] else into[j] + term[j]
