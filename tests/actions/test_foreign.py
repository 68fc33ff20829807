"""Actions from somebody else's JSON Schema: the same strictness, and no schema or input that holds the process."""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.actions import Action, Arguments, Context, Problem, Subject, per_call
from remit.errors import DefinitionError

SAID = {"description": "Act.", "key": per_call, "owns": None, "owns_reason": "a test"}
FUNCTIONS = Path(__file__).resolve().parents[2].parent / "shared" / "testbeds" / "schemas" / "functions.json"


async def echo(**arguments: Any) -> Any:
    return arguments


def make(schema: Mapping[str, Any], handler: Any = echo, **declared: Any) -> Action:
    return Action.from_schema("act", schema, handler, **{**SAID, **declared})


def of(properties: Mapping[str, Any], **more: Any) -> Action:
    return make({"type": "object", "properties": properties, **more})


ORDER = of(
    {
        "id": {"type": "string", "pattern": "^ord_[0-9]+$", "x-remit": "public"},
        "weight": {"type": "number", "minimum": 0.5, "multipleOf": 0.1, "description": "In kilograms."},
        "count": {"type": ["integer", "null"], "maximum": 9},
        "at": {"type": "string", "format": "date-time"},
        "speed": {"enum": ["slow", "fast"], "default": "slow"},
        "pin": {"type": "string", "minLength": 4, "x-remit": "secret"},
        "lines": {"type": "array", "uniqueItems": True, "items": {"$ref": "#/$defs/line"}},
    },
    required=["id"],
    **{
        "$defs": {
            "line": {
                "type": "object",
                "properties": {"sku": {"type": "string"}, "price": {"type": "number"}},
                "required": ["sku"],
                "additionalProperties": False,
            }
        }
    },
)


def test_the_schema_of_a_model_and_of_rules():
    assert ORDER.schema["additionalProperties"] is False
    assert ORDER.schema["properties"]["count"] == {"anyOf": [{"type": "integer", "maximum": 9}, {"type": "null", "maximum": 9}]}
    assert ORDER.schema["properties"]["weight"]["minimum"] == 0.5
    assert "x-remit" not in json.dumps(ORDER.schema)
    assert ORDER.rules_schema["properties"]["weight"] == {"type": "string", "format": "decimal", "description": "In kilograms."}
    assert ORDER.rules_schema["$defs"]["line"]["properties"]["price"] == {"type": "string", "format": "decimal"}


def test_arguments_are_canonical_and_exact():
    found = ORDER.read(
        '{"id": "ord_1", "weight": 1.50, "count": null, "at": "2026-03-01T10:00:00+01:00", "lines": [{"sku": "a", "price": 3}], "pin": "1234"}'
    )
    assert isinstance(found, Arguments)
    assert found.canonical == {
        "id": "ord_1",
        "weight": "1.5",
        "at": "2026-03-01T09:00:00Z",
        "speed": "slow",
        "lines": [{"sku": "a", "price": "3"}],
        "pin": "1234",
    }
    assert found.values["weight"] == Decimal("1.5")
    assert isinstance(found.values["lines"][0]["price"], Decimal)
    assert ORDER.restore(json.loads(json.dumps(found.canonical))) == found
    jsonschema.validate(found.canonical, ORDER.rules_schema)
    assert ORDER.classify(found.canonical) == (
        {"id": "ord_1", "speed": "slow"},
        {"/weight": "1.5", "/at": "2026-03-01T09:00:00Z", "/lines": [{"sku": "a", "price": "3"}]},
        {"/pin"},
    )


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"id": 1}, "id"),
        ({"id": "x"}, "id"),
        ({"id": None}, "id"),
        ({"weight": "1.5"}, "weight"),
        ({"weight": True}, "weight"),
        ({"weight": 0.4}, "weight"),
        ({"weight": 1.55}, "weight"),
        ({"weight": 1e300}, "weight"),
        ({"count": 10}, "count"),
        ({"count": 1.0}, "count"),
        ({"count": True}, "count"),
        ({"count": "1"}, "count"),
        ({"at": "tomorrow"}, "at"),
        ({"at": "2026-03-01T10:00:00"}, "at"),
        ({"lines": [{"sku": "a"}, {"sku": "a"}]}, "lines"),
        ({"lines": [{"sku": "a", "price": 1}, {"sku": "a", "price": 1.0}]}, "lines"),
        ({"lines": [{}]}, "lines.0.sku"),
        ({"lines": [{"sku": "a", "sku2": "b"}]}, "lines.0.sku2"),
    ],
)
def test_unusable_arguments(change, path):
    found = ORDER.read({"id": "ord_1", **change})
    assert isinstance(found, Problem)
    assert found.field_errors[0].path == path


