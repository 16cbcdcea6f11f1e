"""The network of the paper in plain torch, and the interface through which it can be computed faster."""

from sklearn_fsmd.network.builders import build_network, has_own_embeddings, n_values_of
from sklearn_fsmd.network.compression import Layout, Range
from sklearn_fsmd.network.denoising_autoencoder import DenoisingAutoencoder, Learned
from sklearn_fsmd.network.dropout import dropout_state, seed_dropout, set_dropout_state
from sklearn_fsmd.network.embedding import Columns, Embedded, Embedding, Quotients, Table, embedding_dim_of
from sklearn_fsmd.network.ensemble import readers_of
from sklearn_fsmd.network.extractors import PLE, ExpertLevel, Gates, MMoE, Separate, SharedBottom
from sklearn_fsmd.network.factorization_machine import FM, FieldWeightedFM, Linear
from sklearn_fsmd.network.interpolation import Interpolation
from sklearn_fsmd.network.links import TreeLink, parents_of
from sklearn_fsmd.network.list_attention import ListAttention
from sklearn_fsmd.network.losses import MultiTaskLoss
from sklearn_fsmd.network.member import Member, Towers, representations
from sklearn_fsmd.network.multitask_network import MultiTaskNetwork
from sklearn_fsmd.network.ragged import Lists, Ragged
from sklearn_fsmd.network.seam import (
    Execution,
    GateSpec,
    LayerSpec,
    RowSpec,
    StackSpec,
    origin_of,
    set_execution,
)
from sklearn_fsmd.network.sparse_gradients import coalesced, sum_by_rows
from sklearn_fsmd.network.stacked_mlp import HiddenLayer, StackedLinear, StackedMLP
from sklearn_fsmd.network.values import LogNormal, Poisson, Squared, ValueModel

__all__ = [
    "FM",
    "PLE",
    "Columns",
    "DenoisingAutoencoder",
    "Embedded",
    "Embedding",
    "Execution",
    "ExpertLevel",
    "FieldWeightedFM",
    "GateSpec",
    "Gates",
    "HiddenLayer",
    "Interpolation",
    "LayerSpec",
    "Layout",
    "Learned",
    "Linear",
    "ListAttention",
    "Lists",
    "LogNormal",
    "MMoE",
    "Member",
    "MultiTaskLoss",
    "MultiTaskNetwork",
    "Poisson",
    "Quotients",
    "Ragged",
    "Range",
    "RowSpec",
    "Separate",
    "SharedBottom",
    "Squared",
    "StackSpec",
    "StackedLinear",
    "StackedMLP",
    "Table",
    "Towers",
    "TreeLink",
    "ValueModel",
    "build_network",
    "coalesced",
    "dropout_state",
    "embedding_dim_of",
    "has_own_embeddings",
    "n_values_of",
    "origin_of",
    "parents_of",
    "readers_of",
    "representations",
    "seed_dropout",
    "set_dropout_state",
    "set_execution",
    "sum_by_rows",
]
