"""A check of the size of a file, before any part of it is built."""

from __future__ import annotations

from collections.abc import Sequence

from sklearn_fsmd.encoding import InputEncoder
from sklearn_fsmd.encoding.columns import CategoryColumn
from sklearn_fsmd.export.onnx.columns import Column
from sklearn_fsmd.network import MultiTaskNetwork

LIMIT = 2**31 - 1
"""Bytes of the largest file that protobuf writes."""
PER_STRING = 6
"""Bytes that a string takes in addition to its text, at most."""
PER_CODE = 8


def check_size(encoder: InputEncoder, network: MultiTaskNetwork, columns: Sequence[Column]) -> None:
    """Raise if the file would be larger than ONNX files can be.

    Raises
    ------
    ValueError
        The message names the column with the largest vocabulary, and parameters that make the file smaller.
    """
    names = {id(c.vocabulary): c.name for c in reversed(columns) if c.vocabulary is not None}
    n_uses = {key: sum(id(c.vocabulary) == key for c in columns) for key in names}
    vocabularies = {id(c.vocabulary): c.vocabulary for c in columns if c.vocabulary is not None}
    vocabulary_bytes = {key: n_uses[key] * _bytes_of(vocabulary) for key, vocabulary in vocabularies.items()}
    weights = sum(tensor.nbytes for tensor in network.state_dict().values())
    statistics = encoder.statistics
    tables = 0 if statistics is None else sum(table.nbytes for table in statistics.tables)
    keys = 0 if statistics is None else sum(16 * len(known) for known in statistics.known if known is not None)
    total = sum(vocabulary_bytes.values()) + weights + tables + keys
    if total <= LIMIT:
        return
    hint = ""
    if vocabularies:
        largest = max(vocabularies, key=lambda key: vocabularies[key].n_rows)
        hint = f" Column {names[largest]!r} alone has {len(vocabularies[largest].values):,} values."
    raise ValueError(
        f"The file would have {total / 2**30:.1f} GiB, and ONNX files end at {LIMIT / 2**30:.1f} GiB.{hint} "
        "Fit with a larger `min_frequency` or a smaller `embedding_dim`."
    )


def _bytes_of(vocabulary: CategoryColumn) -> int:
    values = vocabulary.values.to_numpy()
    if values.dtype != object:
        return values.nbytes + PER_CODE * len(values)
    return sum(len(value.encode(errors="replace")) for value in values) + (PER_STRING + PER_CODE) * len(values)
