"""How the default of `patience` was chosen: epochs, and AUC and log loss of new rows: ``make patience``.

Fits of so many rows stop on a tenth as many; what is read are rows that had no part in the fit, see ``by_rows.py``. A
fit that waits less has the same epochs as one that waits longer, as far as it goes. So the longest one says when the
others end, and these are only run where they end before its best epoch.
"""

import math

from benchmarks.quality import by_rows

SIZES = (2000, 5000, 20_000, 80_000)
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


def rows_of(parts, is_funnel, seed):
    train, valid, new = parts

    def fitted(patience):
        return by_rows.model_of(is_funnel, seed, patience=patience).fit(*train, X_val=valid[0], Y_val=valid[1])

    longest = fitted(LONGEST)
    scores = [epoch["valid_auc"] for epoch in longest.history_]
    of_longest = {"patience": LONGEST, "epochs": len(scores), **by_rows.read(longest, new, is_funnel)}
    yield of_longest
    for patience in PATIENCES:
        end = ends_after(scores, patience, longest.tol)
        if max(scores[:end]) < max(scores):
            model = fitted(patience)
            assert len(model.history_) == end
            yield {"patience": patience, "epochs": end, **by_rows.read(model, new, is_funnel)}
        else:
            yield {**of_longest, "patience": patience, "epochs": end}


if __name__ == "__main__":
    by_rows.run("patience", __doc__, rows_of, sizes=SIZES, seeds=5, by="patience")
