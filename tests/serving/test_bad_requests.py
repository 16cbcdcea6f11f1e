"""Bad requests: each is refused with a status and a sentence that gives the reason, and none with 500."""

import json
import socket
import time

import pytest

from tests.serving.process import EXAMPLES

BAD_VALUES = {
    "a word as a number": ("price", "abc", '"abc" is no number. Send a number, or null where it is missing.'),
    "a number in quotes": ("price", "1.5", '"1.5" is no number.'),
    "a flag as a number": ("price", True, "true is no number."),
    "a list as a number": ("price", [1], "[1] is no number."),
    "too large a number": ("price", 1e39, "1e+39 is too large for a float of 32 bits."),
    "too large an integer": ("price", 10**400, "a float of 32 bits."),
    "a number as a string": ("city", 5, '5 is no string. Send "5".'),
    "an object as a string": ("city", {"a": 1}, '{"a": 1} is no string.'),
    "a lone surrogate": ("city", "\ud800", '"\\ud800" is no valid Unicode'),
    "a fraction as an id": ("user", 5.5, "5.5 is no whole number of 64 bits."),
    "a word as an id": ("user", "abc", '"abc" is no whole number of 64 bits.'),
    "a padded id": ("user", "007", '"007" is no whole number of 64 bits.'),
    "an id with a line break": ("user", "7\n", '"7\\n" is no whole number of 64 bits.'),
    "an id of other digits": ("user", "١٢", "is no whole number of 64 bits."),
    "an id beyond 64 bits": ("user", "9223372036854775808", "is no whole number of 64 bits."),
    "an id below 64 bits": ("user", "-9223372036854775809", "is no whole number of 64 bits."),
    "an id that was rounded": ("user", 2**53 + 2, "9007199254740994 is beyond 2^53, where clients round numbers."),
    "a word as a grade": ("grade", "0.5", '"0.5" is no number.'),
    "a word as a list": ("seen", "1|2", '"1|2" is no list. Send a list, or null where it is missing.'),
    "a number as a joined list": ("tags", 5, '5 is no list. Send a list, or a string with "|" between the values, or'),
    "a lone surrogate in a joined list": ("tags", "a|\ud800", 'in the list, "\\ud800" is no valid Unicode'),
    "a number in a list of strings": ("tags", ["a", 5], 'in the list, 5 is no string. Send "5".'),
    "a fraction in a list of ids": ("seen", ["1", 2.5], "in the list, 2.5 is no whole number"),
    "a short vector": ("v", [1, 2], "it holds a list of 2. Send a list of 3 numbers, or null where it is missing."),
    "a number as a vector": ("v", 3, "it holds 3. Send a list of 3 numbers"),
    "null in a vector": ("v", [1, None, 3], "in the list, null is no number."),
    "a word in a vector": ("v", [1, "2", 3], 'in the list, "2" is no number.'),
    "a long string": ("price", "x" * 10_000, "x... is no number."),
}


@pytest.mark.parametrize(("column", "value", "text"), BAD_VALUES.values(), ids=BAD_VALUES)
@pytest.mark.parametrize("path", ["/score", "/rank"])
def test_a_bad_value_is_named_with_row_and_column(path, column, value, text, server, trained):
    rows = [dict(row) for row in trained.rows[:5]]
    rows[3][column] = value
    answer = server.post(path, json.dumps({"rows": rows}).encode())
    assert answer.status_code == 422, answer.text
    content = answer.json()
    assert (content["row"], content["column"]) == (3, column)
    assert content["detail"].startswith(f"Row 3, column {column!r}: ")
    assert text in content["detail"]
    assert len(content["detail"]) < 300


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("column", ["price", "user", "city", "v", "seen"])
def test_words_that_are_not_json_numbers_are_refused(word, column, server, trained):
    """Python's parser takes these words, but no column does."""
    value = f"[{', '.join([word] * 3)}]" if column in ("v", "seen") else word
    body = json.dumps({"rows": [{**trained.rows[0], column: "HERE"}]}).replace('"HERE"', value)
    answer = server.post("/score", body.encode())
    assert answer.status_code == 422, answer.text
    assert (answer.json()["row"], answer.json()["column"]) == (0, column)


def test_missing_and_unknown_columns_are_named(server, trained):
    rows = [dict(row) for row in trained.rows[:3]]
    del rows[1]["price"]
    answer = server.post("/score", {"rows": rows})
    text = "Row 1 has no column 'price'. Send it, with null where its value is missing."
    assert (answer.status_code, answer.json()) == (422, {"detail": text, "row": 1, "column": "price"})
    rows = [*trained.rows[:2], {**trained.rows[2], "prize": 1}]
    answer = server.post("/score", {"rows": rows})
    text = "Row 2 has the unknown column \"prize\". Did you mean 'price'?"
    assert (answer.status_code, answer.json()) == (422, {"detail": text, "row": 2, "column": "prize"})
    answer = server.post("/score", json.dumps({"rows": [{**trained.rows[2], "\ud800": 1}]}).encode())
    assert answer.status_code == 422
    answer = server.post("/score", {"rows": [trained.rows[0], [1, 2]]})
    assert (answer.status_code, answer.json()["row"]) == (422, 1)


