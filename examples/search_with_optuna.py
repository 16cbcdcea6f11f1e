"""Optuna: a search that prunes
=============================

Optuna proposes parameters, monitors the AUC of the validation rows after each epoch, and stops trials that fall behind
earlier ones. A model with the best parameters is fitted again and evaluated once, on the test rows. The picture shows
each trial and the best one so far.

Needs ``pip install optuna optuna-integration matplotlib``.
"""

import warnings

import optuna
import pandas as pd
from optuna.visualization.matplotlib import plot_optimization_history
from optuna_integration.skorch import SkorchPruningCallback

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel


def main(n_samples: int = 10_000, n_trials: int = 12) -> tuple[pd.DataFrame, float]:
    """Return all trials, and the mean test AUC of the best one."""
    X, Y = make_funnel(n_samples, random_state=0, return_X_y=True)
    ends = [int(n_samples * share) for share in (0.6, 0.8, 1.0)]
    train, valid, test = (slice(start, end) for start, end in zip([0, *ends], ends, strict=False))

    def fit(params, *callbacks):
        model = FSMDClassifier(**params, expert_dims=(64, 32), max_epochs=10, callbacks=list(callbacks), random_state=0)
        return model.fit(X[train], Y[train], X_val=X[valid], Y_val=Y[valid])

    def objective(trial: optuna.Trial) -> float:
        params = {
            "lr": trial.suggest_float("lr", 1e-4, 1e-1, log=True),
            "dropout": trial.suggest_float("dropout", 0.0, 0.6),
            "embedding_dim": trial.suggest_categorical("embedding_dim", [4, 8, 16]),
            "n_shared_experts": trial.suggest_int("n_shared_experts", 1, 3),
        }
        model = fit(params, SkorchPruningCallback(trial, "valid_auc"))
        return max(epoch["valid_auc"] for epoch in model.history_)

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
    )
    study.optimize(objective, n_trials=n_trials)
    auc = fit(study.best_params).score(X[test], Y[test])
    trials = study.trials_dataframe(attrs=("params", "value", "state"))
    print(trials.sort_values("value", ascending=False).to_string(float_format="%.4f"))
    print(f"best parameters {study.best_params}, mean test AUC {auc:.4f}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        plot_optimization_history(study, target_name="AUC of the validation rows")
    return trials, auc


if __name__ == "__main__":
    main()
