"""Widths of embeddings, for tables without ids and for one with ids, by the number of rows: ``make widths``.

See ``without_ids.py``.
"""

from benchmarks.quality import public, without_ids

WIDTHS = [16, 32]


if __name__ == "__main__":
    names = ["census", *public.LARGE, *public.SMALL, "kuairand"]
    without_ids.run("widths", __doc__, "embedding_dim", WIDTHS, names)
