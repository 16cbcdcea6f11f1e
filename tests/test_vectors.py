"""Columns of vectors: their components are scaled, and a linear map turns a vector into a field."""

import pickle
import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_fsmd import DenoisingEmbedder, FSMDClassifier, MultiTaskClassifier
from sklearn_fsmd.encoding import InputEncoder
from sklearn_fsmd.encoding.columns.vectors import BLOCK, VectorColumn
from sklearn_fsmd.network.vector_fields import VectorFields
from sklearn_fsmd.training.batches import BatchIterator, TensorData
from tests.conftest import SMALL, supported
from tests.test_estimator_checks import CLASSES

WIDTH = 5
PARAMS = {**SMALL, "min_frequency": 1, "unknown_rate": 0.0}


def objects(rows):
    """A column whose cells are `rows`."""
    column = pd.Series(index=range(len(rows)), dtype=object)
    column[:] = list(rows)
    return column


def make_vectors(n=300, seed=0):
    """Rows whose click depends on the vector alone; components differ in scale, and one row in ten has no vector."""
    random = np.random.default_rng(seed)
    z = random.normal(size=(n, WIDTH))
    vectors = z * [1.0, 100.0, 1e-3, 1.0, 1.0] + [50.0, 0.0, 7.0, -3.0, 0.0]
    vectors[:, 3] = 0.1  # constant
    logit = 3 * z[:, 0] - 3 * z[:, 2]
    missing = random.uniform(size=n) < 0.1
    logit[missing] = 0.0
    X = pd.DataFrame({"user": random.choice(list("abcdef"), size=n), "price": random.normal(size=n)})
    X.insert(1, "v", objects([None if gone else row for gone, row in zip(missing, vectors, strict=True)]))
    click = (random.uniform(size=n) < 1 / (1 + np.exp(-logit))).astype(int)
    return X, pd.DataFrame({"click": click, "buy": click * random.integers(2, size=n)})


def fit(X, Y, **params):
    return FSMDClassifier(**PARAMS | params).fit(X, Y)


def scaled_by_hand(column):
    """The expected components, computed row by row."""
    known = np.array([row for row in column if row is not None], dtype=np.float64)
    spread = np.where(known.std(axis=0) < 1e-12, 1.0, known.std(axis=0))
    rows = [
        np.zeros(known.shape[1]) if row is None else (np.array(row) - known.mean(axis=0)) / spread for row in column
    ]
    return np.array(rows)


# -------------------------------------------------------------------------------------------------------- the encoding


def test_components_are_scaled_and_follow_the_numbers():
    X, _ = make_vectors()
    X["w"] = objects(np.random.default_rng(1).normal(size=(len(X), 2)) + 4)
    encoder = InputEncoder(FSMDClassifier())
    rows = encoder.fit_encode(X)
    assert (list(encoder.main.vectors), list(encoder.main.numeric)) == ([1, 3], [2])
    assert encoder.main.vector_widths == [WIDTH, 2]
    assert rows.numbers.dtype == np.float32
    expected = np.column_stack([rows.numbers[:, 0], scaled_by_hand(X["v"]), scaled_by_hand(X["w"])])
    np.testing.assert_allclose(rows.numbers, expected, atol=2e-3)  # the precision of 7 ± 0.001 as float32
    np.testing.assert_allclose(rows.numbers[:, [1, 2, 5, 6]], expected[:, [1, 2, 5, 6]], atol=1e-5)
    assert (rows.numbers[:, 4] == 0).all()  # the constant component
    np.testing.assert_array_equal(encoder.encode(X).numbers, rows.numbers)


