"""Predictions in the browser equal those in Python, for the shop and for every kind of column."""

import re

import numpy as np
import pytest

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.export import to_onnx
from tests.conftest import SMALL, make_frame
from tests.export.files import plain
from web.build import described_columns
from web.tests.conftest import frame

SCORE = """async ([file, columns, rows]) => {
  const { openModel } = await import("./model.js");
  return (await openModel(new URL(file, location), columns)).score(rows);
}"""


def check(page, model, file, columns, rows, X):
    """Check that marginals and conditionals in the browser equal those of the model in Python."""
    result = page.evaluate(SCORE, [file, columns, rows])
    assert len(result["marginals"]) == len(X)
    np.testing.assert_allclose(result["marginals"], model.predict_marginals(X), rtol=0, atol=1e-5)
    np.testing.assert_allclose(result["conditionals"], model.predict_conditionals(X), rtol=0, atol=1e-5)


def test_all_candidates(page, site):
    assert len(site.rows) == 24 * 24
    check(page, site.model, "model.onnx", site.shop["columns"], site.rows, frame(site, site.rows))


@pytest.mark.filterwarnings("ignore:.*unknown:UserWarning")
def test_unseen_and_missing(page, site):
    """Two rows per column: with null, and with a value that was not seen in fit."""
    seen = site.rows[0]
    unseen = {"string": "ünseen", "int64": str(2**63 - 1), "double": 1e30}
    rows = [{**seen, c["name"]: value} for c in site.shop["columns"] for value in (None, unseen[c["type"]])]
    in_python = [{k: int(v) if isinstance(v, str) and v.isdigit() else v for k, v in row.items()} for row in rows]
    check(page, site.model, "model.onnx", site.shop["columns"], rows, frame(site, in_python))


def test_every_kind_of_column(page, site):
    """Ids near 2^63, flags, missing values, lists and vectors."""
    X, Y = make_frame(300)
    random = np.random.RandomState(0)
    ids = [2**63 - 1 - i for i in range(20)]
    X["user"] = random.choice(np.array(ids, object), len(X))
    X = X.astype({"user": "category"})
    X["tags"] = [random.choice(["a", "b", "c"], random.randint(4)).tolist() or None for _ in range(len(X))]
    X["last"] = [[ids[i] for i in random.randint(20, size=random.randint(4))] for _ in range(len(X))]
    X["picture"] = [None if i % 7 == 0 else random.normal(size=3).tolist() for i in range(len(X))]
    model = FSMDClassifier(**SMALL, shared_embeddings={"last": "user"}).fit(X, Y)
    to_onnx(model, site.folder / "kinds.onnx")
    columns = described_columns(site.folder / "kinds.onnx")
    assert {column["holds"] for column in columns} == {"categories", "numbers", "lists", "vectors"}
    by_column = plain(X)
    by_column["user"] = [str(user) for user in by_column["user"]]
    by_column["last"] = [[str(item) for item in items] for items in by_column["last"]]
    rows = [dict(zip(by_column, values, strict=True)) for values in zip(*by_column.values(), strict=True)]
    check(page, model, "kinds.onnx", columns, rows, X)


INPUTS = """async ([columns, rows]) => {
  const { inputs } = await import("./inputs.js");
  try { inputs(columns, rows); } catch (error) { return `${error.name}: ${error.message}`; }
}"""
COLUMN = {"name": "c", "holds": "categories", "missing": ""}


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ({"type": "string"}, 5, "5 is no string"),
        ({"type": "int64", "missing": -1}, 2**53 + 2, r"is no whole number. Beyond 2\^53 use a string of digits"),
        ({"type": "int64", "missing": -1}, 1.5, "1.5 is no whole number"),
        ({"type": "int64", "missing": -1}, str(2**63), f"{2**63} is no whole number"),
        ({"type": "int64", "missing": -1}, "", "is no whole number"),
        ({"type": "double", "holds": "numbers"}, "1", "1 is no number"),
        ({"type": "double", "holds": "numbers"}, 1e39, r"1e\+39 is no number of 32 bits"),
        ({"type": "string", "holds": "lists", "offsets": "c_offsets"}, "a", "a is no list"),
        ({"type": "float", "holds": "vectors", "width": 3}, [1, 2], "2 numbers instead of 3"),
    ],
)
def test_what_a_column_cannot_hold_is_refused(page, column, value, message):
    result = page.evaluate(INPUTS, [[COLUMN | column], [{"c": None}, {"c": value}]])
    assert re.search(f"TypeError: Row 1, column 'c': .*{message}", result), result


def test_an_absent_column_is_refused(page):
    result = page.evaluate(INPUTS, [[COLUMN | {"type": "string"}], [{"d": "x"}]])
    assert result == "TypeError: Row 0, column 'c': the value is absent. Use null where it is missing."
