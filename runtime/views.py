"""A stored call as its readers see it: the caller's outcome, and the whole of it for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ..actions import EffectKind, FieldError, Problem
from ..audit import State
from ..errors import AuditError
from .approvals import Barred, customer_of, electorate, seats_of
from .call import Call
from .clock import to_text
from .outcome import WORDS, Outcome, problem
from .recorded import members, secrets
from .requirements import needs_of, waiting_for, wanted
from .undoing import undo_of
from .vault import Vault
from .work import Parts, Work

OPENINGS = (
    "LEFT JOIN opening o ON o.tenant = e.tenant AND o.event = e.id LEFT JOIN subject s ON s.tenant = o.tenant AND s.pseudonym = o.subject"
)
_FIRST = frozenset({"call.received", "call.rejected"})
_VERSIONS = {"call.received": "proposed", "call.amended": "amended", "call.intended": "executed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallView:
    """Everything about a call, opened for a person who may see it. Times are RFC 3339 in UTC.

    `limits` say what it takes of each limit, and what was used before, as it was last decided. `settled_by` says of an unknown one
    who finds out. `undoes` is the call that it reverses, `undo` the one that reverses it, or has done so. `pruned` says that its events,
    or the first of them, are not kept any more.
    """

    id: str
    action: str
    version: str
    state: State
    principal: str
    subject: str
    conversation: str
    channel: str
    model: str
    created: str
    updated: str
    attempt: int
    digest: str
    code: str | None
    reference: str | None
    provider_status: str | None
    effect_key: str | None
    arguments: Mapping[str, Any]
    result: Any
    next_look: str | None
    until: str | None
    settled_by: str | None
    undoes: str | None
    undo: str | None
    taken_back: str | None
    requirements: tuple[Mapping[str, Any], ...] = ()
    limits: tuple[Mapping[str, Any], ...] = ()
    versions: tuple[Mapping[str, Any], ...] = ()
    events: tuple[Mapping[str, Any], ...] = field(default=())
    pruned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a runtime stands.

    The age of the oldest event that no checkpoint covers, calls on their way here, changes not yet committed, switches that are thrown,
    and calls of unknown outcome that only a person can settle.
    """

    oldest_unsequenced: timedelta
    running: int
    queued: int
    switches: int
    dead: int


async def outcome_of(parts: Parts, call: Call, *, repeated: bool = False) -> Outcome:
    """Say what became of a call, to whoever asked for it."""
    kept = await _opened(parts, call, call.result)
    error = _problem(kept.get("error"))
    if call.state is State.SUCCEEDED and call.code == "resolved":
        error = problem("resolved")
    if error is None and call.state in {State.DENIED, State.DECLINED, State.EXPIRED, State.CANCELLED, State.FAILED}:
        error = problem(call.code if call.code in WORDS else "stopped")
    return Outcome(
        call_id=call.id,
        action=call.action,
        state=call.state,
        result=kept.get("model"),
        error=error,
        waiting=waiting_for(await wanted(parts, call)) if call.state is State.WAITING else (),
        repeated=repeated,
        reference=call.reference,
        until=until_of(parts, call),
        settled_by=settled_by(call),
        taken_back=call.taken_back,
        erased=call.erased,
    )


def until_of(parts: Parts, call: Call) -> str | None:
    """Say until when a call cools off, or when an unknown effect is looked up next; None where there is no such time."""
    if call.state is State.READY and call.delayed_until and parts.clock.now() < call.delayed_until:
        return to_text(call.delayed_until)
    return to_text(call.wake_at) if settled_by(call) == "look_up" and call.wake_at else None


def settled_by(call: Call) -> str | None:
    """Say who finds out what became of an unknown effect: a look-up (or a second sending under the same key), or a person."""
    if call.state is not State.UNKNOWN:
        return None
    return "person" if call.dead_at is not None or call.kind == EffectKind.ONCE else "look_up"


async def dry_outcome(parts: Parts, work: Work) -> Outcome:
    """Say what would become of a call: decided like any other, and nothing written."""
    kept = await _opened(parts, work.call, work.call.result, work)
    waits = waiting_for(needs_of(work)) if work.call.state is State.WAITING else ()
    return Outcome(
        call_id=None, action=work.call.action, state=work.call.state, error=_problem(kept.get("error")), waiting=waits, dry_run=True
    )


async def view(parts: Parts, call: Call) -> CallView:
    """Open a call for a person."""
    request, kept = await _opened(parts, call, call.sealed), await _opened(parts, call, call.result)
    told = await events(parts, call)
    decisions = [event["body"]["decision"] for event in told if event["kind"] == "call.decided"]
    return CallView(
        id=call.id,
        action=call.action,
        version=call.action_version,
        state=call.state,
        principal=call.principal,
        subject=request.get("subject", call.subject),
        conversation=call.conversation,
        channel=call.channel,
        model=call.model,
        created=to_text(call.created_at),
        updated=to_text(call.updated_at),
        attempt=call.attempt,
        digest=call.digest,
        code=call.code,
        reference=call.reference,
        provider_status=call.provider_status,
        effect_key=request.get("effect_key"),
        arguments=_without_secrets(parts, call, request.get("arguments", {})),
        result=kept.get("canonical", kept.get("error")),
        next_look=to_text(call.wake_at) if call.wake_at else None,
        until=until_of(parts, call),
        settled_by=settled_by(call),
        undoes=call.undoes,
        undo=undo.id if call.state is State.SUCCEEDED and (undo := await undo_of(parts, call.id)) else None,
        taken_back=call.taken_back,
        requirements=tuple(await _requirements(parts, call)),
        limits=tuple(decisions[-1].get("limits", ())) if decisions else (),
        versions=tuple(_versions(told)),
        events=tuple(told),
        pruned=not told or told[0]["kind"] not in _FIRST,
    )


