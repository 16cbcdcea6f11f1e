"""Columns of lists: each value is embedded, and the vectors of a row are pooled."""

import pickle
from decimal import Decimal
from itertools import chain, pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from sklearn.metrics import roc_auc_score

from sklearn_fsmd import FSMDClassifier, MultiTaskClassifier
from sklearn_fsmd.encoding.columns import ListColumn
from sklearn_fsmd.network import Lists, Ragged
from sklearn_fsmd.network.list_attention import ListAttention
from sklearn_fsmd.training.optimizers import large_tables
from tests.conftest import SMALL, make_frame, supported
from tests.test_estimator_checks import CLASSES

PARAMS = {**SMALL, "min_frequency": 1, "unknown_rate": 0.0}


def make_lists(n=400, seed=0, n_tags=12):
    """Rows whose click rate depends on the share of even tags."""
    random = np.random.default_rng(seed)
    tags = [random.integers(n_tags, size=size).tolist() for size in random.integers(0, 6, size=n)]
    X = pd.DataFrame({"user": random.choice(list("abcdefgh"), size=n), "price": random.normal(size=n)})
    X["tags"] = pd.Series(tags, dtype=object)
    even = np.array([np.mean([tag % 2 == 0 for tag in row]) if row else 0.5 for row in tags])
    click = (random.uniform(size=n) < 0.1 + 0.8 * even).astype(int)
    return X, pd.DataFrame({"click": click, "buy": click * random.integers(2, size=n)})


def fit(X, Y, **params):
    return FSMDClassifier(**PARAMS | params).fit(X, Y)


def rows_as_lists(ragged):
    ends = ragged.offsets.tolist()
    return [ragged.flat[start:stop].tolist() for start, stop in pairwise(ends)]


def test_ragged_rows_are_indexed_like_those_of_a_tensor():
    rows = [[3, 1], [], [5], [2, 2, 7], []]
    ragged = Ragged(torch.tensor(list(chain.from_iterable(rows))), torch.tensor([0, 2, 2, 3, 6, 6]))
    assert len(ragged) == 5
    assert rows_as_lists(ragged[torch.tensor([3, 1, 0, 3])]) == [[2, 2, 7], [], [3, 1], [2, 2, 7]]
    assert rows_as_lists(ragged[1:4]) == rows[1:4]
    assert rows_as_lists(ragged[4:9]) == [[]]
    assert rows_as_lists(Ragged.joined([ragged, ragged[2:4], ragged[:1]])) == rows + rows[2:4] + rows[:1]
    lists = Lists((ragged, ragged[torch.tensor([4, 3, 2, 1, 0])]))
    assert [len(chunk) for chunk in lists.split(2)] == [2, 2, 1]
    assert rows_as_lists(lists.split(2)[1].columns[1]) == [[5], []]
    hidden = lists.hidden(0.5, torch.tensor([0, 9]), torch.Generator().manual_seed(0))
    swapped = hidden.columns[1].flat != lists.columns[1].flat
    assert swapped.any()
    assert (hidden.columns[1].flat[swapped] == 9).all()


@pytest.mark.parametrize("pooling", ["mean", "sum", "max"])
def test_a_field_is_the_pooled_vector_of_the_values(pooling):
    X, Y = make_lists(60)
    model = fit(X, Y, list_pooling=pooling, logistic_regression=False)
    network, encoder = model.module_, model._encoder
    codes, numbers, lists = encoder.encode_main(X).tensors()
    x = network.embedding(codes, numbers, lists)
    table, linear = network.embedding.table.weight, network.low_order.linear
    weights, first_order = linear.categories.weight, linear(x)
    known = encoder.main.lists[2].own.values.tolist()  # noqa: PD011 (not of pandas)
    pool = {"mean": lambda v: v.mean(dim=0), "sum": lambda v: v.sum(dim=0), "max": lambda v: v.amax(dim=0)}[pooling]
    for i, tags in enumerate(X["tags"]):
        rows = [encoder.main.list_offsets[0] + 1 + known.index(tag) for tag in tags]
        expected = pool(table[rows]) if rows else torch.zeros(table.shape[1])
        torch.testing.assert_close(x.fields[i, -1, 0], expected)
        linear_term = (
            weights[codes[i]].sum() + numbers[i] @ linear.numbers[:, 0] + (pool(weights[rows])[0] if rows else 0)
        )
        torch.testing.assert_close(first_order[i, 0], linear_term)
    assert network.embedding.table.weight.shape[0] == sum(encoder.main.cardinalities) + 13


