"""How a search goes through the index: along its rarest term, and all on the way is held against the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..audit import State
from .searching_query import Query
from .terms import EVERYWHERE, sizes, term
from .work import Parts

Choice: TypeAlias = tuple[tuple[str, str], ...]
"""Terms (what, term) of which one must be there."""
_TERMS = ("approver", "by", "rule", "principal", "action")
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
ENOUGH = (400, 4_000)
"""So many of a term are counted before it is taken for a common one; further only where all are common."""
LARGEST_UNION = 60
_UNDER_WAY = "under way"
_ROWS = {
    "subject": "c.subject = ?",
    "conversation": "c.conversation <> '' AND c.conversation = ?",
    _UNDER_WAY: "c.wake_at IS NOT NULL AND c.state = ?",
}
"""What is walked along the calls themselves: each has an index of its own."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is walked, newest first, and what all on the way is held against; terms are `(what, term)`."""

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
        numbers = _numbers(query)
        choices: list[Choice] = [((what, text),) for what, text in wanted.items()]
        choices += [tuple(("text", text) for text in texts)] if texts else []
        if (bound := query.at_least or query.at_most) and numbers:
            choices.append(tuple(("amount", text) for text in sizes(bound.currency, *numbers)))
        walked = await _walked(parts, query, choices)
        if walked is None:
            return None
        others = [_among(choice, numbers if choice[0][0] == "amount" else None) for choice in choices if choice != walked]
        return cls(walked, numbers if walked[0][0] == "amount" else None, (*others, *place, *_checks(query), *_times(query)))

    async def rows(self, parts: Parts, begins: tuple[int, str] | None, most: int) -> list[tuple[int, str]]:
        """Give (at, about) of what is behind a place."""
        each, values = list[str](), list[Any]()
        for walked in self.walked:
            sql, given = self._along(*walked, parts.store.tenant, begins)
            each.append(f"{sql} ORDER BY m.at DESC, m.about DESC LIMIT ?")
            values += [*given, most]
        if len(each) == 1:
            return [tuple(row) for row in await parts.store.rows(each[0], values)]
        union = " UNION ".join(f"SELECT * FROM ({one}) AS one" for one in each)  # noqa: S608 - names from this file
        sql = f"SELECT at, about FROM ({union}) AS every ORDER BY at DESC, about DESC LIMIT ?"  # noqa: S608
        return [tuple(row) for row in await parts.store.rows(sql, (*values, most))]

    def _along(self, what: str, text: str, tenant: str, begins: tuple[int, str] | None) -> tuple[str, list[Any]]:
        """Write the walk along one term."""
        source, where, values = _source(what, text, tenant)
        if self.numbers:
            where.append("m.number BETWEEN ? AND ?")
            values += self.numbers
        if begins:
            where.append("(m.at, m.about) < (?, ?)")
            values += begins
        for check, more in self.checks:
            where.append(check)
            values += more
        distinct = "DISTINCT " if what == "amount" else ""
        return f"SELECT {distinct}m.at, m.about FROM {source} WHERE {' AND '.join(where)}", values  # noqa: S608 - names from this file


def _source(what: str, text: str, tenant: str) -> tuple[str, list[str], list[Any]]:
    """Say where the rows of one term are: (at, about) and the tenant as `m`."""
    if what in _ROWS:
        calls = f"(SELECT c.tenant, c.created_at AS at, c.id AS about FROM call c WHERE c.tenant = ? AND {_ROWS[what]}) AS m"  # noqa: S608
        return calls, ["m.tenant = ?"], [tenant, text, tenant]
    return "term m", ["m.tenant = ?", "m.what = ?", "m.term = ?"], [tenant, what, text]


def _wanted(query: Query, pseudonym: str) -> Iterator[tuple[str, str]]:
    """Give the terms that must be there, what is likely to be rare first."""
    if query.subject is not None:
        yield "subject", pseudonym
    if query.conversation is not None:
        yield "conversation", query.conversation
    kind = query.kind if query.kind not in EVERYWHERE else None
    if kind or query.outcome in _HINTS:
        yield "kind", kind or _HINTS[query.outcome]  # type: ignore[index]
    for what in _TERMS:
        if (text := getattr(query, what)) is not None:
            yield what, term(text)


def _checks(query: Query) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Give what is looked up in the rows of the call itself; scalar subqueries, so that no planner makes a join of them."""
    if query.outcome is not None:
        yield "(SELECT c.state FROM call c WHERE c.tenant = m.tenant AND c.id = m.about) = ?", (str(query.outcome),)
    if query.kind in EVERYWHERE:
        sql = "(SELECT 1 FROM event e WHERE e.tenant = m.tenant AND e.call = m.about AND e.kind = ? LIMIT 1) = 1"
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
    """Look for one of these terms of a kind."""
    said, texts = choice[0][0], [text for _, text in choice]
    if said in _ROWS:
        return f"(SELECT 1 FROM call c WHERE c.tenant = m.tenant AND c.id = m.about AND {_ROWS[said]}) = 1", tuple(texts)  # noqa: S608
    within, bounds = (" AND x.number BETWEEN ? AND ?", numbers) if numbers else ("", ())
    places = ", ".join("?" * len(texts))
    sql = f"SELECT 1 FROM term x WHERE x.tenant = m.tenant AND x.what = ? AND x.term IN ({places}) AND x.at = m.at AND x.about = m.about{within}"  # noqa: S608
    return f"({sql} LIMIT 1) = 1", (said, *texts, *bounds)


async def _walked(parts: Parts, query: Query, choices: list[Choice]) -> Choice | None:
    """Give what is best walked, which is the rarest; None where a term that must be there is nowhere."""
    if query.outcome in _UNFINISHED:
        return ((_UNDER_WAY, str(query.outcome)),)
    few = [choice for choice in choices if len(choice) <= LARGEST_UNION]
    if len(few) < 2:  # there is nothing to choose from
        return few[0] if few else (("all", ""),)
    best = few[0]
    for enough in ENOUGH:
        fewest = enough
        for choice in few:
            number = sum([await _count(parts, query, *one, most=fewest) for one in choice])
            if number == 0:
                return None
            if number < fewest:
                best, fewest = choice, number
        if fewest < enough:
            break
    return best


async def _place_of(parts: Parts, call: str) -> tuple[tuple[str, tuple[Any, ...]], ...] | None:
    row = await parts.store.row("SELECT created_at FROM call WHERE tenant = ? AND id = ?", (parts.store.tenant, call))
    return (("m.at = ? AND m.about = ?", (row[0], call)),) if row else None


async def _count(parts: Parts, query: Query, what: str, text: str, *, most: int) -> int:
    source, clauses, values = _source(what, text, parts.store.tenant)
    where = " AND ".join(clauses)
    for check, more in _times(query):
        where, values = f"{where} AND {check}", [*values, *more]
    sql = f"SELECT count(*) FROM (SELECT 1 FROM {source} WHERE {where} LIMIT {most}) AS counted"  # noqa: S608 - names from this file
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
