"""Batches across pools, the random order of row groups, held-out rows and the background thread."""

import threading
import time
from contextvars import ContextVar

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import config_context, get_config

from sklearn_fsmd.encoding.sources.parquet import ParquetSource
from sklearn_fsmd.encoding.table import Encoded
from sklearn_fsmd.encoding.targets import Targets
from sklearn_fsmd.training import TensorData
from sklearn_fsmd.training.streaming.ahead import read_ahead
from sklearn_fsmd.training.streaming.batches import StreamedBatches
from sklearn_fsmd.training.streaming.holdout import HoldOut, chance


def make_batches(pool_sizes, size):
    def pools(seed, shard=None):
        start = 0
        for n in np.random.default_rng(seed).permutation(pool_sizes):
            rows = np.arange(start, start + n)
            numbers = rows[:, None].astype(np.float32)
            yield Encoded(np.ones((n, 1), np.int32), numbers), Targets(numbers.copy(), None)
            start += n

    one = next(pools(0))
    options = {"offsets": torch.zeros(1, dtype=torch.int32), "n_categories": 1, "unknown_rate": 0.0}
    data = TensorData.from_rows(*one, "cpu")
    return StreamedBatches(pools, sum(pool_sizes), data, size, torch.Generator().manual_seed(0), **options)


@pytest.mark.parametrize(
    ("pools", "size", "sizes"),
    [
        ([5, 5, 5], 4, [4, 4, 4, 3]),
        ([3, 7, 2, 1], 4, [4, 4, 5]),  # a single last row joins the batch before
        ([1, 1, 1, 1], 4, [4]),
        ([10], 3, [3, 3, 4]),
        ([2], 8, [2]),
        ([9, 30, 2], 20, [20, 21]),
    ],
)
def test_batches_have_their_size_and_contain_each_row_once(pools, size, sizes):
    batches = make_batches(pools, size)
    for _ in range(2):
        seen = [numbers[:, 0] for (_, numbers), _, _ in batches]
        assert [len(rows) for rows in seen] == sizes
        assert len(batches) == len(sizes)
        assert sorted(torch.cat(seen).tolist()) == list(range(sum(pools)))


def test_a_pass_can_be_resumed_from_its_state():
    whole, first, second = (make_batches([7, 20, 3, 9], 4) for _ in range(3))
    expected = [numbers[:, 0].tolist() for _ in range(2) for (_, numbers), _, _ in whole]
    seen = []
    for i, ((_, numbers), _, _) in enumerate(first):
        seen.append(numbers[:, 0].tolist())
        if i == 5:
            second.load_state_dict(first.state_dict())
            break
    for _ in range(2):
        seen += [numbers[:, 0].tolist() for (_, numbers), _, _ in second]
    assert seen == expected
    with pytest.raises(ValueError, match="100 batches of a pass of 10 cannot have been taken"):
        second.load_state_dict(first.state_dict() | {"n_done": 100})


def test_missing_rows_in_a_later_pass_are_an_error():
    batches = make_batches([5, 5], 4)
    batches._n_rows = 12
    with pytest.raises(ValueError, match="had 12 rows to train on, and has 10 now"):
        list(batches)


