"""Displays draw the results they were given, and raise errors for arguments that do not match."""

from itertools import pairwise

import matplotlib
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

from sklearn_fsmd import FSMDClassifier, MultiTaskClassifier, SharedBottomClassifier, SingleTaskClassifier
from sklearn_fsmd.compose import ask
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.inspection import feature_importances, item_vectors, metric_table
from sklearn_fsmd.metrics import auc_per_task, get_scorer
from sklearn_fsmd.plotting import (
    AblationDisplay,
    AttributionsDisplay,
    GateWeightsDisplay,
    HistoryDisplay,
    ImportancesDisplay,
    LiftDisplay,
    ParetoDisplay,
    ReliabilityDisplay,
    SeesawDisplay,
)
from sklearn_fsmd.ranking import pareto_front, tune_rank_weights

matplotlib.use("Agg")
SMALL = {"expert_dims": (8,), "tower_dims": (4,), "embedding_dim": 2, "max_epochs": 2, "random_state": 0}


@pytest.fixture(scope="module")
def funnel():
    return make_funnel(1200, random_state=0, return_X_y=True)


@pytest.fixture(scope="module")
def fsmd(funnel):
    return FSMDClassifier(n_levels=2, **SMALL).fit(*funnel)


def points_of(ax):
    names = [text.get_text() for text in ax.texts if text.get_text()]
    return {name: container[0].get_xydata()[0] for name, container in zip(names, ax.containers, strict=True)}


def test_seesaw_draws_mean_gains_over_the_baseline():
    scores = {"Base": [[0.7, 0.6], [0.72, 0.62]], "FSMD": [[0.71, 0.58], [0.74, 0.61]]}
    display = SeesawDisplay.from_scores(scores, baseline="Base", task_names=["click", "view"])
    points = points_of(display.ax_)
    np.testing.assert_allclose(points["Base"], [0, 0])
    np.testing.assert_allclose(points["FSMD"], [0.015, -0.015])
    assert display.ax_.get_ylabel() == "view:\ngain in AUC over Base"


def test_seesaw_labels_neither_overlap_nor_leave_the_axes(rng):
    names = ["Single-Task", "Shared-Bottom", "ESMM", "MMoE", "PLE", "BaseMTL", "FG", "FS", "FSMD", "DeepFM"]
    scores = dict(zip(names, rng.normal([0.7, 0.6], 0.001, size=(10, 2)), strict=True))
    display = SeesawDisplay.from_scores(scores, baseline="Single-Task")
    display.figure_.canvas.draw()
    boxes = [text.get_window_extent() for text in display.ax_.texts if text.get_text()]
    frame = display.ax_.get_window_extent()
    assert len(boxes) == 10
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])
        assert frame.x0 <= box.x0 <= box.x1 <= frame.x1
        assert frame.y0 <= box.y0 <= box.y1 <= frame.y1


def test_seesaw_from_estimators(funnel, fsmd):
    X, Y = funnel
    models = {"FSMD": fsmd, "Bottom": SharedBottomClassifier(**SMALL).fit(X, Y)}
    display = SeesawDisplay.from_estimators(models, X, Y, baseline="Bottom")
    gain = auc_per_task(Y, fsmd.predict_marginals(X)) - auc_per_task(Y, models["Bottom"].predict_marginals(X))
    np.testing.assert_allclose(points_of(display.ax_)["FSMD"], gain)
    swapped = SeesawDisplay.from_estimators(models, X, Y, baseline="Bottom", tasks=("conversion", 0))
    assert swapped.task_names == ["conversion", "click"]
    np.testing.assert_array_equal(swapped.gains["FSMD"][:, ::-1], display.gains["FSMD"])
    with pytest.raises(ValueError, match=r"There is no binary target 'share'; the binary targets are \['click'"):
        SeesawDisplay.from_estimators(models, X, Y, baseline="Bottom", tasks=("click", "share"))


