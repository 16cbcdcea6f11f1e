"""Building the network for the columns of an encoder, with the right number of rows in its tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn_fsmd.encoding import InputEncoder
from sklearn_fsmd.encoding.table import FeatureEncoder
from sklearn_fsmd.network import Columns, Layout, MultiTaskNetwork, build_network
from sklearn_fsmd.parameters import NetworkParameters, group_of

CHOSEN = {"dropout": "auto_dropout", "embedding_dim": "auto_embedding_dim"}
"""Parameters for which a fit chooses a value if they are "auto", and the keys of these values in the parameters of a
predictor."""
ADDS_REGRESSIONS = "adds_regressions"
"""Key of whether a fit averages its network with regressions. Files of former versions lack it."""


def parameters_of(spec: Mapping[str, Any]) -> NetworkParameters:
    """The parameters of a network, with the values that a fit has chosen for "auto"."""
    chosen = {name: spec[key] for name, key in CHOSEN.items() if spec[name] == "auto"}
    return group_of(NetworkParameters, {**spec, **chosen, "logistic_regression": spec.get(ADDS_REGRESSIONS, False)})


def build(p: NetworkParameters, encoder: InputEncoder, n_tasks: int, *, with_tables: bool = True) -> MultiTaskNetwork:
    """Build the network with the parameters `p` for the columns of `encoder`; without tables each has a single row."""

    def columns(part: FeatureEncoder, n_numeric: int, layout: Layout | None = None) -> Columns:
        cardinalities, list_cardinalities, n_quotients = part.cardinalities, part.list_cardinalities, 0
        if layout is not None:
            cardinalities, list_cardinalities = layout.rows[: len(cardinalities)], layout.rows[len(cardinalities) :]
            n_quotients = sum(layout.quotients) if layout.has_quotients else 0
        return Columns(
            cardinalities,
            n_numeric,
            list_cardinalities,
            part.list_partners,
            part.vector_widths,
            first_vector=len(part.numeric),
            layout=layout,
            n_quotients=n_quotients if with_tables else min(n_quotients, 1),
            bin_means=part.bin_means,
            with_tables=with_tables,
        )

    bias = None if encoder.bias is None else columns(encoder.bias, len(encoder.bias.numeric))
    return build_network(p, columns(encoder.main, encoder.n_scalars, layout_of(p, encoder.main)), n_tasks, bias)


def layout_of(p: NetworkParameters, encoder: FeatureEncoder) -> Layout | None:
    """The rows of the tables that values share; None if each value has separate rows."""
    if p.embedding_compression is None:
        return None
    return Layout(
        encoder.cardinalities,
        [column.first for column in encoder.categories.values()],
        encoder.list_cardinalities,
        encoder.list_partners,
        p.max_embedding_rows,
        quotients=p.embedding_compression == "quotient_remainder",
    )
