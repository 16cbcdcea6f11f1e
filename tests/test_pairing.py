"""Warnings if the rows of X and Y do not belong together: nothing else would reveal such a mistake."""

import warnings
from itertools import product

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.utils import shuffle

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.history import HistoryFeatures
from sklearn_fsmd.inspection import feature_importances, metric_table
from sklearn_fsmd.metrics import (
    auc_per_task,
    get_scorer,
    group_auc,
    mean_log_loss,
    ndcg_at_k,
    reliability_curve,
    value_mae,
)
from sklearn_fsmd.plotting import LiftDisplay, ReliabilityDisplay
from tests.conftest import SMALL


def fit(X, Y, **validation):
    return FSMDClassifier(**SMALL | {"max_epochs": 1}).fit(X, Y, **validation)


def is_silent(X, Y):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(X, Y)
    return not [w for w in caught if "different orders" in str(w.message) or "name of a target" in str(w.message)]


def test_fit_warns_if_the_indexes_of_x_and_y_have_different_orders(frame):
    X, Y = frame
    shuffled = Y.sample(frac=1, random_state=0)
    message = r"of X and Y hold the same labels in different orders: row 0 is 0 in X and \d+ in Y.*Y\.loc\[X\.index\]"
    with pytest.warns(UserWarning, match=message):
        fit(X, shuffled)
    with pytest.warns(UserWarning, match=message):
        fit(X, shuffled.iloc[:, 0])
    with pytest.warns(UserWarning, match=message.replace("X", "X_val").replace("Y", "Y_val")):
        fit(X, Y, X_val=X, Y_val=shuffled)
    assert is_silent(X, shuffled.loc[X.index])
    assert is_silent(X, shuffled.set_axis(X.index))


def test_fit_warns_if_x_and_y_are_of_two_splits(frame):
    X, Y = (table.set_axis([f"row {i}" for i in range(len(table))]) for table in frame)
    x, y = (table.sample(n=240, random_state=seed) for seed, table in enumerate((X, Y)))
    message = r"The indexes of X and Y share 19\d of 240 labels, in different orders: row 0 is 'row \d+' in X and 'row"
    with pytest.warns(UserWarning, match=message) as caught:
        fit(x, y)
    labels = x.index.intersection(y.index)
    assert any("labels = X.index.intersection(Y.index)" in str(w.message) for w in caught)
    assert is_silent(x.loc[labels], y.loc[labels])
    assert is_silent(x, y.set_axis(x.index))
    assert is_silent(X[:-1], Y[1:])  # the next row's labels
    assert is_silent(x.reset_index(drop=True), y.set_axis(np.random.RandomState(0).permutation(300)[:240]))


@pytest.mark.filterwarnings("ignore:The predictions of .* do not rise with its labels")
def test_all_training_methods_warn_of_shuffled_labels(frame):
    X, Y = frame
    model, message = fit(X, Y), "hold the same labels in different orders"
    shuffled = Y.sample(frac=1, random_state=0)
    with pytest.warns(UserWarning, match=message):
        model.partial_fit(X, shuffled)
    with pytest.warns(UserWarning, match=message):
        model.calibrate(X, shuffled)
    with pytest.warns(UserWarning, match=message):
        model.calibrate(X, Y, sample_weight=pd.Series(1.0, shuffled.index))
    X, Y = make_funnel(300, history=True, random_state=0, return_X_y=True)
    history, shuffled = HistoryFeatures(time="time", keys=["user_id"]), Y.sample(frac=1, random_state=0)
    with pytest.warns(UserWarning, match=message):
        history.fit(X, shuffled)
    with pytest.warns(UserWarning, match=message):
        history.update(X.assign(time=X["time"] + pd.Timedelta("60D")), shuffled)


def test_indexes_that_do_not_identify_rows_are_ignored(frame):
    X, Y = frame
    n = len(X)
    assert is_silent(X, Y.set_axis(Y.index + 1))
    assert is_silent(X, Y.to_numpy())
    assert is_silent(X.set_axis(np.arange(n) // 2), Y.set_axis(np.arange(n)[::-1] // 2))
    assert is_silent(X.set_axis(pd.MultiIndex.from_arrays([np.arange(n), np.arange(n)])), Y)
    assert is_silent(pl.from_pandas(X), Y.sample(frac=1, random_state=0))
    assert is_silent(X.sample(frac=1, random_state=0), pl.from_pandas(Y))


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (1, "1", "row 0 is 1 in X and '1' in Y"),
        (None, 1, "row 0 is None in X and 1 in Y"),
        (-1, -2, "row 0 is -1 in X"),
    ],
)
def test_index_labels_of_any_type_are_compared(first, second, message, frame):
    X, Y = frame
    rest = list(range(2, len(X)))
    x_index, y_index = (pd.Index([*pair, *rest], dtype=object) for pair in ((first, second), (second, first)))
    with pytest.warns(UserWarning, match=message):
        fit(X.set_axis(x_index), Y.set_axis(y_index))
    categories = pd.CategoricalIndex(x_index), pd.CategoricalIndex(y_index, categories=[*y_index.dropna(), "unused"])
    with pytest.warns(UserWarning, match="hold the same labels in different orders: row 0"):
        fit(X.set_axis(categories[0]), Y.set_axis(categories[1]))


