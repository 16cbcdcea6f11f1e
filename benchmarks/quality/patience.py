"""How the default of `patience` was chosen: epochs, and AUC and log loss of new rows: ``make patience``.

Fits of so many rows stop on a tenth as many; what is read are rows that had no part in the fit, as in ``slopes.py``. A
fit that waits less has the same epochs as one that waits longer, as far as it goes. So the longest one says when the
others end, and these are only run where they end before its best epoch.
"""

import argparse
import math
import warnings
from pathlib import Path

import pandas as pd

from benchmarks.paper.store import Store
from benchmarks.quality import measures
from benchmarks.quality.slopes import SIZES, parts
from sklearn_fsmd import FSClassifier, FSMDClassifier

HERE = Path(__file__).parent
LONGEST = 6
PATIENCES = (1, 2, 3)


def ends_after(scores, patience, tol):
    """The epoch after which a fit with these scores, one per epoch, ends."""
    to_beat, waited = -math.inf, 0
    for epoch, score in enumerate(scores, 1):
        to_beat, waited = (score, 0) if score > to_beat + tol else (to_beat, waited + 1)
        if waited == patience:
            return epoch
    return len(scores)


def fitted(train, valid, is_funnel, seed, patience):
    model = (FSMDClassifier if is_funnel else FSClassifier)(random_state=seed, patience=patience)
    return model.fit(*train, X_val=valid[0], Y_val=valid[1])


def read(model, new, is_funnel):
    X, Y = new
    after = model.predict_conditionals(X)[:, 1] if is_funnel else None
    return measures.of_predictions(Y.set_axis(["first", "second"], axis=1), model.predict_marginals(X), after)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="*", default=["funnel", "kuairand", "census"])
    parser.add_argument("--sizes", nargs="*", type=int, default=SIZES)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    store = Store("patience", HERE)
    for n in options.sizes:
        for name in options.data:
            for seed in range(options.seeds):
                key = {"data": name, "rows": n, "seed": seed}
                if store.has(key):
                    continue
                (train, valid, new), is_funnel = parts(name, n, seed)
                longest = fitted(train, valid, is_funnel, seed, LONGEST)
                scores = [epoch["valid_auc"] for epoch in longest.history_]
                rows = [{**key, "patience": LONGEST, "epochs": len(scores), **read(longest, new, is_funnel)}]
                for patience in PATIENCES:
                    end = ends_after(scores, patience, longest.tol)
                    if max(scores[:end]) < max(scores):
                        model = fitted(train, valid, is_funnel, seed, patience)
                        assert len(model.history_) == end
                        rows.append({**key, "patience": patience, "epochs": end, **read(model, new, is_funnel)})
                    else:
                        rows.append({**rows[0], "patience": patience, "epochs": end})
                store.add(rows)
                print(pd.DataFrame(rows).round(4).to_string(index=False), flush=True)
    means = pd.DataFrame(store.rows).groupby(["data", "rows", "patience"]).mean(numeric_only=True)
    print(means.drop(columns="seed").round(4).to_string())


if __name__ == "__main__":
    main()
