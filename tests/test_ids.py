"""Integer ids that are treated as numbers, the most common mistake: one warning names the columns and the remedy."""

import ast
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import fetch_census_income, fetch_kuairand_pure
from tests.conftest import SMALL


def fit(X, Y, **params):
    return FSMDClassifier(**SMALL | {"max_epochs": 1, "batch_size": 2048} | params).fit(X, Y)


def table(n=20_000, seed=0):
    """Users with different click rates, a number with a smooth effect, and a number without any effect."""
    random = np.random.RandomState(seed)
    user, price, noise = random.randint(1000, size=n), random.randint(1, 3000, size=n), random.randint(2000, size=n)
    taste = random.normal(size=1000)
    logit = taste[user] + np.sin(price / 500)
    click = random.uniform(size=n) < 1 / (1 + np.exp(-logit))
    Y = np.stack([click, click & (random.uniform(size=n) < 0.5)], axis=1).astype(int)
    return pd.DataFrame({"who": user, "bid": price, "noise": noise}), Y


def warnings_of(X, Y, **params):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        fit(X, Y, **params)
    return [str(w.message) for w in caught if " ids, and are taken as quantities" in str(w.message)]


def test_ids_are_detected_by_their_relation_to_the_targets():
    X, Y = table()
    (message,) = warnings_of(X, Y)
    assert message.startswith("Column 'who' of X: whole numbers that look like ids, and are taken as quantities.")
    assert "X.astype({'who': 'category'})" in message
    (message,) = warnings_of(X.set_axis(range(3), axis=1), Y)
    assert "Columns 0" in message or "Column 0 of X" in message
    assert "X.astype({0: 'category'})" in message
    (message,) = warnings_of(X.to_numpy(), Y)
    assert "Column 'x0' of X" in message
    assert "categorical_features=[] is how it is now. Add those of [0] that are ids" in message
    (message,) = warnings_of(X[["noise", "who"]].to_numpy().astype(float), Y, bias_features=[0])
    assert "categorical_features=[] is how it is now. Add those of [1]" in message
    assert "DataFrame" not in message


def test_the_warning_for_object_arrays_names_all_whole_numbers():
    X, Y = table(400)
    X = X[["bid", "who"]].assign(city=np.where(X["who"] % 2, "Rome", "Oslo"), hour=X["who"] % 24, rate=X["bid"] / 7)
    (message,) = warnings_of(X.to_numpy(), Y)
    assert message.startswith("Columns 'x0', 'x1' of X: whole numbers that may be ids")
    assert "categorical_features=[2] is how it is now. Add those of [0, 1] that are ids" in message
    assert "DataFrame" in message
    assert warnings_of(X.to_numpy(), Y, categorical_features=[1, 2]) == []
    assert warnings_of(X.to_numpy(), Y, categorical_features=[2]) == []
    shown = X.assign(place=np.where(X["bid"] % 3, "top", "side")).to_numpy()
    (message,) = warnings_of(shown, Y, bias_features=[5])
    assert "categorical_features=[2, 5] is how it is now. Add those of [0, 1]" in message
    assert warnings_of(shown, Y, bias_features=[5], categorical_features=[1, 2, 5]) == []


@pytest.mark.parametrize("remedy", [{"categorical_features": ["who"]}, {"categorical_features": []}])
def test_explicit_categories_avoid_the_warning(remedy):
    X, Y = table(5000)
    assert warnings_of(X, Y, **remedy) == []
    assert warnings_of(X.astype({"who": "category"}), Y) == []


@pytest.mark.parametrize(
    "name",
    [
        *("id", "user_id", "userId", "ID", "itemid", "video ids", "ad.id", "article_no", "Nr", "uuid", "orderNo"),
        *("customer", "Item", "course", "learner", "storeid"),
    ],
)
def test_ids_are_detected_by_their_names(name):
    values = np.arange(400) % 40
    Y = np.stack([values % 2, values % 2], axis=1)
    (message,) = warnings_of(pd.DataFrame({name: values, "price": values + 1.5}), Y)
    assert f"Column {name!r} of X" in message


