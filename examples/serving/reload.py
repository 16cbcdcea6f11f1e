"""The file that is served, and the next one: it is looked at again and again, and opened when it has been replaced."""

import asyncio
import logging
import os
from pathlib import Path
from typing import Any, NamedTuple

from serving.metrics import Metrics
from serving.model_file import BrokenFileError, ModelFile

log = logging.getLogger("serving")


class Stamp(NamedTuple):
    """By what a file is told from the one before."""

    inode: int
    size: int
    modified: int
    changed: int
    """Its owner or mode too: a file that could not be read may be readable then."""


class State(NamedTuple):
    """What is served, and why the file that is there now is not, if it is not.

    `model` is None before a file could be opened.
    """

    model: ModelFile | None
    error: str | None


def _described(column: dict[str, Any]) -> str:
    """How a value of a column is sent."""
    width, separator = column.get("width"), column.get("separator")
    more = f" of {width} numbers" if width else "" if separator is None else f", or with {separator!r} in between"
    return f"{column['holds']}, {column['type']}{more}"


def _change_of_rows(former: ModelFile, model: ModelFile) -> str:
    """What clients of the former model have to send in another way; empty if nothing."""
    before, now = ({column["name"]: _described(column) for column in one.columns} for one in (former, model))
    gone = [name for name in [*before, *former.not_needed] if name not in now and name not in model.not_needed]
    changes = [f"{name!r} is new ({now[name]})" for name in now if name not in before]
    changes += [f"{name!r} is refused" for name in gone]
    changes += [
        f"{name!r} was {before[name]}, and is {now[name]}"
        for name in now
        if name in before and now[name] != before[name]
    ]
    return "; ".join(changes)


class ModelStore:
    """The model in use. `state` is swapped as a whole, after log and metrics know of it.

    A request that took a model ends with it.
    """

    def __init__(self, path: Path, metrics: Metrics) -> None:
        self.path, self._metrics = path, metrics
        self.state = State(None, None)
        self._seen: Stamp | str = "nothing"

    def refresh(self) -> None:
        """Open the file if it is another one than at the last look; keep the former if that fails."""
        stamp = self._stamp()
        if stamp == self._seen:
            return
        if isinstance(stamp, str):
            self._keep(stamp)
        else:
            try:
                model = ModelFile(self.path)
            except BrokenFileError as error:
                if self._stamp() != stamp:
                    return  # it is being written; the next look finds what has become of it
                self._keep(f"{self.path} is not served: {error}")
            else:
                if self._stamp() != stamp:
                    return
                self._take(model)
        self._seen = stamp

    async def watch(self, seconds: float) -> None:
        """Look at the file until the task is cancelled."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await asyncio.to_thread(self.refresh)
            except Exception:  # the watch must go on, whatever a look ends in
                log.exception("The look at %s failed", self.path)

    def _take(self, model: ModelFile) -> None:
        log.info("Serving %s, model %s, %d columns", self.path, model.version, len(model.columns))
        if self.state.model is not None and (change := _change_of_rows(self.state.model, model)):
            log.warning("Model %s takes other rows than model %s: %s", model.version, self.state.model.version, change)
        self._metrics.loaded()
        self.state = State(model, None)

    def _keep(self, error: str) -> None:
        model = self.state.model
        kept = "no model is served" if model is None else f"model {model.version} stays in use"
        log.error("%s; %s", error, kept)
        self._metrics.failed()
        self.state = State(model, error)

    def _stamp(self) -> Stamp | str:
        """The stamp of the file, or why it has none."""
        try:
            found = os.stat(self.path)
        except OSError as error:
            return f"{self.path} cannot be read: {error.strerror}"
        return Stamp(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
