"""Decide the call of decisions.py with cedarpy: run by counterpart.py, in cedarpy's environment, where Remit is not.

One policy permits it, the others look at the same call and don't match. Policies and entities are parsed once, which suits it best; the
request is handed in anew each time, as in the other measurements.
"""

from __future__ import annotations

import json
import sys
import time

import cedarpy

REQUEST = {
    "principal": {"type": "Agent", "id": "agent"},
    "action": {"type": "Action", "id": "refund_payment"},
    "resource": {"type": "Payment", "id": "pay_1"},
    "context": {
        "arguments": {"payment_id": "pay_1", "amount": {"currency": "EUR", "minor": 1250}, "reason": "it came broken"},
        "subject": {"id": "customer_1", "assurance": 2, "anonymous": False},
        "session": {"tenant": "default", "conversation": "conversation_1", "channel": "chat", "model": "model-1"},
    },
}
PERMIT = """\
permit (principal, action == Action::"refund_payment", resource)
when {{ context.arguments.amount.currency == "EUR" && context.arguments.amount.minor <= {minor} }};
"""
ENTITIES = cedarpy.Entities.from_json_str("[]")


def policies(rules: int) -> cedarpy.PolicySet:
    """Give as many policies as the others have rules."""
    never = PERMIT.replace("permit", "forbid").replace("<=", ">")
    return cedarpy.PolicySet.from_str("".join([PERMIT.format(minor=5_000), *(never.format(minor=100_000 + n) for n in range(1, rules))]))


loaded: dict[int, cedarpy.PolicySet] = {}
for line in sys.stdin:
    asked = json.loads(line)
    policy = loaded.setdefault(asked["rules"], policies(asked["rules"]))
    assert cedarpy.is_authorized(REQUEST, policy, ENTITIES).allowed
    taken = []
    for _ in range(asked["count"]):
        begun = time.perf_counter_ns()
        cedarpy.is_authorized(REQUEST, policy, ENTITIES)
        taken.append((time.perf_counter_ns() - begun) / 1e3)
    print(json.dumps({"taken": taken}), flush=True)
