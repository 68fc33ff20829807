"""Hold the calls of a log against each other: one effect for each effect key and ordinal, and an undo for whatever was undone.

Leaves are not in the order of time, so only what holds in every order is reported: two calls that both have, or may have, an effect
under one key and ordinal, neither of which was taken back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Protocol

from .aftermath import Aftermath
from .event import Event, State
from .report import Finding

_HAS_EFFECT = frozenset([State.EXECUTING, State.UNKNOWN, State.SUCCEEDED])


class Ended(Protocol):
    """What there is to know of a call once its events are read."""

    state: State
    aftermath: Aftermath


class Effects:
    """The effect keys that calls were intended under, fed with the events of a log in any order."""

    def __init__(self) -> None:
        self._first: dict[bytes, str] = {}
        self._further: dict[bytes, set[str]] = defaultdict(set)

    def add(self, event: Event) -> None:
        """Take in an event; only intents say anything here."""
        key, ordinal = event.body.get("effect_key"), event.body.get("ordinal")
        if event.kind != "call.intended" or event.call is None or not isinstance(key, str) or not isinstance(ordinal, int):
            return
        place = f"{key[:32]}/{ordinal}".encode()  # half of a hash is as good, and a log may have millions
        if self._first.setdefault(place, event.call) != event.call:
            self._further[place].add(event.call)

    def finish(self, calls: Mapping[str, Ended]) -> Iterator[Finding]:
        """Report effects that are there twice, and undoings that no undo has done."""
        for place, others in self._further.items():
            alive = sorted(call for call in {self._first[place], *others} if _lasts(calls.get(call)))
            if len(alive) > 1:
                message = f"{alive[0]} has an effect under the same key and ordinal, and neither was taken back"
                yield Finding("effect_doubled", message, call=alive[1])
        for call, ended in calls.items():
            if (undo := ended.aftermath.undone_by) is not None:
                yield from _undone(call, undo, calls.get(undo))


def _lasts(ended: Ended | None) -> bool:
    return ended is not None and ended.state in _HAS_EFFECT and ended.aftermath.taken_back is None


def _undone(call: str, undo: str, ended: Ended | None) -> Iterator[Finding]:
    if ended is None:
        yield Finding("undo_missing", f"it was undone by {undo}, which this log does not have", call=call)
    elif ended.aftermath.undoes != call or ended.state is not State.SUCCEEDED:
        yield Finding("undo_unfounded", f"it was undone by {undo}, which undoes {ended.aftermath.undoes} and is {ended.state}", call=call)
