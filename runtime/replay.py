"""Replay: decide the recorded calls of a while again under another bundle, before it is in force.

Deterministic: by recorded inputs only, in the order in which they were recorded. What is not known is counted, never guessed. Where a
limit was in force then, what was used of it was recorded; of a new one, it is added up from what has been done.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import RemitError
from ..policies import Inputs, Measured, Policies, measure
from ..policies.again import Asked
from .bundles import Bundles
from .clock import to_text
from .control import known_shapes
from .decided import Decided, decided_since
from .flips import all_again
from .recorded import members
from .series import SLICES, width_of
from .work import Parts

SECOND = 1_000_000
DAY = 86_400 * SECOND

Progress = Callable[[int, int], None]
"""Told from time to time: how many were decided, of how many."""


@dataclass(frozen=True, slots=True)
class Flip:
    """A call that would be decided otherwise: which way, by the rules that differ, and what money it is about."""

    call: str
    action: str
    at: str
    way: str
    rules: tuple[str, ...]
    reason: str
    money: tuple[tuple[str, int], ...]


@dataclass(slots=True)
class Replay:
    """What another bundle would have done. Money is in minor units, by way and currency; `approvals` are (before, after)."""

    policy: str
    since: str
    days: float
    decided: int = 0
    sealed: int = 0
    undecided: Counter[str] = field(default_factory=Counter)
    flips: list[Flip] = field(default_factory=list)
    approvals: tuple[int, int] = (0, 0)

    @property
    def ways(self) -> Mapping[str, int]:
        """Count the flips by way."""
        return dict(sorted(Counter(one.way for one in self.flips).items()))

    @property
    def rules(self) -> Mapping[str, int]:
        """Count the flips by the rules that make the difference, the most first."""
        found = Counter(rule for one in self.flips for rule in one.rules)
        return dict(sorted(found.items(), key=lambda each: (-each[1], each[0])))

    @property
    def money(self) -> Mapping[str, Mapping[str, int]]:
        """Add up the money that the flipped calls are about."""
        sums: dict[str, Counter[str]] = defaultdict(Counter)
        for one in self.flips:
            for currency, minor in one.money:
                sums[one.way][currency] += minor
        return {way: dict(sorted(sums[way].items())) for way in sorted(sums)}

    @property
    def approvals_a_day(self) -> tuple[float, float]:
        """Say how many approvals are asked for in a day, before and after."""
        return self.approvals[0] / self.days, self.approvals[1] / self.days

    def to_json(self) -> dict[str, Any]:
        """Give a JSON value, every flip included."""
        return {
            "policy": self.policy,
            "since": self.since,
            "decided": self.decided,
            "flipped": len(self.flips),
            "ways": self.ways,
            "rules": self.rules,
            "money": self.money,
            "approvals": list(self.approvals),
            "approvals_a_day": [round(one, 2) for one in self.approvals_a_day],
            "sealed": self.sealed,
            "undecided": dict(sorted(self.undecided.items())),
            "flips": [{**{name: getattr(one, name) for name in one.__slots__}, "money": dict(one.money)} for one in self.flips],
        }


def replay(parts: Parts, bundles: Bundles, candidate: Policies, *, since: int, progress: Progress | None = None) -> Replay:
    """Decide again what was decided since then (microseconds), by a bundle that need not be in force. Takes its time: run it in a thread."""
    now, source = parts.clock.now(), _Source(parts, bundles, candidate, since)
    result = Replay(candidate.digest, to_text(since), _days(now - since))
    before = after = 0
    for again in all_again(candidate, known_shapes(parts), source.asked(result), about=source.total):
        recorded = source.under_way.popleft()
        result.decided += 1
        before += sum(one["kind"] == "approval" for one in recorded.decision["requirements"])
        after += again.approvals
        if again.way:
            at, money = to_text(recorded.at), _money(recorded)
            result.flips.append(Flip(recorded.call, recorded.action, at, again.way, again.rules, again.reason, money))
        if progress and result.decided % 100 == 0:
            progress(result.decided, source.total)
    result.approvals = before, after
    if progress:
        progress(source.total, source.total)
    return result


def shadowed(parts: Parts, digest: str) -> Replay:
    """Say what the bundle that is decided beside the one in force would have done so far; of money and approvals it says nothing."""
    sql = "SELECT leaf, at FROM event WHERE tenant = ? AND kind = 'policy.shadowed' ORDER BY position"
    now, result = parts.clock.now(), None
    for leaf, at in parts.store.scan(sql, (parts.store.tenant,)):
        event = members(leaf)
        body = event["body"]
        if body["policy"] != digest:
            continue
        if result is None or "begins" in body:  # from anew, or from where the log begins
            result = Replay(digest, to_text(at), _days(now - at))
        if "begins" in body:
            continue
        result.decided += 1
        if body["differs"]:
            reason, action = body["decision"]["reason"], event["action"]["name"]
            result.flips.append(Flip(event["call"], action, to_text(at), body["way"], tuple(body["rules"]), reason, ()))
    return result or Replay(digest, to_text(now), _days(0))


@dataclass(frozen=True, slots=True)
class _Wanting:
    """What a candidate looks at and the bundle of then did not: facts, limits, or something without which nothing can be said."""

    why: str | None
    facts: frozenset[str]
    limits: frozenset[str]


class _Source:
    """Give what is to be decided again, completed by what was used of limits that were not in force then."""

    def __init__(self, parts: Parts, bundles: Bundles, candidate: Policies, since: int) -> None:
        self._parts, self._bundles, self._candidate, self._since = parts, bundles, candidate, since
        self._then: dict[str, Policies | None] = {}
        self._known: dict[tuple[str, str], _Wanting] = {}
        self._usage = _Usage()
        self.under_way: deque[Decided] = deque()
        sql = "SELECT count(*) FROM event WHERE tenant = ? AND kind = 'call.decided' AND at >= ?"
        self.total: int = parts.store.scanned(sql, (parts.store.tenant, since))[0]

    def asked(self, result: Replay) -> Iterator[Asked]:
        """Give each call that can be decided; count those that can't."""
        for one in decided_since(self._parts, self._since - self._longest_window()):
            counts = one.at >= self._since  # those before only show what was used of a new limit
            if one.inputs is None:
                result.sealed += counts
                continue
            why, inputs = self._why_not(one), self._completed(one)
            if not counts:
                continue
            if why:
                result.undecided[why] += 1
                continue
            self.under_way.append(one)
            yield inputs, one.decision

    def _completed(self, one: Decided) -> Mapping[str, Any]:
        """Add what was used of each new limit, and then what this call took of it, if it was done."""
        assert one.inputs is not None
        if not (new := self._wanting(one.policy, one.action).limits):
            return one.inputs
        takes = [each for each in measure(self._candidate, Inputs.from_json(one.inputs)) if each.limit in new]
        usage = {**one.inputs.get("usage", {}), **{each.limit: self._usage.before(each, one.at) for each in takes}}
        for each in takes if one.done else ():
            self._usage.add(each, one.at)
        return {**one.inputs, "usage": usage}

    def _why_not(self, one: Decided) -> str | None:
        """Say what is not known; None where nothing is missing."""
        assert one.inputs is not None
        wanting = self._wanting(one.policy, one.action)
        if wanting.why or not wanting.facts <= one.inputs["facts"].keys():
            return wanting.why or f"the fact {min(wanting.facts - one.inputs['facts'].keys())} of {one.action} was not loaded then"
        return None

    def _wanting(self, policy: str, action: str) -> _Wanting:
        """Compare what the candidate looks at with what was looked at under the bundle of then; said once for each action."""
        if found := self._known.get((policy, action)):
            return found
        tenant, guard, then = self._parts.store.tenant, self._parts.guards.get(action), self._policies(policy)
        why, loaded = None, (then.facts_for(action, tenant) | guard.facts) if then and guard else frozenset()
        if guard is None:
            why = f"the action {action} is not there any more"
        elif self._candidate.asks_done(action, tenant) and not (then and then.asks_done(action, tenant)):
            why = f"what came before {action} in its conversation was not looked at then"
        counted = {_counted(each) for each in then.limits_for(action, tenant)} if then else set()
        limits = frozenset(each.name for each in self._candidate.limits_for(action, tenant) if _counted(each) not in counted)
        found = self._known[policy, action] = _Wanting(why, self._candidate.facts_for(action, tenant) - loaded, limits)
        return found

    def _policies(self, digest: str) -> Policies | None:
        """Give the bundle of then; None where it can't be loaded any more."""
        if digest not in self._then:
            try:
                self._then[digest] = self._bundles.scanned(digest)
            except RemitError:
                self._then[digest] = None
        return self._then[digest]

    def _longest_window(self) -> int:
        rulesets = (self._candidate.limits_for(action, self._parts.store.tenant) for action in self._parts.guards)
        return max((limit.window for limits in rulesets for limit in limits), default=0) * SECOND


