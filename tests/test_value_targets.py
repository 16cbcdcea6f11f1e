"""Targets with values, such as a watch time, in addition to binary targets."""

import copy
import datetime
import pickle
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import sklearn_fsmd
from sklearn_fsmd import FSClassifier, FSMDClassifier, MultiTaskClassifier, SharedBottomClassifier, SingleTaskClassifier
from sklearn_fsmd.compose import ask
from sklearn_fsmd.encoding.targets import TargetEncoder
from sklearn_fsmd.history import HistoryFeatures
from sklearn_fsmd.metrics import concordance, decile_bias, get_scorer, value_mae, value_rmse
from sklearn_fsmd.network import MultiTaskLoss, TreeLink
from sklearn_fsmd.network.values import VALUE_LOSSES, LogNormal, Poisson, Squared
from sklearn_fsmd.persistence.network_state import network_state, restore_network
from sklearn_fsmd.ranking import tune_rank_weights
from sklearn_fsmd.training import level_rows
from sklearn_fsmd.training.value_level import Expected, correct_levels, correct_slopes, trust
from tests.conftest import SMALL, make_frame, supported

AFTER_CLICK = {"value_targets": ["watch"], "value_parents": {"watch": "click"}}
ESTIMATORS = [getattr(sklearn_fsmd, name) for name in sklearn_fsmd.__all__ if name.endswith(("Classifier", "MTL"))]


def make_log(n=600, seed=0, zeros=0.2):
    """A frame, its targets with a watch time after clicks, and E[watch | click]."""
    X, Y = make_frame(n, seed)
    random = np.random.RandomState(seed + 1)
    location = np.where(X["city"] == "Paris", 2.0, 0.5)
    watch = np.exp(location + 0.5 * random.standard_normal(n)) * (random.uniform(size=n) > zeros)
    truth = (1 - zeros) * np.exp(location + 0.125)
    return X, Y.assign(watch=np.where(Y["click"] == 1, watch, np.nan)), truth


@pytest.fixture(scope="module")
def log():
    return make_log()


@pytest.fixture(scope="module")
def fitted(log):
    X, Y, _ = log
    return FSMDClassifier(**SMALL, **AFTER_CLICK).fit(X, Y)


