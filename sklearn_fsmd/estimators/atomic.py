"""An estimator that is fitted at one stroke, and asked as it is at one moment."""

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
TURNS: WeakKeyDictionary[Any, threading.RLock] = WeakKeyDictionary()
"""What is held by the thread that learns, kept beside the estimators, since locks cannot be pickled."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=TURNS.clear)  # there no other thread learns


class Exchanged:
    """An estimator that is fitted completely or not at all, and whose methods see one consistent state.

    Training works on a shallow copy. What it has learned is taken over in one assignment, or not at all. So another
    thread sees the former fit or the new one, and so does whoever goes on after a failure.
    """

    def as_it_is(self) -> Self:
        """A shallow copy, which a later fit of the original does not change.

        Returns
        -------
        same : an estimator of the same class, which shares what was learned.
        """
        return shallow(self)

    def _exchange(self, learn: Learn) -> Self:
        """Take over what `learn` has put into a copy.

        Whoever learns at the same time in another thread waits, and then learns on from what came of this.

        Parameters
        ----------
        learn : is given the copy, and a copy of the user's own generator, if `random_state` is one; returns what that
            has come to, or None.
        """
        with turn_of(self):
            return self._learn_beside(learn)

    def _learn_beside(self, learn: Learn) -> Self:
        before, n_threads = dict(self.__dict__), threads_now()
        beside = self.as_it_is()
        given: Any = getattr(self, "random_state", None)  # who draws nothing has none
        is_users = isinstance(given, np.random.RandomState) and given is not GLOBAL
        state = given.get_state(legacy=False) if is_users else None  # of whatever generator
        try:
            with cpu_by_default(), torch.inference_mode(mode=False), without_autocast("cpu"), without_autocast("cuda"):
                drawn = learn(beside, copy.deepcopy(given) if is_users else None)
            learned = {k: v for k, v in beside.__dict__.items() if k not in before or before[k] is not v}
            kept = {k: v for k, v in self.__dict__.items() if k in beside.__dict__ or k not in before}
            if drawn is not None:
                given.set_state(drawn.get_state(legacy=False))
            self.__dict__ = {**kept, **learned}
        except BaseException:
            if is_users:
                given.set_state(state)
            restore_threads(n_threads)
            raise
        return self


def turn_of(estimator: Exchanged) -> threading.RLock:
    """What is held by the thread that learns; who holds it may take it again."""
    return TURNS.setdefault(estimator, threading.RLock())


def in_turn(method: F) -> F:
    """Let a method that learns wait for those that do so in other threads, before it looks at its estimator."""

    @functools.wraps(method)
    def waits(self: Exchanged, *args: Any, **kwargs: Any) -> Any:
        with turn_of(self):
            return method(self, *args, **kwargs)

    return waits  # type: ignore[return-value]


def at_one_moment(method: F) -> F:
    """Let a method see its estimator as it was when the method was called."""

    @functools.wraps(method)
    def asked(self: Exchanged, *args: Any, **kwargs: Any) -> Any:
        return method(self.as_it_is(), *args, **kwargs)

    return asked  # type: ignore[return-value]


def own_generator(random: np.random.RandomState) -> np.random.RandomState:
    """A generator that draws what `random` would draw, and leaves it alone; but numpy's global one is shared."""
    return random if random is GLOBAL else copy.deepcopy(random)


def generator_of(random_state: Any, users: np.random.RandomState | None) -> np.random.RandomState:
    """The generator that `random_state` means, or the copy of it where it is the user's."""
    return check_random_state(random_state) if users is None else users
