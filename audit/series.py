"""Check what limits have taken: add up each series from its own events, and hold it against the calls that it is about.

A series numbers its reservations and releases, so they are added up in the order in which they happened, whatever order their
leaves are in. Usage counts in slices of time, 61 to a window; when the width of the slices changes, they are made anew from what
is held. What is kept is one entry for each reservation.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .event import FINAL, MALFORMED, TAKEN_BACK, Event, Json, State
from .report import Finding, Report

SLICES = 60
KINDS = frozenset(["limit.reserved", "limit.released"])
_OF_SERIES = frozenset(["reservation_missing", "release_unfounded"])

_Taken = tuple[str, str, str, str, int, str]
"""What a call took: the call, the limit, its series and key, how much, and which value of a distinct count."""


class Usage:
    """Every series of a log, fed with its events in any order. What is wrong comes out as findings; nothing is raised.

    Where the log had `begun` before, a series of which the first changes are gone can't be added up: then it is only held to be
    without gaps, and counted.
    """

    def __init__(self, *, begun: bool = False) -> None:
        self._begun = begun
        self._series: dict[tuple[str, str], _Series] = {}
        self._intended: set[_Taken] = set()
        self._reserved: set[_Taken] = set()
        self._held: Counter[tuple[str, str]] = Counter()  # by call and series
        self._taken_back: set[str | None] = set()
        self._bounds: dict[tuple[str, str], int] = {}  # by call and limit, the most that was decided, or that people were asked to agree to
        self._passed: dict[tuple[str, str], int] = {}  # and the most up to which it was let pass

    def add(self, leaf: int | None, event: Event) -> Iterator[Finding]:
        """Take in an event that is about limits, or about a call that they count."""
        body = event.body
        try:
            if event.kind in KINDS:
                yield from self._changed(_Change(leaf, event.kind, body))
            elif event.kind in TAKEN_BACK:
                self._taken_back.add(event.call)
            elif event.kind == "call.intended":
                for one in body.get("reservations", ()):
                    self._intended.add(_taken(event.call, one))
            elif event.kind == "call.decided":
                for one in body["decision"].get("limits", ()):
                    _raise(self._bounds, (str(event.call), one["limit"]), one["at_most"])
                for one in body["decision"]["requirements"]:
                    if "covers" in one:
                        _raise(self._bounds, (str(event.call), one["rule"]), one["covers"])
        except MALFORMED as error:
            yield Finding("event_malformed", f"its body is not one of a {event.kind} event: {error!r}", leaf, event.call)

    def finish(self, states: Mapping[str, State], report: Report | None = None) -> Iterator[Finding]:
        """Report what is missing, and what does not fit the calls; `states` says how each of them stands."""
        for series in self._series.values():
            yield from series.finish()
            if series.first > 1 and report is not None:
                report.unchecked += 1
        for name, finding in self._against(states):
            if self._begun and (finding.call not in states or (finding.code in _OF_SERIES and self._cut_off(name))):
                if report is not None:
                    report.unchecked += 1
            else:
                yield finding

    def _cut_off(self, name: str) -> bool:
        """Say whether the first changes of a series of this name may have been pruned."""
        named = [series for series in self._series.values() if series.name == name]
        return not named or any(series.first > 1 for series in named)

    def _against(self, states: Mapping[str, State]) -> Iterator[tuple[str, Finding]]:
        """Report what does not fit the calls, each with the name of its series."""
        for call, _, name, *_ in sorted(self._intended - self._reserved):
            yield name, Finding("reservation_missing", f"its intent reserves of {name}, but that series does not have it", call=call)
        for call, _, name, *_ in sorted(self._reserved - self._intended):
            yield name, Finding("reservation_unasked", f"{name} was reserved from for it, but no intent of it says so", call=call)
        for (call, name), held in self._held.items():
            state = states.get(call, State.NEW)
            ended = (state in FINAL and state is not State.SUCCEEDED) or call in self._taken_back
            if ended and held > 0:
                how = "its effect was taken back" if call in self._taken_back else f"it ended {state}"
                yield name, Finding("release_missing", f"{how} and it still holds what it took of {name}", call=call)
            if not ended and held < 1:
                yield name, Finding("release_unfounded", f"what it took of {name} was released, though it is {state}", call=call)
        for (call, limit), most in self._passed.items():
            if most > self._bounds.get((call, limit), -1):
                message = f"it was let pass {limit} up to {most}, which no decision says and nobody was asked to agree to"
                yield limit, Finding("limit_uncovered", message, call=call)

    def _changed(self, change: _Change) -> Iterator[Finding]:
        body = change.body
        taken = _taken(body["call"], body)
        held, place = (taken[0], taken[2]), taken[2:4]
        if change.reserves:
            self._reserved.add(taken)
            _raise(self._passed, (held[0], taken[1]), _most(body))
        self._held[held] += 1 if change.reserves else -1
        series = self._series.get(place) or self._series.setdefault(place, _Series(held[1]))
        yield from series.add(change, begun=self._begun)


@dataclass(frozen=True, slots=True)
class _Change:
    leaf: int | None
    kind: str
    body: Mapping[str, Json]

    @property
    def reserves(self) -> bool:
        return self.kind == "limit.reserved"

    def found(self, code: str, message: str) -> Finding:
        return Finding(code, f"{self.body['series']} number {self.body['number']}: {message}", self.leaf, self.body["call"])


@dataclass(slots=True)
class _Series:
    """One limit for one key, added up in the order of its numbers."""

    name: str
    first: int = 1  # a later one where the changes before it were pruned: then there is nothing to add them to
    number: int = 0
    at: int = 0
    width: int = 0
    held: dict[str, tuple[int, str, int]] = field(default_factory=dict)  # by call: when, which value, how much
    slices: dict[int, Counter[str]] = field(default_factory=dict)
    total: Counter[str] = field(default_factory=Counter)  # of the slices that count, by value
    ahead: dict[int, _Change] = field(default_factory=dict)

    def add(self, change: _Change, *, begun: bool = False) -> Iterator[Finding]:
        """Take a change in; add it up, and what waited for it, once all before it are there."""
        number = change.body["number"]
        if begun and self.number == 0 and not self.ahead:
            self.first, self.number = number, number - 1
        if number < self.first:
            return
        if number <= self.number or number in self.ahead:
            yield change.found("series_doubled", "there is more than one change of this number")
            return
        self.ahead[number] = change
        while (upcoming := self.ahead.pop(self.number + 1, None)) is not None:
            self.number += 1
            if self.first > 1:
                continue
            yield from self._reserved(upcoming) if upcoming.reserves else self._released(upcoming)

    def finish(self) -> Iterator[Finding]:
        """Report what never came."""
        if self.ahead:
            following = min(self.ahead)
            yield self.ahead[following].found("series_gap", f"number {self.number + 1} of this series is missing")

    def _reserved(self, change: _Change) -> Iterator[Finding]:
        body, takes = change.body, change.body["takes"]
        if body["at"] < self.at:
            yield change.found("series_time", "it is from before the change that came before it")
        if body["call"] in self.held:
            yield change.found("reservation_doubled", "its call holds some already")
        self.at = max(self.at, body["at"])
        self._count_from(body["width"])
        yield from self._placed(change)
        member = body.get("member", "")
        adds = 0 if self._distinct and self.total[member] > 0 else takes
        most = _most(body)
        if takes < 0 or self._used + adds > most:
            yield change.found("limit_passed", f"{self._used} were used, and {takes} more are beyond {most}")
        self.held[body["call"]] = body["at"], member, takes
        self._move(body["at"] // self.width, member, takes)

    def _released(self, change: _Change) -> Iterator[Finding]:
        body = change.body
        yield from self._placed(change)
        held = self.held.pop(body["call"], None)
        if held != (body["at"], body.get("member", ""), body["takes"]):
            yield change.found("release_unfounded", "that is not what its call held")
        if held is not None:
            self._move(held[0] // self.width, held[1], -held[2])

    def _placed(self, change: _Change) -> Iterator[Finding]:
        body = change.body
        if (body["width"], body["slice"]) != (self.width, body["at"] // body["width"]):
            yield change.found("series_slice", f"it is in slice {body['slice']} of width {body['width']}, where it does not belong")
        if body["before"] != self._used:
            yield change.found("series_sum", f"it says that {body['before']} were used before it, and the others come to {self._used}")

    def _count_from(self, width: int) -> None:
        """Leave out the slices that no longer count; make them anew where their width has changed."""
        if width != self.width:
            self.width, self.slices, self.total = width, {}, Counter()
            for at, member, takes in self.held.values():
                self._move(at // width, member, takes)
        for old in [each for each in self.slices if each < self.at // width - SLICES]:
            self.total.subtract(self.slices.pop(old))

    def _move(self, place: int, member: str, amount: int) -> None:
        if place >= self.at // self.width - SLICES:
            self.slices.setdefault(place, Counter())[member] += amount
            self.total[member] += amount

    @property
    def _distinct(self) -> bool:
        return self.name.endswith(":distinct")

    @property
    def _used(self) -> int:
        return sum(count > 0 for count in self.total.values()) if self._distinct else self.total[""]


def _taken(call: Json, told: Mapping[str, Json]) -> _Taken:
    """Read what was taken; its words are kept once, however many calls say them."""
    limit, series, key = (sys.intern(told[name]) for name in ("limit", "series", "key"))
    return sys.intern(call), limit, series, key, int(told["takes"]), str(told.get("member", ""))


def _most(body: Mapping[str, Json]) -> int:
    most: int = max(body["at_most"], body.get("covers", 0))
    return most


def _raise(most: dict[tuple[str, str], int], place: tuple[str, str], value: int) -> None:
    most[place] = max(value, most.get(place, 0))
