"""The JSON Schemas for editors: as the models give them, and of one mind with the loader."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from remit.policies.document import read_document
from remit.policies.editor_schema import cases_schema, policy_schema

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = [*(ROOT / "examples").rglob("*.yaml"), *(ROOT / "cli" / "starter").rglob("*.yaml.txt")]
POLICIES = [path for path in SHIPPED if path.parent.name == "policies" and "_test.yaml" not in path.name]
TESTS = [path for path in SHIPPED if "_test.yaml" in path.name]


def problems(schema, text):
    return [error.message for error in Draft202012Validator(schema).iter_errors(read_document("x.yaml", text).value)]


@pytest.mark.parametrize(("name", "schema"), [("policy", policy_schema()), ("policy-tests", cases_schema())])
def test_the_schemas_in_docs_are_those_of_the_models(name, schema):
    Draft202012Validator.check_schema(schema)
    command = f"remit policy schema {'--tests ' if 'tests' in name else ''}> docs/{name}.schema.json"
    assert json.loads((ROOT / "docs" / f"{name}.schema.json").read_text()) == schema, command


def described(schema):
    parts = [schema, *schema["$defs"].values()]
    return [(part.get("title"), name, one.get("description")) for part in parts for name, one in part.get("properties", {}).items()]


@pytest.mark.parametrize("schema", [policy_schema(), cases_schema()])
def test_every_key_is_described(schema):
    assert len(described(schema)) > 15
    assert [each for each in described(schema) if not each[2]] == []


@pytest.mark.parametrize(("schema", "paths"), [(policy_schema(), POLICIES), (cases_schema(), TESTS)])
def test_what_ships_is_valid(schema, paths):
    assert len(paths) >= 2
    assert {str(path): found for path in paths if (found := problems(schema, path.read_text()))} == {}


GOOD = """\
policy: refunds
actions: [refund_payment, "#money"]
include: [common]
tenant: shop-b
requires: [look_up_payment]
define: {in_euro: arguments.amount.currency == "EUR", always: true, most: 5000}
rules:
  - {id: a, when: true, then: require_approval, approval: {by: finance, votes: 2, within: 4h, escalate: {after: 1h, to: boss}}}
  - {id: c, then: allow, delay: 10m}
limits:
  - {id: b, measure: {refund_payment: arguments.amount}, currency: EUR, per: subject.id, window: 30d, at_most: 1, beyond: require_step_up}
"""


def test_the_whole_language_is_valid():
    assert problems(policy_schema(), GOOD) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("then: require_approval", "then: require_aproval"),
        ("votes: 2", "votes: 0"),
        ("votes: 2", "vote: 2"),
        ("within: 4h", "within: 4 hours"),
        ("at_most: 1", "at_most: many"),
        ("beyond: require_step_up", "beyond: allow"),
        ("window: 30d, ", ""),
        ("policy: refunds", "policy: Refunds"),
        (", approval: {by: finance, votes: 2, within: 4h, escalate: {after: 1h, to: boss}}", ""),
        ("then: require_approval", "then: deny"),
        ("beyond: require_step_up", "beyond: require_approval"),
        ("beyond: require_step_up", "beyond: deny, step_up: {to: 2}"),
        ("then: require_approval", "confirmation: {}, then: require_approval"),
        ("then: allow, delay", "then: deny, delay"),
        ("delay: 10m", "delay: 10 minutes"),
        ("currency: EUR", "currency: eur"),
        ("always: true", "Always: true"),
        ("tenant: shop-b", "tenant: null"),
    ],
)
def test_control_a_wrong_one_is_noticed(right, wrong):
    assert right in GOOD
    assert problems(policy_schema(), GOOD.replace(right, wrong))


@pytest.mark.parametrize("expect", ["{decison: deny}", "{decision: denied}", "{requirements: [approval]}", "{rules: []}"])
def test_control_a_wrong_test_is_noticed(expect):
    text = "tests: a\ncases: [{name: a, action: b, expect: %s}]\n"
    assert problems(cases_schema(), text % "{decision: deny}") == []
    assert problems(cases_schema(), text % expect)