def test_scales_of_blocks_equal_those_of_the_whole_column():
    x = np.random.default_rng(0).normal(size=(2 * BLOCK + 100, 3)).astype(np.float32) * [1, 5, 0.1] + [1e4, 0, 3]
    x = x.astype(np.float32)
    whole, parts = VectorColumn("v"), VectorColumn("v")
    x[[5, 20]] = np.nan
    whole.update(x)
    for part in np.split(x, [1, 50, 5000]):
        parts.update(part)
    known = x[~np.isnan(x[:, 0])].astype(np.float64)
    for column in (whole, parts):
        column.finalize()
        np.testing.assert_allclose(column.center, known.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(column.scale, known.std(axis=0), rtol=1e-9)
        np.testing.assert_array_equal(column.low, known.min(axis=0))
        np.testing.assert_array_equal(column.high, known.max(axis=0))


def test_components_stay_within_the_range_of_fit():
    X, Y = make_vectors()
    model = fit(X, Y)
    known = np.array([row for row in X["v"] if row is not None])
    far = X[:2].assign(v=objects([known.max(axis=0) * 1e6 + 1e6, known.min(axis=0) - 1e6]))
    edge = X[:2].assign(v=objects([known.max(axis=0), known.min(axis=0)]))
    np.testing.assert_array_equal(model.predict_marginals(far), model.predict_marginals(edge))


EXACT = np.random.default_rng(3).integers(-8, 9, size=(200, 3)) / 4  # exact as float16


@pytest.mark.parametrize(
    "change",
    [
        lambda v: objects(v.astype(np.float32)),
        lambda v: objects(v.astype(np.float16)),
        lambda v: objects(v.astype(np.longdouble)),
        lambda v: objects([row.astype(object) for row in v]),
        lambda v: objects(v.tolist()),
        lambda v: objects([tuple(row) for row in v]),
        lambda v: objects([list(map(np.float32, row)) for row in v]),
        lambda v: objects([row.tolist() if i % 2 else row for i, row in enumerate(v)]),
        lambda v: objects([row.astype([np.float32, np.float64][i % 2]) for i, row in enumerate(v)]),
        lambda v: objects(list(np.asfortranarray(v))),
        lambda v: pd.Series(pd.arrays.ArrowExtensionArray(pa.array(v.tolist(), pa.list_(pa.float64())))),
        lambda v: pd.Series(pd.arrays.ArrowExtensionArray(pa.array(v.tolist(), pa.large_list(pa.float32())))),
        lambda v: pd.Series(pd.arrays.ArrowExtensionArray(pa.FixedSizeListArray.from_arrays(v.ravel(), 3))),
        lambda v: pd.Series(
            pd.arrays.ArrowExtensionArray(
                pa.chunked_array([pa.FixedSizeListArray.from_arrays(part.ravel(), 3) for part in (v[:7], v[7:])])
            )
        ),
    ],
    ids=[
        *("float32", "float16", "longdouble", "objects", "lists", "tuples", "numpy scalars", "arrays and lists"),
        *("two dtypes", "strided", "arrow list", "arrow large list", "arrow fixed-size list", "arrow chunks"),
    ],
)
@pytest.mark.parametrize("n", [200, 9], ids=["many", "few"])
def test_all_types_of_vectors_are_encoded_alike(change, n):
    encoder = InputEncoder(FSMDClassifier())
    expected = encoder.fit_encode(pd.DataFrame({"v": objects(EXACT)})).numbers
    assert np.abs(expected).max() > 1
    X = pd.DataFrame({"v": change(EXACT)})
    np.testing.assert_array_equal(encoder.encode(X[:n]).numbers, expected[:n])
    np.testing.assert_array_equal(encoder.encode(X[3:n]).numbers, expected[3:n])
    np.testing.assert_array_equal(InputEncoder(FSMDClassifier()).fit_encode(X).numbers, expected)


def test_missing_vectors_count_as_the_mean():
    rows = [None, *EXACT, np.nan, pd.NA, None]
    encoder = InputEncoder(FSMDClassifier())
    numbers = encoder.fit_encode(pd.DataFrame({"v": objects(rows)})).numbers
    assert (numbers[[0, -1, -2, -3]] == 0).all()
    np.testing.assert_allclose(numbers[1:-3], scaled_by_hand(EXACT), atol=1e-6)
    for kind in (pa.list_(pa.float32()), pa.list_(pa.float64(), 3)):
        arrow = pa.array([None if i < 2 or i == 9 else row for i, row in enumerate(EXACT.tolist())], kind)
        found = encoder.encode(pd.DataFrame({"v": pd.arrays.ArrowExtensionArray(arrow)})).numbers
        assert (found[[0, 1, 9]] == 0).all()
        np.testing.assert_array_equal(found[10:], numbers[11:-3])
        none = encoder.encode(pd.DataFrame({"v": pd.arrays.ArrowExtensionArray(arrow[:2])})).numbers
        assert none.shape == (2, 3)
    assert (encoder.encode(pd.DataFrame({"v": objects([None] * 20)})).numbers == 0).all()


def test_columns_of_vectors_are_detected_or_given_by_parameters():
    ints, floats = objects([[1, 2]] * 20), objects([[1.0, 2.0]] * 20)

    def kinds(X, **params):
        encoder = InputEncoder(FSMDClassifier(**params))
        encoder.fit_encode(X)
        return list(encoder.main.lists), list(encoder.main.vectors)

    X = pd.DataFrame(
        {"ints": ints, "floats": floats, "strings": objects([["a"]] * 20), "nan": objects([[1, np.nan]] * 20)}
    )
    assert kinds(X) == ([0, 2, 3], [1])
    assert kinds(X, vector_features=["ints"]) == ([1, 2, 3], [0])
    assert kinds(X, vector_features=None) == ([0, 1, 2, 3], [])
    assert kinds(X[["floats"]], list_features=["floats"]) == ([0], [])
    assert kinds(X[["ints", "floats"]], list_features=None, vector_features=lambda X: [True, True]) == ([], [0, 1])
    empty = X[["ints"]].assign(v=objects([[], np.array([])] * 10), w=objects([np.array([])] * 4 + [np.array([7])] * 16))
    assert kinds(empty) == ([0, 1, 2], [])
    array = np.empty((20, 2), dtype=object)
    array[:, 0], array[:, 1] = floats, 3
    assert kinds(array, vector_features=[0]) == ([], [0])


# --------------------------------------------------------------------------------------------------------- the network


@pytest.mark.parametrize("n_sets", [1, 2, 3])
def test_a_field_is_a_linear_map_of_the_vector(n_sets):
    unit = VectorFields([3, 4], first=2, n_sets=n_sets, dim=5).double()
    for one in unit.maps:
        torch.nn.init.normal_(one.bias)
    numbers = torch.randn(6, 2 + 3 + 4 + 1).double()
    scalars, fields = unit(numbers)
    torch.testing.assert_close(scalars, numbers[:, [0, 1, 9]])
    assert fields.shape == (6, 2, n_sets, 5)
    for i in range(6):
        for s in range(n_sets):
            for v, columns in enumerate(([2, 3, 4], [5, 6, 7, 8])):
                expected = numbers[i, columns] @ unit.maps[v].weight[s] + unit.maps[v].bias[s]
                torch.testing.assert_close(fields[i, v, s], expected)
    wide = VectorFields([400], first=0, n_sets=1, dim=3)(torch.randn(2000, 400))[1]
    assert 0.9 < wide.std() < 1.1


def test_fm_and_extractor_use_fields_and_linear_terms_use_components():
    X, Y = make_vectors(80)
    model = fit(X, Y, statistics_features=["user"], fm_scale=1.0, logistic_regression=False)
    encoder, network = model._encoder, model.module_
    numbers = encoder.encode_main(X).numbers
    n_statistics = encoder.statistics.n_columns
    assert numbers.shape == (80, 1 + WIDTH + n_statistics)
    assert encoder.n_scalars == 1 + n_statistics
    np.testing.assert_allclose(numbers[:, 1:6], scaled_by_hand(X["v"]), atol=2e-3)
    x = network.embedding(*encoder.encode_main(X).tensors())
    (unit,) = network.embedding.vectors.maps
    vectors = x.numbers[:, 1:6]
    field = vectors @ unit.weight[0] + unit.bias[0]
    torch.testing.assert_close(x.fields[:, -1, 0], field)
    torch.testing.assert_close(x.scalars, x.numbers[:, [0, *range(6, 6 + n_statistics)]])
    torch.testing.assert_close(x.flat(), torch.cat([x.fields.flatten(1), x.scalars], dim=1))
    fm = network.low_order
    torch.testing.assert_close(
        fm.linear(x), fm.linear.categories.weight[x.codes.long()].sum(dim=1) + x.numbers @ fm.linear.numbers
    )
    assert fm.linear.numbers.shape == (1 + WIDTH + n_statistics, 1)
    terms = torch.cat([x.fields[:, :, 0], x.scalars.unsqueeze(2) * fm.vectors[:, 0]], dim=1)  # (B, n, D)
    pairs = sum(terms[:, i] * terms[:, j] for i in range(terms.shape[1]) for j in range(i))
    torch.testing.assert_close(fm.pairwise(x)[:, 0], pairs, atol=1e-5, rtol=1e-4)


def test_the_effect_of_vectors_is_learned():
    X, Y = make_vectors(3000)
    params = {"max_epochs": 12, "lr": 0.01}
    auc = {}
    for name, columns in [("with", list(X)), ("without", ["user", "price"])]:
        model = fit(X[columns][:2000], Y[:2000], **params)
        auc[name] = roc_auc_score(Y["click"][2000:], model.predict_marginals(X[columns][2000:])[:, 0])
    assert auc["without"] < 0.55
    assert auc["with"] > 0.85


# ----------------------------------------------------------------------------------------------------------- any model


@pytest.mark.parametrize("cls", CLASSES)
def test_every_model_accepts_vectors(cls, tmp_path):
    X, Y = make_vectors(200)
    model = cls(**supported(cls, SMALL)).fit(X, Y)
    p = model.predict_marginals(X)
    assert np.abs(p - model.predict_marginals(X.assign(v=None))).max() > 1e-5
    model.save(tmp_path / "model")
    again = cls.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_marginals(X), p)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_marginals(X), p)
    np.testing.assert_array_equal(
        again.partial_fit(X, Y).predict_marginals(X),
        cls.load(tmp_path / "model").partial_fit(X, Y).predict_marginals(X),
    )
    if hasattr(model, "gate_weights"):
        np.testing.assert_allclose(model.gate_weights(X).sum(axis=3), 1, rtol=1e-5)


