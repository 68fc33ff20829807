"""What limits have taken, exactly: a series of reservations and releases for each limit and key, changed inside the transaction.

Time is cut into slices, 60 to a window, and a window counts the present slice and the 60 before it: never less than the
window, at most a sixtieth more. So a sum reads 61 rows, however much was used. Reservations keep their own times: when a new
policy changes the window, the slices are made anew from them. A series numbers its changes without gaps, whatever the width of
its slices: in that order a verifier adds them up.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .statements import ORDER, STATEMENTS, Write

SLICES = 60
CHANGE = "usage.change"
"""The statement of a `Take` or a `Release`: the journal hands them to `change`, since what they write depends on what it finds."""

Place = tuple[str, str, bytes]
"""Tenant, series and key."""
Tell = Callable[[str, Mapping[str, Any]], Iterable[Write]]
"""Write an event of a kind with a body."""
Found = Mapping[str, Mapping[str, Any]]
"""By limit what is used in its window, as the inputs of a decision say it."""

_SERIES = "SELECT width, number, at FROM series WHERE tenant = ? AND series = ? AND key = ?"
_STANDS = (
    "SELECT width, at, (SELECT coalesce(sum(amount), 0) FROM usage u WHERE u.tenant = s.tenant AND u.series = s.series "
    "AND u.key = s.key AND u.slice >= max(s.at, ?) / ? - ?) FROM series s WHERE tenant = ? AND series = ? AND key = ?"
)
"""The same with the sum of the window, in one read: what most calls ask."""
_HELD = "SELECT series, key, member, amount, at FROM reservation WHERE tenant = ? AND call = ? AND released = 0"
_FROM_SLICES = "FROM usage WHERE tenant = ? AND series = ? AND key = ? AND slice >= ?"
_FROM_RESERVATIONS = "FROM reservation WHERE tenant = ? AND series = ? AND key = ? AND at >= ? AND released = 0"


@dataclass(frozen=True, slots=True)
class Take:
    """Take so much of a limit for a call, or all that the call takes is refused.

    `member` is a distinct value, else empty; `width` a slice's, and `at` the time, in microseconds. `covers` is the sum that
    people have agreed to. `again` says that the call may hold it already.
    """

    tenant: str
    call: str
    limit: str
    series: str
    key: bytes
    member: bytes
    takes: int
    width: int
    at: int
    at_most: int
    again: bool
    tell: Tell
    covers: int | None = None

    @property
    def place(self) -> Place:
        """Name the series that it is of."""
        return self.tenant, self.series, self.key


@dataclass(frozen=True, slots=True)
class Release:
    """Give back what a call has taken, to the slices that took it; what was given back before is left alone."""

    tenant: str
    call: str
    tell: Tell


class Held(NamedTuple):
    """What a call holds of one series."""

    series: str
    key: bytes
    member: bytes
    amount: int
    at: int


def width_of(window: int) -> int:
    """Give the width of a slice in microseconds for a window in seconds, rounded up: never too loose."""
    return -(-window * 1_000_000 // SLICES)


def held_by(connection: sqlite3.Connection, tenant: str, call: str) -> dict[str, Held]:
    """Give what a call holds, by series."""
    return {row[0]: Held(*row) for row in connection.execute(_HELD, (tenant, call))}


def used(connection: sqlite3.Connection, take: Take, own: Held | None) -> Mapping[str, Any]:
    """Say what is used in the window that a call would take from, without what the call itself holds (`own`)."""
    width, at, total = connection.execute(_STANDS, (take.at, take.width, SLICES, *take.place)).fetchone() or (take.width, 0, 0)
    if width == take.width and own is None and not take.member:
        return {"used": total}
    return _Window(connection, take.place, width, take.width, max(take.at, at) // take.width).said(take, own)


def change(connection: sqlite3.Connection, group: Sequence[Sequence[Take | Release]]) -> list[Found]:
    """Take and release for each member of a group, in turn, inside the transaction that is open.

    Gives what each found that did not fit: nothing of it is written then, and the rest of its writes must not be either.
    """
    changes = _Changes(connection)
    found = [changes.make(member) if member else {} for member in group]
    changes.write()
    return found


class _Window:
    """The 61 slices up to one: how much was used in them, or how many values were, and how often those that are asked about."""

    def __init__(self, connection: sqlite3.Connection, place: Place, stored: int, width: int, last: int) -> None:
        self.width, self.last, self.first = width, last, last - SLICES
        # Slices of another width say nothing here: then the reservations themselves are added up.
        self._rows, since = (_FROM_SLICES, self.first) if stored == width else (_FROM_RESERVATIONS, self.first * width)
        self._connection, self._values = connection, (*place, since)
        self._distinct = place[1].endswith(":distinct")
        self._counts: dict[bytes, int] = {}
        what = "count(DISTINCT CASE WHEN amount > 0 THEN member END)" if self._distinct else "coalesce(sum(amount), 0)"
        (self.used,) = self._ask(f"SELECT {what} {self._rows}")

    def add(self, member: bytes, amount: int) -> None:
        """Count what was taken, or with a negative amount given back, in one of these slices."""
        if not self._distinct:
            self.used += amount
            return
        before = self._count(member)
        self._counts[member] = before + amount
        self.used += (before + amount > 0) - (before > 0)

    def said(self, take: Take, own: Held | None) -> dict[str, Any]:
        """Say what is used, without what the call itself holds here."""
        if own is None or own.key != take.key or own.at // self.width < self.first:
            own = None
        if not self._distinct:
            return {"used": self.used - (own.amount if own else 0)}
        others = self._count(take.member) - (own.amount if own and own.member == take.member else 0)
        alone = own is not None and self._count(own.member) == own.amount
        return {"used": self.used - alone, "known": others > 0}

    def _count(self, member: bytes) -> int:
        if member not in self._counts:
            (self._counts[member],) = self._ask(f"SELECT coalesce(sum(amount), 0) {self._rows} AND member = ?", member)
        return self._counts[member]

    def _ask(self, sql: str, *more: object) -> Any:
        return self._connection.execute(sql, (*self._values, *more)).fetchone()


@dataclass(slots=True)
class _Series:
    """A series as the transaction has it: `added` is still to write, and the numbers where it has `changed`."""

    place: Place
    width: int
    number: int = 0
    at: int = 0
    window: _Window | None = None
    added: Counter[tuple[int, bytes]] = field(default_factory=Counter)
    changed: bool = False


class _Changes:
    """The changes of one group: each series is read once, and written once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._series: dict[Place, _Series] = {}
        self._writes: dict[str, list[tuple[Any, ...]]] = defaultdict(list)

    def make(self, changes: Sequence[Take | Release]) -> Found:
        """Make all changes of one member, or none; gives what was found where they did not fit."""
        takes: list[tuple[Take, Held | None]] = []
        for one in changes:
            if isinstance(one, Release):
                for held in held_by(self._connection, one.tenant, one.call).values():
                    self._release(one, held)
                continue
            own = held_by(self._connection, one.tenant, one.call).get(one.series) if one.again else None
            if own is None or not self._holds(own, one):
                takes.append((one, own))
        if found := {take.limit: said for take, own in takes if (said := self._too_much(take, own))}:
            return found
        for take, own in takes:
            if own is not None:
                self._release(Release(take.tenant, take.call, take.tell), own)
            self._take(take)
        return {}

    def write(self) -> None:
        """Write what has changed so far."""
        for series in self._series.values():
            if series.changed:
                self._writes["series.put"].append((*series.place, series.width, series.number, series.at))
                self._writes["usage.add"] += [(*series.place, *where, amount) for where, amount in series.added.items()]
                series.added.clear()
                series.changed = False
        for statement in sorted(self._writes, key=ORDER.__getitem__):
            self._connection.executemany(STATEMENTS[statement], self._writes[statement])
        self._writes.clear()

    def _holds(self, own: Held, take: Take) -> bool:
        """Say whether a call holds what it would take, in the present slice: an earlier attempt did nothing, so what counts is this one."""
        now = max(take.at, self._of(take.place, take.width).at)
        same = (own.key, own.member, own.amount) == (take.key, take.member, take.takes)
        return same and own.at // take.width == now // take.width

    def _too_much(self, take: Take, own: Held | None) -> Mapping[str, Any] | None:
        series = self._of(take.place, take.width)
        said = self._window(series, max(take.at, series.at), take.width).said(take, own)
        after = said["used"] + (0 if said.get("known") else take.takes)
        return said if after > max(take.at_most, take.covers or 0) else None

    def _take(self, take: Take) -> None:
        series = self._of(take.place, take.width)
        at = max(take.at, series.at)  # the clock of another process may be a little ahead
        window = self._window(series, at, take.width)
        if series.width != take.width:
            self._cut_anew(series, take.width, window.first)
        elif window.last > series.at // series.width:
            self._writes["usage.drop"].append((*take.place, window.first))
        series.at = at
        held = Held(take.series, take.key, take.member, take.takes, at)
        self._writes["reservation.put"].append((take.tenant, take.call, *held))
        most = {"at_most": take.at_most} if take.covers is None else {"at_most": take.at_most, "covers": take.covers}
        told = take.tell("limit.reserved", {"call": take.call, **most, **_told(series, window, held)})
        self._count(series, window, held, take.takes, told)

    def _release(self, release: Release, held: Held) -> None:
        series = self._of((release.tenant, held.series, held.key), 0)
        window = self._window(series, series.at, series.width)
        self._writes["reservation.release"].append((release.tenant, release.call, held.series))
        told = release.tell("limit.released", {"call": release.call, **_told(series, window, held)})
        self._count(series, window, held, -held.amount, told)

    def _count(self, series: _Series, window: _Window, held: Held, amount: int, told: Iterable[Write]) -> None:
        self._writes["event.add"] += [write.values for write in told]
        series.number, series.changed = series.number + 1, True
        if (place := held.at // series.width) >= window.first:
            window.add(held.member, amount)
            series.added[place, held.member] += amount

    def _cut_anew(self, series: _Series, width: int, first: int) -> None:
        """Make the slices anew in another width, from the reservations that count."""
        self.write()
        self._connection.execute(STATEMENTS["usage.clear"], series.place)
        self._connection.execute(STATEMENTS["usage.anew"], (width, *series.place, first * width))
        series.width = width

    def _window(self, series: _Series, at: int, width: int) -> _Window:
        window, last = series.window, at // width
        if window is None or (window.width, window.last) != (width, last):
            if series.changed:
                self.write()
            window = series.window = _Window(self._connection, series.place, series.width, width, last)
        return window

    def _of(self, place: Place, width: int) -> _Series:
        if place not in self._series:
            row = self._connection.execute(_SERIES, place).fetchone()
            self._series[place] = _Series(place, *row) if row else _Series(place, width)
        return self._series[place]


def _told(series: _Series, window: _Window, held: Held) -> dict[str, Any]:
    """Say of a change what a verifier needs to add the series up."""
    told = {
        "limit": held.series.rpartition(":")[0],
        "series": held.series,
        "key": held.key.hex(),
        "number": series.number + 1,
        "at": held.at,
        "width": series.width,
        "slice": held.at // series.width,
        "takes": held.amount,
        "before": window.used,
    }
    return told | {"member": held.member.hex()} if held.member else told
