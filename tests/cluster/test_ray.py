"""Ray, on one small local cluster: training in which a worker is killed, a search, and scoring."""

import pickle

import numpy as np
import pytest
import ray
from sklearn.base import clone

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.ray import fit_dataset
from tests.cluster.search import assert_same_as_local
from tests.conftest import SMALL, make_frame
from tests.test_examples import main_of
from tests.training.streaming.conftest import TARGETS, write

pytestmark = pytest.mark.filterwarnings("default")  # warnings of Ray itself are no errors


@pytest.fixture(scope="module", autouse=True)
def _cluster():
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 * 2**20)
    yield
    ray.shutdown()


def test_a_fit_whose_worker_was_killed_gives_a_model_as_good():
    # Enough rows that the seed hardly matters: two workers draw other numbers than one process.
    table, killed = main_of("train_on_ray")(20_000, **SMALL | {"max_epochs": 6, "patience": 6})
    assert len(killed) == 1
    assert table.min() > 0.6
    assert table.max() - table.min() < 0.015


def test_a_fitted_estimator_is_fitted_anew_and_trained_further(tmp_path):
    X, Y = make_frame(600)
    random = np.random.RandomState(0)
    model = FSMDClassifier(**SMALL | {"random_state": random}).fit(X[:300], Y[:300])
    local, states = clone(model), [random.get_state()]
    fit_dataset(model, write(tmp_path / "a.parquet", X, Y), TARGETS, storage_path=tmp_path / "storage")
    assert model.net_.module_ is model.module_
    states.append(random.get_state())
    moved = states[0][2] != states[1][2] or not np.array_equal(states[0][1], states[1][1])
    assert moved  # the generator of the user, as in a local fit
    local.fit_dataset(tmp_path / "a.parquet", TARGETS)
    assert states[1][2] == local.random_state.get_state()[2]
    np.testing.assert_array_equal(states[1][1], local.random_state.get_state()[1])
    expected = pickle.loads(pickle.dumps(local)).partial_fit(X, Y).predict_marginals(X)  # Ray returns a pickle
    np.testing.assert_allclose(model.partial_fit(X, Y).predict_marginals(X), expected, atol=1e-5)


def test_errors_that_a_retry_would_not_fix_end_the_fit(tmp_path):
    path = write(tmp_path / "a.parquet", *make_frame(600))
    model = FSMDClassifier(**SMALL)
    with pytest.raises(ValueError, match="`targets` names 'sale', and the columns of .*a.parquet are"):
        fit_dataset(model, path, "sale", storage_path=tmp_path / "storage")
    assert not hasattr(model, "net_")
    with pytest.raises(ValueError, match="The 'checkpoint' parameter must be None"):
        fit_dataset(FSMDClassifier(checkpoint="c"), path, TARGETS, storage_path=tmp_path)
    with pytest.raises(ValueError, match="The 'warm_start' parameter must be False: workers train from the start"):
        fit_dataset(FSMDClassifier(warm_start=True), path, TARGETS, storage_path=tmp_path)
    with pytest.raises(ValueError, match="`columns` names 'rebate', and the columns of .*a.parquet are"):
        fit_dataset(model, path, TARGETS, storage_path=tmp_path / "storage", columns="rebate")
    with pytest.raises(ValueError, match="`storage_path` must be a folder that all machines have mounted"):
        fit_dataset(model, path, TARGETS, storage_path="s3://bucket/fit")


def test_a_search_gives_the_same_results_as_a_local_search():
    from ray.util.joblib import register_ray

    register_ray()
    assert_same_as_local("ray")


def test_a_folder_is_scored_file_by_file():
    first, second, scores, p = main_of("score_a_folder")("ray", 2000)
    assert (first, second) == ([500] * 4, [0, 500, 0, 0])
    np.testing.assert_allclose(scores[["p_click", "p_conversion"]], p, atol=1e-6)
