"""Training that fails or is interrupted has no effect on predictions or on later training."""

import copy
import gc
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, LRScheduler
from torch import nn

import sklearn_fsmd
from sklearn_fsmd import DenoisingEmbedder, FSMDClassifier, MultiTaskClassifier
from sklearn_fsmd.encoding.input_encoder import InputEncoder
from sklearn_fsmd.encoding.table.encoder import FeatureEncoder
from sklearn_fsmd.estimators import embedder as embedder_module
from sklearn_fsmd.inference.predictor import Predictor
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
    "random state": {"random_state": np.random.RandomState(3)},
    "momentum": {"optimizer": "sgd", "net_params": {"optimizer__momentum": 0.9}, "average_decay": 0.0},
}


class Counting(nn.Module):
    """An extractor whose output depends on its number of training steps, which is not one of its weights."""

    def __init__(self, n_inputs, n_tasks):
        super().__init__()
        self.linear = nn.Linear(n_inputs, n_tasks * 3)
        self.n_tasks, self.steps = n_tasks, 0

    def forward(self, x):
        self.steps += self.training
        return self.linear(x).tanh().view(len(x), self.n_tasks, 3) * (1 + self.steps / 100)


VARIANTS["custom extractor"] = {"extractor": Counting}


class Interrupt(Callback):
    """Raise KeyboardInterrupt at the n-th call."""

    def __init__(self, event, n=1):
        self.left = n
        setattr(self, event, self.count)

    def count(self, *args, **kwargs):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def is_in_del(frame):
    """Whether a finalizer is running; Python ignores exceptions that are raised there."""
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def run_traced(model, action, n=None):
    """Run `action`, interrupt it before its n-th line in the library, and return the number of lines.

    Lines count until the model takes over its new state: after that, training is complete. Garbage of previous tests is
    collected first and not during the run, because closing a generator executes lines, too.
    """
    n_lines, previous = 0, model.__dict__

    def trace(frame, event, arg):
        nonlocal n_lines
        if not frame.f_code.co_filename.startswith(LIBRARY) or is_in_del(frame):
            return None
        if event == "line" and model.__dict__ is previous:
            n_lines += 1
            if n_lines == n:
                raise KeyboardInterrupt
        return trace

    gc.collect()
    gc.disable()
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
        gc.enable()
    return n_lines


@pytest.fixture(scope="module")
def data():
    return make_frame(200), make_frame(130, seed=1)


def twins(data, n=2, **params):
    """Models with the same fit that share no objects."""
    return [MultiTaskClassifier(**copy.deepcopy(PARAMS | params)).fit(*data[0]) for _ in range(n)]


def assert_same(a, b):
    """Check that the weights are equal bit by bit, and the histories except for durations."""
    for x, y in zip(a.module_.state_dict().values(), b.module_.state_dict().values(), strict=True):
        assert torch.equal(x, y)
    histories = [[{k: v for k, v in epoch.items() if k != "dur"} for epoch in m.history_] for m in (a, b)]
    assert histories[0] == histories[1]


def continue_training(model, how, part):
    model.set_params(callbacks=None, warm_start=how == "warm_start")
    return model.partial_fit(*part) if how == "partial_fit" else model.fit(*part)


def test_continued_training_keeps_parameters_that_are_user_objects(data):
    class First:
        """A selector that can be distinguished from its copy."""

        def __call__(self, X):
            return ["visits"]

    params = SMALL | {"max_epochs": 1, "bias_features": First(), "callbacks": []}
    model = FSMDClassifier(**params).fit(*data[0])
    for _ in range(3):
        model.partial_fit(*data[1])
    assert model.net_.spec_["bias_features"] is params["bias_features"]


