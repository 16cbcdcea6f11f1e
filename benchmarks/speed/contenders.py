"""Who is compared. Each is built once, and then trains (`fit`) or scores (`predict`) as often as it is asked to."""

import contextlib
import io
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.speed import data
from sklearn_fsmd import PLEClassifier
from sklearn_fsmd.network.links import MultiTaskLoss
from sklearn_fsmd.network.multitask_network import Columns, build_network

PLE = {
    "embedding_dim": data.EMBEDDING_DIM,
    "expert_dims": data.EXPERT_DIMS,
    "tower_dims": data.TOWER_DIMS,
    "n_task_experts": data.N_TASK_EXPERTS,
    "n_shared_experts": data.N_SHARED_EXPERTS,
    "n_levels": data.N_LEVELS,
    "dropout": data.DROPOUT,
    "numeric_bins": 0,  # the peers have none
}


class Ours:
    """This library, through fit and predict_proba: encoding, a validation split of 10 % and history included."""

    def __init__(self, batch_size, **params):
        mask = [True] * data.N_CATEGORICAL + [False] * data.N_NUMERIC
        common = {**PLE, "batch_size": batch_size, "lr": 1e-3, "random_state": 0, "categorical_features": mask}
        self.model = PLEClassifier(**{**common, **params})

    def fit(self, codes, numbers, labels, epochs):
        self.model.set_params(max_epochs=epochs, patience=epochs)
        self.model.fit(data.as_array(codes, numbers), labels)

    def predict(self, codes, numbers):
        return np.stack([p[:, 1] for p in self.model.predict_proba(data.as_array(codes, numbers))], axis=1)


class Bare:
    """The floor: the same network in a loop of a few lines, on tensors that are ready, without validation."""

    def __init__(self, batch_size):
        self.batch_size = batch_size
        p = PLEClassifier(**PLE)
        torch.manual_seed(0)
        columns = Columns([data.CARDINALITY + 1] * data.N_CATEGORICAL, data.N_NUMERIC)
        self.net = build_network(p, columns, data.N_TASKS)
        self.loss = MultiTaskLoss(self.net.link, torch.ones(data.N_TASKS))
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=1e-3, fused=True)
        self.offsets = torch.arange(data.N_CATEGORICAL, dtype=torch.int32) * (data.CARDINALITY + 1)

    def fit(self, codes, numbers, labels, epochs):
        self.net.train()
        codes, numbers, labels = (
            torch.from_numpy(codes) + self.offsets,
            torch.from_numpy(numbers),
            torch.from_numpy(labels),
        )
        for _ in range(epochs):
            for rows in torch.randperm(len(codes)).split(self.batch_size):
                self.optimizer.zero_grad()
                self.loss(self.net(codes[rows], numbers[rows]), labels[rows]).backward()
                self.optimizer.step()

    @torch.inference_mode()
    def predict(self, codes, numbers):
        self.net.eval()
        codes, numbers = torch.from_numpy(codes) + self.offsets, torch.from_numpy(numbers)
        chunks = zip(codes.split(1024), numbers.split(1024), strict=True)
        return torch.cat([self.net.link.marginals(self.net(c, x)) for c, x in chunks]).numpy()