def test_attention_is_a_mean_weighted_by_the_candidate():
    torch.manual_seed(0)
    unit = ListAttention(2, 3).double()
    torch.nn.init.normal_(unit.hidden.bias)
    lengths = torch.tensor([2, 0, 3])
    vectors, candidates = torch.randn(5, 2, 3).double(), torch.randn(3, 2, 3).double()
    found = unit(vectors, lengths, candidates)
    for i, rows in enumerate([[0, 1], [], [2, 3, 4]]):
        for s in range(2):
            q, scores = candidates[i, s], []
            for v in vectors[rows, s]:
                x = torch.cat((q, v, q - v, q * v))
                hidden = (x @ unit.hidden.weight[s] + unit.hidden.bias[s]).relu()
                scores.append(hidden @ unit.output.weight[s, :, 0] + unit.output.bias[s, 0])
            expected = torch.stack(scores).softmax(dim=0) @ vectors[rows, s] if rows else torch.zeros(3).double()
            torch.testing.assert_close(found[i, s], expected)
    before = found.detach()
    unit.output.bias.data -= 200.0  # a shift that a softmax ignores
    torch.testing.assert_close(unit(vectors, lengths, candidates), before)
    assert torch.autograd.gradcheck(
        lambda v, q: unit(v, lengths, q), (vectors.requires_grad_(), candidates.requires_grad_())
    )


def test_attention_finds_the_candidate_among_the_last_items():
    """A click is likely if the candidate is among the last items."""
    random = np.random.default_rng(0)
    items = random.integers(30, size=6000)
    last = [random.choice(30, size=8, replace=False).tolist() for _ in items]
    inside = np.array([item in row for item, row in zip(items, last, strict=True)])
    X = pd.DataFrame({"item": items}).astype({"item": "category"})
    X["last"] = pd.Series(last, dtype=object)
    Y = pd.DataFrame({"click": random.uniform(size=len(X)) < np.where(inside, 0.8, 0.2)}).astype(int)
    auc = {}
    for pooling in ("mean", "attention"):
        params = PARAMS | {
            "list_pooling": pooling,
            "embedding_dim": 8,
            "embedding_std": 0.3,
            "lr": 0.01,
            "max_epochs": 8,
        }
        model = MultiTaskClassifier(**params, target_statistics=None, shared_embeddings={"last": "item"})
        model.fit(X[:5000], Y[:5000])
        auc[pooling] = roc_auc_score(Y["click"][5000:], model.predict_marginals(X[5000:])[:, 0])
    assert auc["attention"] > auc["mean"] + 0.02


def test_the_effect_of_lists_is_learned():
    X, Y = make_lists(3000)
    model = FSMDClassifier(**PARAMS | {"max_epochs": 20, "lr": 0.01}).fit(X[:2000], Y[:2000])
    truth = X["tags"].map(lambda tags: np.mean([tag % 2 == 0 for tag in tags]) if tags else 0.5)
    auc, best = (roc_auc_score(Y["click"][2000:], p) for p in (model.predict_marginals(X[2000:])[:, 0], truth[2000:]))
    assert auc > best - 0.03 > 0.7