def test_errors_suggest_and_keep_secrets():
    found = ORDER.read({"idd": "ord_1", "speed": "fats", "pin": "abc"})
    assert isinstance(found, Problem)
    assert {(wrong.path, wrong.suggestion) for wrong in found.field_errors} == {
        ("id", None),
        ("idd", "did you mean `id`?"),
        ("speed", "did you mean `fast`?"),
        ("pin", None),
    }
    assert "abc" not in json.dumps(found.to_json())


async def test_handlers_take_arguments_by_name_or_as_a_mapping():
    def whole(ctx: Context, arguments: Mapping[str, Any]) -> Any:
        return ctx.call_id, dict(arguments)

    def named(subject: Subject, a: int, b: str = "x") -> Any:
        return subject.id, a, b

    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": ["string", "null"]}, "c-d": {}}, "required": ["a"]}
    two = {**schema, "properties": {"a": {"type": "integer"}, "b": {"type": ["string", "null"]}}}
    ctx = Context("call_1", "act", "t", "p", None, 1, deadline=None)  # type: ignore[arg-type]
    for handler, of_schema, expected in [(whole, schema, ("call_1", {"a": 1})), (named, two, ("cus_1", 1, "x")), (echo, schema, {"a": 1})]:
        act = make(of_schema, handler)
        assert await act.perform(ctx, Subject("cus_1"), act.read({"a": 1, "b": None}), {}) == expected


async def test_a_required_null_reaches_the_handler():
    act = of({"a": {"type": ["string", "null"]}}, required=["a"])
    found = act.read({"a": None})
    assert isinstance(found, Arguments)
    assert (found.canonical, found.values, act.restore(found.canonical)) == ({}, {"a": None}, found)


def nested(depth: int, key: str = "anyOf") -> dict[str, Any]:
    node: dict[str, Any] = {"type": "integer"}
    for _ in range(depth):
        node = {key: [node, node]}
    return node


def laughs(depth: int) -> dict[str, Any]:
    steps = {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(depth)}
    return {"type": "object", "properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": {**steps, f"d{depth}": {"type": "integer"}}}


def a(schema: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}}


UNUSABLE = [
    (a(nested(18)), "too costly"),
    (a(nested(18, "allOf")), "too costly"),
    (a(nested(40)), "too costly"),
    (laughs(18), "too costly"),
    (a({"$ref": "#"}), "local"),
    (a({"$ref": "https://example.org/schema"}), "local"),
    (a({"$ref": "#/$defs/none"}), "refers to nothing"),
    ({"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}, "back to itself"),
    (a({"type": "string", "pattern": r"^(?=x)"}), "linear time"),
    (a({"type": "string", "pattern": r"(a)\1"}), "linear time"),
    (a({"type": "string", "pattern": "("}), "linear time"),
    (a({"type": "object", "patternProperties": {"^(a+)+$": {}}}), "not supported"),
    (a({"$id": "https://example.org/x"}), "not supported"),
    (a({"type": "dict"}), "not valid"),
    (a({"type": ["number", "string"]}), "ambiguous"),
    (a({"type": "integer", "default": "1"}), "default of 'a'"),
    (a(5), "an object, true or false"),
    ({"type": "string"}, "arguments are an object"),
    ({"type": "object", "properties": {"é": {}}}, "ASCII"),
    (True, "arguments are an object"),
]


@pytest.mark.parametrize(("schema", "says"), UNUSABLE)
def test_schemas_that_can_not_be_used(schema, says):
    with pytest.raises(DefinitionError, match=says):
        make(schema)


@pytest.mark.parametrize(
    ("handler", "says"),
    [
        (lambda: None, "does not take 'a'"),
        (lambda b, a=1: None, "'b', which the schema does not require"),
        (lambda a: None, "'a', which the schema does not require"),
    ],
)
def test_handlers_that_do_not_fit(handler, says):
    with pytest.raises(DefinitionError, match=says):
        make(a({"type": "integer"}), handler)


class Spent(Exception):
    pass


def steps(act: Action, document: Any, monkeypatch: pytest.MonkeyPatch) -> int:
    """Count what checking costs: deterministic, unlike time."""
    from remit.actions import foreign

    spent, real = [], foreign._spend
    monkeypatch.setattr(foreign, "_spend", lambda cost: (spent.append(cost), real(cost))[1])
    assert isinstance(act.read(document), Problem)
    return sum(spent)


def big(items: int = 20_000) -> dict[str, Any]:
    return {"a": [{"x": index} for index in range(items)]}


COSTLY = [
    (a(nested(8)), {"a": "x"}),
    (a({"type": "array", "items": nested(6)}), {"a": ["x"] * 20_000}),
    (a({"type": "array", "items": {"type": "string"}}), {"a": list(range(40_000))}),
    (a({"anyOf": [{"const": str(index)} for index in range(300)]}), {"a": "x" * 200_000}),
    (a({"allOf": [{"pattern": f"{index}$"} for index in range(300)]}), {"a": "x" * 200_000}),
    (a({"type": "array", "items": {"enum": [str(index) for index in range(300)]}}), {"a": ["x"] * 30_000}),
]


@pytest.mark.parametrize(("schema", "document"), COSTLY)
def test_checking_stays_within_its_budget(schema, document, monkeypatch):
    from remit.actions import foreign

    assert steps(make(schema), document, monkeypatch) <= foreign._BUDGET + 5000


def test_control_jsonschema_itself_has_no_budget():
    """The shape of the attack: every level doubles the work of plain jsonschema."""
    counted = []

    def count(validator, value, instance, schema):
        counted.append(1)
        return jsonschema.Draft202012Validator.VALIDATORS["type"](validator, value, instance, schema)

    plain = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"type": count})
    work = []
    for depth in (6, 7, 8):
        counted.clear()
        list(plain(nested(depth)).iter_errors("x"))
        work.append(len(counted))
    assert work == [64, 128, 256]


