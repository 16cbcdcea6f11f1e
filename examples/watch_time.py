"""Watch time, lists and a history
===============================

Predict how long users will watch, from what they watched before.

A log of 30 days contains clicks, conversions, the seconds that were watched after a click, and the last items that each
user clicked. A grid search compares ways to pool that list, and keys of the history features. It trains on 25 days and
evaluates on the last five. The best model then ranks by expected seconds.
"""

# sphinx_gallery_thumbnail_path = 'stored/watch_time_1.png'

import numpy as np
import pandas as pd
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.compose import ask
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.history import HistoryFeatures
from sklearn_fsmd.metrics import get_scorer

SCORERS = ("mean_auc", "watch_seconds_concordance")


def main(n_samples: int = 40_000) -> tuple[pd.DataFrame, pd.DataFrame]:
    X, Y = make_funnel(n_samples, history=True, lists=True, watch_time=True, random_state=0, return_X_y=True)
    day = (X["time"] - X["time"].min().normalize()).dt.days
    fold = [(np.flatnonzero(day < 25), np.flatnonzero(day >= 25))]

    history = HistoryFeatures(
        keys=["user_id", "item_id"],
        delay="5D",  # the time span that is scored at once
        drop=["time"],
        value_targets=["watch_seconds"],
    )
    model = FSMDClassifier(
        value_targets=["watch_seconds"],
        value_parents={"watch_seconds": "click"},
        shared_embeddings={"last_items": "item_id"},
        target_statistics=None,  # the history has the same information
        validation="last",
        random_state=0,
    )
    grid = {"history__keys": [["user_id"], ["user_id", "item_id"]], "model__list_pooling": ["mean", "attention"]}
    search = GridSearchCV(
        Pipeline([("history", history), ("model", model)]),
        grid,
        scoring={name: get_scorer(name) for name in SCORERS},
        refit="mean_auc",
        cv=fold,
    ).fit(X, Y)
    table = pd.DataFrame(search.cv_results_["params"]).assign(
        **{name: search.cv_results_[f"mean_test_{name}"] for name in SCORERS}
    )

    latest = X.tail(10)
    shown = latest[["user_id", "item_id"]].assign(
        click=ask(search, "predict_marginals", latest)[:, 0],
        seconds_if_clicked=ask(search, "predict_values", latest, conditional=True)[:, 0],
        expected_seconds=ask(search, "predict_values", latest)[:, 0],
    )
    return table, shown.sort_values("expected_seconds", ascending=False)


def draw(ablation: pd.DataFrame) -> None:
    rows = ablation["history__keys"].map(", ".join) + "\n" + ablation["model__list_pooling"]
    ax = ablation.set_index(rows)[list(SCORERS)].plot.bar(figsize=(7, 4.5), rot=0, ylim=(0.5, None))
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    ax.set(xlabel="keys of the history, and how the list is read", ylabel="on the last five days")


if __name__ == "__main__":
    ablation, ranking = main()
    print(ablation.round(4).to_string(index=False))
    print(ranking.round(3).to_string(index=False))
    draw(ablation)
