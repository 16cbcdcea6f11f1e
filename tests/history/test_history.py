"""HistoryFeatures: features equal those of a plain loop over the log, and do not depend on present or later events."""

import multiprocessing
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.history import HistoryFeatures, by_key, past

KEYS = ["user", "item", ["user", "tab"]]
START = pd.Timestamp("2026-03-01")

IGNORE_STALE_LOG = pytest.mark.filterwarnings("ignore:.* rows come more than delay")


def make_log(n=150, seed=0, *, missing_labels=False):
    """A log that is not sorted, with several events at the same time and missing users."""
    random = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "user": random.integers(8, size=n).astype(float),
            "item": random.choice(list("abcdef"), size=n),
            "tab": random.integers(2, size=n),
            "when": START + pd.to_timedelta(random.integers(60, size=n), unit="h"),
            "price": random.normal(size=n),
        },
        index=random.permutation(n) + 1000,
    )
    X.loc[random.uniform(size=n) < 0.1, "user"] = np.nan
    click = random.integers(2, size=n)
    Y = pd.DataFrame({"click": click, "buy": click * random.integers(2, size=n)}, index=X.index).astype(float)
    if missing_labels:
        Y.loc[random.uniform(size=n) < 0.2, "buy"] = np.nan
        Y.loc[random.uniform(size=n) < 0.1, ["click", "buy"]] = np.nan
    return X, Y


def by_loop(events, outcomes, X, *, keys=KEYS, delay="1h", half_life=None, smoothing=10.0, log=True):
    """Features of :class:`HistoryFeatures` by their definition, computed for one row and one key at a time."""
    delays, lines = [pd.Timedelta(d) for d in (delay.values() if isinstance(delay, dict) else [delay, delay])], []
    labels = outcomes.to_numpy(copy=True)
    labels[labels[:, 0] == 0, 1] = 0  # no click, so no conversion, even if its label is missing
    clicked = labels[:, 0] == 1
    last_known = events["when"][clicked & ~np.isnan(labels[:, 1])].max()
    if events["when"][clicked].max() > last_known:  # the later events are too young for the second step
        labels[(events["when"] > last_known).to_numpy(), 1] = np.nan
    for _, row in X.iterrows():
        ago = row["when"] - events["when"]
        old_enough = [((ago >= delay) & (ago > pd.Timedelta(0))).to_numpy() for delay in delays]

        def rates(old_enough, weights, overall=None):
            values = []
            for k, given_click in ((0, False), (1, False), (1, True)):
                counted = old_enough[k] & ~np.isnan(labels[:, k])
                if given_click:
                    counted &= old_enough[0] & (labels[:, 0] == 1)
                tried, positive = weights[counted].sum(), (weights * labels[:, k])[counted].sum()
                if overall is not None and smoothing:
                    tried, positive = tried + smoothing, positive + smoothing * overall[len(values)]
                values.append(positive / tried if tried > 0 else np.nan)
            return values

        overall, line = rates(old_enough, np.ones(len(events))), []
        for key in keys:
            columns = [key] if isinstance(key, str) else key
            has_key = (events[columns] == row[columns]).all(axis=1).to_numpy()
            of_key = [has_key & is_old for is_old in old_enough]
            latest = of_key[0] | of_key[1]
            weights = np.ones(len(events)) if half_life is None else 0.5 ** (ago / pd.Timedelta(half_life)).to_numpy()
            n, since = weights[latest].sum(), ago[latest].min().total_seconds() if latest.any() else np.nan
            line += [np.log1p(n) if log else n, *rates(of_key, weights, overall), np.log1p(since) if log else since]
        lines.append(line)
    return np.array(lines)


def features_of(out, X):
    """The features, which follow the unchanged columns of X."""
    assert list(out.columns[: X.shape[1]]) == list(X.columns)
    pd.testing.assert_frame_equal(out[list(X.columns)], X)
    return out.iloc[:, X.shape[1] :].to_numpy()


@pytest.mark.parametrize("few_rows", [0, 10_000], ids=["engine", "memory"])
@pytest.mark.parametrize("missing_labels", [False, True])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"delay": "0s"},
        {"delay": "5h30m"},
        {"delay": {"click": "1h", "buy": "20h"}},
        {"delay": {"click": "9h", "buy": "2h"}, "half_life": "7h", "smoothing": 0.0},
        {"half_life": "7h"},
        {"smoothing": 0.0},
        {"smoothing": 3.5},
        {"log": False},
    ],
    ids=str,
)
def test_features_equal_their_definition(params, missing_labels, few_rows, monkeypatch):
    monkeypatch.setattr(past, "FEW_ROWS", few_rows)
    monkeypatch.setattr(past, "SMALL_LOG", 0)
    X, Y = make_log(missing_labels=missing_labels)
    history = HistoryFeatures(time="when", keys=KEYS, **params)
    np.testing.assert_allclose(features_of(history.fit_transform(X, Y), X), by_loop(X, Y, X, **params), rtol=1e-5)
    later, _ = make_log(60, seed=1)
    later.loc[later.index[:5], "item"] = "new"
    np.testing.assert_allclose(features_of(history.transform(later), later), by_loop(X, Y, later, **params), rtol=1e-5)


def test_names_of_the_features():
    X, Y = make_log()
    history = HistoryFeatures(time="when", keys=["user", ["user", "tab"]], half_life=[None, "7D"], drop=["when"])
    out = history.fit_transform(X, Y)
    assert list(out.columns) == list(history.get_feature_names_out())
    assert list(out.columns[:4]) == ["user", "item", "tab", "price"]
    assert list(out.columns[4:13]) == [
        "user_events",
        "user_click_rate",
        "user_buy_rate",
        "user_buy_given_click_rate",
        "user_events_7D",
        "user_click_rate_7D",
        "user_buy_rate_7D",
        "user_buy_given_click_rate_7D",
        "user_seconds_since",
    ]
    assert out.columns[13] == "user_x_tab_events"
    assert (out.iloc[:, 4:].dtypes == np.float32).all()
    assert "user_buy_given_click_rate" not in HistoryFeatures(
        time="when", keys=["user"], link="independent"
    ).fit_transform(X, Y)


