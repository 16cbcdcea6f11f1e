"""Small files, and small sizes of blocks and pools."""

import numpy as np
import pytest

from sklearn_fsmd.encoding.sources import sizes
from tests.conftest import SMALL, make_frame

PARAMS = SMALL | {"max_epochs": 2}
TARGETS = ["click", "conversion"]


@pytest.fixture
def _small_sizes(monkeypatch):
    """With these sizes a file of a thousand rows has several blocks, pools and open row groups."""
    for name, value in {"BLOCK_ROWS": 150, "POOL_ROWS": 300, "OPEN_GROUPS": 3}.items():
        monkeypatch.setattr(sizes, name, value)


def together(X, Y):
    """One table of features and targets, with a default index."""
    return X.assign(**{name: np.asarray(Y[name]) for name in Y}).reset_index(drop=True)


def write(path, X, Y, rows=100):
    """A Parquet file with row groups of this many rows."""
    together(X, Y).to_parquet(path, row_group_size=rows, index=False)
    return path


@pytest.fixture
def data():
    return make_frame(1200)
