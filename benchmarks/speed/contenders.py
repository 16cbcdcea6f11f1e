"""The contenders. Each is built once, and then trains (`fit`) or scores (`predict`) repeatedly.

`trained` is the share of the rows that are training rows; the others are validation rows.
"""

import contextlib
import io
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.speed import data
from benchmarks.speed.isolation import seconds
from sklearn_fsmd import PLEClassifier

PLE = {
    "embedding_dim": data.EMBEDDING_DIM,
    "expert_dims": data.EXPERT_DIMS,
    "tower_dims": data.TOWER_DIMS,
    "n_task_experts": data.N_TASK_EXPERTS,
    "n_shared_experts": data.N_SHARED_EXPERTS,
    "n_levels": data.N_LEVELS,
    "dropout": data.DROPOUT,
    "batch_norm": True,
    "numeric_bins": 0,  # the peers have none
    "target_statistics": None,
}


class Ours:
    """This library, through fit and predict_proba: encoding, a validation split of 10 % and history included."""

    trained = 0.9

    def __init__(self, batch_size, **params):
        mask = [True] * data.N_CATEGORICAL + [False] * data.N_NUMERIC
        common = {**PLE, "batch_size": batch_size, "lr": 1e-3, "random_state": 0, "categorical_features": mask}
        self.model = PLEClassifier(**{**common, **params})

    def fit(self, codes, numbers, labels, epochs):
        self.model.set_params(max_epochs=epochs, patience=epochs)
        self.model.fit(data.as_array(codes, numbers), labels)

    def predict(self, codes, numbers):
        return np.stack([p[:, 1] for p in self.model.predict_proba(data.as_array(codes, numbers))], axis=1)


class Experts(nn.Module):
    """The experts of one level: MLPs of torch's own layers, computed one after the other."""

    def __init__(self, n, width, dims):
        super().__init__()
        self.members = nn.ModuleList(mlp(width, dims) for _ in range(n))

    def forward(self, inputs):
        return torch.stack([member(x) for member, x in zip(self.members, inputs, strict=True)], dim=1)


def mlp(width, dims):
    layers = []
    for n_in, n_out in zip((width, *dims), dims, strict=False):
        layers += [nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), nn.ReLU(), nn.Dropout(data.DROPOUT)]
    return nn.Sequential(*layers)