def test_the_warning_names_the_first_row_that_differs(frame):
    X, Y = frame
    labels = [np.nan, *range(1, len(X))]
    with pytest.warns(UserWarning, match="row 1 is 1.0 in X and 2.0 in Y"):
        fit(X.set_axis(labels), Y.set_axis([np.nan, 2, 1, *labels[3:]]))


def test_fit_warns_if_a_column_of_x_has_the_name_of_a_target(frame):
    X, Y = frame
    with pytest.warns(UserWarning, match=r"Column 'click' of X: the name of a target.*X\.drop\(columns=\['click'\]\)"):
        fit(X.assign(click=Y["click"]), Y)
    with pytest.warns(UserWarning, match="Columns 'conversion', 'click' of X"):
        fit(X.assign(conversion=0, click=0), Y)
    with pytest.warns(UserWarning, match="Column 'click' of X"):
        fit(X.assign(click=0), Y["click"])
    assert is_silent(X.assign(click=0), Y.to_numpy())
    numbers = X[["visits"]].set_axis([0], axis=1)
    assert is_silent(numbers, pd.DataFrame(Y.to_numpy()))
    assert is_silent(numbers.set_axis([None], axis=1), Y["click"].rename(None))


def test_all_evaluations_of_a_model_warn_of_shuffled_labels(frame):
    X, Y = frame
    model, shuffled = fit(X, Y), Y.sample(frac=1, random_state=0)
    message = "hold the same labels in different orders"
    for evaluate in (
        model.score,
        lambda X, Y: get_scorer("mean_auc")(model, X, Y),
        lambda X, Y: metric_table(model, X, Y, n_bootstrap=2),
        lambda X, Y: feature_importances(model, X, Y, n_repeats=1),
    ):
        with pytest.warns(UserWarning, match=message):
            evaluate(X, shuffled)
    weights = pd.Series(np.ones(len(X)), index=X.index).sample(frac=1, random_state=0)
    with pytest.warns(UserWarning, match="of X and sample_weight hold the same labels in different orders"):
        FSMDClassifier(**SMALL | {"max_epochs": 1}).fit(X, Y, sample_weight=weights)


@pytest.mark.parametrize(
    "evaluate",
    [
        lambda y, p, groups: auc_per_task(y, p),
        lambda y, p, groups: mean_log_loss(y, p),
        lambda y, p, groups: group_auc(y, p, groups),
        lambda y, p, groups: ndcg_at_k(y, p, groups),
        lambda y, p, groups: value_mae(y, p),
        lambda y, p, groups: reliability_curve(y, p),
        lambda y, p, groups: LiftDisplay.from_predictions(y, p),
    ],
)
def test_all_metrics_of_predictions_warn_of_shuffled_rows(evaluate):
    """Labels and predictions are paired by position, which is wrong after a table was sorted by its scores."""
    random = np.random.default_rng(0)
    p = pd.Series(random.random(200))
    y, groups = (p > random.random(200)).astype(int), pd.Series(random.integers(9, size=200))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(y, p, groups)
    with pytest.warns(UserWarning, match="hold the same labels in different orders"):
        evaluate(y, p.sort_values(), groups)


def test_warns_if_weights_groups_or_segments_have_another_order():
    y = pd.Series([0, 1] * 50)
    p, reversed_rows = pd.Series(np.linspace(0.1, 0.9, 100)), pd.Series(np.arange(100) % 5)[::-1]
    for name, evaluate in {
        "groups": lambda: group_auc(y, p, reversed_rows),
        "sample_weight": lambda: auc_per_task(y, p, sample_weight=reversed_rows),
        "by": lambda: ReliabilityDisplay.from_predictions(y, p, by=reversed_rows % 2),
    }.items():
        with pytest.warns(UserWarning, match=rf"The indexes of [yY] and {name} hold the same labels"):
            evaluate()


LEAK_WARNING = "'paid' of X is known where 'conversion' has happened, and missing everywhere else"


