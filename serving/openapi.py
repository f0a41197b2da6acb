"""The OpenAPI 3.1 document of one model, drawn from its signature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serving import tensors

if TYPE_CHECKING:
    from serving.model import Model
    from serving.signature import Input, Output, Signature

_JSON_TYPES = {"number": "number", "integer": "integer", "boolean": "boolean", "string": "string", "datetime": "string"}
_REFUSALS = {
    "400": "Not JSON, or not the protocol",
    "408": "The body did not arrive in time",
    "413": "Too many bytes or rows",
    "415": "Media type or content coding that is not read here",
    "422": "Values that the signature refuses; names row and field",
    "503": "Not ready, or too busy",
}


def document(model: Model, max_rows: int) -> dict[str, Any]:
    """Describe the service."""
    signature, release = model.signature, model.release
    name = release.name
    return {
        "openapi": "3.1.0",
        "info": {
            "title": name,
            "version": release.version,
            "description": signature.description or f"Answers of the model {name}.",
            "x-slipway-bundle": f"sha256:{release.digest}",
        },
        "paths": {
            "/predict": {"post": _predict(signature)},
            f"/v2/models/{name}/infer": {"post": _infer(signature)},
            f"/v2/models/{name}/versions/{release.version}/infer": {"post": _infer(signature, "InVersion")},
            "/v2": {"get": _get("serverMetadata", "About this server")},
            f"/v2/models/{name}": {"get": _get("modelMetadata", "Inputs and outputs of the model")},
            f"/v2/models/{name}/ready": {"get": _get("modelReady", "Whether the model answers", unready=True)},
            "/v2/health/live": {"get": _get("serverLive", "Whether the server runs")},
            "/v2/health/ready": {"get": _get("serverReady", "Whether the server takes requests", unready=True)},
            "/metrics": {"get": _get("metrics", "Prometheus metrics", kind="text/plain")},
        },
        "components": {"schemas": _schemas(signature, max_rows)},
    }


def example(signature: Signature) -> dict[str, Any]:
    """One record made of the signature's examples."""
    return {column.name: _example(column) for column in signature.inputs}


def _schemas(signature: Signature, max_rows: int) -> dict[str, Any]:
    fields = {column.name: _field(column) for column in signature.inputs}
    columns = {name: {"type": "array", "items": field} | _many(max_rows) for name, field in fields.items()}
    return {
        "Record": _object(fields) | {"examples": [example(signature)]},
        "Records": _object({"records": {"type": "array", "items": _ref("Record")} | _many(max_rows)}),
        "Columns": _object({"columns": _object(columns)}),
        "Answer": _answer(signature),
        "Tensors": _tensors(signature),
        "TensorAnswer": {"type": "object", "required": ["model_name", "model_version", "outputs"]},
        "Problem": _problem(),
    }


def _field(column: Input) -> dict[str, Any]:
    kind: Any = _JSON_TYPES[column.type]
    field: dict[str, Any] = {"type": [kind, "null"] if column.nullable else kind}
    if column.description or column.unit:
        field["description"] = ", in ".join(filter(None, (column.description or column.name, column.unit)))
    if column.type in {"number", "integer"}:
        field["minimum"], field["maximum"] = column.bounds
    if column.type == "datetime":
        field["format"] = "date-time"
    if column.type == "string":
        field |= _text(column)
    return field | {"examples": [_example(column)]}


def _text(column: Input) -> dict[str, Any]:
    known = list(column.categories or ())
    if column.rejects:
        return {"enum": [*known, None] if column.nullable else known}
    # U+0000 ends a text for much of the software that would read it later.
    field: dict[str, Any] = {"pattern": "^[^\\u0000]*$"}
    if column.max_length is not None:
        field["maxLength"] = column.max_length
    return field | ({"x-known-values": known} if known else {})


def _example(column: Input) -> Any:
    if column.example is not None or column.nullable:
        return column.example
    low, high = column.bounds
    plain = {"boolean": False, "datetime": "2024-01-01T00:00:00", "string": (column.categories or ("text",))[0]}
    number = min(max(0.0, low), high)
    return plain.get(column.type, int(number) if column.type == "integer" else number)


