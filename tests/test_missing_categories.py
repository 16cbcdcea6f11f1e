"""A missing category that fit has seen is a value of its own, wherever a category has a code."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from sklearn_fsmd import FSMDClassifier
from tests.conftest import SMALL

ROWS = pd.DataFrame({"user": [None, "new", "also new"], "price": 1.0})
"""A guest and two new users."""


def visits(n=4000, seed=0):
    """Visitors, a third of them guests without an id, who click half as often and never buy."""
    random = np.random.RandomState(seed)
    is_guest = random.uniform(size=n) < 1 / 3
    X = pd.DataFrame({"user": pd.Series(random.randint(1000, size=n).astype(str)).mask(is_guest)})
    X["price"] = random.lognormal(size=n)
    click = random.uniform(size=n) < np.where(is_guest, 0.3, 0.6)
    buy = click & ~is_guest & (random.uniform(size=n) < 0.5)
    return X, np.column_stack([click, buy]).astype(int)


@pytest.mark.parametrize("options", [{}, {"target_statistics": None}, {"logistic_regression": False}], ids=str)
def test_guests_and_new_users_have_their_own_predictions(options):
    model = FSMDClassifier(max_epochs=6, random_state=0, **options).fit(*visits())
    guest, new, also_new = model.predict_marginals(ROWS)
    np.testing.assert_array_equal(new, also_new)
    assert guest[1] < 0.05
    assert (new > guest + 0.1).all()


def test_new_events_of_guests_change_the_statistics_of_guests_only():
    X, Y = visits()
    model = FSMDClassifier(**SMALL, statistics_features=["user"]).fit(X, Y)
    guest, new, _ = model.predict_marginals(ROWS)
    model.update_statistics(X[:1000].assign(user=None), np.ones((1000, 2), int))
    updated = model.predict_marginals(ROWS)
    assert (updated[0] > guest).all()
    np.testing.assert_array_equal(updated[1], new)


def test_missing_values_keep_their_embedding_when_ids_are_added():
    X, Y = visits()
    model = FSMDClassifier(**SMALL, new_categories="grow").fit(X, Y)
    vocabulary = model._encoder.main.categories[0]
    codes = vocabulary.encode(X["user"])
    table = model.module_.embedding.table.weight.detach().clone()
    model.set_params(lr=1e-9, embedding_lr=1e-9).partial_fit(X[:500].assign(user=["new", None] * 250), Y[:500])
    grown = model._encoder.main.categories[0]
    np.testing.assert_array_equal(grown.encode(X["user"]), codes)
    assert grown.encode(ROWS["user"]).tolist() == [1, vocabulary.n_rows, 0]
    new_table = model.module_.embedding.table.weight.detach().clone()
    torch.testing.assert_close(new_table[: vocabulary.n_rows], table[: vocabulary.n_rows])
    torch.testing.assert_close(new_table[vocabulary.n_rows], table[0])


def test_lists_that_share_the_embeddings_of_a_category_skip_its_row_of_missing_values():
    X, Y = visits(600)
    X["last"] = [[user, None, "new"] if pd.notna(user) else [] for user in X["user"]]
    model = FSMDClassifier(**SMALL, shared_embeddings={"last": "user"}).fit(X, Y)
    rows = model._rows(X)
    is_guest = X["user"].isna().to_numpy()
    (lists,) = rows.lists.columns
    np.testing.assert_array_equal(lists.flat[0::2], rows.codes[~is_guest, 0])
    assert set(rows.codes[is_guest, 0]) == {1}
    assert not (lists.flat == 1).any()


def test_missing_values_are_counted_in_blocks_of_a_data_set(tmp_path):
    X, Y = visits()
    frame = X.assign(position=X["user"].str[0], click=Y[:, 0], buy=Y[:, 1])
    frame.to_parquet(tmp_path / "log.parquet", row_group_size=300)
    params = {**SMALL, "bias_features": ["position"], "min_frequency": 3, "max_epochs": 1}
    model = FSMDClassifier(**params).fit_dataset(tmp_path / "log.parquet", ["click", "buy"])
    whole = FSMDClassifier(**params).fit(frame[["user", "price", "position"]], frame[["click", "buy"]])
    for part, other in zip(model._encoder.parts, whole._encoder.parts, strict=True):
        (column,), (expected,) = part.categories.values(), other.categories.values()
        assert column.first == expected.first == 2
        pd.testing.assert_index_equal(column.values, expected.values)


def test_tables_of_every_library_and_the_codes_of_encoders_mean_the_same():
    X, Y = visits(600)
    model = FSMDClassifier(**SMALL).fit(X, Y)
    p = model.predict_marginals(X)
    for table in (pa.Table.from_pandas(X), pl.from_pandas(X), X.astype({"user": "category"}), X.astype(object)):
        np.testing.assert_array_equal(model.predict_marginals(table), p)
    alone = np.concatenate([model.predict_marginals(X[i : i + 1]) for i in range(9)])
    np.testing.assert_allclose(alone, p[:9], atol=1e-6)
    encoder = ColumnTransformer([("user", OrdinalEncoder(encoded_missing_value=-1), ["user"])], remainder="passthrough")
    encoder.set_output(transform="pandas")
    coded = make_pipeline(encoder, FSMDClassifier(**SMALL, categorical_features=["user__user"])).fit(X, Y)
    vocabulary = coded[-1]._encoder.main.categories[0]
    np.testing.assert_array_equal(vocabulary.encode(encoder.transform(X)["user__user"]) == 1, X["user"].isna())