async def events(parts: Parts, call: Call) -> list[Mapping[str, Any]]:
    """Give the events of a call in order, with their personal values where they still open."""
    sql = (
        "SELECT e.kind, e.at, e.leaf, e.leaf_index, e.id, o.blob, o.subject, s.wrapped_key FROM event e "  # noqa: S608 - names from this package
        f"{OPENINGS} WHERE e.tenant = ? AND e.call = ? ORDER BY e.sequence"
    )
    return [_event(parts, row) for row in await parts.store.rows(sql, (call.tenant, call.id))]


async def placed_events(parts: Parts, *, after: int, most: int) -> list[Mapping[str, Any]]:
    """Give events in the log's order, as their leaves tell them: clear parts and commitments."""
    sql = "SELECT leaf_index, leaf FROM event WHERE tenant = ? AND leaf_index > ? ORDER BY leaf_index LIMIT ?"
    return [{"place": place, **members(leaf)} for place, leaf in await parts.store.rows(sql, (parts.store.tenant, after, most))]


async def health(parts: Parts, *, running: int) -> Health:
    """Say how the runtime stands; raises `StoreError` when the database can't be read."""
    sql = "SELECT at FROM event WHERE tenant = ? AND leaf_index IS NULL ORDER BY position LIMIT 1"
    oldest = await parts.store.row(sql, (parts.store.tenant,))
    age = timedelta(microseconds=max(0, parts.clock.now() - oldest[0])) if oldest else timedelta()
    dead = await parts.store.row("SELECT count(*) FROM call WHERE tenant = ? AND dead_at IS NOT NULL", (parts.store.tenant,))
    queued, switches = parts.store.journal.depth, len(parts.control.switches)
    return Health(oldest_unsequenced=age, running=running, queued=queued, switches=switches, dead=dead[0])


def _event(parts: Parts, row: Any) -> Mapping[str, Any]:
    kind, at, leaf, index, *sealed = row
    read = members(leaf)
    opened = open_opening(parts.vault, *sealed) or {}
    personal = {pointer: value for pointer, (_, value) in opened.items()}
    change = read.get("change")
    return {
        "id": sealed[0],
        "kind": kind,
        "at": to_text(at),
        "place": index,
        "change": change,
        "body": read["body"],
        "personal": personal,
        "sealed": sorted(read.get("commitments", {}).keys() - personal.keys()),
    }


def open_opening(vault: Vault, event_id: str, blob: bytes | None, pseudonym: str, wrapped: bytes | None) -> Mapping[str, Any] | None:
    """Open what was committed to in an event, in any thread; None where it is sealed for good. `OPENINGS` joins what it takes."""
    if blob is None or wrapped is None:
        return None
    try:
        opened: Mapping[str, Any] = vault.unwrapped(pseudonym, wrapped).open(blob, event_id)
    except (AuditError, TypeError, ValueError):  # erased, or changed
        return None
    return opened


async def _requirements(parts: Parts, call: Call) -> list[Mapping[str, Any]]:
    """Give what a call was asked for: who has answered, and who still can."""
    asked, wanting = await parts.store.requirements(call.id), await wanted(parts, call) if call.state is State.WAITING else []
    barred = await Barred.of(parts, call, await customer_of(parts, call)) if any(one.kind == "approval" for one in wanting) else None
    ballots = await parts.store.ballots(call)
    return [
        {
            "id": one.id,
            "kind": one.kind,
            "rule": one.rule,
            "by": one.role,
            "votes": one.votes,
            "state": one.state,
            "reason": one.reason,
            "shown": one.shown,
            "until": to_text(one.deadline_at),
            "answers": [{"person": person, "answer": answer} for person, answer in await parts.store.votes(one.id)],
            "can": sorted((await electorate(parts, barred, seats_of(one).roles)).keys() - ballots.keys())
            if barred and one in wanting
            else [],
            "assurance": one.assurance or None,
            "covers": one.covers,
            "escalates": {"to": one.escalate_to, "at": to_text(one.escalate_at), "done": bool(one.escalated)} if one.escalate_at else None,
        }
        for one in asked
    ]


def _versions(told: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Give what was proposed, what it was amended to, and what was executed: each a fact of its own, from its own event."""
    known: dict[str, Mapping[str, Any]] = {}
    for event in told:
        body, kind = event["body"], _VERSIONS.get(event["kind"])
        if kind is None:
            continue
        if kind != "executed":
            personal = {name[len("/arguments/") :]: value for name, value in event["personal"].items() if name.startswith("/arguments/")}
            known[body["digest"]] = {**body["arguments"], **personal}
        # An attempt says what it stands on by digest alone.
        yield {"what": kind, "at": event["at"], "by": body.get("by"), "digest": body["digest"], "arguments": known.get(body["digest"])}


def _without_secrets(parts: Parts, call: Call, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    action = parts.catalog.get(call.action)
    hidden = secrets(action, arguments) if action else arguments
    return {name: "•••" if name in hidden else value for name, value in arguments.items()}


async def _opened(parts: Parts, call: Call, sealed: bytes | None, work: Work | None = None) -> Mapping[str, Any]:
    if not sealed:
        return {}
    try:
        owner = work.owner if work else await parts.vault.by_pseudonym(call.subject)
        kept: Mapping[str, Any] = owner.open(sealed, call.id)
    except AuditError:
        return {}
    return kept


def _problem(value: Mapping[str, Any] | None) -> Problem | None:
    if value is None:
        return None
    return Problem(**{**value, "field_errors": tuple(FieldError(**one) for one in value["field_errors"])})
