"""The table of metrics, compared with scikit-learn, and the coverage of its intervals."""

import copy

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.inspection import metric_table
from sklearn_fsmd.inspection._metric_table import _auc
from sklearn_fsmd.metrics import concordance, mean_log_loss, value_rmse
from sklearn_fsmd.plotting import ReliabilityDisplay
from tests.inspection.conftest import SMALL


def test_metrics_of_targets_and_segments(model, funnel):
    X, Y = (part[2000:] for part in funnel)
    table = metric_table(model, X, Y, by=X["device"], groups=X["user_id"], n_bootstrap=30, random_state=0)
    p, seconds = model.predict_marginals(X), model.predict_values(X)[:, 0]
    on_phone = (X["device"] == "phone").to_numpy()
    row = table.loc[("conversion", "phone")]
    y = Y["conversion"][on_phone]
    assert row["n"] == on_phone.sum()
    assert row["ranking"] == pytest.approx(roc_auc_score(y, p[on_phone, 1]))
    assert row["error"] == pytest.approx(log_loss(y, p[on_phone, 1].astype(float)))
    assert row["level"] == pytest.approx(p[on_phone, 1].mean() / y.mean())
    row, watched = table.loc[("watch_seconds", "all rows")], Y["watch_seconds"].fillna(0)
    assert row["ranking"] == pytest.approx(concordance(watched, seconds))
    assert row["error"] == pytest.approx(value_rmse(watched, seconds))
    for name in ("ranking", "error", "level"):
        low, high = table[f"{name}_low"], table[f"{name}_high"]
        assert (low <= high)[table["positives"] >= 40].all()
        assert not (low > high).any()


def test_conditional_metrics_use_rows_whose_parent_has_happened(model, funnel):
    X, Y = (part[2000:] for part in funnel)
    table = metric_table(model, X, Y, by="device", conditional=True, n_bootstrap=5, random_state=0)
    clicked = (Y["click"] == 1).to_numpy()
    p, y = model.predict_conditionals(X)[clicked, 1], Y["conversion"][clicked]
    row = table.loc[("conversion | click", "all rows")]
    assert row["n"] == clicked.sum()
    assert row["ranking"] == pytest.approx(roc_auc_score(y, p))
    assert row["level"] == pytest.approx(p.mean() / y.mean())
    seconds = model.predict_values(X, conditional=True)[clicked, 0]
    level = table.loc[("watch_seconds | click", "all rows"), "level"]
    assert level == pytest.approx(seconds.mean() / Y["watch_seconds"][clicked].mean())
    phone = clicked & (X["device"] == "phone").to_numpy()
    assert table.loc[("conversion | click", "phone"), "n"] == phone.sum()


def test_segments_of_two_segmentations_have_their_names(model, funnel):
    X, Y = (part[2000:2400] for part in funnel)
    table = metric_table(model, X, Y, by={"a": X["device"], "b": np.arange(400) % 2}, n_bootstrap=2, random_state=0)
    single = metric_table(model, X, Y, by=np.arange(400) % 2, n_bootstrap=2, random_state=0)
    assert "a = phone" in table.index.get_level_values("segment")
    np.testing.assert_allclose(table.loc[("click", "b = 1")], single.loc[("click", "1")])


@pytest.mark.parametrize(
    ("by", "message"),
    [
        (["all rows", "b"] * 25, "would have two segments named 'all rows'. Rename the one in `by`"),
        ({"a": ["b = c"] * 50, "a = b": ["c"] * 50}, "two segments named 'a = b = c'"),
        (np.array(["missing", None] * 25, dtype=object), "would be one segment 'missing'. Rename one of them"),
        (np.array([1, "1"] * 25, dtype=object), "`by` holds 1 and '1', which would be one segment '1'"),
    ],
)
def test_segments_with_the_same_name_are_refused(by, message, model, funnel):
    X, Y = (part[2000:2050] for part in funnel)
    with pytest.raises(ValueError, match=message):
        metric_table(model, X, Y, by=by, n_bootstrap=1)
    if isinstance(by, list):
        table = metric_table(model, X, Y, by={"a": by}, n_bootstrap=1)
        assert table.loc[("click", "a = all rows"), "n"] == 25


def test_a_nan_among_strings_is_a_missing_segment_and_no_group(model, funnel):
    X, Y = (part[2000:2050] for part in funnel)
    table = metric_table(model, X, Y, by=["a", np.nan] * 25, n_bootstrap=1)
    assert table.loc[("click", "missing"), "n"] == 25
    with pytest.raises(ValueError, match="every row belongs to a group"):
        metric_table(model, X, Y, groups=["a", np.nan] * 25)


def test_the_auc_of_sorted_rows_equals_that_of_scikit_learn(rng):
    p, y, weights = np.sort(rng.randint(20, size=300) / 20), rng.randint(2, size=300), rng.randint(3, size=300) * 1.0
    assert _auc(y, p, weights) == pytest.approx(roc_auc_score(y, p, sample_weight=weights))
    assert np.isnan(_auc(np.ones(3), p[:3], np.ones(3)))


