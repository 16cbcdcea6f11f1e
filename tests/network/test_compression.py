"""Compressed embeddings: values that share rows, quotients that distinguish them, and the estimator."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch.nn import functional

from sklearn_fsmd import DeepFMClassifier, FSMDClassifier, MultiTaskClassifier
from sklearn_fsmd.network import Columns, Embedding, Layout, Lists, Ragged
from tests.conftest import SMALL, make_frame
from tests.export.files import File, check_same, shaken
from tests.test_growing import later

KINDS = ["hash", "quotient_remainder"]


def layout(quotients, limit=4):
    """Columns of 9 and 3 categories and 7 bins, a list with 6 values, and a list that shares the first column."""
    return Layout([9, 3, 7], [1, 1], [6, 0], [None, 0], limit, quotients=quotients)


def rows_by_loop(code, first_code, first_row, modulus, first_quotient):
    i = code - first_code - 1
    if i < 0:
        return first_row, 0
    return first_row + 1 + i % modulus, first_quotient + i // modulus - 1 if i >= modulus else 0


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_codes_are_mapped_to_rows_and_quotients(dtype):
    layout_ = layout(True)
    assert layout_.rows == [4, 3, 7, 4, 0]
    assert layout_.quotients == [1, 2, 0, 0, 1, 0]
    codes = torch.tensor([[f, 9 + f % 3, 12 + f % 7] for f in range(9)], dtype=dtype)
    rows, quotients = layout_(codes)
    assert rows.dtype == quotients.dtype == dtype
    columns = (0, 0, 3, 1), (9, 4, 3, 3), (12, 7, 99, 3)
    for f, column in enumerate(columns):
        expected = [rows_by_loop(int(code), *column) for code in codes[:, f]]
        assert list(zip(rows[:, f].tolist(), quotients[:, f].tolist(), strict=True)) == expected
    assert rows[:, 2].tolist() == [7 + f % 7 for f in range(9)]  # bins do not share rows
    assert len(set(zip(rows[:, 0].tolist(), quotients[:, 0].tolist(), strict=True))) == 9  # each pair is unique
    lists = Lists((Ragged(torch.arange(19, 25), torch.tensor([0, 6])), Ragged(torch.arange(9), torch.tensor([0, 9]))))
    list_rows, quotients_ = layout_.split_lists(lists)
    assert [list_rows.columns[0].flat.tolist(), quotients_[0].tolist()] == [
        [14, 15, 16, 17, 15, 16],
        [0, 0, 0, 0, 3, 3],
    ]
    assert list_rows.columns[1].flat.tolist() == rows[:, 0].tolist()
    assert quotients_[1].tolist() == quotients[:, 0].tolist()
    plain_rows, none = layout(False)(codes)
    assert none is None
    assert torch.equal(plain_rows, rows)
    counts = torch.bincount(rows[1:, 0].long())[1:4]
    assert counts.max() - counts.min() <= 1  # values are spread evenly over the rows


@pytest.mark.parametrize("limit", [2, 4])
def test_missing_values_share_their_row_with_no_value(limit):
    """Codes 0 and 1 are unknown and missing, 2 to 8 are values. With two rows there is none for missing values."""
    rows, quotients = Layout([9], [2], [], [], limit, quotients=True)(torch.arange(9)[:, None])
    pairs = list(zip(rows[:, 0].tolist(), quotients[:, 0].tolist(), strict=True))
    assert len(set(pairs)) == 9
    shared = {4: [0, 1, 2, 3, 2, 3, 2, 3, 2], 2: [0, *[1] * 8]}
    assert rows[:, 0].tolist() == shared[limit]


@pytest.mark.parametrize("pooling", ["mean", "sum", "max"])
def test_embeddings_are_products_of_rows_and_factors(pooling):
    layout_ = layout(True)
    columns = Columns(
        layout_.rows[:3], 0, layout_.rows[3:], [None, 0], layout=layout_, n_quotients=sum(layout_.quotients)
    )
    embedding = Embedding(columns, 5, n_sets=2, std=1.0, pooling=pooling)
    codes = torch.tensor([[8, 10, 12], [3, 9, 18]], dtype=torch.int32)
    lists = Lists(
        (Ragged(torch.tensor([24, 19]), torch.tensor([0, 2, 2])), Ragged(torch.tensor([7]), torch.tensor([0, 0, 1])))
    )
    x = embedding(codes, torch.zeros(2, 0), lists)
    (rows, quotients), table, factors = layout_(codes), embedding.table.weight, 1 + embedding.quotients.weight
    expected = (functional.embedding(rows, table) * functional.embedding(quotients, factors)).unflatten(2, (2, 5))
    torch.testing.assert_close(x.fields[:, :3], expected)
    both = torch.stack([table[16] * factors[3], table[14]])
    pooled = {"mean": both.mean(0), "sum": both.sum(0), "max": both.max(0).values}[pooling]  # noqa: PD011
    torch.testing.assert_close(x.fields[0, 3].flatten(), pooled)
    assert not x.fields[1, 3].any()
    torch.testing.assert_close(x.fields[1, 4].flatten(), table[1] * factors[2])
    assert torch.equal(x.codes, rows)
    x.fields.square().sum().backward()
    assert not embedding.quotients.weight.grad[0].any()  # the factor 1 is not trained


def test_quotients_distinguish_values_that_share_rows():
    """600 users with different tastes share 60 rows. Hashing mixes the users; quotients distinguish most of them."""
    random = np.random.RandomState(0)
    taste = 2 * random.normal(size=600)

    def day(n):
        user = random.randint(600, size=n)
        X = pd.DataFrame({"user": pd.Categorical(user), "x": random.normal(size=n)})
        return X, (random.uniform(size=n) < 1 / (1 + np.exp(-taste[user]))).astype(int)

    train, test = day(18_000), day(6000)
    params = {"embedding_dim": 8, "expert_dims": (16,), "tower_dims": (8,), "max_epochs": 8, "batch_size": 256}
    auc = {}
    for kind in (None, *KINDS):
        model = DeepFMClassifier(
            **params, random_state=0, target_statistics=None, embedding_compression=kind, max_embedding_rows=61
        )
        if kind == "hash":
            text = r"column 'user' has 600 values in 60 rows \(10.0 share one in the mean\). Raise `max_embedding_rows`"
            with pytest.warns(UserWarning, match=text):
                model.fit(*train)
        else:
            model.fit(*train)
        auc[kind] = roc_auc_score(test[1], model.predict_marginals(test[0])[:, 0])
    assert auc["hash"] < 0.65
    assert auc["quotient_remainder"] > auc["hash"] + 0.1
    assert auc[None] > auc["quotient_remainder"]


OPTIONS = {
    "sparse and members": {"embedding_optimizer": "sparse", "n_members": 2},
    "separate": {"extractor": "separate", "low_order": "fwfm"},
    "default": {},
}


@pytest.mark.filterwarnings("ignore:embedding_compression='hash'")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", OPTIONS)
def test_can_be_saved_exported_and_extended(kind, options, tmp_path):
    X, Y = make_frame(400)
    X["tags"] = [[f"t{i % 7}", f"t{i % 3}"][: i % 3] for i in range(len(X))]
    X["last"] = [[user] * (i % 3) for i, user in enumerate(X["user"].astype(int))]
    X["user"] = X["user"].where(np.arange(len(X)) % 9 > 0)
    params = SMALL | {"embedding_compression": kind, "max_embedding_rows": 6, "new_categories": "grow"}
    model = MultiTaskClassifier(**params | OPTIONS[options], shared_embeddings={"last": "user"}, max_list_length=2)
    model.fit(X, Y)
    main = model._encoder.main
    assert model.module_.embedding.table.weight.shape[0] < main.n_rows
    model.save(tmp_path / "model.safetensors")
    again = MultiTaskClassifier.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict_marginals(X), model.predict_marginals(X))
    check_same(again, File(shaken(again), tmp_path), X[:150], atol=2e-6)
    new, Y_new = later(shift=200)
    new = new.assign(tags=X["tags"].to_numpy(), last=[[user] for user in new["user"].astype(int)])
    n_rows = len(model.module_.embedding.table.weight)
    model.partial_fit(new, Y_new)
    column = next(c for c in model._encoder.main.categories.values() if c.name == "user")
    assert column.n_rows == 82
    assert len(model.module_.embedding.table.weight) == n_rows + 1  # one new city; all users share four rows
    if kind == "quotient_remainder":
        assert len(model.module_.embedding.quotients.weight) == sum(model.module_.embedding.layout.quotients)
    assert np.isfinite(model.predict_marginals(new)).all()


@pytest.mark.filterwarnings("ignore:embedding_compression='hash'")
@pytest.mark.parametrize("kind", KINDS)
def test_torch_and_fused_execution_agree(kind, monkeypatch):
    X, Y = make_frame(400)
    found = []
    for way in ("torch", "fused"):
        monkeypatch.setenv("SKLEARN_FSMD_EXECUTION", way)
        params = SMALL | {"embedding_compression": kind, "max_embedding_rows": 6, "dropout": 0.0, "max_epochs": 1}
        found.append(FSMDClassifier(**params).fit(X, Y).predict_marginals(X))
    np.testing.assert_allclose(*found, atol=1e-4)


def test_columns_that_fit_are_not_compressed():
    X, Y = make_frame(300)
    plain = FSMDClassifier(**SMALL).fit(X, Y)
    for kind in KINDS:
        model = FSMDClassifier(**SMALL, embedding_compression=kind).fit(X, Y)
        np.testing.assert_array_equal(model.predict_marginals(X), plain.predict_marginals(X))


def test_invalid_parameters_are_refused():
    X, Y = make_frame(300)
    with pytest.raises(
        ValueError, match="pretrain_epochs=1 learns an embedding of each value, and embedding_compression"
    ):
        FSMDClassifier(**SMALL, embedding_compression="hash", pretrain_epochs=1).fit(X, Y)
    with pytest.raises(ValueError, match="'max_embedding_rows' parameter .* must be an int in the range"):
        FSMDClassifier(**SMALL, max_embedding_rows=1).fit(X, Y)
