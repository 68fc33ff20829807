"""Reconciliation: compare the log with what the providers' own ledgers show, in both directions, and record what came of it.

A tree proves nothing about what was never written. First every call that may have had an effect is looked for in the ledger of its
connector, object by object; then what the ledger has since the same time is looked for in the log. Whatever is claimed is read first,
and then the other side, so that a call that moves meanwhile is no difference. Nothing is changed at a provider, and nothing settled.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ..actions import Keeping, LedgerEntry
from ..audit import State, canonical
from ..errors import HandlerSignal, Retryable
from .clock import MICROSECOND, SECOND, to_datetime, to_micros, to_text
from .differences import Difference, Standing, is_of, judged, unknown
from .ledgers import NoLedger, Place, places, steadily
from .recounted import Recounted, recount, referred_to, remembered
from .searching_query import BadSearch
from .work import Parts, apart

Progress = Callable[[int, int], None]
"""Told how many calls of how many have been looked for."""

PAGE = 200
MOST_KEPT = 1_000
MOST_RECORDED = 100
"""Differences that a report keeps, and that the event names; both count all of them."""
ROOM = 30_000
"""Bytes for them in the event: what an entry names was written by whoever may write at the provider, and a leaf has a bound."""
LONGEST_WAIT = 30.0
"""Seconds that a provider may ask to wait for, once an object."""
PATIENCE = 120.0
"""Seconds that one object may take, and of a longer list each entry."""
FAILURES = 3
"""Objects in a row that can't be read before a ledger is left alone."""

_IN_RANGE = "FROM call WHERE tenant = ? AND kind <> 'read' AND attempt > 0 AND updated_at >= ? AND updated_at <= ?"
_HOW_MANY = f"SELECT count(*) {_IN_RANGE}"
_PAGE = f"SELECT id, action {_IN_RANGE} AND id > ? ORDER BY id LIMIT ?"
_NAMED = re.compile(r"call_([0-9a-f]{11})[0-9a-f]{14}")
_KEPT = "SELECT e.at, p.below FROM pruned p JOIN event e ON e.tenant = p.tenant AND e.leaf_index = p.below WHERE p.tenant = ?"


