"""Model cards agree with the metrics, are valid Markdown, and are written atomically."""

import base64
import re
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_fsmd import DenoisingEmbedder, FSMDClassifier, SingleTaskClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.export import model_card
from sklearn_fsmd.inspection import feature_importances
from sklearn_fsmd.metrics import auc_per_task
from tests.inspection.conftest import SMALL, WATCH

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def data():
    X, Y = make_funnel(1500, n_users=60, n_items=40, watch_time=True, random_state=0, return_X_y=True)
    return X[:1000], Y[:1000], X[1000:], Y[1000:]


@pytest.fixture(scope="module")
def model(data):
    return FSMDClassifier(**SMALL, **WATCH, max_epochs=3, lr=0.01).fit(data[0], data[1])


def headings_of(text):
    return [line for line in text.splitlines() if line.startswith("#")]


def test_the_card_of_a_pipeline(model, data, tmp_path):
    *_, X, Y = data
    pipeline = make_pipeline(FunctionTransformer(), model)
    importances = feature_importances(model, X, Y, n_repeats=1, random_state=0)
    path = tmp_path / "card.md"
    card = model_card(
        pipeline,
        X,
        Y,
        path,
        by=["device"],
        groups=X["user_id"],
        description="To rank a **demo** shop.",
        limits=["Made up."],
        importances=importances,
        n_bootstrap=20,
        random_state=0,
    )
    text = path.read_text(encoding="utf-8")
    assert text == card.render()
    assert [entry.name for entry in tmp_path.iterdir()] == ["card.md"]
    assert headings_of(text)[:6] == [
        "# Model card: FSMDClassifier",
        "## Data",
        "### Targets",
        "### Columns",
        "## Metrics",
        "### All rows",
    ]
    assert headings_of(text)[6:] == [
        "### By device",
        "## Calibration",
        "### By device",
        "## Lift",
        "## Importances",
        "## Limits",
        "## Parameters",
    ]
    assert "To rank a **demo** shop." in text
    assert "at the end of a Pipeline" in text
    assert "- Made up." in text
    auc = auc_per_task(Y[["click", "conversion"]], model.predict_marginals(X))
    table = text[text.index("### All rows") : text.index("### By device")]
    assert f"{auc[0]:.4g} (" in table
    assert f"{auc[1]:.4g} (" in table
    pictures = re.findall(r"!\[[^\]]+\]\(data:image/png;base64,([^)]+)\)", text)
    assert len(pictures) == 4
    assert all(base64.b64decode(picture).startswith(b"\x89PNG") for picture in pictures)
    known_brand = np.isin(X["brand"].astype(object), list(model._encoder.main.categories[4].values))
    assert f"{1 - known_brand.mean():.1%}" in next(line for line in text.splitlines() if line.startswith("|  brand"))
    assert "'watch_seconds': 'click'" in text


def test_limits_list_wrong_calibration_and_rare_segments(data, rng):
    """The limits name a wrong calibration and a segment with few rows."""
    *_, X, Y = data
    model = FSMDClassifier(**SMALL, max_epochs=2).fit(data[0], data[1][["click", "conversion"]])
    model.calibration_ = np.array([[1.0, 1.5], [1.0, 0.0]])
    by = {"shop": ["rare"] * 10 + ["b|c/d"] * 490}
    text = model_card(
        model, X, Y[["click", "conversion"]], by=by, pictures=False, n_bootstrap=30, random_state=0
    ).render()
    limits = text[text.index("## Limits") : text.index("## Parameters")]
    assert "click, all rows: predictions are too high on average" in limits
    assert "rare (click: " in limits
    assert "base64" not in text
    rows = [line for line in text.splitlines() if line.startswith("|") and "b\\|c/d" in line]
    assert len(rows) == 2
    assert "too few groups" in text


def test_accepts_arrays_missing_labels_and_weights(rng):
    X = rng.normal(size=(300, 3))
    Y = np.where(rng.uniform(size=(300, 2)) < 0.1, np.nan, (X[:, :2] > 0) * 1.0)
    model = SingleTaskClassifier(**SMALL, max_epochs=3, n_members=2).fit(X, Y)
    weights = rng.uniform(size=(300, 2))
    text = model_card(model, X, Y, sample_weight=weights, n_bootstrap=10, random_state=0).render()
    auc = auc_per_task(Y, model.predict_marginals(X), sample_weight=weights)
    assert f"{auc[0]:.4g} (" in text
    assert re.search(r"\|\s+x2\s+\|\s+number\s+\|", text)


