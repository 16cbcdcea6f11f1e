"""Objects as JSON and arrays: what a file can hold that runs no code when it is read.

What JSON has stands for itself; everything else is a dictionary that names its kind, and the numbers are in arrays
beside it. Objects are those of the classes that reader and writer name, and of no others.
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

FIXED_WASTE = 1000
"""A file is refused if an array of strings of fixed width would take so many times the characters of its strings."""


class NotPlainError(TypeError):
    """A value that cannot be written without code."""


def described(value: Any) -> str:
    """What a value that is code is called: the name of the function or class, or that of an object's class."""
    kind = value if hasattr(value, "__qualname__") else type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def digest_of(*values: Any) -> str:
    """The SHA-256 of plain values, arrays and objects made of them: the same for equal ones, in every process."""
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
    """Turns values into JSON and `arrays`.

    Parameters
    ----------
    classes : the classes of objects that may be written.
    """

    def __init__(self, *classes: type) -> None:
        self.classes = classes
        self.arrays: dict[str, np.ndarray] = {}

    def pack(self, value: Any, path: str) -> Any:
        """`value` as JSON; its arrays have names that start with `path`.

        Raises
        ------
        NotPlainError
            If there is a part that has no plain form.
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
                return {"tensor": self._keep(value.detach().cpu().numpy(), path)}
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
            return {"array": self._keep(array, path)}
        if array.dtype.kind not in "OU" or array.ndim != 1:
            raise NotPlainError(f"{path}: a file cannot hold an array of {array.dtype} with {array.ndim} dimensions.")
        values = array.tolist()
        if not all(isinstance(value, str) for value in values):
            return {"objects": self._pack_all(values, path)}
        texts = [value.encode("utf-8", "surrogatepass") for value in values]
        text = self._keep(np.frombuffer(b"".join(texts), dtype=np.uint8), f"{path}/text")
        lengths = self._keep(np.array([len(text) for text in texts], dtype=np.uint32), f"{path}/lengths")
        return {"strings": text, "lengths": lengths, "fixed": array.dtype.kind == "U"}

    def _keep(self, array: np.ndarray, name: str) -> str:
        if name in self.arrays:  # of a dictionary that has the keys 1 and "1"
            name = f"{name}#{len(self.arrays)}"
        self.arrays[name] = np.asarray(array, order="C")
        return name


class Unpacker:
    """The way back.

    Parameters
    ----------
    arrays : what the packer has put aside. Each is used once, so that what is unpacked is no larger than the file.
    classes : the classes of objects that may come up.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], *classes: type) -> None:
        self.arrays = dict(arrays)
        self.classes = {cls.__name__: cls for cls in classes}

    def unpack(self, value: Any) -> Any:
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
                if not 0 <= position <= 624:  # numpy does not look, and would read beyond its array
                    raise ValueError(f"a random state has no position {position}")
                random.set_state(state)
                return random
            case {"object": str(name), "state": state}:
                return self._object(self.classes[name], self.unpack(state))
        raise ValueError(f"{value!r} stands for nothing")

    @staticmethod
    def _strings(text: bytes, lengths: np.ndarray, fixed: bool) -> np.ndarray:
        ends = np.cumsum(lengths, dtype=np.int64).tolist()
        starts = [0, *ends][: len(ends)]
        strings = [text[a:b].decode("utf-8", "surrogatepass") for a, b in zip(starts, ends, strict=True)]
        if fixed and len(strings) * max(map(len, strings), default=0) > FIXED_WASTE * (len(text) + 1):
            raise ValueError("strings of very different lengths in an array of fixed width")
        return np.array(strings, dtype=str if fixed else object)

    @staticmethod
    def _object(cls: type, state: dict[str, Any]) -> Any:
        made: Any = object.__new__(cls)
        if hasattr(made, "__setstate__"):
            made.__setstate__(state)
        else:
            made.__dict__.update(state)
        return made
