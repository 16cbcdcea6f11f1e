"""The processes that train one model together, and their communication, which is bounded in time."""

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
"""The longest time in seconds that a process waits for the others."""
POLL_INTERVAL = timedelta(seconds=1)
"""A waiting process checks the signs of life of the others at this interval."""
NEVER = timedelta(days=1)
"""A timeout of torch that is longer than those here, unless `SKLEARN_FSMD_TIMEOUT` is longer than a day."""
STARTED_BY = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""The environment variables of a process that was started by torchrun."""

_fits = 0
"""Number of fits that the processes have started together; each fit has its own prefix in the store."""


class LostProcessError(RuntimeError):
    """Raised if a process of a fit has died, hangs, or has failed."""


class Processes:
    """The processes of one fit, with this one.

    Parameters
    ----------
    timeout : the longest time in seconds to wait for the others.

    Attributes
    ----------
    rank, size : which process this is, and how many there are.
    """

    def __init__(self, timeout: float) -> None:
        global _fits
        _fits += 1
        self.rank, self.size, self.timeout = dist.get_rank(), dist.get_world_size(), timeout
        self.n_checks = 0
        # The store by which torch's processes found each other; torch has no public function for it.
        default_store = dist.distributed_c10d._get_default_store()
        store = dist.PrefixStore(f"sklearn-fsmd/{_fits}", default_store)  # type: ignore[attr-defined]
        self.signs = Signs(store, self.rank, self.size)
        self.signs.start()
        try:
            self._wait_for_all()
            self.group = self._new_group()
        except BaseException:
            self.signs.stop()
            raise

    def _wait_for_all(self) -> None:
        """Wait until every process has started the fit."""
        deadline = time.monotonic() + self.timeout
        while missing := self.signs.missing():
            if time.monotonic() > deadline:
                self.signs.report_failure(f"it has waited for {named(missing).lower()}")
                raise LostProcessError(
                    f"{named(missing)} of {self.size} did not come to `fit_dataset` within {self.timeout:.0f} s. All "
                    f"processes have to call it. The environment variable {VARIABLE} sets how long they wait."
                )
            time.sleep(0.02)
        if failure := self.signs.failure():  # a process has started, and given up waiting
            raise LostProcessError(failure)

    def _new_group(self) -> Any:
        """A process group of gloo for tensors on the CPU."""
        try:
            group = dist.new_group(backend="gloo", timeout=timedelta(seconds=self.timeout))
        except RuntimeError as error:
            raise self._lost("the beginning") from error
        # Calls must not time out in torch, since only the timeouts here name the missing process.
        dist.distributed_c10d._set_pg_timeout(NEVER, group)
        return group

    def note_work(self) -> None:
        """Let the others know that this process has done a part of a longer task."""
        self.signs.n_done += 1

    def close(self) -> None:
        """Leave the fit."""
        self.signs.stop()
        with suppress(Exception):  # of a group in which a process is missing
            dist.destroy_process_group(self.group)

    def sum(self, tensor: Tensor, what: str) -> None:
        """Add up a tensor over all processes, in place: the same bits in each."""
        group = self.group if tensor.device.type == "cpu" else None  # on a GPU torch's default group, which is NCCL
        self._finish(dist.all_reduce(tensor, group=group, async_op=True), what)

    def gather(
        self, tensors: Sequence[Tensor], what: str, counts: Sequence[Sequence[int]] | None = None
    ) -> list[list[Tensor]]:
        """Gather tensors of all processes; their numbers of rows may differ between processes.

        There are two messages for any number of tensors: the numbers of rows, and all values. The first one is left out
        if `counts`, the numbers of rows of each process, are known. All tensors must have the same dtype.

        Returns
        -------
        gathered : for each process, its tensors.
        """
        if counts is None:
            counts = [n_rows.tolist() for n_rows in self._gather_equal(torch.tensor([len(t) for t in tensors]), what)]
        shapes = [t.shape[1:] for t in tensors]
        sizes = [[n * math.prod(shape) for n, shape in zip(n_rows, shapes, strict=True)] for n_rows in counts]
        flat = tensors[0].new_zeros(max(map(sum, sizes)))
        flat[: sum(sizes[self.rank])] = torch.cat([t.flatten() for t in tensors])
        gathered = []
        for n_rows, n_values, values in zip(counts, sizes, self._gather_equal(flat, what), strict=True):
            pieces = zip(values[: sum(n_values)].split(n_values), n_rows, shapes, strict=True)
            gathered.append([piece.view(n, *shape) for piece, n, shape in pieces])
        return gathered

    def _gather_equal(self, tensor: Tensor, what: str) -> list[Tensor]:
        """Gather a tensor that has the same shape in all processes."""
        if not tensor.numel():
            return [tensor] * self.size
        gathered = [torch.empty_like(tensor) for _ in range(self.size)]
        group = self.group if tensor.device.type == "cpu" else None
        self._finish(dist.all_gather(gathered, tensor, group=group, async_op=True), what)
        return gathered

    def of_first(self, value: T, what: str) -> T:
        """The value of the first process."""
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
            The message has the ranks whose digest differs from that of the first.
        """
        packed = torch.frombuffer(bytearray(digest.encode()), dtype=torch.uint8)
        digests = [part.tolist() for (part,) in self.gather([packed], f"the check of the {what}")]
        if others := [rank for rank, one in enumerate(digests) if one != digests[0]]:
            raise ValueError(f"{named(others)} {'has' if len(others) == 1 else 'have'} another {what} than rank 0.")

    def _finish(self, work: Any, what: str) -> None:
        """Wait for a collective call."""
        self.signs.n_calls += 1
        self.n_checks = 0
        while not work.is_completed():
            with suppress(RuntimeError):  # the time is over; or the connection is broken, and the work completed
                work.wait(POLL_INTERVAL)
            if not work.is_completed():
                self._check_others(what)
        try:
            work.wait()
        except RuntimeError as error:
            raise self._lost(what) from error

    def _check_others(self, what: str) -> None:
        """Check the signs of life of the others, while waiting.

        Raises
        ------
        LostProcessError
            If one of them has failed, or gives no sign of life, or is late.
        """
        if not self.n_checks:
            self.signs.reset()
        self.n_checks += 1
        try:
            failure = self.signs.failure()
            self.signs.read()
        except Exception as error:
            raise _store_is_gone(what) from error
        if failure:
            raise LostProcessError(failure)
        if silent := self.signs.silent(min(LONG_SILENCE, self.timeout)):
            raise LostProcessError(f"{named(silent)} gave no sign of life any more at {what}.")
        if late := self.signs.late(self.timeout):
            raise LostProcessError(
                f"{named(late)} did not come to {what} within {self.timeout:.0f} s. The environment variable "
                f"{VARIABLE} sets how long the processes wait for each other."
            )

    def _lost(self, what: str) -> LostProcessError:
        """An error that names the process that ended a connection."""
        self.signs.reset()
        end = time.monotonic() + 2 * SILENCE
        try:
            while time.monotonic() < end:
                if failure := self.signs.failure():
                    return LostProcessError(failure)
                self.signs.read()
                if silent := self.signs.silent(SILENCE):
                    self.signs.report_failure(f"{named(silent)} has died")
                    return LostProcessError(f"{named(silent)} has died: the connection broke at {what}.")
                time.sleep(0.1)
        except Exception:
            return _store_is_gone(what)
        return LostProcessError(f"A connection broke at {what}, and all ranks give signs of life.")


def _store_is_gone(what: str) -> LostProcessError:
    return LostProcessError(f"Rank 0, or whoever keeps the store of the processes, has died at {what}.")


@contextmanager
def together() -> Iterator[Processes | None]:
    """Context of a fit in the processes that torchrun or Ray has started; None if there is a single one.

    Raises
    ------
    LostProcessError
        If one of them does not start the fit.
    """
    if not dist.is_available():
        yield None
        return
    timeout = _timeout()
    if not dist.is_initialized() and all(name in os.environ for name in STARTED_BY):
        _join(timeout)
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
            processes.signs.report_failure(f"{type(error).__name__}: {error}")
        raise
    finally:
        processes.close()


def _join(timeout: float) -> None:
    """Join the processes of torchrun; each gets its own GPU if there are any."""
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    backend = "cpu:gloo,cuda:nccl" if has_gpu else "gloo"
    dist.init_process_group(backend, timeout=timedelta(seconds=2 * timeout + 60))  # NCCL has no other timeout
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
