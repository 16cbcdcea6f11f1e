"""Watch the model file, and open it again when it has been replaced."""

import asyncio
import logging
import os
from pathlib import Path
from typing import Any, NamedTuple

from serving.metrics import Metrics
from serving.model_file import BrokenFileError, ModelFile

log = logging.getLogger("serving")


class Stamp(NamedTuple):
    """Identity of a version of the file."""

    inode: int
    size: int
    modified: int
    changed: int
    """Changes with the owner and the mode too: a file that could not be read may be readable then."""


class State(NamedTuple):
    """The model that is served, and the error of the newest file if that is not served.

    `model` is None until a file could be opened.
    """

    model: ModelFile | None
    error: str | None


def _description(column: dict[str, Any]) -> str:
    """Describe how values of a column are sent."""
    width, separator = column.get("width"), column.get("separator")
    more = f" of {width} numbers" if width else "" if separator is None else f", or with {separator!r} in between"
    return f"{column['holds']}, {column['type']}{more}"


def _change_of_rows(former: ModelFile, model: ModelFile) -> str:
    """Describe what clients of the former model must change; empty if nothing."""
    before, now = ({column["name"]: _description(column) for column in one.columns} for one in (former, model))
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
    """The model in use. `state` is replaced in one assignment, after log and metrics are updated.

    A request uses one model from start to end.
    """

    def __init__(self, path: Path, metrics: Metrics) -> None:
        self.path, self._metrics = path, metrics
        self.state = State(None, None)
        self._seen: Stamp | str = "nothing"

    def refresh(self) -> None:
        """Open the file if it has changed since the last check; keep the former model if that fails."""
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
                    return  # it is being written; the next check opens the complete file
                self._keep(f"{self.path} is not served: {error}")
            else:
                if self._stamp() != stamp:
                    return
                self._take(model)
        self._seen = stamp

    async def watch(self, seconds: float) -> None:
        """Check the file regularly until the task is cancelled."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await asyncio.to_thread(self.refresh)
            except Exception:  # no error may end the watch
                log.exception("The check of %s failed", self.path)

    def _take(self, model: ModelFile) -> None:
        log.info("Serving %s, model %s, %d columns", self.path, model.version, len(model.columns))
        if self.state.model is not None and (change := _change_of_rows(self.state.model, model)):
            log.warning("Model %s takes other rows than model %s: %s", model.version, self.state.model.version, change)
        self._metrics.loaded()
        self.state = State(model, None)

    def _keep(self, error: str) -> None:
        model = self.state.model
        in_use = "no model is served" if model is None else f"model {model.version} stays in use"
        log.error("%s; %s", error, in_use)
        self._metrics.failed()
        self.state = State(model, error)

    def _stamp(self) -> Stamp | str:
        """Return the stamp of the file, or the reason why it cannot be read."""
        try:
            status = os.stat(self.path)
        except OSError as error:
            return f"{self.path} cannot be read: {error.strerror}"
        return Stamp(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
