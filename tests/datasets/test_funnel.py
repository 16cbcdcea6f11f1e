import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.metrics import expected_calibration_error


def test_labels_are_drawn_from_the_true_probabilities():
    funnel = make_funnel(100_000, position_bias=0.5, random_state=0)
    for target in ("click", "conversion"):
        p = funnel.probabilities[target]
        assert expected_calibration_error(funnel.target[target], p) < 0.005
    assert (funnel.target["conversion"] <= funnel.target["click"]).all()


def test_rates_equal_the_requested_rates():
    funnel = make_funnel(50_000, click_rate=0.1, conversion_rate=0.4, random_state=0)
    p = funnel.probabilities
    assert p["click"].mean() == pytest.approx(0.1, abs=1e-6)
    assert (p["conversion"] / p["click"]).mean() == pytest.approx(0.4, abs=1e-6)


def test_position_bias_lowers_the_clicks_of_lower_positions():
    funnel = make_funnel(50_000, position_bias=1.0, random_state=0)
    ratio = funnel.probabilities["click"] / funnel.unbiased["click"]
    np.testing.assert_allclose(ratio, 1 / funnel.data["position"])
    fair = make_funnel(1000, random_state=0)
    pd.testing.assert_frame_equal(fair.probabilities, fair.unbiased)


def test_selection_bias_shows_better_items_more_often_and_higher():
    fair = make_funnel(50_000, random_state=0)
    biased = make_funnel(50_000, selection_bias=2.0, random_state=0)
    rank = [spearmanr(f.unbiased["click"], f.data["position"]).statistic for f in (fair, biased)]
    assert abs(rank[0]) < 0.02
    assert rank[1] < -0.2
    assert biased.data["item_id"].value_counts().std() > 2 * fair.data["item_id"].value_counts().std()


def test_conflict_makes_click_and_conversion_disagree():
    correlations = []
    for conflict in (-0.8, 0.0, 0.8):
        p = make_funnel(20_000, conflict=conflict, random_state=0).probabilities
        correlations.append(spearmanr(p["click"], p["conversion"] / p["click"]).statistic)
    assert correlations[0] > 0.3
    assert abs(correlations[1]) < 0.15
    assert correlations[2] < -0.3


def test_preferences_drift_over_a_log():
    log = make_funnel(60_000, history=True, selection_bias=0.5, random_state=0)
    assert list(log.data.columns) == ["time", *make_funnel(10, random_state=0).data.columns]
    times = log.data["time"]
    assert times.is_monotonic_increasing
    assert (times.dt.hour == log.data["hour"].astype(int)).mean() > 0.999
    assert 29 <= (times.max() - times.min()).days <= 30
    for target in ("click", "conversion"):
        assert expected_calibration_error(log.target[target], log.probabilities[target]) < 0.006
    frame = pd.DataFrame({"item": log.data["item_id"], "third": times.dt.day // 11, "p": log.probabilities["click"]})
    p = frame.pivot_table("p", "item", "third", observed=True)
    near, far = p[0].corr(p[1]), p[0].corr(p[2])
    assert near > far + 0.1  # preferences change gradually


def test_frames_arrays_and_seeds():
    X, Y = make_funnel(100, random_state=3, return_X_y=True)
    repeated = make_funnel(100, random_state=3)
    pd.testing.assert_frame_equal(X, repeated.data)
    assert repeated.feature_names == list(X.columns)
    X_array, Y_array = make_funnel(100, random_state=3, return_X_y=True, as_frame=False)
    assert X_array.shape == X.shape
    np.testing.assert_array_equal(Y_array, Y)
    assert X["brand"].isna().any() or X["age"].isna().any()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"conflict": 2}, r"The 'conflict' parameter must be in \[-1, 1\]. Got 2 instead."),
        ({"click_rate": -0.1}, "'click_rate'"),
        ({"position_bias": -1}, "'position_bias'"),
        ({"n_users": 0}, r"The 'n_users' parameter must be an int in the range \[1, inf\). Got 0 instead."),
        ({"n_items": 2.5}, r"The 'n_items' parameter must be an int in the range \[1, inf\). Got 2.5 instead."),
        ({"n_samples": -1}, r"The 'n_samples' parameter must be an int in the range \[1, inf\). Got -1 instead."),
    ],
)
def test_invalid_parameters_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        make_funnel(**{"n_samples": 10} | params)
