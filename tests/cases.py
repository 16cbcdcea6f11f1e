"""Helpers for tests of bad input: each case is an action and the error or warning that it must raise."""

import datetime
import pickle
import re
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from sklearn_fsmd import FSMDClassifier
from tests.conftest import SMALL, make_frame, supported

N = 120
NAN, INF = float("nan"), float("inf")
DAY = datetime.datetime(2022, 1, 1)


class Case(NamedTuple):
    """An action and the error or warning that it must raise; "…" in the text stands for any text."""

    id: str
    action: Any
    error: type[Exception]
    text: str


def cases(*rows):
    """Parametrise a test with one case per row."""
    return pytest.mark.parametrize("case", [Case(*row) for row in rows], ids=lambda case: case.id)


def check(case, action):
    """Check that `action` raises the error or warning of the case."""
    expected = pytest.warns if issubclass(case.error, Warning) else pytest.raises
    with expected(case.error, match="(?s)" + ".*".join(re.escape(part) for part in case.text.split("…"))):
        action()


# ------------------------------------------------------------------------------------------------------------ actions


def small(cls=FSMDClassifier, **params):
    return cls(**{**supported(cls, SMALL), "max_epochs": 1, **params})


def fit(X, Y, sample_weight=None, X_val=None, Y_val=None, sample_weight_val=None, X_unlabeled=None, **params):
    options = {"X_val": X_val, "Y_val": Y_val, "sample_weight_val": sample_weight_val, "X_unlabeled": X_unlabeled}
    return small(**params).fit(X, Y, sample_weight, **options)


def make_fitted():
    """Data, and models fitted on the data."""
    X, Y = make_frame(N)
    array = np.random.RandomState(0).normal(size=(N, 3))
    return SimpleNamespace(X=X, Y=Y, array=array, model=fit(X, Y), array_model=fit(array, Y))


def build_copy(model):
    """A copy of a fitted model."""
    return pickle.loads(pickle.dumps(model))


def put(**columns):
    """An action that replaces or adds columns."""
    return lambda X: X.assign(**columns)


def cell(value, others="Rome"):
    """A column of objects with `value` in its first row."""
    column = np.empty(N, dtype=object)
    column[:] = others
    column[0] = value
    return column


# -------------------------------------------------------------------------------------------------------------- errors


def too_large(name, value):
    text = f"Input X contains infinity or a value too large for dtype('float32'). Column {name!r} has {value} in row 0."
    return ValueError, text


def no_feature(name, dtype):
    text = f"Column {name!r} has dtype {dtype}, which is neither a number nor a category. Convert it to"
    return TypeError, text


def no_match(text):
    return ValueError, f"The feature names should match those that were passed during fit.\n…{text}"


def changed(name, before, now, value):
    text = (
        f"Column {name!r} held {before} in fit and holds {now} now (found {value!r}). Give it the type that it had in"
    )
    return ValueError, text


def no_number(name, value, error=ValueError):
    text = (
        f"Column {name!r} is read as numbers but holds {value}. Convert it, as by pandas.to_numeric: it was numeric in"
    )
    return error, f"{text} fit."