@pytest.mark.filterwarnings("ignore:Column .* of Y has only one class")
@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.sampled_from(["zeros", "removed", "shuffled"]), st.sampled_from(["0s", "1h", "9h"]))
def test_the_future_does_not_leak(seed, how, delay):
    """The features of a row do not change if its labels and later events are changed or removed."""
    X, Y = make_log(150, seed)
    random = np.random.default_rng(seed)
    cut = X["when"].iloc[random.integers(len(X))]
    history = HistoryFeatures(time="when", keys=KEYS, delay=delay, half_life=[None, "10h"])
    before = features_of(history.fit_transform(X, Y), X)
    future = (X["when"] > cut - max(pd.Timedelta(delay), pd.Timedelta(1))).to_numpy()
    if how == "removed":
        kept = ~future | (X["when"] <= cut).to_numpy()
        kept &= ~future | (random.uniform(size=len(X)) < 0.5)
        X_then, Y_then = X[kept], Y[kept]
    else:
        kept, X_then, Y_then = np.ones(len(X), bool), X, Y.copy()
        labels = Y_then.to_numpy()[future]
        Y_then.iloc[np.flatnonzero(future)] = 0.0 if how == "zeros" else random.permutation(labels)
    after = features_of(history.fit_transform(X_then, Y_then), X_then)
    rows = (X["when"] <= cut).to_numpy()
    np.testing.assert_array_equal(after[rows[kept]], before[rows & kept])


@pytest.mark.parametrize("few_rows", [True, False])
def test_lists_of_the_last_items(few_rows):
    X, Y = make_log(missing_labels=True)
    X.loc[X.index[::17], "item"] = None
    history = HistoryFeatures(time="when", keys=KEYS, delay="2h", last=3, last_of="item")
    out = history.fit_transform(X, Y)
    assert list(out.columns[-3:]) == ["user_last_item", "item_last_item", "user_x_tab_last_item"]
    assert list(out.columns) == list(history.get_feature_names_out())
    later, _ = make_log(30, seed=1)
    for rows, actual in [(X, out), (later, history.transform(later[:10] if few_rows else later))]:
        for i in range(len(actual)):
            row = rows.iloc[i]
            is_counted = (X["when"] <= row["when"] - pd.Timedelta("2h")) & (Y["click"] == 1) & X["item"].notna()
            for name, columns in [("user_last_item", ["user"]), ("user_x_tab_last_item", ["user", "tab"])]:
                events = X[is_counted & (X[columns] == row[columns]).all(axis=1)].sort_values("when", kind="stable")
                assert actual[name].iloc[i] == events["item"].tolist()[-3:]
    with pytest.raises(ValueError, match="last=3 needs `last_of`"):
        HistoryFeatures(time="when", keys=KEYS, last=3).fit(X, Y)
    with pytest.raises(ValueError, match="Column 'itm', which 'last_of' names, is not in X"):
        HistoryFeatures(time="when", keys=KEYS, last=3, last_of="itm").fit(X, Y)


def test_a_delay_per_target():
    X, Y = make_log()
    equal = HistoryFeatures(time="when", keys=KEYS, delay={"click": "5h", "buy": "5h"}).fit_transform(X, Y)
    pd.testing.assert_frame_equal(equal, HistoryFeatures(time="when", keys=KEYS, delay="5h").fit_transform(X, Y))
    by_position = HistoryFeatures(time="when", keys=KEYS, delay={1: "20h", 0: "5h"}).fit_transform(X, Y)
    history = HistoryFeatures(time="when", keys=KEYS, delay={"click": "5h", "buy": "20h"}, last=3, last_of="item")
    out = history.fit_transform(X, Y)
    assert len(differing := [name for name in by_position if not out[name].equals(equal[name])]) == 6
    assert all("buy" in name for name in differing)
    pd.testing.assert_frame_equal(out[list(by_position)], by_position)
    lists = HistoryFeatures(time="when", keys=KEYS, delay="5h", last=3, last_of="item").fit_transform(X, Y)
    assert out["user_last_item"].tolist() == lists["user_last_item"].tolist()


def test_labels_that_are_not_final_do_not_change_features_with_a_delay_per_target():
    X, Y = make_log()
    now = X["when"].max() + pd.Timedelta("1h")
    as_known_now = Y.assign(buy=Y["buy"].where(X["when"] <= now - pd.Timedelta("20h")))
    history = HistoryFeatures(time="when", keys=KEYS, delay={"click": "1h", "buy": "20h"})
    today = X[:20].assign(when=now)
    expected = history.fit(X, Y).transform(today)
    pd.testing.assert_frame_equal(history.fit(X, as_known_now).transform(today), expected)