class Flat(torch.nn.Module):
    """A custom extractor."""

    def __init__(self, n_inputs, n_tasks):
        super().__init__()
        self.layer = torch.nn.Linear(n_inputs, 3)
        self.n_tasks = n_tasks

    def forward(self, x):
        return [self.layer(x)] * self.n_tasks


@pytest.mark.filterwarnings("ignore:precision='bf16' needs a device that computes in bfloat16")
@pytest.mark.parametrize(
    "params",
    [
        {"n_members": 3},
        {"bias_features": ["price"], "early_stopping": True},
        {"embedding_optimizer": "sparse"},
        {"pretrain_epochs": 1},
        {"task_weighting": "pcgrad"},
        {"low_order": "fwfm", "link": "independent", "extractor": "separate", "task_weighting": "pcgrad"},
        {"low_order": "linear", "numeric_bins": 0},
        {"low_order": None, "extractor": "mmoe", "unknown_rate": 0.2},
        {"fm_sharing": "per_task", "extractor": "shared_bottom"},
        {"extractor": Flat},
        {"extractor": "separate", "n_members": 2, "fm_sharing": "per_task"},
        {"statistics_features": ["user"], "validation": "last", "early_stopping": True},
        {"precision": "bf16"},
        {"warm_start": True},
    ],
    ids=str,
)
def test_vectors_work_with_all_options(params):
    X, Y = make_vectors()
    X["tags"] = objects([[i % 3, i % 7] for i in range(len(X))])
    model = MultiTaskClassifier(**SMALL | {"lr": 0.02} | params).fit(X, Y)
    assert model.history_[-1]["train_loss"] < model.history_[0]["train_loss"]
    p = model.predict_marginals(X)
    again = MultiTaskClassifier(**SMALL | {"lr": 0.02} | params).fit(X, Y)
    np.testing.assert_array_equal(again.predict_marginals(X), p)
    if "warm_start" in params:
        model.fit(X, Y)
        assert model.n_iter_ == 6
    else:
        model.partial_fit(X[:50], Y[:50])
    assert np.abs(model.predict_marginals(X) - p).max() > 0


