"""How the default of `lr` was chosen: AUC and log loss of new rows by the learning rate: ``make learning-rates``.

Fits of so many rows with all other defaults; what is read are rows that had no part in the fit, see ``by_rows.py``.
"""

from benchmarks.quality import by_rows

SIZES = (1000, 3000, 10_000, 30_000)
RATES = (2e-3, 5e-3, 1e-2)


def rows_of(parts, is_funnel, seed):
    train, _, new = parts
    for lr in RATES:
        model = by_rows.model_of(is_funnel, seed, lr=lr).fit(*train)
        yield {"lr": lr, "epochs": len(model.history_), **by_rows.read(model, new, is_funnel)}


if __name__ == "__main__":
    by_rows.run("learning_rates", __doc__, rows_of, sizes=SIZES, seeds=3, by="lr")
