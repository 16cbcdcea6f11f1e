"""The compiled core, core.c, from Python: it is found and loaded here, and its arguments are checked here.

It is compiled when the package is built, once for each level of the processor that torch knows, and the one for torch's
own level is loaded: what masks torch's (the environment variable ATEN_CPU_CAPABILITY) masks this too.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from ctypes import c_float, c_int64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sklearn_fsmd.network import LayerSpec

LEVELS = {"AVX512": ("avx512", "avx2", "any"), "AVX2": ("avx2", "any")}
"""For what torch says of the processor, the builds that run there, the fastest first; elsewhere "any"."""

BF16 = {torch.float32: 0, torch.bfloat16: 1}
"""The types of matrices that the core knows."""

VERSION = 4
"""Of the signatures below; core.c has the same."""

SIGNATURES = {
    "hidden_forward": "piiiipi",
    "hidden_backward": "piiiipipipi",
    "mix": "ppipiiiiii",
    "mix_to_weights": "ppipiiiiii",
    "mix_to_outputs": "pppiiiiiii",
    "value_products": "ppiippi",
    "value_gradients": "ppiippppi",
    "add_values": "piipipiii",
    "add_to_values": "piipipiii",
    "scatter_add_32": "pppii",
    "scatter_add_64": "pppii",
    "transpose": "piiip",
    "adam": "ppppppi",
}


class CoreMissingError(ImportError):
    """There is no compiled core that can be used."""


@cache
def load() -> tuple[ctypes.CDLL, str]:
    """The library, and the level of the processor that it is for.

    Raises
    ------
    CoreMissingError
        If there is none.
    """
    for level in LEVELS.get(torch.backends.cpu.get_cpu_capability(), ("any",)):
        if path := find(file_name(level)):
            try:
                return declare(ctypes.CDLL(path)), level
            except OSError as error:
                raise CoreMissingError(f"the compiled core cannot be loaded: {error}") from error
    raise CoreMissingError("the package was built without a C compiler")


def file_name(level: str) -> str:
    """Of the library for a level of the processor."""
    return f"core_{level}{ {'win32': '.dll', 'darwin': '.dylib'}.get(sys.platform, '.so') }"


def find(name: str) -> str | None:
    """Where a file of this package is: where the package is installed in editable mode, it has two folders."""
    paths = (Path(folder) / name for folder in sys.modules[__package__].__path__)
    return next((str(path) for path in paths if path.exists()), None)


def declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """The library with the types of its functions.

    Raises
    ------
    CoreMissingError
        If it was compiled from other sources, as happens where the package is installed in editable mode.
    """
    layout = getattr(library, "layout", int)  # of a library without one, 0
    if layout() != (VERSION * 1000 + ctypes.sizeof(_Layer)) * 1000 + ctypes.sizeof(Adam):
        raise CoreMissingError("the compiled core is of another version: install the package again")
    for name, letters in SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = None, [c_void_p if letter == "p" else c_int64 for letter in letters]
    return library


class _Layer(ctypes.Structure):
    """Mirrors the Layer of core.c."""

    _fields_ = (
        *((name, c_int64) for name in ("rows", "width", "bf16", "threshold")),
        *((name, c_float) for name in ("stretch", "eps", "momentum")),
        *((name, c_void_p) for name in ("bias", "scale", "mean", "var", "slope", "running_mean", "running_var")),
        *((name, c_void_p) for name in ("grad_bias", "grad_scale", "keys", "out")),
    )


class Layer:
    """A hidden layer in one step: its vectors, ``(n, O)``, and its outputs, ``(n, rows, O)``."""

    def __init__(self, spec: LayerSpec, rows: int, dtype: torch.dtype) -> None:
        self.library, _ = load()
        self.n, _, self.width = spec.weight.shape
        self.rows, self.dtype, self.normed = rows, dtype, spec.scale is not None
        self.out = room(self.n, rows, self.width, dtype=dtype)
        self.keys = spec.draw_keys(self.n) if spec.threshold else None
        self.vectors = {"bias": spec.bias.detach()}  # which keeps the memory, whatever becomes of the parameter
        if spec.scale is not None and spec.running_mean is not None and spec.running_var is not None:
            self.vectors["scale"] = spec.scale.detach()
            self.vectors |= {"running_mean": spec.running_mean, "running_var": spec.running_var}
            self.vectors |= {name: self._vectors() for name in ("mean", "var", "slope")}
        self.struct = _Layer(
            rows=rows,
            width=self.width,
            bf16=BF16[dtype],
            threshold=spec.threshold,
            stretch=spec.stretch,
            eps=spec.eps,
            momentum=spec.momentum,
            keys=None if self.keys is None else address(self.keys, (self.n, 2), torch.int32),
            out=self.out.data_ptr(),
            **{name: address(x, (self.n, self.width)) for name, x in self.vectors.items()},
        )
        self.at = ctypes.addressof(self.struct)

    def _vectors(self) -> Tensor:
        return room(self.n, self.width)

    def new_gradients(self) -> list[Tensor]:
        """Those of bias and, with batch norm, scale, which the next backward fills."""
        self.gradients = [self._vectors() for _ in range(1 + self.normed)]
        self.struct.grad_bias = self.gradients[0].data_ptr()
        self.struct.grad_scale = self.gradients[1].data_ptr() if self.normed else None
        return self.gradients

    def forward(self, members: slice, c: slice, z: Tensor) -> None:
        """Of some members some columns, whose linear map has given `z`: a matrix of one member, or all of each."""
        self._check(members, c)
        self.library.hidden_forward(
            self.at, members.start, members.stop, c.start, c.stop, *self._matrices(z, members, c)
        )

    def backward(self, members: slice, c: slice, z: Tensor, g: Tensor, d: Tensor) -> None:
        """From `g`, the gradient of these columns of the outputs, to `d`, that of the linear maps."""
        self._check(members, c)
        matrices = (number for x in (z, g, d) for number in self._matrices(x, members, c))
        self.library.hidden_backward(self.at, members.start, members.stop, c.start, c.stop, *matrices)

    def _check(self, members: slice, c: slice) -> None:
        there = 0 <= members.start < members.stop <= self.n and 0 <= c.start < c.stop <= self.width
        if not (there and c.start % 4 == 0):
            raise ValueError(f"there are no columns {c} of members {members} in {tuple(self.out.shape)}")

    def _matrices(self, x: Tensor, members: slice, c: slice) -> tuple[int, int]:
        n, width = members.stop - members.start, c.stop - c.start
        if n > 1 or x.dim() == 3:
            return address(x, (n, self.rows, width), self.dtype), width
        return matrix(x, (self.rows, width), self.dtype)


def mix(weights: Tensor, outs: Tensor, mixed: Tensor, rows: slice) -> None:
    """Some rows of the mixtures ``(B, G, H)`` by weights ``(B, G, E)`` of the outputs ``(E, B, H)`` of experts."""
    _mixtures("mix", weights, outs, mixed, rows)


def mix_to_weights(grads: Tensor, outs: Tensor, grad_weights: Tensor, rows: slice) -> None:
    """Some rows of the gradient of the weights, from that of the mixtures."""
    _mixtures("mix_to_weights", grad_weights, outs, grads, rows)


def _mixtures(name: str, weights: Tensor, outs: Tensor, mixed: Tensor, rows: slice) -> None:
    b, g, e, h = _sizes(weights, mixed)
    if not 0 <= rows.start <= rows.stop <= b:
        raise ValueError(f"there are no rows {rows.start} to {rows.stop} of {b}")
    w, m = address(weights, (b, g, e)), address(mixed, (b, g, h))
    matrices = address(outs, (e, b, h), outs.dtype), b * h
    first, last = (m, w) if name == "mix_to_weights" else (w, m)
    getattr(load()[0], name)(first, *matrices, last, rows.start, rows.stop, g, e, h, BF16[outs.dtype])


def mix_to_outputs(weights: Tensor, grads: Tensor, members: slice, dtype: torch.dtype) -> Tensor:
    """The gradient of the outputs of some experts, ``(members, B, H)``, from that of the mixtures; of one, a matrix."""
    rows, n_gates, n, width = sizes = _sizes(weights, grads)
    first, last = members.start, members.stop
    if not 0 <= first < last <= n:
        raise ValueError(f"there are no experts {members} in {n}")
    g = room_of(last - first, rows, width, dtype)
    matrices = address(weights, sizes[:3]), address(grads, (rows, n_gates, width)), g.data_ptr()
    load()[0].mix_to_outputs(*matrices, first, last, rows, n_gates, n, width, BF16[dtype])
    return g


def scatter_add(codes: Tensor, grads: Tensor, table: Tensor) -> None:
    """Add each vector of `grads` (…, D) to the row of `table` that its code in `codes` (…) says."""
    if codes.numel() and not (codes.min() >= 0 and codes.max() < len(table)):
        raise ValueError(f"there are codes outside the {len(table)} rows of the table")
    width = table.shape[1]
    name = {torch.int32: "scatter_add_32", torch.int64: "scatter_add_64"}[codes.dtype]
    vectors = address(codes, codes.shape, codes.dtype), address(grads, (*codes.shape, width))
    getattr(load()[0], name)(*vectors, address(table, table.shape), codes.numel(), width)


def transposed(x: Tensor) -> Tensor:
    """The transpose of a float32 matrix, without gaps; torch takes twice as long."""
    if not is_dense(x):
        return x.t().contiguous()
    rows, columns = x.shape
    out = room(columns, rows)
    load()[0].transpose(*matrix(x, (rows, columns), torch.float32), rows, columns, out.data_ptr())
    return out


def room(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Fresh memory on the CPU, whatever torch's defaults are."""
    return torch.empty(shape, dtype=dtype, device="cpu")


