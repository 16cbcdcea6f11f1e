"""Three models, one picture
=========================

Train FSMD, Shared-Bottom and single-task models, and compare them::

    python examples/demo.py [--data funnel|kuairand|census]

For the simulated funnel the true probabilities are known, so the error of the predictions is shown. For real data the
calibration error is shown instead.
"""

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_fsmd import FSClassifier, FSMDClassifier, SharedBottomClassifier, SingleTaskClassifier
from sklearn_fsmd.datasets import fetch_census_income, fetch_kuairand_pure, make_funnel
from sklearn_fsmd.metrics import auc_per_task, expected_calibration_error
from sklearn_fsmd.plotting import SeesawDisplay


class Split(NamedTuple):
    X: pd.DataFrame
    Y: pd.DataFrame


class Task(NamedTuple):
    """A data set in three parts, the true probabilities of the test part if they are known, and the models."""

    train: Split
    valid: Split
    test: Split
    truth: pd.DataFrame | None
    models: dict[str, type]


def funnel(n_samples: int | None) -> Task:
    n_samples = n_samples or 60_000
    data = make_funnel(n_samples, conflict=0.5, random_state=0)
    ends = [int(n_samples * share) for share in (0.7, 0.8, 1.0)]
    cuts = [slice(0, ends[0]), slice(ends[0], ends[1]), slice(ends[1], ends[2])]
    return Task(*(Split(data.data[cut], data.target[cut]) for cut in cuts), data.probabilities[cuts[2]], MODELS)


def kuairand(n_samples: int | None) -> Task:
    """Split by time, so that no later rows are trained on."""
    days = [("2022-04-25", "2022-05-02"), ("2022-05-03", "2022-05-04"), ("2022-05-05", "2022-05-06")]
    parts = [fetch_kuairand_pure(start=start, end=end, return_X_y=True) for start, end in days]
    return Task(*(Split(X[:n_samples], Y[:n_samples]) for X, Y in parts), None, MODELS)


def census(n_samples: int | None) -> Task:
    """Marriage is not a step after income: the link is "independent", so FS is used instead of FSMD."""
    parts = [fetch_census_income(subset=subset, return_X_y=True) for subset in ("train", "validation", "test")]
    return Task(*(Split(X[:n_samples], Y[:n_samples]) for X, Y in parts), None, {"FS": FSClassifier, **BASELINES})


BASELINES = {"Shared-Bottom": SharedBottomClassifier, "Single-Task": SingleTaskClassifier}
MODELS = {"FSMD": FSMDClassifier, **BASELINES}
LOADERS = {"funnel": funnel, "kuairand": kuairand, "census": census}


def evaluate(task: Task) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Train the models; return AUC and error of each model and target, and the predictions."""
    rows, predictions = [], {}
    for name, cls in task.models.items():
        start = time.perf_counter()
        model = cls(random_state=0, verbose=1).fit(*task.train, X_val=task.valid.X, Y_val=task.valid.Y)
        p = predictions[name] = model.predict_marginals(task.test.X)
        row = {"model": name, "seconds": time.perf_counter() - start}
        for k, target in enumerate(model.task_names_):
            row[f"AUC {target}"] = auc_per_task(task.test.Y, p)[k]
            if task.truth is not None:
                row[f"RMSE to true P({target})"] = np.sqrt(np.mean((p[:, k] - task.truth.iloc[:, k]) ** 2))
            else:
                row[f"calibration error {target}"] = expected_calibration_error(task.test.Y.iloc[:, k], p[:, k])
        rows.append(row)
    return pd.DataFrame(rows).set_index("model"), predictions


def draw(task: Task, table: pd.DataFrame, predictions: dict[str, np.ndarray], path: Path) -> None:
    """Draw the gain of learning the tasks together on the left, and the calibration on the right."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    targets = list(task.test.Y.columns)
    auc = {name: row.to_numpy() for name, row in table[[f"AUC {target}" for target in targets[:2]]].iterrows()}
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.8), layout="constrained")
    SeesawDisplay.from_scores(auc, baseline=table.index[-1], task_names=targets[:2], ax=left)
    left.set_title("Gain over single-task models")

    reference = "true probability" if task.truth is not None else "observed rate"
    truth = task.truth if task.truth is not None else task.test.Y
    best = table.index[0]
    for k, target in enumerate(targets):
        bins = pd.qcut(predictions[best][:, k], 15, labels=False, duplicates="drop")
        means = pd.DataFrame({"p": predictions[best][:, k], "true": truth.iloc[:, k].to_numpy()}).groupby(bins).mean()
        right.plot(means["p"], means["true"], marker="o", markersize=4, label=target)
    top = max(right.get_xlim()[1], right.get_ylim()[1])
    right.plot([0, top], [0, top], color="grey", linewidth=0.8, zorder=0)
    right.set(
        xlabel="predicted probability (mean of a fifteenth)", ylabel=f"mean {reference}", title=f"{best}: calibration"
    )
    right.legend(frameon=False)
    figure.savefig(path, dpi=120)


def main(data: str = "funnel", n_samples: int | None = None, folder: Path | str = ".") -> pd.DataFrame:
    task = LOADERS[data](n_samples)
    table, predictions = evaluate(task)
    print(table.round(4).T.to_string())
    path = Path(folder) / f"demo-{data}.png"
    draw(task, table, predictions, path)
    print(f"picture: {path}")
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train three models, compare them, and draw one picture.")
    parser.add_argument("--data", choices=LOADERS, default="funnel")
    main(parser.parse_args().data)
