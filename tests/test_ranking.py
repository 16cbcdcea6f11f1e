"""The ranking score of several probabilities, and the search for its exponents."""

import numpy as np
import onnx
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.metrics import ndcg_score

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.export.onnx import to_onnx
from sklearn_fsmd.metrics import ndcg_at_k
from sklearn_fsmd.ranking import tune_rank_weights, weighted_product
from tests.conftest import SMALL, make_frame


class Known:
    """An estimator whose marginals are known."""

    def __init__(self, P):
        self.P = P

    def predict_marginals(self, X):
        return self.P


def test_weighted_product():
    p = np.array([[0.5, 0.25], [0.2, 0.1]])
    np.testing.assert_allclose(weighted_product(p), [0.125, 0.02])
    np.testing.assert_allclose(weighted_product(p, [2, 0.5]), [0.125, 0.04 * np.sqrt(0.1)], rtol=1e-6)


def test_a_probability_of_zero_makes_the_product_zero():
    """This holds even for a small exponent: without this rule, 1e-38 to the power 0.01 would be 0.42."""
    np.testing.assert_allclose(
        weighted_product([[0.9, 0.0], [0.3, 0.5], [0.9, -2.0]], [1, 0.01]), [0, 0.3 * 0.5**0.01, 0]
    )
    np.testing.assert_allclose(weighted_product([[0.9, 0.0]], [1, 0]), [0.9])
    with pytest.raises(ValueError, match="`p` must hold a number in each cell, and has NaN"):
        weighted_product([[0.5, np.nan]])


def test_weights_that_are_all_zero_are_refused():
    with pytest.raises(ValueError, match="must not all be zero"):
        weighted_product(np.full((2, 2), 0.5), [0, 0])
    np.testing.assert_allclose(weighted_product([[0.5, 0.25]], [1, -1]), [2.0])  # a quotient ranks too


@pytest.mark.parametrize("weights", [[1], [1, 2, 3], [1, np.nan], "ab", 1.0])
def test_invalid_weights_are_refused(weights):
    with pytest.raises(ValueError, match="must be 2 finite numbers, one per task"):
        weighted_product(np.full((2, 2), 0.5), weights)


def test_weights_that_make_products_vanish_or_overflow_are_refused():
    p = [[0.01, 0.0005], [0.02, 0.001]]
    with pytest.raises(ValueError, match="so large that products vanish or overflow.*divide all by 100"):
        weighted_product(p, [100, 50])
    with pytest.raises(ValueError, match="so large that products vanish or overflow"):
        weighted_product(p, [-100, -50])
    with pytest.raises(ValueError, match="so large that products vanish or overflow"):
        weighted_product([[0.5, 0.0], [0.4, 0.0]], [5000, 0])  # a task with weight 0 does not make the product 0
    assert (
        weighted_product([[1e-20, 1e-36], *p], [1, 9])[0] == 0
    )  # a single row whose product vanishes ties with no other row
    low, high = weighted_product(p, [10, 5])
    assert 0 < low < high
    assert weighted_product([[0.0, 0.5], *p], [10, 5])[0] == 0  # the probability of 0 is the reason, not the weights


def test_weights_can_be_given_by_name(tmp_path):
    X, Y = make_frame(200)
    model = FSMDClassifier(**SMALL | {"max_epochs": 1}).fit(X, Y)
    np.testing.assert_array_equal(model.rank_score(X, {"conversion": 0.5}), model.rank_score(X, [0, 0.5]))
    np.testing.assert_array_equal(model.rank_score(X, {"conversion": 2, "click": 1}), model.rank_score(X, [1, 2]))
    for use in (
        lambda weights: model.rank_score(X, weights),
        lambda weights: to_onnx(model, tmp_path / "model.onnx", rank_weights=weights),
    ):
        with pytest.raises(ValueError, match="weights` names 'buy'. The names are 'click', 'conversion'."):
            use({"click": 1, "buy": 1})
        with pytest.raises(ValueError, match="must not all be zero|which are not all 0"):
            use({})
        with pytest.raises(ValueError, match="must be 2 finite numbers"):
            use({"click": "much"})
    to_onnx(model, tmp_path / "model.onnx", rank_weights={"click": 2})
    metadata = onnx.load(tmp_path / "model.onnx").metadata_props
    assert {prop.key: prop.value for prop in metadata}["rank_weights"] == "[2.0, 0.0]"


@pytest.mark.parametrize("p", [[0.1, 0.2], 0.5, np.ones((2, 2, 2))])
def test_probabilities_of_another_shape_are_refused(p):
    with pytest.raises(ValueError, match=r"`p` must have the shape \(n, K\), with a column per task. Got the shape \("):
        weighted_product(p)


@pytest.mark.parametrize("true_weights", [(0.7, 0.3), (0.05, 0.95), (0.0, 1.0), (0.2, 0.5, 0.3), (0.1, 0.2, 0.3, 0.4)])
def test_tuning_recovers_the_weights_of_an_objective(true_weights, rng):
    P = rng.uniform(0.01, 1, size=(500, len(true_weights)))
    objective = np.log(P) @ np.array(true_weights)
    weights = tune_rank_weights(Known(P), P, P, lambda Y, score: np.corrcoef(objective, np.log(score))[0, 1])
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(weights, true_weights, atol=0.02)


