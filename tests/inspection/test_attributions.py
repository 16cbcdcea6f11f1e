"""Attributions add up and identify the columns that matter, for every kind of column and model."""

import copy
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import sklearn_fsmd
from sklearn_fsmd import DenoisingEmbedder, FSMDClassifier, MultiTaskClassifier
from sklearn_fsmd.inspection import attributions
from sklearn_fsmd.inspection._path import Path
from tests.conftest import SMALL as SIZES
from tests.conftest import make_frame, supported
from tests.inspection.conftest import SMALL

CLASSES = [
    getattr(sklearn_fsmd, name)
    for name in sklearn_fsmd.__all__
    if name.endswith(("Classifier", "MTL")) or name == "BaseMTL"
]


def logit(p):
    p = np.asarray(p, dtype=np.float64)
    return np.log(p) - np.log1p(-p)


def unknown_row(**columns):
    """A row of :func:`make_frame` of which nothing is known: unseen categories and missing numbers."""
    row = {"user": 10**12 + 99, "city": "unseen", "member": 7, "price": np.nan, "visits": np.nan}
    return pd.DataFrame([row | columns])


def check_sums(found, predictions, baseline, tolerance=0.011):
    """Attributions add up to the difference of two predictions of the model."""
    sums = found.frame.sum(axis=1).to_numpy()
    size = found.frame.abs().sum(axis=1).to_numpy()
    assert (np.abs(sums - (predictions - baseline)) <= tolerance * size + 1e-5).all()
    np.testing.assert_allclose(found.predictions, predictions, rtol=1e-4, atol=1e-5)
    assert found.baseline == pytest.approx(baseline, rel=1e-4, abs=1e-5)


@pytest.mark.filterwarnings("ignore:.*the step before it, is 0")
@pytest.mark.parametrize("cls", CLASSES)
def test_attributions_add_up_for_every_estimator(cls):
    X, Y = make_frame(300)
    compression = {"embedding_compression": "quotient_remainder", "max_embedding_rows": 10}
    model = cls(**{**supported(cls, SIZES), "batch_norm": True, **supported(cls, compression)}).fit(X, Y)
    unknown = unknown_row()
    p, p_unknown = model.predict_marginals(X[:3]), model.predict_marginals(unknown)[0]
    found = attributions(model, X[:3], target="click", scale="probability")
    assert list(found.frame.columns)[:5] == list(X.columns)
    check_sums(found, p[:, 0], p_unknown[0])
    check_sums(attributions(model, X[:3], target=1), logit(p[:, 1]), logit(p_unknown[1]))


@pytest.mark.parametrize("n_members", [1, 2])
def test_attributions_of_conditional_predictions_add_up(n_members):
    X, Y = make_frame(300)
    Y["seconds"] = np.where(Y["click"] == 1, 5.0 + X["price"].fillna(0), np.nan)
    values = {"value_targets": ["seconds"], "value_parents": {"seconds": "click"}}
    model = FSMDClassifier(**SIZES, **values, n_members=n_members).fit(X, Y).calibrate(X, Y)
    unknown = unknown_row()
    p, p_unknown = model.predict_conditionals(X[:3])[:, 1], model.predict_conditionals(unknown)[0, 1]
    found = attributions(model, X[:3], target="conversion", conditional=True)
    assert found.target == "conversion | click"
    check_sums(found, logit(p), logit(p_unknown))
    check_sums(attributions(model, X[:3], target=1, conditional=True, scale="probability"), p, p_unknown)
    seconds = [model.predict_values(table, conditional=True)[:, 0] for table in (X[:3], unknown)]
    found = attributions(model, X[:3], target="seconds", conditional=True)
    assert found.target == "seconds | click"
    check_sums(found, seconds[0], seconds[1][0])
    with pytest.raises(ValueError, match="'click' follows no other target, so it has no conditional prediction"):
        attributions(model, X[:3], target="click", conditional=True)


