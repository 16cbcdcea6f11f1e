"""Permutation importances: the drop of each score when a column is shuffled."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.inspection import permutation_importance
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_fsmd import DenoisingEmbedder, FSMDClassifier
from sklearn_fsmd.inspection import feature_importances
from sklearn_fsmd.metrics import auc_per_task, concordance, get_scorer
from tests.inspection.conftest import SMALL


def test_important_columns_are_found_for_each_target(known):
    model, X, Y = known
    found = feature_importances(model, X, Y, column_groups={"where": ["city", "copy"]}, random_state=0)
    means = found.frame.xs("mean", axis=1, level=1)
    assert found.feature_names == list(means.index) == ["where", "price", "noise"]
    assert means.loc["where", "click"] > 0.2
    assert abs(means.loc["price", "click"]) < 0.05 < means.loc["price", "conversion"]
    assert means.loc["noise"].abs().max() < 0.03
    np.testing.assert_allclose(found.scores, auc_per_task(Y, model.predict_marginals(X)))
    np.testing.assert_allclose(found.frame["click", "std"], found.importances[:, 0].std(axis=1))


def test_accepts_a_scorer_or_its_name(known):
    model, X, Y = known
    one, named = (
        feature_importances(model, X, Y, scoring=scoring, n_repeats=1, random_state=0)
        for scoring in (get_scorer("mean_auc"), "mean_auc")
    )
    assert (one.score_names, named.score_names) == (["score"], ["mean_auc"])
    np.testing.assert_array_equal(one.importances, named.importances)


def test_a_group_of_redundant_columns_matters_more_than_each_column(known):
    model, X, Y = known
    by_column = feature_importances(model, X, Y, random_state=0).frame["click", "mean"]
    by_group = feature_importances(model, X, Y, column_groups={"both": [0, 1]}, random_state=0).frame["click", "mean"]
    assert by_group["both"] > max(by_column["city"], by_column["copy"]) + 0.05


def test_importances_equal_those_of_scikit_learn(known):
    """For columns that scikit-learn can permute, results with the same seed are the same."""
    model, X, Y = known
    ours = feature_importances(model, X, Y, scoring=["click_auc", "mean_auc"], n_repeats=2, random_state=3)
    theirs = permutation_importance(
        model, X, Y, scoring={name: get_scorer(name) for name in ours.score_names}, n_repeats=2, random_state=3
    )
    for k, name in enumerate(ours.score_names):
        np.testing.assert_allclose(ours.importances[:, k], theirs[name].importances, atol=1e-12)


def test_accepts_values_lists_vectors_pipelines_and_missing_labels():
    random = np.random.RandomState(0)
    n = 400
    X = pd.DataFrame({"user": random.choice(list("abcde"), n)})
    X["tags"] = [list(random.choice(["x", "y", "z"], random.randint(3))) for _ in range(n)]
    X["picture"] = list(random.normal(size=(n, 3)))
    click = np.array(["x" in tags for tags in X["tags"]]) ^ (random.uniform(size=n) < 0.1)
    Y = pd.DataFrame({"click": click.astype(float), "buy": (click & (random.uniform(size=n) < 0.5)).astype(float)})
    Y["seconds"] = np.where(click, np.exp(X["picture"].map(lambda v: v[0])), np.nan)
    Y.loc[:9, "buy"] = np.nan
    params = {"value_targets": ["seconds"], "value_parents": {"seconds": "click"}, "max_epochs": 12, "lr": 0.02}
    pipeline = make_pipeline(FunctionTransformer(), FSMDClassifier(**SMALL, **params, n_members=2)).fit(X, Y)
    found = feature_importances(pipeline, X, Y, n_repeats=3, random_state=0)
    assert found.score_names == ["click", "buy", "seconds"]
    assert found.frame["click", "mean"].idxmax() == "tags"
    assert found.importances.shape == (3, 3, 3)
    seconds = Y["seconds"].where(click, 0)
    assert found.scores[2] == pytest.approx(concordance(seconds, pipeline[-1].predict_values(X)[:, 0]))
    few = feature_importances(pipeline, X, Y, n_repeats=1, max_samples=0.5, random_state=0)
    assert few.importances.shape == (3, 3, 1)


def test_accepts_arrays_weights_and_one_target(rng):
    X = rng.normal(size=(300, 3))
    y = (X[:, 1] > 0).astype(int)
    model = FSMDClassifier(**SMALL, max_epochs=10, lr=0.05).fit(X, y)
    weights = rng.uniform(size=300)
    found = feature_importances(model, X, y, column_groups={"rest": [0, 2]}, sample_weight=weights, random_state=0)
    assert found.feature_names == ["rest", "x1"]
    assert found.frame["y", "mean"].idxmax() == "x1"
    np.testing.assert_allclose(found.scores, auc_per_task(y, model.predict_marginals(X), sample_weight=weights))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"column_groups": {"a": ["city", "town"]}},
            "group 'a' has the column 'town', which X does not have. It has ['city'",
        ),
        ({"column_groups": {"a": ["city"], "b": [0]}}, "Column 'city' is in two groups, 'a' and 'b'"),
        ({"column_groups": {"a": "city"}}, "must be a list of columns. Got 'city'"),
        ({"column_groups": {"price": ["city"]}}, "group 'price' has the name of a column that is not in it"),
        ({"scoring": []}, "names no score"),
        ({"scoring": ["click_auc"], "sample_weight": 1.0}, "Leave one out"),
    ],
)
def test_invalid_options_are_refused(known, options, message):
    model, X, Y = known
    with pytest.raises(ValueError, match=message.replace("[", "\\[")):
        feature_importances(model, X, Y, **options)


def test_undefined_scores_and_other_estimators_are_refused(known, funnel, model):
    classifier, X, Y = known
    with pytest.raises(ValueError, match="score of 'conversion' is not defined on these rows"):
        feature_importances(classifier, X, Y.assign(conversion=0))
    with pytest.raises(TypeError, match="ends in one. Got DenoisingEmbedder"):
        feature_importances(DenoisingEmbedder(n_epochs=1).fit(X), X, Y)
    with pytest.raises(ValueError, match="concordance of 'watch_seconds' does not support weights"):
        feature_importances(model, *funnel, sample_weight=np.ones(3000))


def test_numbers_in_groups_are_column_names_if_names_are_numbers(rng):
    X = pd.DataFrame(rng.normal(size=(200, 3)), columns=[2, 1, 0])
    model = FSMDClassifier(**SMALL, max_epochs=1).fit(X, (X > 0).to_numpy()[:, :2].cumprod(axis=1))
    Y = (X > 0).to_numpy()[:, :2].cumprod(axis=1)
    found = feature_importances(model, X, Y, n_repeats=1, column_groups={"g": [0, 1]}, random_state=0)
    assert found.feature_names == ["g", "2"]
    as_text = feature_importances(model, X, Y, n_repeats=1, column_groups={"g": ["0", "1"]}, random_state=0)
    assert as_text.feature_names == ["g", "2"]


@pytest.mark.parametrize("scoring", [None, ["mean_auc"]])
def test_inconsistent_numbers_of_rows_are_refused(scoring, known):
    model, X, Y = known
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        feature_importances(model, X[:100], Y, scoring=scoring)


def test_a_constant_column_has_importance_0_in_a_sample_of_rows(known):
    """In scikit-learn the first score is that of all rows, so the sampling error is part of each importance."""
    model, X, Y = known
    X = X.assign(noise=0.5)  # the model uses it, and all rows have the same value
    found = feature_importances(model, X, Y, max_samples=0.2, n_repeats=3, random_state=0)
    assert (found.frame.loc["noise"] == 0).all()
    assert found.frame["click", "std"].drop("noise").max() > 0
    whole = feature_importances(model, X, Y, n_repeats=1, random_state=0)
    assert np.abs(found.scores - whole.scores).max() > 1e-4
    same = feature_importances(model, X, Y, max_samples=len(X), n_repeats=1, random_state=0)
    np.testing.assert_array_equal(same.importances, whole.importances)
    for max_samples in (0, 1.5, True, len(X) + 1):
        with pytest.raises(ValueError, match="`max_samples` must be a number of the .* rows, or a share of them"):
            feature_importances(model, X, Y, max_samples=max_samples)


def test_conditional_importances_use_rows_whose_parent_has_happened():
    random, n = np.random.RandomState(0), 900
    X = pd.DataFrame({"city": random.choice(list("ab"), n), "price": random.uniform(1, 9, n)})
    click = random.uniform(size=n) < np.where(X["city"] == "a", 0.9, 0.2)
    Y = pd.DataFrame({"click": click.astype(int), "seconds": np.where(click, 10 * X["price"], np.nan)})
    params = {"value_targets": ["seconds"], "value_parents": {"seconds": "click"}, "max_epochs": 15, "lr": 0.02}
    model = FSMDClassifier(**SMALL, **params).fit(X, Y)
    found = feature_importances(model, X, Y, conditional=True, random_state=0)
    assert found.score_names == ["click", "seconds | click"]
    means = found.frame["seconds | click", "mean"]
    assert means["price"] > 0.2 > 0.05 > abs(means["city"])
    unconditional = feature_importances(model, X, Y, random_state=0).frame["seconds", "mean"]
    assert unconditional["city"] > unconditional["price"]
    given = model.predict_values(X, conditional=True)[click, 0]
    assert found.scores[1] == pytest.approx(concordance(Y["seconds"][click], given))
    with pytest.raises(ValueError, match="`conditional` and `scoring` do not go together"):
        feature_importances(model, X, Y, conditional=True, scoring=["click_auc"])


def test_importances_of_few_events_warn(known):
    model, X, Y = known
    some = np.sort(np.append(np.flatnonzero(Y["click"] == 1)[:9], np.flatnonzero(Y["click"] == 0)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        feature_importances(model, X.iloc[some], Y.iloc[some].assign(conversion=Y["click"]), n_repeats=1)
    found = [str(warning.message) for warning in caught]
    assert f"importances for 'click' rest on 9 of {len(some)} rows, those of the rarer class" in found[0]
    assert "importances for 'conversion' rest on 9" in found[1]
    feature_importances(model, X.iloc[some], Y.iloc[some], scoring="click_auc", n_repeats=1)
