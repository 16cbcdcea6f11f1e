"""Gain from four members, by the number of rows: ``make members``.

All other parameters have their defaults. The models are tested on rows that had no part in the fit, see ``by_rows.py``.
"""

from benchmarks.quality import by_rows

SIZES = (1000, 3000, 10_000)
MEMBERS = (1, 4)


if __name__ == "__main__":
    by_rows.run("members", __doc__, by_rows.by_parameter("n_members", MEMBERS), sizes=SIZES, seeds=3, by="n_members")