class PlainPLE(nn.Module):
    """A straightforward version of the network in torch's own layers; it shares no code with this library."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(data.N_CATEGORICAL * data.CARDINALITY, data.EMBEDDING_DIM)
        width = data.N_CATEGORICAL * data.EMBEDDING_DIM + data.N_NUMERIC
        n_groups = data.N_TASKS + 1
        sizes = [data.N_TASK_EXPERTS] * data.N_TASKS + [data.N_SHARED_EXPERTS]
        self.groups = [g for g in range(n_groups) for _ in range(sizes[g])]
        self.levels, self.gates, self.selected = nn.ModuleList(), nn.ModuleList(), []
        for level in range(data.N_LEVELS):
            is_last = level == data.N_LEVELS - 1
            self.levels.append(Experts(len(self.groups), width, data.EXPERT_DIMS))
            selected = [
                [e for e, group in enumerate(self.groups) if g == data.N_TASKS or group in (g, data.N_TASKS)]
                for g in range(data.N_TASKS if is_last else n_groups)
            ]
            self.selected.append(selected)
            self.gates.append(nn.ModuleList(nn.Linear(width, len(experts)) for experts in selected))
            width = data.EXPERT_DIMS[-1]
        self.towers = nn.ModuleList(mlp(width, data.TOWER_DIMS) for _ in range(data.N_TASKS))
        self.outputs = nn.ModuleList(nn.Linear(data.TOWER_DIMS[-1], 1) for _ in range(data.N_TASKS))

    def forward(self, codes, numbers):
        x = torch.cat((self.table(codes).flatten(1), numbers), dim=1)
        states = [x] * (data.N_TASKS + 1)
        for experts, gates, selected in zip(self.levels, self.gates, self.selected, strict=True):
            outs = experts([states[group] for group in self.groups])
            states = [
                (gate(state).softmax(1).unsqueeze(2) * outs[:, chosen]).sum(1)
                for gate, state, chosen in zip(gates, states, selected, strict=False)
            ]
        parts = zip(self.towers, self.outputs, states, strict=False)
        return torch.cat([output(tower(state)) for tower, output, state in parts], dim=1)


class Bare:
    """The same network in plain torch, with a short training loop on prepared tensors, without validation."""

    trained = 1.0

    def __init__(self, batch_size):
        self.batch_size = batch_size
        torch.manual_seed(0)
        self.net = PlainPLE()
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=1e-3, fused=True)
        self.offsets = torch.arange(data.N_CATEGORICAL) * data.CARDINALITY

    def fit(self, codes, numbers, labels, epochs):
        self.net.train()
        codes, numbers = torch.from_numpy(codes) + self.offsets, torch.from_numpy(numbers)
        labels = torch.from_numpy(labels)
        for _ in range(epochs):
            for rows in torch.randperm(len(codes)).split(self.batch_size):
                self.optimizer.zero_grad()
                logits = self.net(codes[rows], numbers[rows])
                nn.functional.binary_cross_entropy_with_logits(logits, labels[rows]).backward()
                self.optimizer.step()

    @torch.inference_mode()
    def predict(self, codes, numbers):
        self.net.eval()
        codes, numbers = torch.from_numpy(codes) + self.offsets, torch.from_numpy(numbers)
        chunks = zip(codes.split(1024), numbers.split(1024), strict=True)
        return torch.cat([self.net(c, x).sigmoid() for c, x in chunks]).numpy()


class Products:
    """The limit: only the matrix products of the network, one forward and two backward, with torch's fastest operation.

    Each product is timed with ``torch.bmm`` and, matrix by matrix, with the oneDNN operation that torch's compiler
    calls. The faster one is used.
    """

    trained = 1.0

    def __init__(self, batch_size):
        self.batch_size = batch_size
        n_experts = data.N_TASKS * data.N_TASK_EXPERTS + data.N_SHARED_EXPERTS
        wide, narrow = data.EXPERT_DIMS
        width = data.N_CATEGORICAL * data.EMBEDDING_DIM + data.N_NUMERIC
        self.shapes = [
            (n_experts, width, wide),
            (n_experts, wide, narrow),
            (n_experts, narrow, wide),
            (n_experts, wide, narrow),
            (data.N_TASKS, narrow, data.TOWER_DIMS[0]),
            (data.N_TASKS, *data.TOWER_DIMS),
        ]
        self.ways = {n: self._fastest(n) for n in {batch_size, 1024}}

    def _tensors(self, n):
        """Yield the factors of the three products of each layer."""
        for k, i, o in self.shapes:
            x, w, g = torch.randn(k, n, i), torch.randn(k, i, o), torch.randn(k, n, o)
            yield (x, w), (x.transpose(1, 2), g), (g, w.transpose(1, 2))

    def _fastest(self, n):
        return [[faster(*pair) for pair in layer] for layer in self._tensors(n)]

    def fit(self, codes, numbers, labels, epochs):
        tensors = list(self._tensors(self.batch_size))
        for _ in range(epochs * (len(codes) // self.batch_size)):
            for layer, ways in zip(tensors, self.ways[self.batch_size], strict=True):
                for pair, way in zip(layer, ways, strict=True):
                    way(*pair)

    @torch.inference_mode()
    def predict(self, codes, numbers):
        tensors = list(self._tensors(1024))
        for _ in range(len(codes) // 1024):
            for layer, ways in zip(tensors, self.ways[1024], strict=True):
                ways[0](*layer[0])


def bmm(a, b):
    return torch.bmm(a, b)


def one_dnn(a, b):
    linear = torch.ops.mkldnn._linear_pointwise
    return [linear(x, y.t(), None, "none", [], "") for x, y in zip(a, b, strict=True)]


def faster(a, b, rounds=5):
    """The operation with the smallest time over some rounds."""
    times = {}
    for way in (bmm, one_dnn):
        way(a, b)
        times[way] = min(seconds(way, a, b) for _ in range(rounds))
    return min(times, key=times.get)


class DeepCTR:
    """DeepCTR-Torch, through compile, fit and predict, without its default L2 penalties."""

    trained = 0.9

    def __init__(self, batch_size, device="cpu"):
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
            l2_reg_linear=0.0,
            l2_reg_embedding=0.0,
            l2_reg_dnn=0.0,
            device=device,
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

    trained = 0.9

    def __init__(self, batch_size, device="cpu"):
        from torch_rechub.basic.features import DenseFeature, SparseFeature
        from torch_rechub.models.multi_task import PLE

        self.batch_size, self.device = batch_size, device
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
        options = {"n_epoch": epochs, "device": self.device, "model_path": folder}
        return MTLTrainer(self.model, types, torch.optim.Adam, **options)

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
