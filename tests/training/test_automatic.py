"""The default dropout rate and length of the embeddings."""

import numpy as np
import pandas as pd
import pytest

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.network.dropout import Dropout
from sklearn_fsmd.training import automatic
from tests.conftest import SMALL

LIMIT, LOW, USUAL = 400, 0.1, 0.3
QUICK = SMALL | {"max_epochs": 1, "dropout": "auto", "embedding_dim": "auto"}


@pytest.fixture(autouse=True)
def low_limit_for_many_rows(monkeypatch):
    assert automatic.MANY_ROWS == 100_000
    monkeypatch.setattr(automatic, "MANY_ROWS", LIMIT)


@pytest.fixture(scope="module")
def rows():
    draw = np.random.RandomState(0)
    X = pd.DataFrame({"price": draw.normal(size=LIMIT), "kind": draw.choice(list("abc"), LIMIT)})
    return X, pd.DataFrame({"click": np.arange(LIMIT) % 2, "conversion": np.arange(LIMIT) % 4 == 1}).astype(int)


def fitted(X, Y, **params):
    return FSMDClassifier(**QUICK | params).fit(X, Y)


def dropout_rate_of(model):
    """The dropout rate of the layers, which they round to a multiple of 1/256; the embeddings follow the same rule."""
    (threshold,) = {part.threshold for part in model.net_.module_.modules() if isinstance(part, Dropout)}
    rate = next(rate for rate in (LOW, 0.2, USUAL) if round(rate * 256) == threshold)
    if model.embedding_dim == "auto" and model.dropout == "auto":
        assert model.net_.module_.embedding.table.weight.shape[1] == {LOW: 32, USUAL: 16}[rate]
    return rate


def test_many_rows_without_ids_get_a_low_dropout_rate(rows, tmp_path):
    X, Y = rows
    assert FSMDClassifier().get_params()["dropout"] == FSMDClassifier().get_params()["embedding_dim"] == "auto"
    for n, rate in ((LIMIT, LOW), (LIMIT - 1, USUAL)):
        assert dropout_rate_of(fitted(X[:n], Y[:n])) == rate
        X[:n].assign(**Y[:n]).to_parquet(tmp_path / "log.parquet")
        assert dropout_rate_of(FSMDClassifier(**QUICK).fit_dataset(tmp_path / "log.parquet", list(Y))) == rate
    model = fitted(X, Y, dropout=0.2, embedding_dim=5)
    assert dropout_rate_of(model) == 0.2
    assert model.net_.module_.embedding.table.weight.shape[1] == 5


@pytest.mark.parametrize("as_lists", [False, True])
def test_a_column_of_more_than_100_values_counts_as_ids(rows, as_lists):
    X, Y = rows
    for n_values, rate in ((100, LOW), (101, USUAL)):
        values = [f"u{i % n_values}" for i in range(LIMIT)]
        model = fitted(X.assign(user=[[value] for value in values] if as_lists else values), Y, min_frequency=1)
        assert dropout_rate_of(model) == rate


def test_partial_fit_on_a_new_model_uses_the_usual_rate(rows):
    model = FSMDClassifier(**QUICK).partial_fit(*rows)
    assert dropout_rate_of(model) == USUAL
    assert dropout_rate_of(model.partial_fit(*rows)) == USUAL


def test_further_training_keeps_the_rate(rows, tmp_path):
    X, Y = rows
    few = fitted(X[:100], Y[:100], warm_start=True)
    assert dropout_rate_of(few.fit(X, Y)) == USUAL
    many = fitted(X, Y)
    many.save(tmp_path / "model")
    loaded = FSMDClassifier.load(tmp_path / "model")
    assert loaded.get_params()["dropout"] == "auto"
    assert dropout_rate_of(loaded) == LOW
    assert dropout_rate_of(loaded.partial_fit(X[:50], Y[:50])) == LOW
    with pytest.raises(ValueError, match=r"'dropout' parameter was 'auto' in the fit .* and is 0.3 now"):
        many.set_params(warm_start=True, dropout=0.3).fit(X, Y)
