"""A random search that takes hours. Each trial is a row of ``trials.csv``, so a stopped search can continue."""

import json
import time
from pathlib import Path

from sklearn.metrics import roc_auc_score
from sklearn.model_selection import ParameterSampler

from benchmarks.paper.store import Store
from benchmarks.quality.versions import is_current, version_of

FOLDER = Path(__file__).parent
N_TRIALS = 20


def best_settings(fit, space, X_val, y_val, seed, **search):
    """The settings with the best AUC on validation rows, of `N_TRIALS` random draws from `space`.

    `search` has the contender, the data set and the model, which identify the search in ``trials.csv``.
    """
    trials = Store("trials", FOLDER, is_kept=is_current)
    keys = [
        {**search, "seed": seed, "version": version_of(search["contender"]), "settings": json.dumps(settings)}
        for settings in ParameterSampler(space, N_TRIALS, random_state=seed)
    ]
    for key in keys:
        if not trials.has(key):
            start = time.perf_counter()
            model = fit(**json.loads(key["settings"]))
            seconds = time.perf_counter() - start
            trials.add(
                [{**key, "valid_auc": roc_auc_score(y_val, model.predict_proba(X_val)[:, 1]), "seconds": seconds}]
            )
    best = max(map(trials.row, keys), key=lambda row: row["valid_auc"])
    return json.loads(best["settings"])