@dataclass(frozen=True, slots=True)
class Unread:
    """What a ledger did not give, and how often; `why` is in a connector's own words, which are not recorded."""

    ledger: str
    what: str
    why: str
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What a comparison came to. Times are RFC 3339 in UTC, by the database's clock.

    `calls` were looked for in a ledger, and `entries` of ledgers in the log; `agree`, `under_way`, `settling` (not finding proves nothing
    yet, or the log itself does not know), `superseded` (written over by a later call) and `nothing_entered` (they say so themselves) count
    calls. `not_compared` counts those of actions
    whose connectors offer no ledger, by action, and `not_readable` those of which too much was erased. `unread` says what could not be
    read: of that nothing is claimed. `found` counts all differences, of which `differences` holds the first.
    """

    since: str
    until: str
    ledgers: tuple[str, ...]
    calls: int
    entries: int
    agree: int
    under_way: int
    settling: int
    superseded: int
    nothing_entered: int
    not_readable: int
    not_compared: Mapping[str, int]
    unread: tuple[Unread, ...]
    found: int
    differences: tuple[Difference, ...]

    @property
    def complete(self) -> bool:
        """Say whether everything was read that there is to compare with."""
        return not self.unread

    @property
    def ok(self) -> bool:
        """Say whether everything was read, and agrees."""
        return self.complete and not self.found

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        return {"ok": self.ok, "complete": self.complete, **asdict(self), "ledgers": list(self.ledgers)}


class _Unread(Exception):
    """A ledger gave no more."""


@dataclass(slots=True)
class _Tally:
    begins: int
    until: int
    kept: int = 0  # what was received before was pruned
    standings: Counter[Standing] = field(default_factory=Counter)
    calls: int = 0
    entries: int = 0
    not_readable: int = 0
    not_compared: Counter[str] = field(default_factory=Counter)
    unread: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    found: int = 0
    differences: list[Difference] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    others: set[tuple[str, str, str | None]] = field(default_factory=set)

    def take(self, judgement: Standing | list[Difference], *, counts: bool = True) -> None:
        self.calls += counts
        if isinstance(judgement, str):
            self.standings[judgement] += counts
            return
        for difference in judgement:
            self.found += 1
            if len(self.differences) < MOST_KEPT:
                self.differences.append(difference)

    def report(self, ledgers: Iterable[str]) -> Reconciliation:
        return Reconciliation(
            since=to_text(self.begins),
            until=to_text(self.until),
            ledgers=tuple(sorted(set(ledgers))),
            calls=self.calls,
            entries=self.entries,
            agree=self.standings["agrees"],
            under_way=self.standings["under_way"],
            settling=self.standings["settling"],
            superseded=self.standings["superseded"],
            nothing_entered=self.standings["nothing_entered"],
            not_readable=self.not_readable,
            not_compared=dict(sorted(self.not_compared.items())),
            unread=tuple(Unread(*which, times) for which, times in sorted(self.unread.items())),
            found=self.found,
            differences=tuple(self.differences),
        )


async def reconcile(parts: Parts, *, since: datetime | timedelta, by: str, progress: Progress | None = None) -> Reconciliation:
    """Compare both ways, and record the result as an event; raises `NoLedger` where there is nothing to compare with, and `BadSearch`."""
    reach = places(parts)
    if not reach:
        raise NoLedger
    now = parts.clock.now()
    tally = _Tally(begins=now - since // MICROSECOND if isinstance(since, timedelta) else to_micros(since), until=now)
    if tally.begins > tally.until:
        raise BadSearch(f"{to_text(tally.begins)} has not come yet: say since when to compare")
    if (kept := await parts.store.row(_KEPT, (parts.store.tenant,))) is not None:
        tally.kept = kept[0]
        if tally.begins < tally.kept:
            raise BadSearch(f"the log was pruned by retention before leaf {kept[1]}: compare since {to_text(kept[0])} at the earliest")
    await _look_for_calls(parts, reach, tally, progress)
    for place in {one.key: one for one in reach.values()}.values():
        if place.keeping is Keeping.ALL:
            await _look_for_entries(parts, reach, place, tally)
    report = tally.report(one.name for one in reach.values())
    await parts.store.commit(apart(parts, "ledger.reconciled", _body(report, by)))
    return report


async def _look_for_calls(parts: Parts, reach: Mapping[str, Place], tally: _Tally, progress: Progress | None) -> None:
    """Look in the ledgers for each call that may have had an effect."""
    values = (parts.store.tenant, tally.begins, tally.until)
    [(total,)] = await parts.store.rows(_HOW_MANY, values)
    last, done = "", 0
    while page := await parts.store.rows(_PAGE, (*values, last, PAGE)):
        last, done = page[-1][0], done + len(page)
        tally.not_compared.update(action for _, action in page if action not in reach)
        told = await recount(parts, (call for call, action in page if action in reach), tally.until)
        await _compare(parts, reach, told.values(), tally)
        if progress:
            progress(done, total)


async def _compare(parts: Parts, reach: Mapping[str, Place], told: Iterable[Recounted], tally: _Tally) -> None:
    objects: dict[tuple[tuple[int, str], str], list[Recounted]] = {}
    for one in told:
        place = reach[one.action]
        if not one.enters:
            tally.take("nothing_entered")
        elif one.about is not None:
            objects.setdefault((place.key, one.about), []).append(one)
        elif place.keeping is not Keeping.ALL or one.state is State.SUCCEEDED:
            tally.not_readable += 1  # else what the ledger has of it is looked for in the log
    gone = await _ended(parts, reach, [one for ones in objects.values() for one in ones])
    for (_, about), ones in objects.items():
        place = reach[ones[0].action]
        entries = await _read(place, about, tally)
        if entries is None:
            continue
        if place.keeping is not Keeping.ALL:  # what nobody here has made can be seen only on what a call was about
            await _trace(parts, reach, place, _others(ones, entries, tally), tally)
        if place.keeping is Keeping.LATEST:
            await _compare_latest(parts, reach, place, ones, entries, tally)
            continue
        for one in ones:
            ended = (place.effect, about) in gone
            judgement = judged(one, entries, ledger=place.name, effect=place.effect, ended=ended)
            tally.take(await _standing_still(parts, reach, one, judgement, tally, ended=ended))


async def _standing_still(
    parts: Parts, reach: Mapping[str, Place], one: Recounted, judgement: Standing | list[Difference], tally: _Tally, *, ended: bool = False
) -> Standing | list[Difference]:
    """Give what was found of a call, unless it has moved, or was ended by another, while its ledger was read: the next comparison tells."""
    if isinstance(judgement, str):
        return judgement
    now = await recount(parts, [one.id], tally.until)
    moved = now.get(one.id) != one or bool(await _ended(parts, reach, [one])) != ended
    return "under_way" if moved else judgement


async def _compare_latest(
    parts: Parts, reach: Mapping[str, Place], place: Place, ones: Sequence[Recounted], entries: Sequence[LedgerEntry], tally: _Tally
) -> None:
    """Compare where each effect writes over the one before: only what was done last can be seen."""
    named = [one.call for one in entries if one.call is not None]
    known = await recount(parts, named, tally.until)
    for one in ones:
        over = any(name != one.id and (name not in known or known[name].done > one.done or not known[name].done) for name in named)
        if one.state is State.SUCCEEDED and over:
            tally.take("superseded")
        else:
            judgement = judged(one, entries, ledger=place.name, effect=place.effect)
            tally.take(await _standing_still(parts, reach, one, judgement, tally))


def _others(ones: Sequence[Recounted], entries: Sequence[LedgerEntry], tally: _Tally) -> list[LedgerEntry]:
    """Give the entries that are of none of these calls, each once, as far as they were made since the beginning."""
    others = []
    for entry in entries:
        name = (entry.effect, entry.reference, entry.call)
        early = entry.at is not None and to_micros(entry.at) + SECOND <= tally.begins  # providers tell whole seconds
        if not early and name not in tally.others and not any(is_of(one, entry) for one in ones):
            tally.others.add(name)
            others.append(entry)
    return others


async def _look_for_entries(parts: Parts, reach: Mapping[str, Place], place: Place, tally: _Tally) -> None:
    """Look in the log for each effect that a ledger has since the beginning."""
    try:
        async for batch in _batches(place.ledger.entries_since(place.effect, to_datetime(tally.begins))):
            tally.entries += len(batch)
            await _trace(parts, reach, place, batch, tally)
    except _Unread as unread:
        tally.unread[place.name, f"each {place.effect} since then", str(unread)] += 1


async def _trace(parts: Parts, reach: Mapping[str, Place], place: Place, batch: Sequence[LedgerEntry], tally: _Tally) -> None:
    doing = [name for name, one in reach.items() if one.key == place.key]
    referred = await referred_to(parts, [one.reference for one in batch if one.call is None], doing)
    entries = [replace(one, call=referred.get(one.reference)) if one.call is None else one for one in batch]
    known = await recount(parts, (one.call for one in entries if one.call is not None), tally.until)
    emptied = await remembered(parts, [one.call for one in entries if one.call is not None and one.call not in known])
    for entry in entries:
        told = known.get(entry.call or "")
        own = reach.get(told.action) if told else None
        if told is None and entry.at is not None and to_micros(entry.at) <= tally.kept:
            continue  # its record may have been pruned
        if entry.call in emptied or (told is None and entry.at is None and _is_pruned(entry.call, tally)):
            tally.not_readable += 1
        elif told is None:
            tally.take([unknown(entry, ledger=place.name)], counts=False)
        elif own is None or own.key != place.key:
            why = f"a call of {told.action}, which does no such thing"
            tally.take([unknown(entry, ledger=place.name, why=why)], counts=False)
        elif not _looked_for(told, entry, tally):
            tally.take(_judged_alone(told, entry, place), counts=False)


def _is_pruned(call: str | None, tally: _Tally) -> bool:
    """Say whether a call with this name, which the log has nothing of, can have been pruned: a name begins with its millisecond."""
    named = _NAMED.fullmatch(call or "")
    return named is not None and int(named[1], 16) * 1_000 <= tally.kept


def _looked_for(told: Recounted, entry: LedgerEntry, tally: _Tally) -> bool:
    """Say whether a call was looked for already, with this entry among what its ledger had."""
    in_range = told.attempted and tally.begins <= told.updated <= tally.until
    return not told.enters or (in_range and told.about == entry.about) or told.updated > tally.until


def _judged_alone(told: Recounted, entry: LedgerEntry, place: Place) -> Standing | list[Difference]:
    """Hold an entry against its call where the call's object was not read: it was erased, ended earlier, or never attempted anything."""
    if told.state is not State.SUCCEEDED:
        return judged(told, [entry], ledger=place.name, effect=place.effect)
    if told.taken_back:
        return "agrees"
    if entry.stands and told.reference is not None and entry.reference != told.reference:
        own = replace(entry, reference=told.reference, amount=None, detail=None)
        return judged(told, [own, entry], ledger=place.name, effect=place.effect)
    return judged(told, [entry], ledger=place.name, effect=place.effect, ended=True)


