"""Factorisation machines: Eq. (2) compared with a plain double loop."""

import numpy as np
import pytest
import torch

from sklearn_fsmd.network.embedding import Columns, Embedding
from sklearn_fsmd.network.factorization_machine import FM, FieldWeightedFM, Linear

CARDINALITIES = [4, 3, 6]
COLUMNS = Columns(CARDINALITIES, 2)
CODES = torch.tensor([[0, 5, 9], [3, 4, 12], [1, 6, 7]])  # numbered across all columns
NUMBERS = torch.tensor([[0.5, -1.0], [2.0, 0.0], [-0.3, 1.5]], dtype=torch.float64)


def parts(n_tasks, *, sharing="shared", n_sets=1, dim=3):
    embedding = Embedding(COLUMNS, dim, n_sets=n_sets, std=1.0).double()
    fm = FM(COLUMNS, n_tasks, dim, n_sets=n_sets, sharing=sharing).double()
    for parameter in fm.parameters():
        torch.nn.init.normal_(parameter)
    return embedding, fm


def pairs_by_loop(vectors, x):
    """Σ_{i<j} V_i ∘ V_j x_i x_j."""
    total = np.zeros(vectors.shape[1])
    for i in range(len(vectors)):
        for j in range(i + 1, len(vectors)):
            total += vectors[i] * vectors[j] * x[i] * x[j]
    return total


def weighted_pairs_by_loop(vectors, x, r):
    """Σ_{i<j} r_ij ⟨V_i, V_j⟩ x_i x_j; `r` has the rows of the upper triangle one after the other."""
    terms = [vectors[i] @ vectors[j] * x[i] * x[j] for i in range(len(x)) for j in range(i + 1, len(x))]
    return np.array(terms) @ r


def reference(embedding, fm, row, task, a_set=0):
    table = embedding.table.weight.detach().numpy().reshape(13, embedding.n_sets, -1)[:, a_set]
    vectors = np.concatenate([table[CODES[row]], fm.vectors.detach().numpy()[:, a_set]])
    x = np.concatenate([np.ones(3), NUMBERS[row]])
    w = np.concatenate(
        [fm.linear.categories.weight.detach().numpy()[CODES[row], task], fm.linear.numbers.detach().numpy()[:, task]]
    )
    weights = np.ones(vectors.shape[1]) if fm.weights is None else fm.weights.detach().numpy()[task]
    return w @ x + weights @ pairs_by_loop(vectors, x)


def test_the_shared_fm_is_equation_2():
    embedding, fm = parts(n_tasks=2)
    logits = fm(embedding(CODES, NUMBERS)).detach().numpy()
    assert logits.shape == (3, 1)  # the same logit for every task, Eq. (1)
    np.testing.assert_allclose(logits[:, 0], [reference(embedding, fm, row, 0) for row in range(3)])


def test_the_scale_applies_to_the_pairs_only():
    embedding, fm = parts(n_tasks=2)
    x = embedding(CODES, NUMBERS)
    first_order, whole = fm.linear(x), fm(x)
    fm.scale = 0.1
    torch.testing.assert_close(fm(x) - first_order, 0.1 * (whole - first_order))


def test_with_per_task_sharing_each_task_has_its_weights():
    embedding, fm = parts(n_tasks=3, sharing="per_task")
    logits = fm(embedding(CODES, NUMBERS)).detach().numpy()
    expected = [[reference(embedding, fm, row, k) for k in range(3)] for row in range(3)]
    np.testing.assert_allclose(logits, expected)


def test_separate_embeddings_give_each_task_its_fm():
    embedding, fm = parts(n_tasks=2, n_sets=2)
    logits = fm(embedding(CODES, NUMBERS)).detach().numpy()
    expected = [[reference(embedding, fm, row, k, a_set=k) for k in range(2)] for row in range(3)]
    np.testing.assert_allclose(logits, expected)


@pytest.mark.parametrize("n_sets", [1, 2])
def test_each_pair_of_fields_has_its_weight(n_sets):
    embedding = Embedding(COLUMNS, 3, n_sets=n_sets, std=1.0).double()
    plain, weighted = FM(COLUMNS, 2, 3, n_sets=n_sets).double(), FieldWeightedFM(COLUMNS, 2, 3, n_sets=n_sets).double()
    for parameter in plain.parameters():
        torch.nn.init.normal_(parameter)
    weighted.load_state_dict(plain.state_dict(), strict=False)
    x = embedding(CODES, NUMBERS)
    torch.testing.assert_close(weighted(x), plain(x))  # before training it equals an FM

    torch.nn.init.normal_(weighted.pair_weights)
    for row in range(3):
        for k in range(n_sets):
            table = embedding.table.weight.detach().numpy().reshape(13, n_sets, -1)[:, k]
            vectors = np.concatenate([table[CODES[row]], weighted.vectors.detach().numpy()[:, k]])
            r = 1 + weighted.pair_weights.detach().numpy()[k]
            pairs = weighted_pairs_by_loop(vectors, np.concatenate([np.ones(3), NUMBERS[row]]), r)
            first_order = weighted.linear(x)[row, k].item()
            assert weighted(x)[row, k].item() == pytest.approx(first_order + pairs)


def test_linear_is_the_first_order_part():
    embedding, fm = parts(n_tasks=1)
    linear = Linear(13, 2, 1).double()
    linear.load_state_dict(fm.linear.state_dict())
    torch.nn.init.zeros_(embedding.table.weight)
    torch.nn.init.zeros_(fm.vectors)
    x = embedding(CODES, NUMBERS)
    torch.testing.assert_close(linear(x), fm(x))


@pytest.mark.parametrize("cls", [FM, FieldWeightedFM])
@pytest.mark.parametrize("sharing", ["shared", "per_task"])
def test_gradients_are_right(sharing, cls):
    embedding, fm = parts(n_tasks=2, sharing=sharing)
    if cls is FieldWeightedFM:
        fm = FieldWeightedFM(COLUMNS, 2, 3, sharing=sharing).double()

    def logits(table, numbers):
        fields = table[CODES].unflatten(2, (1, -1))
        return fm(embedding(CODES, numbers)._replace(fields=fields))

    table = embedding.table.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(logits, (table, NUMBERS.clone().requires_grad_()))
