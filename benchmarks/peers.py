"""Predictions and time against LightGBM and two peers on KuaiRand-Pure: ``make peers``.

Trained on 25 April to 3 May 2022, stopped on 4 May, read on 5 and 6 May. LightGBM has a model per task, stopped by
its own callback; the peers' PLE has the sizes of our defaults and is trained epoch by epoch until the mean AUC on 4 May
has not risen for two epochs, of which the best counts. Columns go in as each library wants them: LightGBM takes the
categories, the peers codes by scikit-learn's OrdinalEncoder and scaled numbers. One seed; seconds are those of fitting,
encoding included.
"""

import argparse
import contextlib
import io
import json
import os
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

from benchmarks.paper.data import kuairand
from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.metrics import auc_per_task, mean_auc

RESULTS = Path(__file__).parent / "peers.json"
EMBEDDING_DIM, EXPERT_DIMS, TOWER_DIMS, BATCH, LR, DROPOUT = 16, (256, 128), (64,), 1024, 2e-3, 0.3
PATIENCE, MOST_EPOCHS = 2, 10


def ours(train, valid, test):
    model = FSMDClassifier(random_state=0).fit(*train, X_val=valid[0], Y_val=valid[1])
    return model.predict_marginals(test[0]), "defaults"


def lightgbm(train, valid, test):
    from lightgbm import LGBMClassifier, early_stopping

    (X, Y), (X_val, Y_val), (X_test, _) = train, valid, test
    X_val, X_test = X_val.astype(X.dtypes), X_test.astype(X.dtypes)  # the categories of fit
    columns = []
    for task in Y:
        model = LGBMClassifier(n_estimators=1000, random_state=0, verbose=-1)
        model.fit(X, Y[task], eval_set=[(X_val, Y_val[task])], callbacks=[early_stopping(30, verbose=False)])
        columns.append(model.predict_proba(X_test)[:, 1])
    return np.stack(columns, axis=1), "a model per task, defaults, early stopping"


class Codes:
    """Codes and numbers for the peers: 0 stands for what fit has not seen."""

    def __init__(self, X):
        self.categories = make_column_selector(dtype_exclude="number")(X)
        self.numbers = [name for name in X if name not in self.categories]
        self.encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
        self.scaler = StandardScaler()
        self.means = X[self.numbers].mean()
        self.encoder.fit(X[self.categories].astype(str))
        self.scaler.fit(X[self.numbers].fillna(self.means))
        self.sizes = [len(known) + 1 for known in self.encoder.categories_]

    def inputs(self, X):
        codes = self.encoder.transform(X[self.categories].astype(str)).astype(np.int64) + 1
        numbers = self.scaler.transform(X[self.numbers].fillna(self.means)).astype(np.float32)
        table = dict(zip(self.categories, codes.T, strict=True))
        return table | dict(zip(self.numbers, numbers.T, strict=True))


def by_epochs(fit_epoch, predict, X, Y_val, X_test):
    """Predictions of the epoch that is best on validation."""
    best, predictions, waited = -np.inf, None, 0
    for epoch in range(MOST_EPOCHS):
        fit_epoch()
        score = mean_auc(Y_val, predict(X))
        print(f"    epoch {epoch + 1}: {score:.4f}", flush=True)
        waited = 0 if score > best else waited + 1
        if score > best:
            best, predictions = score, predict(X_test)
        if waited == PATIENCE:
            break
    return predictions, f"PLE, {epoch + 1} epochs"


def deepctr(train, valid, test):
    from deepctr_torch.inputs import DenseFeat, SparseFeat
    from deepctr_torch.models import PLE

    codes, labels = Codes(train[0]), train[1].to_numpy(np.float32)
    X, X_val, X_test = (codes.inputs(part[0]) for part in (train, valid, test))
    columns = [SparseFeat(n, size, EMBEDDING_DIM) for n, size in zip(codes.categories, codes.sizes, strict=True)]
    columns += [DenseFeat(name, 1) for name in codes.numbers]
    model = PLE(
        columns,
        shared_expert_num=2,
        specific_expert_num=2,
        num_levels=1,
        expert_dnn_hidden_units=EXPERT_DIMS,
        gate_dnn_hidden_units=(),
        tower_dnn_hidden_units=TOWER_DIMS,
        dnn_dropout=DROPOUT,
        dnn_use_bn=True,
        device="cpu",
    )
    model.compile("adam", loss=["binary_crossentropy"] * 2)
    silent = contextlib.redirect_stdout(io.StringIO())

    def fit_epoch():
        with silent:
            model.fit(X, labels, BATCH, 1, verbose=0)

    return by_epochs(fit_epoch, lambda X: model.predict(X, 4096), X_val, valid[1], X_test)


def rechub(train, valid, test):
    import torch
    from torch.utils.data import DataLoader
    from torch_rechub.basic.features import DenseFeature, SparseFeature
    from torch_rechub.models.multi_task import PLE
    from torch_rechub.trainers import MTLTrainer
    from torch_rechub.utils.data import PredictDataset, TorchDataset

    codes, labels = Codes(train[0]), train[1].to_numpy(np.float32)
    X, X_val, X_test = (codes.inputs(part[0]) for part in (train, valid, test))
    features = [SparseFeature(n, size, EMBEDDING_DIM) for n, size in zip(codes.categories, codes.sizes, strict=True)]
    features += [DenseFeature(name) for name in codes.numbers]
    layers = {"dropout": DROPOUT, "activation": "relu"}
    types = ["classification"] * 2
    towers = [{"dims": list(TOWER_DIMS), **layers}] * 2
    model = PLE(features, types, 1, 2, 2, {"dims": list(EXPERT_DIMS), **layers}, towers)
    loader = DataLoader(TorchDataset(X, labels), batch_size=BATCH, shuffle=True)
    silent = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with tempfile.TemporaryDirectory() as folder, silent[0], silent[1]:
        trainer = MTLTrainer(model, types, torch.optim.Adam, {"lr": LR, "weight_decay": 0.0}, model_path=folder)

    def fit_epoch():
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            trainer.train_one_epoch(loader)

    def predict(X):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return np.asarray(trainer.predict(model, DataLoader(PredictDataset(X), batch_size=4096)))

    return by_epochs(fit_epoch, predict, X_val, valid[1], X_test)


CONTENDERS = {"sklearn-fsmd": ours, "lightgbm": lightgbm, "deepctr-torch": deepctr, "torch-rechub": rechub}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=CONTENDERS, nargs="*", default=list(CONTENDERS))
    options = parser.parse_args()
    (train, valid, test), _ = kuairand()
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in options.only:
        start = time.perf_counter()
        predictions, how = CONTENDERS[name](train, valid, test)
        seconds = time.perf_counter() - start
        auc = auc_per_task(test[1], predictions)
        rows[name] = {"version": version(name), "how": how, "seconds": round(seconds)}
        rows[name] |= {task: round(float(value), 4) for task, value in zip(test[1], auc, strict=True)}
        print(name, rows[name], flush=True)
        temporary = RESULTS.with_suffix(".tmp")
        temporary.write_text(json.dumps(rows, indent=1) + "\n")
        os.replace(temporary, RESULTS)
    print(pd.DataFrame(rows).T.to_string())


if __name__ == "__main__":
    main()