@pytest.mark.timeout(30)  # backtracking needs 18 s for 28 letters, and twice that for each one more
def test_the_known_attack_on_patterns_is_linear():
    act = of({"a": {"type": "string", "pattern": "^(a+)+$"}})
    assert isinstance(act.read({"a": "a" * 28 + "!"}), Problem)
    assert isinstance(act.read({"a": "a" * 200_000 + "!"}), Problem)
    assert isinstance(act.read({"a": "a" * 28}), Arguments)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["ord_1", "slow", "2026-03-01T10:00:00Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["sku", "price", "x"]), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*ORDER.schema["properties"], "x"]), JSON, max_size=8), st.booleans())
def test_nothing_that_a_model_sends_raises(document, complete):
    document = {"id": "ord_1", **document} if complete else document
    found = ORDER.read(document)
    assert isinstance(found, Arguments | Problem)
    if isinstance(found, Arguments):
        assert ORDER.restore(found.canonical) == found
        jsonschema.validate(found.canonical, ORDER.rules_schema)


TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": None, "": None}


def as_json_schema(node: Any, *, defaults: bool = True) -> Any:
    """Map the types that people wrote for models to those of JSON Schema."""
    if isinstance(node, list):
        return [as_json_schema(item, defaults=defaults) for item in node]
    if not isinstance(node, dict):
        return node
    mapped = {
        name: as_json_schema(item, defaults=defaults)
        for name, item in node.items()
        if defaults or name != "default" or isinstance(item, dict)
    }
    if isinstance(kind := mapped.get("type"), str) and kind in TYPES:
        mapped.pop("type")
        mapped |= {"type": TYPES[kind]} if TYPES[kind] else {}
    return mapped


def sample(node: Mapping[str, Any]) -> Any:
    """Make the plainest value that fits."""
    if "enum" in node:
        return node["enum"][0]
    match node.get("type"):
        case "object":
            return {name: sample(node["properties"][name]) for name in node.get("required", ()) if name in node.get("properties", {})}
        case "array":
            return [sample(node.get("items", {}))]
        case "string" if node.get("format") == "date":
            return "2026-03-01"
        case kind:
            return {"integer": 1, "number": 1.5, "boolean": True, "string": "x"}.get(kind, "x")


@pytest.mark.skipif(not FUNCTIONS.exists(), reason="the test bed ../shared/testbeds/schemas/functions.json is not here")
def test_every_schema_that_people_wrote_for_models_can_be_declared_and_called():
    functions = json.loads(FUNCTIONS.read_text())
    misfits = used = 0
    for index, function in enumerate(functions):
        schema = as_json_schema(function["parameters"])
        try:
            act = Action.from_schema(f"f{index}", schema, echo, **SAID)
        except DefinitionError as error:
            assert "default of" in error.message, (function["name"], error)
            misfits += 1
            act = Action.from_schema(f"f{index}", as_json_schema(schema, defaults=False), echo, **SAID)
        found, fits = act.read(sample(schema)), jsonschema.Draft202012Validator(schema).is_valid(sample(schema))
        assert isinstance(found, Arguments) == fits, (function["name"], found)
        assert not fits or act.restore(found.canonical) == found
        used += fits
        assert isinstance(act.read({**sample(schema), "not_an_argument": 1}), Problem)
    assert used > len(functions) - 10 > 1500, "an array with an enum of texts takes nothing"
    assert misfits < 60, "defaults that do not fit their own schema; some 40 of these people made that mistake"
