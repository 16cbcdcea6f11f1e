import copy

import numpy as np
import pandas as pd
import pytest

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.encoding.targets import StepSums
from sklearn_fsmd.encoding.targets.encoder import TargetEncoder, Targets, check_weights
from sklearn_fsmd.encoding.targets.values import Values
from tests.conftest import SMALL

NAN = float("nan")


def encode(Y, weight=None, parents=()):
    return TargetEncoder().fit(Y).encode(Y, weight, parents)


@pytest.mark.parametrize(
    "Y",
    [
        [[0, 0], [1, 0], [1, 1]],
        np.array([[0, 0], [1, 0], [1, 1]], dtype=bool),
        pd.DataFrame({"a": [0.0, 1.0, 1.0], "b": [0, 0, 1]}),
        pd.DataFrame({"a": ["no", "yes", "yes"], "b": pd.Categorical(["n", "n", "y"])}),
    ],
)
def test_labels(Y):
    targets = encode(Y)
    assert targets.labels.tolist() == [[0, 0], [1, 0], [1, 1]]
    assert targets.labels.dtype == np.float32
    assert targets.weights is None


def test_numpy_strings_of_variable_length():
    words = np.array(["no", "yes", "yes"], dtype=np.dtypes.StringDType())
    for Y in (words, np.stack([words, words], axis=1)):
        labels = TargetEncoder().fit(Y).encode(Y).labels
        assert labels[:, 0].tolist() == [0, 1, 1]


def test_task_names():
    assert TargetEncoder().fit([[0, 0], [1, 1]]).names == ["click", "conversion"]
    assert TargetEncoder().fit([[0, 0, 1], [1, 1, 0]]).names == ["task0", "task1", "task2"]
    assert TargetEncoder().fit(pd.DataFrame({"watch": [0, 1], 7: [1, 0]})).names == ["watch", "7"]
    assert TargetEncoder().fit(pd.Series([0, 1], name="bought")).names == ["bought"]


@pytest.mark.parametrize(
    "Y",
    [
        [[0, NAN], [1, 1], [NAN, 0]],
        [[0, None], [1, 1], [None, 0]],
        pd.DataFrame({"a": pd.array([0, 1, None], dtype="Int64"), "b": pd.array([None, True, False], dtype="boolean")}),
    ],
)
def test_missing_labels_are_masked(Y):
    targets = encode(Y)
    assert (targets.weights == 0).tolist() == [[False, True], [False, False], [True, False]]
    np.testing.assert_allclose(targets.weights.mean(axis=0), 1)
    assert np.isfinite(targets.labels).all()


def test_a_step_after_an_observed_0_is_a_0():
    targets = encode([[0, NAN], [1, NAN], [1, 1], [0, 0]], parents=(None, 0))
    assert targets.labels[0, 1] == 0
    assert targets.weights[0, 1] > 0
    assert targets.weights[1, 1] == 0


def test_conversions_without_click_warn_with_their_count():
    with pytest.warns(UserWarning, match="2 rows have 'conversion' = 1 though 'click'"):
        targets = encode([[0, 1], [0, 1], [1, 1], [0, 0]], parents=(None, 0))
    with pytest.warns(UserWarning, match="1 row has"):
        encode([[0, 1], [1, 1], [0, 0]], parents=(None, 0))
    assert targets.labels[:2, 1].tolist() == [1, 1]


def test_only_few_conversions_without_click_are_to_become_clicks():
    advice = r"If they are, set 'click' to 1 in these rows, or leave them out\."
    with pytest.warns(UserWarning, match=r"5 rows have.*5 % of the rows with 'conversion' = 1.*" + advice):
        encode([[1, 1]] * 95 + [[0, 1]] * 5 + [[1, 0]] * 100 + [[0, 0]] * 2000, parents=(None, 0))
    with pytest.warns(UserWarning, match="90 % of the rows with 'conversion' = 1") as caught:  # really the click
        encode([[1, 1]] * 10 + [[0, 1]] * 90 + [[0, 0]] * 4900, parents=(None, 0))
    assert "set 'click' to 1" not in str(caught[0].message)


