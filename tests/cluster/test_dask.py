"""Dask, on two local processes: a search, and scoring."""

import distributed
import numpy as np
import pytest

from tests.cluster.search import assert_the_same_as_alone
from tests.test_examples import main_of

pytestmark = pytest.mark.filterwarnings("default")  # Dask's own are not ours


def test_a_search_finds_what_it_finds_alone():
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
    ):
        assert_the_same_as_alone("dask", lambda X, Y: {"scatter": [X, Y]})


def test_a_folder_is_scored_file_by_file():
    first, again, scores, p = main_of("score_a_folder")("dask", 2000)
    assert (first, again) == ([500] * 4, [0, 500, 0, 0])
    np.testing.assert_allclose(scores[["p_click", "p_conversion"]], p, atol=1e-6)
