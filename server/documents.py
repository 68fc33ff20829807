"""What OpenAPI says beyond the code: examples of outcomes, the problems of each endpoint, and their schema."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from ..actions import Problem
from ..audit import State
from ..errors import RemitError, StoreError
from ..runtime import Outcome
from .bodies import OutcomeBody, ProblemBody
from .problems import MEDIA_TYPE, InvalidRequest, ScopeMissing, Unauthenticated, Unexpected, members, text

Responses = dict[int | str, dict[str, Any]]

KEYED = (Unauthenticated, ScopeMissing, InvalidRequest, Unexpected, StoreError)
"""What every endpoint behind a key may refuse."""
NEW_CALL = {
    "name": "refund_payment",
    "arguments": {"payment_id": "pay_81", "amount": {"value": "49.90", "currency": "EUR"}, "reason": "damaged"},
    "session": {"principal": "support-agent", "subject": "cus_17", "assurance": 2, "verified_at": "2026-03-01T10:00:00Z"},
}
_CALL: dict[str, Any] = {"call_id": "call_0f3c9a5e2b7d41c86a90", "action": "refund_payment"}
_FINAL = (
    Outcome(**_CALL, state=State.SUCCEEDED, result={"refund": "re_4"}),
    Outcome(**_CALL, state=State.DENIED, error=Problem("denied", "This payment is disputed at the bank.", retry="never")),
)
_OPEN = (Outcome(**_CALL, state=State.WAITING, waiting=({"requirement": "approval", "for": "approval by finance"},)),)
_HEADERS = {
    "Location": {"description": "Where the call is.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds after which to look again.", "schema": {"type": "integer"}},
}
DESCRIPTION = """Remit lets an AI agent do things for a customer, and keeps each of them inside what was written down for it.

An outcome is a value: 200 when the call is final, whatever became of it, and 202 while it may still move. Problems (RFC 9457) are
for the caller's own mistakes and for ours, never for what a model did."""


def outcomes(*refused: type[RemitError]) -> Responses:
    """Document an endpoint that answers with an outcome."""
    return {
        200: _answer("The call is final: done, denied, rejected, declined, failed, expired or cancelled.", *_FINAL),
        202: {**_answer("The call may still move.", *_OPEN), "headers": _HEADERS},
        **problems(*KEYED, *refused),
    }


def problems(*refused: type[RemitError]) -> Responses:
    """Document what an endpoint refuses, with an example for each."""
    found: Responses = {}
    for kind in refused:
        content: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{ProblemBody.__name__}"}, "examples": {}}
        place = found.setdefault(kind.status, {"description": text(kind), "content": {MEDIA_TYPE: content}})
        problem = members(kind, text(kind), "urn:uuid:5f0c4f4e-58a6-4f1b-9a39-0d2f8f6f8a11")
        place["content"][MEDIA_TYPE]["examples"][kind.code] = {"value": problem}
    return found


class Documented(FastAPI):
    """An application whose OpenAPI document has the schema of a problem, which FastAPI would call application/json."""

    def openapi(self) -> dict[str, Any]:
        """Give the document (OpenAPI 3.1)."""
        document = super().openapi()
        problem = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
        problem.pop("$defs")  # FieldError is in the document already
        document["components"]["schemas"][ProblemBody.__name__] = problem
        return document


def _answer(description: str, *examples: Outcome) -> dict[str, Any]:
    named = {one.state.value: {"value": one.to_json()} for one in examples}
    return {"model": OutcomeBody, "description": description, "content": {"application/json": {"examples": named}}}