@IGNORE_STALE_LOG
@pytest.mark.parametrize("n_rows", [1, 200])
def test_young_events_do_not_lower_the_rates_of_late_steps(n_rows, monkeypatch):
    """Half of the clicks convert. Of the young events only those without a click have a label, which is 0."""
    monkeypatch.setattr(past, "SMALL_LOG", 0)
    monkeypatch.setattr(past, "FEW_ROWS", 10)
    X = pd.DataFrame({"when": pd.date_range("2026-01-01", periods=400, freq="h"), "user": "a"})
    Y = pd.DataFrame({"click": [0.0, 0.0, 1.0, 1.0] * 100, "cart": [0.0, 0.0, 0.0, 1.0] * 100})
    Y = Y.assign(buy=Y["cart"])
    young = Y[200:].assign(cart=np.where(Y["click"][200:] == 1, np.nan, 0), buy=np.nan)
    later = pd.DataFrame({"when": X["when"].iloc[-1] + pd.to_timedelta(np.arange(96, 96 + n_rows), "h"), "user": "a"})
    delay = {"click": "1h", "cart": "1D", "buy": "3D"}
    history = HistoryFeatures(time="when", keys=["user"], delay=delay, smoothing=0.0, log=False)
    one_by_one = clone(history).fit(X[:200], Y[:200])
    for i in range(0, 200, 7):
        one_by_one.update(X[200 + i : 207 + i], young[i : i + 7])
    at_once = clone(history).fit(X[:200], Y[:200]).update(X[200:], young)
    whole = clone(history).fit(X, pd.concat([Y[:200], young]))
    final = clone(history).fit(X, Y).transform(later)
    for some in (one_by_one, at_once, whole):
        out = some.transform(later)
        assert (out["user_events"] == 400).all()
        for name in ("click_rate", "cart_rate", "buy_rate", "cart_given_click_rate", "buy_given_cart_rate"):
            np.testing.assert_allclose(out[f"user_{name}"], final[f"user_{name}"], err_msg=name)
    at_once.update(X[200:].assign(when=X["when"][200:] + pd.Timedelta("1s")), Y[200:])
    assert (at_once.transform(later)["user_buy_rate"] < 0.25).all()  # now later events have labels


def test_a_model_trains_on_lists_of_the_last_items():
    X, Y = make_log(400)
    history = HistoryFeatures(time="when", keys=["user"], last=5, last_of="item", drop=["when"])
    model = FSMDClassifier(max_epochs=1, expert_dims=(8,), shared_embeddings={"user_last_item": "item"}, random_state=0)
    pipeline = make_pipeline(history, model).fit(X.astype({"user": "category"}), Y)
    assert np.isfinite(pipeline.predict_proba(X[:5])[0]).all()
    assert list(model._encoder.main.lists) == [X.shape[1] - 1 + 5]


def test_updates_equal_a_fit_on_the_whole_log():
    X, Y = make_log(missing_labels=True)
    later, _ = make_log(120, seed=1)
    whole = HistoryFeatures(time="when", keys=KEYS).fit(X, Y)
    history = HistoryFeatures(time="when", keys=KEYS).fit(X[:50], Y[:50])
    first = history.transform(later)
    history.update(X[90:], Y[90:]).update(X[50:90], Y[50:90])  # events may come in any order
    assert history.n_events_ == len(X)
    pd.testing.assert_frame_equal(history.transform(later), whole.transform(later))
    pd.testing.assert_frame_equal(history.transform(later[:7]), whole.transform(later[:7]))
    assert not first.equals(whole.transform(later))
    strict = clone(history).set_params(strict_order=True).fit(X, Y)
    with pytest.raises(ValueError, match="older than the latest event of the log, of 2026-03-03.*strict_order is True"):
        strict.update(X[:3], Y[:3])
    strict.update(X[:3].assign(when=X["when"].max()), Y[:3])
    assert strict.n_events_ == len(X) + 3


def fit_in_pieces(history, X, Y, first=60):
    """Fit on the first events and add the others, a few at a time."""
    history.fit(X[:first], Y[:first])
    start = first
    for n in np.random.default_rng(0).permutation([1, 1, 1, 2, 3, 5, 8, 13]).tolist() * 9:
        if start < len(X):
            history.update(X[start : start + n], Y[start : start + n])
            start += n
    assert history.n_events_ == len(X)
    return history


@pytest.mark.parametrize("n", [40, 400], ids=["few rows", "many rows"])
@pytest.mark.parametrize("params", [{}, {"half_life": "7h"}, {"smoothing": 0.0}], ids=str)
def test_many_small_updates_equal_a_fit_on_the_whole_log(params, n):
    X, Y = make_log(200, missing_labels=True)
    X["item"] = X["item"].where(X.index % 50 != 7, X.index.astype(str))  # values that first occur in a later part
    history = fit_in_pieces(HistoryFeatures(time="when", keys=KEYS, **params), X, Y)
    assert 1 < len(history._past.parts) < 8
    later, _ = make_log(n, seed=1)
    later["item"] = later["item"].where(later.index % 9 != 0, X["item"].iloc[-1])
    np.testing.assert_allclose(features_of(history.transform(later), later), by_loop(X, Y, later, **params), rtol=1e-5)


@pytest.mark.parametrize("n", [40, 400], ids=["few rows", "many rows"])
def test_last_items_after_updates_equal_those_of_the_whole_log(n):
    X, Y = make_log(200, missing_labels=True)
    params = {"time": "when", "keys": KEYS, "last": 4, "last_of": "item"}
    later, _ = make_log(n, seed=1)
    from_parts = fit_in_pieces(HistoryFeatures(**params), X, Y).transform(later)
    pd.testing.assert_frame_equal(from_parts, HistoryFeatures(**params).fit(X, Y).transform(later))


def test_an_update_sorts_only_its_own_events(monkeypatch):
    """A service adds single events to a long log."""
    X, Y = make_log(2000)
    history = HistoryFeatures(time="when", keys=KEYS, last=3, last_of="item").fit(X[:1900], Y[:1900])
    history.transform(X[:1])
    sizes, init = [], by_key.ByKey.__init__
    monkeypatch.setattr(by_key.ByKey, "__init__", lambda *args: sizes.append(len(args[1])) or init(*args))
    for i in range(1900, 2000):
        history.update(X[i : i + 1], Y[i : i + 1])
        history.transform(X[:1])
    assert max(sizes) <= 100
    assert history._past.freshness.last == pd.Timestamp(X["when"].max()).as_unit("ns").value
    assert len(history._past.freshness.times) == len(history._past.parts) < 8
    assert sum(sizes) < 20_000  # 100 times the whole log would be 200,000, key by key


