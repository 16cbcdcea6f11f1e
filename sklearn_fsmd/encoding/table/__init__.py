"""X as a whole: its validation, and the encoder of all of its columns."""

from sklearn_fsmd.encoding.table.encoded import Encoded
from sklearn_fsmd.encoding.table.encoder import FeatureEncoder
from sklearn_fsmd.encoding.table.shallow import shallow
from sklearn_fsmd.encoding.table.single_rows import codes_of
from sklearn_fsmd.encoding.table.validation import as_pandas, named_in_errors, read_table, refuse_masked, rows_of

__all__ = [
    "Encoded",
    "FeatureEncoder",
    "as_pandas",
    "codes_of",
    "named_in_errors",
    "read_table",
    "refuse_masked",
    "rows_of",
    "shallow",
]
