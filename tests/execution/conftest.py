"""What the tests of the fast way share."""

import pytest

from sklearn_fsmd.execution import products


@pytest.fixture(params=["oneDNN", "torch.mm"])
def way(request, monkeypatch):
    """Products by each of torch's operations, whichever is the faster one here."""
    operation = products.linear_pointwise() if request.param == "oneDNN" else None
    if request.param == "oneDNN" and operation is None:
        pytest.skip("torch has no oneDNN here")
    monkeypatch.setattr(products, "onednn", lambda: operation)