@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_an_interrupt_at_any_callback_has_no_effect(variant, how, data):
    one, other = twins(data, **VARIANTS[variant])
    for model in (one, other):  # start from a state of continued training
        continue_training(model, how, data[1])
    before = one.predict_marginals(data[0][0])
    for event in EVENTS:
        happens_once = event.startswith("on_train") or (event.startswith("on_epoch") and how == "partial_fit")
        one.set_params(callbacks=[Interrupt(event, 1 if happens_once else 2)])
        with pytest.raises(KeyboardInterrupt):
            one.partial_fit(*data[1]) if how == "partial_fit" else one.fit(*data[1])
        np.testing.assert_array_equal(one.predict_marginals(data[0][0]), before)
    for model in (one, other):
        continue_training(model, how, data[1])
    assert_same(one, other)


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_interrupt_at_a_random_line_has_no_effect(variant, data):
    one, other, third, fourth = twins(data, 4, **VARIANTS[variant])
    fourth.partial_fit(*data[1])  # execute the lines that run once per process
    n_lines = run_traced(third, lambda: third.partial_fit(*data[1]))  # `one` will execute as many lines
    n_threads = torch.get_num_threads()
    before = one.predict_marginals(data[0][0])
    for n in np.random.RandomState(0).randint(1, n_lines, size=12):
        with pytest.raises(KeyboardInterrupt):
            run_traced(one, lambda: one.partial_fit(*data[1]), n)
        np.testing.assert_array_equal(one.predict_marginals(data[0][0]), before)
    assert torch.get_num_threads() == n_threads
    for model in (one, other):
        model.partial_fit(*data[1])
    assert_same(one, other)


def test_an_interrupted_refit_keeps_the_previous_fit(data):
    one, other = twins(data)
    X, Y = data[1]
    one.set_params(callbacks=[Interrupt("on_batch_end", 2)])
    with pytest.raises(KeyboardInterrupt):
        one.fit(X[["price", "city"]], Y["click"].map({0: "no", 1: "yes"}))
    for model in (one, other):
        continue_training(model, "partial_fit", data[1])
    assert_same(one, other)


def test_a_failed_fit_restores_the_random_state(data):
    random = np.random.RandomState(5)
    state = random.get_state()
    with pytest.raises(KeyboardInterrupt):
        MultiTaskClassifier(**PARAMS | {"random_state": random, "callbacks": [Interrupt("on_batch_end")]}).fit(*data[0])
    np.testing.assert_array_equal(random.get_state()[1], state[1])
    assert random.get_state()[2] == state[2]


# ----------------------------------------------------------------------------------------------------- during training


class PredictDuringFit(Callback):
    """Predict `X` with the model after each batch."""

    def __init__(self, X):
        self.X, self.answers = X, []

    def on_batch_end(self, net, **kwargs):
        self.answers.append(self.model.predict_marginals(self.X))


@pytest.mark.parametrize("refit", [False, True])
def test_predictions_during_training_use_the_previous_state(refit, data):
    callback = PredictDuringFit(data[0][0])
    callback.model = model = FSMDClassifier(**PARAMS).fit(*data[0])
    before = model.predict_marginals(callback.X)
    model.set_params(callbacks=[callback])
    X, Y = data[1]
    model.fit(X[["price", "city"]], Y) if refit else model.partial_fit(X, Y)
    assert len(callback.answers) > 1
    for answer in callback.answers:
        np.testing.assert_array_equal(answer, before)
    assert (model.predict_marginals(X[["price", "city"]] if refit else X)[:5] != before[:5]).any()


METHODS = {
    "predict": lambda model, X: model.predict(X),
    "predict_proba": lambda model, X: np.stack(model.predict_proba(X)),
    "predict_marginals": lambda model, X: model.predict_marginals(X),
    "predict_conditionals": lambda model, X: model.predict_conditionals(X),
    "rank_score": lambda model, X: model.rank_score(X),
    "gate_weights": lambda model, X: model.gate_weights(X),
    "score": lambda model, X: model.score(X, np.tile([[0, 0], [1, 1]], (100, 1))),
    "view.predict_proba": lambda model, X: model.output_view(1).predict_proba(X),
    "view.predict": lambda model, X: model.output_view(1).predict(X),
}