def room_of(members: int, rows: int, width: int, dtype: torch.dtype) -> Tensor:
    """Fresh memory for a matrix of each of several members, ``(members, rows, width)``; of one, a matrix."""
    shape = (rows, width) if members == 1 else (members, rows, width)
    return room(*shape, dtype=dtype)


class Adam(ctypes.Structure):
    """What a step of Adam does to a parameter. Mirrors the Adam of core.c."""

    _fields_ = tuple((name, c_float) for name in ("keep1", "keep2", "eps", "size", "root", "shrink", "pull", "newest"))


def adam_pieces(options: Adam, tensors: Sequence[Tensor], average: Tensor | None, size: int) -> list[tuple[Any, ...]]:
    """The step for a parameter, its gradient, its two moments and its average, in pieces of so many numbers."""
    shape, n = tensors[0].shape, tensors[0].numel()
    at = [address(x, shape) for x in tensors]
    last = None if average is None else address(average, shape)
    starts = range(0, n, size)
    ends = ((*(x + 4 * i for x in at), None if last is None else last + 4 * i, min(size, n - i)) for i in starts)
    return [(ctypes.addressof(options), *end) for end in ends]


def adam(piece: tuple[Any, ...]) -> None:
    """Take one piece of the step; what it was made of has to be kept until then."""
    load()[0].adam(*piece)


