"""Losses of a chain, and debiasing, on simulated funnels whose true probabilities are known: ``make funnels``.

The funnels have 1 to 30 % conversions after a click, and tastes for clicks and conversions that agree or conflict. The
log shows items at random, or prefers items that are likely to be clicked. Predictions are evaluated over all
impressions, clicked or not, against the true probabilities. The measure is the expected log loss minus that of the
truth, in thousandths of a nat.

Inverse propensity weights give a clicked row the weight 1 / P(click) for the second step. P(click) is clipped from
below at a tenth of its mean. It is the true probability, or comes from three cross-fitted models.
"""

import argparse
import itertools
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import rel_entr
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from benchmarks.paper.store import Store
from benchmarks.quality import data
from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel

HERE = Path(__file__).parent
RATES, CONFLICTS, SELECTION = (0.01, 0.1, 0.3), (-0.6, 0.0, 0.6), (0.0, 1.0)
N_TRAIN, N_TEST = 60_000, 40_000
CUT = 0.1
"""The smallest propensity, as a share of the mean."""


def one_loss(name):
    return lambda X, Y, truth, seed: FSMDClassifier(chain_loss=name, random_state=seed).fit(X, Y)


def true_propensities(X, Y, truth, seed):
    return truth["click"].to_numpy()


def cross_fitted_propensities(X, Y, truth, seed):
    model = FSMDClassifier(random_state=seed)
    return cross_val_predict(model, X, Y, cv=3, method="predict_marginals")[:, 0]


def weighted(propensities):
    """A fit that weights the clicked rows, for the second step, to represent all rows; the mean weight is 1."""

    def fit(X, Y, truth, seed):
        p = propensities(X, Y, truth, seed)
        clicked = Y["click"].to_numpy() == 1
        weights = np.ones(Y.shape)
        weights[:, 1] = 1 / p.clip(CUT * p.mean())
        weights[:, 1] /= weights[clicked, 1].mean()
        return FSMDClassifier(chain_loss="likelihood", random_state=seed).fit(X, Y, sample_weight=weights)

    return fit


VARIANTS = {
    "likelihood": one_loss("likelihood"),
    "entire_space": one_loss("entire_space"),
    "both": one_loss("both"),
    "likelihood, true propensities": weighted(true_propensities),
    "likelihood, cross-fitted propensities": weighted(cross_fitted_propensities),
}


def excess(truth, p):
    """The expected log loss minus that of the true probabilities, in thousandths of a nat."""
    truth, p = truth.to_numpy(), p.astype(np.float64).clip(1e-9, 1 - 1e-9)
    return 1000 * (rel_entr(truth, p) + rel_entr(1 - truth, 1 - p)).mean()


def measure(model, test, truth):
    marginals, after = model.predict_marginals(test.X), model.predict_conditionals(test.X)[:, 1]
    true_step = truth["conversion"] / truth["click"]
    predicted = {"click": marginals[:, 0], "conversion": marginals[:, 1], "conversion_after": after}
    true = {"click": truth["click"], "conversion": truth["conversion"], "conversion_after": true_step}
    figures = {f"{name}_excess": excess(true[name], p) for name, p in predicted.items()}
    clicked = test.Y["click"] == 1
    return figures | {
        "click_auc": roc_auc_score(test.Y["click"], marginals[:, 0]),
        "conversion_auc": roc_auc_score(test.Y["conversion"], marginals[:, 1]),
        "conversion_after_auc": roc_auc_score(test.Y["conversion"][clicked], after[clicked]),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=VARIANTS, nargs="*", default=list(VARIANTS))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    store = Store("funnels", HERE)
    for seed, rate, conflict, selection in itertools.product(range(options.seeds), RATES, CONFLICTS, SELECTION):
        funnel = make_funnel(
            N_TRAIN + N_TEST, conversion_rate=rate, conflict=conflict, selection_bias=selection, random_state=seed
        )
        X, Y, truth = (frame[:N_TRAIN] for frame in (funnel.data, funnel.target, funnel.probabilities))
        test = data.Part(funnel.data[N_TRAIN:], funnel.target[N_TRAIN:])
        for variant in options.only:
            key = {"rate": rate, "conflict": conflict, "selection": selection, "variant": variant, "seed": seed}
            if not store.has(key):
                model = VARIANTS[variant](X, Y, truth, seed)
                store.add([key | measure(model, test, funnel.probabilities[N_TRAIN:])])
    print(report(pd.DataFrame(store.rows)))


def report(frame):
    measures = [name for name in frame if name.endswith(("_excess", "_auc"))]
    means = [frame.groupby([by, "variant"], sort=False)[measures].mean() for by in ("rate", "conflict", "selection")]
    return "\n\n".join(table.round(4).to_string() for table in means)


if __name__ == "__main__":
    main()
