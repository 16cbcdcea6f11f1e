"""Measures of predictions: AUC, log loss, level and calibration error."""

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score

from sklearn_fsmd.metrics import expected_calibration_error


def of_target(y, p):
    """AUC, log loss, the mean prediction over the observed rate, and the expected calibration error."""
    return {
        "auc": roc_auc_score(y, p),
        "log_loss": log_loss(y, p.clip(1e-7, 1 - 1e-7)),
        "ratio": p.mean() / y.mean(),
        "ece": expected_calibration_error(y, p),
    }


def of_predictions(Y, marginals, after):
    """The measures of both targets, and of the step `after` the first target on the rows where the first is positive.

    Parameters
    ----------
    Y : DataFrame of two targets.
    marginals : (n, 2)
    after : (n,), P(second | first); None if the targets are no funnel.
    """
    labels = Y.to_numpy()
    figures = {name: of_target(labels[:, k], marginals[:, k].astype(np.float64)) for k, name in enumerate(Y)}
    if after is not None:
        happened = labels[:, 0] == 1
        figures[f"{Y.columns[1]}_after"] = of_target(labels[happened, 1], after[happened].astype(np.float64))
    return {f"{name}_{measure}": value for name, values in figures.items() for measure, value in values.items()}
