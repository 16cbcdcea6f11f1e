"""The OpenAPI page, made from the columns and targets of the model file."""

from typing import Any

from serving.answers import LARGEST_WEIGHT
from serving.columns import EXACT, INTEGER, LARGEST
from serving.model_file import ModelFile
from serving.settings import Settings

Schema = dict[str, Any]

WHOLE = {
    "anyOf": [
        {"type": "integer", "minimum": -EXACT, "maximum": EXACT},
        {"type": "string", "pattern": f"^({INTEGER})$"},
        {"type": "boolean"},
    ]
}
NUMBER = {"type": "number", "minimum": -LARGEST, "maximum": LARGEST}
VALUES: dict[str, Schema] = {"string": {"type": "string"}, "int64": WHOLE, "double": NUMBER, "float": NUMBER}
REFUSALS = {
    "400": "The body is no JSON.",
    "408": "The body did not arrive in time.",
    "413": "The body has too many bytes.",
    "415": "The content type is not application/json.",
    "422": "There are too many rows, or a value that its column cannot hold. The answer names row and column.",
    "503": "No model is loaded.",
}


def page_of(model: ModelFile | None, settings: Settings) -> Schema:
    """Return the page; without a model its rows are any objects."""
    version = "no model" if model is None else model.version
    return {
        "openapi": "3.1.0",
        "info": {"title": "A model of sklearn_fsmd", "version": version, "description": _description(model)},
        "paths": {
            "/score": {"post": _post_operation("Score rows", "ScoreRequest", "Scores")},
            "/rank": {"post": _post_operation("Order candidates, the best first", "RankRequest", "Order")},
            "/health": {"get": _get_operation("Whether the process runs", "Health")},
            "/ready": {"get": _get_operation("Whether requests should be sent here", "Ready", "503")},
            "/metrics": {
                "get": {
                    "summary": "Metrics for Prometheus",
                    "responses": {"200": {"description": "Text", "content": {"text/plain": {}}}},
                }
            },
        },
        "components": {"schemas": _schemas(model, settings)},
    }


def _description(model: ModelFile | None) -> str:
    if model is None:
        return "No model is loaded."
    probabilities = f"Probabilities of {', '.join(model.task_names)}"
    return probabilities + (f"; expected values of {', '.join(model.value_names)}." if model.value_names else ".")


def _schemas(model: ModelFile | None, settings: Settings) -> dict[str, Schema]:
    tasks, values = ([], []) if model is None else (model.task_names, model.value_names)
    rows = {"type": "array", "maxItems": settings.max_rows, "items": _ref("Row")}
    row_of_scores = _object(
        {
            "probabilities": _named(tasks, {"type": "number", "minimum": 0, "maximum": 1}),
            "conditionals": _named(tasks, {"type": "number", "minimum": 0, "maximum": 1}),
            "values": _named(values, {"type": "number"}),
            "rank_score": {"type": "number", "minimum": 0},
        }
    )
    used = _named([*tasks, *values], {"type": "number"})
    positions = {"type": "array", "items": {"type": "integer", "minimum": 0}}
    numbers = {"type": "array", "items": {"type": "number", "minimum": 0}}
    text, or_null = {"type": "string"}, {"type": ["string", "null"]}
    return {
        "Row": _row(model),
        "ScoreRequest": _object({"rows": rows}),
        "RankRequest": {**_object({"rows": rows, "weights": _weights([*tasks, *values])}), "required": ["rows"]},
        "Scores": _object({"model": text, "rows": {"type": "array", "items": row_of_scores}}),
        "Order": _object({"model": text, "weights": used, "order": positions, "scores": numbers}),
        "Health": _object({"status": text}),
        "Ready": _object({"ready": {"type": "boolean"}, "model": or_null, "error": or_null}),
        "Refusal": {
            "type": "object",
            "properties": {"detail": text, "row": {"type": "integer"}, "column": text},
            "required": ["detail"],
        },
    }


def _row(model: ModelFile | None) -> Schema:
    if model is None:
        return {"type": "object"}
    properties = {column["name"]: _or_null(_column(column)) for column in model.columns}
    return {**_object({**properties, **{name: {} for name in model.not_needed}}), "required": list(properties)}


def _column(column: dict[str, Any]) -> Schema:
    value = VALUES[column["type"]]
    if column["holds"] == "lists":
        as_list = {"type": "array", "items": _or_null(value)}
        return as_list if column.get("separator") is None else {"anyOf": [as_list, value]}
    if column["holds"] == "vectors":
        return {"type": "array", "items": value, "minItems": column["width"], "maxItems": column["width"]}
    return value


def _weights(names: list[str]) -> Schema:
    """Return the schema of weights: a number for some of the names, at least one not 0; null for those of the file."""
    number = {"type": "number", "minimum": -LARGEST_WEIGHT, "maximum": LARGEST_WEIGHT}
    one_not_zero = [{"properties": {name: {"not": {"const": 0}}}, "required": [name]} for name in names]
    weights = {**_object(dict.fromkeys(names, number)), "required": []}
    return _or_null({**weights, "anyOf": one_not_zero} if one_not_zero else weights)


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [*(schema["anyOf"] if list(schema) == ["anyOf"] else [schema]), {"type": "null"}]}


def _named(names: list[str], value: Schema) -> Schema:
    return _object(dict.fromkeys(names, value))


def _object(properties: dict[str, Schema]) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(description: str, name: str) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": _ref(name)}}}


def _post_operation(summary: str, request: str, answer: str) -> Schema:
    refusals = {status: _answer(text, "Refusal") for status, text in REFUSALS.items()}
    body = {"required": True, "content": {"application/json": {"schema": _ref(request)}}}
    return {"summary": summary, "requestBody": body, "responses": {"200": _answer(answer, answer), **refusals}}


def _get_operation(summary: str, answer: str, *more_statuses: str) -> Schema:
    return {"summary": summary, "responses": {status: _answer(answer, answer) for status in ("200", *more_statuses)}}
