"""Labels that are not known yet: targets that cannot be learned or evaluated are refused, others are trained."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from sklearn_fsmd import DeepFMClassifier, FSMDClassifier, SingleTaskClassifier
from sklearn_fsmd.datasets import make_funnel
from tests.conftest import SMALL

PARAMS = SMALL | {"batch_size": 128, "expert_dims": (16,), "early_stopping": True}
NO_VALIDATION_LABELS = "in the validation rows"


@pytest.fixture(scope="module")
def data():
    X, Y = make_funnel(2000, random_state=0, return_X_y=True)
    return X, Y.astype(float)


def mask_labels(Y, rows, column=slice(None)):
    late = Y.copy()
    late.loc[rows, column] = np.nan
    return late


def without_runtime_warnings(fit):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        return fit()


@pytest.mark.parametrize("weighted", [False, True])
def test_validation_on_last_rows_without_labels_is_refused(data, weighted):
    X, Y = data
    model = FSMDClassifier(**PARAMS, validation="last")
    weights = np.where(np.arange(2000) < 1700, 1.0, 0.0) if weighted else None
    with pytest.raises(ValueError, match=NO_VALIDATION_LABELS):
        model.fit(X, Y if weighted else mask_labels(Y, slice(1700, None)), sample_weight=weights)


def test_validation_on_rows_of_files_without_labels_is_refused(data, tmp_path):
    X, Y = data
    late = mask_labels(Y, slice(1700, None))
    X.join(late).to_parquet(tmp_path / "all.parquet")
    X[:1700].join(Y[:1700]).to_parquet(tmp_path / "train.parquet")
    X[1700:].join(late[1700:]).to_parquet(tmp_path / "valid.parquet")
    targets = list(Y)
    with pytest.raises(ValueError, match=NO_VALIDATION_LABELS):
        FSMDClassifier(**PARAMS, validation="last").fit_dataset(tmp_path / "all.parquet", targets)
    with pytest.raises(ValueError, match=NO_VALIDATION_LABELS):
        FSMDClassifier(**PARAMS).fit_dataset(tmp_path / "train.parquet", targets, validation=tmp_path / "valid.parquet")


def test_a_target_whose_weights_are_all_0_is_refused(data, tmp_path):
    X, Y = data
    weights = np.tile([1.0, 0.0], (2000, 1))
    message = "Column 'conversion' of Y has no observed label whose weight is not zero in the rows of training, so"
    with pytest.raises(ValueError, match=message):
        without_runtime_warnings(lambda: FSMDClassifier(**PARAMS).fit(X, Y, sample_weight=weights))
    X.join(Y).assign(one=1.0, none=0.0).to_parquet(tmp_path / "log.parquet")
    log = tmp_path / "log.parquet", list(Y)
    with pytest.raises(ValueError, match=message):
        without_runtime_warnings(
            lambda: FSMDClassifier(**PARAMS).fit_dataset(*log, sample_weight=["one", "none"], columns=list(X))
        )


@pytest.mark.filterwarnings("ignore:Column 'conversion' of Y has only one class")
def test_a_step_that_is_unknown_after_all_clicks_is_refused(data, tmp_path):
    X, Y = data
    late = mask_labels(Y, Y["click"] == 1, "conversion")
    with pytest.raises(ValueError, match="in the rows of training where 'click' is 1"):
        without_runtime_warnings(lambda: FSMDClassifier(**PARAMS).fit(X, late))
    X.join(late).to_parquet(tmp_path / "log.parquet")
    with pytest.raises(ValueError, match="in the rows of training where 'click' is 1"):
        without_runtime_warnings(lambda: FSMDClassifier(**PARAMS).fit_dataset(tmp_path / "log.parquet", list(Y)))


@pytest.mark.parametrize("cls", [SingleTaskClassifier, DeepFMClassifier])
def test_networks_without_validation_labels_train_as_long_as_others(data, cls):
    X, Y = data
    late = mask_labels(Y, slice(1700, None), "conversion")
    params = {name: value for name, value in PARAMS.items() if name in cls().get_params()}
    with pytest.warns(UserWarning, match="have no known label of 'conversion', so validation does not score it"):
        predictions = [
            cls(**params | {"validation": "last", "max_epochs": n, "lr": 0.01}).fit(X, late).predict_marginals(X)
            for n in (1, 6)
        ]
    assert (np.abs(predictions[1] - predictions[0]).max(axis=0) > 0.02).all()


def test_weight_columns_are_matched_to_the_columns_of_Y():  # noqa: N802
    X, Y = make_funnel(1500, watch_time=True, random_state=0, return_X_y=True)
    params = {"value_targets": ["watch_seconds"], "value_parents": {"watch_seconds": "click"}}
    model = FSMDClassifier(**SMALL, **params).fit(X, Y)
    weights = pd.DataFrame({"click": 1.0, "conversion": (X["price"] > 50) * 1.0, "watch_seconds": 5.0})
    moved = ["watch_seconds", "click", "conversion"]
    score = model.score(X, Y, sample_weight=weights)
    assert score != model.score(X, Y)
    assert model.score(X, Y[moved], sample_weight=weights[moved]) == score
    one, other = (
        FSMDClassifier(**SMALL, **params).fit(X, Y).partial_fit(X, Y[o], sample_weight=weights[o])
        for o in (list(Y), moved)
    )
    np.testing.assert_array_equal(one.predict_values(X), other.predict_values(X))


def test_a_step_is_learned_from_rows_whose_previous_step_is_unknown(data):
    X, Y = data
    late = Y.copy()
    late.loc[Y["click"] == 1, "conversion"] = np.nan
    late.loc[1000:] = Y[1000:]
    late.loc[1000:, "click"] = np.nan
    model = FSMDClassifier(**PARAMS | {"max_epochs": 3, "lr": 0.01}).fit(X, late)
    assert model.predict_marginals(X)[:, 1].mean() == pytest.approx(Y["conversion"].mean(), rel=0.5)
    assert roc_auc_score(Y["conversion"], model.predict_marginals(X)[:, 1]) > 0.6


def test_validation_works_with_known_values_alone():
    X, Y = make_funnel(2000, watch_time=True, random_state=0, return_X_y=True)
    late = Y.astype(float)
    late.loc[1700:, ["click", "conversion"]] = np.nan
    params = {"value_targets": ["watch_seconds"], "validation": "last"}
    with pytest.warns(UserWarning, match="no known label of 'click', so validation"):
        model = FSMDClassifier(**PARAMS | params).fit(X, late.fillna({"watch_seconds": 0.0}))
    losses = np.array([epoch["valid_loss"] for epoch in model.history_])
    assert np.isfinite(losses).all()
    assert (losses != 0).all()


def test_labels_of_weight_0_imply_nothing_for_later_steps(data):
    """Unknown clicks are NaN, or any label with a weight of 0; the conversion after them is unknown too."""
    X, Y = data
    unknown = np.arange(len(X)) % 2 == 0
    masked, weighted = mask_labels(Y, unknown), mask_labels(Y, unknown, "conversion")
    weighted.loc[unknown, "click"] = 0.0
    weights = np.ones(Y.shape)
    weights[unknown, 0] = 0.0
    params = SMALL | {"max_epochs": 1}
    expected = FSMDClassifier(**params).fit(X, masked)
    found = FSMDClassifier(**params).fit(X, weighted, sample_weight=weights)
    np.testing.assert_allclose(found.predict_marginals(X), expected.predict_marginals(X), rtol=1e-5)
    assert found.score(X, weighted, weights) == pytest.approx(expected.score(X, masked))


@pytest.mark.parametrize("streamed", [False, True])
def test_labels_implied_by_clicks_of_0_do_not_validate(streamed, tmp_path):
    """Zeros after a click of 0 do not count as known conversions. The loss is NaN if no value is known."""
    X, Y = make_funnel(2000, watch_time=True, random_state=0, return_X_y=True)
    late = mask_labels(Y.astype(float), slice(1700, None), "watch_seconds")
    late.loc[1700:, "conversion"] = late["conversion"][1700:].where(Y["click"][1700:] == 0)
    params = {"value_targets": ["watch_seconds"], "value_parents": {"watch_seconds": "click"}, "validation": "last"}
    model = FSMDClassifier(**PARAMS | params)
    X.join(late).to_parquet(tmp_path / "log.parquet")
    learn, data = (model.fit_dataset, (tmp_path / "log.parquet", list(Y))) if streamed else (model.fit, (X, late))
    with pytest.warns(UserWarning, match="no known label of 'conversion', 'watch_seconds', so validation"):
        learn(*data)
    assert all(np.isnan(epoch["valid_loss_watch_seconds"]) for epoch in model.history_)


def test_labels_of_weight_0_cause_no_contradiction_warning(frame):
    X, Y = frame
    weights = np.ones((len(Y), 2))
    odd = (Y["click"] == 0).to_numpy() & (np.arange(len(Y)) < 100)
    weights[odd, 1] = 0
    FSMDClassifier(**SMALL | {"max_epochs": 1}).fit(X, Y.assign(conversion=Y["conversion"].mask(odd, 1)), weights)
    with pytest.warns(UserWarning, match="though 'click', the step before it, is 0"):
        FSMDClassifier(**SMALL | {"max_epochs": 1}).fit(X, Y.assign(conversion=Y["conversion"].mask(odd, 1)))


def test_validation_rows_without_an_event_warn(frame):
    X, Y = frame
    never = Y.assign(conversion=0)
    with pytest.warns(UserWarning, match="'conversion' has one class in the validation rows and two in the training"):
        FSMDClassifier(**SMALL).fit(X[:200], Y[:200], X_val=X[200:], Y_val=never[200:])
    FSMDClassifier(**SMALL).fit(X[:200], Y[:200], X_val=X[200:], Y_val=Y[200:])
