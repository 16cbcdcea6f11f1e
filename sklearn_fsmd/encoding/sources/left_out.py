"""Files that cannot be used: the first one raises an error, or all are left out with one warning."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sklearn_fsmd.parameters import warn

MOST_NAMED = 20
"""Largest number of files that the warning names."""


class LeftOut:
    """The files that are left out of a data set, with the reasons.

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
        """Leave out the file `name` if an error is raised inside and `on_error` is "skip"."""
        try:
            yield
        except (OSError, TypeError, ValueError) as error:  # no ImportError: all files of that kind would be missing
            if not self.skips:
                raise
            self.reasons[name] = str(error)

    def warn(self, n_others: int) -> None:
        """Warn of the files that were left out of a data set that has `n_others` other files.

        Raises
        ------
        ValueError
            If there are no other files.
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
