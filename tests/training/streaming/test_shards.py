"""Splitting the rows of a pass among several processes, tested without starting processes."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.encoding.table import Encoded
from sklearn_fsmd.encoding.targets import Targets
from sklearn_fsmd.training import TensorData
from sklearn_fsmd.training.streaming import Dataset, HoldOut
from sklearn_fsmd.training.streaming.batches import FEWEST_CHUNKS, StreamedBatches, chunks
from sklearn_fsmd.training.streaming.shards import Shard, rows_per_group, split_into_shards
from sklearn_fsmd.training.streaming.shared_statistics import SharedStatistics
from tests.conftest import SMALL, make_frame
from tests.training.streaming.conftest import TARGETS, together, write


@pytest.fixture
def dataset(tmp_path):
    table = together(*make_frame(1000))
    table[:600].to_parquet(tmp_path / "a.parquet", row_group_size=70, index=False)
    table[600:].to_parquet(tmp_path / "b.parquet", row_group_size=130, index=False)
    return Dataset.from_source(tmp_path, None, TARGETS, None)


@pytest.mark.parametrize("fraction", [0.0, 0.3])
def test_each_row_group_goes_to_one_shard_and_shards_have_similar_sizes(dataset, fraction):
    dataset = replace(dataset, held=HoldOut(1000, 5, fraction))
    sizes = rows_per_group(dataset)
    assert sum(n for _, n in sizes) == dataset.held.n_training
    orders = []
    for seed in (0, 0, 1):
        shards = split_into_shards(dataset, sizes, seed, 3)
        groups = [group for shard in shards for group in shard.groups]
        assert sorted(groups) == sorted(group for group, _ in sizes)
        assert [shard.n_rows for shard in shards] == [sum(dict(sizes)[g] for g in shard.groups) for shard in shards]
        assert max(shard.n_rows for shard in shards) - min(shard.n_rows for shard in shards) <= 130
        orders.append(groups)
    assert orders[0] == orders[1] != orders[2]
    assert split_into_shards(dataset, [], 0, 1) == [Shard(None, dataset.held.n_training)]
    many = split_into_shards(dataset, sizes, 0, 40)
    assert [shard.n_rows == 0 for shard in many].count(True) == 40 - len(sizes)


def rows_of(numbers):
    return Encoded(np.ones((len(numbers), 1), np.int32), np.array(numbers, np.float32)[:, None]), Targets(
        np.array(numbers, np.float32)[:, None], None
    )


def test_pools_are_cut_into_chunks_at_the_given_rows():
    def pools():
        return iter([rows_of(range(5)), rows_of(range(5, 6)), rows_of(range(6, 12))])

    found = [rows.numbers[:, 0].tolist() for rows, _ in chunks(pools(), [0, 4, 4, 11, 12])]
    assert found == [[], [0, 1, 2, 3], [], [4, 5, 6, 7, 8, 9, 10], [11]]
    for n in (11, 13):
        with pytest.raises(ValueError, match=f"had {n} rows to train on, and has 12 now"):
            list(chunks(pools(), [4, n]))


N_ROWS = [37, 0, 11, 55]
STARTS = np.cumsum([0, *N_ROWS])


def batches_of_rank(rank, n_ranks):
    """The batches of one of several processes, which share 103 rows in four row groups of `N_ROWS` rows."""

    def shards(order, n):
        groups = {1: [range(4)], 2: [(0, 1), (2, 3)], 3: [(0, 3), (1,), (2,)]}[n]
        return [Shard(None if n == 1 else list(part), sum(N_ROWS[g] for g in part)) for part in groups]

    def pools(order, shard):
        for g in range(4) if shard.groups is None else shard.groups:
            yield rows_of(range(STARTS[g], STARTS[g + 1]))

    processes = None if n_ranks == 1 else SimpleNamespace(rank=rank, size=n_ranks, of_first=lambda order, what: order)
    options = {"offsets": torch.zeros(1, dtype=torch.int32), "n_categories": 1, "unknown_rate": 0.0}
    data, generator = TensorData.from_rows(*rows_of(range(100, 103)), "cpu"), torch.Generator().manual_seed(0)
    return StreamedBatches(pools, 103, data, 10, generator, shards=shards, processes=processes, **options)


def counted_rows(batches, ranks):
    """The rows of a step that count, from all processes."""
    pairs = zip(batches, ranks, strict=True)
    return [row for ((_, numbers), *_), rank in pairs for row in numbers[: rank.n_own, 0].tolist()]


def test_the_joint_batches_of_several_processes_equal_those_of_one():
    for n_ranks in (1, 2, 3):
        ranks = [batches_of_rank(rank, n_ranks) for rank in range(n_ranks)]
        seen, sizes = [], []
        for batches in zip(*ranks, strict=True):
            rows = counted_rows(batches, ranks)
            assert {b.n_all for b in ranks} == {len(rows)}
            assert len({b.step_seed for b in ranks}) == n_ranks
            assert all(len(labels) == (b.n_own or 2) for (_, labels, _), b in zip(batches, ranks, strict=True))
            seen += rows
            sizes.append(len(rows))
        assert sorted(seen) == list(range(103))
        assert len(sizes) == len(ranks[0]) == 11
        np.testing.assert_allclose(sizes, [10] * 10 + [3], atol=n_ranks - 1)


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (3, 2), (2, 3)])
def test_an_epoch_can_be_finished_by_another_number_of_processes(before, after):
    seen = []
    ranks = [batches_of_rank(rank, before) for rank in range(before)]
    for i, batches in enumerate(zip(*ranks, strict=True)):
        seen += counted_rows(batches, ranks)
        if i == 4:
            state = ranks[0].state_dict()
            break
    ranks = [batches_of_rank(rank, after) for rank in range(after)]
    for b in ranks:
        b.load_state_dict(state)
    for batches in zip(*ranks, strict=True):
        seen += counted_rows(batches, ranks)
    assert sorted(seen) == list(range(103))
    assert [b.n_shards for b in ranks] == [before] * after
    assert len(list(zip(*ranks, strict=True))) == 11
    assert [b.n_shards for b in ranks] == [after] * after


def test_rates_of_rows_use_earlier_chunks_of_all_shards_without_own_labels(tmp_path):
    """Two processes get the rates of a single process that has the chunks in the order of their exchange."""
    X, Y = make_frame(800)
    path = write(tmp_path / "a.parquet", X, Y)
    model = FSMDClassifier(**SMALL | {"max_epochs": 1}, statistics_features=["user"]).fit_dataset(path, TARGETS)
    statistics = model._encoder.statistics
    rows = model._encoder.encode(X)
    labels = model._targets.encode(Y, None, (None, 0))
    parts = [np.arange(start, start + 100) for start in range(0, 800, 100)]
    mailbox = []

    def take(which):
        return rows.take(which), Targets(labels.labels[which], None)

    class FirstOfTwo:
        """The first of two processes; the messages of the other one are recorded."""

        rank = 0

        def gather(self, message, what):
            return [message, [mailbox.pop(0)]]

    alone = SharedStatistics(statistics, None)
    first = SharedStatistics(statistics, FirstOfTwo())
    others = SharedStatistics(statistics, None)
    for a, b in zip(parts[::2], parts[1::2], strict=True):
        others.append_all([take(b)])
        mailbox.extend(torch.from_numpy(np.concatenate(news)) for news in others.news)
        (found_rows, _), *_ = first.append_all([take(a)])
        (expected, _), _ = alone.append_all([take(a), take(b)])
        np.testing.assert_allclose(found_rows.numbers, expected.numbers, rtol=1e-5)
    changed = labels.labels.copy()
    changed[parts[0][-1]] = 1 - changed[parts[0][-1]]
    again = SharedStatistics(statistics, None)
    (one, _), *_ = again.append_all([(rows.take(parts[0]), Targets(changed[parts[0]], None))])
    other = SharedStatistics(statistics, None).append_all([take(parts[0])])[0][0]
    np.testing.assert_array_equal(one.numbers, other.numbers)  # the label of the last row is not used yet


def test_chunks_are_short_if_processes_exchange_them():
    alone, shared = batches_of_rank(0, 1), batches_of_rank(0, 2)
    for batches in (alone, shared):
        list(batches)
    assert alone._steps_of_a_chunk() > len(alone)
    assert shared._steps_of_a_chunk() == max(len(shared) // FEWEST_CHUNKS, 1) == 1
