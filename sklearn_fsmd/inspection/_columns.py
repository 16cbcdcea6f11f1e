"""The mapping from the inputs of a network to the columns of X."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sklearn_fsmd.encoding import InputEncoder


class Sources(NamedTuple):
    """For each input of the network, the position of its column among `names`."""

    names: list[str]
    """The columns of X, then the combinations of columns that have statistics of the targets."""
    fields: np.ndarray
    """(F + L,), positions of the columns of codes and lists."""
    numbers: np.ndarray
    """(N,), positions of the columns of scaled numbers, components of vectors and statistics."""


def sources_of(encoder: InputEncoder) -> Sources:
    """Map the inputs of a network with this encoder to columns."""
    main, in_x = encoder.main, np.flatnonzero(~encoder.is_bias)
    names = encoder.display_names
    coded = [*main.categories, *(main.numeric if main.numeric_bins else ())]
    fields = [*coded, *main.lists]
    numbers = list(main.numeric)
    for position, width in zip(main.vectors, main.vector_widths, strict=True):
        numbers += [position] * width
    field_columns, number_columns = in_x[np.array(fields, dtype=int)], list(in_x[np.array(numbers, dtype=int)])
    if encoder.statistics is not None:
        width = 1 + len(encoder.statistics.events)
        for key in encoder.statistics.keys:
            positions = [int(field_columns[f]) for f in key]
            if len(positions) > 1:
                names.append(" × ".join(names[position] for position in positions))
                positions = [len(names) - 1]
            number_columns += positions * width
    return Sources(names, field_columns, np.array(number_columns, dtype=int))
