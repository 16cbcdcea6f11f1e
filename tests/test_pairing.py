"""Mistakes in how X and Y were put together are said: nothing else would show them."""

import warnings

import numpy as np
import pytest

from sklearn_fsmd import FSMDClassifier
from tests.conftest import SMALL


def fit(X, Y, **validation):
    return FSMDClassifier(**SMALL | {"max_epochs": 1}).fit(X, Y, **validation)


def silent(X, Y):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(X, Y)
    assert not [str(w.message) for w in caught if "different orders" in str(w.message) or "a target" in str(w.message)]


def test_labels_in_another_order_are_warned_of(frame):
    X, Y = frame
    moved = Y.sample(frac=1, random_state=0)
    said = r"hold the same labels in different orders: row 0 is 0 in X and \d+ in Y.*Y\.loc\[X\.index\]"
    with pytest.warns(UserWarning, match=said):
        fit(X, moved)
    with pytest.warns(UserWarning, match=said):
        fit(X, moved.iloc[:, 0])
    with pytest.warns(UserWarning, match=said):
        fit(X, Y, X_val=X, Y_val=moved)
    silent(X, moved.loc[X.index])
    silent(X, moved.set_axis(X.index))


def test_indexes_that_say_nothing_are_left_alone(frame):
    X, Y = frame
    silent(X, Y.set_axis(Y.index + 1))
    silent(X, Y.to_numpy())
    silent(X.set_axis(np.zeros(len(X), dtype=int)), Y)


def test_the_order_of_labels_of_any_type(frame):
    X, Y = frame
    labels = [1, "1", None, *range(2, len(X) - 1)]
    with pytest.warns(UserWarning, match="row 0 is 1 in X and '1' in Y"):
        fit(X.set_axis(labels), Y.set_axis(["1", 1, *labels[2:]]))


def test_a_target_among_the_columns_is_warned_of(frame):
    X, Y = frame
    with pytest.warns(UserWarning, match=r"Column 'click' of X: the name of a target.*X\.drop\(columns=\['click'\]\)"):
        fit(X.assign(click=Y["click"]), Y)
    with pytest.warns(UserWarning, match="Columns 'conversion', 'click' of X"):
        fit(X.assign(conversion=0, click=0), Y)
    with pytest.warns(UserWarning, match="Column 'click' of X"):
        fit(X.assign(click=0), Y["click"])
    silent(X.assign(click=0), Y.to_numpy())
    silent(X[["price"]].to_numpy(), Y)
