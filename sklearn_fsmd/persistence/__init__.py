"""Estimators as files."""

from sklearn_fsmd.persistence.codec import Packer, Unpacker, described, digest_of
from sklearn_fsmd.persistence.container import kind_of, read, write
from sklearn_fsmd.persistence.estimator_file import Saving
from sklearn_fsmd.persistence.network_state import BEFORE, flat_history, network_state, restore_network
from sklearn_fsmd.persistence.replacing import refuse_unwritable, replacing

__all__ = [
    "BEFORE",
    "Packer",
    "Saving",
    "Unpacker",
    "described",
    "digest_of",
    "flat_history",
    "kind_of",
    "network_state",
    "read",
    "refuse_unwritable",
    "replacing",
    "restore_network",
    "write",
]
