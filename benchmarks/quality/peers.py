"""Two other libraries of multi-task networks, with the sizes of our defaults if they can be chosen.

For DeepCTR-Torch two choices were made by the mean AUC on validation rows, with one seed: batch norm or not, and for
ESMM, which consists of towers only, small or large towers. The models of torch-rechub always have batch norm.

Categories are encoded by scikit-learn's OrdinalEncoder and numbers are scaled, since these libraries leave that to the
user. Each model is trained until the mean AUC on validation rows has not risen for two epochs; the best epoch counts.
"""

import contextlib
import copy
import io
import tempfile

import numpy as np
import torch
from sklearn.compose import make_column_selector
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

from sklearn_fsmd.metrics import mean_auc

EMBEDDING_DIM, EXPERT_DIMS, TOWER_DIMS, BATCH, LR, DROPOUT = 16, (256, 128), (64,), 1024, 2e-3, 0.3
PATIENCE, MAX_EPOCHS = 2, 15


class Codes:
    """Encode a table as codes and scaled numbers; code 0 stands for unknown values."""

    def __init__(self, X):
        self.categories = make_column_selector(dtype_exclude="number")(X)
        self.numbers = [name for name in X if name not in self.categories]
        self.encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
        self.means = X[self.numbers].mean()
        self.encoder.fit(X[self.categories].astype(str))
        self.scaler = StandardScaler().fit(X[self.numbers].fillna(self.means))
        self.sizes = [len(values) + 1 for values in self.encoder.categories_]

    def __call__(self, X):
        codes = self.encoder.transform(X[self.categories].astype(str)).astype(np.int64) + 1
        numbers = self.scaler.transform(X[self.numbers].fillna(self.means)).astype(np.float32)
        table = dict(zip(self.categories, codes.T, strict=True))
        return table | dict(zip(self.numbers, numbers.T, strict=True))


def contender(build):
    """A contender from `build`, which returns a network, a function that trains an epoch, and one that predicts."""

    def fit(data, seed):
        torch.manual_seed(seed)
        np.random.seed(seed)
        codes = Codes(data.train.X)
        X_val = codes(data.valid.X)
        with quiet():
            X, labels = codes(data.train.X), data.train.Y.to_numpy(np.float32)
            network, fit_epoch, predict = build(codes, X, labels, seed)
        best, best_weights, waited = -np.inf, None, 0
        for _ in range(MAX_EPOCHS):
            with quiet():
                fit_epoch()
                score = mean_auc(data.valid.Y, predict(X_val))
            waited = 0 if score > best else waited + 1
            if score > best:
                best, best_weights = score, copy.deepcopy(network.state_dict())
            if waited == PATIENCE:
                break
        network.load_state_dict(best_weights)

        def marginals(X):
            with quiet():
                p = predict(codes(X))
            return p, np.minimum(p[:, 1] / p[:, 0].clip(1e-9), 1) if data.is_funnel else None

        return marginals

    return fit


@contextlib.contextmanager
def quiet():
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def deepctr(name, **sizes):
    def build(codes, X, labels, seed):
        from deepctr_torch import models
        from deepctr_torch.inputs import DenseFeat, SparseFeat

        columns = [SparseFeat(n, size, EMBEDDING_DIM) for n, size in zip(codes.categories, codes.sizes, strict=True)]
        columns += [DenseFeat(name, 1) for name in codes.numbers]
        options = {"tower_dnn_hidden_units": TOWER_DIMS, "dnn_dropout": DROPOUT} | sizes
        model = getattr(models, name)(
            columns, **options, device="cpu", seed=seed
        )  # it would set torch's seed to its default otherwise
        model.compile(torch.optim.Adam(model.parameters(), lr=LR), loss=["binary_crossentropy"] * 2)
        return model, lambda: model.fit(X, labels, BATCH, 1, verbose=0), lambda X: model.predict(X, 4096)

    return contender(build)


def rechub(name):
    def build(codes, X, labels, seed):
        from torch.utils.data import DataLoader
        from torch_rechub.basic.features import DenseFeature, SparseFeature
        from torch_rechub.models import multi_task
        from torch_rechub.trainers import MTLTrainer
        from torch_rechub.utils.data import PredictDataset, TorchDataset

        features = [
            SparseFeature(n, size, EMBEDDING_DIM) for n, size in zip(codes.categories, codes.sizes, strict=True)
        ]
        features += [DenseFeature(name) for name in codes.numbers]
        layers = {"dropout": DROPOUT, "activation": "relu"}
        types, experts = ["classification"] * 2, {"dims": list(EXPERT_DIMS), **layers}
        towers = [{"dims": list(TOWER_DIMS), **layers} for _ in types]
        cls = getattr(multi_task, name)
        if name == "PLE":
            model = cls(features, types, 1, 2, 2, experts, towers)
        elif name == "MMOE":
            model = cls(features, types, 8, experts, towers)
        else:  # AITM, whose towers have separate bottoms
            bottom = {"dims": list(EXPERT_DIMS), **layers}
            model = cls(features, 2, bottom, towers)
        loader = DataLoader(TorchDataset(X, labels), batch_size=BATCH, shuffle=True)
        folder = tempfile.mkdtemp()
        trainer = MTLTrainer(model, types, torch.optim.Adam, {"lr": LR, "weight_decay": 0.0}, model_path=folder)

        def predict(X):
            return np.asarray(trainer.predict(model, DataLoader(PredictDataset(X), batch_size=4096)))

        return model, lambda: trainer.train_one_epoch(loader), predict

    return contender(build)


MMOE = {"dnn_use_bn": True, "num_experts": 8, "expert_dnn_hidden_units": EXPERT_DIMS, "gate_dnn_hidden_units": ()}
PLE = {
    "dnn_use_bn": True,
    "shared_expert_num": 2,
    "specific_expert_num": 2,
    "num_levels": 1,
    "expert_dnn_hidden_units": EXPERT_DIMS,
    "gate_dnn_hidden_units": (),
}

CONTENDERS = {
    "DeepCTR-Torch MMOE": deepctr("MMOE", **MMOE),
    "DeepCTR-Torch PLE": deepctr("PLE", **PLE),
    "DeepCTR-Torch ESMM": deepctr("ESMM"),
    "torch-rechub MMOE": rechub("MMOE"),
    "torch-rechub PLE": rechub("PLE"),
    "torch-rechub AITM": rechub("AITM"),
}
FOR_FUNNELS = {"DeepCTR-Torch ESMM"}
"""Contenders that treat the second target as a step after the first."""
