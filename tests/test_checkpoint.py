"""A killed fit is resumed with the same result, bit by bit; an interrupted fit leaves nothing incomplete."""

import json
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import LRScheduler

from sklearn_fsmd import FSClassifier, FSMDClassifier, MultiTaskClassifier
from sklearn_fsmd.persistence import container as storage
from sklearn_fsmd.training import Net, checkpoint
from sklearn_fsmd.training.optimizers.weight_average import WeightAverage
from tests.conftest import SMALL, make_frame
from tests.test_saving import places_in

STOPPED_IN = 4
PARAMS = SMALL | {"max_epochs": 6, "early_stopping": True, "patience": 6}


@pytest.fixture(scope="module")
def data():
    return make_frame(600)


@pytest.fixture
def interrupt(monkeypatch):
    """Fit a model, and interrupt it in epoch `STOPPED_IN`."""

    def fit_and_interrupt(model, *args, **kwargs):
        run = Net.run_single_epoch

        def run_or_stop(net, *args, **kwargs):
            if len(net.history) == STOPPED_IN:
                raise KeyboardInterrupt
            return run(net, *args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(Net, "run_single_epoch", run_or_stop)
            with pytest.raises(KeyboardInterrupt):
                model.fit(*args, **kwargs)
        return model

    return fit_and_interrupt


def assert_same_fit(a, b):
    states = [m.module_.state_dict() for m in (a, b)]
    assert list(states[0]) == list(states[1])
    for name, tensor in states[0].items():
        assert torch.equal(tensor, states[1][name]), name
    histories = [[{k: v for k, v in epoch.items() if k != "dur"} for epoch in m.history_] for m in (a, b)]
    assert histories[0] == histories[1]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"embedding_optimizer": "sparse"},
        {"task_weighting": "uncertainty"},
        {"task_weighting": "gradnorm"},
        {"task_weighting": "pcgrad"},
        {"bias_features": ["visits"], "pretrain_epochs": 1},
        {"early_stopping": False, "optimizer": "sgd", "lr": 0.1, "batch_norm": False, "average_decay": 0.0},
        {"optimizer": torch.optim.RMSprop, "extractor": "mmoe", "unknown_rate": 0.2},
        {"random_state": np.random.RandomState(3)},
        {"lr": np.float64(0.01), "weight_decay": np.float32(0.03), "net_params": {"optimizer__eps": np.float64(1e-7)}},
    ],
    ids=lambda params: ", ".join(params) or "default",
)
def test_a_resumed_fit_equals_an_uninterrupted_one(params, data, tmp_path, interrupt):
    whole = clone(MultiTaskClassifier(**PARAMS | params)).fit(*data)
    model = interrupt(clone(MultiTaskClassifier(**PARAMS | params, checkpoint=tmp_path / "c")), *data)
    assert not hasattr(model, "net_")
    model.fit(*data, resume=True)
    assert_same_fit(model, whole)
    for m in (model, whole):  # continued training is equal, too
        m.set_params(checkpoint=None).partial_fit(*data)
    assert_same_fit(model, whole)