class Products:
    """The limit: only the matrix products of the network, one forward and two backward, on data that are ready."""

    def __init__(self, batch_size):
        self.batch_size = batch_size
        n_experts = data.N_TASKS * data.N_TASK_EXPERTS + data.N_SHARED_EXPERTS
        wide, narrow = data.EXPERT_DIMS
        width = data.N_CATEGORICAL * data.EMBEDDING_DIM + data.N_NUMERIC
        experts = [
            (1, width, n_experts * wide),
            (n_experts, wide, narrow),
            (n_experts, narrow, wide),
            (n_experts, wide, narrow),
        ]
        towers = [(data.N_TASKS, narrow, data.TOWER_DIMS[0]), (data.N_TASKS, *data.TOWER_DIMS)]
        self.shapes = experts + towers

    def _tensors(self, n):
        return [(torch.randn(k, n, i), torch.randn(k, i, o), torch.randn(k, n, o)) for k, i, o in self.shapes]

    def fit(self, codes, numbers, labels, epochs):
        tensors = self._tensors(self.batch_size)
        for _ in range(epochs * (len(codes) // self.batch_size)):
            for x, w, g in tensors:
                torch.bmm(x, w)
                torch.bmm(x.transpose(1, 2), g)
                torch.bmm(g, w.transpose(1, 2))

    @torch.inference_mode()
    def predict(self, codes, numbers):
        tensors = self._tensors(1024)
        for _ in range(len(codes) // 1024):
            for x, w, _ in tensors:
                torch.bmm(x, w)


class DeepCTR:
    """DeepCTR-Torch, through compile, fit and predict."""

    def __init__(self, batch_size):
        from deepctr_torch.inputs import DenseFeat, SparseFeat
        from deepctr_torch.models import PLE

        self.batch_size = batch_size
        self.names = [f"c{i}" for i in range(data.N_CATEGORICAL)], [f"x{i}" for i in range(data.N_NUMERIC)]
        columns = [SparseFeat(name, data.CARDINALITY, embedding_dim=data.EMBEDDING_DIM) for name in self.names[0]]
        columns += [DenseFeat(name, 1) for name in self.names[1]]
        self.model = PLE(
            columns,
            shared_expert_num=data.N_SHARED_EXPERTS,
            specific_expert_num=data.N_TASK_EXPERTS,
            num_levels=data.N_LEVELS,
            expert_dnn_hidden_units=data.EXPERT_DIMS,
            gate_dnn_hidden_units=(),
            tower_dnn_hidden_units=data.TOWER_DIMS,
            dnn_dropout=data.DROPOUT,
            dnn_use_bn=True,
            device="cpu",
        )
        self.model.compile("adam", loss=["binary_crossentropy"] * 2, metrics=["auc"])

    def _inputs(self, codes, numbers):
        inputs = {name: codes[:, i] for i, name in enumerate(self.names[0])}
        return inputs | {name: numbers[:, i] for i, name in enumerate(self.names[1])}

    def fit(self, codes, numbers, labels, epochs):
        with contextlib.redirect_stdout(io.StringIO()):
            inputs = self._inputs(codes, numbers)
            self.model.fit(inputs, labels, self.batch_size, epochs, verbose=0, validation_split=0.1)

    def predict(self, codes, numbers):
        return self.model.predict(self._inputs(codes, numbers), 1024)


class Rechub:
    """torch-rechub, through its data generator and trainer. Batch norm is always on in its MLPs."""

    def __init__(self, batch_size):
        from torch_rechub.basic.features import DenseFeature, SparseFeature
        from torch_rechub.models.multi_task import PLE

        self.batch_size = batch_size
        self.names = [f"c{i}" for i in range(data.N_CATEGORICAL)], [f"x{i}" for i in range(data.N_NUMERIC)]
        features = [SparseFeature(name, data.CARDINALITY, embed_dim=data.EMBEDDING_DIM) for name in self.names[0]]
        features += [DenseFeature(name) for name in self.names[1]]
        self.model = PLE(
            features,
            ["classification"] * data.N_TASKS,
            data.N_LEVELS,
            data.N_TASK_EXPERTS,
            data.N_SHARED_EXPERTS,
            {"dims": list(data.EXPERT_DIMS), "dropout": data.DROPOUT, "activation": "relu"},
            [{"dims": list(data.TOWER_DIMS), "dropout": data.DROPOUT, "activation": "relu"}] * data.N_TASKS,
        )

    def _inputs(self, codes, numbers):
        inputs = {name: codes[:, i] for i, name in enumerate(self.names[0])}
        return inputs | {name: numbers[:, i] for i, name in enumerate(self.names[1])}

    def _trainer(self, epochs, folder):
        from torch_rechub.trainers import MTLTrainer

        types = ["classification"] * data.N_TASKS
        return MTLTrainer(self.model, types, torch.optim.Adam, n_epoch=epochs, model_path=folder)

    def fit(self, codes, numbers, labels, epochs):
        from torch_rechub.utils.data import DataGenerator

        n = len(codes) * 9 // 10
        generator = DataGenerator(self._inputs(codes[:n], numbers[:n]), labels[:n])
        loaders = generator.generate_dataloader(
            x_val=self._inputs(codes[n:], numbers[n:]),
            y_val=labels[n:],
            x_test=self._inputs(codes[:1], numbers[:1]),
            y_test=labels[:1],
            batch_size=self.batch_size,
        )
        silent = io.StringIO()
        with (
            tempfile.TemporaryDirectory() as folder,
            contextlib.redirect_stdout(silent),
            contextlib.redirect_stderr(silent),
        ):
            self._trainer(epochs, str(Path(folder))).fit(loaders[0], loaders[1])

    def predict(self, codes, numbers):
        from torch.utils.data import DataLoader
        from torch_rechub.utils.data import PredictDataset

        silent = io.StringIO()
        with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
            loader = DataLoader(PredictDataset(self._inputs(codes, numbers)), batch_size=1024)
            return np.asarray(self._trainer(1, ".").predict(self.model, loader))


CONTENDERS = {
    "sklearn-fsmd": Ours,
    "deepctr-torch": DeepCTR,
    "torch-rechub": Rechub,
    "bare loop": Bare,
    "products": Products,
}
