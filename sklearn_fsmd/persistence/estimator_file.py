"""save and load: an estimator as one file, which holds no code."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from sklearn import config_context
from sklearn.utils.validation import check_is_fitted

from sklearn_fsmd.encoding import (
    CategoryColumn,
    Encoded,
    FeatureEncoder,
    InputEncoder,
    ListColumn,
    NumericColumn,
    TargetEncoder,
    TargetStatistics,
    ValueEncoder,
    VectorColumn,
)
from sklearn_fsmd.parameters import warn
from sklearn_fsmd.parameters.machine import resolve_device
from sklearn_fsmd.persistence import container as storage
from sklearn_fsmd.persistence.codec import NotPlainError, Packer, Unpacker, described

CLASSES = (
    InputEncoder,
    FeatureEncoder,
    CategoryColumn,
    NumericColumn,
    ListColumn,
    VectorColumn,
    Encoded,
    TargetEncoder,
    ValueEncoder,
    TargetStatistics,
)
"""What a fitted estimator consists of, beside plain values and arrays. Their attributes are the format of the file."""

NET = "net_"
ROUTING = "_metadata_request"


class Saving:
    """The methods of an estimator that can be saved; `_parts` are classes of its own that it consists of."""

    _parts: ClassVar[tuple[type, ...]] = ()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to one file: parameters, encoding, vocabulary and weights.

        The file is of the safetensors format and holds no code: reading one of unknown origin runs none. A parameter
        that is code (an extractor of one's own, callbacks, a callable) is named in the file and handed to
        :meth:`load` again. A file of that name is replaced when the new one is complete.

        Parameters
        ----------
        path : str or path

        Raises
        ------
        OSError
            If the file cannot be written; what was there before is unchanged then.
        TypeError
            If the vocabulary holds values that are neither strings nor numbers.
        ValueError
            If it holds millions of values of mixed types, for which a file has no room.
        """
        check_is_fitted(self)
        given: Any = self.__getstate__()
        state = dict(given)  # which may be that of the estimator itself
        packer = Packer(*CLASSES, *self._parts)
        parameters = set(self.get_params(deep=False))  # type: ignore[attr-defined]

        def pack(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
            packed = {}
            for name, value in values.items():
                try:
                    packed[name] = packer.pack(value, prefix + name)
                except NotPlainError:
                    if name not in parameters:
                        raise
                    packed[name] = {"parameter": name, "was": described(value)}
            return packed

        net, routing = state.pop(NET, None), state.pop(ROUTING, None)
        content: dict[str, Any] = {"class": type(self).__name__, "state": pack(state, "")}
        if net is not None:
            content["spec"] = pack(net.pop("spec"), "spec/")
            content["net"] = pack(net, "net/")
        if routing is not None:
            content["routing"] = {method: routes for method, routes in _requests(routing) if routes}
        storage.write(path, "model", content, packer.arrays)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, device: str = "auto", parameters: Mapping[str, Any] | None = None
    ) -> Self:
        """Read what :meth:`save` has written.

        Parameters
        ----------
        path : str or path
        device : str, default="auto"
            Where the network is put, of an estimator that has one; it becomes its parameter `device`. Its parameters
            `checkpoint` and `checkpoint_rows` become None.
        parameters : dict or None, default=None
            The parameters that the file cannot hold: an extractor of one's own, callbacks, a callable. The error
            that asks for them names them.

        Returns
        -------
        estimator : an estimator of the class that was saved, `cls` or a subclass of it.

        Raises
        ------
        OSError
            If there is no such file.
        ValueError
            If it is no file of `save`, is damaged, is newer than this library, holds an estimator of another class,
            or if parameters are missing.
        """
        resolve_device(device)
        content, arrays = storage.read(path, "model")
        try:
            name, state, spec = content["class"], content["state"], content.get("spec", {})
            known = [kind for kind in dict.fromkeys((cls, *_subclasses(cls))) if kind.__name__ == name]
            if not known:
                raise ValueError(f"it holds {name}, not {cls.__name__}; use {name}.load")
            if len(known) > 1 and known[0] is not cls:
                raise ValueError(f"several classes are named {name}; use {name}.load of the one that you mean")
            kind = known[0]
            given = _handed_in([*state.values(), *spec.values()], parameters or {})
            unpacker = Unpacker(arrays, *CLASSES, *kind._parts)

            def unpack(packed: Mapping[str, Any]) -> dict[str, Any]:
                return {key: given[key] if _is_code(value) else unpacker.unpack(value) for key, value in packed.items()}

            made: Any = object.__new__(kind)
            full = unpack(state)
            if "device" in full:
                full["device"] = device
            for parameter in {"checkpoint", "checkpoint_rows"} & full.keys():
                full[parameter] = None  # a file does not choose where a fit of this process writes
            if spec:
                full[NET] = {**unpack(content["net"]), "spec": {**unpack(spec), "device": device}}
            made.__setstate__(full)
            with config_context(enable_metadata_routing=True):
                for method, requests in content.get("routing", {}).items():
                    getattr(made, f"set_{method}_request")(**requests)
        except ValueError as error:
            raise ValueError(f"{path} cannot be loaded: {error}") from error
        except Exception as error:  # the checksum is right, so somebody wrote what no version of this library writes
            raise ValueError(f"{path} cannot be loaded: {type(error).__name__}, {error}") from error
        return made


def _is_code(packed: Any) -> bool:
    return isinstance(packed, dict) and packed.keys() == {"parameter", "was"}


def _handed_in(packed: list[Any], parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """`parameters`, checked to be those that the file does not hold."""
    wanted = {value["parameter"]: value["was"] for value in packed if _is_code(value)}
    if missing := wanted.keys() - parameters.keys():
        listed = ", ".join(f"{name!r}: … (it was {wanted[name]})" for name in sorted(missing))
        raise ValueError(f"the file holds no code, so load(…, parameters={{{listed}}}) has to bring these parameters")
    if strange := parameters.keys() - wanted.keys():
        raise ValueError(f"`parameters` names {sorted(strange)}, which the file holds; use set_params")
    for name, was in wanted.items():
        if described(parameters[name]) != was:
            warn(f"{name!r} was {was} when the model was saved; {parameters[name]!r} is used.")
    return parameters


def _requests(routing: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """What metadata each method asks for, by scikit-learn's `set_…_request`."""
    for method in ("fit", "partial_fit", "score", "transform"):
        if hasattr(routing, method):
            yield method, dict(getattr(routing, method).requests)


def _subclasses(cls: Any) -> Iterator[Any]:
    for child in cls.__subclasses__():
        yield child
        yield from _subclasses(child)
