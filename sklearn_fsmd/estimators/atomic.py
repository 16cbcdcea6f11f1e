"""Atomic fits: training happens on a copy, and its result is taken over in one assignment."""

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

from sklearn_fsmd.encoding import shallow
from sklearn_fsmd.parameters.machine import cpu_by_default, restore_threads, threads_now, without_autocast

F = TypeVar("F", bound=Callable[..., Any])
Learn = Callable[[Any, np.random.RandomState | None], np.random.RandomState | None]
GLOBAL = np.random.mtrand._rand
"""Numpy's own generator, which stands for random_state=None and belongs to the process."""
LOCKS: WeakKeyDictionary[Any, threading.RLock] = WeakKeyDictionary()
"""The lock of each estimator. It is kept outside of the estimators, since locks cannot be pickled."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=LOCKS.clear)  # the child has no other thread that learns


class AtomicEstimator:
    """An estimator that is fitted completely or not at all, and whose methods see one consistent state.

    Training works on a shallow copy. Its result is taken over in one assignment. So another thread sees the former fit
    or the new one, and after a failure the estimator is as it was.
    """

    def snapshot(self) -> Self:
        """A shallow copy, which a later fit of the original does not change.

        Returns
        -------
        copy : an estimator of the same class, which shares the fitted attributes.
        """
        return shallow(self)

    def _learn_atomically(self, learn: Learn) -> Self:
        """Run `learn` on a copy, and take over the attributes that it has set there.

        Another thread that learns at the same time waits, and then continues from the new state.

        Parameters
        ----------
        learn : callable (copy, generator) -> generator or None
            `generator` is a copy of the user's own, if `random_state` is one, else None. The user's generator gets the
            state of the one that is returned.
        """
        with lock_of(self):
            return self._learn_on_copy(learn)

    def _learn_on_copy(self, learn: Learn) -> Self:
        before, n_threads = dict(self.__dict__), threads_now()
        copied = self.snapshot()
        given: Any = getattr(self, "random_state", None)  # some transformers have none
        is_users = isinstance(given, np.random.RandomState) and given is not GLOBAL
        state = given.get_state(legacy=False) if is_users else None  # `legacy` would be of MT19937 alone
        try:
            with cpu_by_default(), torch.inference_mode(mode=False), without_autocast("cpu"), without_autocast("cuda"):
                drawn = learn(copied, copy.deepcopy(given) if is_users else None)
            learned = {k: v for k, v in copied.__dict__.items() if k not in before or before[k] is not v}
            kept = {k: v for k, v in self.__dict__.items() if k in copied.__dict__ or k not in before}
            if drawn is not None:
                given.set_state(drawn.get_state(legacy=False))
            self.__dict__ = {**kept, **learned}
        except BaseException:
            if is_users:
                given.set_state(state)
            restore_threads(n_threads)
            raise
        return self


def lock_of(estimator: AtomicEstimator) -> threading.RLock:
    """The lock that a thread holds while it learns; it is reentrant."""
    return LOCKS.setdefault(estimator, threading.RLock())


def one_at_a_time(method: F) -> F:
    """Decorate a method that learns: it waits for other threads that do, before it reads its estimator."""

    @functools.wraps(method)
    def locked(self: AtomicEstimator, *args: Any, **kwargs: Any) -> Any:
        with lock_of(self):
            return method(self, *args, **kwargs)

    return locked  # type: ignore[return-value]


def on_snapshot(method: F) -> F:
    """Decorate a method that reads its estimator: it sees the state at the time of the call."""

    @functools.wraps(method)
    def on_copy(self: AtomicEstimator, *args: Any, **kwargs: Any) -> Any:
        return method(self.snapshot(), *args, **kwargs)

    return on_copy  # type: ignore[return-value]


def own_generator(random: np.random.RandomState) -> np.random.RandomState:
    """A copy of a generator; numpy's global one is shared."""
    return random if random is GLOBAL else copy.deepcopy(random)


def generator_of(random_state: Any, users: np.random.RandomState | None) -> np.random.RandomState:
    """The generator that `random_state` stands for, or the copy of the user's own."""
    return check_random_state(random_state) if users is None else users
