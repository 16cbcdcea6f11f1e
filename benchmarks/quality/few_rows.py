"""How long to train without validation rows: AUC and log loss on new rows by the number of epochs: ``make few-rows``.

For comparison: early stopping on a tenth of the rows, and half of the learning rate. The models are tested on rows that
had no part in the fit, see ``by_rows.py``.
"""

from benchmarks.quality import by_rows

SIZES = (100, 300, 900)
EPOCHS, EPOCHS_OF_HALF_RATE = (2, 3, 5, 8, 12, 30), (3, 5, 8)
MODES = (
    {"a tenth set aside": {"early_stopping": True}}
    | {f"{epochs} epochs": {"early_stopping": False, "max_epochs": epochs} for epochs in EPOCHS}
    | {
        f"{epochs} epochs, lr=0.005": {"early_stopping": False, "max_epochs": epochs, "lr": 5e-3}
        for epochs in EPOCHS_OF_HALF_RATE
    }
)


def rows_of(parts, is_funnel, seed):
    train, _, new = parts
    for mode, params in MODES.items():
        model = by_rows.model_of(is_funnel, seed, **params).fit(*train)
        yield {"mode": mode, "steps": int(model.net_.average_.step), **by_rows.evaluate(model, new, is_funnel)}


if __name__ == "__main__":
    by_rows.run("few_rows", __doc__, rows_of, sizes=SIZES, seeds=5, by="mode")
