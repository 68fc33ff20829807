"""The access log: who looked at the log, at what, and for what purpose. Nothing is handed out before that is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from ..errors import CallError
from .call import Call
from .clock import to_text
from .people import OPERATOR, People
from .statements import Write
from .work import Parts, new_id

Kind = Literal["audit.read", "audit.exported", "audit.verified", "personal.revealed"]
LOCAL_OPERATOR = "local operator"
"""Who reads from a command line and does not say who they are: whoever can read the key file."""
REVEALING = frozenset({"reviewer", "privacy_officer", "administrator"})
"""The roles whose people may have personal values of the log opened, for a purpose that they say."""
SHORTEST_PURPOSE = 5
LONGEST_PURPOSE = 500


class NotAReader(CallError):
    """This person may not see that of the log."""

    code = "not_a_reader"
    status = 403


class PurposeMissing(CallError):
    """Say for what purpose personal values are to be revealed; it is recorded."""

    code = "purpose_missing"
    status = 422


@dataclass(frozen=True, slots=True)
class Access:
    """One reading. `sought` says what was asked for: a customer by pseudonym, a text or a conversation only by whether there was one."""

    id: str
    at: str
    kind: str
    who: str
    call: str | None
    sought: Mapping[str, Any]
    found: int
    purpose: str


async def reader(people: People, who: str) -> str:
    """Give whoever may search the log: an active person, or the local operator; raises `NotAReader`."""
    if who != LOCAL_OPERATOR:
        await _active(people, who)
    return who


async def revealer(people: People, who: str, purpose: str) -> str:
    """Give whoever may have personal values revealed; raises `NotAReader` and `PurposeMissing`."""
    roles = ", ".join(sorted(REVEALING))
    if who == LOCAL_OPERATOR:
        raise NotAReader(f"say who reads (--as PERSON): personal values are revealed to a person with one of the roles {roles}")
    person = await _active(people, who)
    if not person.roles & REVEALING:
        raise NotAReader(f"{who} has none of the roles {roles}; personal values stay sealed to them")
    _say(purpose)
    return who


async def opener(parts: Parts, people: People, who: str, call: Call, purpose: str) -> str:
    """Give the purpose for which `who` opens a call, to be recorded; raises `NotAReader` and `PurposeMissing`.

    Whoever has asked for it or may approve it needs to say none: that is what they see it for. The local operator holds the keys.
    """
    if who == LOCAL_OPERATOR:
        return purpose or "work on a call"
    person = await _active(people, who)
    if call.principal == who:
        return purpose or "own call"
    if person.roles & await roles_asked(parts, call.id):
        return purpose or "approval"
    roles = REVEALING | {OPERATOR}
    if not person.roles & roles:
        raise NotAReader(f"{who} can't approve this call, and has none of the roles {', '.join(sorted(roles))}: it stays closed to them")
    _say(purpose)
    return purpose


async def roles_asked(parts: Parts, call_id: str) -> frozenset[str]:
    """Name the roles whose people approvals of a call ask for, or will once they are widened."""
    asked = [one for one in await parts.store.requirements(call_id) if one.kind == "approval"]
    return frozenset(role for one in asked for role in (one.role, one.escalate_to) if role)


async def noted(
    parts: Parts,
    kind: Kind,
    who: str,
    *,
    call: str | None = None,
    sought: Mapping[str, Any] | None = None,
    found: int = 0,
    purpose: str = "",
) -> None:
    """Record a reading; raises `StoreError` where that can't be done, and then nothing may be handed out."""
    now, told = parts.clock.now(), orjson.dumps(sought or {}, option=orjson.OPT_SORT_KEYS).decode()
    row = (parts.store.tenant, new_id("acc", now), now, kind, who, call or "", told, found, purpose.strip())
    await parts.store.commit([Write("access.add", row)])


async def accesses(parts: Parts, *, most: int) -> list[Access]:
    """List readings, the latest first."""
    sql = "SELECT id, at, kind, who, call, sought, found, purpose FROM access WHERE tenant = ? ORDER BY id DESC LIMIT ?"
    rows = sorted(await parts.store.rows(sql, (parts.store.tenant, most)), key=lambda row: -row[1])  # ids lie in order to the millisecond
    return [
        Access(name, to_text(at), kind, who, call or None, orjson.loads(sought), found, purpose)
        for name, at, kind, who, call, sought, found, purpose in rows
    ]


def _say(purpose: str) -> None:
    if not SHORTEST_PURPOSE <= len(purpose.strip()) <= LONGEST_PURPOSE:
        raise PurposeMissing(
            f"say for what purpose personal values are to be revealed, in {SHORTEST_PURPOSE} to {LONGEST_PURPOSE} characters"
        )


async def _active(people: People, who: str) -> Any:
    person = await people.get(who)
    if person is None or not person.active:
        raise NotAReader(f"there is no active person {who}; `remit people add {who}` makes one")
    return person