async def _read(place: Place, about: str, tally: _Tally) -> list[LedgerEntry] | None:
    """Give all that a ledger has on an object; None where it can't be read. Who asks to wait a little is asked once more."""
    if tally.failed[place.name] >= FAILURES:
        tally.unread[place.name, f"each {place.effect} on one object", "not asked any more"] += 1
        return None
    for left in (1, 0):
        try:
            async with asyncio.timeout(PATIENCE):
                entries = [one async for one in steadily(place.ledger.entries_about(place.effect, about), patience=PATIENCE, together=PAGE)]
        except Retryable as error:
            if left and error.after is not None and error.after <= LONGEST_WAIT:
                await asyncio.sleep(error.after)
                continue
            why = _why(error)
        except Exception as error:  # noqa: BLE001 - of what a connector can't read nothing is claimed
            why = _why(error)
        else:
            tally.failed[place.name] = 0
            return entries
        break
    tally.failed[place.name] += 1
    tally.unread[place.name, f"each {place.effect} on one object", why] += 1
    return None


async def _ended(parts: Parts, reach: Mapping[str, Place], told: Sequence[Recounted]) -> set[tuple[str, str]]:
    """Name the effects that other calls of this log have removed since, by kind and object: their reference is the object."""
    ending = {name: action.ledger.ends for name, action in parts.catalog.items() if action.ledger is not None and action.ledger.ends}
    abouts = sorted({one.about for one in told if one.about is not None and reach[one.action].effect in ending.values()})
    if not ending or not abouts:
        return set()
    marks, which = ", ".join("?" * len(abouts)), ", ".join("?" * len(ending))
    sql = f"SELECT action, reference FROM call WHERE tenant = ? AND state = 'succeeded' AND action IN ({which}) AND reference IN ({marks})"  # noqa: S608
    rows = await parts.store.rows(sql, (parts.store.tenant, *ending, *abouts))
    return {(str(ending[action]), reference) for action, reference in rows}


