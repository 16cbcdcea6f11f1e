"""Times in seconds and the like since 1970 that are treated as numbers: one warning names the columns and the unit."""

import warnings

import numpy as np
import pandas as pd
import pytest

from sklearn_fsmd.datasets import make_funnel
from tests.test_ids import fit

X, Y = make_funnel(1000, random_state=0, return_X_y=True)
SECONDS = 1_767_225_600 + np.random.RandomState(0).randint(30 * 24 * 3600, size=len(X))  # January 2026


def warnings_of(X, **params):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        fit(X, Y, **params)
    return [str(w.message) for w in caught]


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_times_are_detected_in_each_unit(unit, factor):
    (message,) = warnings_of(X.assign(time=SECONDS * factor))
    assert message.startswith(f"Column 'time' of X: numbers that look like times in {unit} since 1970")
    assert f"X['time'] = pd.to_datetime(X['time'], unit='{unit}')" in message
    times = pd.to_datetime(SECONDS * factor, unit=unit)
    assert (times.min().year, times.max().month) == (2026, 1)


def test_the_remedies_are_right():
    table = X.assign(time=SECONDS, seen=SECONDS + 0.5, clock=SECONDS * 1000)
    table.loc[:10, "seen"] = np.nan
    in_seconds, in_milliseconds = warnings_of(table)
    assert in_seconds.startswith("Columns 'time', 'seen' of X")
    assert in_milliseconds.startswith("Column 'clock' of X")
    categories = list(X.select_dtypes("category"))
    assert not warnings_of(table, categorical_features=categories)
    assert not warnings_of(table.assign(time=pd.to_datetime(SECONDS, unit="s").hour, seen=1.0, clock=2.0))


def test_the_columns_of_an_array_are_those_of_the_user():
    table = np.column_stack([np.arange(len(X)) % 10, np.zeros(len(X)), SECONDS]).astype(float)
    (message,) = warnings_of(table, bias_features=[0])
    assert message.startswith("Column 'x2' of X: numbers that look like times in s since 1970")
    assert "to_datetime" not in message
    messages = warnings_of(table.astype(object))
    assert any("Column 'x2' of X: numbers that look like times" in message for message in messages)
    assert not any("ids" in message for message in messages)


def test_other_numbers_are_no_times():
    random = np.random.RandomState(0)
    assert not warnings_of(
        X.assign(
            earlier=SECONDS - 40 * 365 * 24 * 3600,
            some=np.where(random.uniform(size=len(X)) < 0.01, 0, SECONDS),
            few=SECONDS[0] + random.randint(20, size=len(X)),
            hash_of=random.randint(2**32, size=len(X)),
            unknown=np.nan,
        )
    )


def test_ids_by_their_name_stay_ids():
    (message,) = warnings_of(X.assign(device_id=SECONDS))
    assert "look like ids" in message
