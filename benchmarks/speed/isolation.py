"""Each contender in a process of its own: what one leaves in the allocator would speed up or slow down the next."""

import multiprocessing
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")

_kept = {}


class Isolated:
    """A process that keeps what it has built: ``Isolated(build, …).call(function, …)`` is ``function(built, …)``."""

    def __init__(self, build, *arguments):
        self.pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        self.pool.submit(_keep, build, *arguments).result()

    def call(self, function, *arguments):
        return self.pool.submit(_with_kept, function, *arguments).result()

    def close(self):
        self.pool.shutdown()


def _keep(build, *arguments):
    warnings.filterwarnings("ignore")
    _kept["built"] = build(*arguments)


def _with_kept(function, *arguments):
    return function(_kept["built"], *arguments)


def seconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def peak_bytes(function, *arguments):
    """How far the memory of this process rises while `function` runs, and what it returns. Linux only."""
    CLEAR_REFS.write_text("5")  # the high-water mark starts anew
    before = _status("VmRSS")
    result = function(*arguments)
    return _status("VmHWM") - before, result


def _status(field):
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024