def test_an_update_holds_values_of_the_same_kind():
    X, Y = make_log()
    history = HistoryFeatures(time="when", keys=["item"]).fit(X, Y)
    with pytest.raises(ValueError, match="Column 'item' held strings in fit and holds numbers now"):
        history.update(X.assign(item=3), Y)
    mixed = X.assign(item=np.where(np.arange(len(X)) % 2, X["item"].to_numpy(dtype=object), 3))
    history = HistoryFeatures(time="when", keys=["item"], log=False).fit(mixed, Y)
    before = history.transform(mixed[1:2])["item_events"].iloc[0]
    history.update(mixed[::2], Y[::2])  # numbers alone, and then strings
    for i in range(1, 20, 2):
        history.update(mixed[i : i + 1], Y[i : i + 1])
    later = mixed[1:2].assign(when=X["when"].max() + pd.Timedelta("2h"))
    is_same = mixed["item"] == mixed["item"].iloc[1]
    assert history.transform(later)["item_events"].iloc[0] == is_same.sum() + is_same[1:20:2].sum() > before
    three = later.assign(item=3).astype({"item": object})
    assert history.transform(three)["item_events"].iloc[0] == 2 * (mixed["item"] == 3).sum()


def test_updates_of_several_threads_are_all_kept():
    X, Y = make_log()
    history = HistoryFeatures(time="when", keys=KEYS).fit(X[:50], Y[:50])
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: history.update(X[i : i + 1], Y[i : i + 1]), range(50, 150)))
    assert history.n_events_ == 150


@pytest.mark.parametrize("delay", [pd.Timedelta("2h"), {"click": "1h", "buy": pd.Timedelta("1D")}], ids=str)
def test_a_file_and_a_pickle_hold_the_log(delay, tmp_path):
    X, Y = make_log()
    history = HistoryFeatures(time="when", keys=KEYS, half_life=[None, "1D"], delay=delay).fit(X, Y)
    expected = history.transform(X)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(history)).transform(X), expected)
    history.set_params(delay="9h").save(tmp_path / "history")  # takes effect at the next fit
    loaded = HistoryFeatures.load(tmp_path / "history", device="cuda:99")  # it computes on no device
    pd.testing.assert_frame_equal(loaded.transform(X), expected)
    pd.testing.assert_frame_equal(loaded.transform(X[:1]), history.transform(X[:1]))
    assert loaded.get_params() == history.get_params()
    loaded.update(X, Y)
    assert loaded.n_events_ == 2 * history.n_events_


