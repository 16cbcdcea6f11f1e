"""Atomic fits: an estimator is trained on a copy, and the result is assigned in one step."""

from __future__ import annotations

import copy
import functools
import os
import threading
from collections.abc import Callable
from typing import Any, Self, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from sklearn.utils import check_random_state

from sklearn_fsmd.encoding.table import shallow
from sklearn_fsmd.parameters.machine import cpu_by_default, restore_threads, threads_now, without_autocast

F = TypeVar("F", bound=Callable[..., Any])
Learn = Callable[[Any, np.random.RandomState | None], np.random.RandomState | None]
GLOBAL = np.random.mtrand._rand
"""Numpy's global generator, which random_state=None means. It is shared by the whole process."""
LOCKS: WeakKeyDictionary[Any, threading.RLock] = WeakKeyDictionary()
"""Lock of each estimator. Locks cannot be pickled, so the estimators do not hold them."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=LOCKS.clear)  # no other thread of the child trains


class AtomicEstimator:
    """An estimator that is fitted completely or not at all, and whose methods see one consistent state.

    Training works on a shallow copy, and the estimator takes its result in one assignment. Another thread therefore
    sees either the former fit or the new one. After a failure the estimator is unchanged.
    """

    def snapshot(self) -> Self:
        """Return a shallow copy, which a later fit of the original does not change.

        Returns
        -------
        copy : an estimator of the same class, which shares the fitted attributes.
        """
        return shallow(self)

    def _learn_atomically(self, learn: Learn) -> Self:
        """Run `learn` on a copy, and assign to this estimator the attributes that it has set there.

        Another thread that trains at the same time waits, and then starts from the new state.

        Parameters
        ----------
        learn : callable (copy, generator) -> generator or None
            `generator` is a copy of the user's generator if `random_state` is one, else None. The user's generator
            gets the state of the generator that is returned.
        """
        with lock_of(self):
            return self._learn_on_copy(learn)

    def _learn_on_copy(self, learn: Learn) -> Self:
        before, n_threads = dict(self.__dict__), threads_now()
        copied = self.snapshot()
        random_state: Any = getattr(self, "random_state", None)  # some transformers have none
        is_users = isinstance(random_state, np.random.RandomState) and random_state is not GLOBAL
        # The legacy format of a state exists for MT19937 only.
        state = random_state.get_state(legacy=False) if is_users else None
        try:
            with cpu_by_default(), torch.inference_mode(mode=False), without_autocast("cpu"), without_autocast("cuda"):
                used_generator = learn(copied, copy.deepcopy(random_state) if is_users else None)
            learned = {k: v for k, v in copied.__dict__.items() if k not in before or before[k] is not v}
            unchanged = {k: v for k, v in self.__dict__.items() if k in copied.__dict__ or k not in before}
            if used_generator is not None:
                random_state.set_state(used_generator.get_state(legacy=False))
            self.__dict__ = {**unchanged, **learned}
        except BaseException:
            if is_users:
                random_state.set_state(state)
            restore_threads(n_threads)
            raise
        return self


def lock_of(estimator: AtomicEstimator) -> threading.RLock:
    """Return the reentrant lock that a thread holds while it trains the estimator."""
    return LOCKS.setdefault(estimator, threading.RLock())


def one_at_a_time(method: F) -> F:
    """Decorate a method that trains: it waits until no other thread trains the estimator."""

    @functools.wraps(method)
    def locked(self: AtomicEstimator, *args: Any, **kwargs: Any) -> Any:
        with lock_of(self):
            return method(self, *args, **kwargs)

    return locked  # type: ignore[return-value]


def on_snapshot(method: F) -> F:
    """Decorate a method that only reads the estimator: it sees the state at the time of the call."""

    @functools.wraps(method)
    def on_copy(self: AtomicEstimator, *args: Any, **kwargs: Any) -> Any:
        return method(self.snapshot(), *args, **kwargs)

    return on_copy  # type: ignore[return-value]


def copy_generator(random: np.random.RandomState) -> np.random.RandomState:
    """Copy a generator, except for numpy's global one, which is shared."""
    return random if random is GLOBAL else copy.deepcopy(random)


def generator_of(random_state: Any, user_generator: np.random.RandomState | None) -> np.random.RandomState:
    """Return the copy of the user's generator, or without one the generator that `random_state` stands for."""
    return check_random_state(random_state) if user_generator is None else user_generator
