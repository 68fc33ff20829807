"""What is held about a person: give it out, and erase it so that not even a backup tells it.

An erasure has two halves. The first is one transaction: the person's wrapped key, and all that could be guessed back, go. The second
reaches backups: `subjects_rotation` destroys the tenant key that their rows are wrapped by, and only then it is recorded as complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..audit import FINAL
from ..errors import CallError
from .access import LOCAL_OPERATOR, noted, revealer
from .call import ERASED
from .clock import to_text
from .control import refresh
from .holds import Holds, described, known
from .journal import CommitUnknown, Conflict
from .people import People
from .recorded import plain
from .statements import Write
from .subjects_rotation import rotate
from .views import view
from .work import Parts, apart


class UnderHold(CallError):
    """A legal hold stands on this person."""

    code = "under_hold"
    status = 409


class CallsUnderWay(CallError):
    """A call of this person has not ended."""

    code = "calls_under_way"
    status = 409


@dataclass(frozen=True, slots=True)
class Erasure:
    """A person who was erased, by pseudonym. Until `completed`, backups and the tenant key of then together still tell who it was."""

    subject: str
    at: str
    completed: str | None


class Subjects:
    """Export and erase persons."""

    def __init__(self, parts: Parts, people: People, holds: Holds) -> None:
        self._parts, self._store, self._people, self._holds = parts, parts.store, people, holds

    async def export(self, subject_id: str, *, by: str = LOCAL_OPERATOR, purpose: str = "what is held about a person") -> Mapping[str, Any]:
        """Give everything that is held about a person, opened, as one JSON document; raises `SubjectNotFound`.

        Calls with arguments, results, reasons, what was shown, votes, and each event with its personal values; holds, and what they have
        proved of who they are. The access log keeps by whom and for what purpose. Raises `NotAReader` and `PurposeMissing` as well.
        """
        if by != LOCAL_OPERATOR:
            await revealer(self._people, by, purpose)
        key = await known(self._parts, subject_id)
        calls = [asdict(await view(self._parts, await self._store.get(call_id))) for call_id in await self._calls(key.pseudonym)]
        sql = "SELECT conversation, assurance, verified_at, until_at FROM raised WHERE tenant = ? AND subject = ? ORDER BY verified_at"
        proved = [
            {"conversation": conversation, "assurance": assurance, "at": to_text(at), "until": to_text(until)}
            for conversation, assurance, at, until in await self._store.rows(sql, (self._store.tenant, key.pseudonym))
        ]
        holds = [described(one) for one in await self._holds.on(key.pseudonym)]
        sought = {"subject": key.pseudonym}
        await noted(self._parts, "personal.revealed", by, sought=sought, found=len(calls), purpose=purpose)
        return {"subject": subject_id, "pseudonym": key.pseudonym, "calls": calls, "proved": proved, "holds": holds}

    async def erase(self, subject_id: str, *, reason: str, legal_basis: str, by: str) -> Erasure:
        """Destroy everything by which a person could be known again; leaves, hashes, proofs and checkpoints stay as they were.

        What `reason` says is written in clear, for good. In an embedded database backups are reached at once; on a server by `complete`.
        Raises `SubjectNotFound`, `UnderHold` and `CallsUnderWay`.
        """
        key = await known(self._parts, subject_id)
        await self._refuse(key.pseudonym)
        tenant, pseudonym, now = self._store.tenant, key.pseudonym, self._parts.clock.now()
        body = {"reason": plain(reason), "legal_basis": plain(legal_basis), "by": by}
        event = apart(self._parts, "subject.erased", body, owner=key)
        row = (tenant, pseudonym, self._store.keys.epoch, now)
        try:
            await self._store.commit([*_destroying(tenant, pseudonym), Write("erasure.add", row), *event])
        except Conflict:
            await self._refuse(pseudonym)
            raise
        except CommitUnknown:
            if await self._parts.vault.find(subject_id) is not None:
                raise
        await refresh(self._parts)
        self._parts.vault.forget()
        if self._store.queue is None:
            await self.complete()
        return next(one for one in await self.erasures() if one.subject == pseudonym)

    async def complete(self) -> tuple[Erasure, ...]:
        """Destroy the tenant key under which backups still hold those who were erased, and record that; gives who they were.

        Safe to repeat, and to begin again wherever it was cut off.
        """
        sql = "SELECT pseudonym, epoch FROM erasure WHERE tenant = ? AND completed_at IS NULL ORDER BY at, pseudonym"
        if not (pending := await self._store.rows(sql, (self._store.tenant,))):
            return ()
        await rotate(self._parts, beyond=max(epoch for _, epoch in pending))
        await self._store.scrub()
        now, names = self._parts.clock.now(), [pseudonym for pseudonym, _ in pending]
        done = [Write("erasure.complete", (now, self._store.tenant, name)) for name in names]
        event = apart(self._parts, "erasure.completed", {"subjects": names, "epoch": min(self._store.keys.tenant_keys)})
        try:
            await self._store.commit([*done, *event])
        except Conflict:  # another process has recorded them meanwhile
            return await self.complete()
        return tuple(one for one in await self.erasures() if one.subject in names)

    async def erasures(self) -> tuple[Erasure, ...]:
        """List who was erased, the latest first."""
        sql = "SELECT pseudonym, at, completed_at FROM erasure WHERE tenant = ? ORDER BY at DESC, pseudonym"
        rows = await self._store.rows(sql, (self._store.tenant,))
        return tuple(Erasure(name, to_text(at), to_text(done) if done else None) for name, at, done in rows)

    async def go_on(self) -> None:
        """Complete what was cut off, where that needs nothing but this machine."""
        if self._store.queue is None:
            await self.complete()

    async def _calls(self, pseudonym: str) -> list[str]:
        sql = "SELECT id FROM call WHERE tenant = ? AND subject = ? ORDER BY created_at, id"
        return [call_id for (call_id,) in await self._store.rows(sql, (self._store.tenant, pseudonym))]

    async def _refuse(self, pseudonym: str) -> None:
        if held := await self._holds.on(pseudonym):
            named = ", ".join(f"{one.id} ({one.reason or 'no reason given'}, by {one.by})" for one in held)
            raise UnderHold(f"a legal hold stands, so nothing was erased: {named}; `remit hold lift` lets go of it")
        ended = [state.value for state in FINAL]
        sql = f"SELECT id, state FROM call WHERE tenant = ? AND subject = ? AND state NOT IN ({', '.join('?' * len(ended))}) LIMIT 3"  # noqa: S608
        if found := await self._store.rows(sql, (self._store.tenant, pseudonym, *ended)):
            named = ", ".join(f"{call_id} is {state}" for call_id, state in found)
            raise CallsUnderWay(f"nothing was erased, because not every call of theirs has ended: {named}; cancel, resolve or await it")


def _destroying(tenant: str, pseudonym: str) -> list[Write]:
    theirs = ("erase.openings", "erase.excluded", "erase.votes", "erase.codes", "erase.raised")
    return [
        Write("control.raise", (tenant,)),  # other processes then forget the key, too
        Write("erase.subject", (tenant, pseudonym)),
        *(Write(name, (tenant, pseudonym), expect=None) for name in theirs),
        Write("erase.effects", (b"", tenant, pseudonym), expect=None),
        Write("erase.calls", (ERASED, tenant, pseudonym), expect=None),
    ]