@pytest.mark.usefixtures("_small_sizes")
def test_each_pass_mixes_row_groups_in_another_random_order(tmp_path):
    pd.DataFrame({"x": np.arange(2000)}).to_parquet(tmp_path / "a.parquet", row_group_size=100)
    source = ParquetSource(tmp_path / "a.parquet")
    orders = []
    for seed in (0, 0, 1):
        pools = [block for pool in source.pools(["x"], seed) for block in pool]
        for block in pools:
            np.testing.assert_array_equal(block.frame["x"], block.positions)
        for block in pools[:-1]:
            assert len({position // 100 for position in block.positions}) == 3
        orders.append(np.concatenate([block.positions for block in pools]).tolist())
        assert sorted(orders[-1]) == list(range(2000))
    assert orders[0] == orders[1] != orders[2]


def test_the_number_of_open_row_groups_is_limited_by_their_bytes(tmp_path, monkeypatch):
    from sklearn_fsmd.encoding.sources import sizes

    pd.DataFrame({"x": np.arange(20_000)}).to_parquet(tmp_path / "a.parquet", row_group_size=100)
    source = ParquetSource(tmp_path / "a.parquet")
    size = source.footers[0].largest
    assert 800 <= size < 2000  # 100 numbers of 8 bytes, and metadata
    monkeypatch.setattr(sizes, "POOL_ROWS", 640)
    for n_bytes, limit, n_open in ((100 * size, 64, 50), (20 * size + 1, 20, 20), (size, 8, 8)):  # of 200
        monkeypatch.setattr(sizes, "OPEN_BYTES", n_bytes)
        assert source.n_open() == limit
        first = next(source.pools(["x"], 0))[0]
        assert len({position // 100 for position in first.positions}) == n_open


def test_files_with_different_types_are_mixed(tmp_path, monkeypatch):
    """A pool has blocks of both files, so that no batch has rows of a single file only."""
    from sklearn_fsmd.encoding.sources import sizes

    monkeypatch.setattr(sizes, "POOL_ROWS", 400)
    pd.DataFrame({"x": np.arange(1000)}).to_parquet(tmp_path / "a.parquet", row_group_size=100)
    pd.DataFrame({"x": np.arange(1000, 2000, dtype=np.int32)}).to_parquet(tmp_path / "b.parquet", row_group_size=100)
    pools = list(ParquetSource(tmp_path).pools(["x"], 0))
    assert 4 <= len(pools) <= 6
    assert sum(len(pool) == 2 for pool in pools) >= 4
    for block in (block for pool in pools for block in pool):
        np.testing.assert_array_equal(block.frame["x"], block.positions)
    assert sorted(position for pool in pools for block in pool for position in block.positions) == list(range(2000))


def test_held_out_rows_do_not_depend_on_the_order_of_the_rows():
    held = HoldOut(100_000, 3, 0.1)
    positions = np.random.RandomState(0).permutation(100_000)
    drawn = held.held_out(positions)
    np.testing.assert_array_equal(np.sort(positions[drawn]), np.flatnonzero(held.held_out(np.arange(100_000))))
    assert held.n_training == 100_000 - drawn.sum()
    assert drawn.mean() == pytest.approx(0.1, abs=0.005)
    last = HoldOut(1000, 3, 0.1, last=True)
    assert np.flatnonzero(last.held_out(np.arange(1000))).tolist() == list(range(900, 1000))
    for x in (chance(np.arange(100_000), seed) for seed in (0, 1, 2**40)):
        assert np.histogram(x, 10, (0, 1))[0].std() < 250
        assert abs(np.corrcoef(x[1:], x[:-1])[0, 1]) < 0.01


def test_many_held_out_rows_are_sampled_evenly(monkeypatch):
    from sklearn_fsmd.encoding.sources import sizes

    monkeypatch.setattr(sizes, "VALID_ROWS", 500)
    monkeypatch.setattr(sizes, "SAMPLE_ROWS", 800)
    held = HoldOut(100_000, 0, 0.2, last=True)
    positions = np.arange(100_000)
    kept, sampled = held.validation_sample(positions), held.training_sample(positions)
    assert (positions[kept] >= 80_000).all()
    assert (positions[sampled] < 80_000).all()
    assert kept.sum() == pytest.approx(500, abs=70)
    assert sampled.sum() == pytest.approx(800, abs=90)
    assert np.histogram(positions[kept], 4)[0].min() > 80


def test_the_thread_reads_ahead_passes_on_errors_and_ends():
    produced = []

    def items():
        for i in range(100):
            produced.append(i)
            yield i
        raise ValueError("the hundredth")

    ahead = read_ahead(items())
    assert next(ahead) == 0
    time.sleep(0.3)
    assert len(produced) == 3  # one is used, one waits, and one is being produced
    before = threading.active_count()
    ahead.close()
    assert threading.active_count() == before - 1
    with pytest.raises(ValueError, match="the hundredth"):
        list(read_ahead(items()))


def test_the_thread_has_the_settings_of_its_caller():
    """A function that returns tables may use scikit-learn, whose output depends on `transform_output`."""
    variable = ContextVar("variable", default="not set")
    variable.set("set")
    with config_context(transform_output="pandas", assume_finite=True):
        found = list(read_ahead((get_config(), variable.get()) for _ in range(2)))
    assert [(config["transform_output"], config["assume_finite"], value) for config, value in found] == [
        ("pandas", True, "set")
    ] * 2


def test_a_batch_size_below_the_number_of_processes_is_refused():
    batches = make_batches([100, 100, 100], 2)
    batches.n_shards = 3
    with pytest.raises(ValueError, match="batch_size=2 is less than the number of processes, 3"):
        next(batches.batches_of(0, 0))
