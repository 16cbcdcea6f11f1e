"""How much of a calibration error is chance: ``make calibration``.

If labels are drawn from the predictions themselves, the error is that of a perfectly calibrated model on this number of
rows. The model is trained up to 2 May, calibrated on 3 and 4 May, and tested on 5 and 6 May.
"""

import argparse
import warnings

import numpy as np
import pandas as pd

from benchmarks.quality.data import load
from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.metrics import expected_calibration_error

N_DRAWS = 20


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    table, rows = load("kuairand"), []
    (X, Y), (X_val, Y_val), (X_test, Y_test) = table.train, table.valid, table.tests["test"]
    for seed in range(options.seeds):
        model = FSMDClassifier(random_state=seed).fit(X, Y, X_val=X_val, Y_val=Y_val)
        for when in ("as fitted", "calibrated"):
            if when == "calibrated":
                model.calibrate(X_val, Y_val)
            p, pCVR = model.predict_marginals(X_test), model.predict_conditionals(X_test)[:, 1]
            clicked = (Y_test["click"] == 1).to_numpy()
            targets = {name: (Y_test[name].to_numpy(), p[:, k]) for k, name in enumerate(Y_test)}
            targets["pCVR, clicked rows"] = Y_test["conversion"].to_numpy()[clicked], pCVR[clicked]
            for name, (y, q) in targets.items():
                rows.append(
                    {
                        "model": when,
                        "target": name,
                        "rows": len(y),
                        "ratio": q.mean() / y.mean(),
                        "error": expected_calibration_error(y, q),
                        "by chance": by_chance(q, seed),
                    }
                )
    print(pd.DataFrame(rows).groupby(["model", "target"], sort=False).mean().round(4).to_string())


def by_chance(p, seed):
    """The mean error with labels that are drawn with the probabilities `p`."""
    random = np.random.default_rng(seed)
    return np.mean([expected_calibration_error((random.random(len(p)) < p).astype(int), p) for _ in range(N_DRAWS)])


if __name__ == "__main__":
    main()
