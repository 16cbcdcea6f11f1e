"""Gain from adding rows to the embedding table for new ids, and how to initialise these rows: ``make growing``.

Simulated days: a third of the users and items is there on the first day, the others appear later. A model is fitted on
the first day and trained further by `partial_fit` each day. It is evaluated on those impressions of the next day whose
user or item is new since the first day.
"""

import argparse
from itertools import pairwise

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.training import growing

N_DAYS, N_ROWS, N_USERS, N_ITEMS = 6, 150_000, 3_000, 600
IDS = ["user_id", "item_id"]
NET = {"embedding_dim": 8, "expert_dims": (64, 32), "tower_dims": (32,), "max_epochs": 5}


def make_days(seed):
    """For each day X, Y, and whether an impression has an id that is new since the first day."""
    random = np.random.RandomState(seed)
    X, Y = make_funnel(N_ROWS, n_users=N_USERS, n_items=N_ITEMS, random_state=seed, return_X_y=True)
    first = np.zeros(len(X), dtype=int)
    for name in IDS:
        ids = X[name].to_numpy()
        values, codes = np.unique(ids, return_inverse=True)
        first_day = np.where(random.uniform(size=len(values)) < 1 / 3, 0, random.randint(1, N_DAYS - 1, len(values)))
        first = np.maximum(first, first_day[codes])
    days = first + (random.uniform(size=len(X)) * (N_DAYS - first)).astype(int)
    return [(X[days == day], Y[days == day], (first > 0)[days == day]) for day in range(N_DAYS)]


def random_rows(std):
    """Initialise new rows at random, as the first fit does."""
    generator = torch.Generator().manual_seed(0)
    return lambda first, n: torch.normal(0.0, std, (n, *first.shape), generator=generator)


def aucs(days, new_categories, start, **params):
    """The AUC of click and of conversion on the new ids of the next day, after each day except the first."""
    model = FSMDClassifier(**NET, **params, new_categories=new_categories)
    model.fit(*days[0][:2])
    before, growing.like_the_first = growing.like_the_first, start
    aucs_by_day = []
    try:
        for (X, Y, _), (X_next, Y_next, is_new) in pairwise(days[1:]):
            model.partial_fit(X, Y)
            p = model.predict_marginals(X_next[is_new])
            aucs_by_day.append([roc_auc_score(Y_next[is_new].iloc[:, k], p[:, k]) for k in range(2)])
    finally:
        growing.like_the_first = before
    return np.array(aucs_by_day)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    ways = {
        "unknown": ("unknown", growing.like_the_first),
        "grow, copy of the unknown row": ("grow", growing.like_the_first),
        "grow, random": ("grow", random_rows(1e-4)),
    }
    for statistics in ("ordered", None):
        results = {name: [] for name in ways}
        for seed in range(options.seeds):
            days = make_days(seed)
            for name, way in ways.items():
                results[name].append(aucs(days, *way, target_statistics=statistics, random_state=seed))
        print(f"target_statistics={statistics!r}: AUC of click and conversion on new ids of the next day, by day")
        for name, by_seed in results.items():
            mean = np.mean(by_seed, axis=0)
            by_day = "  ".join(f"{click:.4f} {conversion:.4f}" for click, conversion in mean)
            print(f"  {name:30} {by_day}   mean {mean.mean(axis=0).round(4)}")


if __name__ == "__main__":
    main()
