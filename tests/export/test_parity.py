"""An exported file says what the model says: every model, every option, every kind of column."""

import functools
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from sklearn_fsmd import FSMDClassifier, MultiTaskClassifier
from sklearn_fsmd.parameters import EXTRACTORS
from tests.conftest import SMALL, make_frame, of
from tests.export.files import File, check_same, shaken
from tests.test_estimator_checks import CLASSES
from tests.test_lists import make_lists

TOP = 2**63 - 1
N = 300


def make_rows(n=N, seed=0):
    """Rows as in `make_frame`, and columns whose values are hard to keep apart."""
    X, Y = make_frame(n, seed)
    random = np.random.RandomState(seed + 1)
    X["big"] = pd.Categorical(random.choice(TOP - np.arange(20), n))
    X["text"] = random.choice(["", "a", "A", "ä", " a", "1", "1.0"], n)
    X["grade"] = pd.Categorical(random.choice([0.5, 1.0, 2.5, -0.5], n))
    X["flag"] = random.choice([True, False], n)
    X["age"] = random.randint(1, 90, n)
    return X, Y


def hard_rows():
    """Unseen and missing values in every column, and numbers far out."""
    X, _ = make_rows(40, seed=7)
    X["user"] = pd.Series([5, None, 10**12, -1, -2] * 8, dtype="Int64")
    X["city"] = ["Paris", "paris", None, "", "\U0001f600"] * 8
    X["member"] = pd.array([True, False, None, True, False] * 8, dtype="boolean")
    X["price"] = [np.nan, -1e30, 1e30, 0.0, 1.5] * 8
    X["visits"] = pd.array([None, 0, 99, 2, -7] * 8, dtype="Int64")
    X["big"] = pd.Series([TOP, TOP - 1, TOP - 30, None, -(2**63)] * 8, dtype="Int64")
    X["text"] = ["", "b", None, "1", "1.0"] * 8
    X["grade"] = [0.5, np.nan, 0.25, 1.0, -1.0] * 8
    X["age"] = [3e38, -3e38, np.nan, 45.5, 1] * 8
    return X


@functools.cache
def data():
    return make_rows()


def fit(cls=MultiTaskClassifier, X=None, Y=None, **params):
    if X is None:
        X, Y = data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of early stopping and ids
        return shaken(cls(**{**of(cls, SMALL), "max_epochs": 1, **of(cls, params)}).fit(X, Y))


def check(model, folder, *tables, **options):
    file = File(model, folder, **options)
    tables = tables or (data()[0], make_rows(100, seed=5)[0], hard_rows())
    for X in tables:
        check_same(model, file, X, rank_weights=options.get("rank_weights"))
    check_same_in_parts(file, tables[0])
    return file


def check_same_in_parts(file, X):
    """A row means the same alone and in a table, and not the same as others."""
    whole = file.run(X)
    assert whole["marginals"].std(axis=0).min() > 0.001
    alone = np.concatenate([file.run(X[i : i + 1])["marginals"] for i in range(3)])
    np.testing.assert_allclose(alone, whole["marginals"][:3], atol=1e-6)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_model(cls, tmp_path):
    check(fit(cls), tmp_path)


