"""Does pretraining on rows without targets help? ``make pretraining``: Census, 2,000 rows with labels, 150,000 without.

Ten seeds, each with its own labelled rows; with and without the other rows in pairs (these also widen vocabularies and
bins), read on the test half of the published test file. All train a fixed number of passes: to stop on a fifth of the
labelled rows is to stop on 25 incomes above the threshold, and the noise of that is larger than any gain. The number
is that at which the mean AUC is best *without* pretraining, on rows of the training file that take no other part,
with seeds below 30.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import ttest_rel
from tqdm.auto import tqdm

from benchmarks.paper.store import Store
from sklearn_fsmd import FSClassifier
from sklearn_fsmd.datasets import fetch_census_income
from sklearn_fsmd.metrics import auc_per_task

N_LABELED, N_UNLABELED = 2_000, 150_000
SETTINGS = {"max_epochs": 4, "early_stopping": False, "n_threads": 1}
PRETRAIN = {"pretrain_epochs": 10}
FIRST_SEED = 30


def pair(seed):
    """The rows of one seed: without and with pretraining."""
    X, Y = fetch_census_income(subset="train", return_X_y=True)
    X_test, Y_test = fetch_census_income(subset="test", return_X_y=True)
    order = np.random.RandomState(seed).permutation(len(X))
    labeled, unlabeled = order[:N_LABELED], order[N_LABELED : N_LABELED + N_UNLABELED]
    rows = []
    for pretrained in (False, True):
        model = FSClassifier(random_state=seed, **SETTINGS, **(PRETRAIN if pretrained else {}))
        options = {"X_unlabeled": X.iloc[unlabeled]} if pretrained else {}
        model.fit(X.iloc[labeled], Y.iloc[labeled], **options)
        auc = auc_per_task(Y_test, model.predict_marginals(X_test))
        rows.append({"seed": seed, "pretrained": pretrained, "auc_1": auc[0], "auc_2": auc[1]})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    store = Store("pretraining", options.folder)
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    for seed in tqdm([seed for seed in seeds if not store.has({"seed": seed})]):
        store.add(pair(seed))
    rows = pd.DataFrame(store.rows).sort_values(["pretrained", "seed"])
    for task in ("auc_1", "auc_2"):
        before, after = (rows.loc[rows["pretrained"] == p, task].to_numpy() for p in (False, True))
        print(
            f"{task}: {before.mean():.4f} -> {after.mean():.4f}, gain {(after - before).mean():+.4f} "
            f"± {(after - before).std(ddof=1):.4f}, paired p = {ttest_rel(after, before).pvalue:.4f}"
        )


if __name__ == "__main__":
    main()
