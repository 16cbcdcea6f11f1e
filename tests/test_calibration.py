"""Calibration of each step, and the correction for negative downsampling."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklearn_fsmd import FSClassifier, FSMDClassifier, MultiTaskClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.estimators.calibration import platt
from sklearn_fsmd.estimators.sampled_logs import FirstStep, refuse_unsampled
from sklearn_fsmd.metrics import expected_calibration_error
from sklearn_fsmd.training import level_of
from tests.conftest import SMALL, make_frame
from tests.training.streaming.conftest import write


@pytest.fixture(scope="module")
def data():
    X, Y = make_funnel(80_000, random_state=0, return_X_y=True)
    return X, Y


@pytest.fixture(scope="module")
def skewed(data):
    """A model trained on rows in which clicks are rarer than in the rows to calibrate on."""
    X, Y = data
    train = X[60_000:], Y[60_000:]
    keep = (train[1]["click"] == 0) | (np.arange(20_000) % 3 == 0)
    return FSMDClassifier(**SMALL | {"max_epochs": 3, "lr": 0.01}).fit(train[0][keep], train[1][keep])


def test_calibration_corrects_the_means_and_keeps_the_order(data, skewed, tmp_path):
    X, Y = data
    new = slice(30_000, 60_000)
    before = skewed.predict_marginals(X[new])
    model = pickle.loads(pickle.dumps(skewed)).calibrate(X[4000:30_000], Y[4000:30_000])
    p, rates = model.predict_marginals(X[new]), Y[new].mean().to_numpy()
    assert (before.mean(axis=0) < 0.8 * rates).all()
    np.testing.assert_allclose(p.mean(axis=0), rates, rtol=0.06)
    assert expected_calibration_error(Y["click"][new], p[:, 0]) < 0.03
    assert (p[:, 1] <= p[:, 0]).all()
    assert (np.diff(p[np.argsort(before[:, 0]), 0]) > -1e-6).all()
    assert model.calibration_.shape == (2, 2)

    model.save(tmp_path / "model")
    np.testing.assert_array_equal(FSMDClassifier.load(tmp_path / "model").predict_marginals(X[new]), p)
    model.set_params(warm_start=True, max_epochs=1).fit(X[:4000], Y[:4000])
    assert model.calibration_ is None


def test_a_step_is_calibrated_on_the_rows_that_reach_it(data, skewed):
    """Labels of the second step in rows without a click have no effect."""
    X, Y = data
    model = pickle.loads(pickle.dumps(skewed)).calibrate(X[4000:8000], Y[4000:8000])
    clicked = Y[4000:8000][Y["click"][4000:8000] == 1]
    other = pickle.loads(pickle.dumps(skewed))
    weights = np.ones((4000, 2))
    weights[Y["click"][4000:8000] == 0, 1] = 5.0
    other.calibrate(X[4000:8000], Y[4000:8000], weights)
    np.testing.assert_allclose(other.calibration_, model.calibration_, rtol=1e-3)
    p = model.predict_conditionals(X[4000:8000])[:, 1][Y["click"][4000:8000] == 1]
    assert p.mean() == pytest.approx(clicked["conversion"].mean(), rel=1e-3)


def test_a_weight_of_2_equals_a_repeated_row(data, skewed):
    """Nearly: to the prior of the slope, rows of different weights count less than as many rows of one weight."""
    X, Y = data
    twice = pd.concat([X[4000:], X[4000:10_000]]), pd.concat([Y[4000:], Y[4000:10_000]])
    weights = np.where(np.arange(76_000) < 6000, 2.0, 1.0)
    a = pickle.loads(pickle.dumps(skewed)).calibrate(*twice)
    b = pickle.loads(pickle.dumps(skewed)).calibrate(X[4000:], Y[4000:], weights)
    np.testing.assert_allclose(a.calibration_, b.calibration_, rtol=1e-3)


def test_predictions_that_fall_with_the_labels_are_not_reversed(data, skewed):
    X, Y = data
    model = pickle.loads(pickle.dumps(skewed))
    click = 1 - Y["click"][4000:8000]
    after = skewed.predict_conditionals(X[4000:8000])[:, 1]
    likely = np.where(after > np.median(after), 0.7, 0.3)
    step = np.random.RandomState(0).uniform(size=4000) < likely
    reversed_targets = pd.DataFrame({"click": click, "conversion": click * step})
    with pytest.warns(UserWarning, match="predictions of 'click' do not rise with its labels"):
        model.calibrate(X[4000:8000], reversed_targets)
    assert 0 < model.calibration_[0, 0] < 0.1
    assert model.predict_marginals(X[4000:8000])[:, 0].mean() == pytest.approx(click.mean(), rel=1e-3)


def test_level_of_shifts_the_mean_to_the_observed_rate():
    z, y = np.array([-3.0, 0.0, 2.0]), np.array([0.0, 0.0, 1.0])
    shift = level_of(z, y.sum(), np.ones(3))
    assert (1 / (1 + np.exp(-(z + shift)))).mean() == pytest.approx(1 / 3)


def test_calibrate_refuses_bad_data_and_leaves_the_model_unchanged(data, skewed):
    X, Y = data
    with pytest.raises(NotFittedError):
        FSMDClassifier().calibrate(X, y=Y)
    before = skewed.predict_marginals(X[:50])
    with pytest.raises(ValueError, match="needs both classes of 'conversion' where 'click' is 1"):
        skewed.calibrate(X, Y.assign(conversion=0))
    with pytest.raises(ValueError, match="needs both classes of 'click'"):
        skewed.calibrate(X[:50], Y[:50].assign(click=0, conversion=0))
    with pytest.raises(ValueError, match="feature names should match"):
        skewed.calibrate(X.rename(columns={X.columns[0]: "other"}), Y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        skewed.calibrate(X[:50], Y[:49])
    assert skewed.calibration_ is None
    np.testing.assert_array_equal(skewed.predict_marginals(X[:50]), before)


def test_negative_sampling_rate_corrects_for_downsampled_negatives(data):
    X, Y = data[0][:24_000], data[1][:24_000]
    kept = (Y["click"] == 1) | (np.random.RandomState(0).uniform(size=len(Y)) < 0.2)
    params = SMALL | {"max_epochs": 20, "lr": 0.01}
    model = FSMDClassifier(**params, negative_sampling_rate=0.2).fit(X[kept], Y[kept])
    plain = FSMDClassifier(**params).fit(X[kept], Y[kept])
    p, raw = model.predict_marginals(X), plain.predict_marginals(X)
    steps, raw_steps = (np.stack((q[:, 0], q[:, 1] / q[:, 0]), axis=1) for q in (p, raw))
    factors = steps / (1 - steps) / (raw_steps / (1 - raw_steps))
    np.testing.assert_allclose(
        factors, np.tile(np.median(factors, axis=0), (len(X), 1)), rtol=1e-2
    )  # one factor for all odds
    np.testing.assert_allclose(
        np.median(factors, axis=0), [0.2, 1], rtol=0.2
    )  # not exactly, because the level is set at the end
    X_new, Y_new = data[0][24_000:], data[1][24_000:]
    np.testing.assert_allclose(model.predict_marginals(X_new).mean(axis=0), Y_new.mean(), rtol=0.06)
    assert (raw.mean(axis=0) > 1.5 * Y.mean()).all()
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict_marginals(X), p)


def test_negative_sampling_rate_is_refused_for_independent_targets(frame):
    X, Y = frame
    with pytest.raises(ValueError, match="'negative_sampling_rate' parameter needs a chain or a tree"):
        FSClassifier(**SMALL, negative_sampling_rate=0.5).fit(X, Y)
    FSClassifier(**SMALL, negative_sampling_rate=0.5).fit(X, Y["click"])
    with pytest.raises(ValueError, match="'negative_sampling_rate' parameter of FSMDClassifier must be"):
        FSMDClassifier(negative_sampling_rate=0.0).fit(X, Y)


def test_calibration_of_one_target_and_of_a_tree():
    X, Y = make_frame(600)
    one = FSClassifier(**SMALL).fit(X, Y["click"])
    one.calibrate(X, Y["click"])
    assert one.predict_proba(X)[:, 1].mean() == pytest.approx(Y["click"].mean(), rel=1e-3)
    tree = Y.assign(share=Y["click"] * (np.arange(600) % 2))
    model = MultiTaskClassifier(**SMALL, link=(None, 0, 0)).fit(X, tree)
    model.calibrate(X, tree)
    np.testing.assert_allclose(model.predict_marginals(X).mean(axis=0)[0], tree["click"].mean(), rtol=1e-3)


@pytest.mark.parametrize(
    ("rate", "spread", "slope"), [(0.3, 2.0, 1.0), (0.02, 0.1, 2.0), (1e-3, 1.0, 0.5), (1e-4, 2.0, 0.5)]
)
def test_the_calibrated_slope_is_the_most_probable_one(rate, spread, slope):
    """The derivatives of likelihood and prior with respect to intercept and log(slope) are 0."""
    random = np.random.default_rng(0)
    z = np.log(rate) + spread * random.normal(size=200_000)
    labels = random.uniform(size=len(z)) < 1 / (1 + np.exp(-np.log(rate) - slope * (z - np.log(rate))))
    weights = random.uniform(0.5, 2, size=len(z)).astype(np.float32)
    a, b = platt(z, labels.astype(np.float32), weights, "click")
    weights *= weights.sum() / np.square(weights).sum()
    p = 1 / (1 + np.exp(-a * z - b))
    residuals, information = weights * (labels - p), (weights * p * (1 - p)) @ np.square(a * (z - z.mean()))
    assert abs(residuals.mean()) < 1e-6 * rate
    assert abs(residuals @ (a * z) - np.log(a) / 0.5**2) < 1e-4 * (information + 4)
    assert a == pytest.approx(slope, rel=0.3)


def test_few_events_hardly_change_the_slope():
    """By maximum likelihood, 6 events among 80 rows give slopes below 0 and of several times the right one, 1."""
    random = np.random.default_rng(0)
    z = random.normal(scale=0.5, size=(200, 80))
    labels = (random.uniform(size=z.shape) < expit(z - 2.7)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # few events, of which some samples have none above
        slopes = np.array([platt(x, y, np.ones(80), "click")[0] for x, y in zip(z, labels, strict=True) if y.any()])
    assert slopes.min() > 0.4
    assert slopes.max() < 2.5


def test_rare_event_predictions_that_fall_with_the_labels_warn():
    random = np.random.default_rng(0)
    z = np.log(0.02) + 0.1 * random.normal(size=100_000)
    labels = (random.uniform(size=len(z)) < 1 / (1 + np.exp(-2 * np.log(0.02) + z))).astype(np.float32)
    with pytest.warns(UserWarning, match="do not rise with its labels"):
        slope, _ = platt(z, labels, np.ones_like(labels), "click")
    assert 0 < slope < 0.3


@pytest.mark.parametrize(
    "z", [[-2, -1, 0.5, 1.5], [-2, 0, 0, 1], [3, 3, 3, 3]], ids=["separated", "touching", "constant"]
)
def test_separated_labels_and_constant_predictions_have_a_finite_slope(z):
    z, labels = np.array(z, dtype=float), np.array([0, 0, 1, 1], np.float32)
    with pytest.warns(UserWarning, match="rests on 2 of 4 rows"):
        slope, intercept = platt(z, labels, np.ones(4, np.float32), "click")
    assert slope == pytest.approx(1, abs=1e-5) if len(set(z)) == 1 else 1 < slope < 1.5
    assert (1 / (1 + np.exp(-slope * z - intercept))).mean() == pytest.approx(0.5)


def test_validation_rows_must_be_downsampled_like_the_training_rows():
    X, Y = make_funnel(6000, click_rate=0.05, random_state=0, return_X_y=True)
    kept = (Y["click"] == 1) | (np.random.RandomState(0).uniform(size=6000) < 0.1)
    train, later = kept & (np.arange(6000) < 4000), np.arange(6000) >= 4000
    model = FSMDClassifier(**SMALL | {"early_stopping": True}, negative_sampling_rate=0.1)
    with pytest.raises(ValueError, match="as if the former had not been sampled with negative_sampling_rate=0.1"):
        model.fit(X[train], Y[train], X_val=X[later], Y_val=Y[later])
    model.fit(X[train], Y[train], X_val=X[later & kept], Y_val=Y[later & kept])
    assert model.predict_marginals(X)[:, 0].mean() == pytest.approx(Y["click"].mean(), rel=0.3)


@pytest.fixture(scope="module")
def sampled_log():
    """A log, which of its rows were kept, and a model of the first 4000 of these."""
    X, Y = make_funnel(8000, click_rate=0.05, random_state=0, return_X_y=True)
    kept = ((Y["click"] == 1) | (np.random.RandomState(0).uniform(size=8000) < 0.1)).to_numpy()
    first = kept & (np.arange(8000) < 4000)
    model = FSMDClassifier(**SMALL, negative_sampling_rate=0.1, warm_start=True).fit(X[first], Y[first])
    return X[4000:], Y[4000:], kept[4000:], model


@pytest.mark.parametrize("target_statistics", ["ordered", None])
def test_rows_of_further_training_must_be_downsampled_like_those_of_fit(sampled_log, tmp_path, target_statistics):
    X, Y, kept, model = sampled_log
    model = clone(model).set_params(target_statistics=target_statistics).fit(X[kept], Y[kept])
    model.save(tmp_path / "model")
    loaded = FSMDClassifier.load(tmp_path / "model")
    write(tmp_path / "all.parquet", X, Y)
    for further in (
        lambda: model.partial_fit(X, Y),
        lambda: loaded.partial_fit(X, Y),
        lambda: model.fit(X, Y),
        lambda: model.fit_dataset(tmp_path / "all.parquet", list(Y)),
    ):
        with pytest.raises(ValueError, match="as if the former had not been sampled with negative_sampling_rate=0.1"):
            further()
    model.partial_fit(X[kept], Y[kept]).fit(X[kept], Y[kept])
    assert model.predict_marginals(X)[:, 0].mean() == pytest.approx(Y["click"].mean(), rel=0.3)
    model.set_params(negative_sampling_rate=1.0).fit(X, Y)  # another log, which the parameter tells
    assert model.predict_marginals(X)[:, 0].mean() == pytest.approx(Y["click"].mean(), rel=0.3)
    model.partial_fit(X[kept], Y[kept])  # the log of the last fit was a whole one


@pytest.mark.filterwarnings("ignore:The predictions of 'conversion', given 'click', do not rise")  # 44 conversions
def test_calibration_on_downsampled_rows_warns(sampled_log):
    X, Y, kept, model = sampled_log
    with pytest.warns(UserWarning, match="as if the former had been sampled with negative_sampling_rate=0.1 too"):
        model.snapshot().calibrate(X[kept], Y[kept])
    for calibrated in (
        model.snapshot().calibrate(X, Y),
        model.snapshot().calibrate(X[kept], Y[kept], sample_weight=np.where(Y["click"][kept] == 1, 1.0, 10.0)),
    ):
        assert calibrated.predict_marginals(X)[:, 0].mean() == pytest.approx(Y["click"].mean(), rel=0.2)


@pytest.mark.parametrize(("rate", "n"), [(0.9, 1000), (0.5, 10), (0.5, 500), (0.1, 10), (0.1, 300)])
def test_rows_sampled_at_the_same_rate_are_not_refused(rate, n):
    """This holds for few rows, too: their rates vary by chance, and slightly from day to day."""
    random, n_refused = np.random.default_rng(0), 0
    p = 0.1 / (0.1 + rate * 0.9)
    for drift in (-0.2, 0.0, 0.2):
        odds = p / (1 - p) * np.exp(drift)
        for share in random.binomial(n, odds / (1 + odds), size=200) / n:
            try:
                refuse_unsampled(rate, FirstStep(p, 5000), FirstStep(share, n), "these rows")
            except ValueError:
                n_refused += 1
    assert n_refused <= 2  # of 600


def test_many_rows_without_downsampling_are_refused():
    for rate in (0.5, 0.1, 0.01):
        p = 0.05 / (0.05 + rate * 0.95)
        train, others = FirstStep(p, 5000), FirstStep(0.05, 1000)
        with pytest.raises(ValueError, match="is 0.05 in these rows and"):
            refuse_unsampled(rate, train, others, "these rows")


def test_rows_without_known_labels_are_not_checked_for_downsampling(data):
    X, Y = (part[:3000] for part in data)
    unknown = Y[:500].assign(click=np.nan)
    model = FSMDClassifier(**SMALL, negative_sampling_rate=0.5, statistics_features=["user_id"])
    with pytest.warns(UserWarning, match="The validation rows have no known label of 'click'"):
        model.fit(X, Y, X_val=X[:500], Y_val=unknown)
    model.update_statistics(X[:500], unknown)


def test_the_downsampling_check_counts_known_labels_and_not_rows():
    """Of 900 sampled rows, only 20 have a known click."""
    X, Y = make_funnel(8000, click_rate=0.1, random_state=0, return_X_y=True)
    random = np.random.RandomState(0)
    kept = ((Y["click"] == 1) | (random.uniform(size=8000) < 0.5)).to_numpy()
    X, Y = X[kept], Y[kept].astype(float)
    model = FSMDClassifier(**SMALL, negative_sampling_rate=0.5, statistics_features=["user_id"])
    model.fit(X[:2000], Y[:2000])
    for seed in range(20):
        rows = 2000 + np.random.RandomState(seed).choice(len(X) - 2000, 900, replace=False)
        few = Y.iloc[rows].copy()
        few.iloc[20:] = np.nan
        model.update_statistics(X.iloc[rows], few)


def test_value_targets_of_all_rows_are_refused_with_downsampling():
    X, Y = make_funnel(1500, watch_time=True, random_state=0, return_X_y=True)
    model = FSMDClassifier(**SMALL, value_targets=["watch_seconds"], negative_sampling_rate=0.1)
    with pytest.raises(ValueError, match="does not go together with the value 'watch_seconds'"):
        model.fit(X, Y.fillna({"watch_seconds": 0.0}))
    model.set_params(value_parents={"watch_seconds": "click"}).fit(X, Y)


def test_calibration_uses_the_positions_at_which_rows_were_shown():
    """Low rates at bad positions are not treated as a level that is too high."""
    X, Y = make_funnel(6000, position_bias=2.0, random_state=0, return_X_y=True)
    y = Y["click"]
    model = FSMDClassifier(**SMALL | {"max_epochs": 12}, bias_features=["position"]).fit(X[:3000], y[:3000])
    before = model.predict_marginals(X).mean()
    model.calibrate(X[3000:], y[3000:])
    as_shown = model._predictor.marginals(model._encoder.encode_shown(X[3000:]), None, model.calibration_)
    assert as_shown.mean() == pytest.approx(y[3000:].mean(), rel=0.01)
    assert model.predict_marginals(X).mean() > 1.5 * y.mean()
    assert model.predict_marginals(X).mean() == pytest.approx(before, rel=0.5)
    for columns in (["position"], ["price"]):
        with pytest.raises(ValueError, match="Feature names seen at fit time, yet now missing"):
            model.calibrate(X[3000:].drop(columns=columns), y[3000:])


def test_calibration_on_few_events_warns():
    z, labels = np.linspace(-3, 3, 500), np.isin(np.arange(500), [200, 400, 450]).astype(np.float32)
    with pytest.warns(UserWarning, match="calibration of 'conversion' rests on 3 of 400 rows, those of the rarer"):
        platt(z, labels, np.arange(500) >= 100, "'conversion'")


def test_partial_fit_refuses_another_negative_sampling_rate(frame):
    """`partial_fit` keeps the level of the fit, so its rows must be sampled at the same rate."""
    X, Y = frame
    model = FSMDClassifier(**SMALL, negative_sampling_rate=0.5).fit(X, Y)
    before = model.predict_marginals(X)
    with pytest.raises(ValueError, match=r"'negative_sampling_rate' parameter was 0\.5 .* and is 1\.0 now"):
        model.set_params(negative_sampling_rate=1.0).partial_fit(X, Y)
    np.testing.assert_array_equal(model.predict_marginals(X), before)
    model.set_params(negative_sampling_rate=0.5).partial_fit(X, Y)
    model.set_params(negative_sampling_rate=1.0, warm_start=True).fit(X, Y).partial_fit(X, Y)


def test_a_conditional_is_defined_if_the_marginals_are_0(frame):
    """The ratio of two marginals that are 0 would not be defined."""
    X, Y = frame
    model = FSMDClassifier(**SMALL).fit(X, Y)
    given = model.predict_conditionals(X)[:, 1]
    assert given.max() < 0.99
    model.calibration_ = np.array([(1.0, -200.0), (1.0, 0.0)])
    assert model.predict_marginals(X).max() == 0
    np.testing.assert_array_equal(model.predict_conditionals(X)[:, 1], given)


def test_the_scale_of_weights_does_not_matter():
    """The prior of the slope counts rows, so weights count relative to each other."""
    random = np.random.default_rng(0)
    z, weights = random.normal(size=300), random.uniform(0.5, 2, size=300)
    labels = (random.uniform(size=300) < expit(0.3 * z)).astype(np.float32)
    few, many = (platt(z, labels, weights * scale, "click") for scale in (1e-3, 1e3))
    np.testing.assert_allclose(few, many, rtol=1e-5)


def test_weights_that_correct_the_sampling_too_are_refused(sampled_log, tmp_path):
    X, Y, kept, _ = sampled_log
    X, Y, X_val, Y_val = X[kept][:500], Y[kept][:500], X[kept][500:], Y[kept][500:]
    weights, of_val = (np.where(labels["click"] == 1, 2.0, 20.0) for labels in (Y, Y_val))
    model = FSMDClassifier(**SMALL, negative_sampling_rate=0.1)
    X.join(Y).assign(weight=weights).to_parquet(tmp_path / "rows.parquet")
    per_label = np.stack([weights, np.ones(500)], axis=1)
    for fit in (
        lambda: model.fit(X, Y, sample_weight=weights),
        lambda: model.fit(X, Y, sample_weight=per_label),
        lambda: model.partial_fit(X, Y, sample_weight=weights),
        lambda: model.fit_dataset(tmp_path / "rows.parquet", list(Y), sample_weight="weight"),
        lambda: model.fit(X, Y, X_val=X_val, Y_val=Y_val, sample_weight_val=of_val),
    ):
        with pytest.raises(ValueError, match="10 times the weight .* together, they correct the sampling twice"):
            fit()
    model.fit(X, Y, sample_weight=np.linspace(1, 2, 500) * weights)  # weights of the user, not of the sampling alone
    model.fit(X, Y, sample_weight=np.where(Y["click"] == 1, 2.0, 1.0))
    FSMDClassifier(**SMALL).fit(X, Y, sample_weight=weights)


def test_some_steps_can_be_calibrated(data, skewed):
    X, Y = (part[4000:8000] for part in data)
    click = skewed.snapshot().calibrate(X, Y, steps=["click"])
    both, conversion = skewed.snapshot().calibrate(X, Y), skewed.snapshot().calibrate(X, Y, steps=[1])
    np.testing.assert_array_equal(click.calibration_, [both.calibration_[0], [1, 0]])
    np.testing.assert_array_equal(conversion.calibration_, [[1, 0], both.calibration_[1]])
    np.testing.assert_array_equal(click.calibrate(X, Y, steps=["conversion"]).calibration_, both.calibration_)
    never = Y.assign(conversion=0)
    with pytest.raises(ValueError, match="both classes of 'conversion' where 'click' is 1.*Or name the steps"):
        skewed.snapshot().calibrate(X, never)
    np.testing.assert_array_equal(
        skewed.snapshot().calibrate(X, never, steps=["click"]).calibration_, [both.calibration_[0], [1, 0]]
    )
    for steps, message in (
        (["sale"], "no target 'sale'; the targets are"),
        ([2], "no target 2"),
        ("click", "must be a list of targets"),
        ([], "must be a list of targets"),
    ):
        with pytest.raises(ValueError, match=message):
            skewed.snapshot().calibrate(X, Y, steps=steps)


def test_calibrating_a_later_step_keeps_the_correction_of_the_sampling(sampled_log):
    X, Y, kept, model = sampled_log
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few conversions
        calibrated = model.snapshot().calibrate(X[kept], Y[kept], steps=["conversion"])  # all clicks were kept
    np.testing.assert_array_equal(calibrated.calibration_[0], model.calibration_[0])
    assert (calibrated.calibration_[1] != model.calibration_[1]).any()
