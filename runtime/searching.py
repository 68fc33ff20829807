"""Search the log: calls, and events outside every call, that meet every filter, the newest first, page by page."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from ..actions import Money
from .clock import to_text
from .searching_plan import Plan
from .searching_query import BadSearch, Query
from .terms import amounts
from .work import Parts

MOST = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found. A call: what it is and how it stands, with the amounts asked for. An event outside every call: its kind and clear body."""

    at: str
    call: str | None = None
    event: str | None = None
    kind: str | None = None
    action: str | None = None
    state: str | None = None
    principal: str | None = None
    subject: str | None = None
    amounts: tuple[str, ...] = ()
    code: str | None = None
    reference: str | None = None
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """So much of what was found, the newest first; `after` is the cursor of the next page, None where this is the last."""

    found: tuple[Found, ...]
    after: str | None


async def search(parts: Parts, query: Query, pseudonym: str, *, after: str | None, most: int) -> Page:
    """Give one page of what meets a query.

    What is written meanwhile comes before the first page, so that pages neither lose nor repeat what was there. Raises `BadSearch`.
    """
    if not 1 <= most <= MOST:
        raise BadSearch(f"a page has 1 to {MOST} of what is found")
    begins = _place(after) if after is not None else None
    plan = await Plan.of(parts, query, pseudonym)
    rows = await plan.rows(parts, begins, most + 1) if plan else []
    found = await _read(parts, rows[:most])
    return Page(found, _cursor(*rows[most - 1]) if len(rows) > most else None)


async def _read(parts: Parts, rows: list[tuple[int, str]]) -> tuple[Found, ...]:
    """Give the calls and events themselves, in order."""
    if not rows:
        return ()
    names = [about for _, about in rows]
    places, given = ", ".join("?" * len(names)), (parts.store.tenant, *names)
    calls = (
        "SELECT c.id, c.action, c.state, c.principal, c.subject, c.code, c.reference, e.leaf FROM call c "  # noqa: S608
        f"LEFT JOIN event e ON e.tenant = c.tenant AND e.call = c.id AND e.sequence = 1 WHERE c.tenant = ? AND c.id IN ({places})"
    )
    alone = f"SELECT id, kind, leaf FROM event WHERE tenant = ? AND id IN ({places})"  # noqa: S608 - as many as there are
    found = {row[0]: _call(row) for row in await parts.store.rows(calls, given)}
    if left := [name for name in names if name not in found]:
        rest = alone.replace(places, ", ".join("?" * len(left)))
        found |= {row[0]: _event(row) for row in await parts.store.rows(rest, (parts.store.tenant, *left))}
    return tuple(Found(at=to_text(at), **found[about]) for at, about in rows if about in found)


def _call(row: Any) -> dict[str, Any]:
    name, action, state, principal, subject, code, reference, leaf = row
    asked = _body(leaf).get("arguments", {}) if leaf is not None else {}
    return {
        "call": name,
        "action": action,
        "state": state,
        "principal": principal,
        "subject": subject,
        "code": code,
        "reference": reference,
        "amounts": tuple(str(Money(minor, currency)) for currency, minor in amounts(asked)),
    }


def _event(row: Any) -> dict[str, Any]:
    name, kind, leaf = row
    body = _body(leaf)
    return {"event": name, "kind": kind, "body": body, "principal": body.get("by")}


def _body(leaf: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(leaf)["body"]
    except (KeyError, TypeError, ValueError):  # it was changed: the verifier says so
        return {}
    return body if isinstance(body, dict) else {}


def _cursor(at: int, about: str) -> str:
    return base64.urlsafe_b64encode(f"1 {at} {about}".encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[int, str]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (ValueError, binascii.Error):
        text = ""
    if (read := re.fullmatch(r"1 ([0-9]{1,18}) ([!-~]{1,200})", text)) is None:
        raise BadSearch("this is not the cursor of a page; take the one that the page before has given")
    return int(read[1]), read[2]
