"""What four members are worth, by the number of rows: ``make members``.

All else by default. What is read are rows that had no part in the fit, see ``by_rows.py``.
"""

from benchmarks.quality import by_rows

SIZES = (1000, 3000, 10_000)
MEMBERS = (1, 4)


def rows_of(parts, is_funnel, seed):
    train, _, new = parts
    for n_members in MEMBERS:
        model = by_rows.model_of(is_funnel, seed, n_members=n_members).fit(*train)
        yield {"n_members": n_members, "epochs": len(model.history_), **by_rows.read(model, new, is_funnel)}


if __name__ == "__main__":
    by_rows.run("members", __doc__, rows_of, sizes=SIZES, seeds=3, by="n_members")
