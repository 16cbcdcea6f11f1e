"""Values that are new after fit get table rows; the rows of known values stay identical."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from sklearn_fsmd import FSMDClassifier, MultiTaskClassifier
from sklearn_fsmd.encoding import Growth, growing
from sklearn_fsmd.encoding.columns import CategoryColumn
from sklearn_fsmd.encoding.columns.canonical import add_counts
from sklearn_fsmd.inference import Predictor
from sklearn_fsmd.training import construction
from sklearn_fsmd.training.optimizers import large_tables
from tests.conftest import SMALL, make_frame
from tests.export.files import File, check_same
from tests.training.streaming.conftest import TARGETS, together

GROW = SMALL | {"new_categories": "grow", "early_stopping": False}
KEYS = ["user", ("user", "city")]
VARIANTS = {
    "default": {"statistics_features": KEYS},
    "sparse tables": {"embedding_optimizer": "sparse", "statistics_features": KEYS},
    "members, fwfm": {"n_members": 2, "low_order": "fwfm"},
    "separate, linear": {"extractor": "separate", "low_order": "linear", "fm_sharing": "per_task"},
    "adagrad": {"optimizer": "adagrad", "net_params": {"optimizer__initial_accumulator_value": 0.1}},
    "no average": {"average_decay": 0.0, "optimizer": "sgd", "net_params": {"optimizer__momentum": 0.9}},
    "bias tower": {"bias_features": ["visits"]},
}


def later(n=400, seed=1, shift=20):
    """A chunk in which half of the users and one city are new."""
    X, Y = make_frame(n, seed=seed)
    city = X["city"].where(X["city"] != "Rome", "Bergen")
    return X.assign(user=pd.Categorical(X["user"].astype(np.int64) + shift), city=city), Y


def users_of(model):
    return next(c for c in model._encoder.main.categories.values() if c.name == "user")


def grown(model, X):
    """Copies of the net and the encoder that have grown, without further training."""
    growth = Growth(model._encoder, grows=True)
    growth.update(X)
    encoder, net = growth.finish(), model.net_.copy()
    construction.grow(model, net, model._encoder, encoder)
    return net, encoder


# ----------------------------------------------------------------------------------------------------- the vocabulary


class Fitted:
    """The encoder of a model that was fitted on one column of categories."""

    def __new__(cls, values, min_frequency=1):
        frame = pd.DataFrame({"v": pd.Series(values, dtype=object)})
        return (
            FSMDClassifier(max_epochs=1, min_frequency=min_frequency, random_state=0)
            .fit(frame.assign(x=1.0), np.arange(len(frame)) % 2)
            ._encoder
        )


def column_after(encoder, *chunks):
    for chunk in chunks:
        growth = Growth(encoder, grows=True)
        growth.update(pd.DataFrame({"v": pd.Series(chunk, dtype=object)}).assign(x=1.0))
        encoder = growth.finish()
    return encoder.main.categories[0]


@pytest.mark.parametrize(
    ("values", "more", "expected"),
    [
        ([5, 9, 7], [3, 9, 11, 3], [5, 7, 9, 3, 11]),
        ([5, 9], [2.5, 9.0], [5, 9, 2.5]),
        ([2**60 + 1, 4], [2.5], [4, 2**60 + 1, 2.5]),  # large ids are not converted to floats
        (["b", "a"], ["aa", None, "b"], ["a", "b", "aa"]),
        ([None, None], ["x", "y"], ["x", "y"]),
        ([True, "a"], ["c", False], [True, "a", False, "c"]),
    ],
)
def test_known_values_keep_their_codes_and_new_ones_follow(values, more, expected):
    encoder = Fitted(values)
    before = encoder.main.categories[0]
    column = column_after(encoder, more)
    known = column.values.tolist()  # noqa: PD011
    assert known == expected
    assert known[: len(before.values)] == before.values.tolist()  # noqa: PD011
    everything = pd.Series([*values, *more, None, "?" if isinstance(known[0], str) else 77], dtype=object)
    codes = column.encode(everything)
    assert codes[: len(values)].tolist() == before.encode(pd.Series(values, dtype=object)).tolist()
    assert codes[-2:].tolist() == [0, 0]
    single = [int(column.encode(everything[i : i + 1])[0]) for i in range(len(everything))]
    assert single == codes.tolist()
    if all(type(value) is int for value in known):  # arrays use a lookup table, objects use hashing
        np.testing.assert_array_equal(column.encode(np.array(known)), np.arange(1, len(known) + 1))


def test_min_frequency_counts_across_calls():
    encoder = Fitted(["a", "a", "b", "b"], min_frequency=3)  # neither value is frequent enough
    column = column_after(encoder, ["c", "d", "c"], ["c", "d"], ["e", "e", "e"])
    assert column.values.tolist() == ["c", "e"]  # noqa: PD011
    assert dict(zip(*(part.tolist() for part in column.rare[:2]), strict=True)) == {"d": 2}


def test_blocks_are_counted_like_one_chunk():
    """A value is counted as often as it occurs, in any order."""
    random = np.random.RandomState(0)
    blocks = [[f"v{i}" for i in random.randint(40, size=random.randint(1, 12))] for _ in range(50)]
    growth = Growth(Fitted(["a", "b"], min_frequency=7), grows=True)  # neither value is frequent enough
    for block in blocks:
        growth.update(pd.DataFrame({"v": pd.Series(block, dtype=object)}).assign(x=1.0))
    column = growth.finish().main.categories[0]
    counts = pd.Series([value for block in blocks for value in block]).value_counts()
    assert set(column.values) == set(counts.index[counts >= 7])
    rare = dict(zip(*(part.tolist() for part in column.rare[:2]), strict=True))
    assert rare == counts[counts < 7].to_dict()


def test_the_cost_of_merging_counts_grows_slowly_with_the_blocks(monkeypatch):
    """Merging each block with all previous ones would count each of the values of 64 blocks 32 times."""
    moved, n_blocks, size = [], 64, 10

    def count(one, other):
        moved.append(len(one[0]) + len(other[0]))
        return add_counts(one, other)

    monkeypatch.setattr(growing, "add_counts", count)
    growth = Growth(Fitted(["a", "a"]), grows=True)
    for i in range(n_blocks):
        block = [f"v{i}, {j}" for j in range(size)]
        growth.update(pd.DataFrame({"v": pd.Series(block, dtype=object)}).assign(x=1.0))
    assert growth.finish().main.categories[0].n_rows == n_blocks * size + 2
    assert sum(moved) == n_blocks * size * np.log2(n_blocks)


def test_auto_min_frequency_is_1_except_for_row_identifiers():
    column = column_after(Fitted(["a", "a", "b"], min_frequency="auto"), ["c", "d", "d"])
    assert column.values.tolist() == ["a", "b", "c", "d"]  # noqa: PD011
    column = column_after(Fitted(["a", "b", "c"], min_frequency="auto"), ["c", "d", "d"])
    assert column.values.tolist() == ["d"]  # noqa: PD011


@pytest.mark.parametrize("pickled", [False, True])
def test_the_automatic_min_frequency_is_saved(pickled, tmp_path):
    X = pd.DataFrame({"v": pd.Series([*"aabbc", *"aabbd"], dtype="category")})
    model = FSMDClassifier(**GROW | {"min_frequency": "auto"}).fit(X, [0, 1] * 5)
    model.save(tmp_path / "model")
    restored = pickle.loads(pickle.dumps(model)) if pickled else FSMDClassifier.load(tmp_path / "model")
    assert restored.min_frequency == "auto"
    more = pd.DataFrame({"v": pd.Series(["e", "a"], dtype="category")})
    for fitted in (model, restored):
        assert fitted.partial_fit(more, [0, 1])._encoder.main.cardinalities == [6]
    assert restored.set_params(warm_start=True).fit(X, [0, 1] * 5).n_iter_ > 1


def test_new_values_of_another_type_are_refused():
    with pytest.raises(ValueError, match="Column 'v' held numbers in fit and holds strings now"):
        column_after(Fitted([1, 2]), ["a"])


def test_a_chunk_without_new_values_keeps_the_column():
    encoder = Fitted(["a", "b"])
    assert column_after(encoder, ["b", None, "a"]) is encoder.main.categories[0]
    assert isinstance(encoder.main.categories[0], CategoryColumn)


def test_lists_with_shared_and_separate_vocabularies_grow():
    X = pd.DataFrame({"item": list("abcabc"), "last": [["a"], ["b", "c"], [], ["a"], ["c"], ["b"]]})
    X["tags"] = [[1, 2], [2], [1], [], [1], [2]]
    params = GROW | {"min_frequency": 1, "shared_embeddings": {"last": "item"}}
    model = MultiTaskClassifier(**params).fit(X, [0, 1] * 3)
    more = X.assign(last=[["z", "a"], *X["last"][1:]], tags=[[9], *X["tags"][1:]])
    before = model.predict_marginals(X)
    net, encoder = grown(model, more)
    main = encoder.main
    assert main.categories[0].values.tolist() == ["a", "b", "c", "z"]  # noqa: PD011
    separate = [column.own for column in main.lists.values() if column.own]
    assert [column.values.tolist() for column in separate] == [[1, 2, 9]]  # noqa: PD011
    assert main.list_offsets == [0, main.cardinalities[0]]
    net.average_.swap_in()
    predictions = net.module_.link.marginals(net.module_(*encoder.encode_main(X).tensors()))
    np.testing.assert_array_equal(predictions.detach().numpy(), before)


# ------------------------------------------------------------------------------------------------- network and training


@pytest.mark.parametrize("variant", VARIANTS)
def test_growth_changes_no_prediction_before_the_next_step(variant):
    X, Y = make_frame(400)
    new, Y_new = later()
    model = MultiTaskClassifier(**GROW | VARIANTS[variant]).fit(X, Y)
    before, before_new = model.predict_marginals(X), model.predict_marginals(new)
    net, encoder = grown(model, new)
    assert encoder.main.n_rows == model._encoder.main.n_rows + 21
    n_old = model._encoder.main.categories[0].n_rows
    old_table, table = model.module_.embedding.table.weight, net.module_.embedding.table.weight
    assert torch.equal(table[:n_old], old_table[:n_old])
    assert torch.equal(table[n_old : n_old + 20], old_table[:1].expand(20, -1))
    rest = 1 + encoder.main.categories[1].n_rows
    assert torch.equal(table[n_old + 20 + rest - 1 :], old_table[n_old + rest - 2 :])
    predictor = Predictor(net.module_.eval(), "cpu", {})
    np.testing.assert_array_equal(predictor.marginals(encoder.encode_main(X), None), before)
    np.testing.assert_array_equal(predictor.marginals(encoder.encode_main(new), None), before_new)
    for parameter, state in net.optimizer_.state.items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and value.ndim:
                assert len(value) == len(parameter), name
    if "adagrad" in variant:
        assert net.optimizer_.state[table]["sum"][n_old].tolist() == pytest.approx([0.1] * 4)
    model.partial_fit(new, Y_new).partial_fit(X, Y)
    assert users_of(model).n_rows == n_old + 20
    assert len(model.module_.embedding.table.weight) == len(table)
    assert np.isfinite(model.predict_marginals(new)).all()


def test_new_rows_of_sparse_tables_start_at_the_current_step():
    X, Y = make_frame(400)
    model = FSMDClassifier(**GROW, embedding_optimizer="sparse").fit(X, Y)
    net, _ = grown(model, later()[0])
    table = net.module_.embedding.table.weight
    state, n = net.optimizer_.state[table], users_of(model).n_rows
    assert (state["last"][n : n + 20] == int(state["step"])).all()
    assert (state["exp_avg"][n : n + 20] == 0).all()
    i = next(i for i, tensor in enumerate(net.average_.tensors) if tensor is table)
    assert (net.average_.last[i][n : n + 20] == net.average_.step).all()
    assert torch.equal(net.average_.others[i][n], net.average_.others[i][0])


def test_known_pairs_keep_their_sums_and_new_pairs_are_counted():
    X, Y = make_frame(400)
    new, Y_new = later()
    model = FSMDClassifier(**GROW, statistics_features=KEYS).fit(X, Y)
    before, statistics = model._encoder, model._encoder.statistics
    _, encoder = grown(model, new)
    np.testing.assert_array_equal(
        encoder.statistics.look_up(encoder.main.encode(X).codes), statistics.look_up(before.main.encode(X).codes)
    )
    n_pairs = len(statistics.known[1])
    model.partial_fit(new, Y_new)
    both = model._encoder.statistics
    assert len(both.known[1]) > n_pairs
    assert both.sums[0][1:].sum() > statistics.sums[0][1:].sum()
    codes = model._encoder.main.encode(new).codes
    pair = both.sums[1][both.index(1, codes)]
    rows = new.groupby(["user", new["city"].fillna("-")], observed=True)["price"].transform("size").to_numpy()
    known = new["city"].notna().to_numpy() & (users_of(model).encode(new["user"]) > users_of(model).n_rows - 21)
    np.testing.assert_array_equal(pair[known, len(both.events)], rows[known])  # the number of observed clicks
    assert len(statistics.known[1]) == n_pairs  # the previous statistics are unchanged


def test_values_that_share_rows_have_different_quotient_factors():
    _, Y = make_frame(200)
    options = {"embedding_compression": "quotient_remainder", "max_embedding_rows": 4, "lr": 1e-12, "weight_decay": 0}
    rows = {n: pd.DataFrame({"item": (np.arange(200) % n).astype(str), "x": 0.0}) for n in (3, 5, 8, 11, 14)}
    model = FSMDClassifier(**GROW | options).fit(rows[3], Y)
    assert len(model.module_.embedding.quotients.weight) == 1  # the factor of values that share no row
    for n in (5, 8, 11, 14):  # more values than rows, which then need further factors
        model.partial_fit(rows[n], Y)
    factors = model.module_.embedding.quotients.weight.detach()
    assert len(factors) > 3
    assert len(torch.unique(factors, dim=0)) == len(factors)


def test_new_ids_are_learned():
    """Half of the users are new on the second day; their clicks depend on the user."""
    random = np.random.RandomState(0)
    taste = random.normal(size=120) * 2

    def day(n, users):
        user = random.choice(users, n)
        click = random.uniform(size=n) < 1 / (1 + np.exp(-taste[user]))
        return pd.DataFrame({"user": pd.Categorical(user), "x": random.normal(size=n)}), click.astype(int)

    first, second, third = day(3000, np.arange(60)), day(4000, np.arange(120)), day(4000, np.arange(60, 120))
    auc = {}
    for how in ("unknown", "grow"):
        for statistics in (None, "ordered"):
            params = SMALL | {"max_epochs": 5, "new_categories": how, "target_statistics": statistics}
            model = MultiTaskClassifier(**params).fit(*first)
            for _ in range(3):
                model.partial_fit(*second)
            auc[how, statistics] = roc_auc_score(third[1], model.predict_marginals(third[0])[:, 0])
    assert auc["unknown", None] < 0.55
    assert auc["grow", None] > 0.75
    assert auc["grow", "ordered"] > 0.75


def test_warm_starts_grow_in_memory_and_from_files(tmp_path):
    X, Y = make_frame(1200)
    new, Y_new = later(1500)
    together(X, Y).to_parquet(tmp_path / "a.parquet", index=False)
    together(new, Y_new).to_parquet(tmp_path / "b.parquet", index=False)
    params = GROW | {"warm_start": True, "statistics_features": KEYS}
    in_memory = FSMDClassifier(**params).fit(X, Y)
    streamed = FSMDClassifier(**params).fit_dataset(tmp_path / "a.parquet", TARGETS)
    for model in (in_memory, streamed):
        n, n_known = len(model.history_), users_of(model).n_rows
        total = model._encoder.statistics.sums[0].sum()
        if model is in_memory:
            model.fit(new, Y_new)
        else:
            model.fit_dataset(tmp_path / "b.parquet", TARGETS)
        assert len(model.history_) == 2 * n
        assert users_of(model).n_rows == n_known + 20
        assert model._encoder.statistics.sums[0].sum() > 2 * total  # the days add up
    for a, b in zip(in_memory._encoder.statistics.sums, streamed._encoder.statistics.sums, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    for a, b in zip(in_memory._encoder.statistics.known, streamed._encoder.statistics.known, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(in_memory._encoder.main.encode(new).codes, streamed._encoder.main.encode(new).codes)
    assert streamed.score(new, Y_new) == pytest.approx(in_memory.score(new, Y_new), abs=0.05)


@pytest.mark.parametrize("how", ["unknown", "grow"])
def test_a_warm_start_from_files_equals_one_in_memory(how, tmp_path):
    """With new_categories="unknown", the statistics are computed from the new rows, as after `fit`."""
    X, Y = make_frame(1100)
    more, Y_more = make_frame(1300, seed=3)
    together(X, Y).to_parquet(tmp_path / "a.parquet", index=False)
    together(more, Y_more)[["click", "city", "visits", "price", "member", "user", "conversion"]].to_parquet(
        tmp_path / "b.parquet", index=False
    )
    params = GROW | {"warm_start": True, "statistics_features": KEYS, "new_categories": how}
    a = (
        FSMDClassifier(**params)
        .fit_dataset(tmp_path / "a.parquet", TARGETS)
        .fit_dataset(tmp_path / "b.parquet", TARGETS)
    )
    b = FSMDClassifier(**params).fit(X, Y).fit(more, Y_more)
    for one, other in zip(a._encoder.statistics.sums, b._encoder.statistics.sums, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    with pytest.raises(ValueError, match="The 'embedding_dim' parameter was 4 in the fit that this one continues"):
        a.set_params(embedding_dim=8).fit_dataset(tmp_path / "b.parquet", TARGETS)
    with pytest.raises(ValueError, match="`checkpoint` is for a fit from the start"):
        a.set_params(embedding_dim=4, checkpoint=tmp_path / "c").fit_dataset(tmp_path / "b.parquet", TARGETS)
    with pytest.raises(ValueError, match="Column 'visits' is one of `columns`, and a target"):
        a.set_params(checkpoint=None).fit_dataset(tmp_path / "a.parquet", ["click", "visits"])


# ------------------------------------------------------------------------------------------------------ all or nothing


def test_a_failed_partial_fit_leaves_the_model_unchanged(monkeypatch, tmp_path):
    X, Y = make_frame(300)
    new, Y_new = later()
    model = FSMDClassifier(**GROW, statistics_features=KEYS).fit(X, Y)
    state, p, rows = dict(vars(model)), model.predict_marginals(new), model._encoder.main.n_rows
    with pytest.raises(ValueError, match="infinity"):
        model.partial_fit(new.assign(price=np.inf), Y_new)
    with pytest.raises(ValueError, match="Column 'city' held strings in fit and holds numbers now"):
        model.partial_fit(new.assign(city=pd.Categorical(np.arange(len(new)) % 7)), Y_new)
    with pytest.raises(FloatingPointError):
        model.set_params(lr=1e30).partial_fit(new, Y_new)
    monkeypatch.setattr(large_tables, "memory_of", lambda device: 1000)
    with pytest.raises(ValueError, match="The embedding table of 84 rows .* 'user' has 61 of the rows"):
        model.set_params(lr="auto").partial_fit(new, Y_new)
    monkeypatch.undo()
    assert vars(model) == state
    assert model._encoder.main.n_rows == rows
    assert all(column.rare is None for column in model._encoder.main.categories.values())
    np.testing.assert_array_equal(model.predict_marginals(new), p)
    model.partial_fit(new, Y_new)
    assert model._encoder.main.n_rows == rows + 21


def test_grown_models_are_saved_pickled_and_exported(tmp_path):
    X, Y = make_frame(300)
    new, Y_new = later()
    model = FSMDClassifier(**GROW | {"min_frequency": 6}, statistics_features=KEYS).fit(X, Y).partial_fit(new, Y_new)
    assert users_of(model).rare is not None
    model.save(tmp_path / "model.safetensors")
    for again in (FSMDClassifier.load(tmp_path / "model.safetensors"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(again.predict_marginals(new), model.predict_marginals(new))
        np.testing.assert_array_equal(users_of(again).rare[0], users_of(model).rare[0])
        n = users_of(again).n_rows
        again.partial_fit(*later(shift=50))
        assert users_of(again).n_rows > n
    check_same(model, File(model, tmp_path), new[:100])


def test_custom_tables_cannot_grow():
    class CustomModule(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weights = torch.nn.Embedding(99, 1)

    X, Y = make_frame(300)
    model = FSMDClassifier(**GROW).fit(X, Y)
    model.net_.module_.low_order.own = CustomModule()
    with pytest.raises(ValueError, match="new_categories='grow' cannot give rows to a table of 99 rows"):
        grown(model, later()[0])
