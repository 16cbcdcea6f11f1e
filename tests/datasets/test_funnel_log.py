"""Optional parts of a log of make_funnel: watch times, and lists of the last clicked items."""

import hashlib

import numpy as np
import pandas as pd
import pytest

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.metrics import expected_calibration_error
from tests.conftest import SMALL


@pytest.mark.parametrize(
    ("params", "digest"),
    [
        ({}, "8ba1ec10338e217b"),
        ({"history": True, "selection_bias": 0.5, "position_bias": 0.3}, "0e121c05e5882179"),
    ],
)
def test_optional_parts_do_not_change_the_other_data(params, digest):
    random = np.random.RandomState(5)
    funnel = make_funnel(4000, n_users=300, random_state=random, **params)
    assert hashlib.sha256(np.ascontiguousarray(funnel.target)).hexdigest()[:16] == digest
    random.seed(5)
    with_watch_time = make_funnel(4000, n_users=300, watch_time=True, random_state=random, **params)
    pd.testing.assert_frame_equal(with_watch_time.data, funnel.data)
    pd.testing.assert_frame_equal(with_watch_time.target[["click", "conversion"]], funnel.target)
    assert "expected_values" not in funnel


def test_watch_times_have_the_expected_values():
    funnel = make_funnel(200_000, history=True, watch_time=True, random_state=0)
    assert funnel.target_names == ["click", "conversion", "watch_seconds"]
    clicked = funnel.target["click"] == 1
    assert funnel.target["watch_seconds"].notna().equals(clicked)
    watched, expected = funnel.target["watch_seconds"][clicked], funnel.expected_values["watch_seconds"]
    assert expected.notna().all()  # for each impression, clicked or not
    assert (watched == 0).mean() == pytest.approx(0.074, abs=0.01)
    groups = pd.qcut(expected[clicked], 5, labels=False)
    ratio = watched.groupby(groups).mean() / expected[clicked].groupby(groups).mean()
    np.testing.assert_allclose(ratio, 1, atol=0.03)
    assert np.corrcoef(expected, funnel.probabilities["click"])[0, 1] > 0.2  # both rise with the preference of the user


def test_a_list_holds_the_items_that_the_user_clicked_before():
    log = make_funnel(5000, n_users=60, history=True, lists=True, random_state=0)
    assert log.feature_names[-1] == "last_items"
    clicked = {user: [] for user in range(60)}
    rows = zip(log.data["user_id"], log.data["item_id"], log.data["last_items"], log.target["click"], strict=True)
    for user, item, last, click in rows:
        assert last == clicked[user][-5:]
        clicked[user] += [item] * click


def test_the_last_clicked_items_predict_the_next_click():
    log = make_funnel(60_000, history=True, lists=True, position_bias=0.5, random_state=0)
    p = log.unbiased["click"]
    assert p.mean() == pytest.approx(0.3, abs=2e-3)
    for target in ("click", "conversion"):
        assert expected_calibration_error(log.target[target], log.probabilities[target]) < 0.008
    is_repeated = np.array(
        [item in last for item, last in zip(log.data["item_id"], log.data["last_items"], strict=True)]
    )
    lengths = log.data["last_items"].map(len)
    is_full = lengths == 5
    assert p[is_repeated].mean() > 1.5 * p[is_full & ~is_repeated].mean()
    assert np.ptp(p.groupby(lengths).mean()) < 0.1  # the length of a list predicts little
    without = make_funnel(60_000, history=True, position_bias=0.5, random_state=0)
    pd.testing.assert_frame_equal(log.data.drop(columns="last_items"), without.data)


def test_a_log_without_clicks_has_empty_lists():
    log = make_funnel(50, history=True, lists=True, click_rate=0, random_state=0)
    assert log.data["last_items"].tolist() == [[]] * 50


def test_a_model_trains_on_the_lists():
    X, Y = make_funnel(400, history=True, lists=True, random_state=0, return_X_y=True)
    shared = {"list_pooling": "attention", "shared_embeddings": {"last_items": "item_id"}}
    X = X.drop(columns="time")
    assert np.isfinite(FSMDClassifier(**SMALL, **shared).fit(X, Y).predict_marginals(X)).all()


def test_lists_need_a_history():
    with pytest.raises(ValueError, match="lists=True needs history=True: only a log with times has earlier clicks."):
        make_funnel(10, lists=True)


def test_the_hour_equals_that_of_the_time():
    X = make_funnel(30_000, history=True, random_state=1).data
    assert (X["time"].dt.hour == X["hour"].astype(int)).all()
