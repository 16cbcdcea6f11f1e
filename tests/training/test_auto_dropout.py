"""The default dropout rate."""

import numpy as np
import pandas as pd
import pytest

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.network.dropout import Dropout
from sklearn_fsmd.training import automatic
from tests.conftest import SMALL

MANY, LITTLE, USUAL = 400, 0.1, 0.3
QUICK = SMALL | {"max_epochs": 1, "dropout": "auto"}


@pytest.fixture(autouse=True)
def few_rows_are_many(monkeypatch):
    assert automatic.MANY_ROWS == 100_000
    monkeypatch.setattr(automatic, "MANY_ROWS", MANY)


@pytest.fixture(scope="module")
def rows():
    draw = np.random.RandomState(0)
    X = pd.DataFrame({"price": draw.normal(size=MANY), "kind": draw.choice(list("abc"), MANY)})
    return X, pd.DataFrame({"click": np.arange(MANY) % 2, "conversion": np.arange(MANY) % 4 == 1}).astype(int)


def fitted(X, Y, **params):
    return FSMDClassifier(**QUICK | params).fit(X, Y)


def dropped_by(model):
    """The dropout rate of the layers, which is a multiple of 1/256."""
    (threshold,) = {part.threshold for part in model.net_.module_.modules() if isinstance(part, Dropout)}
    return next(rate for rate in (LITTLE, 0.2, USUAL) if round(rate * 256) == threshold)


def test_many_rows_without_ids_drop_less(rows, tmp_path):
    X, Y = rows
    assert FSMDClassifier().get_params()["dropout"] == "auto"
    for n, rate in ((MANY, LITTLE), (MANY - 1, USUAL)):
        assert dropped_by(fitted(X[:n], Y[:n])) == rate
        X[:n].assign(**Y[:n]).to_parquet(tmp_path / "log.parquet")
        assert dropped_by(FSMDClassifier(**QUICK).fit_dataset(tmp_path / "log.parquet", list(Y))) == rate
    assert dropped_by(fitted(X, Y, dropout=0.2)) == 0.2


@pytest.mark.parametrize("of_lists", [False, True])
def test_ids_are_more_than_100_values(rows, of_lists):
    X, Y = rows
    for n_values, rate in ((100, LITTLE), (101, USUAL)):
        values = [f"u{i % n_values}" for i in range(MANY)]
        model = fitted(X.assign(user=[[value] for value in values] if of_lists else values), Y, min_frequency=1)
        assert dropped_by(model) == rate


def test_the_first_chunk_is_no_measure(rows):
    model = FSMDClassifier(**QUICK).partial_fit(*rows)
    assert dropped_by(model) == USUAL
    assert dropped_by(model.partial_fit(*rows)) == USUAL


def test_training_that_goes_on_keeps_it(rows, tmp_path):
    X, Y = rows
    few = fitted(X[:100], Y[:100], warm_start=True)
    assert dropped_by(few.fit(X, Y)) == USUAL
    many = fitted(X, Y)
    many.save(tmp_path / "model")
    loaded = FSMDClassifier.load(tmp_path / "model")
    assert loaded.get_params()["dropout"] == "auto"
    assert dropped_by(loaded) == LITTLE
    assert dropped_by(loaded.partial_fit(X[:50], Y[:50])) == LITTLE
    with pytest.raises(ValueError, match=r"'dropout' parameter was 'auto' in the fit .* and is 0.3 now"):
        many.set_params(warm_start=True, dropout=0.3).fit(X, Y)
