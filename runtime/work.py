"""What the phases hand on: one call, what is known of it by now, and what its next commit will write."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import Any

from ..actions import Action, Arguments, Catalog, Context, Ledger
from ..audit import Event, State, write
from ..errors import AuditError, DatabaseTooNew
from ..policies import ActionShape, Decision, Expression, Policies
from . import telemetry, terms
from .breaker import Breakers
from .call import Call, evolved
from .clock import Clock, to_text
from .identity import StepUp
from .journal import Conflict
from .recorded import secrets, told, without_secrets
from .series import CHANGE, Found, Release, Take
from .session import Session
from .statements import Write, add_call, move_call
from .store import Store
from .vault import SubjectKey, Vault

TRIES = 8
"""Each time the call that is undone has moved meanwhile."""

log = telemetry.logger("remit.work")


@dataclass(frozen=True, slots=True)
class Guard:
    """The compiled expressions of one action, and what the conditions about it look at."""

    shape: ActionShape
    owns: Expression | None
    about: Expression | None
    facts: frozenset[str]
    """What the two mention, said once: it is asked at every call."""

    @classmethod
    def of(cls, shape: ActionShape, owns: Expression | None, about: Expression | None) -> Guard:
        """Put an action's expressions together."""
        return cls(shape, owns, about, frozenset().union(*(one.facts for one in (owns, about) if one is not None)))


@dataclass(slots=True)
class Control:
    """What is in force in this process, and the epoch in which it was read. A switch is `(kind, target)`.

    `outdated` is there once a newer Remit has brought the database forward: then nothing more is begun here.
    """

    epoch: int
    policies: Policies
    switches: frozenset[tuple[str, str]] = frozenset()
    shadow: Policies | None = None
    outdated: DatabaseTooNew | None = None

    def stopped_by(self, call: Call) -> str | None:
        """Name the switch that stops a call, such as `action:refund_payment`; None where none does."""
        if not self.switches:
            return None
        places = (("all", "*"), ("tenant", call.tenant), ("agent", call.principal), ("action", call.action))
        return next((f"{kind}:{target}" for kind, target in places if (kind, target) in self.switches), None)


@dataclass(frozen=True, slots=True)
class Lingering:
    """A handler that was not done at its deadline, and what it was told."""

    task: asyncio.Task[Any]
    told: Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that a phase may use besides the work itself."""

    store: Store
    vault: Vault
    clock: Clock
    follows: bool
    """Whether the clock goes by the database's time."""
    log_id: str
    catalog: Catalog
    guards: Mapping[str, Guard]
    resources: Mapping[type, object]
    control: Control
    breakers: Breakers
    lease_margin: timedelta
    attempts: int
    ledgers: tuple[Ledger, ...] = ()
    step_up: StepUp | None = None
    changed: dict[str, asyncio.Event] = field(default_factory=dict)
    lingering: dict[str, Lingering] = field(default_factory=dict)

    def announce(self, call_id: str) -> None:
        """Wake whoever waits in this process for the call to move."""
        if waiter := self.changed.pop(call_id, None):
            waiter.set()


@dataclass(frozen=True, slots=True)
class Draft:
    """An event still to be written: the runtime fills in who, when, and its place in the call's own chain."""

    kind: str
    body: Mapping[str, Any]
    personal: Mapping[str, Any] = field(default_factory=dict)
    change: tuple[State, State] | None = None


@dataclass(frozen=True, kw_only=True)
class Work:
    """One call on its way.

    `stored` is the version that the database holds (0: none yet). `asker` is the subject's key; `owner` the key of the person
    whose data it is, and `about` names them where `about=` does. `next_ordinal` is the place that the effect would take, and
    `confirm` the earlier call that the customer must be shown before. `proposed` is the fingerprint (hex) of what was asked for
    before it was amended, `trace` the span (W3C) under which it was submitted. `conflict` says that another subject holds the effect key.
    `granted` names the approvals that the next intent uses, and `takes` what it takes of limits. `found` is what was used of the
    limits that had no room, when the call tried to take from them. `epoch` is the one in which no switch stopped it: whatever was
    decided since counts only while that lasts.
    """

    call: Call
    stored: int
    session: Session
    action: Action
    arguments: Arguments
    nonce: str
    effect_text: str | None
    asker: SubjectKey
    owner: SubjectKey
    next_ordinal: int = 1
    confirm: str | None = None
    proposed: str = ""
    trace: str = ""
    conflict: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    about: str | None = None
    decision: Decision | None = None
    granted: tuple[str, ...] = ()
    takes: tuple[Take, ...] = ()
    found: Found = field(default_factory=dict)
    epoch: int = 0
    drafts: tuple[Draft, ...] = ()
    writes: tuple[Write, ...] = ()
    dry_run: bool = False
    at_rest: bool = False

    def evolve(self, **changes: Any) -> Work:
        """Make the next value."""
        return evolved(self, changes)

    def on_call(self, **changes: Any) -> Work:
        """Change fields of the call; its version rises only when it is committed."""
        return evolved(self, {"call": evolved(self.call, changes)})

    def note(
        self, kind: str, body: Mapping[str, Any], personal: Mapping[str, Any] | None = None, *, to: State | None = None, **changes: Any
    ) -> Work:
        """Add an event; `to` also moves the call, and `changes` change other fields of it."""
        if to is not None:
            changes["state"] = to
        draft = Draft(kind, body, personal or {}, None if to is None else (self.call.state, to))
        call = evolved(self.call, changes) if changes else self.call
        return evolved(self, {"call": call, "drafts": (*self.drafts, draft)})

    def moved_by_last(self, to: State) -> Work:
        """Let the last event added be the one that moves the call."""
        last = replace(self.drafts[-1], change=(self.call.state, to))
        return evolved(self.on_call(state=to), {"drafts": (*self.drafts[:-1], last)})

    def also(self, *writes: Write) -> Work:
        """Add writes to the next commit."""
        return evolved(self, {"writes": (*self.writes, *writes)})

    def let_go(self) -> Work:
        """End without effect: free what the stored call holds and asked for."""
        return self.also(*ending(self.call)) if self.stored else self

    def rest(self) -> Work:
        """Stop here: the next commit is the last of this journey."""
        return evolved(self, {"at_rest": True})


