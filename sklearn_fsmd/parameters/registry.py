"""Parts of a network that are chosen by name, and which parameters each of them reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple


class Part(NamedTuple):
    """How a part is made, of the parameters of the network and its sizes, and the parameters that it alone reads."""

    build: Callable[..., Any]
    reads: frozenset[str]
    own_embeddings: bool = False
    """Whether each task has embeddings of its own."""


class Registry:
    """Parts by name. `names` grows as parts are registered, and with it what a parameter may be."""

    def __init__(self) -> None:
        self.parts: dict[str, Part] = {}
        self.names: set[str] = set()

    def register(
        self, name: str, reads: Iterable[str] = (), *, own_embeddings: bool = False
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register the decorated function under `name`.

        Parameters
        ----------
        name : what the parameter is set to, to choose the part.
        reads : the parameters that have an effect only with parts that name them.
        own_embeddings : whether each task has embeddings of its own; the part is given those of all tasks then.

        Raises
        ------
        ValueError
            If there is another part of that name.
        """

        def add(build: Callable[..., Any]) -> Callable[..., Any]:
            if name in self.parts:
                raise ValueError(f"there is a part named {name!r} already")
            self.parts[name] = Part(build, frozenset(reads), own_embeddings)
            self.names.add(name)
            return build

        return add

    def unused(self, name: str | None) -> frozenset[str]:
        """The parameters that other parts read and the one of that name does not; None is no part."""
        own: frozenset[str] = frozenset() if name is None else self.parts[name].reads
        return frozenset().union(*(part.reads for part in self.parts.values())) - own


EXTRACTORS = Registry()
"""What turns the embedded row into one representation per task; made of (parameters, n_inputs, n_tasks)."""

LOW_ORDER = Registry()
"""What is added to the tasks' logits; made of (parameters, columns, n_tasks, n_sets)."""