def _answer(signature: Signature) -> dict[str, Any]:
    value = _value(signature.output)
    if signature.task == "multiclass":
        size = len(signature.output.classes or ())
        value = {"type": "array", "items": {"type": "number"}, "minItems": size, "maxItems": size}
    names = ["release", "version", "bundle", "output", "request_id"]
    fields: dict[str, Any] = {name: {"type": "string"} for name in names}
    fields["predictions"] = {"type": "array", "items": value, "description": "One per record, in order"}
    return {"type": "object", "properties": fields, "required": [*names, "predictions"]}


def _value(output: Output) -> dict[str, Any]:
    bounds = {"minimum": output.minimum, "maximum": output.maximum, "description": output.description}
    return {"type": "number"} | {key: value for key, value in bounds.items() if value is not None}


def _tensors(signature: Signature) -> dict[str, Any]:
    first = example(signature)
    inputs = [
        {"name": column.name, "shape": [1], "datatype": tensors.datatype(column), "data": [first[column.name]]}
        for column in signature.inputs
    ]
    tensor = {
        "type": "object",
        "required": ["name", "shape", "datatype"],
        "properties": {
            "name": {"enum": [column.name for column in signature.inputs]},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "datatype": {"type": "string"},
            "data": {"type": "array"},
        },
    }
    count = len(signature.inputs)
    each = {"type": "array", "items": tensor, "minItems": count, "maxItems": count, "description": "One per column"}
    fields = {"id": {"type": ["string", "null"]}, "inputs": each}
    return {"type": "object", "required": ["inputs"], "properties": fields, "examples": [{"inputs": inputs}]}


def _problem() -> dict[str, Any]:
    fields: dict[str, Any] = {name: {"type": "string"} for name in ("type", "title", "detail", "error", "request_id")}
    places = {"row": {"type": "integer"}, "field": {"type": "string"}}
    error = {"type": "object", "properties": {"code": {"type": "string"}, "message": {"type": "string"}, **places}}
    fields |= {"status": {"type": "integer"}, "errors": {"type": "array", "items": error}}
    return {"type": "object", "properties": fields, "required": ["type", "title", "status", "detail", "request_id"]}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def _many(max_rows: int) -> dict[str, int]:
    return {"minItems": 1, "maxItems": max_rows}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _content(schema: dict[str, Any], kind: str = "application/json") -> dict[str, Any]:
    return {kind: {"schema": schema}}


def _refusals(*codes: str) -> dict[str, Any]:
    content = _content(_ref("Problem"), "application/problem+json")
    return {code: {"description": _REFUSALS[code], "content": content} for code in codes}


def _predict(signature: Signature) -> dict[str, Any]:
    body = {"oneOf": [_ref("Records"), _ref("Columns"), _ref("Record")]}
    content = {"application/json": {"schema": body, "examples": {"one": {"value": example(signature)}}}}
    return {
        "operationId": "predict",
        "summary": signature.description or "Predict",
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"description": "The answers", "content": _content(_ref("Answer"))}}
        | _refusals(*_REFUSALS),
    }


def _infer(signature: Signature, suffix: str = "") -> dict[str, Any]:
    return {
        "operationId": f"infer{suffix}",
        "summary": "Open Inference Protocol v2; one tensor per column, JSON or binary",
        "description": signature.description or "",
        "requestBody": {"required": True, "content": _content(_ref("Tensors"))},
        "responses": {"200": {"description": "The answers", "content": _content(_ref("TensorAnswer"))}}
        | _refusals(*_REFUSALS),
    }


def _get(name: str, summary: str, *, unready: bool = False, kind: str = "application/json") -> dict[str, Any]:
    responses: dict[str, Any] = {"200": {"description": summary, "content": _content({}, kind)}}
    return {"operationId": name, "summary": summary, "responses": responses | (_refusals("503") if unready else {})}
