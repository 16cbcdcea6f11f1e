"""Batches of rows in memory."""

import pytest
import torch

from sklearn_fsmd.training.batches import BatchIterator, TensorData


def data(n, with_weights=True):
    rows = torch.arange(n)
    return TensorData(
        inputs=(torch.stack((rows * 0 + 1, rows * 0 + 11, rows * 0 + 21), dim=1), rows[:, None].float() + 1),
        labels=(rows[:, None].float() + 1) * 2,
        weights=(rows[:, None].float() + 1) * 3 if with_weights else None,
    )


def batches(n, size, *, seed=0, rate=0.0, **kwargs):
    generator = torch.Generator().manual_seed(seed)
    return BatchIterator(
        data(n, **kwargs), size, generator, offsets=torch.tensor([0, 10, 20]), n_categories=2, unknown_rate=rate
    )


@pytest.mark.parametrize(
    ("n", "size", "sizes"),
    [(10, 4, [4, 4, 2]), (9, 4, [4, 5]), (8, 4, [4, 4]), (3, 4, [3]), (1, 4, [1]), (5, 1, [1] * 5)],
)
def test_every_row_comes_once_and_the_last_batch_has_several_rows(n, size, sizes):
    iterator = batches(n, size)
    seen = [numbers[:, 0] for (_, numbers), _, _ in iterator]
    assert [len(rows) for rows in seen] == sizes
    assert len(iterator) == len(sizes)
    assert sorted(torch.cat(seen).tolist()) == list(range(1, n + 1))


def test_inputs_labels_and_weights_are_shuffled_together():
    iterator = batches(100, 30)
    orders = []
    for _ in range(2):
        parts = [torch.cat(part) for part in zip(*((x, y, w) for (_, x), y, w in iterator), strict=True)]
        assert torch.equal(parts[1], parts[0] * 2)
        assert torch.equal(parts[2], parts[0] * 3)
        orders.append(parts[0][:, 0].tolist())
    assert orders[0] != orders[1] != list(range(1, 101))


def test_the_same_seed_gives_the_same_order():
    first, second = ([x[:, 0].tolist() for (_, x), _, _ in batches(50, 8, seed=3)] for _ in range(2))
    assert first == second


def test_a_share_of_the_codes_is_replaced_by_the_unknown_code():
    iterator = batches(1000, 1000, rate=0.1, with_weights=False)
    (((codes, _), _, weights),) = list(iterator)
    assert weights is None
    is_unknown = codes % 10 == 0
    assert is_unknown.float().mean(dim=0).tolist() == pytest.approx([0.1] * 3, abs=0.03)
    assert torch.equal(codes // 10, torch.tensor([0, 1, 2]).expand(1000, 3))
    assert (iterator.data.inputs[0] % 10 == 1).all()  # the data are not changed


def test_a_number_is_masked_together_with_its_bin():
    (((codes, numbers), _, _),) = list(batches(1000, 1000, rate=0.1))
    assert torch.equal(codes[:, 2] == 20, numbers[:, 0] == 0)


def test_small_batches_mask_the_right_share_on_average():
    iterator = batches(200, 2, rate=0.01)
    n_unknown = sum((codes % 10 == 0).sum().item() for _ in range(20) for (codes, _), _, _ in iterator)
    assert n_unknown == pytest.approx(20 * 200 * 3 * 0.01, rel=0.3)
