"""How a search goes through the index: along its rarest term, and each entry on the way is held against the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..audit import State
from .searching_query import Query
from .terms import EVERYWHERE, term
from .work import Parts

Choice: TypeAlias = tuple[tuple[str, str], ...]
"""Terms (what, term) of which an entry must have one."""
_TERMS = ("conversation", "action", "principal", "approver", "by", "rule")
_HINTS = {
    State.REJECTED: "call.rejected",
    State.DENIED: "call.denied",
    State.WAITING: "call.held",
    State.UNKNOWN: "call.became_unknown",
    State.SUCCEEDED: "call.succeeded",
    State.FAILED: "call.failed",
    State.DECLINED: "call.declined",
    State.EXPIRED: "call.expired",
    State.CANCELLED: "call.cancelled",
}
"""The kind of event without which no call is in a state."""
_UNFINISHED = frozenset({State.READY, State.EXECUTING})
"""Nearly every call has been so; whatever is so now is to be taken up again some time, and few are."""
ENOUGH = 10_000
"""So many entries of a term are counted before it is taken for a common one."""
LARGEST_UNION = 50
_UNDER_WAY = "under way"
_CALLS = "(SELECT c.tenant, c.created_at AS at, c.id AS entry FROM call c WHERE c.wake_at IS NOT NULL AND c.state = ?) AS m"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is walked, newest first, and what each entry on the way is held against; terms are `(what, term)`."""

    walked: Choice
    numbers: tuple[int, int] | None
    checks: tuple[tuple[str, tuple[Any, ...]], ...]

    @classmethod
    async def of(cls, parts: Parts, query: Query, pseudonym: str) -> Plan | None:
        """Walk the rarest of the terms that all must be there; None where one of them is nowhere."""
        wanted = dict(_wanted(query, pseudonym))
        texts = await _texts(parts, query.text) if query.text is not None else None
        place = await _place_of(parts, query.call) if query.call is not None else ()
        if texts == () or place is None:
            return None
        bound, numbers = query.at_least or query.at_most, _numbers(query)
        choices: list[Choice] = [((what, text),) for what, text in wanted.items()]
        choices += [tuple(("text", text) for text in texts)] if texts else []
        choices += [(("amount", bound.currency),)] if bound else []
        walked = await _walked(parts, query, choices)
        if walked is None:
            return None
        others = [_among(choice, numbers if choice[0][0] == "amount" else None) for choice in choices if choice != walked]
        return cls(walked, numbers if walked[0][0] == "amount" else None, (*others, *place, *_checks(query), *_times(query)))

    async def rows(self, parts: Parts, begins: tuple[int, str] | None, most: int) -> list[tuple[int, str]]:
        """Give (at, entry) of the entries behind a place."""
        each, values = list[str](), list[Any]()
        for walked in self.walked:
            sql, given = self._along(*walked, parts.store.tenant, begins)
            each.append(f"{sql} ORDER BY m.at DESC, m.entry DESC LIMIT ?")
            values += [*given, most]
        if len(each) == 1:
            return [tuple(row) for row in await parts.store.rows(each[0], values)]
        union = " UNION ".join(f"SELECT * FROM ({one}) AS one" for one in each)  # noqa: S608 - names from this file
        sql = f"SELECT at, entry FROM ({union}) AS every ORDER BY at DESC, entry DESC LIMIT ?"  # noqa: S608
        return [tuple(row) for row in await parts.store.rows(sql, (*values, most))]

    def _along(self, what: str, text: str, tenant: str, begins: tuple[int, str] | None) -> tuple[str, list[Any]]:
        """Write the walk along one term."""
        if what == _UNDER_WAY:
            source, where, values = _CALLS, ["m.tenant = ?"], list[Any]((text, tenant))
        else:
            source, where, values = "term m", ["m.tenant = ?", "m.what = ?", "m.term = ?"], list[Any]((tenant, what, text))
        if self.numbers:
            where.append("m.number BETWEEN ? AND ?")
            values += self.numbers
        if begins:
            where.append("(m.at, m.entry) < (?, ?)")
            values += begins
        for check, more in self.checks:
            where.append(check)
            values += more
        distinct = "DISTINCT " if what == "amount" else ""
        return f"SELECT {distinct}m.at, m.entry FROM {source} WHERE {' AND '.join(where)}", values  # noqa: S608 - names from this file


