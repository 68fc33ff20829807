"""Runtimes that are broken on purpose: each leaves out one thing that keeps an effect from happening twice, or a limit from being passed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

from remit.audit import State
from remit.errors import Overloaded
from remit.runtime import advance, delay, execution, finding_out, journeys, phases, store, work
from remit.runtime.journal import CommitUnknown
from remit.runtime.series import _Changes
from remit.runtime.statements import STATEMENTS

Broken = Callable[[], contextlib.AbstractContextManager[Any]]


@contextlib.contextmanager
def replaced(*places: tuple[Any, str, Any]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for place, name, value in places:
            stack.enter_context(patch.object(place, name, value))
        yield


def no_effect_key() -> Any:
    """Nobody holds an effect key."""

    async def claim(_parts: Any, work: Any, _held: Any, **_more: Any) -> Any:
        return work

    def unclaimed(work: Any) -> Any:
        return work if work.call.ordinal else work.on_call(ordinal=1)

    return replaced((journeys, "claim", claim), *((place, "claim_writes", unclaimed) for place in (phases, delay)))


def no_version() -> Any:
    """Whoever settles a call does so whatever version it has by then."""
    loose = STATEMENTS["call.move"].replace("AND version = ?", "AND version >= ? * 0")
    assert loose != STATEMENTS["call.move"]
    return patch.dict(STATEMENTS, {"call.move": loose})


def look_up_at_once() -> Any:
    """What a look-up does not find did not happen, however soon it is asked."""
    real = execution.became_unknown

    def became_unknown(parts: Any, work: Any, why: str, said: Any = None) -> Any:
        now = parts.clock.now()
        return real(parts, work, why, said).on_call(settle_at=now, wake_at=now)

    return replaced((execution, "became_unknown", became_unknown), (advance, "became_unknown", became_unknown))


def keys_live_for_ever() -> Any:
    """A key is taken to be honoured however old it is."""

    def replay_allowed(work: Any, _now: int) -> bool:
        return work.action.effect.ttl is not None

    return replaced((execution, "replay_allowed", replay_allowed), (finding_out, "replay_allowed", replay_allowed))


def lease_is_permission() -> Any:
    """Once a lease has ended, the call is sent again."""

    async def lapse(parts: Any, call: Any, action: Any, *, settle_at: int) -> Any:
        found = await advance.restore(parts, call, action)
        found = found.note("call.reconciled", {"found": False}, to=State.READY)
        now = parts.clock.now()
        again = found.on_call(lease_until=None, wake_at=now, deadline_at=now + 10**10)
        return (await work.commit(parts, again)).call

    return replaced((advance, "_lapse", lapse))


def cut_off_is_failed() -> Any:
    """A commit that was cut off is told as one that did nothing."""
    real = store.Journal.commit

    async def commit(self: Any, writes: Any) -> None:
        try:
            await real(self, writes)
        except CommitUnknown:
            raise Overloaded from None

    return replaced((store.Journal, "commit", commit))


def reserved_before() -> Any:
    """Whether a limit has room is asked before the transaction, not in it."""

    async def fits(_self: Any, _take: Any, _own: Any) -> None:
        return None

    return replaced((_Changes, "_too_much", fits))


def sent_late() -> Any:
    """Whoever has slept past its lease sends what it meant to."""

    def time_left(_parts: Any, work: Any) -> Any:
        return work.action.deadline

    return replaced((execution, "_time_left", time_left))


def refusal_is_proof() -> Any:
    """A refusal is taken as proof that nothing was applied, whatever was sent before."""
    return replaced((execution, "_proves", lambda *_: True))


def keeps_what_it_took() -> Any:
    """A call that ends without effect keeps its effect key."""

    def ending(call: Any) -> list[Any]:
        return []

    return replaced((work, "ending", ending), (advance, "ending", ending))


BROKEN: tuple[Broken, ...] = (
    no_effect_key,
    no_version,
    look_up_at_once,
    keys_live_for_ever,
    lease_is_permission,
    cut_off_is_failed,
    reserved_before,
    sent_late,
    refusal_is_proof,
    keeps_what_it_took,
)