def test_tuned_weights_are_no_worse_than_equal_weights_or_one_task(rng):
    P = rng.uniform(0.01, 1, size=(300, 2))
    Y = pd.DataFrame({"click": rng.uniform(size=300) < P[:, 0], "conversion": rng.uniform(size=300) < P[:, 1]})
    users = rng.randint(30, size=300)

    def utility(Y, score):
        return ndcg_at_k(Y["click"] + 3 * Y["conversion"], score, users, k=3)

    best = utility(Y, weighted_product(P, tune_rank_weights(Known(P), P, Y, utility)))
    for weights in ([1, 1], [1, 0], [0, 1]):
        assert best >= utility(Y, weighted_product(P, weights))


def test_a_utility_must_be_a_number(rng):
    P = rng.uniform(size=(10, 2))
    with pytest.raises(ValueError, match="utility must be a finite number. Got nan for the weights \\[0.5, 0.5\\]"):
        tune_rank_weights(Known(P), P, P, lambda Y, score: np.nan)


def test_ndcg_equals_the_mean_of_scikit_learn_over_groups(rng):
    gain, score, users = rng.randint(3, size=200).astype(float), rng.normal(size=200), rng.randint(20, size=200)
    by_group = []
    for user in np.unique(users):
        rows = users == user
        if gain[rows].any():
            by_group.append(ndcg_score(gain[rows][None], score[rows][None], k=4))
    assert ndcg_at_k(gain, score, users, k=4) == pytest.approx(np.mean(by_group))


def test_ndcg_with_ties_equals_scikit_learn():
    gain, score = np.array([3.0, 1.0, 0.0, 2.0]), np.array([0.5, 0.5, 0.5, 0.1])
    assert ndcg_at_k(gain, score, np.zeros(4), k=4) == pytest.approx(ndcg_score(gain[None], score[None], k=4))


@pytest.mark.parametrize(
    ("gain", "groups", "k", "message"),
    [
        ([1, -1], [0, 0], 5, "`gain` must not be negative. Got -1.0"),
        ([1, 1], [0, None], 5, "no missing values"),
        ([1, 1], [0, 0], 0, "`k` must be at least 1. Got 0"),
    ],
)
def test_ndcg_refuses_invalid_arguments(gain, groups, k, message):
    with pytest.raises(ValueError, match=message):
        ndcg_at_k(gain, [0.1, 0.2], groups, k=k)


def test_a_series_gives_weights_by_name():
    X, Y = make_frame()
    model = FSMDClassifier(**SMALL | {"max_epochs": 1}).fit(X, Y)
    by_name = model.rank_score(X, {"conversion": 1, "click": 0})
    np.testing.assert_array_equal(model.rank_score(X, pd.Series({"conversion": 1.0, "click": 0.0})), by_name)
    np.testing.assert_array_equal(model.rank_score(X, pd.Series([0.0, 1.0])), by_name)
    with pytest.raises(ValueError, match="`weights` names 'buy'"):
        model.rank_score(X, pd.Series({"click": 1.0, "buy": 0.0}))


@pytest.mark.parametrize("kind", [dict, pd.Series])
def test_weights_by_name_match_the_columns(kind):
    p = pd.DataFrame({"click": [0.5, 0.4], "conversion": [0.2, 0.3]})
    np.testing.assert_allclose(weighted_product(p, kind({"conversion": 1})), [0.2, 0.3])
    np.testing.assert_allclose(weighted_product(p, pd.Series([1, 0])), [0.5, 0.4])  # without names, by position
    with pytest.raises(ValueError, match=r"`weights` names 'buy'. The names are 'click', 'conversion'"):
        weighted_product(p, kind({"click": 1, "buy": 1}))


def test_a_series_with_other_names_is_refused():
    """The columns are named as by score_file. Matching the series by position would reverse the ranking."""
    p = pd.DataFrame({"p_click": [0.9, 0.1], "p_conversion": [0.01, 0.09]})
    with pytest.raises(ValueError, match="`weights` names 'conversion'"):
        weighted_product(p, pd.Series({"conversion": 1.0, "click": 0.0}))
    numbered = p.set_axis([0, 1], axis=1)
    np.testing.assert_allclose(weighted_product(numbered, pd.Series({1: 1.0, 0: 0.0})), p["p_conversion"])
    by_position = pd.Series([0.0, 1.0])
    np.testing.assert_allclose(weighted_product(p, by_position), p["p_conversion"])
    with pytest.raises(ValueError, match=r"a Series with the index \[1, 0\], which neither names columns nor counts"):
        weighted_product(p, by_position.sort_values(ascending=False))
    with pytest.raises(ValueError, match="given by name"):
        weighted_product(p.to_numpy(), by_position.sort_values(ascending=False))


@pytest.mark.parametrize("convert", [pl.from_pandas, pa.Table.from_pandas, pd.DataFrame.convert_dtypes])
def test_accepts_probabilities_in_any_table(convert):
    p = pd.DataFrame({"click": [0.5, 0.4], "conversion": [0.2, 0.3]})
    score = weighted_product(convert(p), {"conversion": 2, "click": 1})
    np.testing.assert_allclose(score, weighted_product(p, [1, 2]))


def test_values_that_are_not_numbers_are_refused():
    with pytest.raises(ValueError, match="`p` must hold a number in each cell"):
        weighted_product(pd.DataFrame({"click": ["much"]}))


@pytest.mark.parametrize("weights", [{"conversion": 2.0, "click": 1.0}, pd.Series({"conversion": 2.0, "click": 1.0})])
def test_names_of_weights_need_names_of_columns(weights):
    p = pd.DataFrame({"click": [0.5], "conversion": [0.2]})
    assert weighted_product(p, weights)[0] == pytest.approx(0.5 * 0.2**2)
    with pytest.raises(ValueError, match=r"are given by name, \['conversion', 'click'\], and `p` has no names"):
        weighted_product(p.to_numpy(), weights)
