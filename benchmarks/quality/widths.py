"""Widths of embeddings, for large tables without ids and for one with ids, by the number of rows: ``make widths``.

See ``without_ids.py``.
"""

from benchmarks.quality import public, without_ids

WIDTHS = [16, 32]
SIZES = [100_000, None]


if __name__ == "__main__":
    without_ids.run("widths", __doc__, "embedding_dim", WIDTHS, ["census", *public.LARGE, "kuairand"], SIZES)
