"""Does pretraining on rows without targets help? ``make pretraining``: Census, 2,000 rows with labels, 150,000 without.

Ten seeds, each with its own labelled rows. Fits with and without the unlabelled rows are paired (these rows also extend
vocabularies and bins), and tested on the test half of the published test file, both for the network alone and for its
mean with logistic regressions, the default. With so few rows two fits of one method differ as much as the methods do,
so each result is the mean of three fits. All fits train for a fixed number of epochs:
a fifth of the labelled rows contains only 25 incomes above the threshold, and early stopping on these would add more
noise than any gain. The number of epochs has the best mean AUC *without* pretraining, with seeds below 40, on rows of
the training file that are not used otherwise.
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


def results_of(seed, fit, n_labeled):
    """The results without and with pretraining, of the network alone and of its mean with logistic regressions."""
    X, Y = fetch_census_income(subset="train", return_X_y=True)
    X_test, Y_test = fetch_census_income(subset="test", return_X_y=True)
    order = np.random.RandomState(seed).permutation(len(X))
    labeled, unlabeled = order[:n_labeled], order[n_labeled : n_labeled + N_UNLABELED]
    rows = []
    for regression, pretrained in product((False, True), (False, True)):
        model = FSClassifier(
            random_state=1000 * fit + seed,
            logistic_regression=regression,
            **SETTINGS,
            **(PRETRAIN if pretrained else {}),
        )
        options = {"X_unlabeled": X.iloc[unlabeled]} if pretrained else {}
        model.fit(X.iloc[labeled], Y.iloc[labeled], **options)
        auc = auc_per_task(Y_test, model.predict_marginals(X_test))
        of_fit = {"seed": seed, "fit": fit, "regression": regression, "pretrained": pretrained}
        rows.append({**of_fit, "auc_1": auc[0], "auc_2": auc[1]})
    return rows


def print_gain(what, before, after):
    gains = after - before
    print(
        f"{what}: {before.mean():.4f} -> {after.mean():.4f}, gain {gains.mean():+.4f} ± {gains.std():.4f}, "
        f"{(gains > 0).sum()} of {len(gains)} seeds, paired p = {ttest_rel(after, before).pvalue:.4f}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--fits", type=int, default=N_FITS)
    parser.add_argument("--labeled", type=int, default=N_LABELED)
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    store = Store("pretraining" if options.labeled == N_LABELED else f"pretraining-{options.labeled}", options.folder)
    jobs = product(range(options.first_seed, options.first_seed + options.seeds), range(options.fits))
    for seed, fit in tqdm([job for job in jobs if not store.has(dict(zip(("seed", "fit"), job, strict=True)))]):
        store.add(results_of(seed, fit, options.labeled))
    means = pd.DataFrame(store.rows).groupby(["regression", "pretrained", "seed"])[["auc_1", "auc_2"]].mean()
    for task in ("auc_1", "auc_2"):
        auc = means[task]
        print_gain(f"{task}, pretraining, the network alone", auc[False, False], auc[False, True])
        print_gain(f"{task}, pretraining, with regressions", auc[True, False], auc[True, True])
        print_gain(f"{task}, regressions, without pretraining", auc[False, False], auc[True, False])
        print_gain(f"{task}, regressions, with pretraining", auc[False, True], auc[True, True])


if __name__ == "__main__":
    main()
