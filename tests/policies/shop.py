"""A shop's refund: its shape as the runtime would describe it, and inputs to decide on."""

from typing import Any

from remit.policies import ActionShape, Inputs, Policies, load

MONEY = {
    "type": "object",
    "properties": {"currency": {"type": "string"}, "minor": {"type": "integer"}},
    "additionalProperties": False,
    "x-remit": "money",
}
ARGUMENTS = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "payment_id": {"type": "string", "x-remit": "personal"},
        "amount": {"$ref": "#/$defs/Money"},
        "reason": {"$ref": "#/$defs/Reason"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/Money"}},
        "grid": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
        "rate": {"type": "number"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "$defs": {"Money": MONEY, "Reason": {"enum": ["duplicate", "fraud", "requested"]}},
}
PAYMENT = {
    "$ref": "#/$defs/Payment",
    "$defs": {
        "Payment": {
            "type": "object",
            "properties": {
                "customer": {"type": "string"},
                "created": {"type": "string", "format": "date-time"},
                "settled": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
                "disputed": {"type": "boolean"},
                "amount": MONEY,
                "fee": {"type": "object", "properties": {"currency": {"const": "EUR"}, "minor": {"type": "integer"}}},
                "attempts": {"type": "array", "items": {"type": "object", "properties": {"at": {"type": "string", "format": "date-time"}}}},
                "replaces": {"anyOf": [{"$ref": "#/$defs/Payment"}, {"type": "null"}]},
            },
        },
    },
}
REFUND = ActionShape("refund_payment", ARGUMENTS, {"payment": PAYMENT, "profile": None})
CANCEL = ActionShape("cancel_order", {"type": "object", "properties": {"order_id": {"type": "string"}}, "additionalProperties": False}, {})
SHAPES = {"refund_payment": REFUND, "cancel_order": CANCEL}


def inputs(*, amount: int = 4990, currency: str = "EUR", arguments: Any = None, payment: Any = None, profile: Any = None) -> Inputs:
    """Make inputs of a refund; what is given replaces, and None in `payment` leaves out."""
    known = {"customer": "cus_kim", "created": "2026-03-01T10:00:00Z", "disputed": False, "amount": {"currency": "EUR", "minor": 9900}}
    paid = {name: value for name, value in (known | (payment or {})).items() if value is not None}
    return Inputs(
        action="refund_payment",
        arguments={"payment_id": "pay_1", "amount": {"currency": currency, "minor": amount}, "reason": "requested"} | (arguments or {}),
        facts={"payment": paid} | ({"profile": profile} if profile is not None else {}),
        subject={"id": "cus_kim", "assurance": 1, "anonymous": False},
        principal={"id": "agent_1", "kind": "agent"},
        session={"tenant": "default", "conversation": "conv_1", "channel": None, "model": "model-1"},
        now="2026-03-02T10:00:00.000000Z",
    )


def policies(*rules: str) -> Policies:
    """Load rules on the refund, each a flow mapping such as `{id: a, then: allow}`."""
    return load({"refunds.yaml": document(*rules)}, SHAPES)


def document(*rules: str) -> str:
    """Write a policy file on the refund."""
    return "policy: refunds\nactions: [refund_payment]\nrules:\n" + "".join(f"  - {rule}\n" for rule in rules)