async def _batches(entries: AsyncIterator[LedgerEntry]) -> AsyncIterator[list[LedgerEntry]]:
    """Give entries in batches; what came before a page that can't be had is given too, and then `_Unread` is raised."""
    batch: list[LedgerEntry] = []
    failed: Exception | None = None
    try:
        async for entry in steadily(entries, patience=PATIENCE, together=PAGE):
            batch.append(entry)
            if len(batch) == PAGE:
                yield batch
                batch = []
    except Exception as error:  # noqa: BLE001 - whatever a connector raises, what it has not given is not claimed
        failed = error
    if batch:
        yield batch
    if failed is not None:
        raise _Unread(_why(failed)) from failed


def _why(error: Exception) -> str:
    """Say why, without what may be about a customer: our connectors' own words, else the kind of error."""
    return error.message.rstrip(".") if isinstance(error, HandlerSignal) else type(error).__name__


def _body(report: Reconciliation, by: str) -> dict[str, Any]:
    told = report.to_json()
    first, room = list[dict[str, Any]](), ROOM
    for one in report.differences[:MOST_RECORDED]:
        # What an entry gives for a call and is no name of one may be anything: it is told, and not kept for good.
        called = one.call if _NAMED.fullmatch(one.call or "") else None
        named = {"code": one.code, "call": called, "reference": one.reference}
        if (room := room - len(canonical(named))) < 0:
            break
        first.append(named)
    times = Counter[tuple[str, str]]()
    for lacking in report.unread:  # however many reasons there were
        times[lacking.ledger, lacking.what] += lacking.times
    unread = [{"ledger": ledger, "what": what, "times": number} for (ledger, what), number in times.items()]
    return {"by": by, **told, "unread": unread, "differences": first}