OPTIONS = {
    "no low order": {"low_order": None},
    "linear": {"low_order": "linear"},
    "fm per task": {"low_order": "fm", "fm_sharing": "per_task", "fm_scale": 1.0},
    "fwfm": {"low_order": "fwfm"},
    "fwfm per task": {"low_order": "fwfm", "fm_sharing": "per_task"},
    "two levels": {"extractor": "ple", "n_levels": 2, "n_task_experts": 2, "gate_dims": (6, 5)},
    "one expert": {"extractor": "mmoe", "n_experts": 1},
    "mmoe with deep gates": {"extractor": "mmoe", "n_experts": 3, "gate_dims": (7,)},
    "separate, fm per task": {"extractor": "separate", "low_order": "fm", "fm_sharing": "per_task"},
    "separate, fwfm": {"extractor": "separate", "low_order": "fwfm"},
    "shared embedding": {"extractor": "shared_embedding", "low_order": "linear"},
    "no layers": {"extractor": "shared_bottom", "expert_dims": (), "tower_dims": ()},
    "batch norm": {"batch_norm": True, "n_levels": 2},
    "members": {"n_members": 3},
    "members, separate": {"n_members": 2, "extractor": "separate", "low_order": "fm"},
    "quantile": {"numeric_scaling": "quantile"},
    "unscaled": {"numeric_scaling": None, "numeric_bins": 3},
    "no bins": {"numeric_bins": 0},
    "many bins": {"numeric_bins": 200},
    "no statistics": {"target_statistics": None},
    "statistics": {"statistics_features": ["city", "user", ("user", "text"), ("city", "big", "flag")]},
    "thinned negatives": {"negative_sampling_rate": 0.1, "link": "chain"},
    "chain, both losses": {"link": "chain", "chain_loss": "both"},
    "gradnorm": {"task_weighting": "gradnorm"},
    "pretrained": {"pretrain_epochs": 1},
    "rare values": {"min_frequency": 9},
}


@pytest.mark.parametrize("params", OPTIONS.values(), ids=OPTIONS)
def test_every_option(params, tmp_path):
    model = fit(**{"link": "chain", **params})
    tables = [data()[0], hard_rows()]
    if params.get("numeric_scaling", "") is None:  # numbers enter the network as they are
        tables[1] = tables[1].assign(age=tables[1]["age"].clip(0, 99), price=tables[1]["price"].clip(0, 9))
    check(model, tmp_path, *tables)


@pytest.mark.parametrize("opset", [18, 20, 21])
def test_every_opset(opset, tmp_path):
    check(fit(FSMDClassifier), tmp_path, opset=opset)


@pytest.mark.parametrize("link", [(None, None, 0, 2), "chain", "independent"])
@pytest.mark.parametrize("n_members", [1, 2])
def test_four_tasks(link, n_members, tmp_path):
    X, Y = data()
    Y = Y.assign(c=Y["click"] * (X["age"] > 40), d=Y["click"] * (X["age"] > 60)).astype(int)
    Y["conversion"] = Y["conversion"] | Y["c"]
    model = fit(FSMDClassifier if link == "chain" else MultiTaskClassifier, X, Y, link=link, n_members=n_members)
    file = check(model, tmp_path, X, hard_rows(), rank_weights=[1.0, 0.0, -0.5, 2.0])
    assert file.metadata["rank_weights"] == "[1.0, 0.0, -0.5, 2.0]"


def test_one_target(tmp_path):
    X, Y = data()
    model = fit(FSMDClassifier, X, Y["click"])
    file = check(model, tmp_path)
    got = file.run(X)
    np.testing.assert_array_equal(got["conditionals"], got["marginals"])
    np.testing.assert_allclose(got["rank_score"], got["marginals"][:, 0], rtol=1e-6)


def test_calibration_is_inside(tmp_path):
    X, _ = data()
    model = fit(FSMDClassifier)
    before = model.predict_marginals(X)
    model.calibration_ = np.array([[1.3, -0.4], [0.7, 0.2]])
    assert np.abs(model.predict_marginals(X) - before).max() > 0.01
    file = check(model, tmp_path)
    assert file.metadata["calibration"] == "[[1.3, -0.4], [0.7, 0.2]]"


def test_extreme_log_odds_of_members(tmp_path):
    model = fit(FSMDClassifier, n_members=2)
    with torch.no_grad():
        for member, shift in zip(model.module_.members, (60.0, -80.0), strict=True):
            member.towers.output.bias.add_(shift)
    check_same(model, File(model, tmp_path), data()[0])


