"""`AttributionsDisplay` and `ImportancesDisplay`."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.inspection import attributions, feature_importances
from sklearn_fsmd.plotting import AttributionsDisplay, ImportancesDisplay
from tests.inspection.conftest import SMALL

matplotlib.use("Agg")


def texts(labels):
    return [label.get_text() for label in labels]


def test_bars_show_the_attributions_and_add_up(model, funnel):
    X = funnel[0][2000:2001].assign(age=np.nan)
    found = attributions(model, X, target="watch_seconds")
    display = AttributionsDisplay.from_estimator(model, X, target="watch_seconds", n_features=3)
    widths = [bar.get_width() for bar in display.ax_.patches]
    assert len(widths) == 4
    assert sum(widths) == pytest.approx(found.frame.iloc[0].sum())
    order = found.frame.iloc[0].abs().sort_values(ascending=False).index
    np.testing.assert_allclose(widths[:3], found.frame.iloc[0][order[:3]])
    labels = texts(display.ax_.get_yticklabels())
    assert labels[3] == f"{found.frame.shape[1] - 3} other columns"
    assert display.ax_.get_title() == "watch_seconds"
    assert display.ax_.get_xlabel().startswith("expected value: from ")
    whole = AttributionsDisplay.from_estimator(model, X)
    assert len(whole.ax_.patches) == found.frame.shape[1]
    labels = texts(whole.ax_.get_yticklabels())
    assert f"device = {X['device'].iloc[0]}" in labels
    assert "age missing" in labels


def test_labels_are_inside_the_figure(model, funnel):
    display = AttributionsDisplay.from_estimator(model, funnel[0][:1])
    display.figure_.canvas.draw()
    frame, figure = display.ax_.get_window_extent(), display.figure_.bbox
    for text in display.ax_.texts:
        box = text.get_window_extent()
        assert frame.x0 <= box.x0 <= box.x1 <= frame.x1
    for text in (*display.ax_.get_yticklabels(), display.ax_.xaxis.label, display.ax_.title):
        box = text.get_window_extent()
        assert figure.x0 <= box.x0 <= box.x1 <= figure.x1


def test_missing_values_of_every_kind_are_labelled(model, funnel):
    row = funnel[0][:1].astype({"brand": object}).assign(brand=None, age=np.nan, device="x", position=[[1, 2]])
    display = AttributionsDisplay(
        pd.Series(1.0, index=["brand", "age", "device", "position", "other column"]),
        baseline=0.0,
        prediction=5.0,
        target="click",
        scale="log_odds",
        values=row.iloc[0],
    ).plot()
    assert texts(display.ax_.get_yticklabels()) == [
        "brand missing",
        "age missing",
        "device = x",
        "position (2)",
        "other column",
    ]
    row = funnel[0][:1].astype({"brand": object}).assign(brand=None)
    assert "brand missing" in texts(AttributionsDisplay.from_estimator(model, row).ax_.get_yticklabels())


def test_draws_one_row_of_an_array(rng):
    X = rng.normal(size=(60, 2))
    model = FSMDClassifier(**SMALL, max_epochs=1).fit(X, (X > 0).cumprod(axis=1))
    display = AttributionsDisplay.from_estimator(model, X[:1])
    assert sorted(texts(display.ax_.get_yticklabels())) == [f"x{j} = {X[0, j]:.4g}" for j in range(2)]
    with pytest.raises(ValueError, match="One row is drawn at a time.*Got 2 rows"):
        AttributionsDisplay.from_estimator(model, X[:2])
    with pytest.raises(ValueError, match="`n_features` must be at least 1. Got 0"):
        AttributionsDisplay.from_estimator(model, X[:1], n_features=0)


def test_importances_are_drawn_with_error_bars(known):
    model, X, Y = known
    found = feature_importances(model, X, Y, n_repeats=3, random_state=0)
    display = ImportancesDisplay.from_importances(found, n_features=2)
    labels = texts(display.ax_.get_yticklabels())
    means = found.frame.xs("mean", axis=1, level=1)
    assert set(labels) == set((means / means.max()).max(axis=1).nlargest(2).index)
    points = display.ax_.containers[0][0].get_xdata()
    np.testing.assert_allclose(np.asarray(points, float), found.frame["click", "mean"][labels])
    bar = display.ax_.containers[0][2][0].get_segments()[0]
    assert bar[1, 0] - bar[0, 0] == pytest.approx(2 * found.frame["click", "std"][labels[0]])
    assert "2 further columns not shown" in display.ax_.get_xlabel()
    again = ImportancesDisplay.from_estimator(model, X, Y, n_repeats=3, random_state=0)
    np.testing.assert_array_equal(again.importances, found.importances)
    with pytest.raises(ValueError, match="`n_features` must be at least 1"):
        ImportancesDisplay.from_importances(found, n_features=0)


def test_draws_a_row_of_an_array_without_bias_features(rng):
    X = rng.normal(size=(60, 3))
    model = FSMDClassifier(**SMALL, max_epochs=1, bias_features=[0]).fit(X, (X[:, 1:] > 0).cumprod(axis=1))
    whole, without = (AttributionsDisplay.from_estimator(model, row) for row in (X[:1], X[:1, 1:]))
    labels = [f"x{j} = {X[0, j]:.4g}" for j in range(3)]
    assert sorted(texts(whole.ax_.get_yticklabels())) == labels
    assert sorted(texts(without.ax_.get_yticklabels())) == ["x0", *labels[1:]]


def test_ids_and_prices_keep_their_digits():
    values = pd.Series({"user_id": 1234567.0, "price": 12999.5, "age": 31.0, "share": 0.123456}, dtype=object)
    shares = pd.Series(0.1, index=values.index)
    options = {"baseline": 0, "prediction": 0.5, "target": "click", "scale": "log_odds", "values": values}
    labels = texts(AttributionsDisplay(shares, **options).plot().ax_.get_yticklabels())
    assert labels == ["user_id = 1234567", "price = 12,999.50", "age = 31", "share = 0.1235"]
