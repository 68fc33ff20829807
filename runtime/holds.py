"""Legal holds: while one stands on a person, a call or a time, nothing that it covers is erased."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ..errors import CallError
from .clock import to_micros, to_text
from .journal import Conflict
from .recorded import plain
from .statements import HELD, Write
from .vault import SubjectKey
from .work import Parts, apart, new_id

Kind = Literal["subject", "call", "time"]


class HoldNotFound(CallError):
    """There is no such hold; `remit hold list` lists those that stand."""

    code = "hold_not_found"
    status = 404


class SubjectNotFound(CallError):
    """Nothing is held about this person."""

    code = "subject_not_found"
    status = 404


class BadHold(CallError):
    """A hold is on one person, one call, or a time that does not end before it begins."""

    code = "bad_hold"
    status = 422


@dataclass(frozen=True, slots=True)
class LegalHold:
    """A hold that stands: `target` is a pseudonym or a call's id; a time has `since` and `until` instead (RFC 3339 in UTC)."""

    id: str
    kind: Kind
    target: str
    since: str | None
    until: str | None
    reason: str
    by: str
    at: str


class Holds:
    """Place and lift legal holds, and list those that stand."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._store = parts, parts.store

    async def place(
        self,
        *,
        by: str,
        reason: str,
        subject: str | None = None,
        call: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> LegalHold:
        """Hold what is known of a person (by id), of a call, or of all calls received in a time.

        Raises `BadHold`, `SubjectNotFound` and `CallNotFound`.
        """
        named = [one is not None for one in (subject, call, since or until)]
        if sum(named) != 1:
            raise BadHold
        owner, begins, ends = None, 0, 0
        if subject is not None:
            owner = await known(self._parts, subject)
            kind, target = "subject", owner.pseudonym
        elif call is not None:
            kind, target = "call", (await self._store.get(call)).id
        else:
            kind, target = "time", ""
            begins, ends = _micros(since, 0), _micros(until, self._parts.clock.now())
            if ends < begins:
                raise BadHold
        now = self._parts.clock.now()
        hold_id = new_id("hold", now)
        row = (self._store.tenant, hold_id, kind, target, begins, ends, plain(reason), by, now)
        body = {"hold": hold_id, "kind": kind, "target": target, "reason": plain(reason), "by": by}
        body |= {"since": to_text(begins), "until": to_text(ends)} if kind == "time" else {}
        # The epoch is raised so that no erasure is under way meanwhile: it is before this, and is done, or after it, and is refused.
        raised = Write("control.raise", (self._store.tenant,))
        await self._store.commit([raised, Write("hold.add", row), *apart(self._parts, "hold.placed", body, owner=owner)])
        return next(one for one in await self.list() if one.id == hold_id)

    async def lift(self, hold_id: str, *, by: str, reason: str) -> None:
        """Let go of what was held; raises `HoldNotFound`."""
        found = next((one for one in await self.list() if one.id == hold_id), None)
        if found is None:
            raise HoldNotFound
        body = {"hold": hold_id, "kind": found.kind, "target": found.target, "reason": plain(reason), "by": by}
        try:
            await self._store.commit([Write("hold.drop", (self._store.tenant, hold_id)), *apart(self._parts, "hold.lifted", body)])
        except Conflict:
            raise HoldNotFound from None

    async def list(self) -> tuple[LegalHold, ...]:
        """List the holds that stand, the latest first."""
        sql = "SELECT id, kind, target, since_at, until_at, reason, author, at FROM hold WHERE tenant = ? ORDER BY at DESC, id"
        return tuple(_hold(*row) for row in await self._store.rows(sql, (self._store.tenant,)))

    async def on(self, pseudonym: str) -> tuple[LegalHold, ...]:
        """List the holds on a person: on them, on a call of theirs, or on a time in which they called."""
        found = {one for (one,) in await self._store.rows(HELD, (self._store.tenant, pseudonym))}
        return tuple(one for one in await self.list() if one.id in found)


async def known(parts: Parts, subject_id: str) -> SubjectKey:
    """Give the key of a person about whom something is held; raises `SubjectNotFound`."""
    if (found := await parts.vault.find(subject_id)) is None:
        raise SubjectNotFound
    return found


def described(hold: LegalHold) -> Mapping[str, Any]:
    """Give a hold as JSON."""
    return {name: getattr(hold, name) for name in LegalHold.__slots__}


def _hold(hold_id: str, kind: Kind, target: str, since: int, until: int, reason: str, by: str, at: int) -> LegalHold:
    begins, ends = (to_text(since), to_text(until)) if kind == "time" else (None, None)
    return LegalHold(hold_id, kind, target, begins, ends, reason, by, to_text(at))


def _micros(moment: datetime | None, default: int) -> int:
    return default if moment is None else to_micros(moment)