class TestLosses:
    """Each loss is 0 for a perfect prediction, and its expected value is that of the distribution."""

    def test_lognormal_loss_matches_its_density(self):
        part = LogNormal(1)
        part.center[:], part.scale[:], part.largest[:] = 0.3, 2.0, 1e9
        outputs = torch.tensor([[[-0.2, 0.4]]] * 2, dtype=torch.float64)
        chance = 1 / (1 + np.exp(-0.4))
        some = -np.log(chance) + 0.5 * ((np.log(5.0) - 0.3) / 2.0 + 0.2) ** 2
        losses = part.double().loss(outputs, torch.tensor([[5.0], [0.0]], dtype=torch.float64)).flatten()
        np.testing.assert_allclose(losses.numpy(), [some, -np.log(1 - chance)], rtol=1e-6)
        np.testing.assert_allclose(part(outputs)[0, 0].item(), chance * np.exp(0.3 + 2.0 * -0.2), rtol=1e-6)

    def test_expectations_do_not_exceed_the_largest_training_value(self):
        part = LogNormal(1)
        part.init_from_values(torch.tensor([[1.0], [30.0]]), torch.ones(2, 1))
        assert part(torch.tensor([[[50.0, 9.0]]])).item() <= 30.0
        part.level[:], part.slope[:] = 2.0, 1.5
        assert part(torch.tensor([[[50.0, 9.0]]])).item() == 30.0

    def test_squared_and_poisson(self):
        values = torch.tensor([[2.0], [6.0]])
        squared, poisson = Squared(1), Poisson(1)
        assert squared.init_from_values(values, torch.ones(2, 1)).tolist() == [[0.0]]
        assert (squared.center.item(), squared.scale.item()) == (4.0, 2.0)
        assert squared.loss(torch.zeros(2, 1, 1), values).flatten().tolist() == [0.5, 0.5]
        poisson.init_from_values(values, torch.ones(2, 1))
        y, z = np.array([0.5, 1.5]), 0.3
        expected = y * np.log(y) - y * z + np.exp(z) - y
        np.testing.assert_allclose(poisson.loss(torch.full((2, 1, 1), z), values).flatten(), expected, rtol=1e-5)
        assert poisson(torch.zeros(1, 1, 1)).item() == 4.0

    @pytest.mark.parametrize("name", VALUE_LOSSES)
    def test_losses_are_not_negative_and_0_for_perfect_predictions(self, name):
        part = VALUE_LOSSES[name](1)
        values = torch.tensor([[3.0]] * 40)
        part.init_from_values(values, torch.ones(40, 1))
        perfect = torch.tensor([[[0.0, 40.0]]]) if name == "lognormal" else torch.zeros(1, 1, 1)
        assert part.loss(perfect, values[:1]).item() == pytest.approx(0, abs=1e-6)
        outputs = torch.randn(40, 1, part.n_outputs, generator=torch.Generator().manual_seed(0)) * 3
        assert (part.loss(outputs, values) >= 0).all()

    @pytest.mark.parametrize("name", VALUE_LOSSES)
    def test_gradients(self, name):
        part = VALUE_LOSSES[name](2).double()
        values = torch.tensor([[0.0, 3.0], [2.0, 1.0], [7.0, 0.0]], dtype=torch.float64)
        part.init_from_values(values, torch.ones_like(values))
        outputs = torch.randn(3, 2, part.n_outputs, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        assert torch.autograd.gradcheck(lambda o: part.loss(o, values), outputs.requires_grad_())

    @pytest.mark.parametrize("name", VALUE_LOSSES)
    def test_an_ensemble_expects_the_mean_of_its_members(self, name):
        part = VALUE_LOSSES[name](2)
        values = torch.tensor([[1.0, 2.0], [0.0, 3.0], [4.0, 9.0]])
        part.init_from_values(values, torch.ones(3, 2))
        outputs = 0.3 * torch.randn(4, 5, 2, part.n_outputs, generator=torch.Generator().manual_seed(0))
        if name == "lognormal":
            outputs[0, 0, :, 0] = 50.0  # a member that is far off is clipped at the largest value
            outputs[:, 1, :, 1] -= 30.0  # a value that is almost never above 0
        expected = part(outputs).mean(dim=0)
        np.testing.assert_allclose(part(part.mean(outputs)), expected, rtol=1e-4)

    @pytest.mark.parametrize("name", ["lognormal", "poisson"])
    def test_a_wrong_spread_is_corrected(self, name, rng):
        """If the expected values are wrong by a power, the correction restores the right ones."""
        part, true = VALUE_LOSSES[name](1), np.exp(rng.normal(size=20_000))
        expected, observed = (2 * true**1.5)[:, None], rng.poisson(true)[:, None]
        rows = Expected(expected, observed, np.ones((20_000, 1)))
        correct_slopes(part, rows, rows)
        correct_levels(part, [rows])
        assert part.slope.item() == pytest.approx(1 / 1.5, rel=0.02)
        np.testing.assert_allclose(part.level.item() * expected ** part.slope.item(), true[:, None], rtol=0.05)

    def test_squared_expectations_are_corrected_by_a_line(self, rng):
        part, true = Squared(1), rng.normal(size=(20_000, 1))
        observed = true + rng.normal(size=true.shape)
        rows = Expected(3 * true + 1, observed, np.ones_like(true))
        correct_slopes(part, rows, rows)
        correct_levels(part, [rows])
        assert part.slope.item() == pytest.approx(1 / 3, rel=0.05)
        assert part.level.item() == pytest.approx(-1 / 3, abs=0.05)

    @pytest.mark.parametrize("name", VALUE_LOSSES)
    @pytest.mark.parametrize("slope", [0.25, 4.0])
    def test_few_values_hardly_change_the_slope(self, name, slope, rng):
        """The slope that fits best is `slope`."""
        true = np.exp(0.3 * rng.normal(size=(4, 1)))
        expected = true**4 if slope < 1 else true**0.25
        part, many = VALUE_LOSSES[name](1), VALUE_LOSSES[name](1)
        rows = Expected(*(np.tile(x, (5000, 1)) for x in (expected, true, np.ones((4, 1)))))
        correct_slopes(part, rows, Expected(expected, true, np.ones((4, 1))))
        assert 0.35 < part.slope.item() < 2
        correct_slopes(many, rows, rows)
        assert abs(np.log(many.slope.item())) > abs(np.log(part.slope.item())) + 0.1

    @pytest.mark.parametrize("name", VALUE_LOSSES)
    @pytest.mark.parametrize("n", [2, 3, 5])
    def test_a_few_equal_validation_values_hardly_change_the_slope(self, name, n, rng):
        true = np.exp(rng.normal(size=(1000, 1)))
        train = Expected(true, true * np.exp(0.5 * rng.normal(size=true.shape)), np.ones_like(true))
        part = VALUE_LOSSES[name](1)
        correct_slopes(part, train, Expected(true[:n], np.ones((n, 1)), np.ones((n, 1))))
        assert 0.65 < part.slope.item() < 1.35

    @pytest.mark.parametrize("name", VALUE_LOSSES)
    def test_equal_training_values_leave_the_slope(self, name):
        part, ones = VALUE_LOSSES[name](1), np.ones((9, 1))
        correct_slopes(part, Expected(ones, 3 * ones, ones), Expected(np.arange(1.0, 10)[:, None], 3 * ones, ones))
        assert part.slope.item() == 1

    @pytest.mark.parametrize("name", VALUE_LOSSES)
    def test_rows_without_a_value_leave_the_slope(self, name):
        part = VALUE_LOSSES[name](1)
        train, none = Expected(*np.random.RandomState(0).uniform(1, 2, (3, 9, 1))), np.zeros((2, 1))
        correct_slopes(part, train, Expected(np.array([[1.0], [5.0]]), np.array([[9.0], [2.0]]), none))
        assert part.slope.item() == 1

    @pytest.mark.parametrize("name", VALUE_LOSSES)
    @pytest.mark.parametrize("expected", [[3.0] * 4, [4.0, 3.0, 2.0, 1.0]], ids=["constant", "backwards"])
    def test_the_mean_is_corrected(self, name, expected):
        part, observed = VALUE_LOSSES[name](1), np.array([[1.0], [2.0], [3.0], [4.0]])
        correct_levels(part, [Expected(np.array(expected)[:, None], observed, np.ones((4, 1)))])
        assert part.slope.item() == 1
        result = part.level.item() * np.array(expected) if part.multiplies else part.level.item() + np.array(expected)
        assert np.mean(result) == pytest.approx(2.5)

    def test_an_ensemble_with_tiny_probabilities_is_finite(self):
        part = LogNormal(1)
        part.largest[:] = 9.0
        mean = part.mean(torch.tensor([[[[0.5, -200.0]]], [[[0.5, -150.0]]]]))
        assert torch.isfinite(mean).all()
        assert mean[0, 0, 0].item() == pytest.approx(0.5)

    def test_initial_values_are_weighted(self):
        values, weights = torch.tensor([[1.0], [5.0], [1e6]]), torch.tensor([[1.0], [3.0], [0.0]])
        part = Squared(1)
        part.init_from_values(values, weights)
        assert part.center.item() == 4.0


class TestLearning:
    @pytest.mark.parametrize("loss", VALUE_LOSSES)
    def test_predictions_approach_the_truth(self, loss):
        X, Y, truth = make_log(6000)
        params = SMALL | {"max_epochs": 8, "value_loss": loss, "dropout": 0.0, "lr": 1e-2}
        model = FSMDClassifier(**params, **AFTER_CLICK, target_statistics=None).fit(X[:4000], Y[:4000])
        expected = model.predict_values(X[4000:], conditional=True)[:, 0]
        assert np.corrcoef(expected, truth[4000:])[0, 1] > 0.9
        clicked = (Y["click"][4000:] == 1).to_numpy()
        assert expected[clicked].mean() / truth[4000:][clicked].mean() == pytest.approx(1, abs=0.1)

    def test_the_mean_prediction_equals_the_observed_mean(self):
        """The level is corrected, as it is for probabilities."""
        X, Y, _ = make_log(1500)
        for loss in VALUE_LOSSES:
            model = FSClassifier(
                **SMALL, **AFTER_CLICK, value_loss=loss, early_stopping=False, target_statistics=None
            ).fit(X, Y)
            clicked = Y["click"] == 1
            expected = model.predict_values(X, conditional=True)[clicked, 0].mean()
            assert expected == pytest.approx(Y["watch"][clicked].mean(), rel=1e-3)

    def test_the_value_of_an_impression_includes_the_click_probability(self, fitted, log):
        X = log[0]
        p = fitted.predict_marginals(X)
        given = fitted.predict_values(X, conditional=True)
        np.testing.assert_allclose(fitted.predict_values(X), p[:, :1] * given, rtol=1e-5)
        assert given.shape == (len(X), 1)
        assert given.dtype == np.float32

    def test_values_without_a_parent_are_expected_of_all_rows(self, log):
        X, Y, _ = log
        Y = Y.assign(paid=np.arange(len(Y)) % 7 + 1.0)
        model = FSMDClassifier(**SMALL, value_targets=["watch", "paid"], value_parents={"watch": "click"}).fit(X, Y)
        values, given = model.predict_values(X), model.predict_values(X, conditional=True)
        np.testing.assert_array_equal(values[:, 1], given[:, 1])
        assert (values[:, 0] < given[:, 0]).all()
        assert values[:, 1].mean() == pytest.approx(4, rel=0.2)

    def test_values_without_a_click_are_ignored(self, log):
        X, Y, _ = log
        other = Y.assign(watch=np.where(Y["click"] == 1, Y["watch"], 777.0))
        a, b = (FSMDClassifier(**SMALL, **AFTER_CLICK).fit(X, y).predict_values(X) for y in (Y, other))
        np.testing.assert_array_equal(a, b)

    def test_classifier_methods_return_only_binary_targets(self, fitted, log):
        X = log[0]
        assert [p.shape for p in fitted.predict_proba(X)] == [(len(X), 2)] * 2
        assert fitted.predict(X).shape == (len(X), 2)
        assert fitted.task_names_ == ["click", "conversion"]
        assert len(fitted.classes_) == 2
        assert fitted.gate_weights(X).shape[2] == 3  # the value has a gate too

    def test_history_has_a_loss_of_each_value(self, log):
        X, Y, _ = log
        model = FSMDClassifier(**SMALL, **AFTER_CLICK, early_stopping=True).fit(X, Y)
        assert all(isinstance(v, (int, float)) for epoch in model.history_ for v in epoch.values())
        assert model.history_[-1]["valid_loss_watch"] > 0
        assert "valid_auc_watch" not in model.history_[-1]

    def test_weights_of_rows_affect_the_mean(self):
        X, Y, _ = make_log(1000)
        heavy = np.where(X["city"] == "Paris", 3.0, 1.0)
        repeated = np.repeat(np.arange(1000), heavy.astype(int))
        params = {"early_stopping": False, "target_statistics": None, **AFTER_CLICK}
        model = FSClassifier(**SMALL, **params).fit(X, Y, heavy)
        clicked = (Y["click"] == 1).to_numpy()
        p = model.predict_values(X, conditional=True)[:, 0]
        expected = Y["watch"].iloc[repeated[clicked[repeated]]].mean()
        assert np.average(p[clicked], weights=heavy[clicked]) == pytest.approx(expected, rel=1e-3)

    def test_a_column_of_weights_for_each_column_of_y(self, log):
        X, Y, _ = log
        moved = Y[["watch", "click", "conversion"]]
        weights = pd.DataFrame({"watch": 1.0 + np.arange(len(Y)) % 2, "click": 1.0, "conversion": 1.0})
        a = FSMDClassifier(**SMALL, **AFTER_CLICK).fit(X, moved, weights).predict_values(X)
        b = FSMDClassifier(**SMALL, **AFTER_CLICK).fit(X, Y, weights[list(Y)]).predict_values(X)
        np.testing.assert_array_equal(a, b)
        c = FSMDClassifier(**SMALL, **AFTER_CLICK).fit(X, Y).predict_values(X)
        assert not np.array_equal(a, c)


class TestOptions:
    @pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
    def test_every_estimator(self, cls, log):
        X, Y, _ = log
        model = cls(**supported(cls, SMALL | {"max_epochs": 1}), **AFTER_CLICK).fit(X, Y)
        values = model.predict_values(X)
        assert np.isfinite(values).all()
        assert values.std() > 0

    @pytest.mark.parametrize("task_weighting", ["uncertainty", "pcgrad", "gradnorm"])
    @pytest.mark.parametrize("loss", VALUE_LOSSES)
    def test_every_task_weighting(self, task_weighting, loss, log):
        X, Y, _ = log
        model = FSMDClassifier(**SMALL, **AFTER_CLICK, value_loss=loss, task_weighting=task_weighting).fit(X, Y)
        assert np.isfinite(model.predict_values(X)).all()
        if task_weighting != "pcgrad":
            assert model.history_[-1]["task_weight_watch"] > 0

    @pytest.mark.filterwarnings("ignore:precision='bf16' needs a device that computes in bfloat16")
    @pytest.mark.parametrize(
        "params",
        [
            {"n_members": 3},
            {"bias_features": ["visits"]},
            {"pretrain_epochs": 1},
            {"low_order": "fwfm"},
            {"fm_sharing": "per_task"},
            {"chain_loss": "both"},
            {"precision": "bf16"},
            {"embedding_optimizer": "sparse"},
            {"link": (None, None)},
            {"negative_sampling_rate": 0.5},
        ],
        ids=lambda params: next(iter(params)),
    )
    def test_every_option(self, params, log):
        X, Y, _ = log
        model = MultiTaskClassifier(**SMALL, **AFTER_CLICK, **params).fit(X, Y)
        values = model.predict_values(X)
        assert np.isfinite(values).all()
        np.testing.assert_allclose(model.predict_values(X[7:8]), values[7:8], rtol=1e-4)

    def test_early_stopping_of_separate_networks(self, log):
        X, Y, _ = log
        params = supported(SingleTaskClassifier, SMALL) | {"max_epochs": 8, "patience": 8, "early_stopping": True}
        others = Y.assign(conversion=Y["click"] * (np.arange(len(Y)) % 2))
        values = [
            SingleTaskClassifier(**params | {"lr": 0.05, "target_statistics": None}, **AFTER_CLICK)
            .fit(X[:450], labels[:450], X_val=X[450:], Y_val=labels[450:])
            .predict_values(X, conditional=True)
            for labels in (Y, others)
        ]
        np.testing.assert_array_equal(*values)  # the best check of the values does not depend on conversions

    @pytest.mark.parametrize("cls", [FSMDClassifier, SingleTaskClassifier])
    def test_early_stopping_watches_the_loss_of_a_value(self, cls, log):
        X, Y, _ = log
        params = supported(cls, SMALL) | {"max_epochs": 60, "lr": 0.05, "patience": 3, "early_stopping": True}
        model = cls(**params, **AFTER_CLICK, validation_metric="watch_loss").fit(X, Y)
        losses = [row["valid_loss_watch"] for row in model.history_]
        is_best = [float(loss < min(losses[:i], default=np.inf)) for i, loss in enumerate(losses)]
        assert [row["valid_best"] for row in model.history_] == is_best
        to_beat, waited = np.inf, 0  # improvements below `tol` are kept, but do not reset the patience
        for loss in losses:
            to_beat, waited = (loss, 0) if loss < to_beat - model.tol else (to_beat, waited + 1)
        assert waited == 3  # the patience ended training
        assert len(losses) < 60
        with pytest.raises(ValueError, match=r"must be one of \['auto', .* 'watch_loss'\]. Got 'Watch_loss'"):
            cls(**params, **AFTER_CLICK, validation_metric="Watch_loss").fit(X, Y)
        message = "validation_metric='watch_loss' needs validation rows in which that value is known, and a weight"
        with pytest.raises(ValueError, match=message):
            cls(**params, **AFTER_CLICK, validation_metric="watch_loss").fit(
                X, Y, X_val=X, Y_val=Y.assign(watch=np.nan, click=0, conversion=0)
            )
        with pytest.raises(ValueError, match=message):
            cls(**params, **AFTER_CLICK, validation_metric="watch_loss", task_weights=[1, 1, 0]).fit(X, Y)

    def test_task_weights_list_the_values_last(self, log):
        X, Y, _ = log
        losses = []
        for weight in (0, 1, 5):
            params = {**SMALL, **AFTER_CLICK, "early_stopping": True, "lr": 1e-2}
            model = FSMDClassifier(**params, task_weights=[1, 1, weight], validation_metric="loss").fit(X, Y)
            losses.append(model.history_[-1]["valid_loss_watch"])
        assert losses[0] == 0  # it is not part of the loss
        assert losses[2] == pytest.approx(5 * losses[1], rel=0.05)
        with pytest.raises(ValueError, match="must be 3 numbers"):
            FSMDClassifier(**SMALL, **AFTER_CLICK, task_weights=[1, 1]).fit(X, Y)

    def test_saving_pickling_copying_and_further_training(self, fitted, log, tmp_path):
        X, Y, _ = log
        expected = fitted.predict_values(X)
        fitted.save(tmp_path / "model.safetensors")
        loaded = MultiTaskClassifier.load(tmp_path / "model.safetensors")
        for other in (loaded, pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
            np.testing.assert_array_equal(other.predict_values(X), expected)
            assert other.value_targets == ["watch"]
        more = copy.deepcopy(fitted).partial_fit(X, Y)
        assert not np.array_equal(more.predict_values(X), expected)
        again = clone(fitted).set_params(warm_start=True).fit(X, Y)
        assert len(again.fit(X, Y).history_) > len(fitted.history_)

    def test_a_resumed_fit_is_identical(self, log, tmp_path):
        X, Y, _ = log
        path = tmp_path / "fit.safetensors"

        def model(**more):
            return FSMDClassifier(**SMALL | {"max_epochs": 3}, **AFTER_CLICK, early_stopping=True, **more)

        whole = model().fit(X, Y)
        model(checkpoint=path).fit(X, Y)
        resumed = model(checkpoint=path).fit(X, Y, resume=True)
        np.testing.assert_array_equal(resumed.predict_values(X), whole.predict_values(X))
        with pytest.raises(ValueError, match="data"):
            model(checkpoint=path).fit(X, Y.assign(watch=Y["watch"] + 1), resume=True)

    def test_arrays_and_positions(self, log, fitted):
        X, Y, _ = log
        model = FSMDClassifier(**SMALL, value_targets=[2], value_parents={2: 0}).fit(X, Y.to_numpy())
        np.testing.assert_array_equal(model.predict_values(X), fitted.predict_values(X))

    @pytest.mark.parametrize(
        ("columns", "parents", "expected"),
        [
            (None, {0: 1}, 0),
            (None, {0: 2}, 1),
            (None, {np.int64(0): np.int64(2)}, 1),
            (None, {0: "conversion"}, 1),
            ([2, 1, 0], {2: 1}, 0),  # for a DataFrame, numbers are names
            ([2, 1, 0], {2: 0}, 1),
            (["watch", "click", "conversion"], {"watch": "conversion"}, 1),
        ],
        ids=str,
    )
    def test_parents_are_columns_of_y(self, columns, parents, expected, log):
        Y = log[1][["watch", "click", "conversion"]]
        Y = Y.to_numpy() if columns is None else Y.set_axis(columns, axis=1)
        targets = TargetEncoder().fit(Y, value_targets=list(parents), value_parents=parents)
        assert targets.of_values.parents == [expected]

    @pytest.mark.parametrize(
        ("columns", "parents"),
        [
            (None, {0: 0}),
            (None, {0: 3}),
            (None, {0: -1}),
            (None, {0: "watch"}),
            ([5, 6, 7], {5: 1}),
            (["watch", "click", "conversion"], {"watch": 1}),
        ],
        ids=str,
    )
    def test_other_parents_are_refused(self, columns, parents, log):
        Y = log[1][["watch", "click", "conversion"]]
        Y = Y.to_numpy() if columns is None else Y.set_axis(columns, axis=1)
        name, parent = next(iter(parents.items()))
        with pytest.raises(ValueError, match=f"says that {name!r} follows {parent!r}, which is none of the binary tar"):
            TargetEncoder().fit(Y, value_targets=[name], value_parents=parents)

    def test_rank_score(self, fitted, log):
        X = log[0]
        p, values = fitted.predict_marginals(X), fitted.predict_values(X)
        np.testing.assert_allclose(fitted.rank_score(X), p[:, 0] * p[:, 1] * values[:, 0], rtol=1e-5)
        np.testing.assert_allclose(fitted.rank_score(X, [1, 0]), p[:, 0], rtol=1e-5)
        np.testing.assert_allclose(fitted.rank_score(X, [0, 0, 1]), values[:, 0], rtol=1e-5)

    def test_rank_weights_of_watch_time(self, fitted, log):
        X, Y, _ = log
        watched = Y["watch"].fillna(0)
        weights = tune_rank_weights(fitted, X, Y, lambda Y, score: concordance(watched, score))
        assert weights.shape == (3,)
        scores = [concordance(watched, fitted.rank_score(X, w)) for w in (weights, [1, 0, 0], [0, 1, 0])]
        assert scores[0] >= max(scores)

    def test_calibration_of_the_click_changes_the_value(self, log):
        X, Y, _ = log
        model = FSMDClassifier(**SMALL, **AFTER_CLICK).fit(X, Y)
        given, before = model.predict_values(X, conditional=True), model.predict_values(X)
        model.calibrate(X, Y)
        np.testing.assert_array_equal(model.predict_values(X, conditional=True), given)
        assert not np.array_equal(model.predict_values(X), before)

    def test_in_a_pipeline_and_a_search(self, log):
        X, Y, _ = log
        pipeline = make_pipeline(FunctionTransformer(), FSMDClassifier(**SMALL, **AFTER_CLICK))
        grid = {"fsmdclassifier__value_loss": ["lognormal", "squared"]}
        scoring = {name: get_scorer(name) for name in ("mean_auc", "watch_concordance", "neg_watch_mae")}
        search = GridSearchCV(pipeline, grid, scoring=scoring, refit="mean_auc", cv=KFold(2)).fit(X, Y)
        assert (search.cv_results_["mean_test_neg_watch_mae"] < 0).all()
        assert (search.cv_results_["mean_test_watch_concordance"] > 0.4).all()
        values = ask(search, "predict_values", X)
        watched = np.where(Y["click"] == 1, Y["watch"], 0)
        assert get_scorer("neg_watch_rmse")(search, X, Y) == pytest.approx(-value_rmse(watched, values[:, 0]))
        assert get_scorer("neg_watch_decile_bias")(search, X, Y) == pytest.approx(-decile_bias(watched, values[:, 0]))
        assert search.score(X, Y) == pytest.approx(search.best_estimator_.score(X, Y))

    def test_in_a_pipeline_after_history_features(self):
        log = pd.DataFrame({"time": pd.date_range("2026-01-01", periods=600, freq="h")})
        X, Y, _ = make_log()
        history = HistoryFeatures(keys=["city"], value_targets=["watch"], drop=["time"])
        pipeline = make_pipeline(history, FSMDClassifier(**SMALL, **AFTER_CLICK)).fit(log.join(X), Y)
        assert ask(pipeline, "predict_values", log.join(X)).shape == (600, 1)


class TestRefused:
    @pytest.mark.parametrize(
        ("params", "change", "message"),
        [
            (
                {},
                {"watch": -1.0},
                r"'watch' of Y has the value -1\.0; value_loss='lognormal' is for values that are not",
            ),
            ({"value_loss": "poisson"}, {"watch": -2.0}, "not negative"),
            ({}, {"watch": np.inf}, "infinity or a value too large"),
            ({}, {"watch": "long"}, "must hold numbers"),
            ({}, {"watch": 1j}, "Complex data not supported: column 'watch' of Y"),
            (
                {},
                {"watch": np.nan},
                "target 'watch' has no value to learn from: none is known in a row where 'click' has happened",
            ),
            (
                {"value_parents": None},
                {"watch": np.nan},
                "no value to learn from: none is known, or their weights are 0",
            ),
            ({"value_targets": ["watched"]}, {}, "names 'watched', which is missing in Y. The columns of Y are"),
            ({"value_targets": ["watch", "watch"]}, {}, "twice"),
            ({"value_parents": {"watched": "click"}}, {}, "names 'watched', which is none of value_targets"),
            ({"value_parents": {"watch": "clicks"}}, {}, "follows 'clicks', which is none of the binary targets"),
            ({"value_targets": None}, {}, "'value_parents' is for `value_targets`"),
            ({"value_targets": ["click", "conversion", "watch"], "value_parents": None}, {}, "at least one binary"),
            ({"value_loss": "gamma"}, {}, "value_loss"),
        ],
    )
    def test_bad_input(self, params, change, message, log):
        X, Y, _ = log
        with pytest.raises(ValueError, match=message):
            FSMDClassifier(**SMALL | AFTER_CLICK | params).fit(X, Y.assign(**change))

    @pytest.mark.parametrize("in_files", [False, True])
    def test_values_after_a_click_of_weight_0_are_ignored(self, in_files, log, tmp_path):
        """The click counts as missing, whatever its label and its value are."""
        X, Y, _ = log
        broken = np.arange(len(Y)) % 3 == 0
        weights = np.where(broken[:, None] & (np.arange(Y.shape[1]) == list(Y).index("click")), 0.0, 1.0)
        means = []
        for click, watch in ((1, 0.0), (0, 50.0)):
            tracked = Y.assign(click=Y["click"].mask(broken, click), watch=Y["watch"].mask(broken, watch))
            model = FSMDClassifier(**SMALL | AFTER_CLICK | {"max_epochs": 1}, early_stopping=False)
            if in_files:
                columns = [f"w_{name}" for name in Y]
                rows = X.join(tracked).assign(**dict(zip(columns, weights.T, strict=True)))
                rows.to_parquet(tmp_path / "a.parquet")
                model.fit_dataset(tmp_path / "a.parquet", list(Y), columns=list(X), sample_weight=columns)
            else:
                model.fit(X, tracked, sample_weight=weights)
            means.append(model.predict_values(X, conditional=True))
        np.testing.assert_array_equal(*means)

    def test_duplicate_column_names(self, log):
        X, Y, _ = log
        with pytest.raises(ValueError, match="Y has more than one column named 'watch'"):
            FSMDClassifier(**SMALL, **AFTER_CLICK).fit(X, Y[[*Y, "watch"]])

    @pytest.mark.parametrize(
        ("watch", "message"),
        [
            (pd.Timedelta(seconds=3), "and holds durations. Use `.dt.total_seconds"),
            (pd.Timestamp("2026-01-01"), "and holds times. Subtract a reference time"),
            (pd.Timestamp("2026-01-01", tz="UTC"), "and holds times"),
            (pd.Period("2026-01"), "and holds times"),
            (datetime.date(2026, 1, 1), "and holds times"),
        ],
        ids=lambda value: type(value).__name__,
    )
    @pytest.mark.parametrize("has_missing", [False, True])
    @pytest.mark.parametrize("library", [pd.DataFrame, pl.from_pandas])
    def test_durations_and_times(self, watch, message, has_missing, library, log):
        X, Y, _ = log
        column = pd.Series([watch] * len(Y))
        if has_missing:
            column[::3] = None
        if library is not pd.DataFrame and isinstance(watch, pd.Period):
            pytest.skip("polars has no periods")
        with pytest.raises(TypeError, match=f"'watch' of Y is one of `value_targets` and must hold numbers, {message}"):
            FSMDClassifier(**SMALL, **AFTER_CLICK, value_loss="squared").fit(X, library(Y.assign(watch=column)))

    def test_without_value_targets_there_is_no_predict_values(self, frame):
        X, Y = frame
        model = FSMDClassifier(**SMALL).fit(X, Y)
        assert not hasattr(model, "predict_values")
        with pytest.raises(ValueError, match="There is no value 'watch' to score"):
            get_scorer("watch_concordance")(model, X, Y)

    def test_predict_values_uses_the_value_targets_of_fit(self, frame, fitted, log):
        model = FSMDClassifier(**SMALL).fit(*frame).set_params(value_targets=["watch"])
        with pytest.raises(AttributeError) as error:
            model.predict_values(frame[0])
        assert "the 'value_targets' parameter named none in fit" in str(error.value.__cause__)
        other = copy.deepcopy(fitted).set_params(value_targets=None, value_parents=None)
        np.testing.assert_array_equal(other.predict_values(log[0]), fitted.predict_values(log[0]))
        assert not hasattr(FSMDClassifier(), "predict_values")

    def test_a_warm_start_cannot_drop_value_targets(self, log):
        X, Y, _ = log
        model = FSMDClassifier(**SMALL, **AFTER_CLICK).fit(X, Y)
        model.set_params(value_targets=None, value_parents=None, warm_start=True)
        with pytest.raises(ValueError, match="value_targets"):
            model.fit(X, Y)

    def test_y_without_the_value_column(self, fitted, log):
        X, Y, _ = log
        with pytest.raises(ValueError, match="names 'watch', which is missing in Y"):
            fitted.score(X, Y[["click", "conversion"]])

    def test_a_position_in_a_y_of_one_column(self, log):
        X, Y, _ = log
        with pytest.raises(ValueError, match="takes positions, and Y has the shape"):
            SharedBottomClassifier(**supported(SharedBottomClassifier, SMALL), value_targets=[1]).fit(
                X, Y["click"].to_numpy()
            )

    def test_a_position_that_is_not_an_integer(self, log):
        X, Y, _ = log
        with pytest.raises(ValueError, match=r"names 2.0; in a Y without column names it takes positions"):
            FSMDClassifier(**SMALL, value_targets=[2.0]).fit(X, Y.to_numpy())


class TestMetrics:
    def test_concordance_is_the_share_of_pairs(self, rng):
        y, s = rng.randint(0, 5, 60).astype(float), rng.randint(0, 8, 60).astype(float)
        y[::9] = np.nan
        pairs = [(i, j) for i in range(60) for j in range(i) if y[i] == y[i] and y[j] == y[j] and y[i] != y[j]]
        right = [1.0 if (y[i] - y[j]) * (s[i] - s[j]) > 0 else 0.5 * (s[i] == s[j]) for i, j in pairs]
        assert concordance(y, s) == pytest.approx(np.mean(right))
        assert concordance(y, np.zeros(60)) == 0.5
        with pytest.warns(match="All values are equal"):
            assert np.isnan(concordance(np.ones(5), np.arange(5)))

    def test_mae_and_rmse(self):
        y, value = [1.0, np.nan, 4.0], [2.0, 9.0, 1.0]
        assert value_mae(y, value) == 2.0
        assert value_rmse(y, value) == pytest.approx(np.sqrt(5))
        with pytest.warns(match="No value was observed"):
            assert np.isnan(value_mae([np.nan], [1.0]))

    def test_decile_bias(self):
        y = np.repeat([1.0, 3.0], 50)
        assert decile_bias(y, y) == 0
        assert decile_bias(y, np.full(100, 2.0), n_bins=2) == 0  # equal predictions share their mean value
        assert decile_bias(y, y + 1) == pytest.approx(0.5)


@pytest.mark.parametrize("frame", ["arrow", "polars"])
def test_decimals_with_missing_values(frame):
    X, Y, _ = make_log()
    money = [None if value != value else Decimal(f"{value:.2f}") for value in Y["watch"]]
    columns = {"click": Y["click"].tolist(), "conversion": Y["conversion"].tolist(), "watch": money}
    exact = pa.table(columns) if frame == "arrow" else pl.DataFrame(columns, strict=False)
    floats = Y.assign(watch=Y["watch"].round(2))
    predictions = [FSMDClassifier(**SMALL, **AFTER_CLICK).fit(X, y).predict_values(X) for y in (exact, floats)]
    np.testing.assert_allclose(*predictions, rtol=1e-5)


def skewed(n=4000, share=1.0, seed=0):
    """Rows with the click rate `share / 2`, and values after clicks whose mean is three times their median."""
    random = np.random.default_rng(seed)
    X = pd.DataFrame({"a": random.integers(0, 8, n).astype(str), "x": random.normal(size=n)})
    click = (random.uniform(size=n) < share * 0.5).astype(int)
    value = np.exp(3 + 0.3 * X["x"] + 1.5 * random.normal(size=n))
    return X, pd.DataFrame({"click": click, "watch": np.where(click == 1, value, np.nan)})


@pytest.mark.parametrize("n_calls", [1, 5])
def test_partial_fit_alone_learns_the_mean_of_skewed_values(n_calls):
    X, Y = skewed()
    model = FSMDClassifier(**SMALL, **AFTER_CLICK)
    for _ in range(n_calls):
        model.partial_fit(X, Y)
    clicked = (Y["click"] == 1).to_numpy()
    assert model.predict_values(X, conditional=True)[clicked].mean() == pytest.approx(Y["watch"].mean(), rel=0.1)
    few = copy.deepcopy(model).partial_fit(X[:5].assign(x=0.0), Y[:5].assign(click=1, watch=1e4))
    before, after = (m.predict_values(X, conditional=True).mean() for m in (model, few))
    assert before / 4 < after < 4 * before


@pytest.mark.parametrize("seed", [3, 5, 7])
def test_few_validation_values_do_not_determine_the_level(seed):
    X, Y = skewed(share=0.06, seed=seed)
    stopped, whole = (
        FSMDClassifier(**SMALL | {"early_stopping": stops}, **AFTER_CLICK).fit(X, Y) for stops in (True, False)
    )
    clicked = (Y["click"] == 1).to_numpy()
    means = [model.predict_values(X, conditional=True)[clicked].mean() for model in (stopped, whole)]
    assert means[1] == pytest.approx(Y["watch"].mean(), rel=0.02)
    assert 0.6 < means[0] / means[1] < 1.5


def test_trust_in_a_mean_grows_with_the_number_of_values():
    random = np.random.RandomState(0)
    few, many = (random.lognormal(size=n) for n in (16, 20_000))
    assert trust(few, np.ones(16), 0.05) < 0.1
    assert 0.9 < trust(many, np.ones(20_000), 0.05) < 1
    assert trust(np.zeros(0), np.zeros(0), 0.05) == 0
    assert trust(many, np.full(20_000, 7.0), 0.05) == pytest.approx(trust(many, np.ones(20_000), 0.05))
    around = [trust(many - many.mean() + shift, np.ones(20_000), 0.05, False) for shift in (0, 100)]
    assert around[0] == pytest.approx(around[1])  # values that may be negative have no natural zero
    assert 0.9 < around[0] < 1


@pytest.mark.parametrize("loss", ["lognormal", "poisson"])
def test_the_unit_of_values_does_not_matter_after_short_training(loss):
    random = np.random.default_rng(0)
    X = pd.DataFrame({"g": random.integers(0, 4, 600).astype(str), "h": random.integers(0, 30, 600).astype(str)})
    price = np.exp(0.4 * X["g"].astype(int) + 0.3 * random.normal(size=600))
    click = random.integers(0, 2, 600)
    predictions = []
    for unit in (1, 1e-4, 3000, 1e9):
        model = FSMDClassifier(value_targets=["price"], value_loss=loss, **SMALL | {"max_epochs": 1})
        model.fit(X, pd.DataFrame({"click": click, "price": unit * price}))
        predictions.append(model.predict_values(X)[:, 0] / unit)
    assert predictions[0].mean() == pytest.approx(price.mean(), rel=0.1)
    for other in predictions[1:]:
        np.testing.assert_allclose(other, predictions[0], rtol=2e-3)


def purchases(n, seed):
    """Customers with occasional purchases, whose revenue is approximately the price."""
    random = np.random.RandomState(seed)
    X = pd.DataFrame({"customer": random.randint(700, size=n).astype(str)})
    X["price"] = np.exp(random.normal(3, 0.7, n))
    click = random.uniform(size=n) < 0.3
    bought = click & (random.uniform(size=n) < 0.2)
    revenue = X["price"] * np.exp(random.normal(0, 0.3, n)) * bought
    return X, pd.DataFrame({"click": click, "bought": bought, "revenue": revenue}).astype(float)


AFTER_PURCHASE = {"value_targets": ["revenue"], "value_parents": {"revenue": "bought"}}


@pytest.mark.parametrize("seed", [0, 1])
def test_expected_values_of_new_rows_have_their_mean(seed):
    """A customer with a purchase in training has a higher rate because of it; customers of new rows do not."""
    X, Y = purchases(20_000, seed)
    model = FSMDClassifier(**AFTER_PURCHASE, random_state=seed).fit(X[:6000], Y[:6000])
    is_new = (Y["bought"] == 1) & (np.arange(len(X)) >= 6000)
    expected = model.predict_values(X[is_new], conditional=True).mean()
    assert expected == pytest.approx(Y["revenue"][is_new].mean(), rel=0.1)


@pytest.mark.parametrize("labels", ["plain", "purchases weigh more", "others weigh more", "most conversions unknown"])
@pytest.mark.parametrize("how", ["fit", "partial_fit", "fit_dataset"])
def test_the_level_of_values_is_computed_on_rows_as_if_they_were_new(labels, how, tmp_path, monkeypatch):
    """Without its only row, a customer has no statistics, whatever the weight of the row is."""
    X, Y = purchases(1500, 0)
    once = np.arange(len(X)) % 3 == 0
    X["customer"] = np.where(once, [f"once {i}" for i in range(len(X))], X["customer"].str[:1])
    weights = {"purchases weigh more": 1 + 9 * Y["bought"], "others weigh more": 10 - 9 * Y["bought"]}.get(labels)
    if labels == "most conversions unknown":
        unknown = (Y["bought"] == 0) & (np.random.RandomState(0).uniform(size=len(Y)) < 0.8)
        Y.loc[unknown, ["bought", "revenue"]] = np.nan
    seen = []
    monkeypatch.setattr(level_rows.LevelRows, "correct", lambda self, *data: seen.append(self))
    params = SMALL | {"early_stopping": False, "max_epochs": 1, "statistics_features": ["customer"]}
    model = FSMDClassifier(**params | {"min_frequency": 1}, **AFTER_PURCHASE)
    if how == "fit_dataset":
        X.join(Y).assign(weight=1.0 if weights is None else weights).to_parquet(tmp_path / "log.parquet")
        model.fit_dataset(tmp_path / "log.parquet", list(Y), sample_weight="weight")
    else:
        getattr(model, how)(X, Y, sample_weight=weights)
    (level,), statistics = seen, model._encoder.statistics
    rows, _ = level.with_values
    assert len(rows) == (Y["bought"] == 1).sum()
    rates, n_numeric = statistics.tables[0][:, 1:], 1
    row_statistics = rows.numbers[:, n_numeric + 1 :]
    bought_once = once[(Y["bought"] == 1).to_numpy()]
    np.testing.assert_allclose(row_statistics[bought_once], np.tile(rates[0], (bought_once.sum(), 1)), atol=1e-3)
    assert np.abs(row_statistics[~bought_once] - rates[0]).max() > 0.1


def test_the_level_uses_all_rare_values(monkeypatch):
    """A sample of all rows would contain a tenth of them."""
    monkeypatch.setattr(level_rows, "LEVEL_ROWS", 300)
    seen = []
    monkeypatch.setattr(level_rows.LevelRows, "correct", lambda self, *data: seen.append(self))
    X, Y = purchases(3000, 0)
    rare = Y.mul(np.arange(len(Y)) % 4 == 0, axis=0)
    FSMDClassifier(**SMALL | {"early_stopping": False, "max_epochs": 1}, **AFTER_PURCHASE).fit(X, rare)
    (level,) = seen
    rows, targets = level.with_values
    assert len(level.rows) == 300
    assert len(rows) == (rare["bought"] == 1).sum() < 300
    revenue, _ = targets.values.arrays  # noqa: PD011 (no pandas)
    np.testing.assert_allclose(np.sort(revenue[:, 0]), np.sort(rare["revenue"][rare["bought"] == 1]))


def without_values(Y):
    return Y.assign(watch=np.nan)


@pytest.mark.parametrize("other_object", [False, True])
def test_chunks_without_values_keep_the_correction(other_object):
    X, Y = skewed(600)
    model = FSMDClassifier(**SMALL, **AFTER_CLICK).fit(X, Y)
    before = {name: x.tolist() for name, x in model.module_.get_submodule("values").state_dict().items()}
    assert before["level"] != [1]
    model = copy.deepcopy(model) if other_object else model
    for _ in range(2):
        model.partial_fit(X, without_values(Y))
    assert {name: x.tolist() for name, x in model.module_.get_submodule("values").state_dict().items()} == before


def test_the_first_chunk_sets_the_correction():
    X, Y = skewed(600)
    clicked = (Y["click"] == 1).to_numpy()
    model = FSMDClassifier(**SMALL, **AFTER_CLICK).partial_fit(X, Y)
    assert model.predict_values(X, conditional=True)[clicked].mean() == pytest.approx(Y["watch"].mean(), rel=0.02)


def test_a_warm_start_learns_from_larger_values():
    random = np.random.default_rng(0)
    X = pd.DataFrame({"g": random.integers(0, 4, 400).astype(str)})
    Y = pd.DataFrame({"click": random.integers(0, 2, 400), "watch": random.uniform(1, 3, 400)})
    model = FSMDClassifier(**SMALL, value_targets=["watch"], warm_start=True).fit(X, Y)
    model.fit(X, Y.assign(watch=1000 * Y["watch"]))
    assert model.module_.get_submodule("values").largest == pytest.approx(1000 * Y["watch"].max())
    assert model.predict_values(X).mean() == pytest.approx(1000 * Y["watch"].mean(), rel=0.05)


@pytest.mark.parametrize("streamed", [False, True])
def test_the_largest_value_is_taken_from_all_training_rows(streamed, tmp_path, monkeypatch):
    monkeypatch.setattr(level_rows, "LEVEL_ROWS", 50)
    X, Y = skewed(400)
    largest = int(np.flatnonzero(Y["click"] == 1)[0])
    model = FSMDClassifier(**SMALL | {"early_stopping": False}, **AFTER_CLICK, warm_start=True).fit(X, Y)
    again = Y.assign(watch=Y["watch"].where(np.arange(400) != largest, 1e5))
    held_out = FSMDClassifier(**SMALL | {"early_stopping": True}, **AFTER_CLICK, validation="last", warm_start=True)
    held_out.fit(X, Y).fit(X, Y.assign(watch=Y["watch"].where(np.arange(400) < 360, 1e5)))
    assert held_out.module_.get_submodule("values").largest < 1e5
    if streamed:
        X.join(again).to_parquet(tmp_path / "log.parquet")
        model.fit_dataset(tmp_path / "log.parquet", list(Y))
    else:
        model.fit(X, again)
    assert model.module_.get_submodule("values").largest == 1e5


@pytest.mark.parametrize("loss", ["lognormal", "poisson"])
def test_gradients_of_vanishing_expectations_are_finite(loss):
    values = VALUE_LOSSES[loss](1)
    outputs = torch.full((1, 1, values.n_outputs), -120.0, requires_grad=True)
    values(outputs).sum().backward()
    assert torch.isfinite(outputs.grad).all()


def test_values_that_are_all_0_are_predicted_as_0():
    X, Y = skewed(600)
    for loss in ("poisson", "lognormal"):
        model = FSMDClassifier(**SMALL, **AFTER_CLICK, value_loss=loss).fit(X, Y.assign(watch=Y["watch"] * 0))
        assert model.predict_values(X).max() < 1e-6


def test_rows_without_a_value_have_no_loss_for_any_prediction():
    loss = MultiTaskLoss(TreeLink([None]), torch.ones(2), values=Poisson(1))
    logits = torch.tensor([[0.0, 95.0], [0.0, 0.0]], requires_grad=True)
    losses, _ = loss.per_task(logits, torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.tensor([[1.0, 0.0], [1.0, 1.0]]))
    assert losses[1] == 0.0
    losses.sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_values_of_weight_0_are_ignored(frame):
    X, Y = frame
    values = np.where(Y["click"] == 1, 3.0, np.nan)
    row = int(np.flatnonzero(Y["click"] == 1)[0])
    values[row] = 1e30
    weights = np.ones((len(Y), 3))
    weights[row, 2] = 0
    model = FSMDClassifier(**SMALL, value_targets=["watch"], value_parents={"watch": "click"}, value_loss="squared")
    model.fit(X, Y.assign(watch=values), sample_weight=weights)
    assert np.isfinite(model.predict_values(X)).all()


def test_warns_if_value_parents_omits_the_step_of_a_value(frame, tmp_path):
    X, Y = frame
    Y = Y.assign(basket=np.where(Y["conversion"] == 1, 20.0, np.nan))
    params = {**SMALL, "max_epochs": 1, "value_targets": ["basket"]}
    warning = r"'basket' is known only where 'conversion' is 1, and is expected of all rows.*\{'basket': 'conversion'\}"
    with pytest.warns(UserWarning, match=warning):
        FSMDClassifier(**params).fit(X, Y)
    with pytest.warns(UserWarning, match="expected of all rows where 'click' is 1 as if"):
        FSMDClassifier(**params, value_parents={"basket": "click"}).fit(X, Y)
    some = Y.assign(conversion=Y["conversion"].astype(float))
    some.loc[some.index[some["conversion"] == 1][0], "conversion"] = np.nan  # its value is known
    with pytest.warns(UserWarning, match=warning):
        FSMDClassifier(**params).fit(X, some)
    X.join(Y).to_parquet(tmp_path / "log.parquet")
    with pytest.warns(UserWarning, match=warning):
        FSMDClassifier(**params).fit_dataset(tmp_path / "log.parquet", list(Y))
    FSMDClassifier(**params, value_parents={"basket": "conversion"}).fit(X, Y)  # a warning would be an error
    FSMDClassifier(**params).fit(X, Y.fillna({"basket": 0.0}))


@pytest.mark.parametrize("price", [7.3, 9.99])
@pytest.mark.parametrize("loss", ["lognormal", "squared", "poisson"])
def test_equal_values_do_not_get_a_tiny_scale(loss, price):
    """The float32 mean of equal numbers differs slightly from them."""
    X, Y = make_frame(600)
    Y = Y.assign(paid=np.where(Y["click"] == 1, price, np.nan))
    params = {"value_targets": ["paid"], "value_parents": {"paid": "click"}, "value_loss": loss}
    model = FSMDClassifier(**SMALL, **params).fit(X, Y, X_val=X, Y_val=Y.assign(paid=1.1 * Y["paid"]))
    scale = model.module_.get_buffer("values.scale").item()
    np.testing.assert_allclose(scale, price if loss == "poisson" else 1.0, rtol=1e-6)
    assert all(epoch["valid_loss"] < 3 for epoch in model.history_)
    np.testing.assert_allclose(model.predict_values(X).mean(), Y["paid"].fillna(0).mean(), rtol=0.3)


@pytest.mark.parametrize("unit", [1e-12, 1e25])
def test_values_of_any_size(unit):
    X, Y = make_log()[:2]
    models = [
        MultiTaskClassifier(**SMALL, **AFTER_CLICK, value_loss="squared").fit(X, Y.assign(watch=size * Y["watch"]))
        for size in (1.0, unit)
    ]
    values = [model.predict_values(X).astype(float) for model in models]
    np.testing.assert_allclose(values[1] / unit, values[0], rtol=1e-3)


def test_a_missing_label_in_a_list_of_rows_stays_missing():
    rows = [["yes" if i % 2 else "no", 2.5, ("yes", "no", float("nan"))[i % 3]] for i in range(60)]
    X = np.arange(120.0).reshape(60, 2)
    model = FSClassifier(**supported(FSClassifier, SMALL) | {"value_targets": [1], "max_epochs": 1}).fit(X, rows)
    assert [classes.tolist() for classes in model.classes_] == [["no", "yes"]] * 2


def test_placeholders_of_missing_values_cause_no_overflow():
    """(0 − 1e20)² overflows a float32; it belongs to a row without a click, where 0 is a placeholder."""
    X, Y = make_frame(200)
    Y = pd.DataFrame({"click": Y["click"], "v": 1e20})
    params = {"value_targets": ["v"], "value_parents": {"v": "click"}, "value_loss": "squared", "max_epochs": 1}
    model = FSMDClassifier(**supported(FSMDClassifier, SMALL) | params).fit(X, Y)
    np.testing.assert_allclose(model.predict_values(X, conditional=True), 1e20, rtol=1e-3)


def test_float16_is_accepted_and_numbers_beyond_floats_are_refused():
    X, Y = make_frame(60)
    params = {"value_targets": ["v"], "max_epochs": 1}
    model = FSMDClassifier(**supported(FSMDClassifier, SMALL) | params)
    half = pl.DataFrame({"click": Y["click"].to_numpy(), "v": pl.Series(np.arange(60.0) % 7).cast(pl.Float16)})
    assert model.fit(X, half).value_names_ == ["v"]
    with pytest.raises(ValueError, match="Column 'v' of Y .*must hold numbers"):
        model.fit(X, pd.DataFrame({"click": Y["click"], "v": pd.Series([10**400] * 60, dtype=object)}))


def test_files_with_the_log_odds_first_are_read():
    """Former versions had them before the location of the logarithms, whatever the share of zeros was."""
    X, Y, _ = make_log(zeros=0.1)
    model = MultiTaskClassifier(**SMALL, **AFTER_CLICK, low_order=None).fit(X, Y)
    expected, state = model.predict_values(X), network_state(model._predictor)
    weights = {name: array.copy() for name, array in state["weights"].items() if name != "values.order"}
    for name in ("towers.output.weight", "towers.output.bias"):
        weights[name][2:] = weights[name][2:, ..., ::-1]
    model._predictor = restore_network(model._encoder, 2, state | {"weights": weights})
    np.testing.assert_allclose(model.predict_values(X), expected, rtol=1e-6)


@pytest.mark.parametrize("loss", ["lognormal", "poisson"])
def test_a_chunk_of_zeros_leaves_the_slope(loss):
    X, Y = skewed(600)
    model = FSMDClassifier(**SMALL, **AFTER_CLICK, value_loss=loss).fit(X, Y, X_val=X[:300], Y_val=Y[:300])
    before = float(model.module_.values.slope)  # noqa: PD011
    assert before != 1
    model.partial_fit(X[:10], Y[:10].assign(watch=0.0))
    assert float(model.module_.values.slope) == before  # noqa: PD011