def test_seesaw_refuses_targets_in_another_order(funnel, fsmd):
    X, Y = funnel
    with pytest.raises(ValueError, match=r"The columns of Y must be those of fit, in their order, \['click'"):
        SeesawDisplay.from_estimators({"FSMD": fsmd}, X, Y[["conversion", "click"]], baseline="FSMD")


def test_seesaw_draws_into_given_axes():
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    assert SeesawDisplay.from_scores({"a": [0.5, 0.5]}, baseline="a", ax=ax).ax_ is ax


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({"a": [0.5, 0.5]}, "baseline 'b' is none of the models: \\['a'\\]"),
        ({"b": [0.5, 0.5], "c": [0.5]}, "'c' has the shape \\(1, 1\\)"),
        ({"b": [[0.5, 0.5], [0.6, 0.6]], "c": [0.5, 0.5]}, "as many seeds as the baseline \\(2\\)"),
    ],
)
def test_seesaw_refuses_invalid_scores(scores, message):
    with pytest.raises(ValueError, match=message):
        SeesawDisplay.from_scores(scores, baseline="b")


def test_ablation_from_a_grid_search(funnel):
    X, Y = funnel
    search = GridSearchCV(
        FSMDClassifier(**SMALL | {"max_epochs": 1}),
        {"tower_dims": [(4,), (8, 4)], "random_state": [0, 1]},
        scoring={name: get_scorer(name) for name in ("click_auc", "mean_auc")},
        cv=[(np.arange(900), np.arange(900, 1200))],
        refit=False,
    ).fit(X, Y)
    display = AblationDisplay.from_cv_results(search.cv_results_, "tower_dims", labels=["flat", "deep"])
    assert [ax.get_title() for ax in display.axes_] == ["click_auc", "mean_auc"]
    drawn = display.axes_[1].containers[0][0].get_ydata()
    results = pd.DataFrame(search.cv_results_)
    for mean, dims in zip(drawn, ["(4,)", "(8, 4)"], strict=True):
        runs = results.loc[results["param_tower_dims"].astype(str) == dims, "mean_test_mean_auc"]
        assert len(runs) == 2
        assert mean == pytest.approx(runs.mean())
    assert [tick.get_text() for tick in display.axes_[0].get_xticklabels()] == ["flat", "deep"]


@pytest.mark.parametrize("kind", [dict, pd.DataFrame])
def test_ablation_leaves_out_candidates_that_do_not_set_the_parameter(kind):
    grids = [{"max_depth": [1, 2, None]}, {"min_samples_leaf": [5]}]
    X, y = np.arange(40.0)[:, None], np.arange(40) % 2
    results = kind(GridSearchCV(DecisionTreeClassifier(), grids, cv=2).fit(X, y).cv_results_)
    display = AblationDisplay.from_cv_results(results, "max_depth")
    assert [tick.get_text() for tick in display.axes_[0].get_xticklabels()] == ["1", "2", "None"]
    np.testing.assert_array_equal(display.scores["score"][:, 0], results["mean_test_score"][:3])


@pytest.mark.parametrize("kind", [dict, pd.DataFrame])
def test_ablation_treats_none_among_strings_as_a_value(kind):
    """A DataFrame has NaN instead of masked entries."""
    grid = {"max_features": [None, "sqrt"], "random_state": [0, 1]}
    X, y = np.random.RandomState(0).rand(40, 9), np.arange(40) % 2
    results = kind(GridSearchCV(DecisionTreeClassifier(), grid, cv=2).fit(X, y).cv_results_)
    display = AblationDisplay.from_cv_results(results, "max_features")
    assert [tick.get_text() for tick in display.axes_[0].get_xticklabels()] == ["None", "sqrt"]
    np.testing.assert_array_equal(display.scores["score"].ravel(), results["mean_test_score"])


def test_ablation_distinguishes_numbers_from_strings():
    results = {"param_a": [0.1, "0.1", None, "None"], "mean_test_score": [0.1, 0.2, 0.3, 0.4]}
    display = AblationDisplay.from_cv_results(results, "a")
    assert [tick.get_text() for tick in display.axes_[0].get_xticklabels()] == ["0.1", "'0.1'", "None", "'None'"]
    np.testing.assert_array_equal(display.scores["score"][:, 0], results["mean_test_score"])


