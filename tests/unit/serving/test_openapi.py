from __future__ import annotations

import json

import pytest

from serving import openapi
from tests.unit.serving import bundles


@pytest.fixture
def document(model):
    return json.loads(json.dumps(openapi.document(model, 1000)))


def test_record_has_the_real_names_ranges_and_examples(document):
    record = document["components"]["schemas"]["Record"]
    assert record["required"] == [spec["name"] for spec in bundles.INPUTS]
    fields = record["properties"]
    assert fields["distance"] == {
        "type": "integer", "description": "distance, in miles", "minimum": 0, "maximum": 10000, "examples": [1400]
    }  # fmt: skip
    assert fields["temp"]["type"] == ["number", "null"]
    assert fields["origin"]["enum"] == bundles.ORIGINS
    assert "enum" not in fields["carrier"]
    assert fields["carrier"]["maxLength"] == 20
    assert fields["scheduled_departure"]["format"] == "date-time"
    assert record["examples"] == [bundles.ROW]


def test_every_reference_leads_somewhere(document):
    schemas = document["components"]["schemas"]

    def walk(node):
        if isinstance(node, dict):
            if "$ref" in node:
                assert node["$ref"].removeprefix("#/components/schemas/") in schemas
            node = list(node.values())
        if isinstance(node, list):
            for item in node:
                walk(item)

    walk(document["paths"])
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(set(names)) == len(names)


def test_the_example_is_answered_and_so_is_that_of_the_tensors(serve):
    async def scenario(service):
        document = (await service.ask("GET", "/openapi.json")).json
        schemas = document["components"]["schemas"]
        assert (await service.predict(schemas["Record"]["examples"][0])).status == 200
        tensors = json.dumps(schemas["Tensors"]["examples"][0]).encode()
        assert (await service.ask("POST", "/v2/models/flights/infer", tensors)).status == 200
        for path, methods in document["paths"].items():
            for method in methods:
                assert (await service.ask(method.upper(), path)).status not in {404, 405, 500}

    serve(scenario)


def test_an_input_without_example_gets_one_that_is_answered(tmp_path, serve):
    inputs = [{key: value for key, value in spec.items() if key != "example"} for spec in bundles.INPUTS]
    folder = bundles.write(tmp_path / "bare", inputs=inputs)

    async def scenario(service):
        record = (await service.ask("GET", "/openapi.json")).json["components"]["schemas"]["Record"]["examples"][0]
        assert (await service.predict(record)).status == 200

    serve(scenario, at=folder)