class _Usage:
    """What was used of limits, in the slices in which the runtime counts it."""

    def __init__(self) -> None:
        self._slices: dict[tuple[str, str], dict[int, Counter[str]]] = defaultdict(dict)

    def before(self, one: Measured, at: int) -> dict[str, Any]:
        """Say what was used within the window before then."""
        slices, first = self._slices[one.limit, one.key], at // width_of(one.window) - SLICES
        for old in [each for each in slices if each < first]:
            del slices[old]
        if one.member is None:
            return {"used": sum(each.total() for each in slices.values())}
        members = {member for each in slices.values() for member in each}
        return {"used": len(members), "known": one.member in members}

    def add(self, one: Measured, at: int) -> None:
        """Count what a call took."""
        self._slices[one.limit, one.key].setdefault(at // width_of(one.window), Counter())[one.member or ""] += one.takes


def _days(microseconds: int) -> float:
    """Give a time in days, never nothing."""
    return max(round(microseconds / DAY, 4), 0.0001)


def _counted(limit: Any) -> tuple[Any, ...]:
    """Give what a limit counts, whatever it allows."""
    return (limit.name, limit.unit, limit.window, *(each.text if each else None for each in (limit.measure, limit.distinct, limit.per)))


def _money(one: Decided) -> tuple[tuple[str, int], ...]:
    assert one.inputs is not None
    found = [each for each in one.inputs["arguments"].values() if isinstance(each, Mapping) and each.keys() == {"currency", "minor"}]
    return tuple(sorted((each["currency"], each["minor"]) for each in found))