CV_RESULTS = {"param_a": [1, 2, 2], "param_b": [0, 0, 1], "mean_test_auc": [0.5, 0.6, 0.7]}


@pytest.mark.parametrize(
    ("parameter", "options", "message"),
    [
        ("c", {}, "did not vary 'c'; it has \\['a', 'b'\\]"),
        ("a", {"scores": ["loss"]}, "no score 'loss' in the results; there are \\['auc'\\]"),
        ("a", {"labels": ["one"]}, "2 values of 'a', \\['1', '2'\\], and 1 labels"),
        ("a", {}, "equally many runs. Got \\[1, 2\\]"),
    ],
)
def test_ablation_refuses_invalid_arguments(parameter, options, message):
    with pytest.raises(ValueError, match=message):
        AblationDisplay.from_cv_results(CV_RESULTS, parameter, **options)


def test_ablation_refuses_results_without_scores():
    with pytest.raises(ValueError, match="no column 'mean_test_…' is among \\['param_a'\\]"):
        AblationDisplay.from_cv_results({"param_a": [1, 2]}, "a")


def test_ablation_refuses_too_few_axes():
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    with pytest.raises(ValueError, match="2 scores to draw, and 1 axes"):
        AblationDisplay([1], {"a": np.ones((1, 1)), "b": np.ones((1, 1))}, parameter="p").plot(ax)


def test_gate_weights_are_drawn_as_means_over_rows(funnel, fsmd):
    X, _ = funnel
    display = GateWeightsDisplay.from_estimator(fsmd, X)
    assert len(display.axes_) == 2
    shown = np.array([float(text.get_text()) for text in display.axes_[0].texts]).reshape(2, 6)
    np.testing.assert_allclose(shown, fsmd.gate_weights(X).mean(axis=0)[0], atol=0.006)
    tick_labels = [label.get_text() for label in display.axes_[0].get_xticklabels()]
    assert tick_labels == ["click 1", "click 2", "conversion 1", "conversion 2", "shared 1", "shared 2"]
    assert [tick.get_text() for tick in display.axes_[0].get_yticklabels()] == ["click", "conversion"]


def test_history_draws_the_validation_auc_of_each_task(fsmd):
    display = HistoryDisplay.from_estimator(fsmd)
    for name, line in zip(fsmd.task_names_, display.ax_.lines, strict=False):
        np.testing.assert_array_equal(line.get_ydata(), [epoch[f"valid_auc_{name}"] for epoch in fsmd.history_])


def test_history_of_a_pipeline_marks_the_best_epoch(funnel):
    X, Y = funnel
    pipeline = make_pipeline(FunctionTransformer(), FSMDClassifier(**SMALL, early_stopping=True)).fit(X, Y)
    display = HistoryDisplay.from_estimator(pipeline)
    model = pipeline[-1]
    best = max(model.history_, key=lambda row: row["valid_auc"])["epoch"]
    assert display.best == best
    assert display.ax_.lines[-1].get_xdata()[0] == best
    assert all(tick == round(tick) for tick in display.ax_.get_xticks())


@pytest.mark.parametrize("options", [{"xticks": [1, 2]}, {"xscale": "log"}])
def test_history_keeps_the_ticks_and_the_scale_of_given_axes(options):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    ax.set(**options)
    HistoryDisplay([1, 2], np.zeros((2, 2)), task_names=["a", "b"], best=1).plot(ax)
    assert ax.get_xscale() == options.get("xscale", "linear")
    assert ax.get_xticks().tolist() == [1, 2] or "xticks" not in options


