"""How the default of `patience` was chosen: epochs, and AUC and log loss on new rows: ``make patience``.

There are a tenth as many validation rows as training rows. The models are tested on rows that had no part in the fit,
see ``by_rows.py``. Fits with different patience have the same epochs until the first one stops. So the scores of the
longest fit show when the others stop, and these are run only if they stop before its best epoch.
"""

import math

from benchmarks.quality import by_rows

SIZES = (2000, 5000, 20_000, 80_000)
LONGEST = 6
PATIENCES = (1, 2, 3)


def ends_after(scores, patience, tol):
    """The epoch after which a fit with these scores, one per epoch, stops."""
    to_beat, waited = -math.inf, 0
    for epoch, score in enumerate(scores, 1):
        to_beat, waited = (score, 0) if score > to_beat + tol else (to_beat, waited + 1)
        if waited == patience:
            return epoch
    return len(scores)


def rows_of(parts, is_funnel, seed):
    train, valid, new = parts

    def fitted(patience):
        return by_rows.model_of(is_funnel, seed, patience=patience).fit(*train, X_val=valid[0], Y_val=valid[1])

    longest = fitted(LONGEST)
    scores = [epoch["valid_auc"] for epoch in longest.history_]
    row = {"patience": LONGEST, "epochs": len(scores), **by_rows.evaluate(longest, new, is_funnel)}
    yield row
    for patience in PATIENCES:
        end = ends_after(scores, patience, longest.tol)
        if max(scores[:end]) < max(scores):
            model = fitted(patience)
            assert len(model.history_) == end
            yield {"patience": patience, "epochs": end, **by_rows.evaluate(model, new, is_funnel)}
        else:
            yield {**row, "patience": patience, "epochs": end}


if __name__ == "__main__":
    by_rows.run("patience", __doc__, rows_of, sizes=SIZES, seeds=5, by="patience")
