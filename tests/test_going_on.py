"""Continued training: the validation rows, the state of the optimizer, and the parameters that may change."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from skorch.callbacks import Callback, Freezer

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.training import construction
from tests.conftest import SMALL

X, Y = make_funnel(3000, random_state=0, return_X_y=True)
X = X.assign(row=np.roll(np.arange(3000.0), 1))  # the first rows are the extremes, where numbers are clipped
FAST = SMALL | {"batch_size": 256, "max_epochs": 1}


class Rows(Callback):
    """Records the training rows and the validation rows of each fit."""

    def __init__(self):
        self.trained, self.validated = [], []

    def on_epoch_begin(self, net, dataset_train, dataset_valid, **kwargs):
        for kept, data in ((self.trained, dataset_train), (self.validated, dataset_valid)):
            column = data.inputs[1][:, -1].numpy()
            column = column if data.rows is None else column[data.rows]
            kept.append(set(np.round(column, 4).tolist()))


def rows_of(first, second, **changed):
    """The training rows of the first of two fits, and the validation rows of both."""
    seen = Rows()
    options = {"warm_start": True, "callbacks": [seen], "numeric_scaling": "standard", "target_statistics": None}
    model = FSMDClassifier(**FAST | options)
    model.fit(*first).set_params(**changed).fit(*second)
    return seen.trained[0], seen.validated


def test_training_rows_never_become_validation_rows():
    """Rows stay training or validation rows if labels become known or change, or if rows are appended."""
    flipped = Y.copy()
    flipped.loc[5, "click"] = 1 - flipped.loc[5, "click"]
    late = Y.astype(float)
    late.loc[2800:, "conversion"] = np.nan
    for first, second in (((X, Y), (X, flipped)), ((X, late), (X, Y)), ((X[:2500], Y[:2500]), (X, Y))):
        trained, (before, now) = rows_of(first, second)
        assert not trained & now
        assert before <= now
        assert len(now) == round(0.1 * len(second[0]))


def test_other_rows_or_another_fraction_get_a_new_split():
    _, (_, now) = rows_of((X, Y), (X[:1500], Y[:1500]))
    assert len(now) == 150
    _, (_, now) = rows_of((X, Y), (X, Y), validation_fraction=0.2)
    assert len(now) == 600


def test_a_fit_from_scratch_forgets_the_previous_validation_rows():
    found = []
    for has_fit_before in (True, False):
        model = FSMDClassifier(**FAST)
        if has_fit_before:
            model.fit(X[:2000], Y[:2000])
        model.fit(X[:2500], Y[:2500], X_val=X[2500:], Y_val=Y[2500:])
        found.append(model.set_params(warm_start=True).fit(X, Y).predict_marginals(X))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(
    "wrong",
    [{"new_categories": "Grow"}, {"batch_size": -5}, {"precision": "fp16"}, {"chain_loss": "foo"}, {"callbacks": 3}],
    ids=str,
)
def test_each_call_of_partial_fit_checks_the_parameters(wrong):
    model = FSMDClassifier(**FAST).partial_fit(X[:500], Y[:500])
    with pytest.raises(ValueError, match=f"The '{next(iter(wrong))}' parameter of FSMDClassifier must be"):
        model.set_params(**wrong).partial_fit(X[:500], Y[:500])


@pytest.mark.parametrize(
    ("changed", "is_continued"),
    [
        ({}, True),
        ({"lr": 0.004}, True),
        ({"task_weights": [1, 2]}, True),
        ({"weight_decay": 0.5}, True),
        ({"embedding_lr": 0.06}, True),
        ({"optimizer": "adam"}, False),
        ({"net_params": {"optimizer__amsgrad": True, "optimizer__fused": False}}, False),
    ],
    ids=str,
)
def test_only_another_optimizer_resets_the_optimizer_state(changed, is_continued):
    model = FSMDClassifier(**FAST, lr=0.005, early_stopping=False).fit(X[:1024], Y[:1024])
    model.set_params(**changed).partial_fit(X[:512], Y[:512])
    optimizer = model.net_.optimizer_
    assert {int(state["step"]) for state in optimizer.state.values()} == ({6} if is_continued else {2})
    assert optimizer.param_groups[0]["lr"] == changed.get("lr", 0.005)
    assert optimizer.param_groups[0]["weight_decay"] == changed.get(
        "weight_decay", 0.0 if "optimizer" in changed else 0.03
    )


def test_frozen_parameters_stay_frozen_in_partial_fit(tmp_path):
    model = FSMDClassifier(**FAST, callbacks=[Freezer("embedding*")]).fit(X, Y)
    before = model.module_.embedding.table.weight.detach().clone()
    model.save(tmp_path / "m")
    loaded = FSMDClassifier.load(tmp_path / "m", parameters={"callbacks": []})
    for candidate in (model, pickle.loads(pickle.dumps(model)), loaded):
        candidate.partial_fit(X[:256], Y[:256])
        assert torch.equal(before, candidate.module_.embedding.table.weight)
        candidate.set_params(callbacks=None).fit(X, Y)
        assert not torch.equal(before, candidate.module_.embedding.table.weight)


@pytest.mark.parametrize("rule", ["uncertainty", "gradnorm"])
def test_learned_task_weights_are_saved(rule, tmp_path):
    rare = Y.assign(conversion=Y["conversion"] * (np.arange(len(Y)) % 5 == 0))
    model = FSMDClassifier(**FAST | {"task_weighting": rule, "lr": 0.1, "max_epochs": 4}).fit(X, rare)
    names = [name for name in model.history_[-1] if name.startswith("task_weight_")]
    before = [model.history_[-1][name] for name in names]
    model.save(tmp_path / "m")
    for candidate in (pickle.loads(pickle.dumps(model)), FSMDClassifier.load(tmp_path / "m")):
        found, kept = (m.net_.balance.to_spec() for m in (candidate, model))
        assert found == kept
        candidate.partial_fit(X[:256], rare[:256])
        after = [candidate.history_[-1][name] for name in names]
        np.testing.assert_allclose(after, before, rtol=0.15)  # one step further
    assert not np.allclose(before, 1, atol=0.05)


def test_continuing_on_another_device_is_refused(monkeypatch):
    model = FSMDClassifier(**FAST, device="cpu").fit(X[:500], Y[:500])
    with pytest.raises(ValueError, match="nonsense"):
        model.set_params(device="nonsense").partial_fit(X[:500], Y[:500])
    with monkeypatch.context() as patch:
        patch.setattr(construction, "resolve_device", lambda device: "cuda:0")  # as on a machine with a GPU
        with pytest.raises(ValueError, match="The 'device' parameter is 'cuda' now, and the model is on 'cpu'"):
            model.set_params(device="cuda").partial_fit(X[:500], Y[:500])
    model.set_params(device="cpu").partial_fit(X[:500], Y[:500])


def test_training_stopped_before_the_first_step_keeps_the_weights():
    class StopAtOnce(Callback):
        def on_train_begin(self, net, **kwargs):
            net.stop_training_ = True

    model = FSMDClassifier(**FAST, warm_start=True, target_statistics=None).fit(X, Y)
    before = model.module_.towers.output.weight.clone()
    model.set_params(callbacks=[StopAtOnce()]).fit(X, Y)
    assert torch.equal(before, model.module_.towers.output.weight)
    assert np.isfinite(FSMDClassifier(**FAST, callbacks=[StopAtOnce()]).fit(X, Y).predict_marginals(X)).all()


@pytest.mark.parametrize("kind", [pd.Series, dict])
def test_task_weights_by_name_are_refused(kind):
    weights = kind({"conversion": 5.0, "click": 1.0})
    with pytest.raises(ValueError, match="'task_weights' parameter takes numbers in the order of the targets"):
        FSMDClassifier(**FAST, task_weights=weights).fit(X, Y)


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": torch.optim.LBFGS},
        {"net_params": {"optimizer__momentum": 0.9}},
        {"net_params": {"foo": 1}},
    ],
    ids=str,
)
def test_errors_in_creating_the_net_name_the_parameters(options):
    with pytest.raises(ValueError, match=r"The net cannot be made with optimizer=.* and net_params=.*: .+\."):
        FSMDClassifier(**FAST, **options).fit(X[:500], Y[:500])
    FSMDClassifier(**FAST, net_params={"optimizer__foreach": True}).fit(X[:500], Y[:500])


def test_surrounding_autocast_or_inference_mode_has_no_effect():
    model = FSMDClassifier(**FAST).fit(X, Y)
    expected = model.predict_marginals(X)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        np.testing.assert_array_equal(model.predict_marginals(X), expected)
        np.testing.assert_array_equal(FSMDClassifier(**FAST).fit(X, Y).predict_marginals(X), expected)
    with torch.inference_mode():
        np.testing.assert_array_equal(FSMDClassifier(**FAST).fit(X, Y).predict_marginals(X), expected)


@pytest.mark.parametrize("embedding_optimizer", ["dense", "sparse"])
def test_training_goes_on_from_the_trained_weights_whatever_has_changed(embedding_optimizer, monkeypatch):
    """Not from their average, of which predictions are made: a tiny change of a parameter has a tiny effect."""
    monkeypatch.setattr("sklearn_fsmd.training.optimizers.weight_average.SMALL_TABLE", 0)
    found = []
    for change in ({}, {"lr": 0.01 * (1 + 1e-9)}, {"average_decay": 0.995 * (1 - 1e-9)}):
        params = FAST | {"lr": 0.01, "early_stopping": False, "embedding_optimizer": embedding_optimizer}
        model = FSMDClassifier(**params).fit(X[:2000], Y[:2000])
        found.append(model.set_params(**change).partial_fit(X[2000:], Y[2000:]).predict_marginals(X))
    np.testing.assert_allclose(found[1], found[0], atol=1e-4)
    np.testing.assert_allclose(found[2], found[0], atol=1e-4)


@pytest.mark.parametrize(("then", "decay"), [({"embedding_optimizer": "dense"}, 0.995), ({"average_decay": 0.9}, 0.9)])
def test_the_average_of_a_table_goes_on_whatever_has_changed(then, decay, monkeypatch):
    """Weights that hardly move any more are neared at the rate of the average."""
    monkeypatch.setattr("sklearn_fsmd.training.optimizers.weight_average.SMALL_TABLE", 0)
    params = FAST | {"early_stopping": False, "embedding_optimizer": "sparse"}
    model = FSMDClassifier(**params).fit(X, Y).set_params(**then, lr=1e-30)

    def distance():
        average, table = model.net_.average_, model.module_.embedding.table.weight
        (place,) = (i for i, tensor in enumerate(average.tensors) if tensor is table)
        return average.step, (average.others[place] - table).norm().item()

    before, far = distance()
    for _ in range(10):
        model.partial_fit(X[:256], Y[:256])
    now, near = distance()
    assert now == before + 10
    assert near == pytest.approx(far * decay**10 * (1 - decay**before) / (1 - decay**now), rel=0.01)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"embedding_optimizer": "sparse"}, {"lr": 0.004}),
        ({"embedding_optimizer": "rowwise_adagrad"}, {"lr": 0.004}),
        ({"task_weighting": "uncertainty"}, {"lr": 0.004}),
        ({"task_weighting": "uncertainty"}, {"task_weighting": "fixed"}),
    ],
    ids=str,
)
def test_the_optimizer_state_keeps_its_dtypes_and_parameters(first, then):
    model = FSMDClassifier(**FAST | {"early_stopping": False} | first).fit(X[:1024], Y[:1024])

    def state_dtypes():
        return {
            name: {key: value.dtype for key, value in model.net_.optimizer_.state[parameter].items()}
            for name, parameter in model.module_.named_parameters()
        }

    before = state_dtypes()
    model.set_params(**then).partial_fit(X[:512], Y[:512])
    assert state_dtypes() == before
    trained = {parameter for group in model.net_.optimizer_.param_groups for parameter in group["params"]}
    assert set(model.net_.optimizer_.state) <= trained
    assert {int(state["step"]) for state in model.net_.optimizer_.state.values()} == {6}