def test_displays_in_a_subfigure_can_be_saved(tmp_path, caplog):
    import matplotlib.pyplot as plt

    figure = plt.figure()
    ax = figure.subfigures(1, 2)[0].subplots()
    p = np.linspace(0, 1, 200)
    displays = [
        SeesawDisplay.from_scores({"a": [0.1, 0.2], "b": [0.2, 0.3]}, baseline="a", ax=ax),
        ReliabilityDisplay.from_predictions((p > 0.5) * 1, p, ax=ax),
        AblationDisplay([1], {"a": np.ones((1, 1))}, parameter="p").plot(ax),
    ]
    for display in displays:
        assert display.figure_ is figure
        display.figure_.savefig(tmp_path / "display.png")
    assert not caplog.records


@pytest.mark.parametrize(("p", "is_cut_off"), [(0.1, False), (0.02, True)])
def test_a_reliability_curve_shows_its_intervals_up_to_twice_its_height(p, is_cut_off):
    y = np.arange(60) < 3
    display = ReliabilityDisplay.from_predictions(y.astype(int), np.full(60, p))
    (curve,) = next(iter(display.curves.values())).values()
    end = display.ax_.get_ylim()[1]
    assert (end < curve["high"].max()) == is_cut_off
    assert end == (pytest.approx(2 * 0.05) if is_cut_off else pytest.approx(1.03 * curve["high"].max()))


def test_history_needs_validation_data(funnel):
    X, Y = funnel
    model = FSMDClassifier(**SMALL, early_stopping=False).fit(X, Y)
    with pytest.raises(ValueError, match="no validation data"):
        HistoryDisplay.from_estimator(model)


def test_displays_of_pipelines_and_of_models_with_value_targets():
    X, Y = make_funnel(400, watch_time=True, random_state=0, return_X_y=True)
    Y = Y.rename(columns={"watch_seconds": "watch"})
    params = {**SMALL, "value_targets": ["watch"], "value_parents": {"watch": "click"}}
    model = make_pipeline(FunctionTransformer(), FSMDClassifier(**params)).fit(X, Y)
    display = GateWeightsDisplay.from_estimator(model, X)
    assert display.task_names == ["click", "conversion", "watch"]
    assert display.weights.shape == (1, 3, 8)
    assert display.expert_names[4] == "watch 1"
    other = FSMDClassifier(**params | {"random_state": 1}).fit(X, Y)
    seesaw = SeesawDisplay.from_estimators({"a": model, "b": other}, X, Y, baseline="a")
    assert seesaw.task_names == ["click", "conversion"]


def test_history_marks_no_epoch_if_tasks_differ_or_training_continued(funnel):
    X, Y = funnel
    separate = SingleTaskClassifier(**SMALL, early_stopping=True).fit(X, Y)
    assert HistoryDisplay.from_estimator(separate).best is None
    other = MultiTaskClassifier(extractor="separate", link="independent", **SMALL, early_stopping=True).fit(X, Y)
    assert HistoryDisplay.from_estimator(other.set_params(extractor="ple")).best is None
    assert HistoryDisplay.from_estimator(separate.fit(X, Y["click"])).best is not None
    by_click_auc = SingleTaskClassifier(**SMALL, early_stopping=True, validation_metric="click_auc").fit(X, Y)
    assert HistoryDisplay.from_estimator(by_click_auc).best is not None
    model = FSMDClassifier(**SMALL, early_stopping=True).fit(X, Y)
    assert HistoryDisplay.from_estimator(model).best is not None
    assert HistoryDisplay.from_estimator(model.partial_fit(X, Y)).best is None


def test_ablation_accepts_scores_and_labels_as_arrays():
    results = {"param_a": [1, 2], "mean_test_x": [0.5, 0.6], "mean_test_y": [0.1, 0.2]}
    options = {"scores": np.array(["x"]), "labels": np.array(["one", "two"])}
    display = AblationDisplay.from_cv_results(results, "a", **options)
    assert len(display.axes_) == 1


def test_seesaw_refuses_an_empty_dict_of_models():
    with pytest.raises(ValueError, match=r"The baseline 'a' is none of the models: \[\]"):
        SeesawDisplay.from_estimators({}, [], [], baseline="a")


