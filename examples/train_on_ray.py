"""Train on a Ray cluster
======================

A worker is killed in the middle of training. Training continues from a checkpoint, and the model is as good as one that
was trained in a single process.

Needs ``pip install 'sklearn-fsmd[ray]' psutil``.
"""

# sphinx_gallery_thumbnail_path = 'stored/train_on_ray_1.png'

import tempfile
import threading
import time
from pathlib import Path

import pandas as pd
import psutil
import ray

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.ray import fit_dataset

TARGETS = ["click", "conversion"]


def write(folder, n_samples):
    """Write a log into files of several row groups; return test rows."""
    X, Y = make_funnel(n_samples + 2000, random_state=0, return_X_y=True)
    table = pd.concat([X, Y], axis=1)[:n_samples]
    for i in range(4):
        part = table[i * n_samples // 4 : (i + 1) * n_samples // 4]
        part.to_parquet(folder / f"part-{i}.parquet", row_group_size=max(n_samples // 16, 1), index=False)
    return X[n_samples:], Y[n_samples:]


def kill_a_worker(checkpoint, killed):
    """Wait for the first checkpoint, and kill one of the training processes."""
    while not checkpoint.exists():
        time.sleep(0.05)
    workers = [p for p in psutil.Process().children(recursive=True) if "RayTrainWorker" in " ".join(p.cmdline())]
    workers[-1].kill()
    killed.append(workers[-1].pid)


def main(n_samples=40_000, **parameters):
    if not ray.is_initialized():
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    model = FSMDClassifier(**{"max_epochs": 6, "random_state": 0} | parameters)
    with tempfile.TemporaryDirectory() as name:
        folder, storage, killed = Path(name), Path(name) / "_storage", []
        X_new, Y_new = write(folder, n_samples)
        alone = model.fit_dataset(folder, TARGETS).score(X_new, Y_new)
        arguments = storage / "fit.checkpoint", killed
        threading.Thread(target=kill_a_worker, args=arguments, daemon=True).start()
        fit_dataset(model, folder, TARGETS, num_workers=2, storage_path=storage)
    table = pd.Series({"one process": alone, "two workers, one killed": model.score(X_new, Y_new)}, name="mean AUC")
    print(table.round(4).to_string(), f"\n{len(killed)} worker was killed; {model.n_iter_} epochs")
    return table, killed


def draw(table):
    ax = table.plot(
        style="o", figsize=(6, 3), xlim=(-0.5, 1.5), ylim=(table.min() - 0.02, table.max() + 0.02), grid=True
    )
    ax.set(xticks=[0, 1], xticklabels=table.index, ylabel="mean AUC")


if __name__ == "__main__":
    draw(main()[0])