def _wanted(query: Query, pseudonym: str) -> Iterator[tuple[str, str]]:
    """Give the terms that an entry must have, by kind."""
    for what in _TERMS:
        if (text := getattr(query, what)) is not None:
            yield what, term(text)
    if query.subject is not None:
        yield "subject", pseudonym
    kind = query.kind if query.kind not in EVERYWHERE else None
    if kind or (query.outcome in _HINTS and query.outcome is not None):
        yield "kind", kind or _HINTS[query.outcome]  # type: ignore[index]


def _checks(query: Query) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Give what is looked up in the rows of the call itself; scalar subqueries, so that no planner makes a join of them."""
    if query.outcome is not None:
        yield "(SELECT c.state FROM call c WHERE c.tenant = m.tenant AND c.id = m.entry) = ?", (str(query.outcome),)
    if query.kind in EVERYWHERE:
        sql = "(SELECT 1 FROM event e WHERE e.tenant = m.tenant AND e.call = m.entry AND e.kind = ? LIMIT 1) = 1"
        yield sql, (query.kind,)


def _times(query: Query) -> Iterator[tuple[str, tuple[Any, ...]]]:
    if query.since is not None:
        yield "m.at >= ?", (query.since,)
    if query.until is not None:
        yield "m.at < ?", (query.until,)


def _numbers(query: Query) -> tuple[int, int] | None:
    if query.at_least is None and query.at_most is None:
        return None
    return query.at_least.minor if query.at_least else -(2**53), query.at_most.minor if query.at_most else 2**53


def _among(choice: Choice, numbers: tuple[int, int] | None) -> tuple[str, tuple[Any, ...]]:
    """Hold an entry against terms of one kind, of which it must have one."""
    said, texts = choice[0][0], [text for _, text in choice]
    within, bounds = (" AND x.number BETWEEN ? AND ?", numbers) if numbers else ("", ())
    places = ", ".join("?" * len(texts))
    sql = f"SELECT 1 FROM term x WHERE x.tenant = m.tenant AND x.what = ? AND x.term IN ({places}) AND x.at = m.at AND x.entry = m.entry{within}"  # noqa: S608
    return f"({sql} LIMIT 1) = 1", (said, *texts, *bounds)


async def _walked(parts: Parts, query: Query, choices: list[Choice]) -> Choice | None:
    """Give what is best walked, which is the rarest; None where a term that must be there is nowhere."""
    if query.outcome in _UNFINISHED:
        return ((_UNDER_WAY, str(query.outcome)),)
    counted: list[tuple[int, Choice]] = []
    for choice in choices:
        number = sum([await _count(parts, query, *one) for one in choice[:LARGEST_UNION]])
        if number == 0 and len(choice) <= LARGEST_UNION:
            return None
        if len(choice) <= LARGEST_UNION:
            counted.append((number, choice))
    return min(counted, key=lambda one: one[0])[1] if counted else (("all", ""),)


async def _place_of(parts: Parts, call: str) -> tuple[tuple[str, tuple[Any, ...]], ...] | None:
    row = await parts.store.row("SELECT created_at FROM call WHERE tenant = ? AND id = ?", (parts.store.tenant, call))
    return (("m.at = ? AND m.entry = ?", (row[0], call)),) if row else None


async def _count(parts: Parts, query: Query, what: str, text: str) -> int:
    where, values = "m.tenant = ? AND m.what = ? AND m.term = ?", [parts.store.tenant, what, text]
    for check, more in _times(query):
        where, values = f"{where} AND {check}", [*values, *more]
    sql = f"SELECT count(*) FROM (SELECT 1 FROM term m WHERE {where} LIMIT {ENOUGH}) AS counted"  # noqa: S608 - names from this file
    return int((await parts.store.row(sql, values))[0])


_EVERY_TEXT = (
    "WITH RECURSIVE t(text) AS (SELECT min(term) FROM term WHERE tenant = ?1 AND what = 'text' UNION ALL "
    "SELECT (SELECT min(x.term) FROM term x WHERE x.tenant = ?1 AND x.what = 'text' AND x.term > t.text) FROM t WHERE t.text IS NOT NULL) "
    "SELECT text FROM t WHERE text IS NOT NULL LIMIT 20000"
)
"""Reasons are few, though many calls have each: from one to the next in the index."""


async def _texts(parts: Parts, part: str) -> tuple[str, ...]:
    """List the clear reasons that contain a text, whatever its case."""
    wanted = part.strip().casefold()
    return tuple(text for (text,) in await parts.store.rows(_EVERY_TEXT, (parts.store.tenant,)) if wanted in text.casefold())
