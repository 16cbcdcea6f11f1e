"""Objects as JSON and arrays, so that reading a file runs no code.

Values that JSON has are written as they are. All others become a dictionary that names their kind, and their numbers
go to arrays. Only objects of the classes that are passed to :class:`Packer` and :class:`Unpacker` are allowed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import torch

MAX_FIXED_WASTE = 1000
"""Largest allowed ratio of the size of an array of fixed-width strings to the characters of its strings."""


class NotPlainError(TypeError):
    """A value that cannot be written without code."""


def qualified_name(value: Any) -> str:
    """The qualified name of a function or class, or of the class of another object."""
    kind = value if hasattr(value, "__qualname__") else type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def digest_of(*values: Any) -> str:
    """The SHA-256 of plain values, arrays and objects of these; equal values have the same one in every process."""
    digest = hashlib.sha256()

    def add(value: Any) -> None:
        match value:
            case np.ndarray() if value.dtype != object:
                digest.update(f"{value.dtype}{value.shape}".encode())
                digest.update(np.ascontiguousarray(value).data)
            case str():
                text = value.encode("utf-8", "surrogatepass")
                digest.update(f"str{len(text)}:".encode() + text)
            case dict():
                add([pair for item in value.items() for pair in item])
            case list() | tuple() | np.ndarray():
                digest.update(f"{len(value)} values".encode())
                for item in value:
                    add(item)
            case pd.Index():
                add(value.to_numpy())
            case _ if type(value).__module__.startswith("sklearn_fsmd"):
                add([type(value).__name__, value.__getstate__()])
            case _:
                digest.update(f"{type(value).__qualname__}{value!r};".encode())

    for value in values:
        add(value)
    return digest.hexdigest()


class Packer:
    """Converts values to JSON, and collects their arrays in `arrays`.

    Parameters
    ----------
    classes : classes whose objects may be written.
    """

    def __init__(self, *classes: type) -> None:
        self.classes = classes
        self.arrays: dict[str, np.ndarray] = {}

    def pack(self, value: Any, path: str) -> Any:
        """Return `value` as JSON. The names of its arrays start with `path`.

        Raises
        ------
        NotPlainError
            If a part of it cannot be written without code.
        """
        match value:
            case None | bool() | int() | str():
                return value
            case float():
                return float(value)
            case bytes():
                return {"bytes": value.hex()}
            case timedelta() | np.timedelta64():
                return {"nanoseconds": int(pd.Timedelta(value).as_unit("ns").value)}
            case np.generic():
                return self.pack(value.item(), path)
            case os.PathLike():
                return os.fspath(value)
            case pd.Series() | pd.Index():
                return self.pack(value.to_numpy(), path)
            case list():
                return self._pack_all(value, path)
            case tuple():
                return {"tuple": self._pack_all(value, path)}
            case dict():
                items = [[self.pack(key, path), self.pack(item, f"{path}/{key}")] for key, item in value.items()]
                return {"dict": items}
            case np.ndarray():
                return self._pack_array(value, path)
            case torch.Tensor():
                return {"tensor": self._add_array(value.detach().cpu().numpy(), path)}
            case np.random.RandomState():
                kind = value.get_state(legacy=False)["bit_generator"]
                if kind != "MT19937":
                    raise NotPlainError(f"{path}: a file without code cannot hold a {kind}.")
                return {"random": self.pack(value.get_state(legacy=True), path)}
        if type(value) in self.classes:
            state = value.__getstate__()
            return {"object": type(value).__name__, "state": self.pack(state, path)}
        raise NotPlainError(f"{path}: a file without code cannot hold {value!r}, a {type(value).__name__}.")

    def _pack_all(self, values: Any, path: str) -> list[Any]:
        return [self.pack(value, f"{path}/{i}") for i, value in enumerate(values)]

    def _pack_array(self, array: np.ndarray, path: str) -> dict[str, Any]:
        if array.dtype.kind in "biuf":
            return {"array": self._add_array(array, path)}
        if array.dtype.kind not in "OU" or array.ndim != 1:
            raise NotPlainError(f"{path}: a file cannot hold an array of {array.dtype} with {array.ndim} dimensions.")
        values = array.tolist()
        if not all(isinstance(value, str) for value in values):
            return {"objects": self._pack_all(values, path)}
        texts = [value.encode("utf-8", "surrogatepass") for value in values]
        text = self._add_array(np.frombuffer(b"".join(texts), dtype=np.uint8), f"{path}/text")
        lengths = self._add_array(np.array([len(text) for text in texts], dtype=np.uint32), f"{path}/lengths")
        return {"strings": text, "lengths": lengths, "fixed": array.dtype.kind == "U"}

    def _add_array(self, array: np.ndarray, name: str) -> str:
        if name in self.arrays:  # such as for a dictionary with the keys 1 and "1"
            name = f"{name}#{len(self.arrays)}"
        self.arrays[name] = np.asarray(array, order="C")
        return name


class Unpacker:
    """Converts the JSON and the arrays of a :class:`Packer` back to values.

    Parameters
    ----------
    arrays : arrays that the packer has collected. Each is used once, so that the values are no larger than the file.
    classes : classes whose objects may be read.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], *classes: type) -> None:
        self.arrays = dict(arrays)
        self.classes = {cls.__name__: cls for cls in classes}

    def unpack(self, value: Any) -> Any:
        """Return the value that was packed as the JSON `value`.

        Raises
        ------
        ValueError
            If the JSON was not written by a packer.
        """
        match value:
            case None | bool() | int() | float() | str():
                return value
            case list():
                return [self.unpack(item) for item in value]
            case {"tuple": list(items)}:
                return tuple(self.unpack(item) for item in items)
            case {"dict": list(items)}:
                return {self.unpack(key): self.unpack(item) for key, item in items}
            case {"bytes": str(digits)}:
                return bytes.fromhex(digits)
            case {"nanoseconds": int(length)}:
                return pd.Timedelta(length, "ns")
            case {"array": str(name)}:
                return self.arrays.pop(name)
            case {"tensor": str(name)}:
                return torch.from_numpy(self.arrays.pop(name))
            case {"objects": list(items)}:
                return np.fromiter((self.unpack(item) for item in items), dtype=object, count=len(items))
            case {"strings": str(text), "lengths": str(lengths), "fixed": bool(fixed)}:
                return self._strings(self.arrays.pop(text).tobytes(), self.arrays.pop(lengths), fixed)
            case {"random": state}:
                random, (_, _, position, *_) = np.random.RandomState(), (state := self.unpack(state))
                if not 0 <= position <= 624:  # numpy does not check it, and would read beyond its array
                    raise ValueError(f"a random state has no position {position}")
                random.set_state(state)
                return random
            case {"object": str(name), "state": state}:
                return self._object(self.classes[name], self.unpack(state))
        raise ValueError(f"{value!r} is not a packed value")

    @staticmethod
    def _strings(text: bytes, lengths: np.ndarray, fixed: bool) -> np.ndarray:
        ends = np.cumsum(lengths, dtype=np.int64).tolist()
        starts = [0, *ends][: len(ends)]
        strings = [text[a:b].decode("utf-8", "surrogatepass") for a, b in zip(starts, ends, strict=True)]
        if fixed and len(strings) * max(map(len, strings), default=0) > MAX_FIXED_WASTE * (len(text) + 1):
            raise ValueError("strings of very different lengths in an array of fixed width")
        return np.array(strings, dtype=str if fixed else object)

    @staticmethod
    def _object(cls: type, state: dict[str, Any]) -> Any:
        instance: Any = object.__new__(cls)
        if hasattr(instance, "__setstate__"):
            instance.__setstate__(state)
        else:
            instance.__dict__.update(state)
        return instance
