"""Embeddings of codes and numbers."""

import pytest
import torch

from sklearn_fsmd.network.embedding import Columns, Embedding, Ragged, Table


def test_flat_concatenates_vectors_and_numbers():
    embedding = Embedding(Columns([2, 3], 1), dim=4)
    codes, numbers = torch.tensor([[1, 4], [0, 2]]), torch.tensor([[0.5], [-1.0]])
    table = embedding.table.weight
    expected = torch.stack([torch.cat((table[1], table[4], numbers[0])), torch.cat((table[0], table[2], numbers[1]))])
    torch.testing.assert_close(embedding(codes, numbers).flat(), expected)


def test_each_set_has_its_vectors():
    embedding = Embedding(Columns([2, 3], 1), dim=4, n_sets=2)
    codes, numbers = torch.tensor([[1, 4]]), torch.tensor([[0.5]])
    flat = embedding(codes, numbers).flat()
    assert flat.shape == (1, 2, 9)
    table = embedding.table.weight.view(5, 2, 4)
    for s in range(2):
        torch.testing.assert_close(flat[0, s], torch.cat((table[1, s], table[4, s], numbers[0])))


def test_initial_values_have_the_given_deviation():
    assert Embedding(Columns([1000], 0), dim=16, std=1e-4).table.weight.std().item() < 1.1e-4


@pytest.mark.parametrize("pooling", ["mean", "sum", "max"])
def test_pooled_lists_have_sparse_gradients_where_the_table_has(pooling):
    column = Ragged(torch.tensor([1, 4, 4, 0, 2, 3]), torch.tensor([0, 3, 3, 5, 6]))
    dense, sparse = Table(5, 3), Table(5, 3, sparse=True)
    sparse.load_state_dict(dense.state_dict())
    pooled = [table.pooled(column, pooling) for table in (dense, sparse)]
    torch.testing.assert_close(*pooled)
    for vectors in pooled:
        vectors.square().sum().backward()
    assert sparse.weight.grad.is_sparse
    torch.testing.assert_close(sparse.weight.grad.to_dense(), dense.weight.grad)
