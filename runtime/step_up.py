"""Step-up: a customer proves for one call who it is, by a code or a token, and its conversation stays raised for a while."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import ApprovalNotOpen, CodeNotAccepted, CodeNotSent, Unsure
from .answering import TRIES, customers_call, grant, open_for
from .call import Call
from .clock import to_datetime, to_text
from .journal import Conflict
from .session import ANONYMOUS, Session
from .statements import Write
from .store import Code, Requirement
from .work import Draft, Parts

SECOND = 1_000_000
CODE_LIFE = 600 * SECOND
RAISED_FOR = 1800 * SECOND
PAUSE = 30 * SECOND
MOST_CODES = 3
MOST_TRIES = 3
MOST_A_DAY = 12
"""Codes that are sent for all that one customer is asked to prove: each is three guesses, and a model can make any number of calls."""
DAY = 86_400 * SECOND


@dataclass(frozen=True, slots=True)
class CodeSent:
    """Say where a code went (masked), until when it is good (RFC 3339), and how many more may be sent for this step-up."""

    to: str
    until: str
    left: int


@dataclass(frozen=True, slots=True)
class Proof:
    """What a customer has proved; `code` is the write that uses a one-time code up."""

    method: str
    assurance: int
    code: Write | None = None


async def impossible(parts: Parts, session: Session, assurance: int) -> str | None:
    """Say, for people, why a customer could never prove this much here; None where it can."""
    if session.subject == ANONYMOUS:
        return "nobody has logged in whose identity could be proved"
    if parts.step_up is None:
        return "this runtime offers no way to prove an identity"
    if not await parts.step_up.reaches(session.subject, assurance):
        return f"there is no way for this customer to reach assurance {assurance}"
    return None


async def send_code(parts: Parts, call_id: str, *, subject: str) -> CodeSent:
    """Send a new one-time code; the one before it is no longer good.

    Raises `CodeNotSent` for the fourth, for one within 30 seconds of the last, for the thirteenth of a day to this customer, and
    where it can't be sent; `NotAnApprover` for anybody but the customer; `ApprovalNotOpen` and `CallNotFound`.
    """
    call, asked = await _open(parts, call_id, subject)
    first, codes = asked[0], parts.step_up.codes if parts.step_up else None
    try:
        to = await codes.reached(subject) if codes else None
    except Exception as error:  # the developer's code, or the network behind it
        raise CodeNotSent("the code could not be sent") from error
    if codes is None or to is None:
        raise CodeNotSent("there is no address to which a code could be sent")
    last, now = await parts.store.code(first.id), parts.clock.now()
    sent = last.sent if last else 0
    if sent >= MOST_CODES:
        raise CodeNotSent("no more codes are sent for this")
    if last is not None and now < last.sent_at + PAUSE:
        raise CodeNotSent("a code was sent a moment ago; wait half a minute before asking for another")
    code = f"{secrets.randbelow(1_000_000):06d}"
    until = min(now + CODE_LIFE, first.deadline_at)
    row = (call.tenant, first.id, sent + 1, _hash(parts, first, sent + 1, code), 0, now, until, 0, call.subject, now - DAY, MOST_A_DAY)
    try:
        await parts.store.commit([Write("code.put", row)])  # counted before it leaves
    except Conflict:
        raise CodeNotSent(f"a code was sent a moment ago, or {MOST_A_DAY} within a day") from None
    try:
        await codes.send(subject, code, await _locale(parts, call), to_datetime(until))
    except Unsure:
        pass  # it may have arrived
    except Exception as error:  # the developer's code, or the network behind it
        raise CodeNotSent("the code could not be sent") from error
    return CodeSent(to, to_text(until), MOST_CODES - sent - 1)


async def step_up(parts: Parts, call_id: str, *, subject: str, code: str | None, token: str | None) -> Call:
    """Take a code or a token as proof: what it reaches is granted, and the session is raised for this call.

    Raises `CodeNotAccepted` for anything else than a proof, without saying why; `NotAnApprover`, `ApprovalNotOpen`, `CallNotFound`.
    """
    proof: Proof | None = None
    for _ in range(TRIES):
        call, asked = await _open(parts, call_id, subject)
        proof = proof or await _proof(parts, call, asked[0], subject, code, token)
        met = [one for one in asked if one.assurance <= proof.assurance]
        if not met:
            raise CodeNotAccepted
        try:
            return await _raise(parts, call, met, [one for one in asked if one not in met], proof)
        except Conflict:
            if proof.code and ((last := await parts.store.code(asked[0].id)) is None or last.used or last.sent != proof.code.values[-1]):
                raise CodeNotAccepted from None
    raise ApprovalNotOpen


async def _proof(parts: Parts, call: Call, asked: Requirement, subject: str, code: str | None, token: str | None) -> Proof:
    """Check what was given; a code counts as tried before it is compared."""
    ways = parts.step_up
    if ways is None or (code is None) == (token is None):
        raise CodeNotAccepted
    if code is not None:
        return Proof("code", ways.assurance, await _tried(parts, asked, code))
    now, since = parts.clock.now() // SECOND, asked.created_at // SECOND
    assurance = ways.tokens.proved(token or "", subject=subject, call=call.id, now=now, asked=since) if ways.tokens else None
    if assurance is None:
        raise CodeNotAccepted
    return Proof("token", assurance)


async def _raise(parts: Parts, call: Call, met: Sequence[Requirement], left: Sequence[Requirement], proof: Proof) -> Call:
    now, owner = parts.clock.now(), await parts.vault.by_pseudonym(call.subject)
    kept = owner.open(call.sealed, call.id)
    reached = max(proof.assurance, kept.get("assurance", call.assurance))
    since = to_datetime(now).isoformat() if reached == proof.assurance else kept["verified_at"]
    sealed = owner.seal({**kept, "assurance": reached, "verified_at": since}, call.id)
    said = Draft("call.stepped_up", {"requirement": met[0].id, "method": proof.method, "assurance": proof.assurance})
    writes = [proof.code] if proof.code else []
    if call.conversation:
        asker = await parts.vault.subject(kept["subject"])
        writes.append(Write("raised.put", (call.tenant, asker.pseudonym, call.conversation, proof.assurance, now, now + RAISED_FOR)))
    return await grant(parts, call, said, met, left=left, writes=writes, assurance=reached, sealed=sealed)


async def _tried(parts: Parts, asked: Requirement, code: str) -> Write:
    """Count a try, for good, and only then compare; gives what uses the code up, or raises `CodeNotAccepted`."""
    for _ in range(TRIES):
        last = await parts.store.code(asked.id)
        if last is None or last.used or last.tries >= MOST_TRIES or parts.clock.now() >= last.expires_at:
            raise CodeNotAccepted
        try:
            await parts.store.commit([Write("code.try", (asked.tenant, asked.id, last.sent, last.tries))])
        except Conflict:
            continue
        return _compared(parts, asked, last, code)
    raise CodeNotAccepted


def _compared(parts: Parts, asked: Requirement, last: Code, code: str) -> Write:
    if not hmac.compare_digest(last.hash, _hash(parts, asked, last.sent, code.strip())):
        raise CodeNotAccepted
    return Write("code.use", (asked.tenant, asked.id, last.sent))


async def _open(parts: Parts, call_id: str, subject: str) -> tuple[Call, list[Requirement]]:
    call = await customers_call(parts, call_id, subject)
    return call, await open_for(parts, call, "step_up")


def _hash(parts: Parts, asked: Requirement, sent: int, code: str) -> bytes:
    return parts.vault.hash("code", f"{asked.id}/{sent}/{code!a}")


async def _locale(parts: Parts, call: Call) -> str | None:
    locale: str | None = (await parts.vault.by_pseudonym(call.subject)).open(call.sealed, call.id)["locale"]
    return locale
