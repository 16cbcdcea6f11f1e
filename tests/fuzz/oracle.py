"""A slow oracle of the encoding of a table: value by value, with Python dictionaries."""

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.columns.canonical import canonical, kind_of, refuse_dtype
from tests.fuzz.columns import scalars


class RefusedError(Exception):
    """The value, or the column, has to be refused."""


def forms_of(column):
    """The canonical form of each value."""
    try:
        dtype = column.dtype
        refuse_dtype(dtype, "c")
        if isinstance(dtype, pd.CategoricalDtype):
            refuse_dtype(dtype.categories.dtype, "c")
        return [canonical(value, "c") for value in scalars(column)]
    except (TypeError, ValueError, OverflowError) as error:
        raise RefusedError(str(error)) from error


class Category:
    def __init__(self, column, min_frequency):
        all_forms = forms_of(column)
        forms = [form for form in all_forms if form is not None]
        kinds = {kind_of(form) for form in forms}
        self.kind = None if not kinds else kinds.pop() if len(kinds) == 1 else "mixed values"
        if min_frequency == "auto":
            min_frequency = 2 if sum(forms.count(form) == 1 for form in forms) > len(forms) / 2 else 1
        known = [form for form in dict.fromkeys(forms) if forms.count(form) >= min_frequency]
        if self.kind in ("mixed values", "bytes"):
            known.sort(key=lambda form: (type(form).__name__, str(form)))
        else:
            known.sort()
        n_missing = len(all_forms) - len(forms)
        missing = [None] if forms and n_missing >= min_frequency else []
        self.codes = {form: i + 1 for i, form in enumerate(missing + known)}

    def encode(self, column):
        forms = forms_of(column)
        if self.kind not in (None, "mixed values") and any(f is not None and kind_of(f) != self.kind for f in forms):
            raise RefusedError("another type than in fit")
        return np.array([self.codes.get(form, 0) for form in forms])


def number(value):
    """A value as a float, NaN if it is missing."""
    if value is None or value is pd.NA or value is pd.NaT:
        return np.nan
    if isinstance(value, (str, bytes, complex, np.complexfloating, np.datetime64, np.timedelta64)):
        raise RefusedError("no number")
    try:
        x = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise RefusedError("no number") from error
    with np.errstate(over="ignore"):
        if np.isinf(np.float32(x)):
            raise RefusedError("infinity")
    return x


def numbers_of(column):
    try:
        refuse_dtype(column.dtype, "c")
    except (TypeError, ValueError) as error:
        raise RefusedError(str(error)) from error
    try:
        values = scalars(column)
    except OverflowError as error:  # Arrow's times after 24 o'clock
        raise RefusedError(str(error)) from error
    return np.array([number(value) for value in values])


class Number:
    """The oracle of a numeric column: scaled by mean and standard deviation, without bins."""

    def __init__(self, column):
        x = numbers_of(column)
        known = x[~np.isnan(x)]
        self.center, self.scale, self.low, self.high = 0.0, 1.0, 0.0, 0.0
        if len(known):
            self.center, self.scale = known.mean(), known.std() or 1.0
            self.low, self.high = known.min(), known.max()

    def encode(self, column):
        x = numbers_of(column)
        return np.nan_to_num((np.clip(x, self.low, self.high) - self.center) / self.scale).astype(np.float32)
