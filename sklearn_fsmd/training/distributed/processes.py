"""The processes that train one model together, and what they say to each other, each within a bound of time."""

from __future__ import annotations

import atexit
import math
import os
import pickle
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from sklearn_fsmd.training.distributed.signs_of_life import LONG_SILENCE, SILENCE, Signs, named

T = TypeVar("T")
VARIABLE = "SKLEARN_FSMD_TIMEOUT"
DEFAULT_TIMEOUT = 600.0
"""Seconds that a process waits for the others, at the most."""
SLICE = timedelta(seconds=1)
"""After so long a process that waits looks what has become of the others."""
BEYOND = timedelta(days=1)
STARTED_BY = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""The environment variables of a process that torchrun has started."""

_fits = 0
"""How many fits the processes have begun together: each has a part of the store of its own."""


class LostProcessError(RuntimeError):
    """A process that takes part in a fit has died, hangs, or has failed."""


class Processes:
    """Those that take part in one fit, this one among them.

    Parameters
    ----------
    timeout : seconds to wait for the others, at the most.

    Attributes
    ----------
    rank, size : which process this is, and how many there are.
    """

    def __init__(self, timeout: float) -> None:
        global _fits
        _fits += 1
        self.rank, self.size, self.timeout = dist.get_rank(), dist.get_world_size(), timeout
        self.n_looks = 0
        # The store in which torch's processes have found each other; there is no public way to it.
        of_all = dist.distributed_c10d._get_default_store()
        store = dist.PrefixStore(f"sklearn-fsmd/{_fits}", of_all)  # type: ignore[attr-defined]
        self.signs = Signs(store, self.rank, self.size)
        self.signs.start()
        try:
            self._call_the_roll()
            self.group = self._new_group()
        except BaseException:
            self.signs.stop()
            raise

    def _call_the_roll(self) -> None:
        deadline = time.monotonic() + self.timeout
        while missing := self.signs.missing():
            if time.monotonic() > deadline:
                self.signs.tell(f"it has waited for {named(missing).lower()}")
                raise LostProcessError(
                    f"{named(missing)} of {self.size} did not come to `fit_dataset` within {self.timeout:.0f} s. All "
                    f"processes have to call it. The environment variable {VARIABLE} says how long they wait."
                )
            time.sleep(0.02)
        if told := self.signs.failure():  # somebody was here, and has not waited
            raise LostProcessError(told)

    def _new_group(self) -> Any:
        try:
            group = dist.new_group(backend="gloo", timeout=timedelta(seconds=self.timeout))
        except RuntimeError as error:
            raise self._lost("the beginning") from error
        # Calls have longer than all that is waited for here, so that it is said here who is missing.
        dist.distributed_c10d._set_pg_timeout(BEYOND, group)
        return group

    def note_work(self) -> None:
        """Let the others know that this process has done a piece of a longer work."""
        self.signs.n_done += 1

    def close(self) -> None:
        self.signs.stop()
        with suppress(Exception):  # of a group in which somebody is missing
            dist.destroy_process_group(self.group)

    def sum(self, tensor: Tensor, what: str) -> None:
        """Add up a tensor over all processes, in place: the same bits in each."""
        group = self.group if tensor.device.type == "cpu" else None  # on a GPU torch's default group, which is NCCL
        self._finish(dist.all_reduce(tensor, group=group, async_op=True), what)

    def gather(
        self, tensors: Sequence[Tensor], what: str, counts: Sequence[Sequence[int]] | None = None
    ) -> list[list[Tensor]]:
        """What each process has for each of some tensors, which may have another number of rows in each process.

        Two messages, whatever number of tensors: how many rows there are, and all numbers; the first one is left out
        where the `counts` of the rows of each process are known. The tensors are of one type.
        """
        if counts is None:
            counts = [found.tolist() for found in self._gather_equal(torch.tensor([len(t) for t in tensors]), what)]
        shapes = [t.shape[1:] for t in tensors]
        sizes = [[n * math.prod(shape) for n, shape in zip(own, shapes, strict=True)] for own in counts]
        flat = tensors[0].new_zeros(max(map(sum, sizes)))
        flat[: sum(sizes[self.rank])] = torch.cat([t.flatten() for t in tensors])
        found = []
        for own, of_each, numbers in zip(counts, sizes, self._gather_equal(flat, what), strict=True):
            pieces = zip(numbers[: sum(of_each)].split(of_each), own, shapes, strict=True)
            found.append([piece.view(n, *shape) for piece, n, shape in pieces])
        return found

    def _gather_equal(self, tensor: Tensor, what: str) -> list[Tensor]:
        """What each process has for a tensor that has the same shape in all."""
        if not tensor.numel():
            return [tensor] * self.size
        found = [torch.empty_like(tensor) for _ in range(self.size)]
        group = self.group if tensor.device.type == "cpu" else None
        self._finish(dist.all_gather(found, tensor, group=group, async_op=True), what)
        return found

    def of_first(self, value: T, what: str) -> T:
        """What the first process has for `value`."""
        packed = torch.frombuffer(bytearray(pickle.dumps(value)), dtype=torch.uint8)
        n = torch.tensor([len(packed)])
        self._finish(dist.broadcast(n, 0, group=self.group, async_op=True), what)
        packed = packed if self.rank == 0 else torch.empty(int(n), dtype=torch.uint8)
        self._finish(dist.broadcast(packed, 0, group=self.group, async_op=True), what)
        return value if self.rank == 0 else pickle.loads(packed.numpy().tobytes())

    def check_same(self, digest: str, what: str) -> None:
        """Raise unless all processes have the same digest.

        Raises
        ------
        ValueError
            With the ranks that have another than the first.
        """
        packed = torch.frombuffer(bytearray(digest.encode()), dtype=torch.uint8)
        found = [part.tolist() for (part,) in self.gather([packed], f"the check of the {what}")]
        if others := [rank for rank, one in enumerate(found) if one != found[0]]:
            raise ValueError(f"{named(others)} {'has' if len(others) == 1 else 'have'} another {what} than rank 0.")

    def _finish(self, work: Any, what: str) -> None:
        """Wait for a call in which all take part."""
        self.signs.n_calls += 1
        self.n_looks = 0
        while True:
            try:
                work.wait(SLICE)
                return
            except RuntimeError as error:
                if work.is_completed():
                    raise self._lost(what) from error
            self._look_after(what)

    def _look_after(self, what: str) -> None:
        """Look what has become of the others, while waiting.

        Raises
        ------
        LostProcessError
            If it is of no use to wait any longer.
        """
        if not self.n_looks:
            self.signs.forget()
        self.n_looks += 1
        try:
            told = self.signs.failure()
            self.signs.look()
        except Exception as error:
            raise _store_is_gone(what) from error
        if told:
            raise LostProcessError(told)
        if silent := self.signs.silent(min(LONG_SILENCE, self.timeout)):
            raise LostProcessError(f"{named(silent)} gave no sign of life any more at {what}.")
        if late := self.signs.late(self.timeout):
            raise LostProcessError(
                f"{named(late)} did not come to {what} within {self.timeout:.0f} s. The environment variable "
                f"{VARIABLE} says how long the processes wait for each other."
            )

    def _lost(self, what: str) -> LostProcessError:
        """Who it was that has ended a connection."""
        self.signs.forget()
        end = time.monotonic() + 2 * SILENCE
        try:
            while time.monotonic() < end:
                if told := self.signs.failure():
                    return LostProcessError(told)
                self.signs.look()
                if silent := self.signs.silent(SILENCE):
                    self.signs.tell(f"{named(silent)} has died")
                    return LostProcessError(f"{named(silent)} has died: the connection broke at {what}.")
                time.sleep(0.1)
        except Exception:
            return _store_is_gone(what)
        return LostProcessError(f"A connection broke at {what}, and all ranks give signs of life.")


def _store_is_gone(what: str) -> LostProcessError:
    return LostProcessError(f"Rank 0, or whoever keeps the store of the processes, has died at {what}.")


@contextmanager
def together() -> Iterator[Processes | None]:
    """The processes that torchrun or Ray has started, while they fit; None where this one is alone.

    Raises
    ------
    LostProcessError
        If one of them does not come.
    """
    if not dist.is_available():
        yield None
        return
    timeout = _timeout()
    if not dist.is_initialized() and all(name in os.environ for name in STARTED_BY):
        _begin(timeout)
    if not dist.is_initialized() or dist.get_world_size() < 2:
        yield None
        return
    processes = Processes(timeout)
    try:
        yield processes
    except LostProcessError:
        raise
    except BaseException as error:
        with suppress(Exception):
            processes.signs.tell(f"{type(error).__name__}: {error}")
        raise
    finally:
        processes.close()


def _begin(timeout: float) -> None:
    """Join the processes of torchrun, each with a GPU of its own where there are any."""
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    backend = "cpu:gloo,cuda:nccl" if has_gpu else "gloo"
    dist.init_process_group(backend, timeout=timedelta(seconds=2 * timeout + 60))  # of NCCL, which ends by itself
    atexit.register(_end)


def _end() -> None:
    if dist.is_initialized():
        with suppress(Exception):
            dist.destroy_process_group()


def _timeout() -> float:
    text = os.environ.get(VARIABLE, str(DEFAULT_TIMEOUT))
    try:
        timeout = float(text)
    except ValueError:
        timeout = 0.0
    if not 0 < timeout < float("inf"):
        raise ValueError(f"The environment variable {VARIABLE} must be a number of seconds. Got {text!r}.")
    return timeout