@pytest.mark.parametrize("method", METHODS)
def test_a_prediction_uses_one_fit_even_if_another_fit_ends_meanwhile(method, data, monkeypatch):
    """The other model has other encodings, classes, links and target names."""
    X, Y = data[0]
    first = FSMDClassifier(**PARAMS).fit(X, Y)
    other = MultiTaskClassifier(**PARAMS | {"link": "independent", "random_state": 7})
    other.fit(
        X.assign(user=X["user"].cat.codes % 20, city="Rome"), np.where(Y["click"].to_numpy()[:, None] == [1, 0], 5, 3)
    )
    expected, state, ask = METHODS[method](first, X), first.__dict__, METHODS[method]
    for function_path in (Predictor, "marginals"), (Predictor, "gate_weights"), (InputEncoder, "encode_main"):
        with monkeypatch.context() as patch:
            _swap_state_within_call(patch, *function_path, first, other)
            np.testing.assert_array_equal(ask(first, X), expected)
        first.__dict__ = state


def _swap_state_within_call(patch, owner, name, model, other):
    """Give the model the state of the other one just before the function returns."""
    function = getattr(owner, name)

    def call_and_swap(*args):
        result = function(*args)
        model.__dict__ = other.__dict__
        return result

    patch.setattr(owner, name, call_and_swap)


def test_other_threads_see_either_the_old_or_the_new_fit(data):
    X = data[0][0]
    fits = [(X, data[0][1]), (X.assign(city="Rome"), data[0][1] + 1)]
    expected = [FSMDClassifier(**PARAMS).fit(*fit).predict(X) for fit in fits]
    model, done, answers = FSMDClassifier(**PARAMS).fit(*fits[1]), threading.Event(), []

    def ask():
        while not done.is_set():
            answers.append(model.predict(X))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for i in range(6):
        model.fit(*fits[i % 2])
    done.set()
    for thread in threads:
        thread.join()
    assert len(answers) > 6
    assert all(any(np.array_equal(answer, e) for e in expected) for answer in answers)


# ------------------------------------------------------------------------------------------------- objects of the user


def test_changes_of_the_estimator_during_fit_are_kept(data):
    class Adjust(Callback):
        def on_batch_end(self, net, **kwargs):
            self.model.set_params(lr=0.123)
            self.model.note = "mine"

    adjust = Adjust()
    adjust.model = model = FSMDClassifier(**PARAMS, callbacks=[adjust])
    model.fit(*data[0])
    assert model.lr == 0.123
    assert model.note == "mine"
    model.set_params(callbacks=None, categorical_features=[0, 1, 2]).fit(data[0][0].to_numpy(object), data[0][1])
    assert not hasattr(model, "feature_names_in_")  # it belonged to the previous fit


def test_fit_advances_the_random_state_of_the_user(data):
    used, untouched = np.random.RandomState(5), np.random.RandomState(5)
    model = FSMDClassifier(**PARAMS | {"random_state": used}).fit(*data[0])
    after = used.get_state()[1].copy()
    assert (after != untouched.get_state()[1]).any() or used.get_state()[2] != untouched.get_state()[2]
    again = FSMDClassifier(**PARAMS | {"random_state": untouched}).fit(*data[0])
    assert used.get_state()[2] == untouched.get_state()[2]
    assert_same(model, again)


def test_a_failed_fit_does_not_reset_the_global_generator_of_numpy(data):
    model = FSMDClassifier(**PARAMS | {"random_state": None}).fit(*data[0])
    np.random.seed(3)
    expected = np.random.RandomState(3).uniform(size=2)
    assert np.random.uniform() == expected[0]
    model.set_params(callbacks=[Interrupt("on_train_begin")])
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(*data[1])
    assert np.random.uniform() != expected[0]  # it was not reset


