"""How the default of `lr` was chosen: AUC and log loss on new rows by the learning rate: ``make learning-rates``.

All other parameters have their defaults. The models are tested on rows that had no part in the fit, see ``by_rows.py``.
"""

from benchmarks.quality import by_rows

SIZES = (1000, 3000, 10_000, 30_000)
RATES = (2e-3, 5e-3, 1e-2)


if __name__ == "__main__":
    by_rows.run("learning_rates", __doc__, by_rows.by_parameter("lr", RATES), sizes=SIZES, seeds=3, by="lr")
