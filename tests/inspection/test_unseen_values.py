"""Shares of missing and unseen values."""

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_fsmd import DenoisingEmbedder, FSMDClassifier
from sklearn_fsmd.inspection import unseen_values
from tests.inspection.conftest import SMALL

N = 200


def table():
    X = pd.DataFrame({"city": ["Rome", "Oslo", "Bonn", None] * 50, "item": np.arange(N) % 20})
    X["price"] = np.arange(N) / 2
    X["tags"], X["last"] = [["x", "y"]] * N, [[0, 1], []] * 100
    X["picture"], X["position"] = list(np.tile([[0.0, 0.0], [1.0, 2.0]], (100, 1))), np.arange(N) % 5
    return X.astype({"item": "category"}), np.random.RandomState(0).randint(2, size=(N, 2)).cumprod(axis=1)


def fitted(X, Y, **options):
    options = {"shared_embeddings": {"last": "item"}, "bias_features": ["position"], "max_epochs": 1} | options
    return FSMDClassifier(**SMALL, **options).fit(X, Y)


@pytest.fixture(scope="module")
def model():
    return fitted(*table())


def unseen_rows():
    """Ten rows with unseen values; see `EXPECTED`."""
    X = table()[0][:10].astype({"item": int})
    X["city"] = ["Rome", "Lima", "Lima", None, "Cork", "Rome", "Nice", "Rome", None, "Oslo"]
    X["item"] = [0, 1, 99, -1, 2, 3, 4, 5, 6, 7]
    X["price"] = [-3.0, 0.0, 99.5, 100.0, np.nan, 1.0, 200.0, 2.0, 3.0, 4.0]
    X["tags"] = [["x", "new"], [], ["x"], ["y"], ["new", "more"], [], [], [], [], ["x"]]
    X["last"] = [[0, 99]] + [[]] * 9
    X["picture"] = [[0.0, 0.0], [0.5, 2.5], [-1.0, 9.0], None, *([[1.0, 1.0]] * 6)]
    return X


EXPECTED = {
    "city": ("categories", 0.2, 0.4, ["Lima", "Cork", "Nice"]),
    "item": ("categories", 0.1, 0.1, [99]),
    "price": ("numbers", 0.1, 0.3, [-3.0, 200.0]),
    "tags": ("lists", 0.5, 3 / 7, ["new", "more"]),
    "last": ("lists", 0.9, 0.5, [99]),
    "picture": ("vectors", 0.1, 0.15, []),
}


def as_dict(found):
    return {row.Index: (row.holds, row.missing, row.unseen, row.examples) for row in found.itertuples()}


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_each_column_is_counted(model, in_pipeline):
    """The column `position` is not counted, and may be missing."""
    X = unseen_rows() if in_pipeline else unseen_rows().drop(columns="position")
    found = unseen_values(make_pipeline(FunctionTransformer(), model) if in_pipeline else model, X)
    assert found.index.tolist() == ["last", "tags", "city", "price", "picture", "item"]
    assert as_dict(found) == EXPECTED
    assert unseen_values(model, X, n_examples=1).loc["city", "examples"] == ["Lima"]


def test_unseen_values_are_predicted_alike_and_not_as_missing_values(model):
    X = unseen_rows()
    known = X["city"].isin(["Rome", "Oslo", "Bonn"]) | X["city"].isna()
    others, missing = (X.assign(city=X["city"].where(known, city)) for city in ("elsewhere", None))
    p = model.predict_marginals(X)
    np.testing.assert_array_equal(p, model.predict_marginals(others))
    differs = (p != model.predict_marginals(missing)).any(axis=1)
    np.testing.assert_array_equal(differs, ~known)
    found = unseen_values(model, missing).loc["city"]
    assert (found["missing"], found["unseen"]) == (pytest.approx(0.6), 0.0)


def test_values_that_are_missing_only_after_fit_are_predicted_as_unseen_ones():
    X, Y = table()
    model = fitted(X.assign(city=X["city"].fillna("Bonn")), Y)
    unseen, missing = (X.assign(city=city) for city in ("elsewhere", None))
    np.testing.assert_array_equal(model.predict_marginals(unseen), model.predict_marginals(missing))


def test_in_training_rows_only_rare_values_are_unseen():
    X, Y = table()
    X["city"] = ["Cork", *X["city"][1:]]
    found = unseen_values(fitted(X, Y, min_frequency=2), X)
    assert as_dict(found.loc[["city"]]) == {"city": ("categories", 0.25, 1 / N, ["Cork"])}
    assert found["unseen"].drop("city").eq(0).all()
    assert unseen_values(fitted(X, Y, min_frequency=1), X)["unseen"].eq(0).all()


@pytest.mark.parametrize(("scaling", "share"), [("quantile", 0.3), (None, np.nan)])
def test_unseen_numbers_with_other_scalings(scaling, share):
    found = unseen_values(fitted(*table(), numeric_scaling=scaling), unseen_rows()).loc["price"]
    assert found["unseen"] == pytest.approx(share, nan_ok=True)
    assert found["missing"] == 0.1


def test_accepts_an_array():
    X, Y = np.arange(300.0).reshape(100, 3) % 7, table()[1][:100]
    model = FSMDClassifier(**SMALL, categorical_features=[1], max_epochs=1).fit(X, Y)
    found = unseen_values(model, np.array([[9.0, 9.0, 0.0]]))
    assert found["unseen"].to_dict() == {"x0": 1.0, "x1": 1.0, "x2": 0.0}


def test_invalid_arguments_are_refused(model):
    with pytest.raises(ValueError, match="The feature names should match"):
        unseen_values(model, unseen_rows().rename(columns={"city": "town"}))
    with pytest.raises(ValueError, match="`n_examples` must be at least 1"):
        unseen_values(model, unseen_rows(), n_examples=0)
    with pytest.raises(TypeError):
        unseen_values(DenoisingEmbedder(n_epochs=1).fit(unseen_rows()[["city"]]), unseen_rows())