def test_a_fit_in_a_killed_process_is_resumed(data, tmp_path):
    path = tmp_path / "c"
    script = f"""
        import os, signal, torch
        torch.set_num_threads(1)
        from sklearn_fsmd import FSMDClassifier
        from sklearn_fsmd.training import Net
        from tests.conftest import make_frame
        step = Net.train_step
        def die(net, *args, **kwargs):
            if len(net.history) == {STOPPED_IN} and net.n_batches_ > 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(net, *args, **kwargs)
        Net.train_step = die
        FSMDClassifier(**{PARAMS!r}, checkpoint={str(path)!r}).fit(*make_frame(600), resume=True)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    model = FSMDClassifier(**PARAMS, checkpoint=path).fit(*data, resume=True)
    assert_same_fit(model, FSMDClassifier(**PARAMS).fit(*data))


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"early_stopping": False},
        *({"task_weighting": rule} for rule in ("gradnorm", "pcgrad")),
        {"bias_features": ["visits"], "batch_size": 40},
    ],
    ids=lambda params: ", ".join(params) or "default",
)
@pytest.mark.parametrize("batch", [2, 7])
def test_a_fit_is_resumed_in_the_middle_of_an_epoch(params, batch, data, tmp_path, monkeypatch):
    """The fit is interrupted before and after the first validation check of an epoch."""
    params = PARAMS | {"max_epochs": 3} | params
    whole = MultiTaskClassifier(**params).fit(*data)
    step = Net.train_step
    for epoch in (1, 2):  # it is interrupted twice, each time in the middle of this epoch

        def stop(net, *args, _epoch=epoch, **kwargs):
            if len(net.history) == _epoch and len(net.losses_and_sizes[0]) == batch:
                raise KeyboardInterrupt
            return step(net, *args, **kwargs)

        model = MultiTaskClassifier(**params, checkpoint=tmp_path / "c", checkpoint_rows=100)
        with monkeypatch.context() as patch:
            patch.setattr(Net, "train_step", stop)
            with pytest.raises(KeyboardInterrupt):
                model.fit(*data, resume=True)
    steps = []
    monkeypatch.setattr(Net, "train_step", lambda net, *args, **kwargs: steps.append(0) or step(net, *args, **kwargs))
    assert_same_fit(model.fit(*data, resume=True), whole)
    n_batches = -(-len(data[0]) // params["batch_size"])
    assert len(steps) <= 2 * n_batches - (batch - 1)  # the batches before the interruption were not trained again


def test_a_resumed_fit_without_a_seed_repeats_the_random_draws(data, tmp_path, interrupt):
    params = PARAMS | {"random_state": None, "checkpoint": tmp_path / "c"}
    model = interrupt(FSMDClassifier(**params), *data)
    one, two = (clone(model) for _ in range(2))
    checkpoint_bytes = (tmp_path / "c").read_bytes()
    one.fit(*data, resume=True)
    (tmp_path / "c").write_bytes(checkpoint_bytes)
    assert_same_fit(one, two.fit(*data, resume=True))


def test_resuming_a_complete_fit_restores_its_result(data, tmp_path):
    params = PARAMS | {"patience": 1, "checkpoint": tmp_path / "c", "max_epochs": 30, "lr": 0.1}
    model = FSMDClassifier(**params).fit(*data)
    assert model.n_iter_ < 30  # it stopped early, and the checkpoint must contain that
    assert_same_fit(model, FSMDClassifier(**params).fit(*data, resume=True))


def test_a_fit_is_resumed_with_equal_parameters_of_other_types(data, tmp_path):
    X, Y = data
    path = tmp_path / "fit.safetensors"
    one = {"fm_scale": 1, "task_weights": [1, 2], "weight_decay": 0}
    other = {"fm_scale": 1.0, "task_weights": np.array([1.0, 2.0]), "weight_decay": 0.0}
    model = FSMDClassifier(**SMALL | one, checkpoint=path).fit(X, Y)
    resumed = FSMDClassifier(**SMALL | other, checkpoint=path).fit(X, Y, resume=True)
    assert_same_fit(model, resumed)


def test_a_fit_is_resumed_with_equal_keys_of_other_types(data, tmp_path):
    X, Y = data
    Y = np.column_stack([Y, np.ones(len(Y))])
    values = {"value_targets": [2, 3], "value_parents": {np.int64(2): np.int64(0), 3: 1}}
    Y, path = np.column_stack([Y, Y[:, 2]]), tmp_path / "fit.safetensors"
    model = FSMDClassifier(**SMALL | values, checkpoint=path).fit(X, Y)
    plain = {"value_targets": [2, 3], "value_parents": {2: 0, 3: 1}}
    assert_same_fit(model, FSMDClassifier(**SMALL | plain, checkpoint=path).fit(X, Y, resume=True))


def test_a_checkpoint_with_other_averaged_tensors_is_of_an_older_version(data, tmp_path, interrupt):
    init = WeightAverage.__init__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WeightAverage, "__init__", lambda self, module, decay, fixed: init(self, module, decay))
        interrupt(FSMDClassifier(**PARAMS, checkpoint=tmp_path / "c"), *data)
    with pytest.raises(ValueError, match="was written by an older version of the library. Fit from scratch"):
        FSMDClassifier(**PARAMS, checkpoint=tmp_path / "c").fit(*data, resume=True)


def test_resume_needs_the_same_validation_data_and_weights(data, tmp_path, interrupt):
    X, Y = data
    weights = np.linspace(0.5, 1.5, len(X))
    model = interrupt(FSMDClassifier(**PARAMS, checkpoint=tmp_path / "c"), X, Y, weights, X_val=X[:100], Y_val=Y[:100])
    for other in ((X, Y), (X, Y, weights)):
        with pytest.raises(ValueError, match="The data are not those of the fit that wrote .*c. Fit with the same X"):
            model.fit(*other, resume=True)
    model.fit(X, Y, weights, X_val=X[:100], Y_val=Y[:100], resume=True)
    assert model.n_iter_ == 6


OTHER_DATA = {
    "other ids": lambda X, Y: (X.assign(user=(X["user"].astype("int64") + 1).astype("category")), Y),
    "renamed categories": lambda X, Y: (X.assign(city=X["city"].map({"Oslo": "A", "Paris": "B", "Rome": "C"})), Y),
    "prices times two": lambda X, Y: (X.assign(price=X["price"] * 2), Y),
    "shifted numbers": lambda X, Y: (X.assign(visits=X["visits"] + 1), Y),
    "other classes": lambda X, Y: (X, Y + 1),
    "renamed columns": lambda X, Y: (X.rename(columns={"price": "cost"}), Y),
}


@pytest.mark.parametrize("other", OTHER_DATA)
def test_resume_refuses_other_data_with_the_same_codes(other, data, tmp_path, interrupt):
    model = interrupt(FSMDClassifier(**PARAMS, checkpoint=tmp_path / "c"), *data)
    with pytest.raises(
        ValueError, match=r"not those of the fit that .*The names, categories, scales or classes differ"
    ):
        clone(model).fit(*OTHER_DATA[other](*data), resume=True)
    assert model.fit(*data, resume=True).n_iter_ == 6


def test_a_checkpoint_without_the_encoding_is_refused(data, tmp_path, interrupt):
    """This was the format of the first version."""
    path = tmp_path / "c"
    model = interrupt(FSMDClassifier(**PARAMS, checkpoint=path), *data)
    content, arrays = storage.read(path, "checkpoint")
    content["dict"] = [[key, value] for key, value in content["dict"] if key != "encoding"]
    storage.write(path, "checkpoint", content, arrays)
    with pytest.raises(ValueError, match="does not say how its rows were encoded or how the network was computed"):
        model.fit(*data, resume=True)


@pytest.mark.filterwarnings("ignore")  # numpy and torch may warn of bad values
def test_a_manipulated_checkpoint_is_refused_or_harmless(data, tmp_path, interrupt, rng):
    """The checksum is valid. Such a file may only be refused, let the training diverge, or be resumed without harm."""
    path = tmp_path / "c"
    model = interrupt(FSMDClassifier(**PARAMS, checkpoint=path), *data)
    content, arrays = storage.read(path, "checkpoint")
    key_paths, n_refused = [place for place in places_in(content) if place], 0
    for i in range(60):
        changed, bad_values = json.loads(json.dumps(content)), [None, -1, 10**30, "x", [], {"tuple": []}]
        inside, place = changed, key_paths[rng.randint(len(key_paths))]
        for key in place[:-1]:
            inside = inside[key]
        inside[place[-1]] = bad_values[rng.randint(len(bad_values))]
        others = dict(arrays)
        if i % 2:  # change the shape of an array, and keep the content
            changed, name = content, list(arrays)[rng.randint(len(arrays))]
            others[name] = arrays[name].ravel()[:1]
        storage.write(path, "checkpoint", changed, others)
        try:
            done = clone(model).fit(*data, resume=True)
        except (ValueError, FloatingPointError):  # the latter for options of the optimizer, which may be any numbers
            n_refused += 1
        else:
            assert np.isfinite(done.predict_marginals(data[0])).all()
    assert n_refused > 30


@pytest.mark.parametrize("place", [-1, 625, 2**29])
def test_a_random_state_with_an_invalid_position_is_refused(data, tmp_path, interrupt, place):
    path = tmp_path / "c"
    model = interrupt(FSMDClassifier(**PARAMS, checkpoint=path), *data)
    content, arrays = storage.read(path, "checkpoint")
    random = next(value for key, value in content["dict"] if key == "random")
    random["random"]["tuple"][2] = place
    storage.write(path, "checkpoint", content, arrays)
    with pytest.raises(ValueError, match=f"cannot be resumed: .*no position {place}"):
        model.fit(*data, resume=True)


def test_an_extractor_with_other_initial_weights_is_not_resumed(data, tmp_path, interrupt):
    def model_with_seed(seed):
        torch.manual_seed(seed)
        module = torch.nn.Sequential(torch.nn.Linear(22, 8), torch.nn.Unflatten(1, (2, 4)))
        return MultiTaskClassifier(**PARAMS, extractor=module, checkpoint=tmp_path / "c")

    interrupt(model_with_seed(0), *data)
    with pytest.raises(ValueError, match="initial weights are not those of the fit"):
        model_with_seed(1).fit(*data, resume=True)
    assert model_with_seed(0).fit(*data, resume=True).n_iter_ == 6


def test_a_checkpoint_does_not_replace_a_foreign_file(data, tmp_path):
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(ValueError, match="notes.txt is not a file of sklearn-fsmd, and is not replaced"):
        FSMDClassifier(**PARAMS, checkpoint=tmp_path / "notes.txt").fit(*data)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        FSMDClassifier(**PARAMS, checkpoint=tmp_path / "none" / "c").fit(*data)


def test_resume_refuses_other_parameters_models_data_and_files(data, tmp_path, interrupt):
    path = tmp_path / "c"
    model = interrupt(FSMDClassifier(**PARAMS, checkpoint=path), *data)
    with pytest.raises(ValueError, match=r"'lr' parameter was 'auto' in the fit that wrote .*c and is 0.1 now"):
        clone(model).set_params(lr=0.1).fit(*data, resume=True)
    with pytest.raises(ValueError, match="'max_epochs' parameter was 6"):
        clone(model).set_params(max_epochs=3).fit(*data, resume=True)
    with pytest.raises(ValueError, match="'warm_start' parameter was False"):
        clone(model).set_params(warm_start=True).fit(*data, resume=True)
    with pytest.raises(ValueError, match="c was written by the fit of FSMDClassifier, and this is FSClassifier"):
        FSClassifier(**PARAMS, checkpoint=path).fit(*data, resume=True)
    with pytest.raises(ValueError, match="The data are not those"):
        model.fit(data[0], data[1].set_axis(["click", "share"], axis=1), resume=True)
    with pytest.raises(ValueError, match="'checkpoint' parameter has to name"):
        FSMDClassifier(**PARAMS).fit(*data, resume=True)
    with pytest.raises(ValueError, match="`checkpoint` and `callbacks` do not go together"):
        FSMDClassifier(**PARAMS, checkpoint=path, callbacks=[LRScheduler("StepLR", step_size=1)]).fit(*data)
    warm = FSMDClassifier(**PARAMS, warm_start=True).fit(*data).set_params(checkpoint=path)
    with pytest.raises(ValueError, match="`checkpoint` is for a fit from the start"):
        warm.fit(*data)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match="c is damaged or was changed"):
        model.fit(*data, resume=True)
    FSMDClassifier(**PARAMS).fit(*data).save(path)
    for resume in (True, False):  # a model file is not replaced
        with pytest.raises(ValueError, match="c holds a model, not a checkpoint, and is not replaced"):
            model.fit(*data, resume=resume)
    path.unlink()
    assert model.fit(*data, resume=True).n_iter_ == 6  # there is no checkpoint, so it fits from scratch


def test_a_checkpoint_is_replaced_only_when_the_next_one_is_complete(data, tmp_path, monkeypatch):
    write, seen = storage.write, []

    def fail_later(path, *args):
        if len(seen) == 2:
            monkeypatch.setattr(storage, "save_file", lambda *args, **kwargs: 1 / 0)
        write(path, *args)
        seen.append(path.read_bytes())

    monkeypatch.setattr(checkpoint, "write", fail_later)
    model = FSMDClassifier(**PARAMS, checkpoint=tmp_path / "c")
    with pytest.raises(ZeroDivisionError):
        model.fit(*data)
    assert (tmp_path / "c").read_bytes() == seen[1]
    assert list(tmp_path.iterdir()) == [tmp_path / "c"]


def test_an_interrupted_fit_keeps_the_previous_fit(data, interrupt):
    X, Y = data
    model = FSMDClassifier(**PARAMS).fit(X, Y)
    before = model.predict_marginals(X)
    interrupt(model.set_params(lr=0.1), X, Y)
    np.testing.assert_array_equal(model.predict_marginals(X), before)
    assert model.n_iter_ == 6
    model.fit(X, Y)  # the model can be fitted again
    assert np.abs(model.predict_marginals(X) - before).max() > 1e-3


def test_a_checkpoint_that_is_a_symbolic_link_stays_one(data, tmp_path):
    (tmp_path / "large").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "large" / "fit.safetensors")
    for _ in range(2):
        FSMDClassifier(**PARAMS | {"max_epochs": 1}, checkpoint=link).fit(*data)
        assert link.is_symlink()
        assert (tmp_path / "large" / "fit.safetensors").is_file()


@pytest.mark.parametrize("place", ["", "none/fit", "."])
def test_a_checkpoint_that_cannot_be_written_is_refused_before_training(place, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Net, "run", lambda *args: pytest.fail("it has begun to train"))
    with pytest.raises(OSError, match="cannot be written"):
        FSMDClassifier(**PARAMS, checkpoint=place).fit(*data)


def test_a_folder_without_write_permission_is_refused_before_training(data, tmp_path, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.touch", refuse)
    monkeypatch.setattr(Net, "run", lambda *args: pytest.fail("it has begun to train"))
    with pytest.raises(OSError, match="fit could not be written .*Permission denied"):
        FSMDClassifier(**PARAMS, checkpoint=tmp_path / "fit").fit(*data)