def test_ablation_rotates_long_tick_labels():
    widths = [(256, 128), (512, 256, 128), (64,), (1024, 512, 256)]
    results = {"param_expert_dims": widths, "mean_test_mean_auc": [0.7, 0.71, 0.72, 0.73]}
    display = AblationDisplay.from_cv_results(results, "expert_dims")
    display.figure_.draw_without_rendering()
    labels = display.axes_[0].get_xticklabels()
    assert {label.get_rotation() for label in labels} == {30.0}
    short = AblationDisplay.from_cv_results({**results, "param_dropout": [0.1, 0.2, 0.3, 0.4]}, "dropout")
    assert {label.get_rotation() for label in short.axes_[0].get_xticklabels()} == {0.0}


def test_the_legend_of_importances_hides_no_point():
    values = np.random.default_rng(0).normal(size=(25, 5, 3))
    names = [f"column {i}" for i in range(25)]
    display = ImportancesDisplay(values, feature_names=names, score_names=list("abcde")).plot()
    display.figure_.draw_without_rendering()
    assert display.ax_.get_legend().get_window_extent().y1 < display.ax_.get_window_extent().y0


def test_names_are_drawn_literally(rng):
    """Matplotlib renders text between two "$" as mathematics, and leaves labels with a leading "_" out of legends."""
    p = rng.uniform(size=600)
    y = rng.uniform(size=600) < p
    by = np.where(np.arange(600) % 2, "price_$5_to_$10", "_none")
    display = ReliabilityDisplay.from_predictions(y.astype(int), p, by=by)
    labels = [text.get_text() for text in display.figure_.legends[0].get_texts()]
    assert [label.strip("\u200b").replace("\\$", "$") for label in labels] == [
        "_none (300 rows)",
        "price_$5_to_$10 (300 rows)",
    ]
    display.figure_.canvas.draw()


def test_long_names_leave_room_for_the_curves(funnel, fsmd):
    import matplotlib.pyplot as plt

    X, Y = funnel
    names = [f"{name}_of_what_was_added_to_the_basket" for name in Y]
    for display in (
        LiftDisplay.from_predictions(Y, fsmd.predict_marginals(X), task_names=names),
        ParetoDisplay(
            pareto_front(fsmd, X, Y, {name: lambda Y, score: float(score.mean()) for name in "ab"}, n_steps=2),
            objectives=["a", "b"],
            factors=names,
        ).plot(),
    ):
        figure = display.figure_
        figure.canvas.draw()
        assert display.ax_.get_window_extent().width > 0.6 * figure.bbox.width
        legend = display.ax_.get_legend().get_window_extent()
        assert legend.x0 >= 0
        assert legend.x1 <= figure.bbox.width
        plt.close(figure)


def test_seesaw_scores_all_models_on_the_same_rows(funnel, fsmd):
    """A chain infers the label of a conversion without a click; for independent targets it is missing."""
    X, Y = funnel
    alone = SharedBottomClassifier(**SMALL).fit(X, Y)
    with_missing = Y.astype(float)
    with_missing.loc[with_missing["click"] == 0, "conversion"] = np.nan
    gains = [
        SeesawDisplay.from_estimators({"alone": alone, "FSMD": fsmd}, X, labels, baseline="alone").gains["FSMD"]
        for labels in (Y, with_missing)
    ]
    np.testing.assert_array_equal(gains[1], gains[0])


def test_displays_and_tables_warn_of_rows_in_another_order(funnel, fsmd):
    X, Y = funnel
    shuffled = Y.sample(frac=1, random_state=0)
    weights = pd.Series(np.arange(1.0, 1 + len(X)))[::-1]
    utilities = {name: lambda Y, score: float(score.mean()) for name in "ab"}
    for action in (
        lambda: SeesawDisplay.from_estimators({"one": fsmd}, X, shuffled, baseline="one"),
        lambda: ParetoDisplay.from_estimator(fsmd, X, shuffled, n_steps=1),
        lambda: pareto_front(fsmd, X, shuffled, utilities, n_steps=1),
        lambda: tune_rank_weights(fsmd, X, shuffled, utilities["a"]),
        lambda: metric_table(fsmd, X, Y, by=X["device"].sort_values()),
        lambda: metric_table(fsmd, X, Y, sample_weight=weights, n_bootstrap=2),
        lambda: feature_importances(fsmd, X, Y, sample_weight=weights, n_repeats=1),
        lambda: LiftDisplay.from_estimator(fsmd, X, Y, sample_weight=weights),
    ):
        with pytest.warns(UserWarning, match="hold the same labels in different orders"):
            action()