def test_groups_of_similar_rows_widen_the_interval(model, funnel):
    """Each user has the same row ten times. Intervals that treat these rows as independent are too narrow."""
    X, Y = (part[2000:2100] for part in funnel)
    X, Y = X.loc[np.repeat(X.index, 10)], Y.loc[np.repeat(Y.index, 10)]
    groups = np.repeat(np.arange(100), 10)
    by_rows = metric_table(model, X, Y, n_bootstrap=100, random_state=0).loc[("click", "all rows")]
    by_groups = metric_table(model, X, Y, groups=groups, n_bootstrap=100, random_state=0).loc[("click", "all rows")]
    width = by_groups["ranking_high"] - by_groups["ranking_low"]
    assert width == pytest.approx(np.sqrt(10) * (by_rows["ranking_high"] - by_rows["ranking_low"]), rel=0.4)
    assert by_groups["ranking"] == pytest.approx(by_rows["ranking"])


def test_intervals_cover_the_true_value(known):
    """For many samples of rows, about 19 of 20 intervals contain the value of all rows."""
    model, X, Y = known
    whole = metric_table(model, X, Y, n_bootstrap=1).loc[("click", "all rows"), "level"]
    random = np.random.RandomState(0)
    n_covered = 0
    for seed in range(40):
        rows = random.choice(len(X), 200)
        found = metric_table(model, X.iloc[rows], Y.iloc[rows], n_bootstrap=60, random_state=seed)
        row = found.loc[("click", "all rows")]
        n_covered += row["level_low"] <= whole <= row["level_high"]
    assert n_covered >= 34


