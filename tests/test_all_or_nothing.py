"""Training that fails or is interrupted leaves no trace: not in predictions, and not in the training after it."""

import copy
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

import sklearn_fsmd
from sklearn_fsmd import FSMDClassifier, MultiTaskClassifier
from tests.conftest import SMALL, make_frame

LIBRARY = str(Path(sklearn_fsmd.__file__).parent)
EVENTS = [
    *("on_train_begin", "on_epoch_begin", "on_batch_begin", "on_grad_computed", "on_batch_end", "on_epoch_end"),
    "on_train_end",
]
PARAMS = SMALL | {"max_epochs": 2, "early_stopping": False}
VARIANTS = {
    "default": {},
    "sparse tables": {"embedding_optimizer": "sparse"},
    "uncertainty": {"task_weighting": "uncertainty"},
    "gradnorm": {"task_weighting": "gradnorm"},
    "pcgrad": {"task_weighting": "pcgrad"},
    "bias tower": {"bias_features": ["visits"]},
    "a random state": {"random_state": np.random.RandomState(3)},
    "momentum": {"optimizer": "sgd", "net_params": {"optimizer__momentum": 0.9}, "average_decay": 0.0},
}


class Counting(nn.Module):
    """An extractor that remembers, outside of its weights, how often it was trained, and goes by that."""

    def __init__(self, n_inputs, n_tasks):
        super().__init__()
        self.linear = nn.Linear(n_inputs, n_tasks * 3)
        self.n_tasks, self.steps = n_tasks, 0

    def forward(self, x):
        self.steps += self.training
        return self.linear(x).tanh().view(len(x), self.n_tasks, 3) * (1 + self.steps / 100)


VARIANTS["an extractor of one's own"] = {"extractor": Counting}


class Interrupt(Callback):
    """Ctrl+C at the n-th time that something happens."""

    def __init__(self, event, n=1):
        self.left = n
        setattr(self, event, self.count)

    def count(self, *args, **kwargs):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def is_in_del(frame):
    """Whether a finalizer is running; Python itself swallows what is raised there."""
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def interrupt_at_line(n):
    """A tracer that interrupts before the n-th line of the library that is run; and how many were."""
    seen = [0]

    def trace(frame, event, arg):
        if not frame.f_code.co_filename.startswith(LIBRARY) or is_in_del(frame):
            return None
        if event == "line":
            seen[0] += 1
            if seen[0] == n:
                raise KeyboardInterrupt
        return trace

    return trace, seen


def run_traced(action, n=None):
    trace, seen = interrupt_at_line(n)
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return seen[0]


@pytest.fixture(scope="module")
def data():
    return make_frame(200), make_frame(130, seed=1)


def twins(data, n=2, **params):
    """Models that are fitted alike and share nothing."""
    return [MultiTaskClassifier(**copy.deepcopy(PARAMS | params)).fit(*data[0]) for _ in range(n)]


def assert_same(a, b):
    """The same weights, to the last bit, and the same history."""
    for x, y in zip(a.module_.state_dict().values(), b.module_.state_dict().values(), strict=True):
        assert torch.equal(x, y)
    timeless = [[{k: v for k, v in epoch.items() if k != "dur"} for epoch in m.history_] for m in (a, b)]
    assert timeless[0] == timeless[1]


def go_on(model, how, part):
    model.set_params(callbacks=None, warm_start=how == "warm_start")
    return model.partial_fit(*part) if how == "partial_fit" else model.fit(*part)


@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_interrupted_at_every_callback(variant, how, data):
    one, other = twins(data, **VARIANTS[variant])
    for model in (one, other):  # in the middle of something
        go_on(model, how, data[1])
    before = one.predict_marginals(data[0][0])
    for event in EVENTS:
        happens_once = event.startswith("on_train") or (event.startswith("on_epoch") and how == "partial_fit")
        one.set_params(callbacks=[Interrupt(event, 1 if happens_once else 2)])
        with pytest.raises(KeyboardInterrupt):
            one.partial_fit(*data[1]) if how == "partial_fit" else one.fit(*data[1])
        np.testing.assert_array_equal(one.predict_marginals(data[0][0]), before)
    for model in (one, other):
        go_on(model, how, data[1])
    assert_same(one, other)


@pytest.mark.parametrize("variant", VARIANTS)
def test_interrupted_at_random_lines(variant, data):
    one, other, third = twins(data, 3, **VARIANTS[variant])
    third.partial_fit(*data[1])  # what happens once in a process is behind us
    n_lines = run_traced(lambda: third.partial_fit(*data[1]))
    n_threads = torch.get_num_threads()
    before = one.predict_marginals(data[0][0])
    for n in np.random.RandomState(0).randint(1, n_lines, size=12):
        with pytest.raises(KeyboardInterrupt):
            run_traced(lambda: one.partial_fit(*data[1]), n)
        np.testing.assert_array_equal(one.predict_marginals(data[0][0]), before)
    assert torch.get_num_threads() == n_threads
    for model in (one, other):
        model.partial_fit(*data[1])
    assert_same(one, other)


def test_a_fit_anew_that_is_interrupted_leaves_the_former_one(data):
    one, other = twins(data)
    X, Y = data[1]
    one.set_params(callbacks=[Interrupt("on_batch_end", 2)])
    with pytest.raises(KeyboardInterrupt):
        one.fit(X[["price", "city"]], Y["click"].map({0: "no", 1: "yes"}))
    for model in (one, other):
        go_on(model, "partial_fit", data[1])
    assert_same(one, other)


def test_the_random_state_of_a_fit_that_fails_is_as_it_was(data):
    random = np.random.RandomState(5)
    state = random.get_state()
    with pytest.raises(KeyboardInterrupt):
        MultiTaskClassifier(**PARAMS | {"random_state": random, "callbacks": [Interrupt("on_batch_end")]}).fit(*data[0])
    np.testing.assert_array_equal(random.get_state()[1], state[1])
    assert random.get_state()[2] == state[2]


# ------------------------------------------------------------------------------------------------- while it is trained


class Asking(Callback):
    """Asks the model at each batch what it says of `X`."""

    def __init__(self, X):
        self.X, self.answers = X, []

    def on_batch_end(self, net, **kwargs):
        self.answers.append(self.model.predict_marginals(self.X))


@pytest.mark.parametrize("anew", [False, True])
def test_a_model_that_is_being_trained_answers_from_its_former_state(anew, data):
    asking = Asking(data[0][0])
    asking.model = model = FSMDClassifier(**PARAMS).fit(*data[0])
    before = model.predict_marginals(asking.X)
    model.set_params(callbacks=[asking])
    X, Y = data[1]
    model.fit(X[["price", "city"]], Y) if anew else model.partial_fit(X, Y)
    assert len(asking.answers) > 1
    for answer in asking.answers:
        np.testing.assert_array_equal(answer, before)
    assert (model.predict_marginals(X[["price", "city"]] if anew else X)[:5] != before[:5]).any()


def test_other_threads_see_one_fit_or_the_other(data):
    X = data[0][0]
    fits = [data[0], (X.assign(city="Rome"), data[0][1])]
    expected = [FSMDClassifier(**PARAMS).fit(*fit).predict_marginals(X) for fit in fits]
    model, done, answers = FSMDClassifier(**PARAMS).fit(*fits[1]), threading.Event(), []

    def ask():
        while not done.is_set():
            answers.append(model.predict_marginals(X))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for i in range(6):
        model.fit(*fits[i % 2])
    done.set()
    for thread in threads:
        thread.join()
    assert len(answers) > 6
    assert all(any(np.allclose(answer, e, atol=1e-6) for e in expected) for answer in answers)
