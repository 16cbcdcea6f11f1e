"""The paper's network in plain torch, and the seam at which it may be computed faster."""

from sklearn_fsmd.network.builders import build_network, has_own_embeddings, n_values_of
from sklearn_fsmd.network.denoising_autoencoder import DenoisingAutoencoder, Learned
from sklearn_fsmd.network.dropout import dropout_state, seed_dropout, set_dropout_state
from sklearn_fsmd.network.embedding import Columns, Table
from sklearn_fsmd.network.links import parents_of
from sklearn_fsmd.network.losses import MultiTaskLoss
from sklearn_fsmd.network.multitask_network import MultiTaskNetwork
from sklearn_fsmd.network.seam import Execution, GateSpec, LayerSpec, StackSpec, set_execution
from sklearn_fsmd.network.stacked_mlp import HiddenLayer

__all__ = [
    "Columns",
    "DenoisingAutoencoder",
    "Execution",
    "GateSpec",
    "HiddenLayer",
    "LayerSpec",
    "Learned",
    "MultiTaskLoss",
    "MultiTaskNetwork",
    "StackSpec",
    "Table",
    "build_network",
    "dropout_state",
    "has_own_embeddings",
    "n_values_of",
    "parents_of",
    "seed_dropout",
    "set_dropout_state",
    "set_execution",
]
