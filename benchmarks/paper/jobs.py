"""The jobs that each part consists of; a job produces rows of a csv file."""

import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import GridSearchCV

from benchmarks import resampling
from benchmarks.paper import data
from benchmarks.paper.settings import (
    ABLATIONS,
    COMMON,
    CONFLICTS,
    MODELS,
    OF_MODEL,
    SKELETON,
    TABLE_1,
    TABLE_2,
    TABLE_3,
    TABLE_4,
    WITH_PARTS,
)
from benchmarks.paper.start import equal_starts
from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.metrics import auc_per_task, cvr_auc, get_scorer

N_PROCESSES = 2
"""Number of parallel fits, each with one thread: on two cores this is faster than one fit with two threads."""
SCORES = ("click_auc", "conversion_auc", "mean_auc", "cvr_auc")


@dataclass(frozen=True)
class Fit:
    """Fit one model with one seed, and evaluate it on the test rows. `name` is the name of the model in the results."""

    part: str
    data: str
    name: str
    model: str
    params: tuple
    seed: int
    conflict: float | None = None

    def key(self):
        return {"model": self.name, "seed": self.seed} | ({} if self.conflict is None else {"conflict": self.conflict})

    def run(self, quick, folder):
        (train, valid, test), truth = data.load(self.data, self.conflict, quick)
        start = time.perf_counter()
        cls = MODELS[self.model]
        params = {name: value for name, value in self.params if name in cls().get_params()}
        model = cls(**_limits(quick), **params, random_state=self.seed, n_threads=1)
        with equal_starts(self.seed):
            model.fit(*train, X_val=valid[0], Y_val=valid[1])
        row = {**self.key(), "seconds": round(time.perf_counter() - start, 1), "epochs": model.n_iter_}
        row["best_epoch"] = max(epoch["epoch"] for epoch in model.history_ if epoch["valid_best"])
        P = model.predict_marginals(test[0])
        if self.conflict is None:
            resampling.keep(folder, (self.part, self.name, self.seed), P, None)
        for k, auc in enumerate(auc_per_task(test[1], P)):
            row[f"auc_{k + 1}"] = auc
        row["mean_auc"] = np.mean([row["auc_1"], row["auc_2"]])
        if self.data != "census":  # its targets are no funnel
            row["cvr_auc"] = cvr_auc(test[1], P)
        if truth is not None:
            for k, error in enumerate(np.sqrt(((P - truth) ** 2).mean(axis=0))):
                row[f"rmse_{k + 1}"] = error
        return [row]


@dataclass(frozen=True)
class Ablation:
    """Run the grid search of a figure with one seed."""

    figure: str
    seed: int

    def key(self):
        return {"param_random_state": self.seed}

    def run(self, quick, folder):
        parts, _ = data.load("kuairand", quick=quick)
        X, Y, folds = data.joined(parts)
        grid = [{**points, "random_state": [self.seed]} for points in ABLATIONS[self.figure]]
        search = GridSearchCV(
            FSMDClassifier(**SKELETON, **_limits(quick), n_threads=1),
            grid,
            scoring={name: get_scorer(name) for name in SCORES},
            cv=folds,
            refit=False,
            error_score="raise",
            n_jobs=N_PROCESSES,
        ).fit(X, Y, X_val=parts[1][0], Y_val=parts[1][1])
        results = pd.DataFrame(search.cv_results_)
        wanted = [c for c in results if c.startswith("param_") or c in {f"mean_test_{name}" for name in SCORES}]
        return results[[*wanted, "mean_fit_time"]].to_dict("records")


def _limits(quick):
    return {**COMMON, "max_epochs": 1} if quick else COMMON


def jobs_of(part, seeds):
    """The jobs of a part for these seeds, seed by seed, so that a run that is stopped has complete seeds."""
    if part in ABLATIONS:
        return [Ablation(part, seed) for seed in seeds]
    if part == "funnel":
        return [
            Fit(part, "funnel", name, name, _as_in_paper(name, TABLE_3), seed, conflict)
            for seed in seeds
            for conflict in CONFLICTS
            for name in TABLE_4
        ]
    table, _, variant = part.partition("-")
    source, names, settings = {"table2": ("census", TABLE_2, TABLE_1), "table4": ("kuairand", TABLE_4, TABLE_3)}[table]
    if variant == "defaults":
        return [Fit(part, source, name, name, (), seed) for seed in seeds for name in names]
    fits = {name: (name, _as_in_paper(name, settings)) for name in names}
    fits |= {name: (of, _as_in_paper(of, {**settings, **more})) for name, (of, more) in WITH_PARTS[part].items()}
    return [Fit(part, source, name, of, params, seed) for seed in seeds for name, (of, params) in fits.items()]


def _as_in_paper(model, settings):
    return tuple({**settings, **OF_MODEL.get(model, {})}.items())


PARTS = {
    "table4": 5,
    "figure11": 5,
    "figure12": 5,
    "figure13": 5,
    "funnel": 5,
    "table2": 5,
    "table4-defaults": 5,
    "table2-defaults": 5,
}
"""Number of seeds by part. Figure 10 is drawn from table4."""
