"""Bad targets, bad weights and bad calls of a model, one per case; see test_bad_input.py."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.compose import OutputView
from tests.cases import (
    DAY,
    INF,
    NAN,
    N,
    build_copy,
    cases,
    cell,
    changed,
    check,
    fit,
    make_fitted,
    no_feature,
    no_match,
    no_number,
    put,
    small,
    too_large,
)


@pytest.fixture(scope="module")
def fitted():
    return make_fitted()


# ------------------------------------------------------------------------------------------------------------- Y

ONE_OF_TWO = np.arange(N) % 2
THREE = np.arange(N) % 3
NO_SHAPE = "Y must have the shape (n_samples,) or (n_samples, n_tasks), got"
CONTINUOUS = "Unknown label type: continuous. Maybe you are trying to fit a classifier, which expects discrete classes"
MULTICLASS = "Only binary classification is supported. The type of the target is multiclass. Column"
LENGTHS = "Found input variables with inconsistent numbers of samples"


def with_conversions_without_click(Y):
    """Targets with two conversions without a click."""
    return Y.mask((Y["click"] == 0) & ((Y["click"] == 0).cumsum() <= 2), [0, 1], axis=0)


@cases(
    ("None", lambda Y: None, ValueError, "FSMDClassifier requires y to be passed, but the target y is None"),
    ("a string", lambda Y: "abc", ValueError, f"{LENGTHS}: [120, 3]"),
    ("a number", lambda Y: 1, TypeError, "Expected sequence or array-like, got <class 'int'>"),
    ("too short", lambda Y: Y[:-1], ValueError, f"{LENGTHS}: [120, 119]"),
    ("no rows", lambda Y: Y[:0], ValueError, f"{LENGTHS}: [120, 0]"),
    ("no columns", lambda Y: Y[[]], ValueError, "Y has 0 columns; at least one target is needed."),
    ("an array of no columns", lambda Y: Y.to_numpy()[:, :0], ValueError, f"{NO_SHAPE} (120, 0)."),
    ("3-D", lambda Y: Y.to_numpy()[:, :, None], ValueError, f"{NO_SHAPE} (120, 2, 1)."),
    ("ragged", lambda Y: [[0], [0, 1]] * 60, ValueError, "The requested array has an inhomogeneous shape"),
    ("sparse", sparse.csr_matrix, TypeError, "Sparse data was passed for Y, but dense data is required. Use '.toarr"),
    (
        "masked",
        lambda Y: np.ma.masked_equal(Y.to_numpy(), 1),
        TypeError,
        "Y has masked values, which would count. Pass Y.astype",
    ),
    ("duplicate name", lambda Y: Y[["click", "click"]], ValueError, "Y has more than one column named 'click'."),
    (
        "reserved name",
        lambda Y: Y.set_axis(["click", "best"], axis=1),
        ValueError,
        "Y has a column named 'best'. …Rename it.",
    ),
    ("three classes", lambda Y: THREE, ValueError, f"{MULTICLASS} 'y' of Y has 3 classes."),
    ("three in a column", put(click=THREE), ValueError, f"{MULTICLASS} 'click' of Y has 3 classes."),
    (
        "a blank label",
        put(click=["no", "yes", ""] * 40),
        ValueError,
        "3 classes. One is '': if it stands",
    ),
    (
        "-1 as a label",
        put(click=[0, 1, -1] * 40),
        ValueError,
        "3 classes.…One is -1: if it stands for an unknown label",
    ),
    ("three strings", put(click=[*"abc"] * 40), ValueError, f"{MULTICLASS} 'click' of Y has 3 classes."),
    ("continuous", lambda Y: np.linspace(0, 1, N), ValueError, f"{CONTINUOUS}…Column 'y' of Y has 0.0."),
    ("fractions", put(click=np.linspace(0.5, 1, N)), ValueError, f"{CONTINUOUS}…Column 'click' of Y has 0.5."),
    ("halves", put(click=ONE_OF_TWO / 2), ValueError, f"{CONTINUOUS}…Column 'click' of Y has"),
    (
        "a string and a number",
        put(click=[0, "a"] * 60),
        ValueError,
        "Column 'click' of Y mixes types…labels 0 and 'a'.",
    ),
    ("lists", lambda Y: pd.Series([[0], [1]] * 60), ValueError, "You appear to be using a legacy multi-label data"),
    (
        "bytes",
        lambda Y: np.array([b"a", b"b"] * 60),
        TypeError,
        "Support for labels represented as bytes is not supported: column 'y' of Y. Make",
    ),
    (
        "times",
        lambda Y: pd.Timestamp(0) + pd.to_timedelta(ONE_OF_TWO, "D"),
        ValueError,
        "Unknown label type…datetime64",
    ),
    ("complex", lambda Y: ONE_OF_TWO * 1j, ValueError, "Complex data not supported"),
    ("inf", lambda Y: np.where(ONE_OF_TWO, INF, 0), ValueError, "Input y contains infinity or a value too large…'y'."),
    ("-inf", put(click=np.where(ONE_OF_TWO, -INF, 0)), ValueError, "Input y contains infinity…: column 'click'."),
    ("NaN", lambda Y: np.where(ONE_OF_TWO, NAN, 0), ValueError, "Input y contains NaN. In a two-dimensional Y"),
    ("NaN among strings", lambda Y: ["a", "b", NAN] * 40, ValueError, "Input y contains NaN. In a two-dimensional Y"),
    ("pd.NA", lambda Y: pd.Series([0, 1, pd.NA] * 40), ValueError, "Input y contains NaN. In a two-dimensional Y"),
    ("only 5", lambda Y: np.full(N, 5), ValueError, "Column 'y' of Y has only one class, 5; two are needed"),
    (
        "only 'a'",
        put(click="a"),
        ValueError,
        "Column 'click' of Y has only one class, 'a'; two are needed, or 0 and 1. Of a classifier, ",
    ),
    ("only 0", lambda Y: Y["click"] * 0, UserWarning, "Column 'click' of Y has only one class, 0."),
    ("only 1", put(click=1), UserWarning, "Column 'click' of Y has only one class, 1."),
    ("no label", put(conversion=NAN), ValueError, "Column 'conversion' of Y has no observed label, so there"),
    (
        "conversion without click",
        with_conversions_without_click,
        UserWarning,
        "2 rows have 'conversion' = 1 though 'click', the step before it, is 0. That is 6.25 % of the rows with 'con",
    ),
    (
        "reversed order",
        lambda Y: Y[["conversion", "click"]],
        UserWarning,
        "Are the columns of Y in the order of the funnel? Their order is ['conversion",
    ),
    (
        "words",
        lambda Y: Y["click"].map({0: "skip", 1: "buy"}),
        UserWarning,
        "'skip', which sorts last, counts as 1. If it sh",
    ),
)
def test_bad_targets_are_refused_or_warned_of(case, fitted):
    check(case, lambda: fit(fitted.X, case.action(fitted.Y)))


ORDER = "must be those of fit, in their order, ['click', 'conversion']. Got"


@pytest.mark.parametrize("way", ["Y_val", "partial_fit", "score"])
@cases(
    ("too short", lambda Y: Y[:-1], ValueError, f"{LENGTHS}: [120, 119]"),
    ("other names", lambda Y: Y.rename(columns={"click": "buy"}), ValueError, f"Y {ORDER} ['buy', 'conversion']."),
    ("other order", lambda Y: Y[["conversion", "click"]], ValueError, f"Y {ORDER} ['conversion', 'click']."),
    ("missing task", lambda Y: Y["click"], ValueError, "Y has 1 tasks, but 2 were seen in fit."),
    ("extra task", put(share=0), ValueError, "Y has 3 tasks, but 2 were seen in fit."),
    ("a new class", lambda Y: Y * 2, ValueError, "Column 'click' of Y has the value 2; its classes are [0, 1]."),
    ("strings", lambda Y: Y.astype(str), ValueError, "Column 'click' of Y has the value '0'; its classes are [0, 1]."),
    ("no label", lambda Y: Y * NAN, ValueError, "Y has no observed label whose weight is not zero."),
    ("sparse", sparse.csr_matrix, TypeError, "Sparse data was passed for Y, but dense data is required"),
)
def test_targets_that_differ_from_fit_are_refused(case, way, fitted):
    Y = case.action(fitted.Y)
    if way == "Y_val":
        check(case, lambda: fit(fitted.X, fitted.Y, X_val=fitted.X, Y_val=Y))
    else:
        check(case, lambda: getattr(build_copy(fitted.model), way)(fitted.X, Y))


@cases(
    (
        "X_val alone",
        lambda X, Y: {"X_val": X},
        ValueError,
        "`X_val` and `Y_val` go together; only one of them was given.",
    ),
    (
        "sample_weight_val alone",
        lambda X, Y: {"sample_weight_val": Y},
        ValueError,
        "`sample_weight_val` is for the rows of `X_val`",
    ),
    (
        "weights",
        lambda X, Y: {"X_val": X, "Y_val": Y, "sample_weight_val": np.ones(3)},
        ValueError,
        "In `Y_val, sample_weight_val`: ",
    ),
    (
        "Y_val alone",
        lambda X, Y: {"Y_val": Y},
        ValueError,
        "`X_val` and `Y_val` go together; only one of them was given.",
    ),
    (
        "renamed",
        lambda X, Y: {"X_val": X.rename(columns={"city": "town"}), "Y_val": Y},
        *no_match("…- town…In a Pipeline, `transf"),
    ),
    (
        "other types",
        lambda X, Y: {"X_val": X.assign(city=3), "Y_val": Y},
        ValueError,
        "In `X_val`: Column 'city' held str",
    ),
    ("other labels", lambda X, Y: {"X_val": X, "Y_val": Y + 2}, ValueError, "In `Y_val`: "),
    ("inf", lambda X, Y: {"X_val": X.assign(price=INF), "Y_val": Y}, *too_large("price", "inf")),
    ("no rows", lambda X, Y: {"X_val": X[:0], "Y_val": Y[:0]}, ValueError, "Found array with 0 sample(s)"),
)
def test_bad_validation_data_are_refused(case, fitted):
    check(case, lambda: fit(fitted.X, fitted.Y, **case.action(fitted.X, fitted.Y)))


def test_validation_targets_must_be_in_the_default_order_of_an_array(fitted):
    with pytest.raises(ValueError, match=r"in their order, \['click', 'conversion'\]. Got \['conversion', 'click'\]"):
        fit(fitted.X, fitted.Y.to_numpy(), X_val=fitted.X, Y_val=fitted.Y[["conversion", "click"]])


TWO_CLASSES = "`classes` must give two classes of one type"


@cases(
    ("one", [0], ValueError, f"{TWO_CLASSES} for 'click'. Got [0]."),
    ("none", [], ValueError, f"{TWO_CLASSES} for 'click'. Got []."),
    ("three", [0, 1, 2], ValueError, f"{TWO_CLASSES} for 'click'. Got [0, 1, 2]."),
    (
        "one for a task",
        [[0, 1], [0]],
        ValueError,
        f"{TWO_CLASSES} for 'conversion'. Got [0].",
    ),
    ("equal", [1, 1], ValueError, f"{TWO_CLASSES} for 'click'. Got [1, 1]."),
    ("NaN", [0, NAN], ValueError, f"{TWO_CLASSES} for 'click'. Got [0, nan]."),
    ("two types", [0, "a"], ValueError, f"{TWO_CLASSES} for 'click'. Got [0, 'a']."),
    ("missing task", [[0, 1]], ValueError, "`classes` has 1 tasks, but Y has 2."),
    ("not those of Y", [3, 4], ValueError, "Column 'click' of Y has the value 0; its classes are [3, 4]."),
    ("a number", 5, ValueError, "`classes` must be a list of two classes, or one such list per task. Got 5."),
    ("a string", "01", ValueError, "`classes` must be a list of two classes, or one such list per task. Got '01'."),
)
def test_bad_classes_are_refused(case, fitted):
    check(case, lambda: small().partial_fit(fitted.X, fitted.Y, classes=case.action))


# ------------------------------------------------------------------------------------------------------------ weights

ONES = np.ones(N)
ONE_OTHER = np.arange(N) == 3
NO_WEIGHTS = "Sample weights must be 1D array or scalar, or have one column per task, (120, 2). Got"


@pytest.mark.parametrize("way", ["fit", "partial_fit", "score"])
@cases(
    ("negative", np.where(ONE_OTHER, -1, 1), ValueError, "Negative values in data passed to `sample_weight`: -1.0."),
    ("NaN", np.where(ONE_OTHER, NAN, 1), ValueError, "Input sample_weight contains NaN."),
    ("inf", np.where(ONE_OTHER, INF, 1), ValueError, "Input sample_weight contains infinity or a value too large"),
    ("1e300", np.where(ONE_OTHER, 1e300, 1), ValueError, "Input sample_weight contains infinity or a value too large"),
    ("all zero", ONES * 0, ValueError, "Y has no observed label whose weight is not zero."),
    ("a negative number", -1, ValueError, "Negative values in data passed to `sample_weight`: -1.0."),
    ("too short", ONES[:-1], ValueError, f"{LENGTHS}: [119, 120]"),
    ("none", [], ValueError, f"{LENGTHS}: [0, 120]"),
    ("too wide", np.ones((N, 3)), ValueError, f"{NO_WEIGHTS} (120, 3) instead."),
    ("transposed", np.ones((2, N)), ValueError, f"{NO_WEIGHTS} (2, 120) instead."),
    ("3-D", np.ones((N, 2, 1)), ValueError, f"{NO_WEIGHTS} (120, 2, 1) instead."),
    ("words", np.where(ONE_OTHER, "a", "b"), ValueError, "`sample_weight` must hold numbers. Got 'b'."),
    ("digits", ONES.astype(str), ValueError, "`sample_weight` must hold numbers. Got '1.0'."),
    ("a word among numbers", cell("a", 1.0), ValueError, "`sample_weight` must hold numbers. Got 'a'."),
    ("missing", cell(None, 1.0), ValueError, "`sample_weight` must hold numbers. Got None."),
    ("dates", np.full(N, np.datetime64("2022-01-01")), ValueError, "`sample_weight` must hold numbers. Got np.date"),
    ("a string", "balanced", ValueError, "`sample_weight` must hold numbers. Got 'balanced'."),
    ("a dict", {0: 1, 1: 9}, ValueError, "`sample_weight` must hold numbers. Got {0: 1, 1: 9}."),
    ("complex", ONES * 1j, ValueError, "Complex data not supported"),
    ("masked", np.ma.array(ONES, mask=ONE_OTHER), TypeError, "sample_weight has masked values, which would count."),
    ("sparse", sparse.eye(N, 2), TypeError, "Sparse data was passed for sample_weight, but dense data is required"),
    ("other order", pd.DataFrame({"conversion": ONES, "click": ONES}), ValueError, "order of those of Y, ['click',"),
)
def test_bad_sample_weights_are_refused(case, way, fitted):
    if way == "fit":
        check(case, lambda: fit(fitted.X, fitted.Y, case.action))
    else:
        check(case, lambda: getattr(build_copy(fitted.model), way)(fitted.X, fitted.Y, sample_weight=case.action))


def test_weights_too_small_for_float32_are_scaled(fitted):
    tiny = fit(fitted.X, fitted.Y, np.where(ONE_OTHER, 3e-60, 1e-60)).predict_marginals(fitted.X)
    np.testing.assert_array_equal(tiny, fit(fitted.X, fitted.Y, np.where(ONE_OTHER, 3, 1)).predict_marginals(fitted.X))


# ------------------------------------------------------------------------------------------ fitted and unfitted models


DIVERGED = FloatingPointError, "The loss became nan in batch 2 of epoch … with lr=1e+30. Lower `lr`, or clip"


def parameter_changed(name, before, now):
    return (
        ValueError,
        f"The {name!r} parameter was {before} in the fit that this one continues and is {now} now. Set",
    )


def warm(model, **params):
    return model.set_params(warm_start=True, **params)


@cases(
    ("fit on dates", lambda m, X, Y: m.fit(X.assign(price=DAY), Y), *no_feature("price", "datetime64[…]")),
    ("fit on no labels", lambda m, X, Y: m.fit(X, Y * NAN), ValueError, "Column 'click' of Y has no observed label"),
    ("fit on bad weights", lambda m, X, Y: m.fit(X, Y, -ONES), ValueError, "Negative values in data passed to"),
    ("fit on one column", lambda m, X, Y: m.fit(X[["city"]], Y.assign(click=THREE)), ValueError, MULTICLASS),
    ("fit with bad lr", lambda m, X, Y: m.set_params(lr=-1).fit(X, Y), ValueError, "The 'lr' parameter of FSMD"),
    ("fit diverges", lambda m, X, Y: m.set_params(lr=1e30, max_epochs=3).fit(X, Y), *DIVERGED),
    ("partial_fit diverges", lambda m, X, Y: m.set_params(lr=1e30, batch_size=9).partial_fit(X, Y), *DIVERGED),
    ("partial_fit, renamed", lambda m, X, Y: m.partial_fit(X.rename(columns={"city": "town"}), Y), *no_match("…town")),
    ("partial_fit, other order", lambda m, X, Y: m.partial_fit(X[X.columns[::-1]], Y), *no_match("…same order")),
    ("partial_fit, other types", lambda m, X, Y: m.partial_fit(X.assign(price="3"), Y), *no_number("price", "'3'")),
    ("two names", lambda m, X, Y: m.fit(X, Y, y=Y), TypeError, "`Y` and `y` are two names of one argument; both were"),
    (
        "partial_fit, classes",
        lambda m, X, Y: m.partial_fit(X, Y, [5, 6]),
        ValueError,
        "`classes=[5, 6]` is not the same as on",
    ),
    ("partial_fit, new class", lambda m, X, Y: m.partial_fit(X, Y + 1), ValueError, "value 2; its classes are [0, 1]."),
    ("warm, other order", lambda m, X, Y: warm(m).fit(X, Y[["conversion", "click"]]), ValueError, ORDER),
    ("warm, other types", lambda m, X, Y: warm(m).fit(X.assign(city=3), Y), *changed("city", "strings", "numbers", 3)),
    (
        "warm, width",
        lambda m, X, Y: warm(m, tower_dims=(9,)).fit(X, Y),
        *parameter_changed("tower_dims", "(8,)", "(9,)"),
    ),
    ("warm, experts", lambda m, X, Y: warm(m, n_task_experts=2).fit(X, Y), *parameter_changed("n_task_experts", 1, 2)),
    (
        "warm, bias",
        lambda m, X, Y: warm(m, bias_features=[3]).fit(X, Y),
        *parameter_changed("bias_features", None, [3]),
    ),
    (
        "warm, unlabeled",
        lambda m, X, Y: warm(m, pretrain_epochs=1).fit(X, Y, X_unlabeled=X),
        ValueError,
        "it continues",
    ),
)
def test_a_failed_fit_leaves_the_model_unchanged(case, fitted):
    model, before = build_copy(fitted.model), fitted.model.predict_marginals(fitted.X)
    check(case, lambda: case.action(model, fitted.X, fitted.Y))
    np.testing.assert_array_equal(model.predict_marginals(fitted.X), before)
    assert model.task_names_ == ["click", "conversion"]


def test_early_stopping_can_be_enabled_in_a_warm_start(fitted):
    model = warm(build_copy(fitted.model), early_stopping=True).fit(fitted.X, fitted.Y)
    assert "valid_auc" in model.history_[-1]


METHODS = ("predict", "predict_proba", "predict_marginals", "predict_conditionals", "rank_score", "gate_weights")


@pytest.mark.parametrize("method", METHODS)
def test_prediction_methods_need_a_fitted_model(method, fitted):
    with pytest.raises(NotFittedError, match="This FSMDClassifier instance is not fitted yet. Call 'fit' with"):
        getattr(FSMDClassifier(), method)(fitted.X)


@cases(
    ("score", lambda m, X, Y: m.score(X, Y), NotFittedError, "This FSMDClassifier instance is not fitted yet."),
    ("view", lambda m, X, Y: m.output_view(0), NotFittedError, "This FSMDClassifier instance is not fitted yet."),
    ("view predicts", lambda m, X, Y: OutputView(clone(m), 0).predict(X), NotFittedError, "is not fitted yet."),
    ("view's proba", lambda m, X, Y: OutputView(clone(m), 0).predict_proba(X), NotFittedError, "is not fitted yet."),
    ("save", lambda m, X, Y: m.save("no file"), NotFittedError, "is not fitted yet."),
)
def test_other_methods_need_a_fitted_model(case, fitted):
    check(case, lambda: case.action(FSMDClassifier(), fitted.X, fitted.Y))


NO_TASK = "the binary targets are ['click', 'conversion'], or 0 to 1."
TWO_NUMBERS = "`weights` must be 2 finite numbers, one per task. Got"


@cases(
    ("one weight", lambda m, X: m.rank_score(X, [1]), ValueError, f"{TWO_NUMBERS} [1] instead."),
    ("three weights", lambda m, X: m.rank_score(X, [1, 2, 3]), ValueError, f"{TWO_NUMBERS} [1, 2, 3] instead."),
    ("NaN as a weight", lambda m, X: m.rank_score(X, [1, NAN]), ValueError, f"{TWO_NUMBERS} [1, nan] instead."),
    ("words as weights", lambda m, X: m.rank_score(X, ["a", "b"]), ValueError, f"{TWO_NUMBERS} ['a', 'b'] instead."),
    ("unknown weights", lambda m, X: m.rank_score(X, {"buy": 1}), ValueError, "`weights` names 'buy'. The names are"),
    (
        "zero weights",
        lambda m, X: m.rank_score(X, [0, 0]),
        ValueError,
        "`weights` must not all be zero: there would be nothing",
    ),
    ("unknown task", lambda m, X: m.output_view("share"), ValueError, f"There is no binary target 'share'; {NO_TASK}"),
    ("task 2", lambda m, X: m.output_view(2), ValueError, f"There is no binary target 2; {NO_TASK}"),
    ("task -1", lambda m, X: m.output_view(-1), ValueError, f"There is no binary target -1; {NO_TASK}"),
    ("score with both names", lambda m, X: m.score(X, [0], y=[0]), TypeError, "`Y` and `y` are two names of one argum"),
    ("score without Y", lambda m, X: m.score(X), ValueError, "requires y to be passed, but the target y is None"),
)
def test_bad_arguments_of_a_fitted_model_are_refused(case, fitted):
    check(case, lambda: case.action(fitted.model, fitted.X))


def test_a_structured_array_of_targets_is_refused():
    click = np.arange(40) % 2
    Y = np.array(list(zip(click, 0 * click, strict=True)), dtype=[("click", int), ("conversion", int)])
    with pytest.raises(ValueError, match=r"structured array, with the fields \['click', 'conversion'\]. Pass pandas"):
        FSMDClassifier(max_epochs=1).fit(np.ones((40, 2)), Y)
