"""Does pretraining on rows without targets help? ``make pretraining``: Census, 2,000 rows with labels, 150,000 without.

Ten seeds, each with its own labelled rows. Fits with and without the unlabelled rows are paired (these rows also extend
vocabularies and bins), and tested on the test half of the published test file. With so few rows two fits of one method
differ as much as the methods do, so each result is the mean of three fits. The fits are of the network alone; with
``--regression`` they are averaged with logistic regressions, as the defaults are with so few rows. All fits train for a
fixed number of epochs: a fifth of the labelled rows contains only 25 incomes above the threshold, and early stopping on
these would add more noise than any gain. The number of epochs has the best mean AUC *without* pretraining, with seeds
below 40, on rows of the training file that are not used otherwise.
"""

import argparse
from itertools import product
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
FIRST_SEED, N_FITS = 40, 3
SETTINGS = {"lr": 2e-3, "max_epochs": 4, "early_stopping": False, "n_threads": 1}
PRETRAIN = {"pretrain_epochs": 10}


def pair(seed, fit, n_labeled, regression):
    """The results of one fit without and one with pretraining."""
    X, Y = fetch_census_income(subset="train", return_X_y=True)
    X_test, Y_test = fetch_census_income(subset="test", return_X_y=True)
    order = np.random.RandomState(seed).permutation(len(X))
    labeled, unlabeled = order[:n_labeled], order[n_labeled : n_labeled + N_UNLABELED]
    rows = []
    for pretrained in (False, True):
        settings = SETTINGS | (PRETRAIN if pretrained else {})
        model = FSClassifier(random_state=1000 * fit + seed, logistic_regression=regression, **settings)
        options = {"X_unlabeled": X.iloc[unlabeled]} if pretrained else {}
        model.fit(X.iloc[labeled], Y.iloc[labeled], **options)
        auc = auc_per_task(Y_test, model.predict_marginals(X_test))
        rows.append({"seed": seed, "fit": fit, "pretrained": pretrained, "auc_1": auc[0], "auc_2": auc[1]})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--fits", type=int, default=N_FITS)
    parser.add_argument("--labeled", type=int, default=N_LABELED)
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    parser.add_argument("--regression", action="store_true", help="average the network with logistic regressions")
    options = parser.parse_args()
    part = "pretraining" if options.labeled == N_LABELED else f"pretraining-{options.labeled}"
    store = Store(f"{part}-regression" if options.regression else part, options.folder)
    jobs = product(range(options.first_seed, options.first_seed + options.seeds), range(options.fits))
    for seed, fit in tqdm([job for job in jobs if not store.has(dict(zip(("seed", "fit"), job, strict=True)))]):
        store.add(pair(seed, fit, options.labeled, options.regression))
    means = pd.DataFrame(store.rows).pivot_table(index="seed", columns="pretrained", values=["auc_1", "auc_2"])
    for task in ("auc_1", "auc_2"):
        without, pretrained = means[task, False], means[task, True]
        gains = pretrained - without
        print(
            f"{task}: {without.mean():.4f} -> {pretrained.mean():.4f}, gain {gains.mean():+.4f} ± {gains.std():.4f}, "
            f"{(gains > 0).sum()} of {len(gains)} seeds, paired p = {ttest_rel(pretrained, without).pvalue:.4f}"
        )


if __name__ == "__main__":
    main()
