"""A separate process for each contender, so that memory left in the allocator does not affect the next contender."""

import multiprocessing
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")

_state = {}


class Isolated:
    """A process that keeps the object it builds: ``Isolated(build, …).call(function, …)`` is ``function(built, …)``."""

    def __init__(self, build, *arguments):
        self.pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        self.pool.submit(_build, build, *arguments).result()

    def call(self, function, *arguments):
        return self.pool.submit(_call, function, *arguments).result()

    def close(self):
        self.pool.shutdown()


def _build(build, *arguments):
    warnings.filterwarnings("ignore")
    _state["built"] = build(*arguments)


def _call(function, *arguments):
    return function(_state["built"], *arguments)


def seconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def peak_bytes(function, *arguments):
    """Peak memory while `function` runs minus the memory before, and what the function returns. Linux only."""
    CLEAR_REFS.write_text("5")  # resets the high-water mark
    before = _status("VmRSS")
    result = function(*arguments)
    return _status("VmHWM") - before, result


def _status(field):
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024