def test_times_of_any_type_give_the_same_features():
    X, Y = make_log()
    expected = features_of(HistoryFeatures(time="when", keys=KEYS).fit_transform(X, Y), X)
    for when, unit in [
        (X["when"].astype("datetime64[s]"), None),
        (X["when"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"), None),
        ((X["when"].astype("datetime64[ms]").astype("int64")), "ms"),
        ((X["when"].astype("datetime64[s]").astype("int64") / 3600), "h"),
    ]:
        other = X.assign(when=when)
        actual = HistoryFeatures(time="when", keys=KEYS, unit=unit).fit_transform(other, Y)
        np.testing.assert_array_equal(features_of(actual, other), expected)


def test_threads_can_transform_concurrently(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X, Y = make_log(600)
    history = HistoryFeatures(time="when", keys=KEYS, n_threads=1).fit(X, Y)
    expected = history.transform(X)
    with ThreadPoolExecutor(4) as pool:
        for actual in pool.map(history.transform, [X] * 8):
            pd.testing.assert_frame_equal(actual, expected)
    assert list(tmp_path.iterdir()) == []


def test_ids_are_exact():
    ids = [2**53, 2**53 + 1, 2**53]
    X = pd.DataFrame({"time": pd.date_range("2026-01-01", periods=3), "user": ids})
    out = HistoryFeatures(keys=["user"], log=False).fit_transform(X, pd.Series([1, 0, 1]))
    assert out["user_events"].tolist() == [0, 0, 1]


def test_works_in_a_pipeline_and_a_grid_search():
    X, Y = make_log(400)
    model = FSMDClassifier(max_epochs=1, expert_dims=(8,), categorical_features=["user", "item", "tab"], random_state=0)
    pipeline = make_pipeline(HistoryFeatures(time="when", keys=KEYS, drop=["when"]), model)
    p = pipeline.fit(X, Y).predict_proba(X[:5])
    assert len(p) == 2
    search = GridSearchCV(pipeline, {"historyfeatures__delay": ["1h", "1D"]}, cv=2, error_score="raise").fit(X, Y)
    assert set(search.best_params_) == {"historyfeatures__delay"}


def test_two_histories_in_one_pipeline_have_names_of_their_own():
    X, Y = make_log()
    short, long = (
        HistoryFeatures(time="when", keys=["user"]),
        HistoryFeatures(time="when", keys=["user"], delay="2D", last=2, last_of="item", prefix="long_"),
    )
    both = make_pipeline(short, long)
    result = both.fit_transform(X, Y)
    names = both.get_feature_names_out()
    assert list(result.columns) == list(names)
    assert [name for name in names if name.startswith("long_")] == [
        "long_user_events",
        "long_user_click_rate",
        "long_user_buy_rate",
        "long_user_buy_given_click_rate",
        "long_user_seconds_since",
        "long_user_last_item",
    ]
    alone = long.set_params(prefix="").fit_transform(X, Y)
    own = [name for name in alone.columns if name not in X.columns]
    pd.testing.assert_frame_equal(result[[f"long_{name}" for name in own]].set_axis(own, axis=1), alone[own])


def test_a_single_target():
    X, Y = make_log()
    out = HistoryFeatures(time="when", keys=["user"]).fit_transform(X, Y["click"])
    assert [name for name in out if name.endswith("rate")] == ["user_click_rate"]


@pytest.mark.parametrize(
    ("params", "change", "message"),
    [
        ({"time": "wen"}, {}, "Column 'wen', which 'time' names, is not in X"),
        ({"keys": ["usr"]}, {}, "Column 'usr', which 'keys' names, is not in X"),
        ({"keys": []}, {}, "The 'keys' parameter must name the columns"),
        ({"drop": ["whn"]}, {}, "Column 'whn', which 'drop' names, is not in X"),
        ({"delay": "-1h"}, {}, "The 'delay' parameter must be a span of time such as \"1h\", not negative. Got '-1h'"),
        ({"delay": "soon"}, {}, "The 'delay' parameter must be a span of time"),
        ({"delay": "3600"}, {}, "The 'delay' parameter has no unit: '3600'. Write '3600s' for seconds"),
        ({"half_life": "7"}, {}, "The 'half_life' parameter has no unit: '7'"),
        ({"delay": "60000D"}, {}, "The 'delay' parameter must be below 146 years"),
        ({"delay": {"click": "1h"}}, {}, "must give each target a delay. It gives none to 'buy'"),
        ({"delay": {"click": "1h", "buys": "7D"}}, {}, "In delay=.*: There is no target 'buys'; the targets are"),
        ({"delay": {"click": "1h", 0: "7D", "buy": "7D"}}, {}, "The 'delay' parameter names a target twice"),
        ({"delay": {"click": "1h", "buy": "7"}}, {}, "The 'delay' parameter has no unit: '7'"),
        ({"half_life": "-1D"}, {}, "The 'half_life' parameter must be a span of time"),
        ({"half_life": "0s"}, {}, "The 'half_life' parameter must be longer than 0. Got '0s' instead"),
        ({"half_life": "1s"}, {}, "span 21.,... times the half-life of 1 s"),
        ({"unit": "weeks"}, {}, "The 'unit' parameter of HistoryFeatures must be"),
        ({"smoothing": -1.0}, {}, "The 'smoothing' parameter of HistoryFeatures must be"),
        ({}, {"when": pd.NaT}, "Column 'when' has no time in 150 of 150 rows, the first of them row 0"),
        ({}, {"when": 3}, "Column 'when' holds numbers: set their `unit`, one of"),
        ({"unit": "D"}, {"when": 10**9}, "Column 'when' holds 1000000000, which is no valid time in 'D' since 1970"),
        (
            {},
            {"when": "monday"},
            "Column 'when' must hold datetimes or numbers.* it holds 'monday'. Convert it by pandas.to_d",
        ),
        (
            {},
            {"user_events": 1},
            "X has a column 'user_events', which is the name of a feature too. Rename it, or set `prefix`",
        ),
    ],
    ids=str,
)
def test_invalid_input_is_refused(params, change, message):
    X, Y = make_log()
    with pytest.raises(ValueError, match=message):
        HistoryFeatures(**{"time": "when", "keys": KEYS} | params).fit_transform(X.assign(**change), Y)


def test_more_invalid_input_is_refused():
    X, Y = make_log()
    history = HistoryFeatures(time="when", keys=KEYS)
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        history.fit_transform(X)
    with pytest.raises(TypeError, match="X must be a DataFrame with the columns that `time` and `keys` name"):
        history.fit(X.to_numpy(), Y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        history.fit(X, Y[:-1])
    history.fit(X, Y)
    with pytest.raises(ValueError, match=r"had no time zone in fit, and has one now.*tz_convert\(None\)"):
        history.transform(X.assign(when=X["when"].dt.tz_localize("UTC")))
    with pytest.raises(ValueError, match="requires y to be passed"):
        history.update(X)
    before = history.transform(X)
    with pytest.raises(ValueError, match="Y has 1 tasks, but 2 were seen in fit"):
        history.update(X, Y["click"])
    with pytest.raises(ValueError, match="X has a column 'item_events'"):
        history.fit(X.assign(item_events=1), Y["click"])
    with pytest.raises(TypeError, match="two names of one argument"):
        history.fit(X, Y, y=Y)
    assert history.target_names_ == ["click", "buy"]  # a failed fit changes nothing
    pd.testing.assert_frame_equal(history.transform(X), before)


@IGNORE_STALE_LOG
def test_sums_decay_in_a_log_of_any_length():
    X = pd.DataFrame({"time": [0, 1000, 1990, 1999], "user": list("abcd")})
    history = HistoryFeatures(keys=["user"], unit="s", delay="1s", half_life="1s", log=False)
    history.fit(X, pd.DataFrame({"click": [1, 0, 1, 1]}))
    later = pd.DataFrame({"time": [2009, 3600, 86_400], "user": ["d"] * 3})
    for rows in (later, pd.concat([later] * 50)):
        features = history.transform(rows)["user_events_1s"].to_numpy()[:3]
        np.testing.assert_allclose(features, [2.0**-10, 0, 0], rtol=1e-5)


@IGNORE_STALE_LOG
def test_events_without_labels_count():
    X, Y = make_log()
    history = HistoryFeatures(time="when", keys=["user"], log=False).fit(X[:100], Y[:100])
    before = history.transform(X[:1].assign(when=X["when"].max() + pd.Timedelta("9D")))
    history.update(X[100:], Y[100:] * np.nan)
    assert history.n_events_ == len(X)
    after = history.transform(X[:1].assign(when=X["when"].max() + pd.Timedelta("9D")))
    assert after["user_events"].item() > before["user_events"].item()


@pytest.mark.parametrize(
    "spans", [timedelta(hours=1), pd.Timedelta("1h"), np.timedelta64(3600 * 10**9, "ns")], ids=type
)
def test_durations_of_any_type_are_restored_from_a_file(spans, tmp_path):
    X, Y = make_log()
    history = HistoryFeatures(time="when", keys=["user"], delay=spans, half_life=[None, spans]).fit(X, Y)
    history.save(tmp_path / "history")
    loaded = HistoryFeatures.load(tmp_path / "history")
    assert loaded.delay == pd.Timedelta(spans)
    pd.testing.assert_frame_equal(loaded.transform(X[:5]), history.transform(X[:5]), check_names=False)
    clone(loaded).fit(X, Y)


@pytest.mark.parametrize(
    "params",
    [
        {"keys": ["user", "user"]},
        {"keys": ["user_x_tab", ["user", "tab"]]},
    ],
    ids=str,
)
def test_duplicate_feature_names_are_refused(params):
    X, Y = make_log()
    with pytest.raises(ValueError, match="Two columns of the result would be named 'user"):
        HistoryFeatures(time="when", **params).fit(X.assign(user_x_tab="a"), Y)
    HistoryFeatures(time="when", keys=["user"], drop=pd.Index(["when"])).fit_transform(X, Y)


@pytest.mark.parametrize("kind", ["arrow", "objects"])
def test_dates_are_treated_as_midnight(kind):
    days = pd.Series(pd.date_range("2024-01-01", periods=4), name="time")
    X = pd.DataFrame({"time": days, "u": list("aaba")})
    dates = days.dt.date
    features = HistoryFeatures(keys=["u"]).fit_transform(X, [1, 0, 1, 0])
    X_dates = X.assign(time=dates if kind == "objects" else pd.Series(dates, dtype=pd.ArrowDtype(pa.date32())))
    of_dates = HistoryFeatures(keys=["u"]).fit_transform(X_dates, [1, 0, 1, 0])
    pd.testing.assert_frame_equal(of_dates.drop(columns="time"), features.drop(columns="time"))


@pytest.mark.parametrize("far", ["1677-09-22", "1700-01-01", "9999-12-31"])
def test_times_too_far_from_1970_are_refused(far):
    times = pd.Series(["2024-01-01", "2024-01-02", far]).astype("datetime64[us]")
    X = pd.DataFrame({"time": times, "u": ["a"] * 3})
    with pytest.raises(ValueError, match=f"Column 'time' has {far} 00:00:00 in row 2. Times from 1824 to 2116"):
        HistoryFeatures(keys=["u"], delay="7D").fit_transform(X, [1, 0, 1])
    ends = X.assign(time=pd.to_datetime(["1824-01-01", "2116-01-01", "2115-01-01"]))
    features = HistoryFeatures(keys=["u"], delay="7D", log=False).fit_transform(ends, [1, 0, 1])
    assert features["u_events"].tolist() == [0, 2, 1]
    assert features["u_seconds_since"].tolist()[1:] == pytest.approx([365 * 86_400, 106_286 * 86_400], rel=1e-6)


def test_times_with_and_without_a_zone_are_refused():
    times = pd.Series([pd.Timestamp("2024-01-01", tz="UTC"), pd.Timestamp("2024-01-02")], dtype=object)
    with pytest.raises(ValueError, match="Column 'time' has times that cannot be read together"):
        HistoryFeatures(keys=["u"]).fit_transform(pd.DataFrame({"time": times, "u": ["a", "a"]}), [1, 0])


@IGNORE_STALE_LOG
def test_a_rate_does_not_underflow_long_after_a_short_log(monkeypatch):
    """Without smoothing the decay cancels out."""
    log = pd.DataFrame({"time": pd.to_datetime(["2026-01-01 00:00", "2026-01-01 01:00", "2026-01-01 02:00"]), "u": "a"})
    history = HistoryFeatures(keys=["u"], half_life="1h", smoothing=0.0, log=False)
    history.fit(log, pd.DataFrame({"click": [1, 0, 1]}))
    monkeypatch.setattr(past, "SMALL_LOG", 0)
    for n in (1, 300):  # in memory, and by the engine
        later = pd.DataFrame({"time": pd.to_datetime(["2026-01-02"] * n + ["2026-06-01"] * n), "u": "a"})
        rates = history.transform(later)["u_click_rate_1h"]
        np.testing.assert_allclose(rates, 5 / 7, rtol=1e-6)


def test_a_growing_log_is_never_too_long():
    """Events 2,000 half-lives before the last one have weight 0, and rows of that time are refused."""
    time = pd.date_range("2026-01-01", periods=120, freq="D")
    log, Y = pd.DataFrame({"time": time, "u": "a"}), pd.DataFrame({"click": np.arange(120) % 2})
    params = {"keys": ["u"], "half_life": [None, "1h"], "log": False}
    history = HistoryFeatures(**params).fit(log[:80], Y[:80]).update(log[80:], Y[80:])
    short = HistoryFeatures(**params).fit(log[60:], Y[60:])
    later = pd.DataFrame({"time": [time[-1] + pd.Timedelta("3h")] * 2, "u": "a"})
    updated, refitted = history.transform(later), short.transform(later)
    np.testing.assert_allclose(updated["u_events_1h"], refitted["u_events_1h"], rtol=1e-6)
    assert updated["u_events"].tolist() == [120, 120]
    with pytest.raises(ValueError, match="Rows and log span .* times the half-life of 3600 s, and no more than 2000"):
        history.transform(log[:10])


def test_a_full_disk_is_named(monkeypatch):
    n = 40_000
    X = pd.DataFrame({"time": np.arange(n), "u": np.arange(n) * 7919 % 20_011, "v": np.arange(n) * 104_729 % 20_021})
    history = HistoryFeatures(unit="s", keys=["u", ["u", "v"]], n_threads=1).fit(
        X, pd.DataFrame({"click": [0, 1] * (n // 2)})
    )
    connect = duckdb.connect

    def connected(config):
        return connect(config={**config, "memory_limit": "1MB", "max_temp_directory_size": "1MB"})

    monkeypatch.setattr(duckdb, "connect", connected)
    monkeypatch.setattr(past, "SMALL_LOG", 0)
    with pytest.raises(OSError, match="The history features are computed in .*, and that failed.*TMPDIR"):
        history.transform(X)


def test_times_that_are_too_coarse_are_refused():
    """Today float32 seconds have steps of two minutes, so events would count before `delay` has passed."""
    seconds = 1_767_225_600 + np.arange(0, 600, 30)
    X, Y = pd.DataFrame({"time": seconds, "u": "a"}), pd.DataFrame({"click": np.arange(20) % 2})
    history = HistoryFeatures(unit="s", keys=["u"], delay="100s", log=False)
    exact = history.fit_transform(X.astype({"time": "float64"}), Y)["u_events"]
    assert exact.tolist()[:6] == [0, 0, 0, 0, 1, 2]
    with pytest.raises(ValueError, match="'time' is float32, whose resolution is 0 days 00:02:08 here"):
        history.fit(X.astype({"time": "float32"}), Y)
    with pytest.raises(ValueError, match="float32"):
        history.transform(X.astype({"time": "float32"}))


def test_an_update_without_events_changes_nothing():
    X, Y = make_hourly_log(50)
    history = HistoryFeatures(keys=["user"]).fit(X, Y)
    assert history.update(X[:0], Y[:0]).n_events_ == 50
    for wrong in (X[:0].drop(columns="user"), None, [], {}):
        with pytest.raises((TypeError, ValueError)):
            history.update(wrong, Y[:0])
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        history.update(X[:0], Y[:3])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_fork_can_transform_and_exit(monkeypatch):
    """After a transform of many rows, a forked process works, since no database is left open."""
    monkeypatch.setattr(past, "SMALL_LOG", 0)
    X, Y = make_hourly_log(500)
    history = HistoryFeatures(keys=["user"], delay="10D").fit(X[:300], Y[:300])
    expected = history.transform(X[300:450])

    def work():
        pd.testing.assert_frame_equal(history.transform(X[300:450]), expected)
        history.update(X[300:310], Y[300:310])

    for target in (work, int):
        child = multiprocessing.get_context("fork").Process(target=target)
        child.start()
        child.join()
        assert child.exitcode == 0
    pd.testing.assert_frame_equal(history.transform(X[300:450]), expected)


def test_a_key_that_is_not_a_name_is_refused():
    X, Y = make_log()
    with pytest.raises(ValueError, match="'keys' parameter must hold names of columns, and lists of these. Got 3"):
        HistoryFeatures(time="when", keys=[3]).fit(X, Y)
    with pytest.raises(ValueError, match=r"'keys' parameter must hold names of columns, .*\. Got \[\]"):
        HistoryFeatures(time="when", keys=["user", []], half_life="1h").fit(X, Y)


def test_a_key_with_too_many_combinations_is_refused_in_fit():
    n = 56_000
    X = pd.DataFrame({"time": pd.date_range("2026", periods=n, freq="s"), **dict.fromkeys("abcd", np.arange(n))})
    with pytest.raises(ValueError, match=r"The key \['a', 'b', 'c', 'd'\] has more combinations of values than can be"):
        HistoryFeatures(keys=[list("abcd")]).fit(X, pd.DataFrame({"click": np.arange(n) % 2}))


def make_hourly_log(n, start="2026-01-01"):
    times = pd.date_range(start, periods=n, freq="h")
    return pd.DataFrame({"time": times, "user": np.arange(n) % 7}), pd.DataFrame({"click": np.arange(n) % 3 == 0})


def test_rows_long_after_the_log_are_warned_of():
    """In fit, features contain events up to an hour before a row; two days after the last event they do not."""
    X, Y = make_hourly_log(240)
    history = HistoryFeatures(keys=["user"]).fit(X[:200], Y[:200])
    with pytest.warns(UserWarning, match=r"38 of 40 rows .*delay='1h'.*2026-01-09 07:00.*`update`.*here '2D'"):
        history.transform(X[200:])
    with pytest.warns(UserWarning, match="1 of 1 rows .*here '5h'"):
        history.transform(X[204:205])
    history.update(X[200:230], Y[200:230]).transform(X[230:232])


def test_the_warning_names_the_delay_of_fit():
    X, Y = make_hourly_log(240)
    history = HistoryFeatures(keys=["user"], delay="90m").fit(X[:200], Y[:200]).set_params(delay="90D")
    with pytest.warns(UserWarning, match="38 of 40 rows .*delay='90m'"):
        history.transform(X[200:])


def test_messages_name_times_with_their_zone():
    X, Y = make_hourly_log(240)
    X["time"] = X["time"].dt.tz_localize("Asia/Tokyo")
    history = HistoryFeatures(keys=["user"], strict_order=True).fit(X[:200], Y[:200])
    with pytest.warns(UserWarning, match="of 2026-01-08 22:00:00 UTC"):
        history.transform(X[200:])
    with pytest.raises(ValueError, match="events of 2025-12-31 15:00:00 UTC, .*of 2026-01-08 22:00:00 UTC"):
        history.update(X[:1], Y[:1])


@pytest.mark.parametrize(
    "times",
    [
        lambda t: t.astype("category"),
        lambda t: t.dt.to_period("h"),
        lambda t: t.astype("int64").astype(object),
        lambda t: t.astype("int64").astype("category"),
    ],
    ids=["category", "period", "objects", "category of numbers"],
)
def test_times_of_any_dtype_give_the_same_features(times):
    X, Y = make_hourly_log(60)
    X["time"] = X["time"].astype("datetime64[ns]")
    history = HistoryFeatures(keys=["user"], unit="ns", drop=["time"])
    expected = history.fit_transform(X, Y)
    pd.testing.assert_frame_equal(history.fit_transform(X.assign(time=times(X["time"])), Y), expected)


@pytest.mark.parametrize("params", [{"delay": "2D"}, {"delay": pd.Timedelta("40h")}], ids=str)
def test_rows_within_the_delay_are_not_warned_of(params):
    X, Y = make_hourly_log(240)
    HistoryFeatures(keys=["user"], **params).fit(X[:200], Y[:200]).transform(X[200:])


def test_a_pause_as_long_as_one_in_the_log_is_not_warned_of():
    X, Y = make_hourly_log(240)
    kept = ~X["time"].dt.hour.isin(range(8, 20))  # no events by day
    HistoryFeatures(keys=["user"]).fit(X[kept][:100], Y[kept][:100]).transform(X[kept][100:102])
    early, late = HistoryFeatures(keys=["user"]).fit(X[:0:-1], Y[:0:-1]), X[:1]  # in any order, and before the log
    early.transform(late)


def test_updates_keep_the_longest_gap_of_all_events():
    log = pd.DataFrame({"time": pd.date_range("2026-01-01", periods=40, freq="h"), "u": "a"})
    Y = pd.DataFrame({"click": [0, 1] * 20})
    later = log[-10:].assign(time=log["time"][-10:] + pd.Timedelta("9h"))
    history = HistoryFeatures(keys=["u"]).fit(log[:20], Y[:20])
    assert history._past.freshness.longest_gap == pd.Timedelta("1h").value
    history.update(log[20:30], Y[20:30]).update(later, Y[-10:]).update(log[30:], Y[30:])  # the last ones come late
    longest = pd.concat([log, later])["time"].sort_values().diff().max()
    assert history._past.freshness.longest_gap == longest.value


@pytest.mark.parametrize("last", [0, 5])
def test_values_treated_as_missing_are_warned_of(last):
    X = pd.DataFrame({"time": pd.date_range("2026-01-01", periods=6, freq="h"), "floor": [-1, -1, -3, -3, -1, -3]})
    X["user"], Y = "a", pd.DataFrame({"click": [1, 0, 1, 1, 0, 1]})
    keys = {"keys": ["user"], "last": 5, "last_of": "floor"} if last else {"keys": ["floor"]}
    with pytest.warns(UserWarning, match="Column 'floor' of X: categories that are negative numbers"):
        HistoryFeatures(**keys).fit(X, Y)


@pytest.mark.parametrize(("unit", "delay"), [("us", "1ms"), ("ms", "500ms")])
def test_whole_numbers_as_floats_are_exact(unit, delay):
    """An event of exactly the minimum age counts, whatever the type of its time."""
    per_second = {"us": 10**6, "ms": 10**3}[unit]
    first = 1_700_000_000 * per_second + np.random.default_rng(0).integers(0, per_second, 200)
    later = first + int(pd.Timedelta(delay).total_seconds() * per_second)
    X = pd.DataFrame({"time": np.concatenate([first, later]), "user": np.tile(np.arange(200), 2)})
    Y = pd.DataFrame({"click": [0, 1] * 200})
    for kind in ("int64", "float64"):
        history = HistoryFeatures(keys=["user"], unit=unit, delay=delay, log=False)
        past = history.fit_transform(X.astype({"time": kind}), Y)
        assert past["user_events"].tolist() == [0] * 200 + [1] * 200


@pytest.mark.parametrize("unit", ["ms", "us"])
def test_a_whole_number_is_exact_next_to_a_fraction(unit):
    """An event at the same time does not count, and the features of a row do not depend on other query rows."""
    first = {"ms": 1_700_000_000_001.0, "us": 1_700_000_000_000_001.0}[unit]
    log = pd.DataFrame({"time": [first, first + 2.5], "user": "a"})
    history = HistoryFeatures(keys=["user"], unit=unit, delay="0s", log=False)
    history.fit(log, pd.DataFrame({"click": [1, 0]}))
    row, other = log[:1], pd.DataFrame({"time": [first + 0.5], "user": ["a"]})
    assert history.transform(row)["user_events"].tolist() == [0]
    assert history.transform(pd.concat([row, other]))["user_events"].tolist() == [0, 1]


def test_equal_durations_give_the_same_feature_names(tmp_path):
    X = pd.DataFrame({"time": pd.date_range("2026-01-01", periods=4), "user": ["a", "b"] * 2})
    Y = pd.DataFrame({"click": [1, 0, 0, 1]})
    names = set()
    for value in (timedelta(hours=2), np.timedelta64(2, "h"), pd.Timedelta("2h")):
        history = HistoryFeatures(keys=["user"], half_life=value).fit(X, Y)
        history.save(tmp_path / "h")
        loaded = clone(HistoryFeatures.load(tmp_path / "h")).fit(X, Y)
        names |= {tuple(history.get_feature_names_out()), tuple(loaded.get_feature_names_out())}
    assert len(names) == 1
    assert "user_click_rate_2h" in next(iter(names))
    for values in ([timedelta(hours=2), pd.Timedelta("2h")], ["1D", None, "24h"]):
        with pytest.raises(ValueError, match="The 'half_life' parameter has .* twice. Got "):
            HistoryFeatures(keys=["user"], half_life=values).fit(X, Y)
