"""Hold what the providers did against what the audit log says was done: each effect against one succeeded call, both ways."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from ...actions import Money
from ...runtime import CallView, Runtime

KINDS = {
    "refund_payment": "refund",
    "change_plan": "plan change",
    "book_appointment": "booked",
    "reschedule_appointment": "moved",
    "cancel_appointment": "cancelled",
    "send_password_reset": "mail",
}
"""Action -> what it does at its provider."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that was done: the call that says it did it, the provider's reference, and the amount where there is one.

    `place` is where the log has it; None for what a provider says.
    """

    kind: str
    call: str | None
    reference: str | None
    amount: Money | None = None
    place: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """An effect at a provider beside the one in the log that says the same; `wrong` says where they differ."""

    provider: Effect | None
    log: Effect | None
    wrong: str = ""

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        return {"provider": _json(self.provider), "log": _json(self.log), "agree": not self.wrong, "wrong": self.wrong}


def compare(provider: Iterable[Effect], log: Iterable[Effect]) -> list[Row]:
    """Match each effect of a provider with one of the log by kind and call, and the other way round.

    What stands alone is wrong, and so is a match with another reference or another amount.
    """
    left, rows = list(log), []
    for done in provider:
        told = next((one for one in left if (one.kind, one.call) == (done.kind, done.call)), None)
        if told is not None:
            left.remove(told)
        rows.append(Row(done, told, _wrong(done, told)))
    return rows + [Row(None, told, "the provider knows nothing of it") for told in left]


def _wrong(done: Effect, told: Effect | None) -> str:
    if told is None:
        return "the log knows nothing of it"
    if done.reference != told.reference:
        return "the references differ"
    return "" if done.amount == told.amount else "the amounts differ"


async def logged(runtime: Runtime) -> list[Effect]:
    """Read from the audit log what was done: every success that an intent precedes, in the log's order."""
    intended: set[str] = set()
    done: list[Effect] = []
    after = -1
    while page := await runtime.events(after=after):
        after = page[-1]["place"]
        for event in page:
            if event["kind"] == "call.intended":
                intended.add(event["call"])
            elif event["kind"] == "call.succeeded" and event["call"] in intended:
                done += _told(event, await runtime.view(event["call"]))
    return done


def _told(event: Mapping[str, Any], view: CallView) -> list[Effect]:
    """Give what a success says was done: of a password reset, nothing where there was nobody to write to."""
    body, kind = event["body"], KINDS.get(view.action, view.action)
    if kind == "mail" and view.result["delivery"] != "mailed":
        return []
    amount = {"refund": body.get("result", {}).get("amount"), "plan change": preview(view).get("due")}.get(kind)
    return [Effect(kind, view.id, body["reference"], Money(amount["minor"], amount["currency"]) if amount else None, event["place"])]


def preview(view: CallView) -> Mapping[str, Any]:
    """Give what a change of plan was said to cost, as its decision recorded it."""
    decided = [event["personal"] for event in view.events if event["kind"] == "call.decided"]
    return decided[-1].get("/inputs/facts/preview", {}) if decided else {}


def in_calendar(path: Path) -> list[Effect]:
    """Read from the calendar's own database what was done there."""
    with closing(sqlite3.connect(path)) as calendar:
        return [
            Effect(kind, call, appointment) for call, appointment, kind in calendar.execute("SELECT call, id, kind FROM change ORDER BY at")
        ]


def in_mailbox(messages: Iterable[EmailMessage]) -> list[Effect]:
    """Read from the mails that arrived which calls sent them."""
    return [Effect("mail", str(message["Message-ID"]).strip("<>").partition("@")[0], None) for message in messages]


def _json(effect: Effect | None) -> dict[str, Any] | None:
    if effect is None:
        return None
    amount = {"value": effect.amount.value, "currency": effect.amount.currency} if effect.amount else None
    return {**asdict(effect), "amount": amount}
