"""Custom extractors in exported files."""

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_fsmd.parameters import EXTRACTORS
from tests.export.files import File
from tests.export.models import check, data, fit


class TwoLayers(nn.Module):
    """A custom extractor that returns the outputs of the tasks as a list."""

    def __init__(self, in_features, n_tasks):
        super().__init__()
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(in_features, 6), nn.GELU()) for _ in range(n_tasks))
        self.norm = nn.BatchNorm1d(6)

    def forward(self, x):
        return [self.norm(layer(x)) for layer in self.layers]


class Branching(nn.Module):
    """An extractor that torch.export cannot trace."""

    def __init__(self, in_features, n_tasks):
        super().__init__()
        self.n_tasks, self.layer = n_tasks, nn.Linear(in_features, 4)

    def forward(self, x):
        y = self.layer(x)
        return (y if y.sum() > 0 else -y).unsqueeze(1).expand(-1, self.n_tasks, -1)


def test_a_custom_extractor_predicts_the_same(tmp_path):
    file = check(fit(extractor=TwoLayers, n_members=2, link="chain"), tmp_path)
    assert np.isfinite(file.run(data()[0])["rank_score"]).all()


def test_a_registered_extractor_with_separate_embeddings(tmp_path):
    class PerTask(nn.Module):
        def __init__(self, in_features, n_tasks):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(in_features, 5) for _ in range(n_tasks))

        def forward(self, x):
            x = x if x.dim() == 3 else x.unsqueeze(1).expand(-1, len(self.layers), -1)
            return torch.stack([layer(x[:, k]).relu() for k, layer in enumerate(self.layers)], dim=1)

    @EXTRACTORS.register("per_task", own_embeddings=True)
    def build(p, in_features, n_tasks):
        return PerTask(in_features, n_tasks)

    try:
        check(fit(extractor="per_task", low_order="fm"), tmp_path)
    finally:
        del EXTRACTORS.parts["per_task"]
        EXTRACTORS.names.remove("per_task")


def test_an_extractor_that_torch_cannot_export_is_refused(tmp_path):
    model = fit(extractor=Branching)
    with pytest.raises(ValueError, match="The 'extractor' Branching cannot be written as ONNX"):
        File(model, tmp_path)
    assert not any(tmp_path.iterdir())


def test_export_under_autocast_has_full_precision(tmp_path):
    model = fit(extractor=TwoLayers)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        file = File(model, tmp_path)
    np.testing.assert_allclose(file.run(data()[0])["marginals"], model.predict_marginals(data()[0]), atol=1e-6)
