"""The seam between what a network says and how it is computed.

The modules beside this file say it, as formulas in plain torch. What an :class:`Execution` computes in a faster way is
left to it. Which one does is chosen in one place, once per fit or model; this file knows none of them.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor


class Execution:
    """Computes parts of a network, or returns None: then the module goes by its formula. This one always does."""

    def hidden(self, mlp: Any, x: Tensor, weights: Tensor | None) -> Tensor | None:
        """What a :class:`~sklearn_fsmd.network.stacked_mlp.StackedMLP` that has layers says of `x` and `weights`."""
        return None

    def gates(self, gates: Any, x: Tensor) -> Tensor | None:
        """What :class:`~sklearn_fsmd.network.extractors.Gates` say of what their hidden layers have made."""
        return None

    def lookup(self, table: Any, codes: Tensor) -> Tensor | None:
        """The rows of a :class:`~sklearn_fsmd.network.embedding.Table`."""
        return None


FORMULA = Execution()
"""By the formulas alone."""
