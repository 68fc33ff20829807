"""What the log is searched for."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ..actions import Money
from ..audit import KINDS, State
from ..errors import CallError
from .clock import to_text
from .terms import COUNTED

ACCESSES = frozenset({"audit.read", "audit.exported", "audit.verified", "personal.revealed"})
"""Kinds of the access log, which is a log of its own."""
SEARCHABLE = KINDS - COUNTED - ACCESSES


class BadSearch(CallError):
    """This can't be searched for."""

    code = "bad_search"
    status = 422


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is found must meet, all of it; what is None is not asked for.

    `since` and `until` (microseconds, the second excluded) are about when a call was received, or an event outside every call recorded.
    `subject` is the customer's own id. `principal` asked for it, `approver` has voted on it, `by` is a person who did anything about it.
    `rule` counted in a decision on it: a rule, or a limit. `outcome` is the state in which a call is now, `kind` an event that it has.
    `at_least` and `at_most` bound an amount among its arguments. `text` is looked for in the reasons that are clear in the log, which are
    those of rules and switches (their first 300 characters); what people wrote about a call is sealed, and not searched.
    """

    since: int | None = None
    until: int | None = None
    call: str | None = None
    conversation: str | None = None
    action: str | None = None
    subject: str | None = None
    principal: str | None = None
    approver: str | None = None
    by: str | None = None
    rule: str | None = None
    outcome: State | None = None
    kind: str | None = None
    at_least: Money | None = None
    at_most: Money | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in SEARCHABLE:
            where = "it stands in the story of its call" if self.kind in COUNTED else "there is no such event in the log"
            raise BadSearch(f"{self.kind!r} can't be searched for: {where}")
        if self.at_least and self.at_most and self.at_least.currency != self.at_most.currency:
            raise BadSearch(f"{self.at_least} and {self.at_most} have no common currency")
        if self.text is not None and not self.text.strip():
            raise BadSearch("an empty text is in every reason")

    def sought(self, pseudonym: str) -> dict[str, Any]:
        """Say what is asked for, with nothing in it that names a customer: for the access log."""
        asked = {one.name: value for one in fields(self) if (value := getattr(self, one.name)) is not None}
        told: dict[str, Any] = {name: str(value) if isinstance(value, Money) else value for name, value in asked.items()}
        told |= {name: to_text(told[name]) for name in ("since", "until") if name in told}
        return (
            told | ({"subject": pseudonym} if "subject" in told else {}) | {name: True for name in ("text", "conversation") if name in told}
        )