class DecayingSGD(torch.optim.SGD):
    """An optimizer whose steps depend on an additional attribute."""

    def __init__(self, params, **options):
        super().__init__(params, **options)
        self.n_steps = 0

    def step(self, closure=None):
        self.n_steps += 1
        for group in self.param_groups:
            group["lr"] = 0.1 / self.n_steps
        return super().step(closure)


def test_continued_training_keeps_attributes_and_hooks_of_the_optimizer(data):
    class Hooks(Callback):
        def __init__(self):
            self.n = 0

        def on_train_begin(self, net, **kwargs):
            if not self.n:
                net.optimizer_.register_step_pre_hook(self.count)
                net.module_.extractor.register_forward_hook(self.count)

        def count(self, *args):
            self.n += 1

    torch.optim.SGD([nn.Parameter(torch.zeros(1))])  # torch wraps the step of a class when its first object is made
    hooks = Hooks()
    model = MultiTaskClassifier(**PARAMS | {"optimizer": DecayingSGD, "callbacks": [hooks]}).fit(*data[0])
    n_steps, n_calls = model.net_.optimizer_.n_steps, hooks.n
    assert n_steps == 8
    # Per step, torch calls the step hook twice (because of super().step()) and the forward hook once. Two more forward
    # passes evaluate the last step again and set the level.
    assert n_calls == 3 * n_steps + 2
    previous = model.net_
    model.partial_fit(*data[0])
    assert model.net_.optimizer_.n_steps == 12
    assert previous.optimizer_.n_steps == 8
    assert hooks.n == n_calls + 3 * 4 + 1


def test_continued_training_after_a_schedule_leaves_the_previous_net(data):
    schedule = LRScheduler("StepLR", step_size=1, gamma=1.0)
    model = FSMDClassifier(**PARAMS, callbacks=[schedule]).fit(*data[0]).set_params(callbacks=None)
    before = model.net_
    weights = [tensor.clone() for tensor in before.module_.state_dict().values()]
    model.partial_fit(*data[1])
    assert all(torch.equal(a, b) for a, b in zip(weights, before.module_.state_dict().values(), strict=True))
    assert any((a != b).any() for a, b in zip(weights, model.module_.state_dict().values(), strict=True))


class Locked(Counting):
    """An extractor that cannot be copied."""

    def __init__(self, n_inputs, n_tasks):
        super().__init__(n_inputs, n_tasks)
        self.lock = threading.Lock()


def test_a_module_that_cannot_be_copied_is_named_in_the_error(data):
    model = MultiTaskClassifier(**PARAMS | {"extractor": Locked}).fit(*data[0])
    with pytest.raises(TypeError, match="works on a copy of the net, and its 'module' cannot be copied: .*lock"):
        model.partial_fit(*data[1])


def test_a_failed_fit_of_an_embedder_keeps_the_previous_fit(data, monkeypatch):
    X = data[0][0]
    embedder = DenoisingEmbedder(n_epochs=1, random_state=0).fit(X)
    before = embedder.transform(X)
    with monkeypatch.context() as patch:
        patch.setattr(embedder_module, "pretrain", lambda *args, **kwargs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            embedder.fit(X[["price", "city"]])
    np.testing.assert_array_equal(embedder.transform(X), before)
    other = DenoisingEmbedder(n_epochs=1, random_state=1, embedding_dim=3).fit(X[["price", "city"]])
    _swap_state_within_call(monkeypatch, FeatureEncoder, "encode", embedder, other)
    np.testing.assert_array_equal(embedder.transform(X), before)


def test_concurrent_partial_fits_continue_from_each_other(data):
    """This holds even if the first of them builds the model."""
    X, Y = data[0]
    shared_model = FSMDClassifier(**PARAMS)
    chunks = [(X[start : start + 50], Y[start : start + 50]) for start in range(0, 200, 50)]
    threads_ = [threading.Thread(target=shared_model.partial_fit, args=chunk) for chunk in chunks]
    for thread in threads_:
        thread.start()
    for thread in threads_:
        thread.join()
    assert len(shared_model.history_) == 4