def make_leaking_funnel(n=2000):
    """A funnel, with the revenue of each conversion as a feature that leaks the label."""
    X, Y = make_funnel(n, random_state=0, return_X_y=True)
    return X.assign(paid=np.where(Y["conversion"] == 1, X["price"], np.nan)), Y


def leak_warnings(X, Y):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(X, Y)
    return [str(w.message) for w in caught if "missing everywhere else" in str(w.message)]


def test_fit_warns_of_a_feature_that_is_known_only_for_conversions(tmp_path):
    X, Y = make_leaking_funnel()
    with pytest.warns(UserWarning, match=LEAK_WARNING + r".*X\.drop\(columns=\['paid'\]\).*`value_targets`"):
        fit(X, Y)
    with pytest.warns(UserWarning, match=LEAK_WARNING):
        fit(X, Y.assign(conversion=Y["conversion"].where(Y["click"] == 1)))  # missing in rows without a click
    X.assign(**Y).to_parquet(tmp_path / "log.parquet")
    with pytest.warns(UserWarning, match=LEAK_WARNING):
        FSMDClassifier(**SMALL | {"max_epochs": 1}).fit_dataset(tmp_path / "log.parquet", list(Y))


def test_other_missing_values_do_not_warn():
    X, Y = make_leaking_funnel()
    one_more = X["paid"].copy()
    one_more[np.flatnonzero(X["paid"].isna())[0]] = 1.0
    is_missing = np.random.RandomState(0).uniform(size=len(X)) < 0.1
    assert len(leak_warnings(X, Y)) == 1
    assert not leak_warnings(X.drop(columns="paid").assign(a=one_more, c=X["price"].mask(is_missing)), Y)
    n = np.flatnonzero(Y["conversion"])[7]
    assert not leak_warnings(X[:n], Y[:n])  # with seven conversions it may be chance
    assert len(leak_warnings(X[: n + 1], Y[: n + 1])) == 1


def test_free_purchases_do_not_hide_a_leak():
    X, Y = make_leaking_funnel()
    events = np.flatnonzero(Y["conversion"])
    for n_free, is_leak in ((len(events) // 5, True), (len(events) * 2 // 3, False)):  # then it may be something else
        paid = X["paid"].fillna(0)
        paid.iloc[events[:n_free]] = 0
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit(X.assign(paid=paid), Y)
        expected = (
            f"Column 'paid' of X is not 0 in {len(events) - n_free} of the {len(events)} rows where 'conversion' has "
            "happened, and nowhere else. So it contains the answer"
        )
        assert [str(w.message).startswith(expected) for w in caught] == [True] * is_leak
    often = Y.assign(click=1, conversion=(X["price"].rank(pct=True) < 0.99).astype(int))
    by_chance = X.drop(columns="paid").assign(few=np.where(often["conversion"] & (np.arange(len(X)) < 1200), 1.0, 0.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(by_chance, often[["conversion"]])


@pytest.mark.parametrize("dtype", ["float64", "int64", "Float64", "int64[pyarrow]"])
def test_fit_warns_of_a_feature_that_is_0_without_a_conversion(dtype):
    X, Y = make_leaking_funnel()
    X["paid"] = X["paid"].fillna(0).round().astype(dtype)
    with pytest.warns(UserWarning, match="'paid' of X is not 0 where 'conversion' has happened, and 0 everywhere else"):
        fit(X, Y)
    X.loc[np.flatnonzero(Y["conversion"] == 0)[0], "paid"] = 1
    fit(X, Y)


def test_indexes_that_cannot_be_compared_are_ignored():
    X, Y = make_funnel(100, random_state=0, return_X_y=True)
    weeks = pd.IntervalIndex.from_arrays(np.arange(100), np.arange(100) + 7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(X.set_axis(weeks), Y)


@pytest.mark.parametrize(
    ("scorer", "n_targets"),
    [*product(["mean_auc", "click_auc", "neg_mean_log_loss"], [1, 2]), ("cvr_auc", 2)],
)
def test_scorers_accept_rows_that_were_shuffled_alike(scorer, n_targets, frame):
    """X, Y and weights with the same index, which is a permutation of 0, 1, …; warnings are errors in the tests."""
    X, Y = frame
    Y = Y if n_targets == 2 else Y["click"]
    model, weights = fit(X, Y), pd.Series(1.0 + np.arange(len(X)) % 3)
    expected = get_scorer(scorer)(model, X, Y, sample_weight=weights)
    X, Y, weights = shuffle(X, Y, weights, random_state=0)
    assert get_scorer(scorer)(model, X, Y, sample_weight=weights) == pytest.approx(expected, rel=1e-6)
