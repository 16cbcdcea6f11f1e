"""Signs of life of two ranks, in a store that two objects of one process share."""

import time
from contextlib import nullcontext

import pytest
from torch import distributed

from sklearn_fsmd.training.distributed import LostProcessError, Processes
from sklearn_fsmd.training.distributed import signs_of_life as signs
from sklearn_fsmd.training.distributed.signs_of_life import Signs, named


@pytest.fixture
def pair(monkeypatch):
    """Two ranks that give signs of life at short intervals."""
    monkeypatch.setattr(signs, "INTERVAL", 0.02)
    store = distributed.HashStore()
    one, other = Signs(store, 0, 2), Signs(store, 1, 2)
    one.start()
    yield one, other
    for side in (one, other):
        side.ended.set()


def read_for(side, seconds):
    """Read the signs for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        side.read()
        time.sleep(0.01)
    return side


def test_a_rank_that_has_not_started_is_missing(pair):
    one, other = pair
    assert one.missing() == [1]
    other.start()
    assert one.missing() == []


def test_a_rank_is_late_only_if_it_makes_no_progress(pair):
    one, other = pair
    other.start()
    one.n_calls = 3
    read_for(one, 0.2)
    for _ in range(20):  # parts of a longer task
        other.n_done += 1
        read_for(one, 0.05)
    assert one.late(0.8) == []
    read_for(one, 1.0)
    assert one.late(0.8) == [1]
    assert one.silent(0.8) == []  # it is alive
    other.n_calls = 3
    read_for(one, 0.1)
    assert one.late(0.8) == [0]  # all ranks hang in this call, and this rank has waited in it all the time
    one.reset()
    assert one.late(0.0) == []


def test_a_rank_that_has_died_is_silent(pair):
    one, other = pair
    other.start()
    read_for(one, 0.1)
    other.stop()
    read_for(one, 1.0)
    assert one.silent(0.8) == [1]


def test_the_first_failure_is_reported(pair):
    one, other = pair
    assert one.failure() is None
    other.report_failure("OSError: the disk is full")
    one.report_failure("ValueError: something that followed from it")
    assert one.failure() == "Rank 1 has failed: OSError: the disk is full"
    assert named([0, 3, 4]) == "Ranks 0, 3, 4"


class Message:
    """A call of torch that times out, and that arrives, or fails, before it is asked whether it has arrived."""

    def __init__(self, fails):
        self.fails, self.n_waits = fails, 0

    def is_completed(self):
        return self.n_waits > 0

    def wait(self, timeout=None):
        self.n_waits += 1
        if self.n_waits == 1 or self.fails:
            raise RuntimeError("Operation timed out!")


@pytest.mark.parametrize("fails", [False, True])
def test_a_message_that_arrives_late_does_not_end_the_fit(pair, fails, monkeypatch):
    one, other = pair
    other.start()
    processes = object.__new__(Processes)
    processes.signs = one
    monkeypatch.setattr("sklearn_fsmd.training.distributed.processes.SILENCE", 0.1)
    fails_or_not = pytest.raises(LostProcessError, match="at the sum of the gradients") if fails else nullcontext()
    with fails_or_not:
        processes._finish(Message(fails), "the sum of the gradients")
