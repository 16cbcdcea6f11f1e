"""Signs of life: what each process lets the others know while it works, so that one that is missing can be named."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

INTERVAL = 0.5
"""Seconds from one sign to the next."""
SILENCE = 5.0
"""After so many seconds without a sign of another process, when something has failed already, it counts as dead."""
LONG_SILENCE = 30.0
"""After so many, where a process waits for another, it counts as dead."""


class Signs:
    """What the processes write into their common store: signs of life, and why one has failed.

    A thread gives the signs, so they go on while a process computes. They count the calls in which all processes take
    part: who has made fewer than the others is late. And they count the pieces of a longer work between two calls: who
    has done none for long hangs.

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
        """What the last sign has counted, and when that was first seen."""
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._give, name="sklearn-fsmd-signs", daemon=True)

    def start(self) -> None:
        self._sign(0)
        self.thread.start()

    def stop(self) -> None:
        self.ended.set()
        self.thread.join()

    def _give(self) -> None:
        n = 0
        while not self.ended.wait(INTERVAL):
            n += 1
            try:
                self._sign(n)
            except Exception:  # the store is gone, and with it somebody; whoever waits will notice
                return

    def _sign(self, n: int) -> None:
        self.store.set(f"sign/{self.rank}", f"{n} {self.n_calls} {self.n_done}")

    def missing(self) -> list[int]:
        """Who has not given any sign yet."""
        return [rank for rank in range(self.size) if not self.store.check([f"sign/{rank}"])]

    def look(self) -> None:
        """See who has given a new sign since the last look."""
        now = time.monotonic()
        for rank in range(self.size):
            sign = self.store.get(f"sign/{rank}").decode()
            if rank not in self.seen or self.seen[rank][0] != sign:
                self.seen[rank] = sign, now
            counted = [int(n) for n in sign.split()[1:]]
            if rank not in self.work or self.work[rank][0] != counted:
                self.work[rank] = counted, now

    def forget(self) -> None:
        """Take the signs for new ones, when nobody has looked for a while."""
        self.seen, self.work = {}, {}

    def silent(self, seconds: float) -> list[int]:
        """Who has given no sign for so long, by the looks that were taken."""
        now = time.monotonic()
        return [rank for rank, (_, since) in self.seen.items() if now - since > seconds]

    def late(self, seconds: float) -> list[int]:
        """Who has made fewer calls than this process, and has done nothing for so long, by the looks that were taken.

        Everybody, where nobody has made fewer: the call itself hangs.
        """
        now = time.monotonic()
        late = [rank for rank, ((calls, _), _) in self.work.items() if calls < self.n_calls] or list(self.work)
        return [rank for rank in late if now - self.work[rank][1] > seconds]

    def tell(self, why: str) -> None:
        """Let the others know why this process fails; the first one counts."""
        if self.store.add("n_failed", 1) == 1:
            self.store.set("failed", f"{named([self.rank])} has failed: {why}")

    def failure(self) -> str | None:
        """What a process has told of its failure."""
        return self.store.get("failed").decode() if self.store.check(["failed"]) else None


def named(ranks: Sequence[int]) -> str:
    """What messages call some processes."""
    return f"Rank {ranks[0]}" if len(ranks) == 1 else "Ranks " + ", ".join(map(str, ranks))
