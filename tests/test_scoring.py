"""score_file: scores of Parquet files equal the predictions of the model."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder

from sklearn_fsmd import FSMDClassifier, scoring
from sklearn_fsmd.compose import ask
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.scoring import score_file
from tests.conftest import SMALL, make_frame


@pytest.fixture(scope="module")
def fitted():
    X, Y = make_frame(400)
    Y["watch"] = np.where(Y["click"] == 1, 1.0 + np.arange(400) % 5, np.nan)
    model = FSMDClassifier(**SMALL, value_targets=["watch"], value_parents={"watch": "click"}).fit(X, Y)
    return model, X


@pytest.fixture
def source(fitted, tmp_path):
    path = tmp_path / "in.parquet"
    fitted[1].assign(shown=np.arange(400)).to_parquet(path)
    return path


def test_scores_equal_the_predictions_of_the_model(fitted, source, tmp_path):
    model, X = fitted
    sink = tmp_path / "out.parquet"
    assert score_file(model, source, sink, keep=["shown", "user"], rank_weights=[1, 0.5], batch_rows=150) == 400
    scores = pd.read_parquet(sink)
    assert list(scores) == ["shown", "user", "p_click", "p_conversion", "expected_watch", "rank_score"]
    np.testing.assert_allclose(scores[["p_click", "p_conversion"]], model.predict_marginals(X), rtol=1e-6)
    np.testing.assert_allclose(scores["expected_watch"], model.predict_values(X)[:, 0], rtol=1e-6)
    np.testing.assert_allclose(scores["rank_score"], model.rank_score(X, [1, 0.5]), rtol=1e-6)
    assert scores["shown"].tolist() == list(range(400))
    assert scores["user"].astype("int64").tolist() == X["user"].astype("int64").tolist()


def test_conditionals_are_written_on_request(fitted, source, tmp_path):
    model, X = fitted
    score_file(model, source, tmp_path / "out.parquet", conditionals=True, rank_weights=[1, 1])
    scores = pd.read_parquet(tmp_path / "out.parquet")
    p = ["p_click", "p_conversion", "p_conversion_given_click"]
    assert list(scores) == [*p, "expected_watch", "rank_score"]
    np.testing.assert_allclose(scores[p[2]], model.predict_conditionals(X)[:, 1], rtol=1e-6)
    named = X.assign(p_conversion_given_click=0.5)
    named.to_parquet(tmp_path / "named.parquet")
    with pytest.raises(ValueError, match="two columns named 'p_conversion_given_click'"):
        score_file(model, tmp_path / "named.parquet", tmp_path / "no.parquet", keep=p[2], conditionals=True)


def test_scores_as_shown_use_the_bias_features(tmp_path):
    X, Y = make_funnel(600, position_bias=1.0, random_state=0, return_X_y=True)
    model = FSMDClassifier(**SMALL, bias_features=["position"]).fit(X, Y)
    source, sink = tmp_path / "in.parquet", tmp_path / "out.parquet"
    X.to_parquet(source)
    for as_shown in (True, False):
        score_file(model, source, sink, as_shown=as_shown, conditionals=True)
        scores = pd.read_parquet(sink)
        expected = model.predict_marginals(X, as_shown=as_shown)
        np.testing.assert_allclose(scores[["p_click", "p_conversion"]], expected, rtol=1e-6)
        pcvr = model.predict_conditionals(X, as_shown=as_shown)[:, 1]
        np.testing.assert_allclose(scores["p_conversion_given_click"], pcvr, rtol=1e-6)
    assert (scores["p_click"] != model.predict_marginals(X, as_shown=True)[:, 0]).any()
    X.drop(columns="position").to_parquet(source)
    assert score_file(model, source, sink) == 600
    with pytest.raises(ValueError, match="has no column 'position'"):
        score_file(model, source, sink, as_shown=True)


def test_an_empty_source_gives_an_empty_sink_with_the_same_schema(fitted, source, tmp_path):
    model, options = fitted[0], {"keep": ["user"], "rank_weights": [1, 0.5], "conditionals": True}
    pd.read_parquet(source).iloc[:0].to_parquet(tmp_path / "empty.parquet")
    assert score_file(model, tmp_path / "empty.parquet", tmp_path / "none.parquet", **options) == 0
    score_file(model, source, tmp_path / "out.parquet", **options)
    assert pq.read_schema(tmp_path / "none.parquet").equals(pq.read_schema(tmp_path / "out.parquet"))


def test_rank_weights_by_name_may_include_value_targets(fitted, source, tmp_path):
    model, X = fitted
    score_file(model, source, tmp_path / "out.parquet", rank_weights={"watch": 1, "click": 0.5})
    score = pd.read_parquet(tmp_path / "out.parquet")["rank_score"]
    np.testing.assert_allclose(score, model.rank_score(X, [0.5, 0, 1]), rtol=1e-6)
    with pytest.raises(ValueError, match="`rank_weights` names 'buy'. The names are 'click', 'conversion', 'watch'."):
        score_file(model, source, tmp_path / "out.parquet", rank_weights={"buy": 1})


def test_scoring_twice_gives_identical_files(fitted, source, tmp_path):
    model, _ = fitted
    first, second = tmp_path / "a.parquet", tmp_path / "b.parquet"
    score_file(model, source, first)
    score_file(model, source, second)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "b.parquet", "in.parquet"]


def test_an_existing_sink_is_replaced_or_kept_by_resume(fitted, source, tmp_path):
    model, _ = fitted
    sink = tmp_path / "out.parquet"
    sink.write_bytes(b"former")
    assert score_file(model, source, sink, resume=True) == 0
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        score_file(model, source, tmp_path / "folder", resume=True)
    assert sink.read_bytes() == b"former"
    assert score_file(model, source, sink) == 400


def test_scores_with_saved_models_and_pipelines(fitted, source, tmp_path):
    model, _ = fitted
    model.save(tmp_path / "model.safetensors")
    score_file(tmp_path / "model.safetensors", source, tmp_path / "a.parquet")
    pipeline = make_pipeline(FunctionTransformer(lambda X: X.drop(columns="shown")), model)
    score_file(pipeline, source, tmp_path / "b.parquet")
    a, b = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in "ab")
    pd.testing.assert_frame_equal(a, b)


def test_ids_stay_exact_next_to_missing_values(tmp_path):
    ids = np.array([2**60 + i for i in range(40)])
    X = pd.DataFrame({"item": pd.array(np.tile(ids, 10), dtype="Int64")})
    y = (np.tile(np.arange(40), 10) % 2).astype(int)
    model = FSMDClassifier(**SMALL | {"max_epochs": 5, "lr": 0.03}, categorical_features=["item"]).fit(X, y)
    X.loc[3, "item"] = pd.NA
    X.to_parquet(tmp_path / "in.parquet")
    score_file(model, tmp_path / "in.parquet", tmp_path / "out.parquet")
    scores = pd.read_parquet(tmp_path / "out.parquet")["p_y"]
    np.testing.assert_allclose(scores, model.predict_marginals(X)[:, 0], rtol=1e-6)
    assert scores.nunique() > 30


class TestRefusals:
    def test_a_missing_column_leaves_the_previous_file(self, fitted, source, tmp_path):
        model, _ = fitted
        sink = tmp_path / "out.parquet"
        sink.write_bytes(b"former")
        with pytest.raises(ValueError, match=r"has no column 'nobody', which `keep` names. It has \[.*\]\.$"):
            score_file(model, source, sink, keep=["nobody"])
        pd.read_parquet(source).drop(columns="price").to_parquet(source)
        with pytest.raises(ValueError, match=r"in\.parquet has no column 'price'"):
            score_file(model, source, sink)
        assert sink.read_bytes() == b"former"
        assert len(list(tmp_path.iterdir())) == 2

    def test_invalid_values_are_located_by_file_and_rows(self, fitted, source, tmp_path):
        model, _ = fitted
        frame = pd.read_parquet(source)
        frame.loc[200, "price"] = np.inf
        frame.to_parquet(source)
        with pytest.raises(ValueError, match=r"in\.parquet, rows 150 to 299, here counted from 0: .*infinity"):
            score_file(model, source, tmp_path / "out.parquet", batch_rows=150)
        assert not (tmp_path / "out.parquet").exists()

    def test_invalid_paths(self, fitted, source, tmp_path):
        model, _ = fitted
        with pytest.raises(FileNotFoundError, match="There is no file"):
            score_file(model, tmp_path / "nothing.parquet", tmp_path / "out.parquet")
        with pytest.raises(FileNotFoundError, match=r"no file \*.parquet. A glob has several: call `score_file`"):
            score_file(model, "*.parquet", tmp_path / "out.parquet")
        with pytest.raises(TypeError, match="`source` is the path of one file; call `score_file` once per file. Got "):
            score_file(model, [source], tmp_path / "out.parquet")
        (tmp_path / "text.parquet").write_text("no Parquet")
        with pytest.raises(ValueError, match="cannot be read as a Parquet file"):
            score_file(model, tmp_path / "text.parquet", tmp_path / "out.parquet")
        with pytest.raises(ValueError, match="the same file"):
            score_file(model, source, source)
        with pytest.raises(OSError, match="there is no folder"):
            score_file(model, source, tmp_path / "nowhere" / "out.parquet")
        with pytest.raises(ValueError, match="batch_rows"):
            score_file(model, source, tmp_path / "out.parquet", batch_rows=0)

    def test_a_model_fitted_on_an_array(self, source, tmp_path):
        model = FSMDClassifier(**SMALL).fit(np.random.RandomState(0).normal(size=(100, 2)), np.arange(100) % 2)
        with pytest.raises(ValueError, match="without names of columns"):
            score_file(model, source, tmp_path / "out.parquet")


def test_columns_that_are_not_nullable_can_be_kept(fitted, tmp_path):
    model, X = fitted
    table = pa.Table.from_pandas(X, preserve_index=False)
    table = table.append_column(pa.field("id", pa.int64(), nullable=False), pa.array(range(400)))
    pq.write_table(table, tmp_path / "in.parquet")
    assert score_file(model, tmp_path / "in.parquet", tmp_path / "out.parquet", keep="id", batch_rows=150) == 400
    assert pd.read_parquet(tmp_path / "out.parquet")["id"].tolist() == list(range(400))


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_the_error_of_an_unreadable_source_names_the_source(in_pipeline, tmp_path):
    """Damaged pages, and strings that are not UTF-8, which not every Parquet writer checks."""
    X, Y = make_frame(300)
    X = X[["city", "visits"]].assign(city=X["city"].fillna("none"))
    source, sink = tmp_path / "in.parquet", tmp_path / "out.parquet"
    model = FSMDClassifier(**SMALL)
    model = make_pipeline(FunctionTransformer(), model).fit(X, Y) if in_pipeline else model.fit(X, Y)
    X.to_parquet(source, index=False)
    damaged = bytearray(source.read_bytes())
    damaged[20:400] = bytes(380)
    invalid_utf8 = pa.array([b"\xff%d" % i for i in range(300)]).view(pa.string())
    for fault in ("damaged", "no text"):
        if fault == "damaged":
            source.write_bytes(damaged)
        else:
            pq.write_table(pa.table({"city": invalid_utf8, "visits": X["visits"].to_numpy()}), source)
        with pytest.raises(ValueError, match="in.parquet"):
            score_file(model, source, sink)
        with pytest.warns(UserWarning, match="in.parquet is left out"):
            assert score_file(model, source, sink, on_error="skip") == 0
    assert not sink.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": ["p_click"]}, "The sink would have two columns named 'p_click'"),
        ({"keep": ["user", "user"]}, "The sink would have two columns named 'user'"),
        ({"rank_weights": 1.0}, "`rank_weights` must be 2 or 3 finite numbers, one per task, or"),
        ({"rank_weights": [1, 2, 3, 4]}, "`rank_weights` must be 2 or 3 finite numbers"),
        ({"rank_weights": [0, 0]}, "`rank_weights` must not all be zero"),
    ],
    ids=str,
)
def test_invalid_arguments_raise_even_if_faulty_files_are_skipped(fitted, source, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        score_file(fitted[0], source, tmp_path / "out.parquet", on_error="skip", **options)


def test_a_source_is_not_overwritten_through_another_path(fitted, source, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.parquet").symlink_to(source)
    before = source.read_bytes()
    for sink in (tmp_path / "sub" / ".." / "in.parquet", tmp_path / "link.parquet"):
        with pytest.raises(ValueError, match="Source and sink are the same file"):
            score_file(fitted[0], source, sink)
    assert source.read_bytes() == before


def test_the_error_of_a_duplicate_column_names_the_file(fitted, tmp_path):
    model, X = fitted
    table = pa.Table.from_pandas(X, preserve_index=False)
    pq.write_table(table.append_column("price", table["price"]), tmp_path / "in.parquet")
    with pytest.raises(ValueError, match="in.parquet has more than one column named 'price'"):
        score_file(model, tmp_path / "in.parquet", tmp_path / "out.parquet")


@pytest.mark.parametrize("searched", [False, True])
@pytest.mark.parametrize(
    "step",
    [OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), SimpleImputer(strategy="most_frequent")],
)
def test_steps_before_the_model_get_the_same_values_as_from_pandas(step, searched, tmp_path):
    X, Y = make_frame(400)
    X = X.assign(city=X["city"].astype(object).where(np.arange(400) % 7 > 0, np.nan))
    X.to_parquet(tmp_path / "in.parquet")
    first = ColumnTransformer([("e", step, ["city"])], remainder="passthrough", verbose_feature_names_out=False)
    model = make_pipeline(first.set_output(transform="pandas"), FSMDClassifier(**SMALL))
    if searched:
        model = GridSearchCV(model, {"fsmdclassifier__lr": [0.01]}, cv=2)
    model.fit(X, Y)
    score_file(model, tmp_path / "in.parquet", tmp_path / "out.parquet", batch_rows=150)
    expected = ask(model, "predict_marginals", pd.read_parquet(tmp_path / "in.parquet"))
    np.testing.assert_allclose(pd.read_parquet(tmp_path / "out.parquet"), expected, rtol=1e-5)


def test_invalid_models_and_batch_sizes_are_refused(fitted, source, tmp_path):
    with pytest.raises(TypeError, match="A fitted MultiTaskClassifier or one of the named models is needed"):
        score_file(fitted[0].output_view("click"), source, tmp_path / "out.parquet")
    for rows in ("10", 10.5):
        with pytest.raises(ValueError, match="`batch_rows` must be an integer"):
            score_file(fitted[0], source, tmp_path / "out.parquet", batch_rows=rows)


def test_batches_without_missing_values_have_the_dtypes_of_the_file(tmp_path):
    X, Y = make_frame(400)
    X = X.assign(visits=np.where(np.arange(400) < 50, np.nan, np.arange(400) % 7), seen=np.arange(400) % 2 == 0)
    table = pa.Table.from_pandas(X.assign(visits=X["visits"].astype("Int64")), preserve_index=False)
    pq.write_table(table.replace_schema_metadata(), tmp_path / "in.parquet")
    as_text = FunctionTransformer(lambda X: X.assign(visits=X["visits"].astype(str)))
    model = make_pipeline(as_text, FSMDClassifier(**SMALL)).fit(X, Y)
    score_file(model, tmp_path / "in.parquet", tmp_path / "out.parquet", batch_rows=100)
    expected = ask(model, "predict_marginals", pd.read_parquet(tmp_path / "in.parquet"))
    np.testing.assert_allclose(pd.read_parquet(tmp_path / "out.parquet"), expected, rtol=1e-5)


def test_a_feature_stored_as_the_index_is_read(tmp_path):
    X, Y = make_frame(400)
    model = make_pipeline(FunctionTransformer(), FSMDClassifier(**SMALL)).fit(X, Y)
    X.set_index("user").to_parquet(tmp_path / "in.parquet")
    score_file(model, tmp_path / "in.parquet", tmp_path / "out.parquet", batch_rows=150)
    scores = pd.read_parquet(tmp_path / "out.parquet")
    np.testing.assert_allclose(scores, ask(model, "predict_marginals", X), rtol=1e-5)


def test_the_source_needs_no_bias_features(tmp_path):
    X, Y = make_frame(200)
    model = FSMDClassifier(**SMALL, bias_features=["visits"]).fit(X, Y)
    without = X.drop(columns="visits")
    without.to_parquet(tmp_path / "in.parquet")
    score_file(model, tmp_path / "in.parquet", tmp_path / "out.parquet")
    scores = pd.read_parquet(tmp_path / "out.parquet").to_numpy()
    np.testing.assert_array_equal(scores, model.predict_marginals(without))
    without.drop(columns="user").to_parquet(tmp_path / "in.parquet")
    with pytest.raises(ValueError, match="has no column 'user'"):
        score_file(model, tmp_path / "in.parquet", tmp_path / "out.parquet")


@pytest.mark.parametrize(("name", "ending"), [("scores.csv", "csv"), ("scores.JSON", "json")])
def test_a_sink_with_the_extension_of_another_format_is_refused(name, ending, tmp_path, frame):
    X, Y = frame
    X.to_parquet(tmp_path / "log.parquet")
    model = FSMDClassifier(**SMALL | {"max_epochs": 1}).fit(X, Y)
    with pytest.raises(ValueError, match=f"{name} would be a Parquet file, but its name ends in .{ending}"):
        score_file(model, tmp_path / "log.parquet", tmp_path / name)
    assert not (tmp_path / name).exists()


def test_a_file_is_scored_by_one_version_of_the_model(tmp_path):
    """A step of the Pipeline trains the model during scoring, as another thread could."""
    X, Y = make_frame(600)
    model, calls = FSMDClassifier(**SMALL | {"max_epochs": 1}).fit(X, Y), []

    def train(table):
        calls.append(len(table))
        if len(calls) == 4:
            model.partial_fit(X, Y)
        return table

    before, path, sink = model.predict_marginals(X), tmp_path / "rows.parquet", tmp_path / "scores.parquet"
    X.to_parquet(path)
    score_file(make_pipeline(FunctionTransformer(train), model), path, sink, batch_rows=100)
    np.testing.assert_allclose(pd.read_parquet(sink).to_numpy(), before, atol=1e-6)
    assert np.abs(model.predict_marginals(X) - before).max() > 1e-4


def test_columns_that_are_not_needed_may_have_any_type(fitted, source, tmp_path):
    table = pq.read_table(source)
    pictures = pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((len(table), 2)))
    pq.write_table(table.append_column("picture", pictures), tmp_path / "pictures.parquet")
    assert score_file(fitted[0], tmp_path / "pictures.parquet", tmp_path / "scores.parquet") == len(table)


class Doubles(BaseEstimator):
    """A step without `feature_names_in_`."""

    def __init__(self, name):
        self.name = name

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X.assign(**{self.name: X[self.name]})


def test_a_file_without_a_column_that_a_step_needs_is_skipped(tmp_path):
    X, Y = make_frame(60)
    name = X.columns[0]
    model = make_pipeline(Doubles(name), FSMDClassifier(**SMALL | {"max_epochs": 1})).fit(X, Y)
    X.drop(columns=name).to_parquet(tmp_path / "rows.parquet")
    with pytest.warns(UserWarning, match="is left out"):
        assert score_file(model, tmp_path / "rows.parquet", tmp_path / "scores.parquet", on_error="skip") == 0
    with pytest.raises(ValueError, match=f"rows.parquet, rows 0 to 59: a step .* raised KeyError: '{name}'"):
        score_file(model, tmp_path / "rows.parquet", tmp_path / "scores.parquet")


class Fails(BaseEstimator):
    """A step that reads a file which is not there when rows are transformed."""

    def fit(self, X, y=None):
        return self

    def fit_transform(self, X, y=None):
        return X

    def transform(self, X):
        raise OSError("no lookup table")


def test_the_message_of_a_missing_column_has_the_remedy(tmp_path):
    X, Y = make_frame(60)
    X.drop(columns="visits").to_parquet(tmp_path / "rows.parquet")
    model = FSMDClassifier(**SMALL | {"max_epochs": 1}).fit(X, Y)
    shown = {**SMALL, "max_epochs": 1, "bias_features": ["visits"]}
    pipeline = make_pipeline(FunctionTransformer(), FSMDClassifier(**shown)).fit(X, Y)
    plain = make_pipeline(FunctionTransformer(), clone(model)).fit(X, Y)
    with pytest.raises(ValueError, match="has no column 'visits'") as raised:
        score_file(plain, tmp_path / "rows.parquet", tmp_path / "scores.parquet")
    assert "bias_features" not in str(raised.value)
    for scored, remedy in ((model, "pass the Pipeline and not its model"), (pipeline, "a column of nulls will do")):
        with pytest.raises(ValueError, match=f"has no column 'visits'.*{remedy}"):
            score_file(scored, tmp_path / "rows.parquet", tmp_path / "scores.parquet")


def test_an_error_of_a_step_is_not_taken_for_one_of_the_sink(tmp_path):
    X, Y = make_frame(60)
    model = make_pipeline(Fails(), FSMDClassifier(**SMALL | {"max_epochs": 1})).fit(X, Y)
    X.to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(ValueError, match=r"rows.parquet, rows 0 to 59: a step .* raised OSError: no lookup table"):
        score_file(model, tmp_path / "rows.parquet", tmp_path / "scores.parquet")


def test_a_model_whose_columns_have_numbers_as_names_is_refused(tmp_path):
    X, Y = make_frame(60)
    numbers = X[["price", "visits"]].set_axis([0, 1], axis=1)
    X.to_parquet(tmp_path / "rows.parquet")
    model = FSMDClassifier(**SMALL | {"max_epochs": 1}).fit(numbers, Y)
    with pytest.raises(ValueError, match="fitted without names of columns, or with names that are no strings"):
        score_file(model, tmp_path / "rows.parquet", tmp_path / "scores.parquet")


def test_a_pipeline_with_only_a_model_needs_no_bias_features(tmp_path):
    X, Y = make_frame(60)
    X["position"] = np.arange(60) % 5
    model = make_pipeline(FSMDClassifier(**SMALL | {"max_epochs": 1}, bias_features=["position"])).fit(X, Y)
    X.drop(columns="position").to_parquet(tmp_path / "rows.parquet")
    assert score_file(model, tmp_path / "rows.parquet", tmp_path / "scores.parquet") == 60


@pytest.mark.parametrize("rows", [5_000, 400_000], ids=["row groups", "one row group"])
def test_memory_does_not_grow_with_the_file(rows, tmp_path):
    path, names = tmp_path / "in.parquet", [f"x{i}" for i in range(10)]
    table = pa.table({name: np.random.default_rng(0).normal(size=400_000) for name in names})
    options = {"data_page_size": 1 << 16, "compression": "none", "use_dictionary": False}
    pq.write_table(table, path, row_group_size=rows, **options)
    del table
    before, peak = pa.total_allocated_bytes(), 0
    with scoring._open(path) as file:
        for _ in scoring._batches(file, 2_000, names, path):
            peak = max(peak, pa.total_allocated_bytes() - before)
    assert peak < path.stat().st_size / 4