def test_vectors_are_not_masked():
    X, _ = make_vectors()
    encoder = InputEncoder(FSMDClassifier())
    rows = encoder.fit_encode(X)
    data = TensorData(rows.tensors(), torch.zeros(len(X), 2), None)
    offsets = torch.from_numpy(encoder.main.offsets).int()
    batches = BatchIterator(
        data, len(X), torch.Generator().manual_seed(0), offsets=offsets, n_categories=1, unknown_rate=0.9
    )
    ((inputs, _, _),) = batches
    _, numbers = inputs
    assert (numbers[:, 0] == 0).sum() > 100
    order = torch.Generator().manual_seed(0)
    expected = rows.numbers[torch.randperm(len(X), generator=order, dtype=torch.int32).numpy()]
    np.testing.assert_array_equal(numbers[:, 1:], expected[:, 1:])


def test_a_table_of_vectors_only():
    X, Y = make_vectors()
    model = fit(X[["v"]], Y, statistics_features="auto")
    p = model.predict_marginals(X[["v"]])
    alone = np.concatenate([model.predict_marginals(X[["v"]][i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(alone, p[:20], atol=1e-6)


def test_predictions_do_not_depend_on_other_rows_or_their_order():
    X, Y = make_vectors(2500)
    model = fit(X[:300], Y[:300], n_members=2)
    p = model.predict_marginals(X)
    order = np.random.default_rng(0).permutation(len(X))
    np.testing.assert_allclose(model.predict_marginals(X.iloc[order]), p[order], atol=1e-6)
    for n in (1, 3, 17, 600):
        np.testing.assert_allclose(model.predict_marginals(X[:n]), p[:n], atol=1e-6)
    alone = np.concatenate([model.predict_marginals(X[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(alone, p[:20], atol=1e-6)
    main = model._encoder.main
    few = np.concatenate([main.encode(X[i : i + 1]).numbers for i in range(20)])
    np.testing.assert_array_equal(few, main.encode(X).numbers[:20])


@pytest.mark.parametrize("way", ["fused", "torch"])
@pytest.mark.parametrize("params", [{}, {"low_order": "fwfm", "extractor": "separate"}], ids=str)
def test_one_and_two_threads_give_identical_weights(way, params, monkeypatch):
    monkeypatch.setenv("SKLEARN_FSMD_EXECUTION", way)
    X, Y = make_vectors(1500)
    X["w"] = objects(np.random.default_rng(1).normal(size=(len(X), 70)))
    one, two = (
        MultiTaskClassifier(**SMALL | {"batch_size": 1000, "max_epochs": 1, "n_threads": n} | params).fit(X, Y)
        for n in (1, 2)
    )
    for name, weights in one.module_.state_dict().items():
        np.testing.assert_array_equal(weights, two.module_.state_dict()[name], err_msg=name)


def test_pretraining_does_not_use_vectors():
    X, Y = make_vectors()
    unlabeled = X.assign(v=X["v"][::-1].to_numpy())
    model = FSMDClassifier(**SMALL | {"pretrain_epochs": 1, "max_epochs": 1}).fit(X, Y, X_unlabeled=unlabeled)
    (column,) = model._encoder.main.vectors.values()
    known = np.array([row for row in X["v"] if row is not None])
    np.testing.assert_allclose(column.center, known.mean(axis=0), rtol=1e-6)
    with pytest.raises(TypeError, match="Column 'v' holds array"):
        DenoisingEmbedder(n_epochs=1).fit(X.dropna())
    with pytest.raises(ValueError, match="Pretraining has no column with embeddings"):
        fit(X, Y, pretrain_epochs=1, pretrain_features=["v"])


def test_a_fit_with_vectors_is_resumed(tmp_path):
    X, Y = make_vectors()
    path = tmp_path / "fit.safetensors"
    whole = FSMDClassifier(**SMALL, checkpoint=path).fit(X, Y)
    changed = X["v"].tolist()
    (i,) = [i for i, row in enumerate(changed) if row is not None][:1]
    changed[i] = changed[i] + [0.5, 0, 0, 0, 0]
    for other in (X["v"][::-1].to_numpy(), objects(changed)):
        with pytest.raises(ValueError, match="The data are not those of the fit"):
            FSMDClassifier(**SMALL, checkpoint=path).fit(X.assign(v=other), Y, resume=True)
    again = FSMDClassifier(**SMALL, checkpoint=path).fit(X, Y, resume=True)
    np.testing.assert_array_equal(again.predict_marginals(X), whole.predict_marginals(X))


def test_pipelines_searches_and_other_tables():
    X, Y = make_vectors()
    scale = make_column_transformer(
        (StandardScaler(), ["price"]), remainder="passthrough", verbose_feature_names_out=False
    ).set_output(transform="pandas")
    pipeline = make_pipeline(scale, FSMDClassifier(**PARAMS)).fit(X, Y)
    assert list(pipeline[-1]._encoder.main.vectors) == [2]
    search = GridSearchCV(FSMDClassifier(**PARAMS), {"embedding_dim": [2, 3]}, cv=2, error_score="raise").fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    expected = fit(X, Y).predict_marginals(X)
    table = pa.table({"user": X["user"], "v": X["v"].tolist(), "price": X["price"]})
    np.testing.assert_array_equal(fit(table, Y).predict_marginals(table), expected)
    array = X.to_numpy(dtype=object)
    model = fit(array, Y, vector_features=[1], categorical_features=[0])
    np.testing.assert_allclose(model.predict_marginals(array), expected, atol=1e-6)
    np.testing.assert_allclose(model.predict_marginals(array[:2]), expected[:2], atol=1e-6)


# ----------------------------------------------------------------------------------------------------------- bad input

HOLDS = "Column 'v' holds vectors of 5 numbers, and in row 3"
FLOATS = [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("when", ["fit", "predict", "predict few"])
@pytest.mark.parametrize("as_lists", [False, True])
@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (FLOATS, f"{HOLDS} one of 4. If they are vectors, give all rows one length, or None; if they are lists of"),
        ([*FLOATS, 5.0, 6.0], f"{HOLDS} one of 6. If they are"),
        ([], f"{HOLDS} one of 0. If they are"),
        (
            [*FLOATS, np.nan],
            f"{HOLDS} one with nan in it. A vector is made of finite numbers; a row without one holds N",
        ),
        ([*FLOATS, np.inf], f"{HOLDS} one with inf in it."),
        ([*FLOATS, -np.inf], f"{HOLDS} one with -inf in it."),
        ([*FLOATS, 1e300], f"{HOLDS} one with 1e+300 in it."),
        ([*FLOATS, None], f"{HOLDS} one with None in it."),
        ([*FLOATS, "0.5"], f"{HOLDS} one with '0.5' in it."),
        ([*FLOATS, b"0.5"], f"{HOLDS} one with b'0.5' in it."),
        ([*FLOATS, 1j], f"{HOLDS} one with 1j in it."),
        ([*FLOATS, 10**400], f"{HOLDS} one with 1000"),
        ([*FLOATS, [1.0]], f"{HOLDS} one with [1.0] in it."),
        ([*FLOATS, Decimal(1)], f"{HOLDS} one with Decimal('1') in it."),
        ([[value] for value in [*FLOATS, 1.0]], f"{HOLDS}"),
        ("seven", f"{HOLDS} 'seven'. A row without a vector holds None."),
        (0.5, f"{HOLDS} 0.5. A row without a vector holds None."),
        ({1.0, 2.0, 3.0, 4.0, 5.0}, f"{HOLDS} {{1.0, 2.0, 3.0, 4.0, 5.0}}. A row without"),
    ],
    ids=lambda x: str(x)[:24],
)
def test_invalid_vectors_are_refused(cell, message, as_lists, when):
    X, Y = make_vectors(100)
    model = fit(X, Y, max_epochs=1) if when != "fit" else None
    rows = [row.tolist() if as_lists and row is not None else row for row in X["v"]]
    rows[3] = cell
    if not as_lists and isinstance(cell, list):
        rows[3] = np.array(cell, dtype=float if set(map(type, cell)) <= {float} else object)
    X = X.assign(v=objects(rows))
    with pytest.raises(ValueError, match=re.escape(message)):
        fit(X, Y) if when == "fit" else model.predict(X[:10] if when == "predict few" else X)


@pytest.mark.parametrize(
    ("change", "params", "message"),
    [
        (
            "varying",
            {},
            "Column 'v' holds vectors of 2 numbers, and in row 1 one of 3. If they are vectors, give all rows",
        ),
        (
            "varying",
            {"vector_features": ["v"]},
            "Column 'v' holds vectors of 2 numbers, and in row 1 one of 3. If they",
        ),
        (
            "varying",
            {"vector_features": None},
            "Column 'v' holds lists of fractions, and in row 0 0.5. Lists hold categories; if th",
        ),
        ("arrow", {}, "Column 'v' holds vectors of 2 numbers, and in row 1 one of 3. If they are vectors"),
        (
            "2-D",
            {},
            "Column 'v' holds vectors, and in row 0 an array of the shape (2, 2). A vector is flat, as `ravel()` makes",
        ),
        ("0-D", {}, "Column 'v' holds vectors, and in row 0 an array of the shape (). A vector is flat"),
        (
            "none",
            {"vector_features": ["v"]},
            "Column 'v' holds vectors, and in fit no row has one. Leave the column out.",
        ),
        ("empty", {"vector_features": ["v"]}, "Column 'v' holds vectors, and in row 0 one of 0. If they are"),
        ("strings", {"vector_features": ["v"]}, "Column 'v' holds vectors, and in row 0 one with 'a' in it."),
        ("no", {"vector_features": ["price"]}, "Column 'price' holds vectors, and in row 0 -0.620"),
        ("no", {"vector_features": ["user"]}, "Column 'user' holds vectors, and in row 0 '"),
        (None, {"vector_features": ["w"]}, "vector_features has an item value 'w' which is not a valid feature name"),
        (None, {"vector_features": "all"}, "The 'vector_features' parameter of FSMDClassifier must be"),
        (
            None,
            {"vector_features": ["v"], "list_features": ["v"]},
            "Column 'v' is in both 'list_features' and 'vector_features'",
        ),
        (None, {"bias_features": ["v"]}, "Column 'v' holds vectors, and cannot be one of the 'bias_features'."),
        (None, {"statistics_features": ["v"]}, "statistics_features has the column 'v', which is not one of the categ"),
        (None, {"shared_embeddings": {"v": "user"}}, "'shared_embeddings' has 'v', which is no column of lists"),
    ],
)
def test_invalid_columns_of_vectors_are_refused(change, params, message):
    X, Y = make_vectors(60)
    varying = [[0.5, 1.5] if i % 2 == 0 else [0.5, 1.5, 2.5] for i in range(60)]
    columns = {
        "varying": objects(varying),
        "arrow": pd.Series(pd.arrays.ArrowExtensionArray(pa.array(varying))),
        "2-D": objects([np.ones((2, 2))] * 60),
        "0-D": objects([np.array(1.0)] * 60),
        "none": objects([None] * 60),
        "empty": objects([[]] * 60),
        "strings": objects([["a", "b"]] * 60),
    }
    X = X.drop(columns="v") if change == "no" else X if change is None else X.assign(v=columns[change])
    with pytest.raises(ValueError, match=re.escape(message)):
        fit(X, Y, **params)
