"""What limits have taken, exactly: a series of reservations and releases for each limit and key, changed inside the transaction.

Time is cut into slices, 60 to a window, and a window counts the present slice and the 60 before it: never less than the
window, at most a sixtieth more. So a sum reads 61 rows, however much was used. Reservations keep their own times: when a new
policy changes the window, the slices are made anew from them. A series numbers its changes without gaps, whatever the width of
its slices: in that order a verifier adds them up.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .database import Reads, Writer
from .statements import ORDER, Write

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
_SUM = "CAST(coalesce(sum(amount), 0) AS BIGINT)"
_STANDS = (
    f"SELECT width, at, (SELECT {_SUM} FROM usage u WHERE u.tenant = s.tenant AND u.series = s.series AND u.key = s.key "  # noqa: S608
    "AND u.slice >= (CASE WHEN s.at > ?1 THEN s.at ELSE ?1 END) / ?2 - ?3) FROM series s WHERE tenant = ?4 AND series = ?5 AND key = ?6"
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


async def held_by(reads: Reads, tenant: str, call: str) -> dict[str, Held]:
    """Give what a call holds, by series."""
    return {row[0]: Held(*row) for row in await reads.rows(_HELD, (tenant, call))}


async def used(reads: Reads, take: Take, own: Held | None) -> Mapping[str, Any]:
    """Say what is used in the window that a call would take from, without what the call itself holds (`own`)."""
    found = await reads.rows(_STANDS, (take.at, take.width, SLICES, *take.place))
    width, at, total = found[0] if found else (take.width, 0, 0)
    if width == take.width and own is None and not take.member:
        return {"used": total}
    window = await _Window.of(reads, take.place, width, take.width, max(take.at, at) // take.width)
    return await window.said(take, own)


async def change(writer: Writer, group: Sequence[Sequence[Take | Release]]) -> list[Found]:
    """Take and release for each member of a group, in turn, inside the transaction that is open.

    Gives what each found that did not fit: nothing of it is written then, and the rest of its writes must not be either.
    """
    if not any(group):
        return [{}] * len(group)
    changes = _Changes(writer)
    found = [await changes.make(member) if member else {} for member in group]
    await changes.write()
    return found


class _Window:
    """The 61 slices up to one: how much was used in them, or how many values were, and how often those that are asked about."""

    def __init__(self, reads: Reads, place: Place, stored: int, width: int, last: int) -> None:
        self.width, self.last, self.first = width, last, last - SLICES
        # Slices of another width say nothing here: then the reservations themselves are added up.
        self._rows, since = (_FROM_SLICES, self.first) if stored == width else (_FROM_RESERVATIONS, self.first * width)
        self._reads, self._values = reads, (*place, since)
        self._distinct = place[1].endswith(":distinct")
        self._counts: dict[bytes, int] = {}
        self.used = 0

    @classmethod
    async def of(cls, reads: Reads, place: Place, stored: int, width: int, last: int) -> _Window:
        """Read how much was used, or how many values."""
        made = cls(reads, place, stored, width, last)
        what = "count(DISTINCT CASE WHEN amount > 0 THEN member END)" if made._distinct else _SUM
        made.used = await made._ask(f"SELECT {what} {made._rows}")
        return made

    async def add(self, member: bytes, amount: int) -> None:
        """Count what was taken, or with a negative amount given back, in one of these slices."""
        if not self._distinct:
            self.used += amount
            return
        before = await self._count(member)
        self._counts[member] = before + amount
        self.used += (before + amount > 0) - (before > 0)

    async def said(self, take: Take, own: Held | None) -> dict[str, Any]:
        """Say what is used, without what the call itself holds here."""
        if own is None or own.key != take.key or own.at // self.width < self.first:
            own = None
        if not self._distinct:
            return {"used": self.used - (own.amount if own else 0)}
        others = await self._count(take.member) - (own.amount if own and own.member == take.member else 0)
        alone = own is not None and await self._count(own.member) == own.amount
        return {"used": self.used - alone, "known": others > 0}

    async def _count(self, member: bytes) -> int:
        if member not in self._counts:
            self._counts[member] = await self._ask(f"SELECT {_SUM} {self._rows} AND member = ?", member)
        return self._counts[member]

    async def _ask(self, sql: str, *more: object) -> int:
        ((found,),) = await self._reads.rows(sql, (*self._values, *more))
        return int(found)


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

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._series: dict[Place, _Series] = {}
        self._writes: dict[str, list[tuple[Any, ...]]] = defaultdict(list)

    async def make(self, changes: Sequence[Take | Release]) -> Found:
        """Make all changes of one member, or none; gives what was found where they did not fit."""
        takes: list[tuple[Take, Held | None]] = []
        for one in changes:
            if isinstance(one, Release):
                for held in (await held_by(self._writer, one.tenant, one.call)).values():
                    await self._release(one, held)
                continue
            own = (await held_by(self._writer, one.tenant, one.call)).get(one.series) if one.again else None
            if own is None or not await self._holds(own, one):
                takes.append((one, own))
        if found := {take.limit: said for take, own in takes if (said := await self._too_much(take, own))}:
            return found
        for take, own in takes:
            if own is not None:
                await self._release(Release(take.tenant, take.call, take.tell), own)
            await self._take(take)
        return {}

    async def write(self) -> None:
        """Write what has changed so far."""
        for series in self._series.values():
            if series.changed:
                self._writes["series.put"].append((*series.place, series.width, series.number, series.at))
                self._writes["usage.add"] += [(*series.place, *where, amount) for where, amount in series.added.items()]
                series.added.clear()
                series.changed = False
        await self._writer.run([(statement, self._writes[statement]) for statement in sorted(self._writes, key=ORDER.__getitem__)])
        self._writes.clear()

    async def _holds(self, own: Held, take: Take) -> bool:
        """Say whether a call holds what it would take, in the present slice: an earlier attempt did nothing, so what counts is this one."""
        now = max(take.at, (await self._of(take.place, take.width)).at)
        same = (own.key, own.member, own.amount) == (take.key, take.member, take.takes)
        return same and own.at // take.width == now // take.width

    async def _too_much(self, take: Take, own: Held | None) -> Mapping[str, Any] | None:
        series = await self._of(take.place, take.width)
        said = await (await self._window(series, max(take.at, series.at), take.width)).said(take, own)
        after = said["used"] + (0 if said.get("known") else take.takes)
        return said if after > max(take.at_most, take.covers or 0) else None

    async def _take(self, take: Take) -> None:
        series = await self._of(take.place, take.width)
        at = max(take.at, series.at)  # the clock of another process may be a little ahead
        window = await self._window(series, at, take.width)
        if series.width != take.width:
            await self._cut_anew(series, take.width, window.first)
        elif window.last > series.at // series.width:
            self._writes["usage.drop"].append((*take.place, window.first))
        series.at = at
        held = Held(take.series, take.key, take.member, take.takes, at)
        self._writes["reservation.put"].append((take.tenant, take.call, *held))
        most = {"at_most": take.at_most} if take.covers is None else {"at_most": take.at_most, "covers": take.covers}
        told = take.tell("limit.reserved", {"call": take.call, **most, **_told(series, window, held)})
        await self._count(series, window, held, take.takes, told)

    async def _release(self, release: Release, held: Held) -> None:
        series = await self._of((release.tenant, held.series, held.key), 0)
        window = await self._window(series, series.at, series.width)
        self._writes["reservation.release"].append((release.tenant, release.call, held.series))
        told = release.tell("limit.released", {"call": release.call, **_told(series, window, held)})
        await self._count(series, window, held, -held.amount, told)

    async def _count(self, series: _Series, window: _Window, held: Held, amount: int, told: Iterable[Write]) -> None:
        self._writes["event.add"] += [write.values for write in told]
        series.number, series.changed = series.number + 1, True
        if (place := held.at // series.width) >= window.first:
            await window.add(held.member, amount)
            series.added[place, held.member] += amount

    async def _cut_anew(self, series: _Series, width: int, first: int) -> None:
        """Make the slices anew in another width, from the reservations that count."""
        await self.write()
        await self._writer.run([("usage.clear", [series.place]), ("usage.anew", [(width, *series.place, first * width)])])
        series.width = width

    async def _window(self, series: _Series, at: int, width: int) -> _Window:
        window, last = series.window, at // width
        if window is None or (window.width, window.last) != (width, last):
            if series.changed:
                await self.write()
            window = series.window = await _Window.of(self._writer, series.place, series.width, width, last)
        return window

    async def _of(self, place: Place, width: int) -> _Series:
        if place not in self._series:
            found = await self._writer.rows(_SERIES, place)
            self._series[place] = _Series(place, *found[0]) if found else _Series(place, width)
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
