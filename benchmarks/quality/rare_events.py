"""How many conversions are enough where events are rare, as in advertising: ``make rare-events``.

Simulated funnels of 20,000 users and 2,000 items, first with 2 clicks in 100 impressions and 3 to 4 conversions in 100
clicks, then with more of both. The models have their defaults, and are also fitted without the regressions that are
averaged with the network, and, with the regressions, without the rule for the score of early stopping. They are tested
on 400,000 further rows, by their labels and, since few of them have a conversion, by the true probabilities.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from benchmarks.paper.store import Store
from benchmarks.quality import measures
from benchmarks.quality.enough_rows import regression
from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel

SETTINGS = [
    {"rows": 30_000, "click_rate": 0.02, "conversion_rate": 0.05},
    {"rows": 100_000, "click_rate": 0.02, "conversion_rate": 0.05},
    {"rows": 300_000, "click_rate": 0.02, "conversion_rate": 0.05},
    {"rows": 300_000, "click_rate": 0.05, "conversion_rate": 0.15},
    {"rows": 300_000, "click_rate": 0.1, "conversion_rate": 0.3},
]
SEEDS = {30_000: 10, 100_000: 10, 300_000: 3}  # seeds differ more with fewer rows
N_NEW = 400_000


def network(**params):
    def predict(X, Y, X_new, seed):
        model = FSMDClassifier(random_state=seed, **params).fit(X, Y)
        return model.predict_marginals(X_new), model.predict_conditionals(X_new)[:, 1]

    return predict


def regressions(X, Y, X_new, seed):
    """A regression per target, and one for the step after a click."""
    clicked = Y["click"] == 1
    fits = [(X, Y["click"]), (X, Y["conversion"]), (X[clicked], Y["conversion"][clicked])]
    click, conversion, after = (regression().fit(*rows).predict_proba(X_new)[:, 1] for rows in fits)
    return np.column_stack([click, conversion]), after


CONTENDERS = {
    "defaults": network(),
    "network alone": network(logistic_regression=False),
    'defaults, validation_metric="mean_auc"': network(validation_metric="mean_auc"),
    "logistic regression": regressions,
}


def true_auc(p_true, score, weights=1.0):
    """The expected AUC of a score if labels are drawn with the probabilities `p_true`."""
    p_true, labels = np.tile(p_true, 2), np.repeat([1, 0], len(p_true))
    weights = np.where(labels, p_true, 1 - p_true) * np.tile(weights * np.ones(len(score)), 2)
    return roc_auc_score(labels, np.tile(score, 2), sample_weight=weights)


def evaluate(new, marginals, after):
    p = new.probabilities.to_numpy()
    step = p[:, 1] / p[:, 0]
    return {
        **measures.of_predictions(new.target, marginals, after),
        "click_true_auc": true_auc(p[:, 0], marginals[:, 0]),
        "conversion_true_auc": true_auc(p[:, 1], marginals[:, 1]),
        "after_true_auc": true_auc(step, after, weights=p[:, 0]),
    }


def parts(n, seed, rates):
    """Training rows, and new rows as a Bunch with the same attributes."""
    funnel = make_funnel(n + N_NEW, n_users=20_000, n_items=2_000, random_state=seed, **rates)
    new = type(funnel)(**{name: funnel[name][n:] for name in ("data", "target", "probabilities")})
    return funnel.data[:n], funnel.target[:n], new


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    store = Store("rare_events", Path(__file__).parent)
    for setting in SETTINGS:
        n, rates = setting["rows"], {name: setting[name] for name in ("click_rate", "conversion_rate")}
        for seed in range(options.seeds or SEEDS[n]):
            keys = {name: {**setting, "seed": seed, "model": name} for name in CONTENDERS}
            missing = [name for name in CONTENDERS if not store.has(keys[name])]
            X, Y, new = parts(n, seed, rates) if missing else (None,) * 3
            for name in missing:
                counts = {"clicks": int(Y["click"].sum()), "conversions": int(Y["conversion"].sum())}
                store.add([{**keys[name], **counts, **evaluate(new, *CONTENDERS[name](X, Y, new.data, seed))}])
                print(
                    pd.DataFrame(store.rows[-1:]).drop(columns=["commit", "versions"]).round(4).to_string(), flush=True
                )
    means = pd.DataFrame(store.rows).groupby([*SETTINGS[0], "model"], sort=False).mean(numeric_only=True)
    print(means.drop(columns="seed").round(4).to_string())


if __name__ == "__main__":
    main()
