"""First layers by values, compared with the formula: a product with the embedded row."""

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
DIM, ROWS = 6, 700
"""The second column has too many values for this number of rows."""


class Reader(nn.Module):
    """An embedding, and an extractor on top of it."""

    def __init__(self, extractor, *, numbers=2, cardinalities=CARDINALITIES, sparse=False):
        super().__init__()
        self.embedding = Embedding(Columns(cardinalities, numbers), DIM, std=0.5)
        self.embedding.table.sparse = sparse
        self.extractor = extractor
        for parameter in extractor.parameters():
            nn.init.normal_(parameter, std=0.3)

    def forward(self, codes, numbers):
        return self.extractor(self.embedding(codes, numbers).flat())


def reader(n_experts=2, **how):
    width = len(how.get("cardinalities", CARDINALITIES)) * DIM + how.get("numbers", 2)
    options = {"n_levels": 2, "gate_dims": (), "dropout": 0.0, "batch_norm": True}
    return Reader(PLE(width, 1, (70, 40), n_task_experts=1, n_shared_experts=n_experts - 1, **options), **how)


def batch(cardinalities=CARDINALITIES, rows=ROWS, numbers=2):
    """A random batch; the last quarter of the values of each column does not occur."""
    starts = np.cumsum([0, *cardinalities[:-1]])
    codes = [start + torch.randint(-(-n * 3 // 4), (rows,)) for start, n in zip(starts, cardinalities, strict=True)]
    return torch.stack(codes, dim=1), torch.randn(rows, numbers)


def trained(made, given, execution, *, times=1):
    """The output of a training step, and the gradients."""
    made = copy.deepcopy(made)
    set_execution(made, execution)
    out = made(*given)
    loss = (out * torch.linspace(-1, 1, out.shape[-1])).square().sum()
    for _ in range(times):
        made.zero_grad()
        loss.backward(retain_graph=True)
    return [out.detach(), *(parameter.grad for parameter in made.parameters())]


@pytest.fixture
def by_values(monkeypatch):
    """The number of columns computed by values, for each call of a stack, with the compiled core."""
    monkeypatch.setenv("SKLEARN_FSMD_EXECUTION", "fused")
    seen, values = [], first_layer.FewValues

    def watch(row, columns, width):
        seen.append(len(columns))
        return values(row, columns, width)

    monkeypatch.setattr(first_layer, "FewValues", watch)
    return seen


def agree(ours, expected, rel=1e-3):
    for a, b in zip(ours, expected, strict=True):
        torch.testing.assert_close(a.to_dense(), b.to_dense(), rtol=rel, atol=rel * float(b.to_dense().abs().max()))


@pytest.mark.usefixtures("multiplied_by")
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("n_experts", [2, 3])
def test_training_says_what_the_formula_says(n_experts, sparse, n_threads, by_values):
    made, given = reader(n_experts, sparse=sparse), batch()
    ours = trained(made, given, ByCore(Crew(n_threads)))
    assert by_values == [4]
    expected = trained(made, given, ByTorch())
    agree(ours, expected)
    if sparse:  # a value that is not read has no gradient, not even one of zeros
        assert torch.equal(ours[1].coalesce().indices(), expected[1].coalesce().indices())


def test_several_members_at_once(by_values, monkeypatch):
    """In small batches a thread computes several members at once."""
    monkeypatch.setattr("sklearn_fsmd.execution.products.onednn", lambda: None)
    made, given = reader(4), batch(rows=60)
    agree(trained(made, given, ByCore(Crew(1))), trained(made, given, ByTorch()))
    assert by_values == [3]


@pytest.mark.parametrize("numbers", [0, 3])
def test_rows_of_such_columns_alone(numbers, by_values):
    cardinalities = [4, 9]
    made, given = reader(numbers=numbers, cardinalities=cardinalities), batch(cardinalities, numbers=numbers)
    agree(trained(made, given, ByCore(Crew(2))), trained(made, given, ByTorch()))
    assert by_values == [2]


def test_bfloat16(by_values):
    made, given = reader(), batch()
    exact = trained(made, given, ByTorch())
    low = trained(made, given, ByCore(Crew(2), torch.bfloat16))
    assert by_values == [4]
    for ours, expected in zip(low, exact, strict=True):
        assert torch.cosine_similarity(ours.flatten(), expected.flatten(), dim=0) > 0.99


@pytest.mark.usefixtures("multiplied_by")
@pytest.mark.parametrize("n_experts", [2, 3])
def test_bits_do_not_depend_on_the_number_of_threads(n_experts):
    made, given = reader(n_experts), batch()
    for one, two in zip(*(trained(made, given, ByCore(Crew(n))) for n in (1, 2)), strict=True):
        assert torch.equal(one, two)


def test_a_graph_is_gone_back_twice():
    made, given = reader(), batch()
    for once, twice in zip(*(trained(made, given, ByCore(Crew(2)), times=n) for n in (1, 2)), strict=True):
        assert torch.equal(once, twice)


@pytest.mark.parametrize("bottom", [True, False])
def test_predictions(bottom, by_values):
    extractor = SharedBottom(len(CARDINALITIES) * DIM + 2, 2, (70, 40), dropout=0.0, batch_norm=True)
    made = (Reader(extractor) if bottom else reader(3)).eval()
    codes, numbers = batch(rows=MANY)
    numbers[5, 1] = torch.nan
    found = []
    for execution in (Scoring(), ByTorch()):
        set_execution(made, execution)
        with torch.inference_mode(isinstance(execution, Scoring) and not isinstance(execution, ByTorch)):
            found.append(made(codes, numbers).detach().clone())
    assert by_values == [4]
    torch.testing.assert_close(*found, equal_nan=True, rtol=1e-4, atol=1e-4)
    assert found[0][5].isnan().any()


def test_codes_of_another_column_are_refused():
    made, (codes, numbers) = reader(), batch()
    set_execution(made, ByCore(Crew(1)))
    for column, code in ((0, 3), (2, 902), (4, 908)):
        wrong = codes.clone()
        wrong[7, column] = code
        with pytest.raises(ValueError, match="codes outside the rows of their columns"):
            made(wrong, numbers)


def test_who_may_change_rows_is_not_told(by_values, monkeypatch):
    class Doubles(SharedBottom):
        def forward(self, x):
            return super().forward(x.mul_(2.0))

    found = []
    X, Y = make_frame(400)
    for way in ("torch", "fused"):
        monkeypatch.setenv("SKLEARN_FSMD_EXECUTION", way)

        def own(n_in, n_tasks):
            return Doubles(n_in, n_tasks, (16, 8), dropout=0.0, batch_norm=True)

        model = MultiTaskClassifier(extractor=own, batch_size=200, max_epochs=2, random_state=0, dropout=0.0)
        found.append(model.fit(X, Y).predict_marginals(X))
    assert not by_values
    np.testing.assert_allclose(*found, atol=1e-4)


def test_vectors_that_are_not_those_of_the_table_are_not_looked_up():
    embedding = Embedding(Columns([3, 4], 1), 2)
    codes, numbers = torch.tensor([[0, 3]]), torch.zeros(1, 1)
    assert isinstance(origin_of(embedding(codes, numbers).flat()), RowSpec)
    assert origin_of(embedding.with_vectors(codes, numbers, torch.zeros(1, 2, 1, 2)).flat()) is None
    assert origin_of(embedding(codes, numbers).flat() * 1) is None


@pytest.mark.parametrize("options", [{}, {"embedding_compression": "quotient_remainder", "max_embedding_rows": 6}])
def test_a_model_whose_columns_have_grown(options, by_values, monkeypatch):
    X, Y = make_frame(600)
    later = X.assign(city=X["city"].map({"Paris": "Bern", "Rome": "Riga"}))
    found = []
    for way in ("torch", "fused"):
        monkeypatch.setenv("SKLEARN_FSMD_EXECUTION", way)
        params = SMALL | {"dropout": 0.0, "max_epochs": 1, "batch_size": 300, "new_categories": "grow", **options}
        model = FSMDClassifier(**params).fit(X, Y).partial_fit(later, Y).partial_fit(later, Y)
        found.append(model.predict_marginals(later))
    assert by_values
    np.testing.assert_allclose(*found, atol=1e-3)


@pytest.mark.parametrize("options", [{}, {"embedding_compression": "quotient_remainder", "max_embedding_rows": 6}])
def test_a_model_that_was_loaded(options, by_values, tmp_path):
    X, Y = make_frame(2 * MANY)
    model = FSMDClassifier(**SMALL | {"max_epochs": 1} | options).fit(X, Y)
    model.save(tmp_path / "m")
    loaded = FSMDClassifier.load(tmp_path / "m")
    by_values.clear()
    np.testing.assert_array_equal(loaded.predict_marginals(X), model.predict_marginals(X))
    assert len(by_values) == 4  # two chunks each
    loaded.partial_fit(X, Y)
