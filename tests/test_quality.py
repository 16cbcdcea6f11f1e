"""Measures of the quality benchmark: AUC of resampled users, confidence intervals, corrected p-values."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from benchmarks import resampling
from benchmarks.quality import averaged, measures, report


def test_auc_of_resampled_rows():
    random = np.random.default_rng(0)
    labels, scores = random.integers(2, size=60), random.integers(9, size=60) / 9  # with ties
    counts = resampling.counts_of(random.integers(12, size=60))[:20]
    expected = [roc_auc_score(labels.repeat(count), scores.repeat(count)) for count in counts]
    np.testing.assert_allclose(resampling.aucs(labels, scores, counts), expected)


def test_resampling_draws_all_rows_of_a_user():
    users = np.array(["a", "b", "a", "c", "b", "a"])
    counts = resampling.counts_of(users)
    assert counts.shape == (resampling.N_SAMPLES, 6)
    assert (counts[:, 0] == counts[:, 2]).all()
    assert (counts[:, 1] == counts[:, 4]).all()
    assert (counts[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_user_intervals_are_computed_from_stored_predictions(tmp_path):
    random = np.random.default_rng(0)
    users = random.integers(200, size=2000)
    labels = random.integers(2, size=(2000, 2))
    good, bad = labels + random.normal(size=(2, 2000, 2)) * np.array([1, 3])[:, None, None]
    for seed in (0, 1):
        resampling.keep(tmp_path, ("kuairand", "sklearn-fsmd", seed, "test"), good, good[:, 1])
        resampling.keep(tmp_path, ("kuairand", "LightGBM, tuned", seed, "test"), bad, bad[:, 1])
    user_intervals = report.UserIntervals.__new__(report.UserIntervals)
    user_intervals.key, user_intervals.folder, user_intervals.columns = (
        ("kuairand", "test"),
        tmp_path,
        ["click", "conversion"],
    )
    user_intervals.labels, user_intervals.counts = labels, resampling.counts_of(users)
    for measure, rows, k in [("click_auc", labels[:, 0] >= 0, 0), ("conversion_after_auc", labels[:, 0] == 1, 1)]:
        low, high = user_intervals.interval(measure, "sklearn-fsmd", "LightGBM, tuned", [0, 1])
        difference = roc_auc_score(labels[rows, k], good[rows, k]) - roc_auc_score(labels[rows, k], bad[rows, k])
        assert 0 < low < difference < high < low + 0.12
    assert np.isnan(user_intervals.interval("click_auc", "sklearn-fsmd", "CatBoost", [0])).all()


def test_holm_adjusts_p_values():
    assert report.holm([0.01, np.nan, 0.04, 0.03]) == pytest.approx([0.03, np.nan, 0.06, 0.06], nan_ok=True)
    assert report.holm([0.9, 0.8]).tolist() == [1.0, 1.0]


def test_conversion_after_click_is_measured_on_clicked_rows():
    Y = pd.DataFrame({"click": [1, 1, 0, 1, 0, 1], "conversion": [1, 0, 0, 1, 0, 0]})
    p = np.array([[0.9, 0.8], [0.8, 0.2], [0.3, 0.1], [0.7, 0.6], [0.2, 0.1], [0.6, 0.7]])
    measured = measures.of_predictions(Y, p, p[:, 1])
    clicked = Y["click"] == 1
    assert measured["conversion_after_auc"] == roc_auc_score(Y["conversion"][clicked], p[clicked, 1]) == 0.75
    assert measured["conversion_after_ratio"] == pytest.approx(2.3 / 2)
    assert measured["click_ratio"] == pytest.approx(3.5 / 4)


def test_differences_are_paired_by_seed(monkeypatch, tmp_path):
    monkeypatch.setattr(report.UserIntervals, "__init__", lambda self, *args: None)
    monkeypatch.setattr(report.UserIntervals, "interval", lambda self, *args: (np.nan, np.nan))
    lift = {0: 0.01, 1: 0.02, 2: 0.03}
    rows = [
        {"data": "d", "part": "test", "contender": name, "seed": seed, "click_auc": 0.5 + seed / 10 + ours * lift[seed]}
        for name, ours in ((report.OURS, True), ("other", False))
        for seed in (2, 0, 1)
    ]
    (line,) = report.ahead([*rows, rows[0] | {"contender": "once", "seed": 1}], tmp_path).to_dict("records")[:1]
    assert (line["contender"], line["seeds"]) == ("other", 3)
    assert line["mean"] == pytest.approx(0.02)
    assert line["p"] == pytest.approx(2 * stats.t.sf(0.02 / (0.01 / 3**0.5), 2))


def test_averaged_fits_are_scored_over_all_combinations():
    random = np.random.default_rng(0)
    Y = pd.DataFrame(np.cumprod(random.integers(2, size=(300, 2)), axis=1), columns=["click", "conversion"])
    fits = [(p, p[:, 1]) for p in Y.to_numpy() * 0.2 + random.uniform(0.1, 0.6, size=(3, 300, 2))]
    single, all_three = (averaged.averaged(Y, fits, n) for n in (1, 3))
    assert single["click_auc"] == pytest.approx(np.mean([roc_auc_score(Y["click"], p[:, 0]) for p, _ in fits]))
    mean = np.mean([p for p, _ in fits], axis=0)
    assert all_three["click_auc"] == pytest.approx(roc_auc_score(Y["click"], mean[:, 0]))
    clicked = Y["click"] == 1
    assert all_three["conversion_after_auc"] == pytest.approx(roc_auc_score(Y["conversion"][clicked], mean[clicked, 1]))
    assert set(averaged.averaged(Y, [(p, None) for p, _ in fits], 2)) == {"click_auc", "conversion_auc"}
