"""Signs of life that each process gives while it works, so that a missing one can be named."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

INTERVAL = 0.5
"""Seconds from one sign to the next."""
SILENCE = 5.0
"""After a failure a process without a sign for this many seconds counts as dead."""
LONG_SILENCE = 30.0
"""While others wait, a process without a sign for this many seconds counts as dead."""


class Signs:
    """Signs of life and reasons of failures, which the processes write into their common store.

    A thread gives the signs, so they continue while a process computes. A sign has the number of collective calls: a
    process that has made fewer than the others is late. It also has the number of finished parts of a longer task
    between two calls: a process that has finished none for long hangs.

    Parameters
    ----------
    store : a store of ``torch.distributed``, which all processes reach.
    rank, size : which process this is, and how many there are.
    """

    def __init__(self, store: Any, rank: int, size: int) -> None:
        self.store, self.rank, self.size = store, rank, size
        self.n_calls = self.n_done = 0
        self.seen: dict[int, tuple[str, float]] = {}
        """The last sign of each process, and when it was first seen."""
        self.work: dict[int, tuple[list[int], float]] = {}
        """The counts in the last sign of each process, and when they were first seen."""
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._give_signs, name="sklearn-fsmd-signs", daemon=True)

    def start(self) -> None:
        """Give the first sign, and start the thread."""
        self._give_sign(0)
        self.thread.start()

    def stop(self) -> None:
        """End the thread."""
        self.ended.set()
        self.thread.join()

    def _give_signs(self) -> None:
        n = 0
        while not self.ended.wait(INTERVAL):
            n += 1
            try:
                self._give_sign(n)
            except Exception:  # the store is gone, which waiting processes will notice
                return

    def _give_sign(self, n: int) -> None:
        self.store.set(f"sign/{self.rank}", f"{n} {self.n_calls} {self.n_done}")

    def missing(self) -> list[int]:
        """Ranks that have not given any sign yet."""
        return [rank for rank in range(self.size) if not self.store.check([f"sign/{rank}"])]

    def read(self) -> None:
        """Read the signs, and note which ones are new."""
        now = time.monotonic()
        for rank in range(self.size):
            sign = self.store.get(f"sign/{rank}").decode()
            if rank not in self.seen or self.seen[rank][0] != sign:
                self.seen[rank] = sign, now
            counts = [int(n) for n in sign.split()[1:]]
            if rank not in self.work or self.work[rank][0] != counts:
                self.work[rank] = counts, now

    def reset(self) -> None:
        """Forget former signs, which are outdated if they have not been read for a while."""
        self.seen, self.work = {}, {}

    def silent(self, seconds: float) -> list[int]:
        """Ranks that have given no new sign for so long, by the signs that were read."""
        now = time.monotonic()
        return [rank for rank, (_, since) in self.seen.items() if now - since > seconds]

    def late(self, seconds: float) -> list[int]:
        """Ranks that have made fewer calls than this process, and have done nothing for so long.

        If none has made fewer calls, the call itself hangs: then all ranks that have done nothing for so long.
        """
        now = time.monotonic()
        late = [rank for rank, ((calls, _), _) in self.work.items() if calls < self.n_calls] or list(self.work)
        return [rank for rank in late if now - self.work[rank][1] > seconds]

    def report_failure(self, why: str) -> None:
        """Let the others know why this process fails; only the first report is kept."""
        if self.store.add("n_failed", 1) == 1:
            self.store.set("failed", f"{named([self.rank])} has failed: {why}")

    def failure(self) -> str | None:
        """The report of the first process that has failed; None if there is none."""
        return self.store.get("failed").decode() if self.store.check(["failed"]) else None


def named(ranks: Sequence[int]) -> str:
    """The name of some processes in messages."""
    return f"Rank {ranks[0]}" if len(ranks) == 1 else "Ranks " + ", ".join(map(str, ranks))
