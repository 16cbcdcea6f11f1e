"""Optuna over files
=================

A hyperparameter search over files that are larger than memory: each trial calls ``fit_dataset``.

Needs ``pip install optuna``.
"""

# sphinx_gallery_thumbnail_path = 'stored/optuna_over_files_1.png'

import tempfile
from pathlib import Path

import optuna
import pandas as pd

from sklearn_fsmd import MultiTaskClassifier
from sklearn_fsmd.datasets import make_funnel

TARGETS = ["click", "conversion"]


def main(n_samples=40_000, n_trials=10, **parameters):
    X, Y = make_funnel(n_samples, random_state=0, return_X_y=True)
    table = pd.concat([X, Y], axis=1)
    with tempfile.TemporaryDirectory() as name:
        train, valid = Path(name) / "train.parquet", Path(name) / "valid.parquet"
        table[: n_samples * 4 // 5].to_parquet(train, row_group_size=5000, index=False)
        table[n_samples * 4 // 5 :].to_parquet(valid, index=False)

        def objective(trial):
            chosen = {
                "lr": trial.suggest_float("lr", 5e-4, 5e-3, log=True),
                "dropout": trial.suggest_float("dropout", 0.0, 0.5),
                "link": trial.suggest_categorical("link", ["chain", "independent"]),
            }
            # `validation` gives all trials the same rows. A model keeps the parameters of the best validation check.
            model = MultiTaskClassifier(**{"max_epochs": 3, "random_state": 0} | parameters | chosen)
            model.fit_dataset(train, TARGETS, validation=valid)
            return max(epoch["valid_auc"] for epoch in model.history_)

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
        study.optimize(objective, n_trials=n_trials)
    print(f"mean AUC {study.best_value:.4f} with {study.best_params}")
    return study


def draw(study):
    """Draw the value of each trial, and the best value so far."""
    from matplotlib import pyplot as plt

    values = pd.Series([trial.value for trial in study.trials])
    _, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    ax.plot(values, "o", label="trial")
    ax.step(values.index, values.cummax(), where="post", label="best so far")
    ax.set(xlabel="trial", ylabel="mean AUC of the validation rows")
    ax.legend()


if __name__ == "__main__":
    draw(main())
