"""Compute the items of an iterator ahead, in a background thread."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextvars import copy_context
from queue import Empty, Full, Queue
from typing import Any, TypeVar

from sklearn import config_context, get_config

T = TypeVar("T")
WAIT = 0.1
"""Seconds after which the thread checks whether its items are still wanted."""


def read_ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """Yield the same items, computed ahead.

    Up to three items are in memory: one is used, one waits, and one is being computed. Exceptions of the thread are
    raised here. The thread ends when this iterator is closed. It has the caller's settings of scikit-learn and numpy,
    on which a user's function may depend.
    """
    queue: Queue[tuple[str, Any]] = Queue(maxsize=1)
    stopped = threading.Event()

    def put(what: str, item: Any = None) -> None:
        while not stopped.is_set():
            try:
                queue.put((what, item), timeout=WAIT)
                return
            except Full:
                pass

    config = get_config()  # each thread has its own

    def work() -> None:
        try:
            with config_context(**config):
                for item in items:
                    put("item", item)
                    if stopped.is_set():
                        return
            put("end")
        except BaseException as error:  # raised where the item is awaited
            put("error", error)

    thread = threading.Thread(target=copy_context().run, args=(work,), name="sklearn-fsmd-read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            what, item = queue.get()
            if what == "end":
                return
            if what == "error":
                raise item
            yield item
            del item  # it may be large
    finally:
        stopped.set()
        while thread.is_alive():
            try:
                queue.get_nowait()
            except Empty:
                thread.join(WAIT)
