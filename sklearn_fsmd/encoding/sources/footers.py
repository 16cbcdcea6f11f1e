"""Footers of Parquet files, and whether a column of numbers was a category of pandas when it was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sklearn_fsmd.encoding.sources.files import File
from sklearn_fsmd.encoding.sources.schema import is_untyped


class Footer(NamedTuple):
    """Metadata of a Parquet file.

    Attributes
    ----------
    file, stamp : the file, and a string that changes when its content changes.
    groups : the number of rows of each row group.
    first : the position of its first row in the data set.
    largest : the size in bytes of the largest row group.
    categories : the columns that were categories of pandas when the file was written.
    types : the Arrow type of each column.
    """

    file: File
    stamp: str
    groups: Sequence[int]
    first: int
    largest: int
    categories: Sequence[str]
    types: Mapping[str, Any]

    def open(self) -> Any:
        """Open the file as a ``pyarrow.parquet.ParquetFile``.

        Raises
        ------
        ValueError
            If it has changed in the meantime.
        """
        if self.file.stamp() != self.stamp:
            raise ValueError(f"{self.file.name} has changed while it was being learned from. Fit again.")
        return self.file.open()

    def pandas_metadata(self) -> dict[str, Any]:
        """Return the metadata of pandas on the columns; an empty dict if pandas did not write the file."""
        with self.open() as opened:
            return opened.schema_arrow.pandas_metadata or {}

    def has_values(self, column: str) -> bool:
        """Whether a column has a value in any row."""
        with self.open() as opened, self.file.readable():
            if is_untyped(opened.schema_arrow.field(column).type):
                return False
            values = opened.read([column]).column(0)
        return not values.is_null(nan_is_null=True).to_numpy().all()


class Kinds(NamedTuple):
    """First file in which a column has values and is a category of pandas, and first in which it is not a category."""

    as_category: Footer | None
    as_other: Footer | None


def kinds_of(column: str, footers: Sequence[Footer], *, skips: bool) -> Kinds:
    """Determine whether a column is a category in the files; a file in which it has no values may have any dtype.

    With `skips`, files that cannot be read are ignored.
    """

    def has_values(footer: Footer) -> bool:
        try:
            return footer.has_values(column)
        except (OSError, ValueError):
            if skips:
                return False
            raise

    groups = [[footer for footer in footers if (column in footer.categories) == kind] for kind in (True, False)]
    all_agree = not all(groups)  # then the column need not be read
    return Kinds(*(next((footer for footer in group if all_agree or has_values(footer)), None) for group in groups))