def new_id(kind: str, now: int) -> str:
    """Make an id: the millisecond and 56 random bits, told apart by kind (`call`, `evt`, `req`).

    Ids of one time lie side by side in an index, so a group of commits touches few of its pages.
    """
    return f"{kind}_{now // 1_000:011x}{os.urandom(7).hex()}"


async def commit(parts: Parts, work: Work) -> Work:
    """Write the call, its events and what goes with them in one transaction; raises `Conflict` if the call has moved."""
    if work.dry_run:
        return work
    if work.stored == 0:
        work = work.on_call(subject=work.owner.pseudonym, sealed=work.owner.seal(request(work), work.call.id))
    elif work.call.final and secrets(work.action, work.arguments.canonical):
        work = work.on_call(sealed=work.owner.seal(request(work), work.call.id))
    call, writes = record(parts, work.call, work.drafts, work.owner)
    row = add_call(call) if work.stored == 0 else move_call(call, seen=work.stored)
    await _write(parts, call, [row, *work.writes, *writes])
    telemetry.committed(call.action, [draft.kind for draft in work.drafts])
    return work.evolve(call=call, stored=call.version, drafts=(), writes=())


def request(work: Work) -> dict[str, Any]:
    """Give what is needed to take up a call again: sealed with it, so it is personal. Secrets only while the call can still move."""
    session, arguments = work.session, work.arguments.canonical
    return {
        "arguments": without_secrets(work.action, arguments) if work.call.final else dict(arguments),
        "nonce": work.nonce,
        "effect_key": work.effect_text,
        "facts": told(work.facts, work.action.wording.places),
        "subject": session.subject,
        "assurance": session.assurance,
        "locale": session.locale,
        "verified_at": session.verified_at.isoformat() if session.verified_at else None,
        "turn": session.turn,
        "after": work.confirm,
        "proposed": work.proposed,
        "trace": work.trace or telemetry.traceparent(),
    }


def resealed(work: Work) -> Work:
    """Seal the request of a stored call anew: with what people are shown of it now."""
    return work.on_call(sealed=work.owner.seal(request(work), work.call.id)) if work.stored else work


async def move(parts: Parts, call: Call, drafts: tuple[Draft, ...], writes: Iterable[Write] = (), **changes: Any) -> Call:
    """Move a stored call by a fact from outside (a vote, a cancellation, a deadline): needs neither its action nor its arguments."""
    owner = await _owner(parts, call)
    moved = next((draft.change[1] for draft in reversed(drafts) if draft.change), call.state)
    call_then = evolved(call, {"state": moved, **changes})
    if call_then.final:
        call_then = _without_secrets(parts, call_then, owner)
    after, events = record(parts, call_then, drafts, owner)
    await _write(parts, after, [move_call(after, seen=call.version), *writes, *events])
    telemetry.committed(after.action, [draft.kind for draft in drafts])
    return after


async def _owner(parts: Parts, call: Call) -> SubjectKey:
    try:
        return await parts.vault.by_pseudonym(call.subject)
    except AuditError:  # erased: the call must still be able to end, and what is said of it now nobody can read
        return SubjectKey(call.subject, os.urandom(32))


@telemetry.phase(telemetry.COMMIT)
async def _write(parts: Parts, call: Call, writes: list[Write]) -> None:
    """Commit a move of a call; where it has undone another, what that comes to goes into the same transaction."""
    writes = [*writes, *parts.store.waking(call, here=call.action in parts.catalog)]
    if call.undoes is None or call.state is not State.SUCCEEDED or call.taken_back:
        await parts.store.commit(writes, call=call)
        parts.announce(call.id)
        return
    for left in reversed(range(TRIES)):
        first = await parts.store.find(call.undoes)  # None where it was pruned meanwhile
        try:
            await parts.store.commit([*writes, *(await _undone(parts, first, call) if first else ())], call=call)
        except Conflict:
            # The effect of this call has happened: it must settle, whatever the first call did meanwhile.
            again = await parts.store.find(call.undoes)
            if not left or (again and again.version) == (first and first.version):
                raise
        else:
            parts.announce(call.id)
            parts.announce(call.undoes)
            return


