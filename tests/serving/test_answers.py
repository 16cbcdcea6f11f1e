"""The answers of the server equal the predictions of the model."""

import asyncio
import importlib
import json
from types import SimpleNamespace

import httpx
import numpy as np
import pandas as pd

from sklearn_fsmd.ranking import weighted_product
from tests.serving.conftest import TOP
from tests.serving.process import EXAMPLES


def column(rows, *keys):
    for key in keys:
        rows = [row[key] for row in rows]
    return np.array(rows)


def test_scores_equal_the_predictions_of_the_model(server, trained):
    answer = server.post("/score", {"rows": trained.rows})
    assert answer.status_code == 200, answer.text
    rows, model, X = answer.json()["rows"], trained.model, trained.X
    p, conditionals = model.predict_marginals(X), model.predict_conditionals(X)
    for k, name in enumerate(["click", "conversion"]):
        np.testing.assert_allclose(column(rows, "probabilities", name), p[:, k], rtol=0, atol=1e-5)
        np.testing.assert_allclose(column(rows, "conditionals", name), conditionals[:, k], rtol=0, atol=1e-5)
    values = model.predict_values(X)[:, 0]
    assert values.std() > 0.1
    np.testing.assert_allclose(column(rows, "values", "seconds"), values, rtol=1e-5)
    score = model.rank_score(X, [1.0, 0.5, 0.25])
    np.testing.assert_allclose(column(rows, "rank_score"), score, rtol=1e-4)
    assert p.std(axis=0).min() > 0.01


def test_scores_of_a_row_alone_and_twice(server, trained):
    rows = trained.rows
    whole = server.post("/score", {"rows": rows}).json()["rows"]
    alone = server.post("/score", {"rows": rows[3:4]}).json()["rows"]
    twice = server.post("/score", {"rows": [rows[3], rows[3]]}).json()["rows"]
    np.testing.assert_allclose(alone[0]["probabilities"]["click"], whole[3]["probabilities"]["click"], atol=1e-6)
    assert twice[0] == twice[1]


def test_candidates_are_ordered_by_their_rank_score(server, trained):
    answer = server.post("/rank", {"rows": trained.rows}).json()
    score = trained.model.rank_score(trained.X, [1.0, 0.5, 0.25])
    np.testing.assert_allclose(answer["scores"], score, rtol=1e-4)
    np.testing.assert_allclose(score[answer["order"]], np.sort(score)[::-1], rtol=1e-4)
    assert sorted(answer["order"]) == list(range(len(trained.rows)))
    assert answer["weights"] == {"click": 1.0, "conversion": 0.5, "seconds": 0.25}


def test_a_request_can_set_the_weights(server, trained):
    weights = {"click": 2, "seconds": -0.5}
    answer = server.post("/rank", {"rows": trained.rows, "weights": weights}).json()
    np.testing.assert_allclose(answer["scores"], trained.model.rank_score(trained.X, [2.0, 0.0, -0.5]), rtol=1e-4)
    assert answer["weights"] == {"click": 2.0, "conversion": 0.0, "seconds": -0.5}
    assert server.post("/rank", {"rows": trained.rows, "weights": None}).status_code == 200
    for extreme in (1000, -1000):
        answer = server.post(
            "/rank", {"rows": trained.rows, "weights": {"click": extreme, "conversion": extreme}}
        ).json()
        product = trained.model.predict_marginals(trained.X).astype(float).prod(axis=1)
        np.testing.assert_allclose(product[answer["order"]], np.sort(product)[:: -int(np.sign(extreme))], rtol=1e-4)


def test_equal_candidates_keep_their_order(server, trained):
    answer = server.post("/rank", {"rows": trained.rows[:1] * 5}).json()
    assert answer["order"] == [0, 1, 2, 3, 4]


def test_requests_without_rows_are_answered(server):
    assert server.post("/score", {"rows": []}).json()["rows"] == []
    assert server.post("/rank", {"rows": []}).json()["order"] == []


def scores_of(server, row, **others):
    rows = [{**row, name: value} for name, values in others.items() for value in values]
    answer = server.post("/score", {"rows": rows})
    assert answer.status_code == 200, answer.text
    return [row["probabilities"]["click"] for row in answer.json()["rows"]]


def test_ids_may_be_numbers_or_strings(server, trained):
    row = trained.rows[0]
    top, other, unknown, also_unknown, missing = scores_of(server, row, user=[str(TOP), str(TOP - 1), "5", 5, None])
    assert len({round(p, 6) for p in (top, other, unknown)}) == 3
    assert unknown == also_unknown == missing
    first, second = scores_of(server, row, seen=[[str(TOP)], [str(TOP - 1)]])
    assert first != second
    scores_of(server, row, user=["-9223372036854775808", "9223372036854775807", 2**53, -(2**53), 5.0, "0"])


