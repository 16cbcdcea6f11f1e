"""Row groups that are read together represent the labels of all rows, however the file is sorted."""

import numpy as np
import pandas as pd
import pytest

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.encoding.sources import sizes
from sklearn_fsmd.encoding.sources.parquet import ParquetSource
from sklearn_fsmd.encoding.sources.row_groups import GroupRates, are_by_label, drawn_order, n_at_a_time, rare_groups
from sklearn_fsmd.encoding.targets import Targets
from sklearn_fsmd.training.streaming import Dataset, StreamFeed
from tests.conftest import make_frame
from tests.training.streaming.conftest import PARAMS, TARGETS, write


def deviation(order, rates, n):
    """Largest difference between the mean rates of `n` row groups that are read together and the rates of all rows."""
    means = np.array([rates[order[start : start + n]].mean(axis=0) for start in range(0, len(order), n)])
    return np.abs(means - rates.mean(axis=0)).max(axis=0)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("n", [8, 50])
def test_row_groups_that_are_read_together_have_the_rates_of_all_rows(n, first):
    rates = np.zeros((200, 2))
    rates[:53, first], rates[:23, 1 - first] = 1, 1  # sorted by one target, and then by the other
    for seed in range(5):
        order, by_chance = drawn_order(200, seed, n, rates), drawn_order(200, seed, n)
        assert sorted(order) == sorted(by_chance) == list(range(200))
        assert (deviation(order, rates, n) < 1 / n).all()
        assert deviation(by_chance, rates, n)[first] > 1.4 / n
    assert drawn_order(200, 1, n, rates).tolist() == drawn_order(200, 1, n, rates).tolist()
    assert drawn_order(200, 1, n, rates).tolist() != drawn_order(200, 2, n, rates).tolist()


def test_the_order_balances_the_target_whose_rates_differ_most():
    random = np.random.RandomState(0)
    rates = np.column_stack([0.3 + random.normal(scale=0.01, size=100), np.arange(100) < 10])
    assert deviation(drawn_order(100, 0, 20, rates), rates, 20)[1] < 1e-9


def test_row_groups_are_read_in_steps_of_similar_size():
    assert [n_at_a_time(n, 64) for n in (0, 1, 63, 64, 65, 128, 129, 200, 1000)] == [64, 1, 63, 64, 33, 64, 43, 50, 63]


def test_row_groups_with_a_rare_label_come_first():
    rates = np.zeros((200, 2))
    rates[:53, 0], rates[:11, 1] = 1, 1
    for seed in range(5):
        order = drawn_order(200, seed, 50, rates)
        assert sorted(order) == list(range(200))
        assert order[:11].tolist() == list(range(11))
        assert deviation(order[11:] - 11, rates[11:], 38)[0] < 2 / 38
    assert rare_groups(rates, 25).tolist() == list(range(11))
    assert rare_groups(rates, 4).tolist() == [0, 1, 2, 3]
    assert rare_groups(1 - rates, 25).tolist() == []
    assert rare_groups(None, 25).tolist() == []


def test_few_row_groups_or_constant_rates_give_a_complete_order():
    for n in (1, 2, 3, 7):
        for n_together in (1, 2, 7, 64):
            assert sorted(drawn_order(n, 0, n_together, np.full((n, 1), 0.5))) == list(range(n))
            assert sorted(drawn_order(n, 0, n_together, np.ones((n, 2)))) == list(range(n))


