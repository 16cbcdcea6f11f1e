"""Python interface of the compiled core, core.c: finds and loads the library, and checks the arguments.

The core is compiled when the package is built, once for each instruction level of torch (AVX2, AVX-512). The library
for the level that torch uses is loaded. So the environment variable ATEN_CPU_CAPABILITY, which limits torch, also
limits the core.
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
"""For each instruction level of torch the builds that run on it, the fastest first; for all other levels "any"."""

BF16 = {torch.float32: 0, torch.bfloat16: 1}
"""The dtypes of matrices that the core supports, and the value of its argument `bf16`."""

VERSION = 4
"""Version of the signatures below; core.c has the same number."""

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
    """There is no usable compiled core."""


@cache
def load() -> tuple[ctypes.CDLL, str]:
    """The library and its instruction level.

    Raises
    ------
    CoreMissingError
        If there is no usable library.
    """
    for level in LEVELS.get(torch.backends.cpu.get_cpu_capability(), ("any",)):
        if path := find(file_name(level)):
            try:
                return declare(ctypes.CDLL(path)), level
            except OSError as error:
                raise CoreMissingError(f"the compiled core cannot be loaded: {error}") from error
    raise CoreMissingError("the package was built without a C compiler")


def file_name(level: str) -> str:
    """The file name of the library for an instruction level."""
    return f"core_{level}{ {'win32': '.dll', 'darwin': '.dylib'}.get(sys.platform, '.so') }"


def find(name: str) -> str | None:
    """The path of a file of this package; in an editable installation the package has two folders."""
    paths = (Path(folder) / name for folder in sys.modules[__package__].__path__)
    return next((str(path) for path in paths if path.exists()), None)


def declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """Declare the argument types of the functions of the library.

    Raises
    ------
    CoreMissingError
        If it was compiled from other sources, which can happen in an editable installation.
    """
    layout = getattr(library, "layout", int)  # int() is 0: a library without this function is refused
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
    """A hidden layer of all members of a stack in one step: vectors ``(n, O)``, outputs ``(n, rows, O)``."""

    def __init__(self, spec: LayerSpec, rows: int, dtype: torch.dtype) -> None:
        self.library, _ = load()
        self.n, _, self.width = spec.weight.shape
        self.rows, self.dtype, self.normed = rows, dtype, spec.scale is not None
        self.out = room(self.n, rows, self.width, dtype=dtype)
        self.keys = spec.draw_keys(self.n) if spec.threshold else None
        self.vectors = {"bias": spec.bias.detach()}  # this keeps the memory alive even if the parameter is replaced
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
        self.address = ctypes.addressof(self.struct)

    def _vectors(self) -> Tensor:
        return room(self.n, self.width)

    def new_gradients(self) -> list[Tensor]:
        """Allocate the gradients of bias and, with batch norm, scale, which the next backward pass fills."""
        self.gradients = [self._vectors() for _ in range(1 + self.normed)]
        self.struct.grad_bias = self.gradients[0].data_ptr()
        self.struct.grad_scale = self.gradients[1].data_ptr() if self.normed else None
        return self.gradients

    def forward(self, members: slice, c: slice, z: Tensor) -> None:
        """Compute columns `c` of some members from their linear map `z`; several members need all columns."""
        self._check(members, c)
        self.library.hidden_forward(
            self.address, members.start, members.stop, c.start, c.stop, *self._matrices(z, members, c)
        )

    def backward(self, members: slice, c: slice, z: Tensor, g: Tensor, d: Tensor) -> None:
        """Compute `d`, the gradient of the linear maps, from `g`, the gradient of the same columns of the outputs."""
        self._check(members, c)
        matrices = (number for x in (z, g, d) for number in self._matrices(x, members, c))
        self.library.hidden_backward(self.address, members.start, members.stop, c.start, c.stop, *matrices)

    def _check(self, members: slice, c: slice) -> None:
        is_inside = 0 <= members.start < members.stop <= self.n and 0 <= c.start < c.stop <= self.width
        if not (is_inside and c.start % 4 == 0):
            raise ValueError(f"there are no columns {c} of members {members} in {tuple(self.out.shape)}")

    def _matrices(self, x: Tensor, members: slice, c: slice) -> tuple[int, int]:
        n, width = members.stop - members.start, c.stop - c.start
        if n > 1 or x.dim() == 3:
            return address(x, (n, self.rows, width), self.dtype), width
        return matrix(x, (self.rows, width), self.dtype)


def mix(weights: Tensor, outs: Tensor, mixed: Tensor, rows: slice) -> None:
    """Compute some rows of the mixtures ``(B, G, H)`` of the expert outputs ``(E, B, H)`` by weights ``(B, G, E)``."""
    _mixtures("mix", weights, outs, mixed, rows)


def mix_to_weights(grads: Tensor, outs: Tensor, grad_weights: Tensor, rows: slice) -> None:
    """Compute some rows of the gradient of the weights from the gradient of the mixtures."""
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
    """The gradient of the outputs of some experts from that of the mixtures, ``(members, B, H)``; of one, a matrix."""
    rows, n_gates, n, width = sizes = _sizes(weights, grads)
    first, last = members.start, members.stop
    if not 0 <= first < last <= n:
        raise ValueError(f"there are no experts {members} in {n}")
    g = room_of(last - first, rows, width, dtype)
    matrices = address(weights, sizes[:3]), address(grads, (rows, n_gates, width)), g.data_ptr()
    load()[0].mix_to_outputs(*matrices, first, last, rows, n_gates, n, width, BF16[dtype])
    return g


def scatter_add(codes: Tensor, grads: Tensor, table: Tensor) -> None:
    """Add each vector of `grads` (…, D) to the row of `table` given by its code in `codes` (…)."""
    if codes.numel() and not (codes.min() >= 0 and codes.max() < len(table)):
        raise ValueError(f"there are codes outside the {len(table)} rows of the table")
    width = table.shape[1]
    name = {torch.int32: "scatter_add_32", torch.int64: "scatter_add_64"}[codes.dtype]
    vectors = address(codes, codes.shape, codes.dtype), address(grads, (*codes.shape, width))
    getattr(load()[0], name)(*vectors, address(table, table.shape), codes.numel(), width)


def transposed(x: Tensor) -> Tensor:
    """The contiguous transpose of a float32 matrix; torch takes twice as long."""
    if not is_dense(x):
        return x.t().contiguous()
    rows, columns = x.shape
    out = room(columns, rows)
    load()[0].transpose(*matrix(x, (rows, columns), torch.float32), rows, columns, out.data_ptr())
    return out


def room(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """An uninitialised tensor on the CPU, whatever the defaults of torch are."""
    return torch.empty(shape, dtype=dtype, device="cpu")


def room_of(members: int, rows: int, width: int, dtype: torch.dtype) -> Tensor:
    """An uninitialised tensor ``(members, rows, width)``; for a single member a matrix ``(rows, width)``."""
    shape = (rows, width) if members == 1 else (members, rows, width)
    return room(*shape, dtype=dtype)


class Adam(ctypes.Structure):
    """Constants of one step of Adam for a parameter. Mirrors the Adam of core.c."""

    _fields_ = tuple((name, c_float) for name in ("keep1", "keep2", "eps", "size", "root", "shrink", "pull", "newest"))


def adam_pieces(options: Adam, tensors: Sequence[Tensor], average: Tensor | None, size: int) -> list[tuple[Any, ...]]:
    """Cut a step of Adam into pieces of `size` numbers; `tensors` are parameter, gradient and the two moments."""
    shape, n = tensors[0].shape, tensors[0].numel()
    addresses = [address(x, shape) for x in tensors]
    average_address = None if average is None else address(average, shape)
    return [
        (
            ctypes.addressof(options),
            *(x + 4 * i for x in addresses),
            None if average_address is None else average_address + 4 * i,
            min(size, n - i),
        )
        for i in range(0, n, size)
    ]


def adam(piece: tuple[Any, ...]) -> None:
    """Compute one piece of a step; the tensors and options of the piece must still exist."""
    load()[0].adam(*piece)


def address(x: Tensor, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> int:
    """The address of a contiguous tensor.

    Raises
    ------
    ValueError
        If its shape, dtype, device or layout is not as expected.
    """
    if x.shape != tuple(shape) or x.dtype != dtype or x.device.type != "cpu" or not x.is_contiguous():
        raise ValueError(f"expected a contiguous {dtype} tensor {tuple(shape)} on the CPU, got {_describe(x)}")
    return x.data_ptr()


def matrix(x: Tensor, shape: tuple[int, int], dtype: torch.dtype) -> tuple[int, int]:
    """The address of a matrix with dense rows, and its row stride in numbers.

    Raises
    ------
    ValueError
        If its shape, dtype, device or layout is not as expected.
    """
    if x.shape != shape or x.dtype != dtype or x.device.type != "cpu" or not is_dense(x):
        raise ValueError(f"expected a {dtype} matrix {shape} with dense rows on the CPU, got {_describe(x)}")
    return x.data_ptr(), x.stride(0)


def is_dense(x: Tensor) -> bool:
    """Whether the numbers of each row of a matrix are adjacent, and the rows do not overlap."""
    return x.dim() == 2 and (x.stride(1) == 1 or x.shape[1] == 1) and (x.stride(0) >= x.shape[1] or len(x) == 1)


def _describe(x: Tensor) -> str:
    return f"{x.dtype} {tuple(x.shape)} with strides {x.stride()} on {x.device}"


def _sizes(weights: Tensor, mixed: Tensor) -> tuple[int, int, int, int]:
    rows, n_gates, n = weights.shape
    return rows, n_gates, n, mixed.shape[-1]