def address(x: Tensor, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> int:
    """Where a contiguous tensor lies in memory.

    Raises
    ------
    ValueError
        If it is another tensor than the core is told.
    """
    if x.shape != tuple(shape) or x.dtype != dtype or x.device.type != "cpu" or not x.is_contiguous():
        raise ValueError(f"expected a contiguous {dtype} tensor {tuple(shape)} on the CPU, got {_describe(x)}")
    return x.data_ptr()


def matrix(x: Tensor, shape: tuple[int, int], dtype: torch.dtype) -> tuple[int, int]:
    """The address of a matrix, and the numbers from one row to the next; within a row they are neighbours.

    Raises
    ------
    ValueError
        If it is another matrix than the core is told.
    """
    if x.shape != shape or x.dtype != dtype or x.device.type != "cpu" or not is_dense(x):
        raise ValueError(f"expected a {dtype} matrix {shape} with dense rows on the CPU, got {_describe(x)}")
    return x.data_ptr(), x.stride(0)


def is_dense(x: Tensor) -> bool:
    """Whether the numbers of a row of a matrix are neighbours, and rows do not overlap."""
    return x.dim() == 2 and (x.stride(1) == 1 or x.shape[1] == 1) and (x.stride(0) >= x.shape[1] or len(x) == 1)


def _describe(x: Tensor) -> str:
    return f"{x.dtype} {tuple(x.shape)} with strides {x.stride()} on {x.device}"


def _sizes(weights: Tensor, mixed: Tensor) -> tuple[int, int, int, int]:
    rows, n_gates, n = weights.shape
    return rows, n_gates, n, mixed.shape[-1]
