"""Lists as text, with a separator, and lists in which an id is a number here and text there: warnings name them."""

import warnings

import numpy as np
import pandas as pd
import pytest

from tests.test_ids import fit

N = 400
Y = np.stack([np.arange(N) // 3 % 2] * 2, axis=1)


def lists(random, values=20):
    return [list(random.choice(values, size=random.randint(1, 5), replace=False)) for _ in range(N)]


def texts(separator, rows):
    return pd.DataFrame({"tags": [separator.join(f"g{value}" for value in row) for row in rows]})


@pytest.mark.parametrize("separator", [" | ", "|", "; ", ";", ", ", ","])
def test_lists_with_a_separator_are_detected(separator):
    X = texts(separator, lists(np.random.RandomState(0)))
    with pytest.warns(UserWarning, match="Column 'tags' of X: text that looks like lists") as caught:
        fit(X, Y)
    (message,) = (str(w.message) for w in caught)
    options = f"list_features=['tags'], which has to name all columns of lists, and list_separator={separator!r}."
    assert f"Pass {options}" in message
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model = fit(X, Y, list_features=["tags"], list_separator=separator)
        fit(X.astype("category"), Y)
    assert len(model._encoder.main.lists[0].own.values) == 20


def test_the_advice_names_the_other_lists_too():
    random = np.random.RandomState(0)
    X = texts(";", lists(random)).assign(seen=[[int(value) for value in row] for row in lists(random)])
    with pytest.warns(UserWarning, match=r"Pass list_features=\['seen', 'tags'\], which has to name all columns"):
        fit(X, Y)
    with pytest.raises(TypeError, match=r"Column 'seen' holds .* 'auto' names all columns of lists"):
        fit(X, Y, list_features=["tags"], list_separator=";")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        fit(X, Y, list_features=["seen", "tags"], list_separator=";")


def test_other_text_with_these_characters_is_no_list():
    random = np.random.RandomState(0)
    words = [f"w{i}" for i in range(10_000)]
    accepted = {
        "pairs": [f"{a}|{b}" for a, b in zip(random.randint(30, size=N), random.randint(30, size=N), strict=True)],
        "names": [f"Doe{i}, John{', Jr.' * (i % 7 == 0)}" for i in range(N)],
        "sentences": [", ".join(random.choice(words, size=random.randint(2, 6))) for _ in range(N)],
        "few": [["a|b", "a", "b|c|a"][i % 3] for i in range(N)],
        "thousands": [f"{i % 90 + 1},{'000,' * (i % 2)}{i % 20:03}" for i in range(N)],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for name, values in accepted.items():
            fit(pd.DataFrame({name: values}), Y)


def test_lists_with_ids_as_numbers_and_as_text():
    rows = lists(np.random.RandomState(0))
    mixed = [[str(value) if i % 2 else int(value) for value in row] for i, row in enumerate(rows)]
    X = pd.DataFrame({"seen": mixed, "price": np.arange(N) / 7})
    message = r"Column 'seen' of X: values are there as numbers and as text.*so are 20 of 'seen'. Give them one type:"
    with pytest.warns(UserWarning, match=message):
        fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        fit(X.assign(seen=X["seen"].map(lambda values: [str(value) for value in values])), Y)
