"""How the spread of the slopes was chosen: log loss on new rows by how freely validation rows set a slope.

There are a tenth as many validation rows as training rows; they are used for early stopping and for the slopes. The log
loss is measured on rows that had no part in the fit, see ``by_rows.py``. ``make slopes``.
"""

import numpy as np

from benchmarks.quality import by_rows
from sklearn_fsmd.training.level import level_of
from sklearn_fsmd.training.slope import slope_of

SPREADS = (0.0, 0.1, 0.2, 0.3, 0.5, 1000.0)
"""With 0 the slope stays 1; with 1,000 the rows alone set it, within its limits."""
SIZES = (2000, 5000, 20_000, 80_000)


def losses(model, valid, new, is_funnel, spread):
    """Slopes and log losses of both steps; the level is set on the validation rows."""
    results = {}
    for k in range(2):
        logits, labels = [], []
        for X, Y in (valid, new):
            rows = (Y.iloc[:, 0] == 1).to_numpy() if is_funnel and k else np.ones(len(Y), bool)
            z = model._predictor.logits(model._rows(X[rows]), None)[:, k].astype(float)
            logits.append(z / float(model.module_.slopes[k]))  # logits before the fit applied its slope
            labels.append(Y.iloc[:, k].to_numpy(float)[rows])
        (z, z_new), (y, y_new), ones = logits, labels, np.ones(len(labels[0]))
        has_slope = spread > 0 and 0 < y.mean() < 1
        slope = slope_of(z, np.zeros(len(z)), y, ones, spread=spread) if has_slope else 1.0
        level = level_of(slope * z, y.sum(), ones) if 0 < y.mean() < 1 else 0.0
        results[f"slope_{k + 1}"] = slope
        results[f"log_loss_{k + 1}"] = np.logaddexp(0, (1 - 2 * y_new) * (slope * z_new + level)).mean()
    return results


def rows_of(parts, is_funnel, seed):
    train, valid, new = parts
    model = by_rows.model_of(is_funnel, seed).fit(*train, X_val=valid[0], Y_val=valid[1])
    for spread in SPREADS:
        yield {"spread": spread, **losses(model, valid, new, is_funnel, spread)}


if __name__ == "__main__":
    by_rows.run("slopes", __doc__, rows_of, sizes=SIZES, seeds=3, by="spread")
