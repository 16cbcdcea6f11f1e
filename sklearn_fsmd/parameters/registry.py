"""Registries of the parts of a network that are chosen by name, with the parameters that each part uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple


class Part(NamedTuple):
    """A registered part of a network."""

    build: Callable[..., Any]
    """Builds the part from the parameters of the network and its sizes."""
    reads: frozenset[str]
    """Parameters that have an effect only with parts that list them here."""
    own_embeddings: bool = False
    """Whether each task has separate embeddings."""


class Registry:
    """Parts by name. `names` grows as parts are registered, and the constraint of the parameter uses the same set."""

    def __init__(self) -> None:
        self.parts: dict[str, Part] = {}
        self.names: set[str] = set()

    def register(
        self, name: str, reads: Iterable[str] = (), *, own_embeddings: bool = False
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register the decorated function under `name`.

        Parameters
        ----------
        name : the value of the parameter that chooses the part.
        reads : the parameters that have an effect only with parts that list them here.
        own_embeddings : whether each task has separate embeddings; the input of the part then has those of each task.

        Raises
        ------
        ValueError
            If there is already a part of that name.
        """

        def add(build: Callable[..., Any]) -> Callable[..., Any]:
            if name in self.parts:
                raise ValueError(f"there is already a part named {name!r}")
            self.parts[name] = Part(build, frozenset(reads), own_embeddings)
            self.names.add(name)
            return build

        return add

    def unused(self, name: str | None) -> frozenset[str]:
        """The parameters that other parts use and the part `name` does not; with None, no part is used."""
        used: frozenset[str] = frozenset() if name is None else self.parts[name].reads
        return frozenset().union(*(part.reads for part in self.parts.values())) - used


EXTRACTORS = Registry()
"""Modules that turn the embedded row into one representation per task; built from (parameters, n_inputs, n_tasks)."""

LOW_ORDER = Registry()
"""Terms that are added to the logits of the tasks; built from (parameters, columns, n_tasks, n_sets)."""