def test_gate_weights_and_ablation_draw_into_given_axes(funnel, fsmd):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 1)
    display = GateWeightsDisplay.from_estimator(fsmd, funnel[0], ax=axes)
    assert display.figure_ is figure
    assert display.ax_ is axes[0]
    np.testing.assert_allclose(axes[0].images[0].get_clim(), (0, display.weights.max()))
    with pytest.raises(ValueError, match="There are 2 levels to draw, and 1 axes"):
        display.plot(axes[0])
    ablation = AblationDisplay([1, 2], {"auc": np.zeros((2, 1))}, parameter="x").plot(ax=axes[1])
    assert ablation.ax_ is axes[1]


def test_a_history_of_one_epoch_has_whole_numbers_as_ticks(funnel):
    model = FSMDClassifier(**(SMALL | {"max_epochs": 1})).fit(*funnel)
    display = HistoryDisplay.from_estimator(model)
    assert all(tick == int(tick) for tick in display.ax_.get_xticks())


def test_names_of_columns_groups_and_methods_are_validated(funnel, fsmd):
    X, Y = funnel
    tables = [metric_table(fsmd, X, Y, by=by, random_state=0) for by in (["device"], "device")]
    pd.testing.assert_frame_equal(*tables)
    with pytest.raises(ValueError, match=r"`by` names 7, and X has \['user_id'"):
        metric_table(fsmd, X, Y, by=7)
    with pytest.raises(ValueError, match="`column_groups` must be a dict of names to lists of columns"):
        feature_importances(fsmd, X, Y, column_groups=["user_id"])
    with pytest.raises(AttributeError, match="'task_names_' is no method of FSMDClassifier"):
        ask(fsmd, "task_names_", X)


def test_item_vectors_accepts_a_column_name_that_is_a_number(funnel):
    X, Y = funnel
    numbered = X.set_axis(range(1, X.shape[1] + 1), axis=1)
    model = FSMDClassifier(**SMALL).fit(numbered, Y)
    assert item_vectors(model, 1).index.name == "1"
    assert len(item_vectors(model, 1)) == len(item_vectors(model, "1"))


@pytest.mark.parametrize("values", [np.logspace(-4, -1, 10), np.arange(0, 0.65, 0.05), 2 ** np.arange(4, 14)])
def test_ablation_tick_labels_of_numbers_do_not_overlap(values):
    results = {"param_lr": np.ma.array(values, mask=False), "mean_test_mean_auc": np.arange(float(len(values)))}
    display = AblationDisplay.from_cv_results(results, "lr")
    display.figure_.canvas.draw()
    labels = display.ax_.get_xticklabels()
    assert max(len(label.get_text()) for label in labels) <= 11
    if labels[0].get_rotation() == 0:
        boxes = [label.get_window_extent() for label in labels]
        assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_long_names_of_segments_stay_distinct():
    random = np.random.default_rng(0)
    p = random.uniform(0.1, 0.9, (2000, 1))
    names = [f"campaign_2026_spring_{letter}_newsletter_mail" for letter in "AB"]
    display = ReliabilityDisplay.from_predictions(
        random.random((2000, 1)) < p, p, by=np.array(names)[np.arange(2000) % 2]
    )
    (legend,) = display.figure_.legends
    assert len({text.get_text() for text in legend.get_texts()}) == 2
    with pytest.raises(ValueError, match="`by` must be the segment of each row. Got 'device'"):
        ReliabilityDisplay.from_predictions(random.random((2000, 1)) < p, p, by="device")