@pytest.mark.parametrize(
    "name",
    [
        *("bid", "paid", "grid", "idle", "identity", "mid", "covid", "width", "pyramid", "piano", "barcode_", "decode"),
        *("n_user", "items"),
    ],
)
def test_other_names_cause_no_warning(name):
    values = np.arange(400) % 40
    Y = np.stack([values % 2, values % 2], axis=1)
    assert warnings_of(pd.DataFrame({name: values}), Y) == []


def test_times_as_text_are_detected():
    times = pd.date_range("2026-03-01", periods=400, freq="h").strftime("%Y-%m-%d %H:%M:%S")
    X, Y = (
        pd.DataFrame({"shown_at": times, "price": np.arange(400) / 7}),
        np.stack([np.arange(400) // 3 % 2] * 2, axis=1),
    )
    with pytest.warns(UserWarning, match=r"Column 'shown_at' of X: times as text.*pd.to_datetime.*TimeFeatures"):
        fit(X, Y)
    for accepted in (
        {"shown_at": times.astype("category")},
        {"day": times.str[:10]},
        {"code": [f"{i}-1" for i in range(400)]},
    ):
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*times as text")
            fit(pd.DataFrame(accepted), Y)


TEXT_TO_PARSE = {
    "decimal comma": ([f"{i % 97},{i:02}" for i in range(400)], r"Column 'c' of X: numbers with a decimal comma"),
    "list": ([f"['a{i % 50}', 'b']" for i in range(400)], r"Column 'c' of X: lists as text"),
    "numpy strings": ([f"['a{i % 50}' 'b']" for i in range(400)], r"Column 'c' of X: text in brackets.*Parquet"),
    "numpy 2 strings": ([f"[np.str_('a{i % 50}')]" for i in range(400)], r"Column 'c' of X: text in brackets"),
    "JSON": ([f'["a{i % 50}", null]' for i in range(400)], r"Column 'c' of X: text in brackets.*json.loads"),
}


@pytest.mark.parametrize(("values", "message"), TEXT_TO_PARSE.values(), ids=TEXT_TO_PARSE)
def test_text_that_needs_parsing_is_detected(values, message):
    Y = np.stack([np.arange(400) // 3 % 2] * 2, axis=1)
    X = pd.DataFrame({"c": values, "price": np.arange(400) / 7})
    with pytest.warns(UserWarning, match=message):
        fit(X, Y)
    with pytest.warns(UserWarning, match=message.replace("'c'", "0")):
        fit(X.set_axis([0, 1], axis=1), Y)
    if message.endswith("comma"):
        parsed = X["c"].str.replace(",", ".").astype(float)
    else:
        parsed = X["c"].map(ast.literal_eval if message.endswith("as text") else lambda text: [text])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        fit(X.assign(c=parsed), Y)
        fit(X.astype({"c": "category"}), Y)
        fit(X.assign(c=[f"{i}, {i % 7}" for i in range(400)]), Y)
        fit(X.assign(c=[f"{i % 99},{i:03}" for i in range(400)]), Y)  # the comma may separate thousands
        fit(X.assign(c=[f"[{i}] item {i % 7} [x]" for i in range(400)]), Y)


def test_ids_of_rows_are_to_be_left_out():
    X, Y = table()
    ids = X.rename(columns={"who": "user_id"}).assign(impression_id=np.arange(len(X)) + 10**6)
    (message,) = warnings_of(ids, Y)
    assert "X.astype({'user_id': 'category', 'impression_id': 'category'})" in message
    assert message.endswith("Hardly a value of ['impression_id'] occurs twice: what identifies rows is to be left out.")
    (message,) = warnings_of(X, Y)
    assert "occurs twice" not in message


def test_columns_of_few_values_or_fractions_are_not_ids():
    Y = np.stack([np.arange(400) % 2] * 2, axis=1)
    assert warnings_of(pd.DataFrame({"id": np.arange(400) % 20, "user_id": np.linspace(0, 9, 400)}), Y) == []


def test_warnings_on_real_data(real_data):
    X, Y = fetch_kuairand_pure(end="2022-04-28", return_X_y=True)
    assert warnings_of(X, Y) == []
    ids = ["user_id", "video_id", "author_id"]
    numbers = X[ids].astype(float).fillna(-1).set_axis([*"abc"], axis=1).astype(int)
    (message,) = warnings_of(X.drop(columns=ids).assign(**numbers), Y)
    assert "Columns 'a', 'b', 'c' of X" in message
    X, Y = fetch_census_income(subset="validation", return_X_y=True)
    assert warnings_of(X, Y) == []


# ---------------------------------------------------------------------------------------------------- numbers as text


def with_prices(frame, **changes):
    X, Y = frame
    price = np.random.RandomState(0).lognormal(size=len(X)).round(3).astype(object)
    for row, value in changes.get("odd", {7: "n/a"}).items():
        price[row] = value
    return X.assign(price=changes.get("convert", lambda p: p)(price)), Y


@pytest.mark.parametrize("convert", [lambda p: p, lambda p: p.astype(str)], ids=["objects", "strings"])
def test_warns_of_a_single_text_among_prices(convert, frame):
    X, Y = with_prices(frame, convert=convert)
    with pytest.warns(
        UserWarning, match=r"Column 'price' of X: most values are numbers, but the dtype is not numeric.*to_numeric"
    ):
        FSMDClassifier(**SMALL).fit(X, Y)


@pytest.mark.parametrize(
    "convert",
    [
        lambda p: pd.Series(p.astype(str), dtype="category"),
        lambda p: [str(i) for i in range(len(p))],
        lambda p: [f"v{x}" for x in p],
        lambda p: [str(x)[:1] + ".5" for x in p],
    ],
    ids=["category dtype", "ids as text", "text", "few values"],
)
def test_no_warning_for_intended_categories(convert, frame):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FSMDClassifier(**SMALL).fit(*with_prices(frame, convert=convert))


def test_warns_of_integers_as_objects_unless_they_are_named_as_ids(frame):
    X, Y = frame
    stock = pd.Series(np.random.RandomState(0).randint(0, 1000, len(X)), index=X.index, dtype=object)
    stock.iloc[3] = None
    with pytest.warns(UserWarning, match=r"Column 'stock' of X: whole numbers in a column of objects.*to_numeric"):
        FSMDClassifier(**SMALL).fit(X.assign(stock=stock), Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FSMDClassifier(**SMALL).fit(X.assign(stock_id=stock), Y)
        FSMDClassifier(**SMALL).fit(X.assign(stock=stock.astype("category")), Y)
        FSMDClassifier(**SMALL).fit(X.assign(stock=pd.to_numeric(stock)), Y)


@pytest.mark.parametrize("as_frame", [True, False], ids=["frame", "array"])
def test_warns_of_ids_that_occur_as_numbers_and_as_text(as_frame, frame):
    """pandas reads a large file in chunks, and one chunk may have an id that is not a number."""
    X, Y = frame
    ids = np.arange(len(X)) % 40 + 10
    parts = [ids[:100].astype(object), [*ids[100:-1].astype(str), "x7"]]
    X = X[["price"]].assign(user_id=pd.Series(np.concatenate(parts), index=X.index, dtype=object))
    name, given = ("user_id", X) if as_frame else ("x1", X.to_numpy(dtype=object))
    options = SMALL if as_frame else SMALL | {"categorical_features": [1]}
    warning = f"Column '{name}' of X: values are there as numbers and as text, which are two categories, such as 10 and"
    with pytest.warns(UserWarning, match=f"{warning} '10'; so are 40 of '{name}'.*dtype={{'{name}': 'string'}}"):
        FSMDClassifier(**options).fit(given, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FSMDClassifier(**SMALL).fit(X.astype({"user_id": "string"}), Y)
        FSMDClassifier(**SMALL).fit(X.assign(user_id=[*ids[:-1], "x7"]), Y)


def test_warns_of_negative_categories():
    """-1 and -2 are treated as missing, because encoders use them for unknown values."""
    X, Y = table(2000)
    X = X.assign(floor=np.arange(2000) % 6 - 3, zone=np.arange(2000) % 5 - 2).drop(columns="who")
    categorical = X.astype({"floor": "category", "zone": "category"})  # the zones -1 and -2 may be codes
    with pytest.warns(UserWarning, match="Column 'floor' of X: categories that are negative numbers. -1 and -2"):
        fit(categorical, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = fit(categorical.astype({"floor": "str"}), Y)
        fit(X, Y)
    numbered = categorical.set_axis(range(categorical.shape[1]), axis=1)
    with pytest.warns(UserWarning, match=r"Column 2 of X: categories.*X.astype\(\{2: 'Int64'\}\)"):
        fit(numbered, Y)
    assert sorted(model._encoder.main.categories[2].values) == sorted(str(i) for i in range(-3, 3))


@pytest.mark.parametrize("kind", ["category of integers", "category of floats", "floats"])
def test_the_remedy_for_negative_categories_works_for_single_rows(kind):
    X, Y = table(2000)
    floors = np.arange(2000) % 6 - 3
    is_missing = np.arange(2000) % 7 == 0
    if kind == "category of integers":
        X["floor"] = pd.Categorical(floors).set_categories(np.unique(floors))
        X.loc[is_missing, "floor"] = None
    else:
        X["floor"] = np.where(is_missing, np.nan, floors)
        X["floor"] = X["floor"].astype("category" if kind == "category of floats" else float)
    with pytest.warns(UserWarning, match=r"text: X.astype\(\{'floor': 'Int64'\}\).astype\(\{'floor': 'string'\}\)"):
        fit(X, Y, categorical_features=["floor"])

    def text(X):
        return X.astype({"floor": "Int64"}).astype({"floor": "string"})

    model = fit(text(X), Y)
    assert sorted(model._encoder.main.categories[3].values) == sorted(str(i) for i in range(-3, 3))
    expected = model.predict_marginals(text(X[1:20]))
    for i in range(19):
        row = text(X[i + 1 : i + 2] if is_missing[i + 1] else X[i + 1 : i + 2].astype({"floor": "int64"}))
        np.testing.assert_allclose(model.predict_marginals(row)[0], expected[i], rtol=1e-5)


def test_warns_of_negative_long_doubles():
    X, Y = table(2000)
    X["floor"] = (np.arange(2000) % 6 - 3).astype(np.longdouble)
    with pytest.warns(UserWarning, match="Column 'floor' of X: categories that are negative numbers"):
        fit(X, Y, categorical_features=["floor"])


def test_negative_half_floats_of_arrow_are_warned_of_like_others():
    floors = np.random.default_rng(0).integers(-5, 9, 200)
    for values in (pa.array(floors.astype(np.float16)), pa.array(floors)):
        X = pa.table({"floor": values, "x": pa.array(np.arange(200) / 7)})
        with pytest.warns(UserWarning, match="Column 'floor' of X: categories that are negative numbers"):
            FSMDClassifier(**SMALL, categorical_features=["floor"]).fit(X, floors % 2)


@pytest.mark.parametrize(
    "selector", [["user"], [True, False, False], lambda X: ["user"]], ids=["names", "mask", "call"]
)
def test_warns_of_a_category_dtype_that_the_selection_of_categories_leaves_out(selector):
    random = np.random.RandomState(0)
    X = pd.DataFrame({"user": random.randint(20, size=300), "hour": random.randint(24, size=300), "price": 0.5})
    Y = (X["hour"] < 12).astype(int).rename("click")
    of_dtype = X.astype({"hour": "category"})
    message = (
        r"Column 'hour' of X: the dtype is category, but `categorical_features` does not select it.*Add \['hour'\]"
        r".*X\.astype\({'hour': 'float'}\)"
    )
    with pytest.warns(UserWarning, match=message):
        model = fit(of_dtype, Y, categorical_features=selector)
    assert list(model._encoder.main.numeric) == [1, 2]
    fit(X, Y, categorical_features=selector)
    fit(of_dtype, Y, categorical_features=["user", "hour"])
    fit(of_dtype.astype({"hour": "float"}), Y, categorical_features=selector)


def test_warns_of_ids_in_lists_that_became_floats():
    random = np.random.RandomState(0)
    items = random.randint(100, size=(300, 3))
    Y = (items[:, 0] < 50).astype(int)
    X = pd.DataFrame({"price": random.uniform(size=300), "last": items.astype(float).tolist()})
    message = (
        r"Column 'last' of X: lists of floats that are whole numbers, .* pass list_features=\['last'\].*"
        r"vector_features=\['last'\]"
    )
    with pytest.warns(UserWarning, match=message):
        fit(X, Y)
    fit(X, Y, list_features=["last"])
    fit(X, Y, vector_features=["last"])
    fit(X.assign(last=(items / 7).tolist()), Y)
    fit(X.assign(last=(items % 2).astype(float).tolist()), Y)  # flags
