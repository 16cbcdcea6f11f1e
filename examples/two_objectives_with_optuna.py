"""Optuna: two objectives at once
===============================

How well can one model predict both clicks and conversions? Optuna maximises both AUCs, and reports the trials that no
other trial beats in both: the Pareto front. It searches over the weights of the two tasks, the extractor and the link.

Optuna prunes trials only if there is one objective; ``search_with_optuna.py`` shows that.

Needs ``pip install optuna matplotlib``.
"""

import warnings
from pathlib import Path

import optuna
import pandas as pd
from optuna.visualization.matplotlib import plot_pareto_front

from sklearn_fsmd import MultiTaskClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.metrics import auc_per_task


def main(n_samples: int = 10_000, n_trials: int = 16, folder: Path = Path("build")) -> pd.DataFrame:
    """Return all trials; the column `is_best` marks those of the Pareto front."""
    X, Y = make_funnel(n_samples, conflict=0.6, random_state=0, return_X_y=True)
    train, valid = slice(None, n_samples * 4 // 5), slice(n_samples * 4 // 5, None)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        share = trial.suggest_float("share_of_conversion", 0.05, 0.95)
        model = MultiTaskClassifier(
            low_order="fm",
            extractor=trial.suggest_categorical("extractor", ["shared_bottom", "mmoe", "ple"]),
            link=trial.suggest_categorical("link", ["independent", "chain"]),
            expert_dims=(64, 32),
            task_weights=[2 * (1 - share), 2 * share],
            max_epochs=5,
            random_state=0,
        ).fit(X[train], Y[train])
        click, conversion = auc_per_task(Y[valid], model.predict_marginals(X[valid]))
        return click, conversion

    study = optuna.create_study(directions=["maximize", "maximize"], sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=n_trials)

    best = {trial.number for trial in study.best_trials}
    trials = study.trials_dataframe(attrs=("number", "params", "values"))
    trials = trials.rename(columns={"values_0": "AUC click", "values_1": "AUC conversion"})
    trials["is_best"] = trials["number"].isin(best)
    print(trials.to_string(float_format="%.4f", index=False))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        ax = plot_pareto_front(study, target_names=["AUC of clicks", "AUC of conversions"])
    folder.mkdir(parents=True, exist_ok=True)
    ax.figure.savefig(folder / "pareto.png", dpi=150, bbox_inches="tight")
    return trials


if __name__ == "__main__":
    main()