def test_a_target_without_positives_is_left_out_of_the_lift():
    random = np.random.default_rng(0)
    p = random.random((500, 2))
    Y = pd.DataFrame({"click": (random.random(500) < p[:, 0]).astype(int), "purchase": 0})
    assert list(LiftDisplay.from_predictions(Y, p).curves) == ["click"]
    with pytest.raises(ValueError, match="No target of Y has a lift"):
        LiftDisplay.from_predictions(Y[["purchase"]], p[:, 1:])


def is_inside(box, figure):
    return box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height


def test_the_legend_of_given_axes_stays_inside_the_figure(rng):
    import matplotlib.pyplot as plt

    p = rng.random((2000, 2))
    y = (rng.random((2000, 2)) < p).astype(int)
    _, ax = plt.subplots()
    figure = LiftDisplay.from_predictions(y, p, ax=ax).figure_
    figure.canvas.draw()
    assert is_inside(ax.get_legend().get_window_extent(), figure)


@pytest.mark.parametrize("n", [14, 24, 60])
def test_the_legend_of_segments_stays_inside_the_figure(rng, n):
    p = rng.random(2000)
    names = np.array([f"{letter * 2} of some length or other than that is"[:n] for letter in "WMNOU"])
    figure = ReliabilityDisplay.from_predictions(
        (rng.random(2000) < p).astype(int), p, by=names[np.arange(2000) % 5]
    ).figure_
    figure.canvas.draw()
    assert is_inside(figure.legends[0].get_window_extent(), figure)


def test_the_lift_of_many_targets_stays_near_its_decile(rng):
    P = rng.random((2000, 12))
    names = [f"target number {k} with a name" for k in range(12)]
    display = LiftDisplay.from_predictions((rng.random((2000, 12)) < P).astype(int), P, task_names=names)
    display.figure_.canvas.draw()
    first = [container.lines[0].get_xdata()[0] for container in display.ax_.containers]
    assert np.abs(np.array(first) - 1).max() < 0.4
    legend, label = display.ax_.get_legend().get_window_extent(), display.ax_.xaxis.label.get_window_extent()
    assert legend.y1 <= label.y0
    assert is_inside(legend, display.figure_)


def test_axis_labels_stay_inside_the_figure():
    names = {
        "last_purchased_category_name": "home and kitchen appliances",
        "previous_session_landing_page": "https://a.b",
    }
    attributions = AttributionsDisplay(
        pd.Series({"last_purchased_category_name": 0.5, "previous_session_landing_page": -0.2}),
        baseline=-2.5,
        prediction=-2.1,
        target="conversion",
        scale="log_odds",
        values=pd.Series(names, dtype=object),
    ).plot()
    seesaw = SeesawDisplay.from_scores(
        {"SingleTaskClassifier": [0.7, 0.7], "FSMDClassifier": [0.71, 0.72]},
        baseline="SingleTaskClassifier",
        task_names=["long_view_within_seven_days_more", "purchase_within_thirty_days_more"],
    )
    for display in (attributions, seesaw):
        display.figure_.canvas.draw()
        for axis in (display.ax_.xaxis, display.ax_.yaxis):
            assert not axis.get_label_text() or is_inside(axis.label.get_window_extent(), display.figure_)


def test_gate_weights_of_few_experts_leave_room_for_long_target_names():
    names = ["click_on_the_recommended_item", "purchase_within_thirty_days"]
    display = GateWeightsDisplay(np.full((1, 2, 2), 0.5), task_names=names).plot()
    display.figure_.canvas.draw()
    assert display.ax_.get_window_extent().width > 100


@pytest.mark.parametrize("n", [14, 20, 40])
def test_ablation_tick_labels_of_many_candidates_are_vertical(n):
    results = {"param_lr": np.round(np.logspace(-4, -1, n), 6), "mean_test_mean_auc": np.arange(float(n))}
    display = AblationDisplay.from_cv_results(results, "lr")
    display.figure_.canvas.draw()
    labels = display.ax_.get_xticklabels()
    assert {label.get_rotation() for label in labels} == {90.0}
    boxes = [label.get_window_extent() for label in labels]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