async def _undone(parts: Parts, first: Call, by: Call) -> list[Write]:
    if first.taken_back:
        log.error("call %s has undone call %s, which was %s already", by.id, first.id, first.taken_back)
        return []
    draft = Draft("call.undone", {"undo": by.id, "by": by.principal})
    after, events = record(parts, evolved(first, {"taken_back": "undone"}), (draft,), await _owner(parts, first))
    return [move_call(after, seen=first.version), *releasing(parts, first), *events]


def releasing(parts: Parts, call: Call) -> list[Write]:
    """Free what a call that succeeded still holds, because its effect was taken back: its effect key, and what it took of limits."""
    writes = [give_back(parts, call.id)]
    if call.effect_key is not None and call.ordinal:
        writes.append(Write("effect.free", (call.tenant, call.effect_key, call.ordinal, call.id)))
    return writes


def _without_secrets(parts: Parts, call: Call, owner: SubjectKey) -> Call:
    if (action := parts.catalog.get(call.action)) is None:
        return call
    try:
        kept = owner.open(call.sealed, call.id)
    except AuditError:
        return call  # it was changed, and is refused for that
    if not secrets(action, kept["arguments"]):
        return call
    return evolved(call, {"sealed": owner.seal({**kept, "arguments": without_secrets(action, kept["arguments"])}, call.id)})


def ending(call: Call) -> list[Write]:
    """Give what goes when a call ends without effect: its hold on the effect key, and what it asked for."""
    writes = [Write("requirement.close", ("voided", call.tenant, call.id), expect=None)]
    if call.effect_key is not None and call.ordinal:
        writes.append(Write("effect.free", (call.tenant, call.effect_key, call.ordinal, call.id)))
    return writes


def record(parts: Parts, call: Call, drafts: tuple[Draft, ...], owner: SubjectKey) -> tuple[Call, list[Write]]:
    """Build the leaves of the drafts, chained to the call's events before, and the call's next version."""
    now = parts.clock.now()
    at, sequence, previous = to_text(now), call.sequence, call.last_leaf
    # What an attempt has taken of limits is given back with any end but success.
    writes = [give_back(parts, call.id)] if call.attempt and call.final and call.state is not State.SUCCEEDED else []
    head = {
        "tenant": call.tenant,
        "call": call.id,
        "principal": {"id": call.principal, "kind": call.principal_kind},
        "model": call.model or None,
        "subject": owner.pseudonym,
        "action": {"name": call.action, "version": call.action_version, "schema": call.schema_digest},
    }
    for draft in drafts:
        sequence += 1
        event = Event(
            kind=draft.kind,
            at=at,
            id=new_id("evt", now),
            sequence=sequence,
            previous=previous.hex() if previous else None,
            change=(draft.change[0].value, draft.change[1].value) if draft.change else None,
            body=draft.body,
            personal=draft.personal,
            **head,  # type: ignore[arg-type]
        )
        previous, more = event_writes(parts, event, owner, now)
        writes += more
    found = chain(
        terms.of_call(call.action, call.principal) if not call.sequence else (),
        *(terms.of_event(draft.kind, draft.body) for draft in drafts),
    )
    writes += terms.writes(call.tenant, call.created_at, call.id, found)
    return call.evolve(sequence=sequence, last_leaf=previous, updated_at=now), writes


def give_back(parts: Parts, call_id: str) -> Write:
    """Release what a call has taken of limits, to the slices that took it; what was released before stays as it is."""
    return Write(CHANGE, (Release(parts.store.tenant, call_id, partial(apart, parts)),))


def apart(
    parts: Parts,
    kind: str,
    body: Mapping[str, Any],
    *,
    owner: SubjectKey | None = None,
    personal: Mapping[str, Any] | None = None,
    principal: Mapping[str, str] | None = None,
) -> list[Write]:
    """Write an event that stands outside every call's chain."""
    now = parts.clock.now()
    event = Event(
        kind=kind,
        at=to_text(now),
        id=new_id("evt", now),
        tenant=parts.store.tenant,
        principal=principal,
        subject=owner.pseudonym if owner else None,
        body=body,
        personal=personal or {},
    )
    found = () if kind in terms.COUNTED else terms.alone(kind, body, (principal or {}).get("id", ""))
    return [*event_writes(parts, event, owner, now)[1], *terms.writes(event.tenant, now, event.id, found)]


def event_writes(parts: Parts, event: Event, owner: SubjectKey | None, now: int) -> tuple[bytes, list[Write]]:
    """Write an event as a leaf: its hash, and the rows of the event and of its sealed opening."""
    leaf = write(event, parts.log_id, os.urandom)
    row = (event.tenant, event.id, event.call, event.sequence, event.kind, now, leaf.data, leaf.hash)
    writes = [Write("event.add", row)]
    if leaf.opening and owner is not None:
        writes.append(Write("opening.add", (event.tenant, event.id, owner.pseudonym, owner.seal(leaf.opening, event.id))))
    return leaf.hash, writes
