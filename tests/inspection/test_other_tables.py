"""Inspection passes polars and pyarrow tables on to pipelines whose steps accept only these."""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.export import model_card
from sklearn_fsmd.inspection import feature_importances
from sklearn_fsmd.plotting import AttributionsDisplay, ParetoDisplay
from tests.inspection.conftest import SMALL


def polars_step(X):
    return X.with_columns((pl.col("price") * 2).alias("twice"))


def arrow_step(X):
    return X.append_column("twice", X.column("price"))


@pytest.fixture(params=[(pl.from_pandas, polars_step), (pa.Table.from_pandas, arrow_step)], ids=["polars", "pyarrow"])
def fitted_pipeline(request):
    convert, step = request.param
    X, Y = make_funnel(600, random_state=0, return_X_y=True)
    X = convert(X[["user_id", "device", "price"]].astype({"user_id": str, "device": str}))
    pipeline = make_pipeline(FunctionTransformer(step), FSMDClassifier(**SMALL, max_epochs=1)).fit(X, Y)
    return pipeline, X, Y


def test_importances_of_a_pipeline(fitted_pipeline):
    pipeline, X, Y = fitted_pipeline
    found = feature_importances(pipeline, X, Y, n_repeats=2, max_samples=400, random_state=0)
    assert found.feature_names == ["user_id", "device", "price"]
    found_by_model = feature_importances(pipeline[-1], pipeline[0].transform(X), Y, n_repeats=2, random_state=0)
    assert np.isfinite(found.importances).all()
    assert found_by_model.feature_names == [*found.feature_names, "twice"]
    assert (found.importances[:2] != 0).any()


def test_displays_and_model_card_of_a_pipeline(fitted_pipeline):
    pipeline, X, Y = fitted_pipeline
    assert AttributionsDisplay.from_estimator(pipeline, X[:1]).figure_ is not None
    assert ParetoDisplay.from_estimator(pipeline, X, Y, n_steps=3).figure_ is not None
    assert "600 rows" in model_card(pipeline, X, Y, by=["device"], n_bootstrap=5, random_state=0).render()
