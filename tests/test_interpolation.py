"""Interpolation of the vectors of neighbouring bins: its values, the models that use it, and its benefit."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import log_loss

from sklearn_fsmd import FSClassifier, FSMDClassifier, MultiTaskClassifier
from sklearn_fsmd.encoding import InputEncoder
from sklearn_fsmd.encoding.table import FeatureEncoder
from sklearn_fsmd.network import Columns, Embedding, origin_of
from sklearn_fsmd.network.interpolation import Interpolation, interpolation_table
from tests.conftest import SMALL, make_frame
from tests.export.files import File, check_same
from tests.test_growing import grown


def encoder(X, **params):
    """A fitted encoder and the encoded rows."""
    input_encoder = InputEncoder(MultiTaskClassifier(**{"numeric_bins": 8, **params}))
    return input_encoder, input_encoder.fit_encode(X)


def fields_of(column, rows, table):
    """The table rows interpolated between the means of bins by `np.interp`; `rows` are scaled numbers and bins."""
    numbers, bins = rows
    between = np.stack([np.interp(numbers, column.means, weights[1:]) for weights in table.T], axis=1)
    return np.where((bins == 0)[:, None], table[0], between)


NUMBERS = {
    "normal": np.random.RandomState(0).normal(size=500),
    "mostly zeros": np.random.RandomState(1).exponential(size=500) * (np.arange(500) % 3 == 0),
    "few values": np.arange(500) % 5,
    "one value": np.full(500, 3.0),
    "none": np.full(500, np.nan),
    "closer than a float32": 1 + np.arange(500) * 1e-9,
    "with gaps": np.where(np.arange(500) % 4 == 0, np.nan, np.random.RandomState(2).lognormal(size=500)),
}


@pytest.mark.parametrize("scaling", ["standard", "quantile", None])
def test_vectors_are_interpolated_between_bins(scaling):
    X = pd.DataFrame({"city": np.arange(500) % 3, **NUMBERS}).astype({"city": "category"})
    input_encoder, rows = encoder(X, numeric_scaling=scaling)
    later = pd.concat([X, X.assign(normal=X["normal"] * 3, **{"with gaps": X["with gaps"] + 0.01})])
    rows = input_encoder.encode_main(later)
    main = input_encoder.main
    assert main.interpolate_bins is True
    columns = Columns(main.cardinalities, len(main.numeric), bin_means=main.bin_means)
    embedding = Embedding(columns, dim=4, std=1.0)
    codes, numbers = rows.tensors()
    fields = embedding(codes, numbers).fields[:, :, 0].detach().numpy()
    table = embedding.table.weight.detach().numpy()
    np.testing.assert_array_equal(fields[:, 0], table[rows.codes[:, 0]])
    for j, (column, offset) in enumerate(zip(main.numeric.values(), main.offsets[1:], strict=True), start=1):
        column_table = table[offset : offset + column.n_rows]
        expected = fields_of(column, (rows.numbers[:, j - 1], rows.codes[:, j] - offset), column_table)
        if column.name != "closer than a float32":  # which may be in any of its bins
            np.testing.assert_allclose(fields[:, j], expected, rtol=1e-4, atol=2e-5)
    assert np.isfinite(fields).all()


def test_bin_means_are_the_means_of_the_numbers_in_the_bins():
    x = np.concatenate([np.zeros(300), np.random.RandomState(0).lognormal(size=700)])
    input_encoder, rows = encoder(pd.DataFrame({"x": x}), numeric_scaling=None, numeric_bins=5)
    column = input_encoder.main.numeric[0]
    expected = pd.Series(x).groupby(rows.codes[:, 0]).mean()
    assert list(expected.index) == list(range(1, column.n_rows))
    np.testing.assert_allclose(column.means, expected)


def test_bins_with_almost_equal_means_are_not_interpolated():
    means, over_distance, steps = interpolation_table(np.array([1.0, 1.0 + 1e-12, 2.0], dtype=np.float32))
    np.testing.assert_array_equal(means, [0, 1, 1, 2])
    np.testing.assert_array_equal(over_distance, [[0, 0], [0, 0], [0, 1], [-1, 0]])
    np.testing.assert_array_equal(steps, over_distance)
    np.testing.assert_array_equal(interpolation_table(np.array([1.0, 3.0, 2.0], dtype=np.float32))[0], [0, 1, 3, 3])
    with pytest.raises(ValueError, match=r"means for bins of \[3\] rows in columns of \[2, 4\] rows"):
        Embedding(Columns([2, 4], 1, bin_means=[np.array([0.0, 1.0])]), dim=2)
    between = Interpolation([[0.0, 1.0]])
    between.set_cardinalities([2, 3])
    neighbours, share = between(torch.tensor([[2], [3], [4]]), torch.tensor([[9.0], [0.25], [1.0]]))
    assert neighbours.flatten().tolist() == [2, 4, 3]  # missing, between two means, at a mean
    assert share.flatten().tolist() == [0, 0.25, 0]


def test_gradients_go_to_both_bins():
    embedding = Embedding(Columns([2, 4], 1, bin_means=[np.array([0.0, 1.0, 2.0])]), dim=2)
    embedding(torch.tensor([[1, 3]]), torch.tensor([[0.25]])).fields.sum().backward()
    assert embedding.table.weight.grad.sum(dim=1).tolist() == [0, 2, 0, 1.5, 0.5, 0]


def test_the_origin_excludes_interpolated_columns():
    columns = Columns([3, 4, 3], 2, bin_means=[np.arange(3.0), np.arange(2.0)])
    embedded = Embedding(columns, dim=2)(torch.tensor([[1, 4, 8]]), torch.zeros(1, 2))
    assert origin_of(embedded.flat()).columns == (0,)


# ------------------------------------------------------------------------------------------------ the automatic choice


@pytest.mark.parametrize("n_values", [100, 101])
def test_auto_is_off_with_a_column_of_more_than_100_values(n_values):
    ids = (np.arange(1000) % n_values).astype(str)
    by_rows = encoder(pd.DataFrame({"id": ids, "x": np.arange(1000.0)}))[0].main
    lists = [[one] for one in ids]
    by_lists = encoder(pd.DataFrame({"ids": lists, "x": np.arange(1000.0)}))[0].main
    explicit = encoder(pd.DataFrame({"id": ids, "x": np.arange(1000.0)}), interpolate_bins=True)[0].main
    for input_encoder in by_rows, by_lists:
        assert input_encoder.interpolate_bins is (n_values == 100)
        assert len(input_encoder.bin_means) == (n_values == 100)
    assert explicit.interpolate_bins is True


def test_blocks_give_the_same_means():
    X, _ = make_frame()
    at_once = FeatureEncoder.from_params(MultiTaskClassifier(), interpolate_bins="auto")
    at_once.fit_encode(X)
    in_blocks = FeatureEncoder.from_params(MultiTaskClassifier(), interpolate_bins="auto")
    for start in range(0, len(X), 70):
        in_blocks.update(X[start : start + 70])
    in_blocks.finalize()
    assert in_blocks.interpolate_bins is True
    for one, other in zip(at_once.bin_means, in_blocks.bin_means, strict=True):
        np.testing.assert_array_equal(one, other)


def test_without_bins_there_is_no_interpolation():
    X, Y = make_frame()
    model = FSMDClassifier(**{**SMALL, "numeric_bins": 0}, interpolate_bins=True).fit(X, Y)
    assert model.module_.embedding.between is None


# ------------------------------------------------------------------------------------------------------------ in models

LARGE = SMALL | {"embedding_std": 0.5}
"""Initial embeddings are large enough to matter after a few steps."""

MODELS = {
    "default": {},
    "members, separate": {"n_members": 2, "extractor": "separate", "low_order": "fm"},
    "fwfm": {"low_order": "fwfm"},
    "shared rows": {"embedding_compression": "quotient_remainder", "max_embedding_rows": 12},
    "hashed rows": {"embedding_compression": "hash", "max_embedding_rows": 12},
    "sparse tables": {"embedding_optimizer": "sparse"},
    "quantile": {"numeric_scaling": "quantile"},
    "statistics": {"statistics_features": ["user"]},
}


@pytest.mark.filterwarnings("ignore:.*share")
@pytest.mark.parametrize("params", MODELS.values(), ids=MODELS)
def test_saved_exported_and_single_row_predictions_agree(params, tmp_path):
    X, Y = make_frame()
    model = MultiTaskClassifier(**LARGE, **params, interpolate_bins=True).fit(X, Y)
    assert model.module_.embedding.between is not None
    expected = model.predict_marginals(X)
    rows = np.concatenate([model.predict_marginals(X[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(rows, expected[:20], rtol=1e-5)
    model.save(tmp_path / "model.safetensors")
    loaded = MultiTaskClassifier.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict_marginals(X), expected)
    check_same(model, File(model, tmp_path), X.assign(price=X["price"] * 1.1))


def test_torch_and_fused_execution_agree(monkeypatch):
    X, Y = make_frame(2000)
    predictions = {}
    for name in ("torch", "fused"):
        monkeypatch.setenv("SKLEARN_FSMD_EXECUTION", name)
        model = FSMDClassifier(**{**LARGE, "batch_size": 256, "dropout": 0.0}, interpolate_bins=True).fit(X, Y)
        predictions[name] = model.predict_marginals(X)
    np.testing.assert_allclose(predictions["fused"], predictions["torch"], atol=2e-4)


def test_new_categories_shift_the_bins_without_changing_outputs():
    X, Y = make_frame()
    later = X.assign(city=X["city"].where(X["city"] != "Rome", "Bergen"))
    model = FSMDClassifier(**LARGE, interpolate_bins=True, new_categories="grow").fit(X, Y)
    net, encoder = grown(model, later)
    rows, moved = model._rows(later), encoder.encode_main(later)
    assert (moved.codes[:, -1] > rows.codes[:, -1]).all()
    with torch.no_grad():
        before, after = model.module_(*rows.tensors()), net.module_.eval()(*moved.tensors())
    torch.testing.assert_close(after, before)


def test_a_warm_start_cannot_change_interpolate_bins():
    X, Y = make_frame()
    model = FSMDClassifier(**SMALL, warm_start=True).fit(X, Y)
    with pytest.raises(ValueError, match="'interpolate_bins' parameter was 'auto' in the fit .* and is False now"):
        model.set_params(interpolate_bins=False).fit(X, Y)


def test_interpolation_helps_if_rates_vary_within_bins():
    """Bins alone cannot follow a rate that goes up and down within them."""
    random = np.random.RandomState(0)
    X = pd.DataFrame({"x": random.uniform(size=20_000), "noise": random.normal(size=20_000)})
    p_true = 1 / (1 + np.exp(-3 * np.sin(20 * X["x"].to_numpy())))
    Y = (random.uniform(size=(2, 20_000)) < p_true).T.astype(int)
    losses = {}
    for between in (False, True):
        model = FSClassifier(**{**SMALL, "numeric_bins": 12}, interpolate_bins=between)
        p = model.fit(X[:15_000], Y[:15_000]).predict_marginals(X[15_000:])
        losses[between] = log_loss(Y[15_000:, 0], p[:, 0].astype(float))
    assert losses[True] < losses[False] - 0.03