OPTIONS = [
    {"n_members": 2, "low_order": "fwfm"},
    {"extractor": "separate", "link": "chain"},
    {"embedding_compression": "quotient_remainder", "max_embedding_rows": 30},
]


@pytest.mark.filterwarnings("ignore:.*share")
@pytest.mark.parametrize("options", OPTIONS)
def test_attributions_add_up_for_every_kind_of_column(options):
    random = np.random.RandomState(0)
    n = 500
    X = pd.DataFrame({"user": random.randint(120, size=n).astype(str), "hour": random.randint(24, size=n).astype(str)})
    X["tags"] = [list(random.choice(list("xyz"), random.randint(3))) for _ in range(n)]
    X["picture"] = list(random.normal(size=(n, 3)))
    X["position"] = random.randint(1, 4, size=n)
    X["price"] = random.lognormal(size=n)
    X["last"] = [list(random.randint(120, size=random.randint(4)).astype(str)) for _ in range(n)]
    click = random.uniform(size=n) < 0.3 + 0.4 * (X["price"] > 1)
    buy = click & (random.uniform(size=n) < 0.5)
    Y = pd.DataFrame(
        {"click": click * 1.0, "buy": buy * 1.0, "seconds": np.where(click, random.lognormal(size=n), np.nan)}
    )
    model = MultiTaskClassifier(
        **SMALL,
        **options,
        bias_features=["position"],
        shared_embeddings={"last": "user"},
        list_pooling="attention",
        statistics_features=["user", ("user", "hour")],
        value_targets=["seconds"],
        value_parents={"seconds": "click"},
        max_epochs=3,
    ).fit(X, Y)
    model.calibration_ = np.array([[1.3, 0.2], [0.8, -0.5]])
    empty = dict.fromkeys(["tags", "picture", "price", "last"])
    unknown = X[:1].assign(user="unseen", hour="unseen", **empty).astype({"price": float})
    p, p_unknown = model.predict_marginals(X[:6]), model.predict_marginals(unknown)[0]
    found = attributions(model, X[:6], target="buy")
    assert list(found.frame.columns) == [*X.columns, "user × hour"]
    check_sums(found, logit(p[:, 1]), logit(p_unknown[1]))
    assert (found.frame["position"] == 0).all()
    assert (found.frame.drop(columns="position").abs().max() > 0).all()
    found = attributions(model, X[:6], target="seconds")
    check_sums(found, model.predict_values(X[:6])[:, 0], model.predict_values(unknown)[0, 0])
    assert found.scale == "value"
    with pytest.raises(ValueError, match="'seconds' holds values and has no 'probability'"):
        attributions(model, X[:1], target="seconds", scale="probability")


def test_the_column_that_matters_has_the_attribution(known):
    model, X, _ = known
    found = attributions(make_pipeline(FunctionTransformer(), model), X, target="click")
    paris = (X["city"] == "Paris").to_numpy()
    city_and_copy = found.frame["city"] + found.frame["copy"]
    assert city_and_copy[paris].mean() - city_and_copy[~paris].mean() > 1
    assert found.frame["noise"].abs().mean() < 0.2 * city_and_copy.abs().mean()
    pd.testing.assert_index_equal(found.frame.index, X.index)
    assert found.target == "click"