def test_all_types_of_lists_give_the_same_predictions():
    X, Y = make_lists()
    expected = fit(X, Y).predict_marginals(X)
    arrow = pd.Series(pd.arrays.ArrowExtensionArray(pa.array(X["tags"].tolist(), pa.list_(pa.int64()))))
    written = X["tags"].map(lambda tags: "|".join(map(str, tags)))
    for tags, params in [
        (X["tags"].map(tuple), {}),
        (X["tags"].map(np.array), {}),
        (X["tags"].map(lambda tags: tags or None), {}),  # a missing list counts as empty
        (X["tags"].map(lambda tags: [*tags, None, np.nan]), {}),
        (X["tags"].map(lambda tags: [-1, *tags, -1, -2]), {}),  # they mark missing values
        (X["tags"].map(lambda tags: np.array([*tags, -1], dtype=float)), {"list_features": ["tags"]}),
        (arrow, {}),
        (X["tags"].map(lambda tags: [999] * 5 + tags), {"max_list_length": 5, "list_features": ["tags"]}),
    ]:
        if "max_list_length" in params:  # only the last values of longer lists count
            long = pd.Series([row[-5:] for row in tags], dtype=object)
            found = fit(X.assign(tags=tags), Y, **params).predict_marginals(X.assign(tags=tags))
            np.testing.assert_array_equal(found, fit(X.assign(tags=long), Y).predict_marginals(X.assign(tags=long)))
        else:
            found = fit(X.assign(tags=tags), Y, **params).predict_marginals(X.assign(tags=tags))
            np.testing.assert_array_equal(found, expected)
    model = fit(X.assign(tags=written), Y, list_features=["tags"], list_separator="|")
    assert model._encoder.main.lists[2].n_rows == 13
    assert np.isfinite(model.predict_marginals(X.assign(tags=written))).all()
    table = pa.table({"user": X["user"], "price": X["price"], "tags": X["tags"].tolist()})
    np.testing.assert_array_equal(fit(table, Y).predict_marginals(table), expected)


def test_the_text_minus_one_is_a_value():
    values, _ = ListColumn("tags", None, 1, 1000, "|").read(pd.Series(["-1|3", "-2"], dtype=object))
    assert values.tolist() == ["-1", "3", "-2"]


def test_the_order_of_a_set_has_no_effect():
    one, other = set([0, 8, 16]), set([16, 8, 0])  # noqa: C405 (equal literals would become one object)
    assert list(one) != list(other)  # as happens with strings in another process
    column = ListColumn("tags", None, 1, 2, None)
    values_read = [column.read(pd.Series([row, frozenset(row)], dtype=object))[0].tolist() for row in (one, other)]
    assert values_read[0] == values_read[1] == [16, 8, 16, 8]


def test_new_values_count_as_unknown():
    X, Y = make_lists()
    model = FSMDClassifier(**PARAMS | {"unknown_rate": 0.1}).fit(X, Y)
    new, newer = (X.assign(tags=pd.Series([[tag]] * len(X), dtype=object)) for tag in (1000, 2000))
    none = X.assign(tags=pd.Series([[]] * len(X), dtype=object))
    p = model.predict_marginals(new)
    np.testing.assert_array_equal(p, model.predict_marginals(newer))
    assert np.abs(p - model.predict_marginals(none)).max() > 1e-6
    twice = X.assign(tags=X["tags"].map(lambda tags: tags * 2))
    np.testing.assert_allclose(model.predict_marginals(twice), model.predict_marginals(X), atol=1e-6)
    long = X[:3].assign(tags=pd.Series([[1] * 10_000] * 3, dtype=object))
    assert np.isfinite(model.predict_marginals(long)).all()


def test_single_rows_get_the_same_predictions_as_in_a_batch():
    X, Y = make_lists()
    model = fit(X, Y)
    p = model.predict_marginals(X)
    alone = np.concatenate([model.predict_marginals(X[i : i + 1]) for i in range(10)])
    np.testing.assert_allclose(alone, p[:10], atol=1e-6)


def test_a_list_may_share_the_embeddings_of_a_category():
    X, Y = make_lists()
    X["tag"] = X["tags"].map(lambda tags: tags[-1] if tags else 0).astype("category")
    model = fit(X, Y, shared_embeddings={"tags": "tag"})
    main = model._encoder.main
    assert model.module_.embedding.table.weight.shape[0] == sum(main.cardinalities)
    codes, _, lists = model._encoder.encode_main(X).tensors()
    position = list(main.categories).index(list(X.columns).index("tag"))
    last = [row[-1] if row else None for row in rows_as_lists(lists.columns[0])]
    assert all(row is None or row == code for row, code in zip(last, codes[:, position].tolist(), strict=True))
    assert len(main.categories[3].values) == 12  # the values of both
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_marginals(X), model.predict_marginals(X))


@pytest.mark.parametrize("cls", CLASSES)
def test_every_model_accepts_lists(cls, tmp_path):
    X, Y = make_lists(200)
    model = cls(**supported(cls, SMALL)).fit(X, Y)
    p = model.predict_marginals(X)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(cls.load(tmp_path / "model").predict_marginals(X), p)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_marginals(X), p)
    if hasattr(model, "gate_weights"):
        np.testing.assert_allclose(model.gate_weights(X).sum(axis=3), 1, rtol=1e-5)


