"""The document tells the truth: every endpoint, each example valid against its schema."""

import copy

import jsonschema
import pytest

from remit.server.bodies import NewCall
from remit.server.documents import NEW_CALL
from tests.server.answers import hold, validator


def operations(document):
    return [(method, path, item[method]) for path, item in document["paths"].items() for method in item]


def examples(document):
    """Find (name, example, schema) of every body that goes in or out."""
    for method, path, operation in operations(document):
        bodies = {"in": operation["requestBody"], **operation["responses"]} if "requestBody" in operation else operation["responses"]
        for place, body in bodies.items():
            for content in body["content"].values():
                for name, example in content.get("examples", {}).items():
                    yield f"{method} {path} {place} {name}", example["value"], content["schema"]


async def test_every_example_is_valid(door):
    document = door.app.openapi()
    found = list(examples(document))
    assert len(found) > 50
    for name, example, schema in found:
        assert not list(validator(document, schema).iter_errors(example)), name
    NewCall.model_validate(NEW_CALL)


async def test_the_control_of_the_examples_a_wrong_one_is_found(door):
    document = copy.deepcopy(door.app.openapi())
    _, example, schema = next(one for one in examples(document) if one[0].endswith("200 succeeded"))
    example["state"] = "refunded"
    assert list(validator(document, schema).iter_errors(example))


async def test_every_endpoint_is_documented(door):
    document = door.app.openapi()
    assert document["openapi"].startswith("3.1")
    assert set(document["components"]["securitySchemes"]) == {"key"}
    for method, path, operation in operations(document):
        assert operation["summary"], path
        assert operation["description"], path
        assert operation["operationId"].islower(), path
        assert ("security" in operation) == (path != "/healthz")
        statuses = set(operation["responses"])
        assert {"503"} <= statuses if path == "/healthz" else {"401", "403", "422", "500", "503"} <= statuses
        assert method == "get" or {"400", "408", "413", "415"} <= statuses
        for parameter in operation.get("parameters", []):
            assert parameter["in"] == "path" or "description" in parameter or parameter["name"] == "limit"


async def test_the_document_needs_no_key_and_has_every_reference(door):
    async with door.client(None) as client:
        document = (await client._transport.inner.handle_async_request(client.build_request("GET", "/openapi.json"))).stream
        text = b"".join([chunk async for chunk in document]).decode()
    for reference in {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}:
        assert reference in door.app.openapi()["components"]["schemas"], reference


async def test_the_control_of_every_answer_an_undocumented_one_is_found(door):
    async with door.client() as client:
        response = await client.get("/healthz")
    document = copy.deepcopy(door.app.openapi())
    hold(document, "GET", "/healthz", response)
    del document["paths"]["/healthz"]["get"]["responses"]["200"]
    with pytest.raises(AssertionError, match="answered 200"):
        hold(document, "GET", "/healthz", response)
    document = copy.deepcopy(door.app.openapi())
    document["components"]["schemas"]["HealthBody"]["required"].append("mood")
    with pytest.raises(jsonschema.ValidationError, match="mood"):
        hold(document, "GET", "/healthz", response)