def test_few_events_have_no_interval(model, funnel):
    """A bootstrap of one positive row repeats that row alone, so its intervals would be far too narrow."""
    X, Y = (part[2000:2400] for part in funnel)
    few = Y.assign(click=0, conversion=0, watch_seconds=np.nan)
    for n, has_interval in ((19, False), (20, True)):
        few.iloc[:n] = [1, 1, 5.0]
        table = metric_table(model, X, few, n_bootstrap=20, random_state=0)
        ends = table.filter(regex="_low|_high").xs("all rows", level="segment").loc[["click", "conversion"]]
        assert (np.isfinite(ends).all() == has_interval).all()
        assert np.isfinite(table.loc[("conversion", "all rows"), "ranking"])
        table = metric_table(model, X, few, groups=np.arange(400) // 2, n_bootstrap=20, random_state=0)
        assert np.isnan(table.loc[("click", "all rows"), "ranking_low"])  # ten groups have an event


def test_undefined_metrics_are_nan_and_invalid_arguments_are_refused(model, funnel):
    X, Y = (part[2000:2050] for part in funnel)
    table = metric_table(model, X, Y, groups=[0] * 25 + [1] * 25, n_bootstrap=5, random_state=0)
    assert np.isnan(table["level_low"]).all()
    assert np.isfinite(table["level"]).all()
    with pytest.raises(ValueError, match="`n_bootstrap` must be at least 1. Got 0"):
        metric_table(model, X, Y, n_bootstrap=0)
    with pytest.raises(ValueError, match="every row belongs to a group"):
        metric_table(model, X, Y, groups=[None] * 50)
    without_positives = metric_table(
        model, X, Y.assign(click=0, conversion=0, watch_seconds=np.nan), n_bootstrap=5, random_state=0
    )
    assert np.isnan(without_positives.loc[("click", "all rows"), ["ranking", "level", "level_low"]]).all()


def test_the_log_loss_of_certain_predictions_equals_the_metric(known):
    model, X, Y = known
    certain = copy.deepcopy(model)
    certain.calibration_ = np.array([[1.0, 40.0], [1.0, 0.0]])
    error = metric_table(certain, X, Y, n_bootstrap=1).loc[("click", "all rows"), "error"]
    assert error == pytest.approx(mean_log_loss(Y["click"], certain.predict_marginals(X)[:, 0]), rel=1e-6)


def test_segments_may_be_lists(model, funnel):
    X, Y = (part[2000:2050] for part in funnel)
    by = pd.Series([["a"], ["b"]] * 25)
    assert metric_table(model, X, Y, by=by, n_bootstrap=1).loc[("click", "['a']"), "n"] == 25


def test_a_missing_conversion_without_a_click_is_0_for_its_value(funnel):
    X, Y = (part[:600] for part in funnel)
    Y = Y[["click", "conversion"]].assign(revenue=10.0 * Y["conversion"])
    after = {"value_targets": ["revenue"], "value_parents": {"revenue": "conversion"}}
    model = FSMDClassifier(**SMALL, **after, max_epochs=1).fit(X, Y)
    unknown = Y.assign(conversion=Y["conversion"].where(Y["click"] == 1))
    tables = [metric_table(model, X, y, n_bootstrap=5, random_state=0) for y in (Y, unknown)]
    pd.testing.assert_frame_equal(*tables)
    assert tables[1].loc[("revenue", "all rows"), "n"] == 600


@pytest.mark.parametrize("weight", [1.0, 0.5, 3000.0])
def test_equal_weights_have_no_effect(weight, model, funnel):
    X, Y = (part[2000:2300] for part in funnel)
    plain = metric_table(model, X, Y, n_bootstrap=3, random_state=0)
    weighted = metric_table(model, X, Y, sample_weight=np.full(300, weight), n_bootstrap=3, random_state=0)
    pd.testing.assert_frame_equal(plain, weighted)


@pytest.mark.parametrize("smallest", [1e-9, 1e-20, 0.5])
def test_the_concordance_with_fractional_weights_is_undefined(smallest, model, funnel):
    X, Y = (part[2000:2300] for part in funnel)
    weights = np.ones(300)
    weights[0] = smallest
    table = metric_table(model, X, Y, sample_weight=weights, n_bootstrap=3, random_state=0)
    assert np.isnan(table.loc[("watch_seconds", "all rows"), "ranking"])
    assert np.isfinite(table.loc[("click", "all rows"), "ranking"])


def test_only_the_proportions_of_whole_weights_matter(model, funnel):
    X, Y = (part[2000:2300] for part in funnel)
    weights = 1 + np.arange(300) % 2
    options = {"n_bootstrap": 3, "random_state": 0}
    plain, large = (metric_table(model, X, Y, sample_weight=w, **options) for w in (weights, 1000 * weights))
    pd.testing.assert_frame_equal(plain, large)
    assert np.isfinite(plain.loc[("watch_seconds", "all rows"), "ranking"])
    uneven = metric_table(model, X, Y, sample_weight=weights * 10**6 + 1, **options)
    assert np.isnan(uneven.loc[("watch_seconds", "all rows"), "ranking"])
    with pytest.raises(ValueError, match="`n_bootstrap` must be an integer"):
        metric_table(model, X, Y, n_bootstrap=50.0)


def test_a_click_with_weight_0_is_unknown_for_its_value(model, funnel):
    """As for a missing click, it is unknown whether the value counts or is 0."""
    X, Y = (part[2000:] for part in funnel)
    unknown = np.arange(len(X)) % 2 == 0
    missing = Y.astype(float).mask(np.outer(unknown, [True, True, False]))
    weights = np.where(np.outer(unknown, [1, 1, 0]), 0.0, 1.0)
    with_missing = metric_table(model, X, missing, n_bootstrap=5, random_state=0)
    by_weights = metric_table(model, X, Y, sample_weight=weights, n_bootstrap=5, random_state=0)
    pd.testing.assert_frame_equal(by_weights, with_missing)


def test_segments_and_groups_may_be_names_of_columns(model, funnel):
    X, Y = (part[2000:] for part in funnel)
    by_name = metric_table(model, X, Y, by="segment", groups="user_id", n_bootstrap=5, random_state=0)
    arrays = metric_table(model, X, Y, by=X["segment"], groups=X["user_id"], n_bootstrap=5, random_state=0)
    pd.testing.assert_frame_equal(by_name, arrays)
    cuts = metric_table(model, X, Y, by={"device": "device"}, n_bootstrap=5, random_state=0)
    assert any(segment.startswith("device = ") for _, segment in cuts.index)
    assert "s1" in ReliabilityDisplay.from_estimator(model, X, Y, by="segment", max_segments=9).curves["click"]
    for parameter in ("by", "groups"):
        with pytest.raises(ValueError, match=f"`{parameter}` names 'town', and X has \\['user_id'"):
            metric_table(model, X, Y, **{parameter: "town"})


def test_several_columns_are_several_segmentations(model, funnel):
    X, Y = (part[2000:2050] for part in funnel)
    found = metric_table(model, X, Y, by=["device", "segment"], n_bootstrap=1)
    pd.testing.assert_index_equal(
        found.index, metric_table(model, X, Y, by={"device": "device", "segment": "segment"}, n_bootstrap=1).index
    )
    assert any(segment.startswith("segment = ") for segment in found.index.get_level_values("segment"))
    with pytest.raises(ValueError, match=r"`groups` takes one column, and \['device', 'user_id'\] are 2"):
        metric_table(model, X, Y, groups=["device", "user_id"])


def test_segments_of_equal_size_are_in_order_of_appearance(model, funnel):
    X, Y = (part[2000:2400] for part in funnel)
    by = ["z", "b", "y", "a"] * 80 + ["b"] * 80
    table = metric_table(model, X, Y, by=by, n_bootstrap=2)
    assert table.loc["click"].index.tolist() == ["all rows", "b", "z", "y", "a"]


@pytest.mark.parametrize("dtype", ["int64", "Int64"])
def test_large_ids_in_a_category_with_missing_values_stay_apart(model, funnel, dtype):
    X, Y = (part[2000:2060] for part in funnel)
    ids = pd.Index([2**53, 2**53 + 1], dtype=dtype)
    by = pd.Series(pd.Categorical.from_codes([0, 1, -1] * 20, ids))
    for column in (by, by.set_axis(X.index)):
        table = metric_table(model, X, Y, by=column, n_bootstrap=1)
        sizes = table.loc["click", "n"]
        assert [sizes[name] for name in (str(2**53), str(2**53 + 1), "missing")] == [20, 20, 20]
