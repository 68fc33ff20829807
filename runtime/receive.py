"""The first phase: from what a model sent to a call with canonical bytes, or to a problem that the model can repair."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..actions import Action, Arguments, KeyTemplate, Problem, ToolCall
from ..audit import State, canonical, keyed_hash
from ..errors import AuditError
from .call import Call
from .clock import to_datetime
from .recorded import parted_arguments
from .session import ANONYMOUS, Session
from .vault import SubjectKey
from .work import Parts, Work, new_id

_READABLE = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What was handed in: the tool call, by whom, under which key; `undoes` is the call that it reverses, and `reason` why."""

    tool_call: ToolCall
    session: Session
    key: str | None
    repeat_of: str | None = None
    dry_run: bool = False
    undoes: str | None = None
    reason: str = ""


def parse(parts: Parts, submission: Submission) -> tuple[Action, Arguments] | Problem:
    """Find the action and read the arguments; what can't be used is a problem, never an exception."""
    name = submission.tool_call.name
    action = parts.catalog.get(name) if isinstance(name, str) else None
    if action is None:
        near = parts.catalog.suggest(name) if isinstance(name, str) else None
        hint = f" Did you mean `{near}`?" if near else ""
        return Problem("unknown_action", f"There is no such action.{hint}", (), "fix_arguments" if near else "never", near)
    raw = submission.tool_call.arguments
    read = action.read(raw if isinstance(raw, str | bytes | Mapping) else "null")
    return read if isinstance(read, Problem) else (action, read)


async def receive(parts: Parts, submission: Submission, action: Action, arguments: Arguments) -> Work:
    """Make the call: canonical bytes, digest, fingerprint and keys, and the event that says it arrived."""
    now = parts.clock.now()
    asker = await parts.vault.subject(submission.session.subject, keep=not submission.dry_run)
    session = await raised(parts, submission.session, asker.pseudonym)
    effect_text = effect_text_of(action, arguments, session)
    nonce = os.urandom(32)
    effect_key = parts.vault.hash("effect", effect_text) if effect_text else None
    call = Call(
        tenant=session.tenant,
        id=new_id("call", now),
        version=0,
        state=State.NEW,
        action=action.name,
        action_version=action.version,
        schema_digest=action.schema_digest,
        kind=action.effect.kind.value,
        principal=session.principal,
        principal_kind=session.kind,
        subject=asker.pseudonym,
        conversation=session.conversation,
        channel=session.channel,
        model=session.model,
        assurance=session.assurance,
        idempotency=idempotency(parts, submission),
        fingerprint=fingerprint_of(asker, action, arguments, session, effect_text),
        digest=digest_of(nonce, action, arguments, session, effect_text),
        effect_key=effect_key,
        ordinal=0,
        sealed=b"",
        created_at=now,
        updated_at=now,
        undoes=submission.undoes,
    )
    work = Work(
        call=call,
        stored=0,
        session=session,
        action=action,
        arguments=arguments,
        nonce=nonce.hex(),
        effect_text=effect_text,
        asker=asker,
        owner=asker,
        dry_run=submission.dry_run,
    )
    return work.note("call.received", *_received(work, submission.reason))


async def raised(parts: Parts, session: Session, pseudonym: str) -> Session:
    """Start a session as high as the same customer has proved in the same conversation."""
    if parts.step_up is None or not session.conversation or session.subject == ANONYMOUS:
        return session
    found = await parts.store.raised(pseudonym, session.conversation, parts.clock.now())
    if found is None or found[0] < session.assurance:
        return session
    # When it was proved belongs to how much was: a login of just now does not make an older proof of more a recent one.
    known = session.verified_at if session.assurance == found[0] else None
    since = to_datetime(found[1])
    return replace(session, assurance=found[0], verified_at=max(since, known or since))


def idempotency(parts: Parts, submission: Submission) -> bytes | None:
    """Hash the caller's key, unique in tenant, principal and conversation."""
    if submission.key is None or submission.dry_run:
        return None
    session, key = submission.session, ascii(submission.key)  # a model's key may be no text that could be stored
    return parts.vault.hash("idempotency", canonical([session.principal, session.conversation, key]))


def readable_name(name: object) -> str | None:
    """Give an action name as a model wrote it only if it could be one: anything else is not repeated in a log."""
    return name if isinstance(name, str) and _READABLE.fullmatch(name) else None


def effect_text_of(action: Action, arguments: Arguments, session: Session) -> str | None:
    """Fill the effect key template; None where every call is an effect of its own, or there is none."""
    if not isinstance(action.key, KeyTemplate):
        return None
    return action.key.fill(arguments.canonical, session.subject, session.tenant)


def fingerprint_of(asker: SubjectKey, action: Action, arguments: Arguments, session: Session, effect_text: str | None) -> bytes:
    """Hash what is asked for, so that it is known again when it is asked for again."""
    return asker.hash("request", canonical(_request(action, arguments, session, effect_text)))


async def proposed(parts: Parts, call: Call) -> bytes | None:
    """Give the fingerprint of what was asked for before it was amended: whoever sends that again under its key means this call."""
    try:
        kept = (await parts.vault.by_pseudonym(call.subject)).open(call.sealed, call.id)
    except AuditError:
        return None  # erased, or the row was changed
    return bytes.fromhex(kept.get("proposed", ""))


def digest_of(nonce: bytes, action: Action, arguments: Arguments, session: Session, effect_text: str | None) -> str:
    """Name exactly what would run: an HMAC under a sealed nonce, so that it can't be guessed back."""
    asked = {**_request(action, arguments, session, effect_text), "principal": session.principal}
    return keyed_hash(nonce, "digest", canonical(asked)).hex()


def _request(action: Action, arguments: Arguments, session: Session, effect_text: str | None) -> Mapping[str, Any]:
    return {
        "action": action.name,
        "version": action.version,
        "schema": action.schema_digest,
        "arguments": dict(arguments.canonical),
        "subject": session.subject,
        "tenant": session.tenant,
        "effect_key": effect_text,
    }


def _received(work: Work, reason: str) -> tuple[dict[str, Any], dict[str, Any]]:
    call = work.call
    clear, personal = parted_arguments(work.action, work.arguments.canonical)
    body = {
        "digest": call.digest,
        "effect": call.kind,
        "arguments": clear,
        "effect_key": call.effect_key.hex() if call.effect_key else None,
        "idempotency_key": call.idempotency.hex() if call.idempotency else None,
        "channel": call.channel,
    }
    said = {"/subject": work.session.subject, "/conversation": call.conversation} | ({"/reason": reason} if reason else {})
    body |= {"undoes": call.undoes} if call.undoes else {}
    return body, {**{f"/arguments{pointer}": value for pointer, value in personal.items()}, **said}
