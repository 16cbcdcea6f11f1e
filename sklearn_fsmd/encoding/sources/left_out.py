"""Files that cannot be learned from: the first one ends the fit, or all are left out, with one warning."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sklearn_fsmd.parameters import warn

MOST_NAMED = 20
"""So many files are named in the warning."""


class LeftOut:
    """What is left out of a data set, and why.

    Parameters
    ----------
    on_error : "raise" or "skip".

    Raises
    ------
    ValueError
        If it is something else.
    """

    def __init__(self, on_error: str = "raise") -> None:
        if on_error not in ("raise", "skip"):
            raise ValueError(f"`on_error` must be 'raise' or 'skip'. Got {on_error!r}.")
        self.skips = on_error == "skip"
        self.reasons: dict[str, str] = {}

    @contextmanager
    def trying(self, name: str) -> Iterator[None]:
        """Let an error leave out the file `name`, where files may be left out."""
        try:
            yield
        except (ImportError, OSError, TypeError, ValueError) as error:
            if not self.skips:
                raise
            self.reasons[name] = str(error)

    def warn(self, n_others: int) -> None:
        """Say what has been left out, of a data set that has so many other files.

        Raises
        ------
        ValueError
            If it has none.
        """
        if not self.reasons:
            return
        named = list(self.reasons.items())[:MOST_NAMED]
        reasons = [reason if name in reason else f"{name}: {reason}" for name, reason in named]
        more = f"; and {len(self.reasons) - MOST_NAMED} more" if len(self.reasons) > MOST_NAMED else ""
        listed = "; ".join(reason.rstrip(".") for reason in reasons) + more
        if not n_others:
            raise ValueError(f"None of the {len(self.reasons)} files can be learned from: {listed}.")
        warn(f"{len(self.reasons)} of {len(self.reasons) + n_others} files are left out: {listed}.")