def test_bias_features_are_no_inputs(tmp_path):
    X, Y = data()
    shown = X.assign(position=np.arange(N) % 5, tab=np.where(np.arange(N) % 3, "a", "b"))
    shown = shown[["user", "position", "city", "tab", "price", "text"]]
    model = fit(FSMDClassifier, shown, Y, bias_features=["position", "tab"])
    file = File(model, tmp_path)
    assert list(file.types) == ["user", "city", "price", "text"]
    assert file.metadata["not_needed"] == '["position", "tab"]'
    without = shown.drop(columns=["position", "tab"])
    check_same(model, file, without)
    model.module_.bias_tower.neutral.add_(1.0)
    assert np.abs(model.predict_marginals(without) - file.run(without)["marginals"]).max() > 0.1
    check_same(model, File(model, tmp_path), without)


@pytest.mark.parametrize("columns", [["price", "visits", "age"], ["user", "text"]])
@pytest.mark.parametrize("low_order", ["fm", "fwfm", "linear", None])
def test_columns_of_one_kind(columns, low_order, tmp_path):
    X, Y = data()
    for bins in (0, 8):
        model = fit(MultiTaskClassifier, X[columns], Y, low_order=low_order, numeric_bins=bins, target_statistics=None)
        check(model, tmp_path, X[columns], hard_rows()[columns])


def test_columns_that_say_nothing(tmp_path):
    """All missing, all alike, all rare."""
    X, Y = data()
    X = X[["city", "price"]].assign(
        nothing=None, empty=np.nan, same="x", constant=3.5, rare=[f"v{i}" for i in range(N)], ids=np.arange(N)
    )
    model = fit(FSMDClassifier, X.astype({"ids": "category"}), Y)
    more = X.assign(nothing=["a", None, ""] * 100, empty=1.0, same="y", constant=4.0, rare="v1", ids=7)
    file = check(model, tmp_path, X, more)
    assert file.types["nothing"] == "string"
    assert file.types["ids"] == "int64"


def test_arrays_have_inputs_by_position(tmp_path):
    random = np.random.RandomState(0)
    X = np.column_stack([random.randint(5, size=N), random.normal(size=N), random.randint(9, size=N)]).astype(float)
    Y = np.column_stack([X[:, 0] > 2, (X[:, 0] > 2) & (X[:, 1] > 0)]).astype(int)
    model = fit(FSMDClassifier, X, Y, categorical_features=[0, 2], bias_features=[0])
    file = File(model, tmp_path)
    assert file.types == {"x1": "double", "x2": "int64"}
    check_same(model, file, X)


# --------------------------------------------------------------------------------------------------------------- lists


