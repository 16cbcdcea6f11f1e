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
def test_every_row_comes_once_and_no_last_row_comes_alone(n, size, sizes):
    made = batches(n, size)
    seen = [numbers[:, 0] for (_, numbers), _, _ in made]
    assert [len(rows) for rows in seen] == sizes
    assert len(made) == len(sizes)
    assert sorted(torch.cat(seen).tolist()) == list(range(1, n + 1))


def test_the_parts_of_a_row_stay_together_in_random_order():
    made = batches(100, 30)
    orders = []
    for _ in range(2):
        parts = [torch.cat(part) for part in zip(*((x, y, w) for (_, x), y, w in made), strict=True)]
        assert torch.equal(parts[1], parts[0] * 2)
        assert torch.equal(parts[2], parts[0] * 3)
        orders.append(parts[0][:, 0].tolist())
    assert orders[0] != orders[1] != list(range(1, 101))


def test_same_seed_same_order():
    first, second = ([x[:, 0].tolist() for (_, x), _, _ in batches(50, 8, seed=3)] for _ in range(2))
    assert first == second


def test_a_share_of_the_codes_becomes_the_column_s_unknown_row():
    made = batches(1000, 1000, rate=0.1, with_weights=False)
    (((codes, _), _, weights),) = list(made)
    assert weights is None
    hidden = codes % 10 == 0
    assert hidden.float().mean(dim=0).tolist() == pytest.approx([0.1] * 3, abs=0.03)
    assert torch.equal(codes // 10, torch.tensor([0, 1, 2]).expand(1000, 3))
    assert (made.data.inputs[0] % 10 == 1).all()  # the data itself is left alone


def test_with_the_bin_of_a_number_the_number_is_hidden():
    (((codes, numbers), _, _),) = list(batches(1000, 1000, rate=0.1))
    assert torch.equal(codes[:, 2] == 20, numbers[:, 0] == 0)


def test_small_batches_hide_their_share_in_the_mean():
    made = batches(200, 2, rate=0.01)
    n_hidden = sum((codes % 10 == 0).sum().item() for _ in range(20) for (codes, _), _, _ in made)
    assert n_hidden == pytest.approx(20 * 200 * 3 * 0.01, rel=0.3)
