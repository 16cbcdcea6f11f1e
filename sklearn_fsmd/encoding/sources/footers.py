"""What a Parquet file says of itself, and whether a column of numbers was a category of pandas when it was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sklearn_fsmd.encoding.sources.files import File
from sklearn_fsmd.encoding.sources.schema import says_nothing


class Footer(NamedTuple):
    """What a file says of itself.

    Attributes
    ----------
    file, stamp : the file, and what changes when it does.
    groups : how many rows each of its row groups has.
    first : the position of its first row in the data set.
    largest : the bytes of the largest row group.
    categories : the columns that were categories of pandas when it was written.
    types : the type of Arrow of each column.
    """

    file: File
    stamp: str
    groups: Sequence[int]
    first: int
    largest: int
    categories: Sequence[str]
    types: Mapping[str, Any]

    def open(self) -> Any:
        """The file as a ``pyarrow.parquet.ParquetFile``.

        Raises
        ------
        ValueError
            If it has changed in the meantime.
        """
        if self.file.stamp() != self.stamp:
            raise ValueError(f"{self.file.name} has changed while it was being learned from. Fit again.")
        return self.file.open()

    def pandas_metadata(self) -> dict[str, Any]:
        """What pandas wrote of the columns; nothing, if it did not write the file."""
        with self.open() as opened:
            return opened.schema_arrow.pandas_metadata or {}

    def has_values(self, column: str) -> bool:
        """Whether a column is there in any row."""
        with self.open() as opened, self.file.readable():
            if says_nothing(opened.schema_arrow.field(column).type):
                return False
            values = opened.read([column]).column(0)
        return not values.is_null(nan_is_null=True).to_numpy().all()


class Kinds(NamedTuple):
    """The first file in which a column has values and is a category of pandas, and the first in which it is none."""

    as_category: Footer | None
    as_other: Footer | None


def kinds_of(column: str, footers: Sequence[Footer], *, skips: bool) -> Kinds:
    """What files say that a column is. One in which all of it is missing may be written with any dtype.

    A file that cannot be read says nothing, if such files are left out, as `skips` says.
    """

    def has_values(footer: Footer) -> bool:
        try:
            return footer.has_values(column)
        except (OSError, ValueError):
            if skips:
                return False
            raise

    of_kind = [[footer for footer in footers if (column in footer.categories) == kind] for kind in (True, False)]
    all_agree = not all(of_kind)  # then nobody needs to read the column
    return Kinds(*(next((one for one in group if all_agree or has_values(one)), None) for group in of_kind))