@pytest.mark.parametrize("pooling", ["mean", "sum", "max", "attention"])
@pytest.mark.parametrize("extractor", ["ple", "separate"])
def test_lists(pooling, extractor, tmp_path):
    X, Y = make_lists(400)
    X["seen"] = [[user, "a", "zz"][: i % 4] for i, user in enumerate(X["user"])]
    shared = {"seen": "user"}
    model = fit(
        MultiTaskClassifier,
        X,
        Y,
        list_pooling=pooling,
        extractor=extractor,
        shared_embeddings=shared,
        max_list_length=3,
    )
    more, _ = make_lists(90, seed=4, n_tags=30)
    more["tags"] = pd.Series([None, [], [1, 2], [1] * 9, [99, -1, 3, 4, 5]] * 18, dtype=object)
    more["seen"] = pd.Series(
        [[], None, ["b"], ["c", None, "d", "unseen"], ["a", "b", "c", "d", "e"]] * 18, dtype=object
    )
    file = check(model, tmp_path, X, more, more[::-1], more[1:2])
    assert file.types == {"user": "string", "price": "double", "tags": "int64", "seen": "string"}
    nothing = more.assign(tags=[[]] * 90, seen=[[]] * 90)
    np.testing.assert_allclose(file.run(nothing)["marginals"], model.predict_marginals(nothing), atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_a_table_of_lists_alone(pooling, tmp_path):
    X, Y = make_lists(400)
    model = fit(MultiTaskClassifier, X[["tags"]], Y, list_pooling=pooling, numeric_bins=0, low_order="fwfm")
    check(model, tmp_path, X[["tags"]])


def test_written_lists(tmp_path):
    X, Y = make_lists(400)
    written = X.assign(tags=["|".join(map(str, tags)) for tags in X["tags"]])
    model = fit(MultiTaskClassifier, written, Y, list_features=["tags"], list_separator="|")
    file = File(model, tmp_path)
    assert file.types["tags"] == "string"
    found = file.run(X.assign(tags=[[str(tag) for tag in tags] for tags in X["tags"]]))["marginals"]
    np.testing.assert_allclose(found, model.predict_marginals(written), atol=1e-6)


def test_many_threads_lose_no_value_of_a_list(tmp_path):
    """Onnxruntime's ScatterND loses terms where several threads add to one place."""
    X, Y = make_lists(400)
    for pooling in ("mean", "attention", "max"):
        model = fit(MultiTaskClassifier, X, Y, list_pooling=pooling, max_list_length=10**6, shared_embeddings=None)
        file = File(model, tmp_path, n_threads=4)
        long = pd.DataFrame({"user": ["a", "b"], "price": [0.5, 1.5]})
        long["tags"] = pd.Series([np.arange(60_000) % 12, np.arange(30_000) % 5], dtype=object)
        given = file.inputs(long)
        found = {file.run_inputs(given)["marginals"].tobytes() for _ in range(10)}
        assert len(found) == 1
        np.testing.assert_allclose(
            np.frombuffer(found.pop(), np.float32).reshape(2, 2), model.predict_marginals(long), atol=1e-5
        )


# --------------------------------------------------------------------------------------------------- own extractors


class Own(nn.Module):
    """Two layers for each task; their outputs as a sequence."""

    def __init__(self, in_features, n_tasks):
        super().__init__()
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(in_features, 6), nn.GELU()) for _ in range(n_tasks))
        self.norm = nn.BatchNorm1d(6)

    def forward(self, x):
        return [self.norm(layer(x)) for layer in self.layers]


class Branching(nn.Module):
    """What torch.export cannot follow."""

    def __init__(self, in_features, n_tasks):
        super().__init__()
        self.n_tasks, self.layer = n_tasks, nn.Linear(in_features, 4)

    def forward(self, x):
        y = self.layer(x)
        return (y if y.sum() > 0 else -y).unsqueeze(1).expand(-1, self.n_tasks, -1)


def test_an_extractor_of_ones_own(tmp_path):
    file = check(fit(extractor=Own, n_members=2, link="chain"), tmp_path)
    assert np.isfinite(file.run(data()[0])["rank_score"]).all()


def test_a_registered_extractor_with_embeddings_for_each_task(tmp_path):
    class PerTask(nn.Module):
        def __init__(self, in_features, n_tasks):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(in_features, 5) for _ in range(n_tasks))

        def forward(self, x):
            x = x if x.dim() == 3 else x.unsqueeze(1).expand(-1, len(self.layers), -1)
            return torch.stack([layer(x[:, k]).relu() for k, layer in enumerate(self.layers)], dim=1)

    @EXTRACTORS.register("per_task", own_embeddings=True)
    def build(p, in_features, n_tasks):
        return PerTask(in_features, n_tasks)

    try:
        check(fit(extractor="per_task", low_order="fm"), tmp_path)
    finally:
        del EXTRACTORS.parts["per_task"]
        EXTRACTORS.names.remove("per_task")


def test_an_extractor_that_torch_cannot_export_is_refused(tmp_path):
    model = fit(extractor=Branching)
    with pytest.raises(ValueError, match="The 'extractor' Branching cannot be written as ONNX"):
        File(model, tmp_path)
    assert not any(tmp_path.iterdir())
