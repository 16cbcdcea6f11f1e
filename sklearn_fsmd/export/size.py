"""How large a file would become, before anything of it is built."""

from __future__ import annotations

from collections.abc import Sequence

from sklearn_fsmd.encoding import CategoryColumn, InputEncoder
from sklearn_fsmd.export.columns import Column
from sklearn_fsmd.network import MultiTaskNetwork

LIMIT = 2**31 - 1
"""Bytes: the most that protobuf writes."""
PER_STRING = 6
"""Bytes beside the text of a string, at the most."""
PER_CODE = 8


def check_size(encoder: InputEncoder, network: MultiTaskNetwork, columns: Sequence[Column]) -> None:
    """Raise if the file would be larger than ONNX files can be.

    Raises
    ------
    ValueError
        It names the column that takes most, and what makes it smaller.
    """
    names = {id(c.vocabulary): c.name for c in reversed(columns) if c.vocabulary is not None}
    n_reads = {key: sum(id(c.vocabulary) == key for c in columns) for key in names}
    kept = {id(c.vocabulary): c.vocabulary for c in columns if c.vocabulary is not None}
    vocabularies = {key: n_reads[key] * _bytes_of(vocabulary) for key, vocabulary in kept.items()}
    weights = sum(tensor.nbytes for tensor in network.state_dict().values())
    statistics = encoder.statistics
    tables = 0 if statistics is None else sum(table.nbytes for table in statistics.tables)
    keys = 0 if statistics is None else sum(16 * len(known) for known in statistics.known if known is not None)
    total = sum(vocabularies.values()) + weights + tables + keys
    if total <= LIMIT:
        return
    largest = max(kept, key=lambda key: kept[key].n_rows) if kept else None
    which = "" if largest is None else f" Column {names[largest]!r} alone has {kept[largest].n_rows - 1:,} values."
    raise ValueError(
        f"The file would have {total / 2**30:.1f} GiB, and ONNX files end at {LIMIT / 2**30:.1f} GiB.{which} "
        "Fit with a larger `min_frequency` or a smaller `embedding_dim`."
    )


def _bytes_of(vocabulary: CategoryColumn) -> int:
    values = vocabulary.values.to_numpy()
    if values.dtype != object:
        return values.nbytes + PER_CODE * len(values)
    return sum(len(value.encode(errors="replace")) for value in values) + (PER_STRING + PER_CODE) * len(values)
