"""Exported files predict the same as their models, for every model, option and kind of column."""

import numpy as np
import pytest
import torch

from sklearn_fsmd import FSMDClassifier, MultiTaskClassifier
from tests.export.files import File, check_same
from tests.export.models import N, check, data, fit, hard_rows, make_rows
from tests.test_estimator_checks import CLASSES


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_model_predicts_the_same(cls, tmp_path):
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
    "downsampled negatives": {"negative_sampling_rate": 0.1, "link": "chain"},
    "chain, both losses": {"link": "chain", "chain_loss": "both"},
    "gradnorm": {"task_weighting": "gradnorm"},
    "pretrained": {"pretrain_epochs": 1},
    "rare values": {"min_frequency": 9},
}


@pytest.mark.parametrize("params", OPTIONS.values(), ids=OPTIONS)
def test_every_option_predicts_the_same(params, tmp_path):
    model = fit(**{"link": "chain", **params})
    tables = [data()[0], hard_rows()]
    if params.get("numeric_scaling", "") is None:  # numbers are not scaled or clipped
        tables[1] = tables[1].assign(age=tables[1]["age"].clip(0, 99), price=tables[1]["price"].clip(0, 9))
    check(model, tmp_path, *tables)


@pytest.mark.parametrize("opset", [18, 20, 21])
def test_every_opset_predicts_the_same(opset, tmp_path):
    check(fit(FSMDClassifier), tmp_path, opset=opset)


@pytest.mark.parametrize("link", [(None, None, 0, 2), "chain", "independent"])
@pytest.mark.parametrize("n_members", [1, 2])
def test_four_tasks_with_any_link(link, n_members, tmp_path):
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


def test_the_file_contains_the_calibration(tmp_path):
    X, _ = data()
    model = fit(FSMDClassifier)
    before = model.predict_marginals(X)
    model.calibration_ = np.array([[1.3, -0.4], [0.7, 0.2]])
    assert np.abs(model.predict_marginals(X) - before).max() > 0.01
    file = check(model, tmp_path)
    assert file.metadata["calibration"] == "[[1.3, -0.4], [0.7, 0.2]]"


def test_accepts_extreme_log_odds_of_members(tmp_path):
    model = fit(FSMDClassifier, n_members=2)
    with torch.no_grad():
        for member, shift in zip(model.module_.members, (60.0, -80.0), strict=True):
            member.towers.output.bias.add_(shift)
    check_same(model, File(model, tmp_path), data()[0])


def test_bias_features_are_not_inputs_of_the_file(tmp_path):
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
def test_accepts_columns_of_one_kind_only(columns, low_order, tmp_path):
    X, Y = data()
    for bins in (0, 8):
        model = fit(MultiTaskClassifier, X[columns], Y, low_order=low_order, numeric_bins=bins, target_statistics=None)
        check(model, tmp_path, X[columns], hard_rows()[columns])


def test_accepts_columns_without_information(tmp_path):
    """All values of such a column are missing, equal or rare."""
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


def test_one_expert_with_gate_layers(tmp_path):
    model = fit(MultiTaskClassifier, *make_rows(), extractor="mmoe", n_experts=1, gate_dims=(8,))
    check(model, tmp_path, make_rows(60, seed=1)[0])


@pytest.mark.parametrize(
    "params", [{}, {"n_members": 2}, {"value_targets": ["seconds"]}], ids=["one", "members", "values"]
)
@pytest.mark.parametrize("shift", [8.0, 14.0, 20.0])
def test_small_probabilities_have_the_same_relative_precision(params, shift, tmp_path):
    X, Y = make_rows()
    if "value_targets" in params:
        Y["seconds"] = np.where(np.arange(N) % 3 == 0, 7.5, 0.0)
    model = fit(FSMDClassifier, X, Y, **params)
    with torch.no_grad():
        for member in model.module_.members:
            member.towers.output.bias[:, 0] -= shift  # for values this output is the probability of a value above 0
    got, p = File(model, tmp_path).run(X), model.predict_marginals(X)
    np.testing.assert_allclose(got["marginals"], p, rtol=1e-4)
    np.testing.assert_allclose(got["conditionals"], model.predict_conditionals(X), rtol=1e-4)
    if model.value_targets:
        np.testing.assert_allclose(got["values"], model.predict_values(X), rtol=1e-4)