def test_a_target_may_have_a_single_class():
    with pytest.warns(UserWarning, match="Column 'click' of Y has only one class, 0"):
        encoder = TargetEncoder().fit([[0, 1], [0, 0]])
    assert [c.tolist() for c in encoder.classes] == [[0, 1], [0, 1]]
    with pytest.warns(UserWarning, match="Column 'click' of Y has only one class, 1"):
        TargetEncoder().fit([[1, 1], [1, 0]])
    assert encoder.encode([[0, 1]]).labels.tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("Y", "message"),
    [
        ([0, 1, 2], "Only binary classification is supported. The type of the target is multiclass."),
        ([[0, 0], [1, 1], [2, 1]], "'click' of Y has 3 classes"),
        ([0.5, 1.5, 2.5], "Unknown label type: continuous"),
        ([0, 1, NAN], "Input y contains NaN"),
        (["a", "a"], "only one class, 'a'"),
        (np.zeros((2, 2, 2)), r"got \(2, 2, 2\)"),
        (pd.DataFrame(index=[0, 1]), "Y has 0 columns"),
        ([[0, NAN], [1, NAN]], "Column 'conversion' of Y has no observed label"),
    ],
)
def test_invalid_targets_are_refused(Y, message):
    with pytest.raises(ValueError, match=message):
        encode(Y)


def test_unseen_classes_and_other_numbers_of_tasks_are_refused():
    encoder = TargetEncoder().fit([[0, 0], [1, 1]])
    with pytest.raises(ValueError, match="'conversion' of Y has the value 5"):
        encoder.encode([[0, 5]])
    with pytest.raises(ValueError, match="Y has 3 tasks, but 2 were seen in fit"):
        encoder.encode([[0, 0, 0]])


def test_weights_have_a_mean_of_1_in_each_task():
    targets = encode([[0, 1], [1, NAN], [1, 0]], [1.0, 2.0, 5.0])
    np.testing.assert_allclose(targets.weights[:, 0], np.array([1, 2, 5]) * 3 / 8)
    np.testing.assert_allclose(targets.weights[:, 1], np.array([1, 0, 5]) * 3 / 6)


def test_equal_weights_are_dropped():
    assert encode([[0, 1], [1, 0]], np.full(2, 1.0)).weights is None


def test_weights_per_task():
    weights = check_weights([[1, 2], [3, 4]], (2, 2))
    assert weights.tolist() == [[1, 2], [3, 4]]
    assert check_weights([3, 4], (2, 2)).tolist() == [[3, 3], [4, 4]]
    assert check_weights(2.0, (2, 2)).tolist() == [[2, 2], [2, 2]]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, -1], "Negative values in data passed to `sample_weight`"),
        ([1, NAN], "sample_weight contains NaN"),
        ([1, 2, 3], "inconsistent numbers of samples"),
        ([[1, 2, 3], [1, 2, 3]], "Sample weights must be 1D array or scalar"),
    ],
)
def test_invalid_weights_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        check_weights(weights, (2, 2))


def test_all_zero_weights_are_refused():
    with pytest.raises(ValueError, match="no observed label whose weight is not zero"):
        encode([[0, 1], [1, 0]], [0, 0])


@pytest.mark.parametrize("tiny", [1e-33, 1e-50])
def test_tiny_weights_are_scaled_like_others(tiny):
    values = Values(np.ones((3, 1), np.float32), np.full((3, 1), tiny), [None])
    found = Targets(np.eye(3, 2, dtype=np.float32), np.full((3, 2), tiny) * [1, 2], values).scaled()
    np.testing.assert_allclose(found.full_weights, 1)
    np.testing.assert_allclose(found.values.weights, 1)
    with pytest.raises(ValueError, match="no observed label whose weight is not zero"):
        TargetEncoder().fit([[0, 1], [1, 0]]).encode(
            [[0, 1], [1, 0]], [1e-50] * 2, scale=False
        )  # as float32 they are 0


