"""Saved files hold no code, load to the same model, and are refused if they are damaged or were changed."""

import contextlib
import gc
import json
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import config_context
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback

from sklearn_fsmd import (
    DenoisingEmbedder,
    FSClassifier,
    FSMDClassifier,
    MMoEClassifier,
    MultiTaskClassifier,
    SharedBottomClassifier,
)
from sklearn_fsmd.export.onnx import to_onnx
from sklearn_fsmd.network.extractors import SharedBottom
from sklearn_fsmd.persistence import FORMAT_1_DEFAULTS, replacing
from sklearn_fsmd.persistence import container as storage
from sklearn_fsmd.persistence.codec import Packer, Unpacker
from sklearn_fsmd.persistence.network_state import flat_history
from sklearn_fsmd.training.spec import ENCODING
from tests.conftest import SMALL, make_frame, supported
from tests.data.make_format_3 import rows

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="module")
def fitted():
    X, Y = make_frame()
    return FSMDClassifier(**SMALL).fit(X, Y), X, Y


@pytest.fixture(scope="module")
def saved(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model.safetensors"
    fitted[0].save(path)
    return path


def assert_same_state(a, b):
    """Assert that two objects are equal bit for bit, including all that they contain."""
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_same_state(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_same_state(one, other)
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    elif isinstance(a, np.random.RandomState):
        assert_same_state(a.get_state(), b.get_state())
    elif hasattr(a, "__dict__"):
        assert_same_state(a.__getstate__(), b.__getstate__())
    else:
        assert a == b or (a != a and b != b)


MODELS = {
    "FSMD": FSMDClassifier(**SMALL),
    "tree": MultiTaskClassifier(**SMALL, link=(None, 0)),
    "masks": FSMDClassifier(**SMALL, bias_features=["visits"], categorical_features=[True, True, True, False, True]),
    "quantile scaling": FSClassifier(**SMALL, numeric_scaling="quantile", pretrain_epochs=1, task_weighting="gradnorm"),
    "no early stopping": MMoEClassifier(
        **supported(MMoEClassifier, SMALL), early_stopping=False, task_weights=[1, 2], validation_fraction=0.2
    ),
    "no numeric bins": SharedBottomClassifier(
        **supported(SharedBottomClassifier, SMALL) | {"numeric_bins": 0}, net_params={"optimizer__betas": (0.8, 0.99)}
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_everything_is_restored(name, tmp_path):
    X, Y = make_frame()
    model = MODELS[name].fit(X, Y)
    model.save(tmp_path / "m")
    loaded = type(model).load(tmp_path / "m", device="cpu")
    assert loaded.get_params() == model.get_params() | {"device": "cpu"}
    np.testing.assert_array_equal(loaded.predict_marginals(X), model.predict_marginals(X))
    assert "net_" not in vars(loaded)  # scoring does not need it
    original, restored = (vars(m) | {"net_": None, "_predictor": None, "device": None} for m in (model, loaded))
    assert_same_state(
        {name: original[name] for name in sorted(original)}, {name: restored[name] for name in sorted(restored)}
    )
    assert loaded.net_.epochs() == model.net_.epochs() == loaded.history_
    assert loaded.net_.module_ is loaded.module_
    for m in (model, loaded):
        m.partial_fit(X, Y)
    assert loaded.n_iter_ == model.n_iter_


@pytest.mark.parametrize(
    "column",
    [
        ["a", "b", "ä\udc80", None] * 75,
        [1, "2", 2.5, None] * 75,
        [2**62, 2**62 + 1, -7] * 100,
        [0.5, 0.25, np.nan] * 100,
        [True, False, None] * 100,
        pd.Categorical(["x", "y", ""] * 100),
        [b"a", b"\xff\x00", b""] * 100,
    ],
)
def test_any_vocabulary_is_restored(column, tmp_path):
    _, Y = make_frame()
    X = pd.DataFrame({"id": pd.Series(column, dtype=object), "number": np.arange(300.0)})
    model = FSMDClassifier(**SMALL, categorical_features=["id"]).fit(X, Y)
    model.save(tmp_path / "m")
    loaded = FSMDClassifier.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict_marginals(X), model.predict_marginals(X))
    first, second = (m._encoder.main.categories[0] for m in (model, loaded))
    assert first.__getstate__()["values"].tolist() == second.__getstate__()["values"].tolist()


@pytest.mark.parametrize("labels", [["no", "yes"], [False, True], [0.0, 1.0], np.array(["n", "y"])])
def test_any_labels_are_restored(labels, tmp_path):
    X, Y = make_frame()
    model = FSMDClassifier(**SMALL).fit(X, np.asarray(labels)[Y["click"]])
    model.save(tmp_path / "m")
    loaded = FSMDClassifier.load(tmp_path / "m")
    assert loaded.predict(X).dtype == model.predict(X).dtype
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


class Weighted(DenoisingEmbedder):
    """An embedder whose fit accepts sample weights."""

    def fit(self, X, y=None, sample_weight=None):
        return super().fit(X, y)


def test_saving_does_not_change_the_estimator(tmp_path):
    with config_context(enable_metadata_routing=True):
        embedder = Weighted(embedding_dim=2, n_epochs=1).set_fit_request(sample_weight=True).fit(make_frame(50)[0])
        embedder.save(tmp_path / "e")
        assert embedder.get_metadata_routing().fit.requests == {"sample_weight": True}


def test_the_embedder_is_restored(tmp_path):
    X, _ = make_frame()
    embedder = DenoisingEmbedder(
        embedding_dim=3, n_epochs=1, categorical_features=lambda X: ["user", "city", "member"]
    ).fit(X)
    embedder.set_output(transform="pandas").save(tmp_path / "e")
    code = {"categorical_features": embedder.categorical_features}
    loaded = DenoisingEmbedder.load(tmp_path / "e", parameters=code)
    pd.testing.assert_frame_equal(loaded.transform(X), embedder.transform(X))


def test_metadata_routing_is_restored(fitted, tmp_path):
    with config_context(enable_metadata_routing=True):
        model = pickle.loads(pickle.dumps(fitted[0])).set_fit_request(sample_weight=True, X_val=False)
    model.save(tmp_path / "m")
    loaded = FSMDClassifier.load(tmp_path / "m")
    assert loaded.get_metadata_routing().fit.requests == model.get_metadata_routing().fit.requests


def test_a_file_is_hardly_larger_than_weights_and_vocabulary(tmp_path):
    n = 20_000
    X = pd.DataFrame({"user": [f"user-{i}" for i in range(n)], "item": np.arange(n) + 10**12})
    Y = np.random.RandomState(0).randint(2, size=(n, 2)) * [[1, 0]]
    params = SMALL | {"max_epochs": 1, "batch_size": 1024, "statistics_features": ["user", "item"]}
    with pytest.warns(UserWarning, match="only one class"):
        model = FSMDClassifier(**params, min_frequency=1, categorical_features="all").fit(X, Y)
    model.save(tmp_path / "m")
    weights = sum(t.nbytes for t in model.module_.state_dict().values())
    vocabulary = sum(len(user) for user in X["user"]) + 8 * n
    statistics = sum(sums.nbytes for sums in model._encoder.statistics.sums)
    assert (tmp_path / "m").stat().st_size <= 1.2 * (weights + vocabulary + statistics)


def test_load_of_the_general_class_returns_the_saved_class(fitted, saved):
    model, X, _ = fitted
    loaded = MultiTaskClassifier.load(saved)
    assert type(loaded) is FSMDClassifier
    np.testing.assert_array_equal(loaded.predict_marginals(X), model.predict_marginals(X))


class OwnExtractor(SharedBottom):
    """Code of a user, which files do not contain."""

    def __init__(self, in_features, n_tasks):
        super().__init__(in_features, n_tasks, (5,), dropout=0.0, batch_norm=True)


def test_code_is_passed_again_when_loading(tmp_path):
    X, Y = make_frame()
    code = {"extractor": OwnExtractor, "optimizer": torch.optim.RMSprop}
    model = MultiTaskClassifier(**SMALL, **code).fit(X, Y)
    model.save(tmp_path / "m")
    with pytest.raises(ValueError, match=r"no code.*'extractor': … \(it was tests.test_saving.OwnExtractor\)"):
        MultiTaskClassifier.load(tmp_path / "m")
    with pytest.raises(ValueError, match="'lr'.*which the file holds"):
        MultiTaskClassifier.load(tmp_path / "m", parameters=code | {"lr": 1})
    with pytest.warns(UserWarning, match="'extractor' was tests.test_saving.OwnExtractor when the model was saved"):
        MultiTaskClassifier.load(tmp_path / "m", parameters=code | {"extractor": lambda *sizes: OwnExtractor(*sizes)})
    loaded = MultiTaskClassifier.load(tmp_path / "m", parameters=code)
    np.testing.assert_array_equal(loaded.predict_marginals(X), model.predict_marginals(X))
    assert loaded.extractor is OwnExtractor


def test_load_moves_a_model_to_the_given_device(fitted, tmp_path):
    model = pickle.loads(pickle.dumps(fitted[0]))
    model.device = model.net_.spec_["device"] = "cuda:77"  # the device that it was trained on
    model.save(tmp_path / "m")
    loaded = FSMDClassifier.load(tmp_path / "m", device="cpu")
    assert loaded.device_ == loaded.device == "cpu"
    np.testing.assert_array_equal(loaded.predict_marginals(fitted[1]), fitted[0].predict_marginals(fitted[1]))
    with pytest.raises(ValueError, match="'device' parameter 'cuda:77' cannot be used here"):
        FSMDClassifier.load(tmp_path / "m", device="cuda:77")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_older_formats_are_loaded(number):
    """Each file was written by a version that wrote the format; its predictions are stored next to it."""
    X, _ = make_frame(20) if number < 3 else rows(20)
    model = FSMDClassifier.load(DATA / f"format-{number}.safetensors")
    expected = np.load(DATA / f"format-{number}.npy")
    np.testing.assert_allclose(model.predict_marginals(X), expected, atol=1e-6)
    pickle.loads(pickle.dumps(model.net_))


def test_a_file_of_the_first_format_keeps_its_behaviour(tmp_path):
    """Parameters that were added later get the values that match the old behaviour, not their defaults."""
    model = FSMDClassifier.load(DATA / "format-1.safetensors")
    params = model.get_params()
    assert params["bias_features"] == ["visits"]
    assert {name: params[name] for name in FORMAT_1_DEFAULTS} == FORMAT_1_DEFAULTS
    assert model.calibration_ is None
    assert model.module_.low_order.scale == 1.0
    model.save(tmp_path / "again")
    assert FSMDClassifier.load(tmp_path / "again").get_params() == params
    assert {type(value) for row in model.history_ for name, value in row.items() if name != "epoch"} == {float}


def test_a_history_of_the_first_format_is_converted_to_floats():
    row = {"epoch": 1, "train_loss": 0.5, "valid_auc": (0.6, 0.8), "valid_best": True, "task_weights": (1.5, 0.5)}
    (converted,) = flat_history([row], ["click", "conversion"])
    assert converted == {
        "epoch": 1,
        "train_loss": 0.5,
        "valid_auc": pytest.approx(0.7),
        "valid_auc_click": 0.6,
        "valid_auc_conversion": 0.8,
        "valid_best": 1.0,
        "task_weight_click": 1.5,
        "task_weight_conversion": 0.5,
    }
    nan = float("nan")
    (converted,) = flat_history([{"epoch": 1, "valid_auc": (nan, nan)}], ["click", "conversion"])
    assert np.isnan([converted["valid_auc"], converted["valid_auc_click"]]).all()
    assert flat_history([converted], ["click", "conversion"])[0].keys() == converted.keys()


# ------------------------------------------------------------------------------------------------------ refusals


def test_files_that_are_not_saved_models_are_refused(fitted, saved, tmp_path):
    with pytest.raises(FileNotFoundError):
        FSMDClassifier.load(tmp_path / "nothing")
    for content in (b"", b"hello", pickle.dumps(fitted[0]), bytes(100), b"\xff" * 100):
        (tmp_path / "other").write_bytes(content)
        with pytest.raises(ValueError, match="is not a file of sklearn-fsmd"):
            FSMDClassifier.load(tmp_path / "other")
    with pytest.raises(ValueError, match="it holds FSMDClassifier, not MMoEClassifier; use FSMDClassifier.load"):
        MMoEClassifier.load(saved)
    with pytest.raises(ValueError, match="it holds FSMDClassifier, not DenoisingEmbedder"):
        DenoisingEmbedder.load(saved)
    with pytest.raises(NotFittedError):
        FSMDClassifier().save(tmp_path / "unfitted")
    with pytest.raises(FileNotFoundError, match="m cannot be written: there is no folder .*no folder"):
        fitted[0].save(tmp_path / "no folder" / "m")
    (tmp_path / "pickle").write_bytes(pickle.dumps(fitted[0]))
    with pytest.raises(ValueError, match="is perhaps a pickle; see SECURITY.md"):
        FSMDClassifier.load(tmp_path / "pickle")


def test_a_newer_format_is_refused(saved, tmp_path, monkeypatch):
    content, arrays = storage.read(saved, "model")
    with monkeypatch.context() as patch:
        patch.setattr(storage, "VERSION", 5)
        storage.write(tmp_path / "m", "model", content, arrays)
    with pytest.raises(ValueError, match="in format 5; this version reads formats up to 4. Update sklearn-fsmd"):
        FSMDClassifier.load(tmp_path / "m")


def test_a_file_of_another_kind_is_refused(saved, tmp_path):
    storage.write(tmp_path / "m", "checkpoint", *storage.read(saved, "model"))
    with pytest.raises(ValueError, match="it holds a checkpoint, not a model"):
        FSMDClassifier.load(tmp_path / "m")


def assert_refused(content, path):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged or was changed|is not a file of sklearn-fsmd"):
        FSMDClassifier.load(path)


@pytest.mark.parametrize("percent", range(100))
def test_a_truncated_file_is_refused(saved, tmp_path, percent):
    content = saved.read_bytes()
    assert_refused(content[: len(content) * percent // 100], tmp_path / "m")


def test_flipped_bits_are_refused(saved, tmp_path, rng):
    content = saved.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    positions = [*range(64), *rng.randint(header, size=200), *rng.randint(header, len(content), size=200)]
    for position in positions:
        flipped = bytearray(content)
        flipped[position] ^= 1 << rng.randint(8)
        assert_refused(bytes(flipped), tmp_path / "m")
    assert_refused(content + b"\0", tmp_path / "m")


def places_in(content, path=()):
    """Yield the path of every value in JSON content."""
    yield path
    if isinstance(content, (dict, list)):
        for key in content if isinstance(content, dict) else range(len(content)):
            yield from places_in(content[key], (*path, key))


@pytest.mark.filterwarnings("ignore")  # strange values may cause warnings of numpy or torch
def test_manipulated_content_is_refused_or_harmless(saved, tmp_path, rng):
    """The checksum is correct here, since an attacker can compute it too. Such a file may at most fail to load."""
    content, arrays = storage.read(saved, "model")
    paths = [path for path in places_in(content) if path]
    strange = [None, -1, 10**30, 1e308, "../../etc/passwd", [], {}, {"object": "system", "state": None}, [[[]]]]
    strange += [{"array": "no such"}, {"object": "Popen", "state": {"dict": []}}, {"tuple": [{"strings": "x"}]}]
    n_loaded = 0
    for path in [paths[i] for i in rng.choice(len(paths), size=300, replace=False)]:
        changed = json.loads(json.dumps(content))
        parent = changed
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = strange[rng.randint(len(strange))]
        storage.write(tmp_path / "m", "model", changed, arrays)
        with contextlib.suppress(ValueError):  # any other error fails the test
            FSMDClassifier.load(tmp_path / "m")
            n_loaded += 1
    assert n_loaded < 200


def test_weights_of_another_network_are_refused_before_memory_is_allocated(saved, tmp_path):
    content, arrays = storage.read(saved, "model")
    content["spec"]["expert_dims"] = {"tuple": [2**20, 2**20]}  # 4 TiB
    storage.write(tmp_path / "m", "model", content, arrays)
    with pytest.raises(ValueError, match=r"the weights '.*' have the shape .*, expected"):
        FSMDClassifier.load(tmp_path / "m")


@pytest.mark.parametrize("change", [{"extractor": None}, {"n_shared_experts": 10**8}, {"n_levels": 10**6}], ids=str)
def test_a_network_larger_than_the_file_is_refused(saved, tmp_path, change):
    content, arrays = storage.read(saved, "model")
    content["spec"] |= change | {"embedding_dim": 10**9}
    storage.write(tmp_path / "m", "model", content, arrays)
    with pytest.raises(ValueError, match="cannot be loaded"):
        FSMDClassifier.load(tmp_path / "m")


def test_unpacked_data_is_no_larger_than_the_file():
    packer = Packer()
    packed = packer.pack([np.zeros(3), np.array(["a", "bb"])], "x")
    loaded = Unpacker(packer.arrays).unpack(packed)
    assert loaded[1].dtype == "U2"
    with pytest.raises(KeyError):
        Unpacker(packer.arrays).unpack([packed[0]] * 2)
    long = packer.pack(np.array(["b" * 5000, *["a"] * 5000], dtype=object), "y") | {"fixed": True}
    with pytest.raises(ValueError, match="very different lengths"):
        Unpacker(packer.arrays).unpack(long)


def test_names_of_arrays_do_not_collide():
    packer = Packer()
    packed = packer.pack({1: np.zeros(2), "1": np.ones(2), "1/text": np.array(["t"], dtype=object)}, "x")
    loaded = Unpacker(packer.arrays).unpack(packed)
    assert loaded[1].tolist() == [0, 0]
    assert loaded["1"].tolist() == [1, 1]


def test_a_file_cannot_set_the_path_of_checkpoints(fitted, tmp_path):
    model = pickle.loads(pickle.dumps(fitted[0])).set_params(checkpoint=str(tmp_path / "victim"))
    model.save(tmp_path / "m")
    assert FSMDClassifier.load(tmp_path / "m").checkpoint is None


def test_saving_keeps_file_modes_and_symbolic_links(fitted, tmp_path):
    (tmp_path / "real").touch(mode=0o600)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    fitted[0].save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o600


def test_deeply_nested_content_is_refused(tmp_path):
    nested = "[" * 100_000 + "]" * 100_000

    class Raw:
        @staticmethod
        def dumps(content):
            return nested if content == "nested" else json.dumps(content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "json", Raw)
        storage.write(tmp_path / "m", "model", "nested", {})
    with pytest.raises(ValueError, match="cannot be read as a model"):
        FSMDClassifier.load(tmp_path / "m")


def test_loading_imports_and_executes_nothing(saved):
    """Neither pickle nor anything that could run a command is reached while a file is read."""
    script = f"""
        import sys
        import numpy, torch, sklearn_fsmd
        def watch(event, arguments):
            if event in ("pickle.find_class", "exec", "subprocess.Popen", "os.system", "socket.connect"):
                raise SystemExit(f"{{event}} {{arguments}}")
        model = sklearn_fsmd.FSMDClassifier.load({str(saved)!r})  # lazy imports of libraries happen here
        sys.addaudithook(watch)
        model = sklearn_fsmd.FSMDClassifier.load({str(saved)!r})
        print(model.n_features_in_)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert done.stdout.strip() == "5", done.stderr


def test_a_full_disk_leaves_the_previous_file_unchanged(saved, tmp_path):
    path = tmp_path / "m"
    path.write_bytes(saved.read_bytes())
    script = f"""
        import resource, sklearn_fsmd
        model = sklearn_fsmd.FSMDClassifier.load({str(path)!r})
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))  # no file may grow beyond that
        try:
            model.save({str(path)!r})
        except OSError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert "could not be written" in done.stdout, done.stderr
    assert "unchanged" in done.stdout
    assert path.read_bytes() == saved.read_bytes()
    assert list(tmp_path.iterdir()) == [path]  # no temporary file is left


def test_values_that_are_neither_text_nor_number_are_refused(tmp_path):
    _, Y = make_frame()
    X = pd.DataFrame({"pair": pd.Series([("a", 1), ("b", 2), "c"] * 100)})
    model = FSMDClassifier(**SMALL, list_features=None).fit(X, Y)
    model.save(tmp_path / "m")  # tuples of text and numbers can be saved
    X = pd.DataFrame({"odd": pd.Series([frozenset("a"), "b", "c"] * 100)})
    with pytest.raises(TypeError, match="a file without code cannot hold frozenset"):
        FSMDClassifier(**SMALL).fit(X, Y).save(tmp_path / "m")


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process from /proc")
def test_a_process_that_loads_and_scores_holds_the_weights_once(tmp_path):
    """Loading creates no optimizer, no weight average and no randomly initialised table."""
    n = 60_000
    X = pd.DataFrame({"id": np.arange(n) % (n // 2), "x": np.linspace(0, 1, n)})
    Y = np.stack([np.arange(n) % 2, np.arange(n) % 2], axis=1)
    params = SMALL | {"embedding_dim": 256, "max_epochs": 1, "batch_size": 8192, "early_stopping": False}
    FSMDClassifier(**params, categorical_features=["id"]).fit(X, Y).save(tmp_path / "m")
    code = f"""
        import sys, numpy as np, pandas as pd, torch
        torch.set_num_threads(1)
        from pathlib import Path
        from sklearn_fsmd import FSMDClassifier
        from sklearn_fsmd.persistence import container as storage
        def memory():
            status = Path("/proc/self/status").read_text().splitlines()
            return 1024 * int(next(line for line in status if line.startswith("RssAnon")).split()[1])
        X = pd.DataFrame({{"id": [1, 2, 3], "x": [0.1, 0.2, 0.3]}})
        if sys.argv[1] == "model":
            FSMDClassifier.load({str(tmp_path / "m")!r}).predict_marginals(X)
        before = memory()
        if sys.argv[1] == "model":
            kept = FSMDClassifier.load({str(tmp_path / "m")!r})
            kept.predict_marginals(X)
        else:
            kept = storage.read({str(tmp_path / "m")!r}, "model")
        print(memory() - before)
    """
    used = {}
    for what in ("model", "weights"):
        command = [sys.executable, "-c", textwrap.dedent(code), what]
        used[what] = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert used["weights"] > 25e6
    assert used["model"] < 1.2 * used["weights"]


def test_a_pickle_keeps_the_requested_device(frame):
    """With "auto" it uses an accelerator of the machine that loads it, even if it was trained without one."""
    model = FSMDClassifier(**SMALL | {"max_epochs": 1}).fit(*frame)
    assert model.device == "auto"
    for fitted in (model, pickle.loads(pickle.dumps(model)), model.partial_fit(*frame)):
        assert fitted.net_.spec_["device"] == "auto"


def test_a_loaded_model_can_be_fitted_again(frame, tmp_path):
    X, Y = frame
    X.join(Y).to_parquet(tmp_path / "a.parquet", index=False)
    model = FSMDClassifier(**SMALL, checkpoint=tmp_path / "checkpoint", checkpoint_rows=100)
    model.fit_dataset(tmp_path / "a.parquet", list(Y)).save(tmp_path / "m")
    loaded = FSMDClassifier.load(tmp_path / "m")
    assert loaded.checkpoint is loaded.checkpoint_rows is None
    loaded.fit(X, Y)


def test_a_model_from_a_file_without_encoding_parameters_can_train_further(tmp_path):
    """Files of older versions do not contain these parameters."""
    X, Y = make_frame(300)
    model = FSMDClassifier(**SMALL, warm_start=True).fit(X, Y)
    for name in ENCODING:
        model._predictor.spec.pop(name)
    model.save(tmp_path / "model")
    for loaded in (FSMDClassifier.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert not set(ENCODING) & set(loaded._predictor.spec)
        loaded.partial_fit(X, Y).fit(X, Y)


@pytest.mark.parametrize("kind", ["fifo", "folder"])
def test_devices_and_folders_are_not_replaced(kind, fitted, tmp_path):
    path = tmp_path / "model"
    os.mkfifo(path) if kind == "fifo" else path.mkdir()
    mode = path.stat().st_mode
    for write in (fitted[0].save, lambda path: to_onnx(fitted[0], path)):
        with pytest.raises(OSError, match=f"cannot be written: it is a {'folder' if kind == 'folder' else 'device'}"):
            write(path)
    assert path.stat().st_mode == mode
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_temporary_files_have_the_mode_of_the_target(tmp_path):
    path = tmp_path / "secret"
    path.touch(0o600)
    with replacing(path) as temporary:
        temporary.write_text("ids")
        assert temporary.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_mode & 0o777 == 0o600
    with replacing(tmp_path / "open") as temporary:
        temporary.write_text("ids")
    assert (tmp_path / "open").stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_saves_to_a_path_with_a_long_name(fitted, tmp_path):
    path = tmp_path / ("m" * 255)
    fitted[0].save(path)
    FSMDClassifier.load(path)


def test_two_classes_with_the_same_name_are_told_apart(fitted, saved):
    class Other(FSMDClassifier):
        pass

    Other.__name__ = "FSMDClassifier"
    assert type(FSMDClassifier.load(saved)) is FSMDClassifier
    with pytest.raises(ValueError, match="several classes are named FSMDClassifier; use FSMDClassifier.load of the"):
        MultiTaskClassifier.load(saved)
    del Other
    gc.collect()
    assert type(MultiTaskClassifier.load(saved)) is FSMDClassifier


@pytest.mark.parametrize("how", ["load", "pickle", "changed"])
def test_the_weight_average_continues_after_loading(how, fitted, tmp_path):
    """If the average started again, it would contain only the next steps."""
    model, X, Y = fitted
    model = pickle.loads(pickle.dumps(model))
    one_batch = {"batch_size": 64, "lr": 0.01}
    if how == "load":
        model.save(tmp_path / "model")
        model = FSMDClassifier.load(tmp_path / "model")
    elif how == "changed":
        model.partial_fit(X, Y)
    n_steps = model.net_.average_.step
    assert n_steps >= fitted[0].net_.average_.step
    before = {name: p.detach().clone() for name, p in model.module_.named_parameters()}
    average = model.net_.average_
    apart = max(
        (a - b).abs().max().item() for a, b in zip(average.tensors, average.others, strict=True) if a.requires_grad
    )
    model.set_params(**one_batch).partial_fit(X[:64], Y[:64])
    assert model.net_.average_.step == n_steps + 1
    share = (1 - 0.995) / (1 - 0.995 ** (n_steps + 1))
    moved = {name: (p.detach() - before[name]).abs().max().item() for name, p in model.module_.named_parameters()}
    assert 0 < max(moved.values()) < 1.2 * share * (apart + 0.01)


def test_the_number_of_averaged_steps_is_restored(fitted, tmp_path):
    _, X, Y = fitted
    model = FSMDClassifier(**SMALL).partial_fit(X, Y)
    model.save(tmp_path / "model")
    assert FSMDClassifier.load(tmp_path / "model").net_.average_.step == model.net_.average_.step == -(-len(X) // 64)


def test_a_missing_number_of_averaged_steps_is_treated_as_large():
    model = FSMDClassifier.load(DATA / "format-2.safetensors")
    assert 0.995**model.net_.average_.step < 1e-5


def test_paths_as_categories_and_long_doubles_as_labels_are_saved(tmp_path):
    X, Y = make_frame(300)
    X = X.assign(picture=[Path(f"/img/{label}.png") for label in Y["click"]])
    model = FSMDClassifier(**SMALL).fit(X, Y["click"].to_numpy().astype(np.longdouble))
    model.save(tmp_path / "m")
    loaded = FSMDClassifier.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict_marginals(X), model.predict_marginals(X))
    assert model.score(X, Y["click"]) > 0.9


def test_history_recorded_by_callbacks_is_restored(tmp_path):
    class Recorder(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.history.record("betas", (0.9, 0.999))

    X, Y = make_frame(60)
    model = FSMDClassifier(**SMALL | {"max_epochs": 1}, callbacks=[Recorder()]).fit(X, Y)
    model.save(tmp_path / "m.safetensors")
    loaded = FSMDClassifier.load(tmp_path / "m.safetensors", parameters={"callbacks": [Recorder()]})
    assert loaded.history_[0]["betas"] == model.history_[0]["betas"] == (0.9, 0.999)


def test_an_unsupported_random_generator_is_refused(tmp_path):
    X, Y = make_frame(60)
    random = np.random.RandomState(np.random.PCG64(0))
    model = FSMDClassifier(**SMALL | {"max_epochs": 1, "random_state": random}).fit(X, Y)
    with pytest.raises(TypeError, match="cannot hold a PCG64"):
        model.save(tmp_path / "m.safetensors")
    assert not any(tmp_path.iterdir())


def test_a_model_loaded_in_inference_mode_has_ordinary_weights(tmp_path):
    X, Y = make_frame(60)
    model = FSMDClassifier(**SMALL | {"max_epochs": 1}).fit(X, Y)
    model.save(tmp_path / "m.safetensors")
    with torch.inference_mode():
        models = [FSMDClassifier.load(tmp_path / "m.safetensors"), pickle.loads(pickle.dumps(model))]
    for loaded in models:
        assert not any(weight.is_inference() for weight in loaded.module_.parameters())
