"""Tools for pipelines and searches of scikit-learn: `ForTask`, `ask` and `output_view`."""

import warnings
from contextlib import nullcontext

import category_encoders
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.sparse import csr_matrix
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, TunedThresholdClassifierCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler, TargetEncoder
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_fsmd import DenoisingEmbedder, FSMDClassifier
from sklearn_fsmd.compose import ForTask, ask, output_view
from sklearn_fsmd.inspection import metric_table
from sklearn_fsmd.plotting import GateWeightsDisplay, HistoryDisplay, SeesawDisplay
from sklearn_fsmd.ranking import tune_rank_weights
from tests.conftest import SMALL


@parametrize_with_checks([ForTask(StandardScaler()), ForTask(TargetEncoder(), task=0)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(("as_frame", "task"), [(True, "conversion"), (True, 1), (False, 1)])
def test_a_target_encoder_sees_its_task(frame, as_frame, task):
    X, Y = frame
    X = X[["city"]].fillna("?")
    expected = category_encoders.TargetEncoder().fit(X, Y["conversion"]).transform(X)
    made = ForTask(category_encoders.TargetEncoder(), task=task).fit(X, Y if as_frame else Y.to_numpy()).transform(X)
    pd.testing.assert_frame_equal(made, expected)


def test_fit_transform_calls_fit_transform_of_the_encoder(rng):
    X = pd.DataFrame({"id": rng.randint(100, size=300).astype(str)})
    Y = rng.randint(2, size=(300, 2))
    encoder = category_encoders.LeaveOneOutEncoder()
    expected = encoder.fit_transform(X, Y[:, 1])
    np.testing.assert_array_equal(ForTask(encoder, task=1).fit_transform(X, Y), expected)
    assert not np.array_equal(ForTask(encoder, task=1).fit(X, Y).transform(X), expected)


def test_without_a_task_the_transformer_gets_no_target():
    X = np.arange(6.0).reshape(3, 2)
    assert ForTask(Watch()).fit(X, np.ones((3, 2))).transformer_.seen_ is None
    assert ForTask(Watch(), task=0).fit(X, np.ones(3)).transformer_.seen_.tolist() == [1, 1, 1]


class Watch(StandardScaler):
    """A scaler that keeps the target passed to fit."""

    def fit(self, X, y=None):
        self.seen_ = y
        return super().fit(X)


@pytest.mark.parametrize(
    ("task", "y", "expected"),
    [
        ("task1", [[1, 2, 3], [4, 5, 6]], [2, 5]),
        (np.int64(1), [[1, 2, 3], [4, 5, 6]], [2, 5]),
        ("conversion", [[1, 2], [4, 5]], [2, 5]),
        ("y", [1, 4], [1, 4]),
        ("click", pd.Series([1, 4], name="click"), [1, 4]),
        (2, pd.DataFrame({2: [1, 4], 1: [2, 5], 0: [3, 6]}), [1, 4]),
    ],
)
def test_tasks_are_named_as_in_the_models(task, y, expected):
    step = ForTask(Watch(), task=task)
    is_guessed = pytest.warns(UserWarning, match="task='conversion' as the one at position 1")
    with is_guessed if task == "conversion" else nullcontext():
        seen = step.fit(np.arange(4.0).reshape(2, 2), y).transformer_.seen_
    assert np.asarray(seen).tolist() == expected


def test_a_sparse_target_is_refused():
    with pytest.raises(TypeError, match="Sparse data was passed for Y"):
        ForTask(Watch(), task=0).fit(np.ones((4, 1)), csr_matrix(np.eye(4, 2)))


@pytest.mark.parametrize("task", ["share", 2, -1])
def test_an_unknown_task_is_refused(frame, task):
    X, Y = frame[0][["price"]], frame[1]
    with pytest.raises(ValueError, match=f"There is no target {task!r}; the targets are .'click', 'conversion'."):
        ForTask(StandardScaler(), task=task).fit(X, Y)
    with pytest.raises(ValueError, match=f"There is no target {task!r}; the targets are .'click'."):
        ForTask(StandardScaler(), task=task).fit(X, Y["click"])


def test_for_task_works_in_a_pipeline_with_two_targets(frame):
    X, Y = frame
    codes = ForTask(category_encoders.OrdinalEncoder())
    columns = ColumnTransformer([("codes", codes, ["user", "city"])], remainder="drop", verbose_feature_names_out=False)
    columns.set_output(transform="pandas")
    pipeline = make_pipeline(columns, FSMDClassifier(categorical_features=["user", "city"], **SMALL)).fit(X, Y)
    assert pipeline[-1].feature_names_in_.tolist() == ["user", "city"]
    unseen = X.assign(city="Atlantis")
    assert np.isfinite(pipeline.predict_proba(unseen)[1]).all()


@pytest.mark.parametrize("library", [pl.from_pandas, pa.Table.from_pandas])
def test_the_task_is_found_by_its_name_in_tables_of_other_libraries(frame, library):
    X, Y = frame
    X, reordered = X[["city"]].fillna("?"), Y[["conversion", "click"]]
    expected = category_encoders.TargetEncoder().fit(X, Y["click"]).transform(X)
    made = ForTask(category_encoders.TargetEncoder(), task="click").fit(X, library(reordered)).transform(X)
    pd.testing.assert_frame_equal(made, expected, check_dtype=False)


def without_visits(X):
    return X.drop(columns="visits")


def test_ask_calls_methods_of_models_in_pipelines_and_searches(frame):
    X, Y = frame
    pipeline = make_pipeline(FunctionTransformer(without_visits), FSMDClassifier(**SMALL | {"max_epochs": 1}))
    search = GridSearchCV(pipeline, {"fsmdclassifier__lr": [1e-3, 1e-2]}, cv=2).fit(X, Y)
    model, less = search.best_estimator_[-1], without_visits(X)
    for made in (search, search.best_estimator_, FrozenEstimator(search), Pipeline([("all", search.best_estimator_)])):
        np.testing.assert_array_equal(ask(made, "predict_marginals", X), model.predict_marginals(less))
        np.testing.assert_array_equal(ask(made, "rank_score", X, weights=[1, 2]), model.rank_score(less, [1, 2]))
    with pytest.raises(NotFittedError):
        ask(pipeline, "predict_marginals", X)
    with pytest.raises(AttributeError, match="no_such"):
        ask(search, "no_such", X[["price"]])  # before the steps meet these rows
    for method, given in (("save", "model.safetensors"), ("output_view", "click"), ("output_view", 1)):
        with pytest.raises(TypeError, match=rf"X must hold rows, .* Got {given!r}\. .* search\.best_estimator_\[-1\]"):
            ask(search, method, given)
    np.testing.assert_array_equal(ask(model, "output_view", "click").predict(less), model.predict(less)[:, 0])


def test_validation_data_in_a_pipeline(frame):
    """`docs/guide/pipelines.md` shows this use."""
    X, Y = frame
    X_val, Y_val = X[:100], Y[:100]
    with config_context(enable_metadata_routing=True):
        model = FSMDClassifier(**SMALL).set_fit_request(X_val=True, Y_val=True)
        pipeline = Pipeline(
            [("less", FunctionTransformer(without_visits)), ("model", model)], transform_input=["X_val"]
        )
        pipeline.fit(X, Y, X_val=X_val, Y_val=Y_val)
    direct = FSMDClassifier(**SMALL).fit(without_visits(X), Y, X_val=without_visits(X_val), Y_val=Y_val)
    np.testing.assert_array_equal(ask(pipeline, "predict_marginals", X), direct.predict_marginals(without_visits(X)))


def test_a_view_of_a_pipeline_accepts_the_input_of_the_pipeline(frame):
    X, Y = frame
    pipeline = make_pipeline(FunctionTransformer(without_visits), FSMDClassifier(**SMALL | {"max_epochs": 1}))
    search = GridSearchCV(pipeline, {"fsmdclassifier__lr": [1e-2]}, cv=2)
    with pytest.raises(NotFittedError):
        output_view(search, "click")
    search.fit(X, Y)
    model = search.best_estimator_[-1]
    expected_proba = model.output_view("conversion").predict_proba(without_visits(X))
    for made in (search, search.best_estimator_):
        view = output_view(made, "conversion")
        np.testing.assert_array_equal(view.predict_proba(X), expected_proba)
        np.testing.assert_allclose(np.exp(view.predict_log_proba(X)), expected_proba, rtol=1e-5)
        assert view.classes_.tolist() == [0, 1]
        assert list(view.feature_names_in_) == list(X.columns)
        assert view.score(X, Y["conversion"]) == np.mean(view.predict(X) == Y["conversion"])
    tuned = TunedThresholdClassifierCV(FrozenEstimator(view), scoring="f1", cv="prefit", refit=False)
    assert tuned.fit(X, Y["conversion"]).predict(X).shape == (len(X),)
    with pytest.raises(ValueError, match="There is no binary target 'share'"):
        output_view(search, "share")
    for other in (LogisticRegression().fit(X[["price"]].fillna(0), Y["click"]), DenoisingEmbedder(n_epochs=1).fit(X)):
        with pytest.raises(TypeError, match=f"A fitted MultiTaskClassifier .* Got {type(other).__name__}"):
            output_view(other, "click")


@pytest.mark.parametrize("requests_weights", [True, False])
def test_metadata_is_routed_to_the_inner_transformer(requests_weights, rng):
    X, weights = pd.DataFrame({"x": rng.uniform(size=50)}), rng.uniform(size=50)
    Y = np.cumprod(rng.randint(2, size=(50, 2)), axis=1)
    with config_context(enable_metadata_routing=True):
        step = ForTask(StandardScaler().set_fit_request(sample_weight=requests_weights))
        pipeline = make_pipeline(step, FSMDClassifier(**SMALL).set_fit_request(sample_weight=True))
        pipeline.fit(X, Y, sample_weight=weights)
        step.fit(X, Y, **{"sample_weight": weights} if requests_weights else {})
    mean = np.average(X["x"], weights=weights if requests_weights else None)
    for fitted in (step, pipeline[0]):
        assert fitted.transformer_.mean_[0] == pytest.approx(mean)


def test_fit_accepts_sample_weight_like_fit_transform(rng):
    X, Y, weights = pd.DataFrame({"x": rng.uniform(size=50)}), rng.randint(2, size=(50, 2)), rng.uniform(size=50)
    step = ForTask(StandardScaler()).fit(X, Y, sample_weight=weights)
    assert step.transformer_.mean_[0] == pytest.approx(np.average(X["x"], weights=weights))


class StatelessStep(TransformerMixin, BaseEstimator):
    """A transformer that learns nothing and has no fitted attributes."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X.assign(cheap=X["price"] < 0)


def test_ask_accepts_a_stateless_step_like_a_pipeline(frame):
    X, Y = frame
    pipeline = make_pipeline("passthrough", StatelessStep(), FSMDClassifier(**SMALL)).fit(X, Y)
    p = ask(pipeline, "predict_marginals", X)
    np.testing.assert_allclose(p[:, 0], pipeline.predict_proba(X)[0][:, 1], atol=1e-7)
    np.testing.assert_allclose(output_view(pipeline, "click").predict_proba(X)[:, 1], p[:, 0], atol=1e-7)
    assert metric_table(pipeline, X, Y, n_bootstrap=2).shape[0] == 2


class OnlyTransforms(BaseEstimator):
    """The minimum that a Pipeline accepts: no `fit_transform` and no y."""

    def fit(self, X):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X


def test_for_task_accepts_a_minimal_transformer_like_a_pipeline(frame):
    X, Y = frame
    for made in (ForTask(OnlyTransforms()).fit(X, Y).transform(X), ForTask(OnlyTransforms()).fit_transform(X, Y)):
        pd.testing.assert_frame_equal(made, X)


def test_a_clone_of_a_view_keeps_its_metadata_requests(frame):
    X, Y = frame
    with config_context(enable_metadata_routing=True):
        view = output_view(FSMDClassifier(**SMALL).fit(X, Y), "click").set_score_request(sample_weight=True)
        assert clone(view).get_metadata_routing().score.requests == {"sample_weight": True}


def test_an_error_that_missing_labels_cause_in_a_transformer_names_them(frame):
    X, Y = frame
    some = Y.astype(float)
    some.loc[some.index[:30], "click"] = np.nan
    made = ForTask(category_encoders.TargetEncoder(), task="click")
    for fit in (made.fit, made.fit_transform):
        with pytest.raises(
            ValueError, match=r"ForTask\(task='click'\): y has 30 missing labels, and TargetEncoder says"
        ):
            fit(X[["city"]].astype(object), some)
        with pytest.raises(
            ValueError, match="This ForTask estimator requires y to be passed, but the target y is None"
        ):
            ForTask(TargetEncoder(), task="click").fit(X[["city"]])
        with pytest.raises(ValueError, match="TargetEncoder needs y, and task=None passes none: set `task` to"):
            ForTask(TargetEncoder()).fit(X[["city"]], Y)
    assert get_tags(made).target_tags.multi_output
    assert get_tags(ForTask(StandardScaler())).target_tags.multi_output


def test_a_view_accepts_sample_weights_in_fit(frame):
    X, Y = frame
    view = output_view(FSMDClassifier(**SMALL).fit(X, Y), "click")
    with pytest.warns(UserWarning, match="`fit` of the view of 'click' does nothing"):
        voting = VotingClassifier([("view", view)], voting="soft").fit(X, Y["click"], sample_weight=np.ones(len(X)))
    np.testing.assert_allclose(voting.predict_proba(X), view.predict_proba(X))


def test_a_search_over_a_view_does_not_change_its_model(frame):
    X, Y = frame
    model = FSMDClassifier(**SMALL).fit(X, Y)
    before, view = model.get_params(), output_view(model, "click")
    assert view.get_params() == {"estimator": model, "task": "click"}
    search = GridSearchCV(view, {"estimator__dropout": [0.3, 0.9]}, cv=2)
    with pytest.raises(ValueError, match="'estimator__dropout' cannot be set: a view is of a fitted estimator"):
        search.fit(X, Y["click"])
    with pytest.raises(ValueError, match="Invalid parameter 'taks' for estimator OutputView"):
        view.set_params(taks="conversion")
    assert model.get_params() == before
    assert view.set_params(task="conversion").classes_.tolist() == [0, 1]


def test_cross_validation_of_a_view_warns_that_nothing_is_trained(frame):
    X, Y = frame
    view = output_view(FSMDClassifier(**SMALL).fit(X, Y), "click")
    with pytest.warns(UserWarning, match="scores of the rows that it was trained on are too good"):
        scores = cross_val_score(view, X, Y["click"], cv=KFold(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frozen = cross_val_score(FrozenEstimator(view), X, Y["click"], cv=KFold(2))
    np.testing.assert_array_equal(scores, frozen)


def test_an_embedder_keeps_feature_names(frame):
    X = frame[0][["price"]].fillna(0)
    embedder = DenoisingEmbedder(n_epochs=1, embedding_dim=1, random_state=0)
    names = make_pipeline(StandardScaler(), embedder).fit(X).get_feature_names_out()
    assert names.tolist() == ["price_bin_0", "price"]
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        clone(embedder).fit(X).get_feature_names_out(["cost"])


@pytest.mark.parametrize(
    "look",
    [
        lambda model: tune_rank_weights(model, [[0.0]], [0], lambda Y, score: 1.0),
        HistoryDisplay.from_estimator,
        lambda model: GateWeightsDisplay.from_estimator(model, [[0.0]]),
        lambda model: SeesawDisplay.from_estimators({"a": model}, [[0.0]], [0], baseline="a"),
    ],
    ids=["tune_rank_weights", "history", "gates", "seesaw"],
)
def test_a_model_of_another_library_is_refused(look):
    with pytest.raises(TypeError, match=r"A fitted MultiTaskClassifier or one of.* Got LogisticRegression"):
        look(LogisticRegression().fit([[0.0], [1.0]], [0, 1]))


@pytest.mark.parametrize(
    "look",
    [
        lambda search, X, Y: ask(search, "predict_marginals", X),
        metric_table,
        lambda search, X, Y: output_view(search, 0),
    ],
    ids=["ask", "metric_table", "output_view"],
)
def test_a_search_without_refit_is_refused(look, frame):
    X, Y = frame
    search = GridSearchCV(FSMDClassifier(**SMALL), {"max_epochs": [1]}, cv=2, refit=False).fit(X, Y)
    with pytest.raises(TypeError, match="GridSearchCV was made with refit=False, so it has no model"):
        look(search, X, Y)
