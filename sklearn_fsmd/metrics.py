"""Metrics of multi-task ranking."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score


def task_auc(labels, scores, weights=None):
    out = []
    for k in range(labels.shape[1]):
        w = None if weights is None else weights[:, k]
        keep = slice(None) if w is None else w > 0
        y = labels[keep, k]
        if y.size == 0 or y.min() == y.max():
            out.append(float("nan"))
        else:
            out.append(float(roc_auc_score(y, scores[keep, k], sample_weight=None if w is None else w[keep])))
    return tuple(out)
