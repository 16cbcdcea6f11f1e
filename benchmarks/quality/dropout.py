"""Dropout rates for tables without ids, by the number of rows: ``make dropout``.

Tables without ids that have more than 100,000 training rows; see ``without_ids.py``.
"""

from benchmarks.quality import public, without_ids

RATES = [0.3, 0.1]
SIZES = [50_000, None]


if __name__ == "__main__":
    without_ids.run("dropout", __doc__, "dropout", RATES, ["census", *public.LARGE], SIZES)