@pytest.mark.parametrize(
    "params",
    [
        {"n_members": 3},
        {"bias_features": ["price"], "early_stopping": True},
        {"embedding_optimizer": "sparse"},
        {"pretrain_epochs": 1},
        {"task_weighting": "pcgrad"},
        {"low_order": "fwfm"},
        {"low_order": "linear", "list_pooling": "sum"},
        {"low_order": None, "list_pooling": "max", "embedding_optimizer": "sparse"},
        {"list_pooling": "attention", "shared_embeddings": {"tags": "tag"}},
        {"list_pooling": "attention", "shared_embeddings": {"tags": "tag"}, "extractor": "separate", "n_members": 2},
        {"target_statistics": "ordered", "statistics_features": ["user"]},
    ],
    ids=str,
)
def test_lists_work_with_all_options(params):
    X, Y = make_lists()
    X["tag"] = pd.Series(np.arange(len(X)) % 12).astype("category")
    model = MultiTaskClassifier(**SMALL | {"lr": 0.02} | params).fit(X, Y)
    assert model.history_[-1]["train_loss"] < model.history_[0]["train_loss"]
    p = model.predict_marginals(X)
    again = MultiTaskClassifier(**SMALL | {"lr": 0.02} | params).fit(X, Y)
    np.testing.assert_array_equal(again.predict_marginals(X), p)
    model.partial_fit(X[:50], Y[:50])
    assert np.abs(model.predict_marginals(X) - p).max() > 0


def test_a_fit_with_lists_is_resumed(tmp_path):
    X, Y = make_lists()
    path = tmp_path / "fit.safetensors"
    whole = FSMDClassifier(**SMALL, checkpoint=path).fit(X, Y)
    with pytest.raises(ValueError, match="The data are not those of the fit"):
        FSMDClassifier(**SMALL, checkpoint=path).fit(X.assign(tags=X["tags"][::-1].to_numpy()), Y, resume=True)
    again = FSMDClassifier(**SMALL, checkpoint=path).fit(X, Y, resume=True)
    np.testing.assert_array_equal(again.predict_marginals(X), whole.predict_marginals(X))


def test_columns_that_share_embeddings_may_be_named_by_numbers():
    X, Y = make_lists()
    X["tag"] = pd.Categorical([tags[0] if tags else 0 for tags in X["tags"]])
    named = fit(X, Y, shared_embeddings={"tags": "tag"})
    numbered = X.set_axis(range(4), axis=1)
    model = fit(numbered, Y, shared_embeddings={2: 3})
    np.testing.assert_array_equal(model.predict_marginals(numbered), named.predict_marginals(X))


def test_messages_name_the_list_and_not_the_column_it_shares_with():
    X, Y = make_lists()
    X["tag"] = pd.Categorical([tags[0] if tags else 0 for tags in X["tags"]])
    shared = {"shared_embeddings": {"tags": "tag"}, "new_categories": "grow"}
    with pytest.raises(ValueError, match="Column 'tags' holds 9223372036854775809"):
        fit(X.assign(tags=[[2**63 + 1]] * len(X)), Y, **shared)
    with pytest.raises(ValueError, match=r"ids above 2\*\*63 - 1 are not supported. Pass them as strings"):
        fit(X.assign(tags=[[2**63, 5]] * len(X)), Y)
    model = fit(X, Y, **shared)
    for method in (lambda X: model.predict_marginals(X), lambda X: model.partial_fit(X, Y[:2])):
        with pytest.raises(ValueError, match="Column 'tags' held numbers in fit and holds strings now"):
            method(X[:2].assign(tags=[["a"], []]))