def test_flags_nulls_strings_and_lists(server, trained):
    row = trained.rows[0]
    yes, also_yes, no, missing = scores_of(server, row, member=[True, 1, False, None])
    assert yes == also_yes
    assert len({yes, no, missing}) == 3
    null, unseen, nul, short = scores_of(server, row, city=[None, "Oslo", "a\0b", "a"])
    assert unseen == short
    assert len({null, unseen, nul}) == 3
    absent, empty, of_nulls, joined = scores_of(server, row, tags=[None, [], [None, None], "||"])
    assert absent == empty == of_nulls == joined
    parts, whole, letters = scores_of(server, row, tags=[["b", "c"], "b||c", ["b|c"]])
    assert parts == whole != letters


def test_columns_that_predictions_do_not_need_are_ignored(server, trained):
    with_position = [{**row, "position": "anything"} for row in trained.rows[:2]]
    expected = server.post("/score", {"rows": trained.rows[:2]}).json()
    assert server.post("/score", {"rows": with_position}).json() == expected


def test_health_and_readiness(server):
    assert server.get("/health").json() == {"status": "ok"}
    ready = server.get("/ready")
    assert ready.status_code == 200
    assert ready.json() == {"ready": True, "model": ready.json()["model"], "error": None}
    assert len(ready.json()["model"]) == 12


def test_metrics_count_rows_and_requests(server, trained):
    names = (
        'serving_rows_total{path="/score"}',
        'serving_requests_total{path="/score",status="200"}',
        'serving_requests_total{path="/score",status="422"}',
        'serving_request_seconds_count{path="/score"}',
    )
    before = [server.metric(name) for name in names]
    server.post("/score", {"rows": trained.rows[:7]})
    server.post("/score", {"rows": [1]})
    assert [server.metric(name) - old for name, old in zip(names, before, strict=True)] == [7, 1, 1, 2]
    server.get("/secret/17")
    assert "secret" not in server.get("/metrics").text
    assert server.metric('serving_requests_total{path="other",status="404"}') >= 1


def test_the_openapi_page_describes_the_columns_of_the_file(server):
    page = server.get("/openapi.json").json()
    row = page["components"]["schemas"]["Row"]
    assert row["required"] == ["user", "city", "grade", "member", "price", "tags", "seen", "v"]
    assert set(row["properties"]) == {*row["required"], "position"}
    assert row["additionalProperties"] is False
    kinds = {name: [option["type"] for option in row["properties"][name]["anyOf"]] for name in ("tags", "seen")}
    assert kinds == {"tags": ["array", "string", "null"], "seen": ["array", "null"]}
    vector, null = row["properties"]["v"]["anyOf"]
    assert (vector["minItems"], vector["maxItems"], null) == (3, 3, {"type": "null"})
    assert "9223372036854775807" in json.dumps(row["properties"]["user"])
    assert page["components"]["schemas"]["ScoreRequest"]["properties"]["rows"]["maxItems"] == 200
    assert "expected values of seconds" in page["info"]["description"]
    assert server.get("/docs").status_code == 200


def test_a_failure_of_the_server_is_answered_and_counted(trained, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    from serving.app import create_app
    from serving.settings import Settings
    from serving.traffic import Traffic

    monkeypatch.setattr("serving.answers.score", lambda model, rows: 1 / 0)
    traffic = Traffic()
    app = create_app(Settings(trained.path), traffic)

    async def ask():
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://it") as client,
        ):
            answer = await client.post("/score", json={"rows": trained.rows[:1]})
            return answer, traffic.answered, (await client.get("/metrics")).text

    answer, n_answered, metrics = asyncio.run(ask())
    assert (answer.status_code, answer.json()) == (500, {"detail": "The server failed; its log says why."})
    assert n_answered == 1
    assert 'path="/score",status="500"' in metrics


def test_a_factor_of_zero_makes_the_product_zero(monkeypatch):
    """As in `rank_score`; the expected value of a product may be 0 or less."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    answers = importlib.import_module("serving.answers")
    p, values = np.float32([[0.5, 0.1], [0.4, 0.2], [0.3, 0.1]]), np.float32([[-3.0], [2.0], [0.0]])
    outputs = {"marginals": p, "conditionals": p, "values": values, "rank_score": np.ones(3)}
    monkeypatch.setattr(answers, "inputs_of_rows", lambda *_: {})
    names = {"task_names": ["click", "conversion"], "value_names": ["euros"]}
    names["factor_names"] = names["task_names"] + names["value_names"]
    model = SimpleNamespace(columns=[], not_needed=[], version="1", run=lambda _: outputs, **names)
    for weights in ({"click": 1.0, "euros": 1.0}, {"click": 2.0, "euros": 0.5}):
        answer = answers.rank(model, [{}] * 3, weights)
        factors = pd.DataFrame(np.hstack([p, values]), columns=model.factor_names)
        np.testing.assert_allclose(answer["scores"], weighted_product(factors, weights), rtol=1e-6)
        assert answer["order"] == [1, 0, 2]
