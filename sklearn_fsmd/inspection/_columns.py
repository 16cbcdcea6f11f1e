"""Which column each input of a network comes from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sklearn_fsmd.encoding import InputEncoder


class Sources(NamedTuple):
    """For each input of the network, the position of its column among `names`."""

    names: list[str]
    """The columns of X, and after them combinations of columns that have statistics of the targets."""
    fields: np.ndarray
    """(F + L,), of the code columns and the lists."""
    numbers: np.ndarray
    """(N,), of the scaled numbers, the components of vectors and the statistics."""


def sources_of(encoder: InputEncoder) -> Sources:
    """Where the inputs of a network with this encoder come from."""
    main, in_x = encoder.main, np.flatnonzero(~encoder.is_bias)
    names = encoder.display_names
    coded = [*main.categories, *(main.numeric if main.numeric_bins else ())]
    fields = [*coded, *main.lists]
    numbers = list(main.numeric)
    for position, width in zip(main.vectors, main.vector_widths, strict=True):
        numbers += [position] * width
    of_fields, of_numbers = in_x[np.array(fields, dtype=int)], list(in_x[np.array(numbers, dtype=int)])
    if encoder.statistics is not None:
        width = 1 + len(encoder.statistics.events)
        for key in encoder.statistics.keys:
            places = [int(of_fields[f]) for f in key]
            if len(places) > 1:
                names.append(" × ".join(names[place] for place in places))
                places = [len(names) - 1]
            of_numbers += places * width
    return Sources(names, of_fields, np.array(of_numbers, dtype=int))