@pytest.mark.parametrize(
    ("change", "params", "message"),
    [
        ("tags", {}, "Column 'tags' holds lists, and in row 3 'seven'"),
        (None, {"bias_features": ["tags"]}, "Column 'tags' holds lists, and cannot be one of the 'bias_features'"),
        (
            None,
            {"shared_embeddings": {"tag": "user"}},
            r"'tag', which is no column of lists\. .* unless `list_features`",
        ),
        (
            None,
            {"shared_embeddings": {"tags": "price"}},
            "'shared_embeddings' has 'price' for 'tags', which is no category.*Integers are categories if",
        ),
        (None, {"shared_embeddings": {"tags": "tags"}}, "'tags', which is no category.*share the embeddings of other"),
        (
            None,
            {"shared_embeddings": {"tags": "user"}},
            r"cannot share the embeddings of 'user', .*astype\('string'\)",
        ),
        (None, {"list_features": ["tag"]}, "list_features has an item value 'tag' which is not a valid feature name"),
        (None, {"max_list_length": 0}, "The 'max_list_length' parameter of FSMDClassifier must be"),
        (
            "written",
            {"list_separator": "|"},
            "The 'list_separator' parameter is '|', and no column holds lists. Name",
        ),
        (None, {"list_separator": ""}, "The 'list_separator' parameter must be a string that is not empty, or None"),
        ("floats", {}, "Column 'tags' holds lists of fractions, and in row 2 0.5"),
        ("mixed", {}, "Column 'tags' holds lists, and in row 1 a list in a list"),
    ],
)
def test_invalid_lists_are_refused(change, params, message):
    X, Y = make_lists()
    tags = X["tags"].tolist()
    if change == "tags":
        tags[3] = "seven"
    if change == "floats":
        tags[2] = [0.5, 1.5]
    if change == "mixed":
        tags[1] = [[1], 2]
    if change == "written":
        tags = ["a|b"] * len(X)
    with pytest.raises(ValueError, match=message):
        fit(X.assign(tags=pd.Series(tags, dtype=object)), Y, **params)


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
@pytest.mark.parametrize("kind", ["datetime64", "timedelta64"])
def test_arrays_of_times_are_refused_in_each_unit(kind, unit):
    """`tolist` makes datetimes of some units, and integers of others."""
    X, Y = make_frame(300)
    times = np.arange(4).astype(f"{kind}[{unit}]")
    arrays = pd.Series([times, times[:2], times[1:]] * 100, dtype=object)
    with pytest.raises(TypeError, match="'tags' holds .*, which is neither a number nor a category"):
        FSMDClassifier(**SMALL).fit(X.assign(tags=arrays), Y)
    for vector in (times, list(times)):
        vectors = pd.Series([vector] * 300, dtype=object)
        with pytest.raises(ValueError, match="Column 'tags' holds vectors, and in row 0 one with .* in it"):
            FSMDClassifier(**SMALL, vector_features=["tags"]).fit(X.assign(tags=vectors), Y)


def test_durations_are_not_missing_codes():
    """A duration of numpy equals -1 if it is one, and was left out of its list."""
    X, Y = make_frame(300)
    lists = pd.Series([[np.timedelta64(-1, "ns")]] * 300, dtype=object)
    with pytest.raises(TypeError, match="'tags' holds .*, which is neither a number nor a category"):
        FSMDClassifier(**SMALL, list_features=["tags"]).fit(X.assign(tags=lists), Y)


@pytest.mark.parametrize("odd", [Decimal("0.5"), np.float32(0.5), Decimal("Infinity"), float("inf")])
def test_lists_of_fractions_of_any_type_are_refused(odd):
    X, Y = make_frame(300)
    lists = pd.Series([[1, 2], [odd]] * 150, dtype=object)
    with pytest.raises(ValueError, match="Column 'tags' holds lists of fractions, and in row 1"):
        FSMDClassifier(**SMALL, list_features=["tags"]).fit(X.assign(tags=lists), Y)


def test_whole_and_missing_numbers_of_any_type_are_categories():
    X, Y = make_frame(300)
    predictions = []
    for one, missing in ((7, None), (Decimal("7.0"), Decimal("NaN")), (np.float32(7), np.float32("nan"))):
        lists = pd.Series([[one, missing], [2], [3, one]] * 100, dtype=object)
        model = FSMDClassifier(**SMALL, list_features=["tags"]).fit(X.assign(tags=lists), Y)
        predictions.append(model.predict_marginals(X.assign(tags=lists)))
    np.testing.assert_array_equal(predictions[0], predictions[1])
    np.testing.assert_array_equal(predictions[0], predictions[2])


def test_the_error_for_a_too_large_table_names_the_list(monkeypatch):
    X, Y = make_lists(100)
    monkeypatch.setattr(large_tables, "memory_of", lambda device: 100)
    for table in (X[["tags"]], X.assign(user="a")):
        with pytest.raises(ValueError, match="Column 'tags' has 13 of the rows"):
            fit(table, Y, numeric_bins=0)
