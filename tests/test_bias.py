"""The bias tower: predictions exclude the effect of the position on clicks."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV

from sklearn_fsmd import FSMDClassifier, MultiTaskClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.export import model_card
from sklearn_fsmd.inspection import metric_table
from sklearn_fsmd.metrics import auc_per_task, cvr_auc, get_scorer, lift_curve, mean_log_loss
from sklearn_fsmd.plotting import LiftDisplay, ReliabilityDisplay
from tests.conftest import SMALL, make_frame


def with_position(n=400):
    X, Y = make_frame(n)
    X.insert(2, "position", np.random.RandomState(1).randint(1, 6, size=n))
    return X, Y


@pytest.fixture(scope="module")
def fitted():
    X, Y = with_position()
    return X, Y, FSMDClassifier(**SMALL, bias_features=["position"]).fit(X, Y)


def test_the_bias_tower_absorbs_a_strong_position_bias():
    """Error against the true click probabilities without position bias, and AUC on impressions that have none."""
    n = 20_000
    funnel = make_funnel(n + 5000, n_users=40, n_items=30, position_bias=2.0, random_state=0)
    X, Y, true = funnel.data, funnel.target, funnel.unbiased["click"].to_numpy()[n:]
    clicks = np.random.RandomState(1).uniform(size=len(true)) < true
    model = FSMDClassifier(random_state=0, max_epochs=12, expert_dims=(32,), tower_dims=(16,))
    no_position = X.drop(columns="position")
    cases = {
        "tower": (clone(model).set_params(bias_features=["position"]), X, no_position),
        "input": (clone(model), X, X),
        "input, evaluated at position 1": (clone(model), X, X.assign(position=1)),
        "left out": (clone(model), no_position, no_position),
    }
    error, auc = {}, {}
    for name, (estimator, train, test) in cases.items():
        p = estimator.fit(train[:n], Y[:n]).predict_marginals(test[n:])[:, 0]
        error[name] = np.sqrt(((p - true) ** 2).mean())
        auc[name] = auc_per_task(clicks, p)[0]
    assert error["tower"] < 0.5 * min(error["input"], error["left out"])
    assert 0.8 < error["input, evaluated at position 1"] / error["tower"] < 1.2
    assert auc["tower"] > max(auc["input"], auc["left out"])


def test_unlabeled_rows_do_not_affect_the_reference_positions():
    X, Y = with_position()
    more = pd.concat([X.drop(columns="position")] * 20, ignore_index=True).assign(position=np.nan)
    model = FSMDClassifier(**SMALL, bias_features=["position"], pretrain_epochs=1).fit(
        X, Y, X_unlabeled=more[X.columns]
    )
    reference = model._encoder.reference
    assert set(reference.numbers[:, 0]) <= set(model._encoder.bias.encode(X[["position"]]).numbers[:, 0])
    assert len(reference) <= len(X)


def test_the_position_of_a_row_does_not_affect_its_prediction(fitted):
    X, _, model = fitted
    p = model.predict_marginals(X)
    np.testing.assert_array_equal(model.predict_marginals(X.assign(position=5)), p)
    np.testing.assert_array_equal(model.predict_marginals(X.drop(columns="position")), p)
    np.testing.assert_array_equal(
        model.predict_marginals(X[:3].drop(columns="position")), model.predict_marginals(X[:3])
    )


def test_bias_features_are_not_inputs_of_the_main_network(fitted):
    X, Y, model = fitted
    names = [column.name for column in model._encoder.main.numeric.values()]
    assert names == ["price", "visits"]
    assert [column.name for column in model._encoder.bias.numeric.values()] == ["position"]
    listed = FSMDClassifier(
        **SMALL, bias_features=["position"], categorical_features=["user", "city", "member", "position"]
    )
    listed.fit(X, Y)
    assert [column.name for column in listed._encoder.main.categories.values()] == ["user", "city", "member"]
    assert [column.name for column in listed._encoder.bias.categories.values()] == ["position"]


def test_the_bias_tower_affects_only_the_first_task(fitted):
    X, _, model = fitted
    rows = model._encoder.encode(X)
    inputs = rows.tensors()
    with_bias, without = model.module_(*inputs), model.module_(*inputs[:2])
    assert (with_bias[:, 0] != without[:, 0]).any()
    np.testing.assert_array_equal(with_bias[:, 1].detach(), without[:, 1].detach())


def test_the_neutral_level_is_that_of_the_best_positions(fitted):
    X, _, model = fitted
    rows = model._encoder.encode(X)
    levels = model.module_.bias_tower(*rows.tensors()[2:]).detach()
    tower = model.module_.bias_tower
    assert levels.quantile(0.9) <= tower.neutral <= levels.max()
    level = tower.neutral.item()
    with model.net_.average_.other_set():
        assert tower.neutral.item() == level


@pytest.mark.parametrize("selector", [[2], [False, False, True, False, False, False], lambda X: [2]])
def test_bias_features_may_be_selected_by_index_mask_or_callable(selector):
    X, Y = with_position()
    model = FSMDClassifier(**SMALL, bias_features=selector).fit(X, Y)
    by_name = FSMDClassifier(**SMALL, bias_features=["position"]).fit(X, Y)
    np.testing.assert_array_equal(model.predict_marginals(X), by_name.predict_marginals(X))


def test_bias_columns_may_be_left_out_of_arrays():
    random = np.random.RandomState(0)
    X = random.randint(2**60, 2**60 + 5, size=(300, 3))  # ids that a float cannot represent exactly
    Y = np.stack((X[:, 0] % 2, (X[:, 0] % 2) & (X[:, 2] % 2)), axis=1)
    model = MultiTaskClassifier(**SMALL, categorical_features="all", bias_features=[1]).fit(X, Y)
    np.testing.assert_array_equal(model.predict_marginals(X[:, [0, 2]]), model.predict_marginals(X))
    with pytest.raises(ValueError, match="X has 1 features, but MultiTaskClassifier is expecting 3 features"):
        model.predict(X[:, :1])


def test_a_pickled_model_predicts_the_same_and_can_be_trained_further(fitted):
    X, Y, model = fitted
    restored = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(restored.predict_marginals(X), model.predict_marginals(X))
    before = restored.predict_marginals(X)
    restored.partial_fit(X, Y)
    assert not np.array_equal(restored.predict_marginals(X), before)


def test_bias_features_in_a_grid_search():
    X, Y = with_position()
    grid = {"bias_features": [None, ["position"]], "bias_dropout": [0.0, 0.3]}
    search = GridSearchCV(FSMDClassifier(**SMALL), grid, cv=2).fit(X, Y)
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores)) == 3  # the dropout has nothing to drop without bias features


def test_a_wrong_name_in_prediction_is_refused_as_in_scikit_learn(fitted):
    X, _, model = fitted
    with pytest.raises(ValueError, match="The feature names should match those that were passed during fit"):
        model.predict(X.drop(columns="position").rename(columns={"city": "town"}))


def test_training_needs_the_bias_features(fitted):
    X, Y, model = fitted
    with pytest.raises(ValueError, match="The feature names should match"):
        pickle.loads(pickle.dumps(model)).partial_fit(X.drop(columns="position"), Y)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["place"], "bias_features has an item value 'place' which is not a valid feature name"),
        ([9], "bias_features set as integer indices must be in"),
        ([True], "bias_features set as a boolean mask must have shape"),
        ([], "'bias_features' parameter \\[\\] names no column"),
        (range(6), "leaves none for the network"),
    ],
)
def test_bad_selections_of_bias_features_are_refused(value, message):
    X, Y = with_position(60)
    with pytest.raises(ValueError, match=message):
        FSMDClassifier(**SMALL, bias_features=list(value)).fit(X, Y)


def test_a_bias_feature_cannot_be_pretrained():
    X, Y = with_position(60)
    model = FSMDClassifier(**SMALL, bias_features=["position"], pretrain_epochs=1, pretrain_features=["position"])
    with pytest.raises(ValueError, match="Column 'position' is one of the 'bias_features'"):
        model.fit(X, Y)


def test_any_of_several_bias_columns_may_be_left_out():
    X, Y = with_position()
    X["tab"] = pd.Categorical(np.random.RandomState(2).randint(3, size=len(X)))
    model = FSMDClassifier(**SMALL, bias_features=["position", "tab"]).fit(X, Y)
    p = model.predict_marginals(X)
    for columns in (["tab"], ["position"], ["position", "tab"]):
        np.testing.assert_array_equal(model.predict_marginals(X.drop(columns=columns)), p)


def test_partial_fit_on_other_positions_keeps_the_neutral_level(fitted):
    X, Y, model = fitted
    restored = pickle.loads(pickle.dumps(model)).set_params(lr=1e-9)
    low = X["position"] >= 4
    restored.partial_fit(X[low], Y[low])
    levels = [m.module_.bias_tower.neutral.item() for m in (model, restored)]
    assert levels[1] == pytest.approx(levels[0], abs=1e-3)
    np.testing.assert_allclose(restored.predict_marginals(X), model.predict_marginals(X), atol=0.02)


def test_bias_columns_may_be_left_out_of_lists_of_rows():
    random = np.random.RandomState(0)
    rows = [
        [str(c), int(p), int(i)] for c, p, i in zip("ab" * 50, random.randint(5, size=100), range(100), strict=True)
    ]
    Y = random.randint(2, size=(100, 2)).cumprod(axis=1)
    model = MultiTaskClassifier(**SMALL, categorical_features=[0, 2], bias_features=[1]).fit(rows, Y)
    short = [[c, i] for c, _, i in rows]
    np.testing.assert_array_equal(model.predict_marginals(short), model.predict_marginals(rows))


def test_bias_tower_dims_set_the_widths_of_the_tower():
    X, Y = make_frame()
    model = FSMDClassifier(**SMALL, bias_features=["visits"], bias_tower_dims=(5, 3)).fit(X, Y)
    assert [layer.weight.shape[2] for layer in model.module_.bias_tower.hidden.layers] == [5, 3]


def test_as_shown_predicts_at_the_positions_of_the_rows():
    """These predictions match the click rate of the log and depend on the position."""
    funnel = make_funnel(12_000, n_users=40, n_items=30, position_bias=2.0, random_state=0)
    X, Y = funnel.data, funnel.target
    model = FSMDClassifier(random_state=0, max_epochs=8, expert_dims=(32,), tower_dims=(16,))
    model.set_params(bias_features=["position"]).fit(X[:10_000], Y[:10_000])
    X, Y = X[10_000:], Y[10_000:]
    by_shown = {shown: model.predict_marginals(X, as_shown=shown) for shown in (True, False)}
    p, good = by_shown[True][:, 0], by_shown[False][:, 0]
    rate = Y["click"].mean()
    assert p.mean() == pytest.approx(rate, rel=0.15)
    assert good.mean() > 1.5 * rate
    assert auc_per_task(Y, by_shown[True])[0] > auc_per_task(Y, by_shown[False])[0]
    first = (X["position"] <= 2).to_numpy()
    assert p[first].mean() > 2 * p[~first].mean()
    steps = model.predict_conditionals(X, as_shown=True)
    np.testing.assert_allclose(steps[:, 0], p, rtol=1e-6)
    np.testing.assert_array_equal(steps[:, 1], model.predict_conditionals(X)[:, 1])
    with pytest.raises(ValueError, match="position"):
        model.predict_marginals(X.drop(columns="position"), as_shown=True)
    for shown, predicted in by_shown.items():
        table = metric_table(model, X, Y, as_shown=shown, n_bootstrap=2)
        levels = table.loc[(["click", "conversion"], "all rows"), "level"]
        np.testing.assert_allclose(levels, predicted.mean(axis=0) / Y.mean(), rtol=1e-4)
        table = metric_table(model, X, Y, as_shown=shown, conditional=True, n_bootstrap=2)
        assert table.loc[("click", "all rows"), "level"] == pytest.approx(levels.iloc[0])
        (curve,) = (
            ReliabilityDisplay.from_estimator(model, X, Y, targets="click", as_shown=shown).curves["click"].values()
        )
        assert np.average(curve["predicted"], weights=curve["n"]) == pytest.approx(predicted[:, 0].mean(), rel=1e-4)


@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize("names", [["a", "b"], ["x2", "b"]])
def test_a_model_of_an_array_needs_no_bias_features_of_a_table(names):
    random = np.random.default_rng(0)
    X, y = random.normal(size=(200, 3)), random.integers(2, size=200)
    model = FSMDClassifier(**SMALL, bias_features=[2]).fit(X, y)
    expected = model.predict_marginals(X)
    for table in (X[:, :2], pd.DataFrame(X[:, :2], columns=names), pd.DataFrame(X)):
        np.testing.assert_array_equal(model.predict_marginals(table), expected)


def test_scorers_lift_and_card_take_rows_as_shown():
    X, Y = make_funnel(2000, position_bias=2.0, random_state=0, return_X_y=True)
    model = FSMDClassifier(**SMALL | {"max_epochs": 3}, bias_features=["position"]).fit(X, Y)
    p = model.predict_marginals(X, as_shown=True)
    for name, expected in {
        "click_auc": roc_auc_score(Y["click"], p[:, 0]),
        "task1_auc": roc_auc_score(Y["conversion"], p[:, 1]),
        "cvr_auc": cvr_auc(Y, p),
        "neg_mean_log_loss": -mean_log_loss(Y, p),
    }.items():
        assert get_scorer(name, as_shown=True)(model, X, Y) == pytest.approx(expected)
        if name != "cvr_auc":  # the position has no effect on P(conversion | click)
            assert get_scorer(name)(model, X, Y) != pytest.approx(expected)
        search = GridSearchCV(model, {"lr": [1e-3]}, scoring=get_scorer(name, as_shown=True), cv=2, refit=False)
        assert np.isfinite(search.fit(X[:500], Y[:500]).cv_results_["mean_test_score"]).all()
    alone = clone(model).fit(X, Y["click"])
    expected = roc_auc_score(Y["click"], alone.predict_marginals(X, as_shown=True))
    assert get_scorer("click_auc", as_shown=True)(alone, X, Y["click"]) == pytest.approx(expected)
    other = LogisticRegression().fit(X[["age"]].fillna(0), Y["click"])
    with pytest.raises(TypeError, match="A fitted MultiTaskClassifier .* is needed.* Got LogisticRegression"):
        get_scorer("click_auc", as_shown=True)(other, X[["age"]].fillna(0), Y["click"])
    np.testing.assert_allclose(model.rank_score(X, [1, 0], as_shown=True), p[:, 0], rtol=1e-6)
    lift = LiftDisplay.from_estimator(model, X, Y, as_shown=True).curves["click"]
    expected = lift_curve(Y["click"], p[:, 0])
    pd.testing.assert_frame_equal(pd.DataFrame(lift), pd.DataFrame(expected))
    text = model_card(model, X, Y, as_shown=True, n_bootstrap=20, random_state=0).render()
    auc = metric_table(model, X, Y, as_shown=True, n_bootstrap=1).loc[("click", "all rows"), "ranking"]
    assert f"{auc:.4g} (" in text
    assert "They include the effect of the positions" in text
    assert "Predictions are those for rows in a good position" not in text


def test_as_shown_applies_to_value_targets():
    X, Y = make_funnel(2000, position_bias=2.0, watch_time=True, random_state=0, return_X_y=True)
    values = {"value_targets": ["watch_seconds"], "value_parents": {"watch_seconds": "click"}}
    model = FSMDClassifier(**SMALL | {"max_epochs": 1}, **values, bias_features=["position"]).fit(X, Y)
    for shown in (True, False):
        level = metric_table(model, X, Y, as_shown=shown, n_bootstrap=2).loc[("watch_seconds", "all rows"), "level"]
        expected = model.predict_values(X, as_shown=shown).mean() / Y["watch_seconds"].fillna(0).mean()
        assert level == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("position", [1, None])
def test_calibration_on_rows_of_one_position_warns(fitted, position):
    X, Y, model = fitted
    with pytest.warns(UserWarning, match="`bias_features` are the same in all rows to calibrate on, or missing"):
        pickle.loads(pickle.dumps(model)).calibrate(X.assign(position=position).astype({"position": float}), Y)


def test_masked_values_are_refused_even_if_the_position_is_left_out():
    X = np.random.default_rng(0).random((60, 3))
    Y = (X[:, :1] > 0.5).astype(int)
    model = FSMDClassifier(**SMALL | {"max_epochs": 1}, bias_features=[2]).fit(X, Y)
    masked = np.ma.masked_greater(X, 0.9)
    for rows in (masked, masked[:, :2]):
        with pytest.raises(TypeError, match="X has masked values, which would count"):
            model.predict_marginals(rows)
