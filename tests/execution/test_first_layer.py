"""First layers computed per value of a column, compared with the product of the embedded rows."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_fsmd import FSMDClassifier, MultiTaskClassifier
from sklearn_fsmd.execution import first_layer
from sklearn_fsmd.execution.choice import MANY, ByCore, ByTorch, Scoring
from sklearn_fsmd.execution.crew import Crew
from sklearn_fsmd.network import Columns, Embedding, RowSpec, origin_of, set_execution
from sklearn_fsmd.network.extractors import PLE, SharedBottom
from tests.conftest import SMALL, make_frame

CARDINALITIES = [3, 900, 5, 1, 40]
DIM, N_ROWS = 6, 700
"""The second column has too many values for this number of rows."""


class EmbeddingAndExtractor(nn.Module):
    """An embedding with an extractor on top of it."""

    def __init__(self, extractor, *, numbers=2, cardinalities=CARDINALITIES, sparse=False):
        super().__init__()
        self.embedding = Embedding(Columns(cardinalities, numbers), DIM, std=0.5)
        self.embedding.table.sparse = sparse
        self.extractor = extractor
        for parameter in extractor.parameters():
            nn.init.normal_(parameter, std=0.3)

    def forward(self, codes, numbers):
        return self.extractor(self.embedding(codes, numbers).flat())


def make_network(n_experts=2, **how):
    width = len(how.get("cardinalities", CARDINALITIES)) * DIM + how.get("numbers", 2)
    options = {"n_levels": 2, "gate_dims": (), "dropout": 0.0, "batch_norm": True}
    return EmbeddingAndExtractor(
        PLE(width, 1, (70, 40), n_task_experts=1, n_shared_experts=n_experts - 1, **options), **how
    )


def make_batch(cardinalities=CARDINALITIES, rows=N_ROWS, numbers=2):
    """A random batch; the last quarter of the values of each column does not occur."""
    starts = np.cumsum([0, *cardinalities[:-1]])
    codes = [start + torch.randint(-(-n * 3 // 4), (rows,)) for start, n in zip(starts, cardinalities, strict=True)]
    return torch.stack(codes, dim=1), torch.randn(rows, numbers)


def training_step(network, inputs, execution, *, times=1):
    """The output of a training step, and the gradients."""
    network = copy.deepcopy(network)
    set_execution(network, execution)
    out = network(*inputs)
    loss = (out * torch.linspace(-1, 1, out.shape[-1])).square().sum()
    for _ in range(times):
        network.zero_grad()
        loss.backward(retain_graph=True)
    return [out.detach(), *(parameter.grad for parameter in network.parameters())]


@pytest.fixture
def by_values(monkeypatch):
    """The number of columns that the compiled core computes per value, for each call of a stack."""
    monkeypatch.setenv("SKLEARN_FSMD_EXECUTION", "fused")
    seen, values = [], first_layer.FewValues

    def watch(row, columns, width):
        seen.append(len(columns))
        return values(row, columns, width)

    monkeypatch.setattr(first_layer, "FewValues", watch)
    return seen


def assert_close(ours, expected, rel=1e-3):
    for a, b in zip(ours, expected, strict=True):
        torch.testing.assert_close(a.to_dense(), b.to_dense(), rtol=rel, atol=rel * float(b.to_dense().abs().max()))


@pytest.mark.usefixtures("multiplied_by")
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("n_experts", [2, 3])
def test_training_steps_equal_those_of_torch(n_experts, sparse, n_threads, by_values):
    network, inputs = make_network(n_experts, sparse=sparse), make_batch()
    ours = training_step(network, inputs, ByCore(Crew(n_threads)))
    assert by_values == [4]
    expected = training_step(network, inputs, ByTorch())
    assert_close(ours, expected)
    if sparse:  # unused values have no gradient, not even zeros
        assert torch.equal(ours[1].coalesce().indices(), expected[1].coalesce().indices())


def test_several_members_are_computed_at_once_in_small_batches(by_values, monkeypatch):
    """With small batches a thread computes several members at once."""
    monkeypatch.setattr("sklearn_fsmd.execution.products.onednn", lambda: None)
    network, inputs = make_network(4), make_batch(rows=60)
    assert_close(training_step(network, inputs, ByCore(Crew(1))), training_step(network, inputs, ByTorch()))
    assert by_values == [3]


@pytest.mark.parametrize("numbers", [0, 3])
def test_all_columns_may_be_computed_per_value(numbers, by_values):
    cardinalities = [4, 9]
    network, inputs = (
        make_network(numbers=numbers, cardinalities=cardinalities),
        make_batch(cardinalities, numbers=numbers),
    )
    assert_close(training_step(network, inputs, ByCore(Crew(2))), training_step(network, inputs, ByTorch()))
    assert by_values == [2]


def test_bfloat16_is_close(by_values):
    network, inputs = make_network(), make_batch()
    exact = training_step(network, inputs, ByTorch())
    low = training_step(network, inputs, ByCore(Crew(2), torch.bfloat16))
    assert by_values == [4]
    for ours, expected in zip(low, exact, strict=True):
        assert torch.cosine_similarity(ours.flatten(), expected.flatten(), dim=0) > 0.99


@pytest.mark.usefixtures("multiplied_by")
@pytest.mark.parametrize("n_experts", [2, 3])
def test_results_are_identical_for_any_number_of_threads(n_experts):
    network, inputs = make_network(n_experts), make_batch()
    for one, two in zip(*(training_step(network, inputs, ByCore(Crew(n))) for n in (1, 2)), strict=True):
        assert torch.equal(one, two)


def test_a_second_backward_pass_gives_the_same_gradients():
    network, inputs = make_network(), make_batch()
    for once, twice in zip(*(training_step(network, inputs, ByCore(Crew(2)), times=n) for n in (1, 2)), strict=True):
        assert torch.equal(once, twice)


@pytest.mark.parametrize("bottom", [True, False])
def test_predictions_equal_those_of_torch(bottom, by_values):
    extractor = SharedBottom(len(CARDINALITIES) * DIM + 2, 2, (70, 40), dropout=0.0, batch_norm=True)
    network = (EmbeddingAndExtractor(extractor) if bottom else make_network(3)).eval()
    codes, numbers = make_batch(rows=MANY)
    numbers[5, 1] = torch.nan
    found = []
    for execution in (Scoring(), ByTorch()):
        set_execution(network, execution)
        with torch.inference_mode(isinstance(execution, Scoring) and not isinstance(execution, ByTorch)):
            found.append(network(codes, numbers).detach().clone())
    assert by_values == [4]
    torch.testing.assert_close(*found, equal_nan=True, rtol=1e-4, atol=1e-4)
    assert found[0][5].isnan().any()


def test_codes_of_another_column_are_refused():
    network, (codes, numbers) = make_network(), make_batch()
    set_execution(network, ByCore(Crew(1)))
    for column, code in ((0, 3), (2, 902), (4, 908)):
        wrong = codes.clone()
        wrong[7, column] = code
        with pytest.raises(ValueError, match="codes outside the rows of their columns"):
            network(wrong, numbers)


def test_a_custom_extractor_that_changes_its_input_gets_plain_rows(by_values, monkeypatch):
    class Doubled(SharedBottom):
        def forward(self, x):
            return super().forward(x.mul_(2.0))

    found = []
    X, Y = make_frame(400)
    for execution_name in ("torch", "fused"):
        monkeypatch.setenv("SKLEARN_FSMD_EXECUTION", execution_name)

        def custom_extractor(n_in, n_tasks):
            return Doubled(n_in, n_tasks, (16, 8), dropout=0.0, batch_norm=True)

        model = MultiTaskClassifier(
            extractor=custom_extractor, batch_size=200, max_epochs=2, random_state=0, dropout=0.0
        )
        found.append(model.fit(X, Y).predict_marginals(X))
    assert not by_values
    np.testing.assert_allclose(*found, atol=1e-4)


def test_changed_rows_are_not_computed_per_value():
    embedding = Embedding(Columns([3, 4], 1), 2)
    codes, numbers = torch.tensor([[0, 3]]), torch.zeros(1, 1)
    assert isinstance(origin_of(embedding(codes, numbers).flat()), RowSpec)
    assert origin_of(embedding.with_vectors(codes, numbers, torch.zeros(1, 2, 1, 2)).flat()) is None
    assert origin_of(embedding(codes, numbers).flat() * 1) is None


@pytest.mark.parametrize("options", [{}, {"embedding_compression": "quotient_remainder", "max_embedding_rows": 6}])
def test_a_model_with_new_values_equals_that_of_torch(options, by_values, monkeypatch):
    X, Y = make_frame(600)
    later = X.assign(city=X["city"].map({"Paris": "Bern", "Rome": "Riga"}))
    found = []
    for execution_name in ("torch", "fused"):
        monkeypatch.setenv("SKLEARN_FSMD_EXECUTION", execution_name)
        params = SMALL | {"dropout": 0.0, "max_epochs": 1, "batch_size": 300, "new_categories": "grow", **options}
        model = FSMDClassifier(**params).fit(X, Y).partial_fit(later, Y).partial_fit(later, Y)
        found.append(model.predict_marginals(later))
    assert by_values
    np.testing.assert_allclose(*found, atol=1e-3)


@pytest.mark.parametrize("options", [{}, {"embedding_compression": "quotient_remainder", "max_embedding_rows": 6}])
def test_a_loaded_model_predicts_per_value(options, by_values, tmp_path):
    X, Y = make_frame(2 * MANY)
    model = FSMDClassifier(**SMALL | {"max_epochs": 1} | options).fit(X, Y)
    model.save(tmp_path / "m")
    loaded = FSMDClassifier.load(tmp_path / "m")
    by_values.clear()
    np.testing.assert_array_equal(loaded.predict_marginals(X), model.predict_marginals(X))
    assert len(by_values) == 4  # two chunks per model
    loaded.partial_fit(X, Y)