def test_a_failed_card_keeps_the_previous_file(model, data, tmp_path, monkeypatch):
    *_, X, Y = data
    path = tmp_path / "card.md"
    path.write_text("former")
    monkeypatch.setattr("skops.card.Card.render", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model_card(model, X, Y, path, pictures=False, n_bootstrap=1)
    assert [entry.name for entry in tmp_path.iterdir()] == ["card.md"]
    assert path.read_text() == "former"
    with pytest.raises(OSError, match="there is no folder"):
        model_card(model, X, Y, tmp_path / "no" / "card.md", pictures=False, n_bootstrap=1)


def test_invalid_arguments_are_refused(model, data, monkeypatch):
    *_, X, Y = data
    with pytest.raises(ValueError, match="`by` names 'town', and X has \\['user_id'"):
        model_card(model, X, Y, by=["town"])
    with pytest.raises(ValueError, match="`max_segments` must be at least 1. Got 0"):
        model_card(model, X, Y, max_segments=0)
    with pytest.raises(TypeError, match="Got DenoisingEmbedder"):
        model_card(DenoisingEmbedder(n_epochs=1).fit(X), X, Y)
    monkeypatch.setitem(sys.modules, "skops.card", None)
    with pytest.raises(ImportError, match=r"pip install 'sklearn-fsmd\[card\]'"):
        model_card(model, X, Y)


def test_few_positive_rows_are_counted_without_weights(model, data):
    *_, X, Y = data
    options = {"by": ["segment"], "pictures": False, "n_bootstrap": 2, "random_state": 0}
    weights = np.where(Y["conversion"] == 1, 20.0, 1.0)
    plain, weighted = (
        [line for line in model_card(model, X, Y, sample_weight=w, **options).render().splitlines() if "Fewer" in line]
        for w in (None, weights)
    )
    assert f"in the test data: all rows (conversion: {Y['conversion'].sum()})" in plain[0]
    counts = Y["conversion"].groupby(X["segment"], observed=True).sum()
    assert counts.max() < 100
    for segment, n in counts.items():
        assert f"{segment} (conversion: {n})" in plain[1]
    assert plain == weighted


@pytest.mark.parametrize("name", ["rows", "target"])
def test_a_segmentation_may_have_the_name_of_a_table_column(name, model, data):
    *_, X, Y = data
    card = model_card(model, X, Y, by={name: X["device"]}, pictures=False, n_bootstrap=2, random_state=0)
    text = card.render()
    header = next(line for line in text[text.index(f"### By {name}") :].splitlines() if line.startswith("|"))
    assert [cell.strip() for cell in header.split("|")[1:4]] == ["target", f"{name} (segment)", "rows"]


def test_the_card_is_complete_for_a_target_without_positives(model, data):
    *_, X, Y = data
    text = model_card(model, X, Y.assign(conversion=0), n_bootstrap=2, random_state=0).render()
    assert "## Lift" in text


def test_names_of_segments_are_escaped_in_lists_too(model, data):
    *_, X, Y = data
    titles = np.array(["a\n- **No limits are known**", "<img src=x>"])[np.arange(len(X)) % 2]
    text = model_card(model, X[:120], Y[:120], by={"title": titles[:120]}, pictures=False, n_bootstrap=2).render()
    limits = text[text.index("## Limits") :]
    assert "a - **No limits are known** (" in limits
    assert "\n- **No" not in limits
    assert "\\<img" in limits
    assert " <img" not in limits


def test_warns_of_segments_in_another_order_than_the_rows(model, data):
    *_, X, Y = data
    with pytest.warns(UserWarning, match=r"indexes of X and by\['device'\] hold the same labels in different orders"):
        model_card(model, X, Y, by={"device": X["device"][::-1]}, pictures=False, n_bootstrap=2)


def test_segments_beyond_the_largest_are_merged(model, data):
    *_, X, Y = data
    text = model_card(
        model, X, Y, by=["user_id"], max_segments=3, pictures=False, n_bootstrap=2, random_state=0
    ).render()
    table = text[text.index("### By user_id") : text.index("## Limits")]
    users = [line.split("|")[2].strip() for line in table.splitlines() if line.startswith("|") and "click" in line]
    largest = pd.Series(X["user_id"]).astype(str).value_counts()
    assert users == ["others", *largest.index[:3]]


def test_a_segment_named_others_is_not_merged(model, data):
    *_, X, Y = data
    shops = ["others"] * 300 + ["a"] * 100 + ["b"] * 60 + ["c"] * 40
    text = model_card(model, X, Y, by={"shop": shops}, max_segments=2, pictures=False, n_bootstrap=2, random_state=0)
    text = text.render()
    lines = [line.split("|") for line in text[text.index("### By shop") : text.index("## Limits")].splitlines()]
    rows = {line[2].strip(): line[3].strip() for line in lines if len(line) > 3 and line[1].strip() == "click"}
    assert rows == {"others": "300", "a": "100", "others (together)": "100"}


def test_segmentations_whose_names_overlap_keep_their_segments(model, data):
    *_, X, Y = data
    cuts = {"a": X["device"], "a = b": X["segment"]}
    text = model_card(model, X, Y, by=cuts, pictures=False, n_bootstrap=2, random_state=0).render()
    table_a = text[text.index("### By a\n") : text.index("### By a = b")]
    segments = {line.split("|")[2].strip() for line in table_a.splitlines() if "click" in line}
    assert segments == set(X["device"].astype(str))


def test_directions_of_wrong_levels_are_right_for_negative_values(data):
    X, Y, X_test, Y_test = data
    loss = {"value_targets": ["loss"], "value_loss": "squared"}
    model = FSMDClassifier(**SMALL, **loss, max_epochs=1).fit(X, Y[["click"]].assign(loss=-X["price"]))
    options = {"pictures": False, "n_bootstrap": 30, "random_state": 0}
    for times, direction in ((0.5, "low"), (2.0, "high")):
        text = model_card(model, X_test, Y_test[["click"]].assign(loss=-times * X_test["price"]), **options).render()
        assert f"loss, all rows: predictions are too {direction} on average" in text


def test_a_frozen_model_has_the_name_of_its_estimator(model, data):
    *_, X, Y = data
    text = model_card(FrozenEstimator(model), X, Y, pictures=False, n_bootstrap=2, random_state=0).render()
    assert text.lstrip().startswith("# Model card: FSMDClassifier\n\n`FSMDClassifier` predicts")


def test_with_bias_features_high_levels_are_not_listed_as_limits():
    X, Y = make_funnel(2000, position_bias=2.0, random_state=0, return_X_y=True)
    model = FSMDClassifier(**SMALL | {"max_epochs": 12}, bias_features=["position"]).fit(X[:1000], Y[:1000])
    text = model_card(model, X[1000:], Y[1000:], by=["device"], pictures=False, n_bootstrap=20).render()
    limits = text[text.index("## Limits") : text.index("## Parameters")]
    assert "too high on average" not in limits
    assert "Rows that were shown in a good position" in limits


def test_segments_with_few_values_are_named(data):
    """A value is 0 in a row without a click, and such a row is not counted as a row with a value."""
    X, Y, X_new, Y_new = data
    known = np.random.default_rng(0).uniform(size=len(Y)) < 0.3
    fitted = FSMDClassifier(**SMALL, **WATCH, max_epochs=1).fit(
        X, Y.assign(watch_seconds=Y["watch_seconds"].where(known))
    )
    text = model_card(fitted, X_new, Y_new, by=["device"], pictures=False, n_bootstrap=2, random_state=0).render()
    (line,) = (line for line in text.splitlines() if "Fewer than 100" in line and "segments of device" in line)
    watched = (Y_new["watch_seconds"] > 0).groupby(X_new["device"], observed=True).sum()
    for device, n in watched[watched < 100].items():
        assert f"{device} (watch_seconds: {n:,.0f})" in line


def test_a_single_limit_may_be_a_string(model, data):
    *_, X, Y = data
    text = model_card(model, X, Y, limits="Simulated data.", pictures=False, n_bootstrap=2).render()
    assert "- Simulated data." in text


def test_accepts_a_shuffled_index(model, data):
    """There is no warning (it would be an error here) if the index is a permutation of the row numbers."""
    X, Y = data[2:]
    order = np.random.RandomState(0).permutation(len(X))
    X, Y = X.set_axis(order), Y.set_axis(order)
    assert model_card(model, X, Y, by=["device"], pictures=False, n_bootstrap=20, random_state=0).render()


def test_parameters_are_those_of_the_fit(data, tmp_path):
    X, Y, X_new, Y_new = data
    X, X_new = (table.rename(columns={"brand": "brand|<x>"}) for table in (X, X_new))
    params = SMALL | {"max_epochs": 1, "statistics_features": ["brand|<x>"]}
    fitted = FSMDClassifier(**params).fit(X, Y[["click", "conversion"]]).set_params(embedding_dim=99, max_epochs=7)
    fitted.save(tmp_path / "model")
    model = FSMDClassifier.load(tmp_path / "model")
    text = model_card(model, X_new, Y_new[["click", "conversion"]], pictures=False, n_bootstrap=5).render()
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text.splitlines() if "|" in line]
    shown = {row[0]: row[1] for row in rows if len(row) == 2}
    assert shown["embedding_dim"] == str(SMALL["embedding_dim"])
    assert shown["max_epochs"] == "7"
    assert shown["statistics_features"] == r"['brand\|\<x>']"
    assert shown.keys() >= model.get_params().keys()