def test_values_are_weighted_by_the_number_of_rows_that_can_have_one():
    labels = np.array([[1, 1], [1, 0], [0, 0]], np.float32)
    known = np.array([[1, 0], [0, 2], [0, 2]], np.float32)  # the first value follows a click; two rows have one
    found = Targets(labels, None, Values(np.ones((3, 2), np.float32), known, [0, None])).scaled().values
    np.testing.assert_allclose(found.weights, [[2, 0], [0, 1.5], [0, 1.5]])


def test_weights_are_scaled_within_a_part_of_the_rows():
    """Weights of training and of validation rows each have a mean of 1, for values as for labels."""
    labels = np.array([[1, 1], [1, 0], [0, 0], [1, 0]], np.float32)
    values = Values(np.ones((4, 1), np.float32), np.array([[1], [3], [0], [4]], np.float32), [0])
    targets = Targets(labels, np.array([[1, 1], [3, 1], [2, 1], [2, 1]], np.float32), values)
    part = targets.part(np.array([0, 1, 2])).scaled()
    np.testing.assert_allclose(part.values.weights[:, 0], [0.5, 1.5, 0])
    np.testing.assert_allclose(part.weights[:, 0], [0.5, 1.5, 1])


def test_rates_are_weighted():
    def rates(targets):
        return StepSums.from_targets(targets, (None,) * targets.labels.shape[1]).rates((None, None))

    np.testing.assert_allclose(rates(encode([[0, 1], [1, NAN], [1, 0]], [1.0, 2.0, 1.0])), [0.75, 0.5])
    alone = Targets(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]]), None)
    assert rates(alone) == pytest.approx([2 / 3, 0])


def test_predicted_labels_keep_their_types_if_classes_are_given(frame):
    X, Y = frame
    words = Y.assign(click=Y["click"].map({0: "no", 1: "yes"}))
    model = FSMDClassifier(**SMALL).partial_fit(X, words, classes=[["no", "yes"], [0, 1]])
    predicted = model.predict(X)
    assert {type(label) for label in predicted[:, 1].tolist()} == {int}
    assert (predicted[:, 1] == Y["conversion"]).mean() > 0.5
    assert set(predicted[:, 0]) <= {"no", "yes"}


@pytest.mark.parametrize("labels", [["1", 0], [0, "no"], [b"a", 1.5]])
def test_labels_of_mixed_types_are_refused(frame, labels):
    X, Y = frame
    mixed = Y.assign(click=pd.Series(labels * (len(Y) // 2), dtype=object))
    with pytest.raises(ValueError, match="Column 'click' of Y mixes types: it has the labels"):
        FSMDClassifier(**SMALL).fit(X, mixed)


def test_partial_fit_does_not_rescale_weights(frame):
    X, Y = frame
    model = FSMDClassifier(**SMALL, statistics_features=["city"]).fit(X, Y, sample_weight=np.full(len(X), 40.0))
    plain = FSMDClassifier(**SMALL, statistics_features=["city"]).fit(X, Y)
    sums = []
    for one, weight in ((plain, None), (model, np.ones(len(X))), (model, np.full(len(X), 40.0))):
        sums.append(np.sum(copy.deepcopy(one).partial_fit(X, Y, sample_weight=weight)._encoder.statistics.sums[0]))
    assert sums[0] == pytest.approx(sums[1])
    assert sums[2] > 10 * sums[1]


def test_classes_may_be_a_series():
    for given in (pd.Series(["no", "yes"], index=[5, 6]), np.array(["no", "yes"]), ["no", "yes"]):
        encoder = TargetEncoder().fit(pd.DataFrame({"a": ["no", "no"]}), [given])
        assert encoder.classes[0].tolist() == ["no", "yes"]
        assert encoder.classes[0].dtype == object
