"""The events of a log in files as a table of DuckDB: when, of whom, and what each adds to the sums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding import TargetEncoder, events_of, factorize, warn_of_contradictions
from sklearn_fsmd.encoding.sources import Database, ParquetSource
from sklearn_fsmd.history.times import moments


class Events(Database):
    """A table ``log``: the place of a row, its time, the values of the columns of keys, and the amounts.

    ===============  ==========================================================================
    row              from 0 on
    t                nanoseconds since 1970
    k0, k1, …        the value of each of `columns` in its canonical form; NULL where it is missing
    tried0, yes0, …  for each of :func:`events_of` whether it could be seen, and whether it came true
    ===============  ==========================================================================

    Parameters
    ----------
    time, unit : the column that says when, and in what its numbers count.
    columns : the columns that keys consist of.
    targets, parents : the columns of labels, and what each depends on.
    n_threads, memory : see :class:`Database`.

    Attributes
    ----------
    span : the first and the last time.
    """

    more_memory = "Give it more by `memory`, or take a smaller `n_threads`. "

    def __init__(
        self,
        time: str,
        unit: str | None,
        columns: Sequence[str],
        targets: Sequence[str],
        parents: Sequence[int | None],
        n_threads: int | None,
        memory: str | None,
    ) -> None:
        super().__init__("The events of the log are summed up", n_threads, memory)
        self.time, self.unit, self.columns = time, unit, list(columns)
        self.targets, self.parents = list(targets), parents
        self.span = (0, 0)

    def take(self, log: ParquetSource) -> None:
        """Read the log into the table.

        Raises
        ------
        TypeError, ValueError
            If a time is missing or none, a label is not 0, 1 or missing, or a key holds what is no category.
        """
        import pyarrow as pa

        kinds = [stored_as(log.types[name]) for name in self.columns]
        labels = TargetEncoder().fit(pd.DataFrame({name: [0, 1] for name in self.targets}))
        n_odd: dict[int, int] = {}
        spans = []
        self.execute(f"CREATE TABLE log ({', '.join(self._fields(kinds))})")
        for block in log.blocks(list(dict.fromkeys([self.time, *self.columns, *self.targets]))):
            with block.named():
                times, _ = moments(block.frame[self.time], self.unit)
                targets, odd = labels.encode_part(block.frame[self.targets], None, self.parents)
                keys = [values_of(block.frame[name], kind) for name, kind in zip(self.columns, kinds, strict=True)]
            amounts = [amount.astype(np.uint8) for pair in targets.outcomes(events_of(self.parents)) for amount in pair]
            arrays = [pa.array(block.positions), pa.array(times), *keys, *map(pa.array, amounts)]
            self._append(pa.Table.from_arrays(arrays, names=[str(i) for i in range(len(arrays))]))
            spans.append((times.min(), times.max()))
            n_odd = {k: n_odd.get(k, 0) + odd.get(k, 0) for k in {*n_odd, *odd}}
        warn_of_contradictions(n_odd, log.n_rows, self.targets, self.parents)
        self.span = int(min(first for first, _ in spans)), int(max(last for _, last in spans))

    @contextmanager
    def answers(self, query: str) -> Iterator[Iterator[Any]]:
        """The rows that a query gives, as batches of Arrow: by way of a file, which needs no memory for all of them."""
        from pyarrow.parquet import ParquetFile

        path = Path(self.folder) / "answers.parquet"
        quoted = str(path).replace("'", "''")
        self.execute(f"COPY ({query}) TO '{quoted}' (FORMAT parquet)")
        with ParquetFile(path) as file:
            yield file.iter_batches()

    def _fields(self, kinds: Sequence[str]) -> list[str]:
        keys = [f"k{i} {kind}" for i, kind in enumerate(kinds)]
        amounts = [f"{what}{j} UTINYINT" for j in range(len(events_of(self.parents))) for what in ("tried", "yes")]
        return ["row BIGINT", "t BIGINT", *keys, *amounts]

    def _append(self, rows: Any) -> None:
        with self.working() as connection:
            connection.register("block", rows)
            connection.execute("INSERT INTO log SELECT * FROM block")
            connection.unregister("block")


def stored_as(kind: Any) -> str:
    """The type of SQL for the canonical forms of a column of this type of Arrow."""
    import pyarrow.types as types

    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_integer(kind) or types.is_boolean(kind):
        return "BIGINT"
    if types.is_decimal(kind) and kind.scale <= 0:
        return "BIGINT"
    if types.is_floating(kind) or types.is_decimal(kind):
        return "DOUBLE"
    all_bytes = types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_binary_view
    is_bytes = any(is_such(kind) for is_such in all_bytes)
    return "BLOB" if is_bytes else "VARCHAR"


def values_of(column: pd.Series, kind: str) -> Any:
    """The canonical forms of a column as an array of Arrow, of the type that SQL calls `kind`."""
    import pyarrow as pa

    arrow = {"BIGINT": pa.int64(), "DOUBLE": pa.float64(), "BLOB": pa.binary(), "VARCHAR": pa.string()}[kind]
    positions, forms, _ = factorize(column, str(column.name))
    try:
        distinct = pa.array(forms if len(forms) else [], type=None if len(forms) else arrow).cast(arrow)
    except pa.ArrowInvalid as error:
        raise ValueError(
            f"Column {column.name!r} holds whole numbers beyond 2**53 here and floats in another file, or is a decimal "
            "with fractions, beside which they are not exact. Write the ids of all files as integers (Int64 where some "
            "are missing) or strings."
        ) from error
    return distinct.take(pa.array(positions, mask=positions < 0))