def test_a_file_sorted_by_label_has_more_row_groups_open(tmp_path, monkeypatch):
    frame = pd.DataFrame({"row": np.arange(20_000)})
    frame.to_parquet(tmp_path / "log.parquet", row_group_size=100)
    source = ParquetSource(tmp_path / "log.parquet")
    size = source.footers[0].largest
    monkeypatch.setattr(sizes, "OPEN_BYTES", 10 * size)
    monkeypatch.setattr(sizes, "OPEN_BYTES_BY_LABEL", 40 * size)
    monkeypatch.setattr(sizes, "POOL_ROWS", 400)
    by_label = np.stack([np.full(200, 0.3), np.arange(200) < 30], axis=1)
    drifting = np.stack([np.full(200, 0.3), np.linspace(0.1, 0.4, 200)], axis=1)
    for rates, n in ((None, 10), (drifting, 10), (by_label, 40)):
        assert are_by_label(rates) == (rates is by_label)
        first = next(source.pools(["row"], 0, rates=rates))[0]
        assert len(set(first.positions // 100)) == n


@pytest.mark.parametrize("rows", [90, 100])
def test_row_groups_with_a_rare_label_are_spread_over_all_pools(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(sizes, "POOL_ROWS", 1000)
    monkeypatch.setattr(sizes, "OPEN_GROUPS", 20)
    is_rare = np.arange(10_000) < 4 * rows
    frame = pd.DataFrame({"row": np.arange(10_000), "label": is_rare.astype(float)})
    frame.to_parquet(tmp_path / "sorted.parquet", row_group_size=rows)
    source = ParquetSource(tmp_path / "sorted.parquet")
    rates = np.array([[is_rare[first : first + n].mean()] for _, first, n in source.groups()])
    pools = [pool[0].frame["row"].to_numpy() for pool in source.pools(["row"], 3, rates=rates)]
    assert sorted(np.concatenate(pools)) == list(range(10_000))
    for pool in pools[:-1]:
        n_rare = np.bincount(pool[is_rare[pool]] // rows)
        assert (n_rare > 0).all(), "each row group with the rare label is in each pool"
        assert n_rare.sum() == pytest.approx(is_rare.mean() * len(pool), abs=15)
    part = list(source.groups())[2:9]  # the row groups of one of several processes
    positions = [block.positions for pool in source.pools(["row"], 3, [g for g, *_ in part], rates) for block in pool]
    assert sorted(np.concatenate(positions)) == list(range(2 * rows, 9 * rows))
    only_rare = [group for group, *_ in part[:2]]
    positions = [block.positions for pool in source.pools(["row"], 3, only_rare, rates) for block in pool]
    assert sorted(np.concatenate(positions)) == list(range(2 * rows, 4 * rows))


def test_rates_of_row_groups_ignore_unobserved_labels():
    rates = GroupRates([0, 3, 6])
    labels = np.array([[1, 1], [0, 0], [1, 0], [1, 0], [0, 0]], dtype=np.float32)
    weights = np.array([[1, 1], [1, 0], [1, 1], [1, 0], [3, 0]], dtype=np.float32)
    rates.add(np.array([4, 0, 3, 1, 2]), Targets(labels[[3, 0, 4, 1, 2]], weights[[3, 0, 4, 1, 2]]).scaled())
    np.testing.assert_allclose(rates.table(), [[2 / 3, 1 / 2], [1 / 4, 1 / 2], [3 / 7, 1 / 2]])


def test_pools_of_a_file_sorted_by_label_have_similar_rates(tmp_path, monkeypatch):
    X, Y = make_frame(6000)
    order = np.lexsort((Y["conversion"], Y["click"]))
    path = write(tmp_path / "sorted.parquet", X.iloc[order], Y.iloc[order], rows=60)
    for name, value in {"POOL_ROWS": 600, "OPEN_GROUPS": 20}.items():
        monkeypatch.setattr(sizes, name, value)
    pool_rates = []
    pools = StreamFeed.pools

    def watched(feed, *args):
        for rows, targets in pools(feed, *args):
            pool_rates.append(targets.labels.mean(axis=0))
            yield rows, targets

    monkeypatch.setattr(StreamFeed, "pools", watched)
    FSMDClassifier(**PARAMS).fit_dataset(path, TARGETS)
    pool_rates = np.array(pool_rates[:9])  # the last pool has the remaining rows
    np.testing.assert_allclose(pool_rates, np.tile(Y.mean(), (9, 1)), atol=0.1)
    dataset = Dataset.from_source(path, None, TARGETS, None)  # its rates are not known
    by_chance = [pool[0].frame[TARGETS].mean() for seed in range(5) for pool in dataset.pools(seed)]
    assert np.abs(np.array(by_chance) - Y.mean().to_numpy()).max() > 0.15


def test_all_row_groups_may_have_rare_labels():
    rates = np.eye(12)  # each row group has its own class, with a twelfth of the rows
    assert sorted(drawn_order(12, 0, 64, rates)) == list(range(12))
