"""Dask, on two local processes: a search, and scoring."""

import distributed
import numpy as np
import pytest

from tests.cluster.search import assert_same_as_local
from tests.test_examples import main_of

pytestmark = pytest.mark.filterwarnings("default")  # warnings of Dask itself are no errors


def test_a_search_gives_the_same_results_as_a_local_search():
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
    ):
        assert_same_as_local("dask", lambda X, Y: {"scatter": [X, Y]})


def test_a_folder_is_scored_file_by_file():
    first, second, scores, p = main_of("score_a_folder")("dask", 2000)
    assert (first, second) == ([500] * 4, [0, 500, 0, 0])
    np.testing.assert_allclose(scores[["p_click", "p_conversion"]], p, atol=1e-6)
