"""Expected values in exported files: every distribution, ensembles, parents, and weights of `rank_score`."""

import json

import numpy as np
import pytest
import torch

from sklearn_fsmd import FSMDClassifier, MultiTaskClassifier, SingleTaskClassifier
from sklearn_fsmd.export import to_onnx
from sklearn_fsmd.network import ValueModel
from tests.export.files import File, check_same
from tests.export.models import check, data, fit, hard_rows
from tests.test_value_targets import AFTER_CLICK

LOSSES = ["lognormal", "squared", "poisson"]
OPTIONS = {
    "chain": {"link": "chain"},
    "separate embeddings": {"extractor": "separate", "low_order": "fm", "fm_sharing": "per_task"},
    "no low order": {"low_order": None, "tower_dims": ()},
    "members": {"link": "chain", "n_members": 3},
    "level": {"low_order": "linear"},
}
TWO = {"value_targets": ["watch", "stars"], "value_parents": {"watch": "click"}}


def targets():
    """Rows with clicks, conversions, seconds after clicks (some are 0), and a value in every row."""
    X, Y = data()
    random = np.random.RandomState(3)
    seconds = np.exp(random.normal(2 + (X["city"] == "Paris"), 1.0)) * (random.uniform(size=len(X)) > 0.2)
    return X, Y.assign(watch=np.where(Y["click"] == 1, seconds, np.nan), stars=1 + X["age"] % 5)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("params", OPTIONS.values(), ids=OPTIONS)
def test_every_distribution_predicts_the_same(loss, params, tmp_path):
    X, Y = targets()
    model = fit(MultiTaskClassifier, X, Y, value_loss=loss, **TWO, **params)
    if params.get("low_order") == "linear":
        values = model.module_.values
        values.level[:], values.slope[:] = torch.tensor([1.5, 0.5]), torch.tensor([0.8, 1.2])
        if loss == "lognormal":
            values.largest[0] = float(np.median(model.predict_values(X, conditional=True)[:, 0]))  # some are above it
    file = check(model, tmp_path)
    values = file.run(X)["values"]
    assert values.shape == (len(X), 2)
    assert values.std(axis=0).min() > 0.001
    given = model.predict_values(X, conditional=True)
    expected = file.run(X)["marginals"][:, 0] * given[:, 0]
    np.testing.assert_allclose(values[:, 0], expected, rtol=1e-5, atol=1e-6 * np.abs(given).max())


def test_metadata_describe_the_values(tmp_path):
    X, Y = targets()
    file = File(fit(FSMDClassifier, X, Y, **TWO), tmp_path)
    metadata = {name: json.loads(file.metadata[name]) for name in ("value_names", "value_parents", "value_loss")}
    assert metadata == {"value_names": ["watch", "stars"], "value_parents": [0, None], "value_loss": "lognormal"}
    assert json.loads(file.metadata["rank_weights"]) == [1.0, 1.0, 1.0, 1.0]
    shapes = {output.name: output.shape for output in file.session.get_outputs()}
    assert shapes["values"] == ["n", 2]
    file = File(fit(FSMDClassifier), tmp_path)
    assert [json.loads(file.metadata[name]) for name in metadata] == [[], [], None]


@pytest.mark.parametrize("weights", [None, [1.0, 0.5], [0.0, 0.0, 1.0], [1.0, -0.5, 0.25]])
def test_rank_weights_are_stored_and_used(weights, tmp_path):
    X, Y = targets()
    model = fit(FSMDClassifier, X, Y.drop(columns="stars"), **AFTER_CLICK)
    file = check(model, tmp_path, rank_weights=weights)
    given = [1.0] * 3 if weights is None else [*weights, 0.0][:3]
    assert json.loads(file.metadata["rank_weights"]) == given


def test_negative_values_count_as_0_in_the_score(tmp_path):
    X, Y = targets()
    Y = Y.drop(columns="stars").assign(watch=Y["watch"] - 20)
    model = fit(FSMDClassifier, X, Y, **AFTER_CLICK, value_loss="squared")
    file = check(model, tmp_path)
    got = file.run(X)
    assert (got["values"] < 0).any()
    assert (got["rank_score"][got["values"][:, 0] < 0] == 0).all()
    check(model, tmp_path, rank_weights=[1.0, 0.0, 0.01])


def test_values_are_bounded_by_the_largest_value_of_fit(tmp_path):
    X, Y = targets()
    for n_members in (1, 2):
        model = fit(FSMDClassifier, X, Y.drop(columns="stars"), **AFTER_CLICK, n_members=n_members)
        with torch.no_grad():
            for member in model.module_.members:
                member.towers.output.bias[2, 1] += 50.0
        file = File(model, tmp_path)
        check_same(model, file, X)
        got = file.run(X)
        given, values = got["values"][:, 0] / got["marginals"][:, 0], model.module_.values
        assert given.max() <= (values.largest**values.slope * values.level).item() * 1.0001


def test_values_with_bias_features_and_calibration(tmp_path):
    X, Y = targets()
    shown = X.assign(position=np.arange(len(X)) % 5)
    model = fit(FSMDClassifier, shown, Y, **TWO, bias_features=["position"], n_members=2)
    model.calibration_ = np.array([[1.3, -0.4], [0.7, 0.2]])
    model.module_.bias_tower.neutral.add_(0.5)
    check_same(model, File(model, tmp_path), X)
    check_same(model, File(model, tmp_path), hard_rows())


def test_values_of_a_single_task_classifier(tmp_path):
    X, Y = targets()
    check(fit(SingleTaskClassifier, X, Y, **TWO), tmp_path)


def test_an_unknown_distribution_is_refused(tmp_path):
    class Gamma(ValueModel):
        pass

    X, Y = targets()
    model = fit(FSMDClassifier, X, Y, **TWO)
    model.module_.values.__class__ = Gamma
    with pytest.raises(ValueError, match="The values have the distribution Gamma, which to_onnx does not know."):
        to_onnx(model, tmp_path / "model.onnx")


def test_invalid_names_and_rank_weights_are_refused(tmp_path):
    X, Y = targets()
    model = fit(FSMDClassifier, X, Y, **TWO)
    with pytest.raises(
        ValueError, match="`rank_weights` must be 2 or 4 finite numbers, one per task, or one per task and value"
    ):
        to_onnx(model, tmp_path / "m", rank_weights=[1, 2, 3])
    named = X.rename(columns={"price": "values"})
    with pytest.raises(ValueError, match="Column 'values' of X would have the name of an output of the file."):
        to_onnx(fit(FSMDClassifier, named, Y, **TWO), tmp_path / "m")
    check(fit(FSMDClassifier, named, Y[["click", "conversion"]]), tmp_path, named)


@pytest.mark.parametrize("loss", ["lognormal", "poisson"])
def test_a_vanishing_expectation_is_corrected_as_in_the_model(loss, tmp_path):
    """Its logarithm is the logarithm of the smallest float32 instead of minus infinity."""
    X, Y = targets()
    model = fit(FSMDClassifier, X, Y, value_loss=loss, **TWO)
    with torch.no_grad():
        model.module_.values.slope.fill_(0.01)
        model.module_.towers.output.bias[2:] = -120.0
    assert model.predict_values(X[:5], conditional=True).min() > 0.1
    check(model, tmp_path, X[:50])
