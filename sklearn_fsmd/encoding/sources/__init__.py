"""Sources of tables that are larger than memory, read in blocks of rows: Parquet files, or a function.

This folder also contains a database for data that are larger than memory.
"""

from sklearn_fsmd.encoding.sources import sizes
from sklearn_fsmd.encoding.sources.database import Database, working_in
from sklearn_fsmd.encoding.sources.factory import FactorySource
from sklearn_fsmd.encoding.sources.files import batches_of, is_of, open_parquet
from sklearn_fsmd.encoding.sources.frames import Block, located
from sklearn_fsmd.encoding.sources.left_out import LeftOut
from sklearn_fsmd.encoding.sources.parquet import Check, ParquetSource
from sklearn_fsmd.encoding.sources.row_groups import Group, GroupRates
from sklearn_fsmd.encoding.sources.schema import columns_of

__all__ = [
    "Block",
    "Check",
    "Database",
    "FactorySource",
    "Group",
    "GroupRates",
    "LeftOut",
    "ParquetSource",
    "batches_of",
    "columns_of",
    "is_of",
    "located",
    "open_parquet",
    "sizes",
    "working_in",
]
