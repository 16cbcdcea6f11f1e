"""Saving estimators to files and loading them."""

from sklearn_fsmd.persistence.codec import Packer, Unpacker, digest_of, qualified_name
from sklearn_fsmd.persistence.container import kind_of, read, write
from sklearn_fsmd.persistence.estimator_file import Saving
from sklearn_fsmd.persistence.network_state import FORMAT_1_DEFAULTS, flat_history, network_state, restore_network
from sklearn_fsmd.persistence.replacing import refuse_unwritable, replacing

__all__ = [
    "FORMAT_1_DEFAULTS",
    "Packer",
    "Saving",
    "Unpacker",
    "digest_of",
    "flat_history",
    "kind_of",
    "network_state",
    "qualified_name",
    "read",
    "refuse_unwritable",
    "replacing",
    "restore_network",
    "write",
]