BODIES = {
    "empty": (b"", 400, "no JSON that can be read"),
    "truncated": (b'{"rows": [', 400, "no JSON that can be read"),
    "a list": (b"[]", 422, "The body is no object."),
    "no rows": (b"{}", 422, 'The body has no list "rows".'),
    "rows that are no list": (b'{"rows": {}}', 422, 'The body has no list "rows".'),
    "another field": (b'{"rows": [], "row": 1}', 422, 'The body has the unknown field "row".'),
    "a row that is null": (b'{"rows": [null]}', 422, "Row 0 is null."),
    "a key twice": (b'{"rows": [{"price": 1, "price": 2}]}', 400, 'an object has the key "price" twice'),
    "nested": (b"[" * 100_000, 400, "nested too deeply"),
    "an integer of 5000 digits": (b'{"rows": [{"price": ' + b"1" * 5000 + b"}]}", 400, "no JSON that can be read"),
    "other bytes": (b'{"rows": ["\xff"]}', 400, "The body is no UTF-8: its byte 11 cannot be read."),
    "UTF-16": ('{"rows": []}'.encode("utf-16"), 400, "The body is no UTF-8"),
    "10 MB": (b'{"rows": [' + b" " * 10 * 2**20 + b"]}", 413, "The body has more than 4,194,304 bytes."),
    "201 rows": (b'{"rows": [' + b"1," * 200 + b"1]}", 422, "The request has 201 rows. Send 200 at most."),
}


@pytest.mark.parametrize(("body", "status", "text"), BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("path", ["/score", "/rank"])
def test_bad_bodies_are_refused(path, body, status, text, server):
    answer = server.post(path, body)
    assert answer.status_code == status, answer.text
    assert text in answer.json()["detail"]


WEIGHTS = {
    "no object": ([1, 1], "`weights` is [1, 1]. Send an object such as"),
    "an unknown name": ({"clicks": 1}, '`weights` names "clicks". The names are "click", "conversion", "seconds".'),
    "a word": ({"click": "1"}, 'The weight of "click" is "1". Send a number from −1000 to 1000.'),
    "a flag": ({"click": True}, 'The weight of "click" is true.'),
    "NaN": ({"click": float("nan")}, 'The weight of "click" is NaN.'),
    "a large number": ({"click": 1e6}, 'The weight of "click" is 1000000.0.'),
    "zeros": ({"click": 0, "seconds": 0.0}, "All `weights` are 0, so there is nothing to rank by."),
    "an empty object": ({}, "All `weights` are 0, so there is nothing to rank by."),
}


@pytest.mark.parametrize(("weights", "text"), WEIGHTS.values(), ids=WEIGHTS)
def test_bad_weights_are_refused(weights, text, server, trained):
    answer = server.post("/rank", json.dumps({"rows": trained.rows[:2], "weights": weights}).encode())
    assert answer.status_code == 422
    assert text in answer.json()["detail"]


def test_other_content_types_are_refused(server):
    def status(kind, **more):
        headers = {"Content-Type": kind, **more}
        return server.client.post("/score", content=b'{"rows": []}', headers=headers).status_code

    assert status("application/json; charset=utf-8") == status("Application/JSON") == 200
    for kind in ("text/plain", "", "application/x-www-form-urlencoded", "application/json; charset=latin-1", "a/b;c=d"):
        assert status(kind) == 415
    assert status("application/json", **{"Content-Encoding": "gzip"}) == 415
    answer = server.client.post("/score", content=b"x", headers={"Content-Type": "text/plain"})
    assert answer.json()["detail"] == 'The content type is "text/plain". Send JSON as application/json.'


def test_other_paths_and_methods_are_refused(server):
    assert server.get("/nothing").status_code == 404
    assert server.get("/score").status_code == 405
    assert server.post("/health", {}).status_code == 405


def test_a_body_that_does_not_arrive_times_out(trained, start):
    server = start(trained.path, body_seconds=0.3)
    host, port = server.url.removeprefix("http://").split(":")
    head = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head)
        assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head)  # the client closes the connection before the body is complete
    assert server.post("/score", {"rows": trained.rows}).status_code == 200
    assert "Traceback" not in server.log()


def test_no_request_above_caused_a_server_error(server):
    assert 'status="500"' not in server.get("/metrics").text
    assert "Traceback" not in server.log()


def test_a_duplicate_key_is_found_in_linear_time(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    from serving.body import _object_with_unique_keys

    pairs = [(f"k{i}", 1) for i in range(200_000)]
    start = time.perf_counter()
    with pytest.raises(ValueError, match='the key "k199999" twice'):
        _object_with_unique_keys([*pairs, pairs[-1]])
    assert time.perf_counter() - start < 5  # comparing all pairs takes minutes