def test_accepts_arrays_and_warns_of_too_few_steps(rng, monkeypatch):
    X = rng.normal(size=(200, 3))
    network = FSMDClassifier(**SMALL, max_epochs=5, lr=0.05, logistic_regression=False)  # a regression is certain here
    model = network.fit(X, np.cumprod(X[:, :2] > 0, axis=1))
    found = attributions(model, X[:40])
    assert list(found.frame.columns) == ["x0", "x1", "x2"]
    check_sums(found, logit(model.predict_marginals(X[:40])[:, 0]), found.baseline)
    np.testing.assert_allclose(attributions(model, X[39:40]).frame, found.frame[39:], atol=1e-5)
    monkeypatch.setattr(sys.modules[attributions.__module__], "MORE_STEPS", (1,))
    with pytest.warns(UserWarning, match="do not add up.*Take more than n_steps=1"):
        attributions(model, X[:40], n_steps=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "sale"}, "no target 'sale'; the targets are \\['click', 'conversion'\\], or 0 to 1"),
        ({"target": 2}, "no target 2"),
        ({"scale": "odds"}, "`scale` must be 'log_odds' or 'probability'. Got 'odds'"),
        ({"n_steps": 0}, "`n_steps` must be at least 1"),
    ],
)
def test_invalid_arguments_are_refused(known, options, message):
    model, X, _ = known
    with pytest.raises(ValueError, match=message):
        attributions(model, X[:1], **options)


def test_other_estimators_and_a_missing_captum_are_refused(known, monkeypatch):
    model, X, _ = known
    with pytest.raises(TypeError, match="Got DenoisingEmbedder"):
        attributions(DenoisingEmbedder(n_epochs=1).fit(X), X[:1])
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(ImportError, match=r"pip install 'sklearn-fsmd\[explain\]'"):
        attributions(model, X[:1])


def test_the_model_is_not_changed(known):
    """Gradients and predictions of the model stay the same."""
    model, X, _ = known
    before = model.predict_marginals(X)
    gradients = [None if w.grad is None else w.grad.clone() for w in model.module_.parameters()]
    attributions(model, X[:2])
    for weight, gradient in zip(model.module_.parameters(), gradients, strict=True):
        assert weight.grad is None if gradient is None else torch.equal(weight.grad, gradient)
    np.testing.assert_array_equal(model.predict_marginals(X), before)


def test_the_baseline_equals_the_prediction_for_unknown_values():
    X, Y = make_frame(300)
    model = FSMDClassifier(**SIZES | {"numeric_scaling": None}).fit(X, Y)
    p = model.predict_marginals(unknown_row())[0, 0]
    found = attributions(model, X[:3], target="click")
    assert found.baseline == pytest.approx(logit(p), rel=1e-4, abs=1e-4)


def test_a_missing_category_that_fit_has_seen_has_an_attribution():
    X, Y = make_frame(300)
    model = FSMDClassifier(**SIZES).fit(X, Y)
    missing = unknown_row().assign(city=None)
    found = attributions(model, missing, target="click").frame.iloc[0]
    assert found["city"] != 0
    assert (found.drop("city") == 0).all()


def test_uses_the_number_of_threads_of_the_model(model, funnel, monkeypatch):
    seen = []
    forward = Path.__call__
    monkeypatch.setattr(Path, "__call__", lambda self, *x: (seen.append(torch.get_num_threads()), forward(self, *x))[1])
    copied = copy.copy(model).set_params(n_threads=2)
    attributions(copied, funnel[0][:2], target="click")
    assert set(seen) == {2}


@pytest.mark.parametrize("holds", ["numbers", "vectors", "lists"])
def test_tables_without_categories(holds, rng):
    """Their columns have no codes."""
    n = 200
    X = {
        "numbers": pd.DataFrame(rng.normal(size=(n, 3)), columns=list("xyz")),
        "vectors": pd.DataFrame({"picture": list(rng.normal(size=(n, 4)))}),
        "lists": pd.DataFrame({"tags": [list("abc")[: 1 + i % 3] for i in range(n)]}),
    }[holds]
    Y = pd.DataFrame({"click": rng.randint(2, size=n), "conversion": 0}).assign(conversion=lambda Y: Y["click"])
    model = FSMDClassifier(**SMALL | {"numeric_bins": 0}).fit(X, Y)
    found = attributions(model, X[:5], target="click", scale="probability")
    check_sums(found, model.predict_marginals(X[:5])[:, 0], found.baseline)
    assert list(found.frame) == list(X)
