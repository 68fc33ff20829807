"""Write JSON Schemas (2020-12) of policy and test files from their models, so that an editor completes and checks them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from .cases import CaseFile
from .decision import Then
from .policy import PolicyFile

_EXPRESSION = "A CEL expression over arguments, facts, subject, principal, session, now, done and the definitions."
_CONDITION = {"type": ["string", "boolean"]}
_DESCRIPTIONS = {
    "PolicyFile": {
        "policy": "The name of this file's policy. A rule is known as policy/id.",
        "actions": "The actions it is about: names, and tags such as #money. A file without is shared, for others to include.",
        "include": "Shared files, by their policy's name, whose rules and limits hold for these actions too.",
        "tenant": "Makes this an overlay: it counts only for this tenant, and may hold anything but `allow`.",
        "requires": "Actions that must have succeeded earlier in the same conversation, for the same subject; else the call is denied.",
        "define": "Named expressions, to be used as a bare name in this file (and in those that include it).",
        "rules": "The rules, in any order: a deny wins, requirements add up, and what no rule allows is denied.",
        "limits": "What may be done within a time, in sums, calls or distinct values.",
    },
    "RuleClause": {
        "id": "The rule's name within the policy.",
        "when": f"{_EXPRESSION} Default: always.",
        "then": "What follows when the condition holds.",
        "approval": "Who approves; with require_approval.",
        "confirmation": "How long the customer has; with require_confirmation.",
        "step_up": "How the customer proves who they are; with require_step_up.",
        "delay": "A cooling-off, such as 10m, before an allowed call is done: until then it can be cancelled. Not with deny.",
        "reason": "Why, for people and the audit log.",
        "say": "What the model may tell the customer.",
    },
    "LimitClause": {
        "id": "The limit's name within the policy.",
        "measure": "What is summed: an amount (then name its `currency`) or an integer; one expression, or one for each action.",
        "distinct": "What is counted once for each value. Without `measure` and `distinct`, calls are counted.",
        "currency": "The currency that is summed; a call in any other is denied.",
        "per": "For whom it counts, such as subject.id. Default: for everybody together.",
        "window": "How far back it counts, such as 24h or 30d.",
        "at_most": "The most within the window; of an amount in minor units, such as cents.",
        "beyond": "What follows beyond it. Default: deny.",
        "approval": "Who approves; with beyond: require_approval.",
        "step_up": "How the customer proves who they are; with beyond: require_step_up.",
        "reason": "Why, for people and the audit log.",
        "say": "What the model may tell the customer.",
    },
    "ApprovalClause": {
        "by": "The role whose people approve.",
        "votes": "How many of them. Default: 1.",
        "within": "How long they have; silence counts as no. Default: 24h.",
        "escalate": "Who may vote as well when nobody has settled it after a while.",
    },
    "EscalationClause": {"after": "After how long.", "to": "The role whose people may vote as well."},
    "ConfirmationClause": {"within": "How long the customer has; silence counts as no. Default: 24h."},
    "StepUpClause": {
        "to": "The assurance that must be reached. Default: 2.",
        "within": "How long the customer has; silence counts as no. Default: 1h.",
    },
}
_AS_WRITTEN: dict[tuple[str, str], dict[str, Any]] = {
    ("RuleClause", "when"): _CONDITION,
    ("LimitClause", "per"): _CONDITION,
    ("PolicyFile", "define"): {
        "type": "object",
        "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,63}$"},
        "additionalProperties": {"type": ["string", "boolean", "integer"]},
    },
}
"""What YAML makes of an expression such as `true`, which the model takes as text."""


_CLAUSES = {"approval": Then.REQUIRE_APPROVAL, "confirmation": Then.REQUIRE_CONFIRMATION, "step_up": Then.REQUIRE_STEP_UP}
"""What a clause goes with."""


class _AsWritten(GenerateJsonSchema):
    """Leave out titles that only repeat a key, and null, which no key may have."""

    def nullable_schema(self, schema: Any) -> Any:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: Any) -> Any:
        return self.generate_inner(schema["schema"]) if schema.get("default", ...) is None else super().default_schema(schema)

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        return False


def policy_schema() -> dict[str, Any]:
    """Give the JSON Schema of a policy file."""
    schema = _schema(PolicyFile)
    for model, described in _DESCRIPTIONS.items():
        properties = (schema if model == "PolicyFile" else schema["$defs"][model])["properties"]
        for name, text in described.items():
            written = _AS_WRITTEN.get((model, name))
            properties[name] = (written or properties[name]) | {"description": text}
    for model, key in (("RuleClause", "then"), ("LimitClause", "beyond")):
        clauses = [clause for clause in _CLAUSES if clause in schema["$defs"][model]["properties"]]
        schema["$defs"][model]["allOf"] = [_goes_with(clause, key) for clause in clauses]
    rule = schema["$defs"]["RuleClause"]
    rule["allOf"].append({"if": _asks("then", Then.DENY), "then": {"properties": {"delay": False}}})
    return schema


def cases_schema() -> dict[str, Any]:
    """Give the JSON Schema of a file of test cases."""
    return _schema(CaseFile)


def _goes_with(clause: str, key: str) -> dict[str, Any]:
    """Take a clause only where it is asked for; and there, an approval must be written, because only people know who approves."""
    return {
        "if": _asks(key, _CLAUSES[clause]),
        "then": {"required": ["approval"] if clause == "approval" else []},
        "else": {"properties": {clause: False}},
    }


def _asks(key: str, then: Then) -> dict[str, Any]:
    return {"properties": {key: {"const": str(then)}}, "required": [key]}


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return {"$schema": _AsWritten.schema_dialect, **model.model_json_schema(schema_generator=_AsWritten)}
