"""Target statistics of streamed rows: sums over all rows, and rates of the rows before each row."""

import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from sklearn_fsmd import FSClassifier, FSMDClassifier
from sklearn_fsmd.encoding.statistics import RunningStatistics, StatisticsSums, TargetStatistics, draw_scale
from sklearn_fsmd.encoding.statistics import streamed as streamed_statistics
from sklearn_fsmd.encoding.table import Encoded, FeatureEncoder
from sklearn_fsmd.encoding.targets import Targets
from tests.conftest import make_frame
from tests.training.streaming.conftest import PARAMS, TARGETS, write

KEYS = [(0,), (0, 1)]


@pytest.fixture
def rows():
    """Codes of two categorical features, and targets with weights; some labels are masked."""
    random = np.random.RandomState(0)
    n = 4000
    X = pd.DataFrame({"user": random.zipf(1.5, n) % 60, "tab": random.choice(list("abcd"), n)}).astype("category")
    encoder = FeatureEncoder.from_params(FSMDClassifier())
    codes = encoder.fit_encode(X).codes
    click = (random.uniform(size=n) < 0.2 + 0.6 * (codes[:, 0] % 2)).astype(np.float32)
    labels = np.column_stack([click, click * (random.uniform(size=n) < 0.4)]).astype(np.float32)
    weights = random.choice([0, 1, 2], (n, 2), p=[0.1, 0.5, 0.4]).astype(np.float32)
    return encoder, codes, Targets(labels, weights)


def blocks_of(codes, targets, size):
    for start in range(0, len(codes), size):
        s = slice(start, start + size)
        yield (
            Encoded(codes[s], np.zeros((len(codes[s]), 0), np.float32)),
            Targets(targets.labels[s], targets.weights[s]),
        )


