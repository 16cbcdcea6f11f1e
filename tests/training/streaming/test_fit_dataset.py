"""`fit_dataset` fits the same estimator as `fit`, whatever the order of the rows in the files."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from skorch.callbacks import Callback

from sklearn_fsmd import FSMDClassifier, MultiTaskClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.encoding.sources import sizes
from tests.conftest import make_frame
from tests.test_checkpoint import assert_same_fit
from tests.training.streaming.conftest import PARAMS, TARGETS, together, write

MORE = PARAMS | {"max_epochs": 5, "patience": 5}


def auc(model, X, Y):
    p = model.predict_marginals(X)
    return np.array([roc_auc_score(Y.iloc[:, k], p[:, k]) for k in range(p.shape[1])])


@pytest.fixture(scope="module")
def funnel():
    """Training and test rows of users with learnable tastes."""
    X, Y = make_frame(6000, seed=1)
    return X[:4000], Y[:4000], X[4000:], Y[4000:]


@pytest.fixture(scope="module")
def in_memory(funnel):
    X, Y, *_ = funnel
    return FSMDClassifier(**MORE).fit(X, Y)


def test_a_file_with_one_row_group_trains_as_well_as_a_table(funnel, in_memory, tmp_path):
    X, Y, new, y_new = funnel
    model = FSMDClassifier(**MORE).fit_dataset(write(tmp_path / "a.parquet", X, Y, rows=4000), TARGETS)
    np.testing.assert_allclose(auc(model, new, y_new), auc(in_memory, new, y_new), atol=0.02)
    assert auc(model, new, y_new).min() > 0.7
    assert vars(model).keys() - {"_split_seed"} == vars(in_memory).keys() - {"_split_seed", "_validating"}
    assert model.history_[0].keys() == in_memory.history_[0].keys()
    assert (model.task_names_, model.n_features_in_) == (in_memory.task_names_, 5)
    assert list(model.feature_names_in_) == list(X)
    path = tmp_path / "model.safetensors"
    model.save(path)
    np.testing.assert_array_equal(FSMDClassifier.load(path).predict_marginals(new), model.predict_marginals(new))
    before = model.predict_marginals(new)
    model.partial_fit(X[:500], Y[:500])
    assert np.abs(model.predict_marginals(new) - before).max() > 1e-4


@pytest.mark.usefixtures("_small_sizes")
@pytest.mark.parametrize("by", ["click", "user", None])
def test_the_order_of_the_file_does_not_matter(by, funnel, in_memory, tmp_path):
    X, Y, new, y_new = funnel
    frame = together(X, Y)
    frame = frame if by is None else frame.sort_values(by, ignore_index=True)
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=50, index=False)
    model = FSMDClassifier(**MORE).fit_dataset(tmp_path / "a.parquet", TARGETS)
    np.testing.assert_allclose(auc(model, new, y_new), auc(in_memory, new, y_new), atol=0.03)
    mean = model.predict_marginals(new).mean(axis=0)
    np.testing.assert_allclose(mean, y_new.mean(), atol=0.05)


def test_sorted_files_train_as_well_as_shuffled_files(tmp_path, monkeypatch):
    """Files are sorted by time, user or label, in 128 row groups. The AUC of two shuffles or seeds differs by 0.001."""
    for name, value in {"BLOCK_ROWS": 1024, "POOL_ROWS": 2048, "OPEN_GROUPS": 32}.items():
        monkeypatch.setattr(sizes, name, value)
    X, Y = make_funnel(24_000, n_users=100, n_items=40, history=True, random_state=0, return_X_y=True)
    random = np.random.RandomState(0).permutation(len(X))
    train, test = np.sort(random[:16_000]), random[16_000:]
    frame, X_test = together(X.iloc[train], Y.iloc[train]), X.iloc[test].drop(columns="time")
    params = {"embedding_dim": 4, "expert_dims": (16,), "tower_dims": (8,), "max_epochs": 4, "batch_size": 256}
    aucs_by = {}
    for by in (None, "time", "user_id", "click"):
        ordered = frame.sample(frac=1, random_state=0) if by is None else frame.sort_values(by, kind="stable")
        ordered.drop(columns=["time", "conversion"]).to_parquet(tmp_path / "a.parquet", row_group_size=125, index=False)
        aucs_by[by] = []
        for seed in range(2):
            model = MultiTaskClassifier(**params, extractor="shared_bottom", random_state=seed, early_stopping=False)
            model.fit_dataset(tmp_path / "a.parquet", ["click"])
            aucs_by[by].append(roc_auc_score(Y["click"].iloc[test], model.predict_marginals(X_test)[:, 0]))
    means = {by: np.mean(aucs) for by, aucs in aucs_by.items()}
    assert means[None] > 0.68
    for by, value in means.items():
        assert value == pytest.approx(means[None], abs=0.003), (by, aucs_by)


@pytest.mark.usefixtures("_small_sizes")
def test_the_same_seed_gives_identical_models(data, tmp_path):
    path = write(tmp_path / "a.parquet", *data)
    random = np.random.RandomState(5)
    models = [
        FSMDClassifier(**PARAMS | {"random_state": seed}).fit_dataset(path, TARGETS) for seed in (0, 0, 1, random)
    ]
    p = [model.predict_marginals(data[0]) for model in models]
    np.testing.assert_array_equal(p[0], p[1])
    assert np.abs(p[0] - p[2]).max() > 1e-3
    assert random.randint(2**31 - 1) != np.random.RandomState(5).randint(2**31 - 1)  # the user's generator advances


@pytest.mark.usefixtures("_small_sizes")
def test_fits_values_lists_vectors_weights_and_missing_labels(tmp_path):
    X, Y = make_funnel(1500, watch_time=True, history=True, lists=True, random_state=0, return_X_y=True)
    X, random = X.drop(columns="time"), np.random.RandomState(0)
    X["picture"] = list(random.normal(size=(1500, 3)).astype(np.float32))
    Y = Y.astype(float)
    Y.loc[Y.index[::7], "conversion"] = np.nan
    frame = together(X, Y).assign(weight=random.choice([0.5, 1, 3], 1500))
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=120, index=False)
    watch = next(name for name in Y if name not in TARGETS)
    parameters = {
        "value_targets": [watch],
        "value_parents": {watch: "click"},
        "n_members": 2,
        "task_weighting": "pcgrad",
    }
    model = FSMDClassifier(**PARAMS | parameters, bias_features=["position"])
    model.fit_dataset(tmp_path / "a.parquet", list(Y), sample_weight="weight")
    assert model.predict_values(X).shape == (1500, 1)
    assert np.isfinite(model.predict_values(X)).all()
    assert model.module_.values.largest.item() == pytest.approx(Y.loc[Y["click"] == 1, watch].max())
    assert len(model._encoder.main.lists) == len(model._encoder.main.vectors) == 1
    assert model._encoder.statistics is not None
    np.testing.assert_array_equal(model.predict_marginals(X), model.predict_marginals(X.drop(columns="position")))


@pytest.mark.usefixtures("_small_sizes")
def test_rows_with_weight_0_are_ignored(data, tmp_path):
    """Half of the rows have the opposite labels, with weight 0."""
    X, Y = data
    wrong = 1 - Y[["click"]]
    frame = pd.concat([together(X, Y[["click"]]).assign(w=2.0), together(X, wrong).assign(w=0.0)], ignore_index=True)
    frame.sample(frac=1, random_state=0).to_parquet(tmp_path / "a.parquet", row_group_size=200, index=False)
    model = MultiTaskClassifier(**MORE).fit_dataset(tmp_path / "a.parquet", "click", sample_weight="w")
    assert roc_auc_score(Y["click"], model.predict_marginals(X)) > 0.7
    assert model.predict_marginals(X).mean() == pytest.approx(Y["click"].mean(), abs=0.05)
    assert model.classes_.tolist() == [0, 1]  # one target gives the classes of a one-dimensional Y


@pytest.mark.usefixtures("_small_sizes")
def test_the_number_of_validation_rows(data, tmp_path, monkeypatch):
    X, Y = data
    path = write(tmp_path / "a.parquet", X, Y)
    later, last = (write(tmp_path / f"{name}.parquet", X[:200], Y[:200]) for name in ("later", "last"))
    n_seen = []
    from sklearn_fsmd.training import Net

    evaluate = Net.evaluate
    monkeypatch.setattr(Net, "evaluate", lambda net, valid: n_seen.append(len(valid)) or evaluate(net, valid))

    def n_valid(validation=None, **params):
        n_seen.clear()
        model = FSMDClassifier(**PARAMS | params).fit_dataset(path, TARGETS, validation=validation)
        return (set(n_seen), model.net_)

    assert n_valid()[0].pop() == pytest.approx(120, abs=35)
    assert n_valid(later)[0] == {200}
    assert n_valid([later, last])[0] == {400}
    assert n_valid(early_stopping=False)[0] == set()
    monkeypatch.setattr(sizes, "VALID_ROWS", 50)
    assert n_valid(later)[0].pop() == pytest.approx(50, abs=25)
    with pytest.raises(ValueError, match="The 'validation_fraction' 0.9999 of 1200 rows leaves 0 rows to train on"):
        FSMDClassifier(**PARAMS, validation="last", validation_fraction=0.9999).fit_dataset(path, TARGETS)


@pytest.mark.parametrize("choice", ["last", "random"])
def test_validation_must_be_files_and_not_the_name_of_a_rule(choice, tmp_path):
    with pytest.raises(
        ValueError, match=rf"leave it out, and set the parameter: FSMDClassifier\(validation='{choice}'"
    ):
        FSMDClassifier(**PARAMS).fit_dataset(tmp_path / "log.parquet", TARGETS, validation=choice)


@pytest.mark.usefixtures("_small_sizes")
def test_the_last_rows_are_for_validation_only(data, tmp_path, monkeypatch):
    """They have the opposite labels: a model trained on them would have a higher AUC."""
    X, Y = data
    Y = Y[["click"]].copy()
    Y.iloc[-120:] = 1 - Y.iloc[-120:]
    path = write(tmp_path / "a.parquet", X, Y)
    model = MultiTaskClassifier(**MORE, validation="last").fit_dataset(path, ["click"])
    assert model.history_[-1]["valid_auc_click"] < 0.45


def test_columns_can_be_chosen_and_unsupported_parameters_are_refused(data, tmp_path):
    X, Y = data
    path = write(tmp_path / "a.parquet", X, Y)
    model = FSMDClassifier(**PARAMS).fit_dataset(path, ["click"], columns=["price", "user"])
    assert list(model.feature_names_in_) == ["price", "user"]
    assert model.predict_marginals(X[["price", "user"]]).shape == (1200, 1)
    with pytest.raises(ValueError, match="pretrain_epochs=1 needs all rows in memory"):
        clone(model).set_params(pretrain_epochs=1).fit_dataset(path, ["click"])
    with pytest.raises(ValueError, match="checkpoint_rows=5 sets when a file is written"):
        clone(model).set_params(checkpoint_rows=5).fit_dataset(path, ["click"])


def test_a_warm_start_in_another_thread_continues_the_fit_it_waited_for(data):
    started, requested, rows = threading.Event(), threading.Event(), together(*data)

    class Wait(Callback):
        def on_train_begin(self, net, **kwargs):
            started.set()
            requested.wait(timeout=0.5)

    def source():
        requested.set()
        return iter([rows])

    model, expected = (MultiTaskClassifier(**PARAMS, warm_start=True, callbacks=[Wait()]) for _ in range(2))
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(model.fit_dataset, lambda: iter([rows]), TARGETS)
        assert started.wait(timeout=60)
        other = pool.submit(model.fit_dataset, source, TARGETS)
        one.result()
        other.result()
    assert_same_fit(model, expected.fit_dataset(source, TARGETS).fit_dataset(source, TARGETS))


def test_a_failed_fit_keeps_the_previous_model(data, tmp_path):
    X, Y = data
    path = write(tmp_path / "a.parquet", X, Y)
    model = FSMDClassifier(**PARAMS).fit_dataset(path, TARGETS)
    before, p = dict(vars(model)), model.predict_marginals(X)
    together(X, Y).assign(price=np.inf).to_parquet(tmp_path / "b.parquet", index=False)
    with pytest.raises(ValueError, match="infinity"):
        model.fit_dataset([path, tmp_path / "b.parquet"], TARGETS)
    assert vars(model) == before
    np.testing.assert_array_equal(model.predict_marginals(X), p)
