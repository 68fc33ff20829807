"""Hold the calls of a log against each other: one effect for each effect key and ordinal, and an undo for whatever was undone.

Leaves are not in the order of time, so what is told from them holds in every order: who holds an effect key at the end, and what a call
and its undo say of each other. The times that events carry are believed only where they are far apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from .aftermath import Aftermath
from .attempts import Attempts
from .event import State
from .report import Finding, Report

APART = timedelta(minutes=10)
"""Events of two calls that are not as far apart may be in either order: processes have clocks of their own, and commits may wait."""

_END = "9999-12-31T23:59:59.999999Z"


class Ended(Protocol):
    """What there is to know of a call once its events are read."""

    @property
    def state(self) -> State:
        """How it stands."""

    @property
    def attempts(self) -> Attempts:
        """Under which effect key and ordinal it was sent, and when."""

    @property
    def aftermath(self) -> Aftermath:
        """What it undoes, and what has undone it."""


_ELSEWHERE = frozenset({"ordinal_unfounded", "undo_missing", "undo_unrecorded"})
"""What another call, which may have been pruned, would explain."""


def hold_together(calls: Mapping[str, Ended], report: Report, *, begun: bool = False) -> Iterator[Finding]:
    """Report effects that are there twice, ordinals that follow on nothing, and undoings that do not fit what was undone.

    In a log that had `begun` before, what a pruned call would explain is counted in the report instead.
    """
    for finding in _held_together(calls):
        if begun and finding.code in _ELSEWHERE and _points_before(finding, calls):
            report.unchecked += 1
        else:
            yield finding


def _points_before(finding: Finding, calls: Mapping[str, Ended]) -> bool:
    """Say whether what a finding misses may have been pruned: an undone call that is there must say so itself."""
    return finding.code != "undo_unrecorded" or calls[str(finding.call)].aftermath.undoes not in calls


def _held_together(calls: Mapping[str, Ended]) -> Iterator[Finding]:
    places: dict[str, str | list[str]] = {}
    for call, ended in calls.items():
        if (place := ended.attempts.place) is not None:
            held = places.setdefault(place, call)
            if held is not call:
                places[place] = [held, call] if isinstance(held, str) else [*held, call]
        if (undo := ended.aftermath.undone_by) is not None:
            yield from _undone(call, undo, calls.get(undo))
        if (first := ended.aftermath.undoes) is not None and ended.state is State.SUCCEEDED:
            yield from _undid(call, first, calls.get(first))
    for place, holders in places.items():
        if isinstance(holders, list):
            yield from _doubled({call: calls[call].attempts for call in holders})
        yield from _followed(place, holders, places, calls)


def _doubled(holders: Mapping[str, Attempts]) -> Iterator[Finding]:
    """Report whoever holds what another holds: still, or was sent long before that one let go of it."""
    spans = sorted((one.until or _END, one.since or "", call) for call, one in holders.items())
    lasting = [call for until, _, call in spans if until == _END]
    for call in lasting[1:]:
        message = f"{lasting[0]} has an effect under the same key and ordinal, and neither was taken back"
        yield Finding("effect_doubled", message, call=call)
    spans.sort(key=lambda span: span[1])
    last, holder = "", ""
    for until, since, call in spans:
        if last and not until == last == _END and _well_before(since, min(last, until)):
            message = f"{holder} held the same effect key and ordinal when it was sent, and let go of them only long after"
            yield Finding("effect_doubled", message, call=call)
        last, holder = max((last, holder), (until, call))


def _well_before(one: str, other: str) -> bool:
    try:
        return datetime.fromisoformat(one) + APART < datetime.fromisoformat(other)
    except (ValueError, TypeError, OverflowError):  # no time at all, or one without its zone
        return False


def _followed(place: str, holders: str | list[str], places: Mapping[str, str | list[str]], calls: Mapping[str, Ended]) -> Iterator[Finding]:
    """Report a further ordinal whose former has no effect: it would let the same be done again beside the first."""
    key, _, ordinal = place.rpartition("/")
    if ordinal == "1":
        return
    former = places.get(f"{key}/{int(ordinal) - 1}", ())
    if not any(calls[call].state is State.SUCCEEDED for call in _several(former)):
        for call in _several(holders):
            yield Finding(
                "ordinal_unfounded", f"it is number {ordinal} under its effect key, and no effect is number {int(ordinal) - 1}", call=call
            )


def _several(calls: str | Sequence[str]) -> Sequence[str]:
    return (calls,) if isinstance(calls, str) else calls


def _undone(call: str, undo: str, ended: Ended | None) -> Iterator[Finding]:
    if ended is None:
        yield Finding("undo_missing", f"it was undone by {undo}, which this log does not have", call=call)
    elif undo == call or ended.aftermath.undoes != call or ended.state is not State.SUCCEEDED:
        yield Finding("undo_unfounded", f"it was undone by {undo}, which undoes {ended.aftermath.undoes} and is {ended.state}", call=call)


def _undid(call: str, first: str, ended: Ended | None) -> Iterator[Finding]:
    """Hold an undo that succeeded against the call that it undoes; that one may have been reversed meanwhile."""
    if ended is None or ended.aftermath.taken_back is None:
        yield Finding("undo_unrecorded", f"it has undone {first}, which does not say so", call=call)
    elif ended.aftermath.undone_by not in (None, call):
        yield Finding("undo_doubled", f"it has undone {first}, which {ended.aftermath.undone_by} has undone as well", call=call)
