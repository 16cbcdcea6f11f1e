"""Embeddings of the network as a DataFrame."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_fsmd import DenoisingEmbedder, FSMDClassifier, SingleTaskClassifier
from sklearn_fsmd.inspection import item_vectors
from tests.inspection.conftest import SMALL


def frame_of_lists(n=300):
    random = np.random.RandomState(0)
    X = pd.DataFrame(
        {"city": random.choice(["Rome", "Oslo", None], n), "item": pd.Categorical(random.randint(9, size=n))}
    )
    X["tags"] = [list(random.choice(["x", "y", "z"], random.randint(3))) for _ in range(n)]
    X["last"] = [list(random.randint(9, size=random.randint(3))) for _ in range(n)]
    X["price"], X["position"] = random.lognormal(size=n), random.randint(5, size=n)
    X["picture"] = list(random.normal(size=(n, 2)))
    return X, random.randint(2, size=(n, 2)).cumprod(axis=1)


COMPRESSED = {"embedding_compression": "quotient_remainder", "max_embedding_rows": 4}


@pytest.mark.filterwarnings("ignore:.*share")
@pytest.mark.parametrize("options", [{}, COMPRESSED, {**COMPRESSED, "embedding_compression": "hash"}])
def test_vectors_equal_those_that_the_network_looks_up(options):
    X, Y = frame_of_lists()
    options = {**options, "shared_embeddings": {"last": "item"}, "bias_features": ["position"], "max_epochs": 1}
    model = FSMDClassifier(**SMALL, **options).fit(X, Y)
    rows = model._rows(X)
    codes, numbers, lists = rows.tensors("cpu")
    embedding = model.module_.embedding
    looked_up = embedding.look_up(embedding.locate(codes, lists), numbers).detach().numpy()
    cities, items = item_vectors(model, "city"), item_vectors(make_pipeline(FunctionTransformer(), model), 1)
    assert list(cities.index) == ["Oslo", "Rome"]
    assert list(items.index) == list(range(9))
    known = X["city"].notna().to_numpy()
    np.testing.assert_array_equal(looked_up[known, 0, 0], cities.loc[X["city"][known]])
    np.testing.assert_array_equal(looked_up[:, 1, 0], items.loc[X["item"]])
    pd.testing.assert_frame_equal(item_vectors(model, "last"), items.rename_axis("last"))
    tags = item_vectors(model, "tags")
    assert cities.index.name == "city"
    with_one_tag = [i for i, row in enumerate(X["tags"]) if len(row) == 1]
    n_codes = rows.codes.shape[1]
    np.testing.assert_allclose(looked_up[with_one_tag, n_codes, 0], tags.loc[[X["tags"][i][0] for i in with_one_tag]])


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("price", "'price' holds numbers: it has no embedding per value"),
        ("picture", "'picture' holds vectors"),
        ("position", "'position' is one of the 'bias_features'"),
        ("town", "no column 'town'; the model reads \\['city', 'item'"),
        (7, "no column 7"),
    ],
)
def test_invalid_columns_are_refused(column, message):
    X, Y = frame_of_lists()
    model = FSMDClassifier(**SMALL, bias_features=["position"], max_epochs=1).fit(X, Y)
    with pytest.raises(ValueError, match=message):
        item_vectors(model, column)


def test_members_and_tasks_have_separate_vectors():
    X, Y = frame_of_lists()
    X = X[["city", "item"]]
    vectors = item_vectors(SingleTaskClassifier(**SMALL, n_members=2, max_epochs=1).fit(X, Y), "item")
    assert vectors.shape == (9, 2 * 2 * 4)
    assert list(vectors.columns.names) == ["member", "target", "dimension"]
    model = SingleTaskClassifier(**SMALL, n_members=2, max_epochs=1).fit(X, Y)
    with torch.no_grad():
        embedding = model.module_.members[1].embedding
        codes, numbers = model._rows(X[:1]).tensors("cpu")
        second = embedding.look_up(embedding.locate(codes), numbers)[0, 1, 1]
    np.testing.assert_array_equal(vectors.loc[X["item"][0], (1, "conversion")], second)


def test_similar_items_have_similar_vectors():
    """Items that the same users like get vectors with similar directions."""
    random = np.random.RandomState(0)
    n = 6000
    user, item = random.randint(20, size=n), random.randint(20, size=n)
    click = random.uniform(size=n) < np.where(user % 2 == item % 2, 0.9, 0.1)
    X = pd.DataFrame({"user": user, "item": item}).astype("category")
    model = FSMDClassifier(**SMALL, max_epochs=10, lr=0.02, target_statistics=None).fit(X, click)
    vectors = item_vectors(model, "item")
    unit = vectors.to_numpy() / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T
    same = np.equal.outer(np.arange(20) % 2, np.arange(20) % 2)
    assert cosines[same].mean() > cosines[~same].mean() + 0.5


def test_other_estimators_are_refused():
    X, _ = frame_of_lists()
    with pytest.raises(TypeError, match="Got DenoisingEmbedder"):
        item_vectors(DenoisingEmbedder(n_epochs=1).fit(X[["city"]]), "city")


def test_a_table_of_lists_alone():
    X, Y = frame_of_lists()
    model = FSMDClassifier(**SMALL, max_epochs=1).fit(X[["tags"]], Y)
    assert sorted(item_vectors(model, "tags").index) == ["x", "y", "z"]