def test_sums_and_rates_equal_those_of_a_table_in_memory(rows, monkeypatch):
    monkeypatch.setattr(streamed_statistics, "MANY_PAIRS", 100)
    encoder, codes, targets = rows
    whole = TargetStatistics(KEYS, (None, 0))
    expected = whole.learn_codes(encoder, codes, targets, None)
    streamed = TargetStatistics(KEYS, (None, 0))
    sums = StatisticsSums(streamed, encoder, tallies=True)
    for block, labels in blocks_of(codes, targets, 333):
        sums.add(block.codes, labels)
    sums.finish(np.ones(2), more=False)
    np.testing.assert_array_equal(streamed.known[1], whole.known[1])
    for one, other in zip(streamed.sums, whole.sums, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(streamed.strengths, whole.strengths, rtol=1e-12)
    np.testing.assert_allclose(streamed.priors, whole.priors, rtol=1e-12)
    streamed.center, streamed.scale, streamed.low, streamed.high = whole.center, whole.scale, whole.low, whole.high
    streamed._tabulate()
    running = RunningStatistics(streamed)
    found_rates = np.concatenate([running.append(*block).numbers for block in blocks_of(codes, targets, 250)])
    np.testing.assert_allclose(found_rates, expected, atol=1e-5)


@pytest.mark.parametrize(("share", "center"), [(1.0, 0.02), (0.1, 0.06)], ids=["all labels", "a tenth of the labels"])
def test_random_draws_of_rates_have_the_moments_of_a_random_order(share, center, rows):
    encoder, codes, targets = rows
    is_known = np.random.RandomState(1).uniform(size=targets.labels.shape) < share
    targets = Targets(targets.labels * is_known, (is_known / is_known.mean(axis=0)).astype(np.float32))
    orders, draws = ([TargetStatistics(KEYS, (None, 0)) for _ in range(20)] for _ in range(2))
    for seed, (whole, drawn) in enumerate(zip(orders, draws, strict=True)):
        whole.learn_codes(encoder, codes, targets, np.random.RandomState(seed))
        sums = StatisticsSums(drawn, encoder, tallies=True)
        sums.add(codes, targets)
        sums.finish(np.ones(2), more=False)
        draw_scale(drawn, codes, targets, np.random.RandomState(seed))
    centers, scales = (
        [np.mean([getattr(one, name) for one in statistics_list], axis=0) for statistics_list in (draws, orders)]
        for name in ("center", "scale")
    )
    np.testing.assert_allclose(*centers, atol=center)
    np.testing.assert_allclose(*scales, rtol=0.05, atol=2e-3)


def noise_rows(n, seed):
    """Ids that are pure noise, each in a few rows, and one number with some information."""
    random = np.random.RandomState(seed)
    X = pd.DataFrame({"user": random.randint(n // 5, size=n), "price": random.normal(size=n)})
    y = (random.uniform(size=n) < 1 / (1 + np.exp(-X["price"]))).astype(int)
    return X.astype({"user": "category"}), pd.DataFrame({"click": y})


def test_ids_of_pure_noise_do_not_leak(tmp_path):
    X, Y = noise_rows(5000, 0)
    new, y_new = noise_rows(5000, 1)
    path = write(tmp_path / "a.parquet", X.sort_values("user"), Y.loc[X.sort_values("user").index], rows=500)
    auc = {"ordered": [], None: []}
    for statistics, aucs in auc.items():
        for seed in range(5):  # the AUC of two seeds differs by up to 0.01
            params = PARAMS | {"target_statistics": statistics, "max_epochs": 3, "random_state": seed}
            model = FSClassifier(**params, early_stopping=False).fit_dataset(path, ["click"])
            aucs.append(roc_auc_score(y_new, model.predict_marginals(new)))
            assert statistics is None or model._encoder.statistics.keys == [(0,)]
    assert np.mean(auc["ordered"]) > np.mean(auc[None]) - 0.01
    assert min(auc["ordered"]) > 0.70  # the best possible AUC is about 0.74


@pytest.mark.parametrize("more", [{}, {"warm_start": True, "new_categories": "grow"}], ids=["new fit", "warm start"])
def test_statistics_include_the_validation_rows_after_training(more, tmp_path):
    """The sums are those of a fit on a table in memory."""
    random = np.random.RandomState(0)
    user, tab = random.randint(40, size=3000), random.choice(list("abc"), 3000)
    click = (random.uniform(size=3000) < 0.2 + 0.6 * (user % 2)).astype(int)
    X = pd.DataFrame({"user": user, "tab": tab}).astype("category")
    Y = pd.DataFrame({"click": click, "conversion": click * random.randint(2, size=3000)})
    weights = pd.Series(random.choice([0.5, 1.0, 2.0], 3000), name="weight")
    params = PARAMS | {"statistics_features": ["user", ("user", "tab")], "validation": "last"} | more
    params |= {"early_stopping": True, "validation_fraction": 0.2}
    path = tmp_path / "log.parquet"
    X.join(Y).join(weights).to_parquet(path, row_group_size=500)
    in_table, streamed = (FSMDClassifier(**params) for _ in range(2))
    for n_calls in (1, 2)[: 1 + bool(more)]:
        in_table.fit(X, Y, weights)
        streamed.fit_dataset(path, ["click", "conversion"], sample_weight="weight")
        for one, other in zip(*(model._encoder.statistics.sums for model in (in_table, streamed)), strict=True):
            assert one[:, -1].sum() == other[:, -1].sum() == 3000 * n_calls
            np.testing.assert_allclose(np.sort(one[:, 0]), np.sort(other[:, 0]), rtol=0.02)
    other = shutil.copy(path, tmp_path / "other.parquet")
    given = FSMDClassifier(**params).fit_dataset(path, ["click", "conversion"], validation=other, columns=list(X))
    assert given._encoder.statistics.sums[0][:, -1].sum() == 3000


def test_held_out_rows_whose_labels_are_not_final_do_not_lower_the_rates(tmp_path):
    """The sums are those of a fit on a table in memory, which leaves the step out."""
    X, Y = make_frame(3000)
    too_young = (np.arange(3000) >= 2400) & (Y["click"] == 1).to_numpy()
    Y = Y.astype(float).assign(conversion=Y["conversion"].mask(too_young))
    params = PARAMS | {"statistics_features": ["user"], "validation": "last"}
    params |= {"early_stopping": True, "validation_fraction": 0.2}
    path = write(tmp_path / "log.parquet", X, Y, rows=500)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that validation rows have no known conversion
        in_table = FSMDClassifier(**params).fit(X, Y)._encoder.statistics
        streamed = FSMDClassifier(**params).fit_dataset(path, TARGETS)._encoder.statistics
    assert in_table.events == streamed.events
    sums, expected = (statistics.sums[0].sum(axis=0) for statistics in (streamed, in_table))
    np.testing.assert_allclose(sums, expected, rtol=1e-3)
    assert expected[-1] == 3000
    assert expected[len(in_table.events) + in_table.events.index((1, None))] < 2500
