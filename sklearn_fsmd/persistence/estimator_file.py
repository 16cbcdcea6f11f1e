"""save and load: an estimator as one file that contains no code."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from sklearn import config_context
from sklearn.utils.validation import check_is_fitted

from sklearn_fsmd.encoding import InputEncoder
from sklearn_fsmd.encoding.columns import CategoryColumn, ListColumn, NumericColumn, VectorColumn
from sklearn_fsmd.encoding.statistics import TargetStatistics
from sklearn_fsmd.encoding.table import Encoded, FeatureEncoder
from sklearn_fsmd.encoding.targets import TargetEncoder, ValueEncoder
from sklearn_fsmd.parameters import warn
from sklearn_fsmd.parameters.machine import resolve_device
from sklearn_fsmd.persistence import container as storage
from sklearn_fsmd.persistence.codec import NotPlainError, Packer, Unpacker, qualified_name

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
"""The classes of the parts of a fitted estimator, except plain values and arrays.

Their attributes are the format of the file.
"""

NET = "net_"
ROUTING = "_metadata_request"


class Saving:
    """Mixin with the methods `save` and `load`; `_parts` are further classes of the parts of the estimator."""

    _parts: ClassVar[tuple[type, ...]] = ()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to one file: parameters, encoding, vocabulary and weights.

        The file has the safetensors format and contains no code, so it is safe to load a file of unknown origin. A
        parameter that is code (an extractor of your own, callbacks, a callable) is not written; pass it to :meth:`load`
        again.

        Parameters
        ----------
        path : str or path
            File to write. An existing file is replaced when the new one is complete.

        Raises
        ------
        OSError
            If the file cannot be written. An existing file stays unchanged.
        TypeError
            If the vocabulary holds values that are neither strings nor numbers.
        ValueError
            If the vocabulary holds millions of values of mixed types, which a file has no room for.
        """
        check_is_fitted(self)
        own_state: Any = self.__getstate__()
        state = dict(own_state)  # a copy, since it may be the `__dict__` of the estimator
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
                    packed[name] = {"parameter": name, "was": qualified_name(value)}
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
        """Load an estimator from a file that :meth:`save` has written.

        The parameters `checkpoint` and `checkpoint_rows` of the loaded estimator are None.

        Parameters
        ----------
        path : str or path
            File to read.
        device : str, default="auto"
            Device of the network, if the estimator has one. It becomes the parameter `device` of the estimator.
        parameters : dict or None, default=None
            Values of the parameters that the file cannot hold, by name: an extractor of your own, callbacks, a
            callable. The error message lists those that are missing.

        Returns
        -------
        estimator : instance of `cls` or of a subclass
            Estimator of the class that was saved.

        Raises
        ------
        OSError
            If there is no such file.
        ValueError
            If the file was not written by `save`, is damaged, is newer than this library or holds an estimator of
            another class, or if `parameters` does not match the file.
        """
        if hasattr(cls, "device"):
            resolve_device(device)
        content, arrays = storage.read(path, "model")
        try:
            name, state, spec = content["class"], content["state"], content.get("spec", {})
            matches = [kind for kind in dict.fromkeys((cls, *_subclasses(cls))) if kind.__name__ == name]
            if not matches:
                raise ValueError(f"it holds {name}, not {cls.__name__}; use {name}.load")
            if len(matches) > 1 and matches[0] is not cls:
                raise ValueError(f"several classes are named {name}; use {name}.load of the one that you mean")
            kind = matches[0]
            code_values = _checked_parameters([*state.values(), *spec.values()], parameters or {})
            unpacker = Unpacker(arrays, *CLASSES, *kind._parts)

            def unpack(packed: Mapping[str, Any]) -> dict[str, Any]:
                return {
                    key: code_values[key] if _is_code(value) else unpacker.unpack(value)
                    for key, value in packed.items()
                }

            estimator: Any = object.__new__(kind)
            full_state = unpack(state)
            if "device" in full_state:
                full_state["device"] = device
            for parameter in {"checkpoint", "checkpoint_rows"} & full_state.keys():
                full_state[parameter] = None  # a file must not decide where a later fit writes
            if spec:
                full_state[NET] = {**unpack(content["net"]), "spec": {**unpack(spec), "device": device}}
            estimator.__setstate__(full_state)
            with config_context(enable_metadata_routing=True):
                for method, requests in content.get("routing", {}).items():
                    getattr(estimator, f"set_{method}_request")(**requests)
        except ValueError as error:
            raise ValueError(f"{path} cannot be loaded: {error}") from error
        except Exception as error:  # the checksum is right, so no version of this library wrote the content
            raise ValueError(f"{path} cannot be loaded: {type(error).__name__}, {error}") from error
        return estimator


def _is_code(packed: Any) -> bool:
    return isinstance(packed, dict) and packed.keys() == {"parameter", "was"}


def _checked_parameters(packed: list[Any], parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `parameters` after a check that they are exactly those that the file does not hold."""
    required = {value["parameter"]: value["was"] for value in packed if _is_code(value)}
    if missing := required.keys() - parameters.keys():
        listed = ", ".join(f"{name!r}: … (it was {required[name]})" for name in sorted(missing))
        raise ValueError(f"the file holds no code, so pass these parameters: load(…, parameters={{{listed}}})")
    if unexpected := parameters.keys() - required.keys():
        raise ValueError(f"`parameters` names {sorted(unexpected)}, which the file holds; use set_params")
    for name, was in required.items():
        if qualified_name(parameters[name]) != was:
            warn(f"{name!r} was {was} when the model was saved; {parameters[name]!r} is used.")
    return parameters


def _requests(routing: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The metadata that each method requests, as set by scikit-learn's `set_…_request`."""
    for method in ("fit", "partial_fit", "score", "transform"):
        if hasattr(routing, method):
            yield method, dict(getattr(routing, method).requests)


def _subclasses(cls: Any) -> Iterator[Any]:
    for child in cls.__subclasses__():
        yield child
        yield from _subclasses(child)
