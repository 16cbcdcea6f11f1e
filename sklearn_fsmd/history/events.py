"""The events of a log in files as a DuckDB table: their times, keys and what each adds to the sums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.columns import factorize
from sklearn_fsmd.encoding.sources import Database, ParquetSource, open_parquet
from sklearn_fsmd.encoding.targets import TargetEncoder, events_of, warn_of_contradictions
from sklearn_fsmd.history.times import NO_EVENT, timestamps


class EventTable(Database):
    """A table ``log`` with one row per event.

    =======================  ============================================================================
    row                      position in the log, from 0
    t                        nanoseconds since 1970
    k0, k1, …                the value of each of `columns` in its canonical form; NULL if it is missing
    trials0, positives0, …   for each of :func:`events_of`, whether it is counted and whether it happened
    =======================  ============================================================================

    Parameters
    ----------
    time, unit : the column of times, and its unit if it holds numbers.
    columns : the columns of the keys.
    targets, parents : the columns of labels, and the parent of each.
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

    def load(self, log: ParquetSource) -> None:
        """Read the log into the table.

        Raises
        ------
        TypeError, ValueError
            If a time is missing or invalid, a label is not 0, 1 or missing, a target has no label at all, or a key does
            not hold categories.
        """
        import pyarrow as pa

        sql_types = [sql_type(log.types[name]) for name in self.columns]
        label_encoder = TargetEncoder().fit(pd.DataFrame({name: [0, 1] for name in self.targets}))
        n_happened = np.zeros((2, len(self.targets)), dtype=np.int64)
        without_label = list(self.targets)
        spans = []
        self.execute(f"CREATE TABLE log ({', '.join(self._fields(sql_types))})")
        for block in log.blocks(list(dict.fromkeys([self.time, *self.columns, *self.targets]))):
            with block.named():
                times, _ = timestamps(block.frame[self.time], self.unit)
                targets, n_in_block = label_encoder.encode_part(block.frame[self.targets], None, self.parents)
                without_label = [
                    name for name in without_label if pd.isna(block.frame[name].to_numpy(dtype=object)).all()
                ]
                keys = [
                    canonical_array(block.frame[name], kind) for name, kind in zip(self.columns, sql_types, strict=True)
                ]
            amounts = [amount.astype(np.uint8) for pair in targets.outcomes(events_of(self.parents)) for amount in pair]
            arrays = [pa.array(block.positions), pa.array(times), *keys, *map(pa.array, amounts)]
            self._append(pa.Table.from_arrays(arrays, names=[str(i) for i in range(len(arrays))]))
            spans.append((times.min(), times.max()))
            n_happened += n_in_block
        if without_label:
            raise ValueError(f"Target {without_label[0]!r} has no observed label in the files, so it has no rates.")
        warn_of_contradictions(n_happened, self.targets, self.parents)
        self.span = int(min(first for first, _ in spans)), int(max(last for _, last in spans))

    def last_labels(self) -> tuple[list[int], list[int]]:
        """As :meth:`EventLog.last_labels`, for the events of the table."""
        outcomes, known, possible = events_of(self.parents), [], []
        for k, parent in enumerate(self.parents):
            last = (None, None)
            if parent is not None:
                has_label, has_happened = (
                    f"max(t) FILTER ({what}{outcomes.index(outcome)} = 1)"
                    for what, outcome in (("trials", (k, parent)), ("positives", (parent, None)))
                )
                last = self.execute(f"SELECT {has_label}, {has_happened} FROM log").fetchone()
            known.append(NO_EVENT if last[0] is None else last[0])
            possible.append(NO_EVENT if last[1] is None else last[1])
        return known, possible

    @contextmanager
    def result(self, query: str) -> Iterator[Iterator[Any]]:
        """Run a query and yield its rows as Arrow batches, from a file, since they may not fit into memory."""
        path = Path(self.folder) / "result.parquet"
        quoted = str(path).replace("'", "''")
        self.execute(f"COPY ({query}) TO '{quoted}' (FORMAT parquet)")
        with open_parquet(path) as file:
            yield file.iter_batches()

    def _fields(self, sql_types: Sequence[str]) -> list[str]:
        keys = [f"k{i} {kind}" for i, kind in enumerate(sql_types)]
        n_outcomes = len(events_of(self.parents))
        amounts = [f"{what}{j} UTINYINT" for j in range(n_outcomes) for what in ("trials", "positives")]
        return ["row BIGINT", "t BIGINT", *keys, *amounts]

    def _append(self, rows: Any) -> None:
        with self.working() as connection:
            connection.register("block", rows)
            connection.execute("INSERT INTO log SELECT * FROM block")
            connection.unregister("block")


def sql_type(arrow_type: Any) -> str:
    """Return the SQL type that stores the canonical forms of an Arrow column."""
    import pyarrow.types as types

    if types.is_dictionary(arrow_type):
        arrow_type = arrow_type.value_type
    if types.is_integer(arrow_type) or types.is_boolean(arrow_type):
        return "BIGINT"
    if types.is_decimal(arrow_type) and arrow_type.scale <= 0:
        return "BIGINT"
    if types.is_floating(arrow_type) or types.is_decimal(arrow_type):
        return "DOUBLE"
    checks = types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_binary_view
    return "BLOB" if any(is_bytes(arrow_type) for is_bytes in checks) else "VARCHAR"


def canonical_array(column: pd.Series, kind: str) -> Any:
    """Return the canonical forms of a column as an Arrow array of the SQL type `kind`."""
    import pyarrow as pa

    arrow_type = {"BIGINT": pa.int64(), "DOUBLE": pa.float64(), "BLOB": pa.binary(), "VARCHAR": pa.string()}[kind]
    indices, forms, _ = factorize(column, str(column.name))
    try:
        distinct = pa.array(forms if len(forms) else [], type=None if len(forms) else arrow_type).cast(arrow_type)
    except pa.ArrowInvalid as error:
        raise ValueError(
            f"Column {column.name!r} holds whole numbers beyond 2**53 here and floats in another file, or is a decimal "
            "with fractions, which cannot hold them exactly. Write the ids of all files as integers (Int64 where some "
            "are missing) or strings."
        ) from error
    return distinct.take(pa.array(indices, mask=indices < 0))
