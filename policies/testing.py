"""Test policies: decide the cases of test files, say what differs, and which rules no case ever matched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..errors import PolicyError
from .cases import Approval, Case, CaseFile, Expect, Values
from .check import every_ruleset
from .clauses import in_units, seconds
from .decide import decide
from .decision import Decision, Requirement
from .document import Document, Loc, parse
from .facts import ActionShape, Inputs
from .limits import Limit
from .rules import Policies, Rule
from .schema import Kind, inputs_kind
from .source import hint

_DEFAULTS: Values = {
    "arguments": {},
    "facts": {},
    "subject": {"id": "customer", "assurance": 1, "anonymous": False},
    "principal": {"id": "agent", "kind": "agent"},
    "session": {"tenant": "default", "conversation": "conversation"},
    "now": CaseFile.model_fields["given"].default.now,
    "usage": {},
    "done": [],
}
_OF_ACTIONS = {"arguments", "facts", "usage"}
"""What is given under names that one action has and another has not."""
_TYPES: Mapping[str, type] = {"text": str, "integer": int, "boolean": bool, "timestamp": str, "list": list, "object": dict}
_A_TIME = "a time with its zone, such as 2026-03-01T10:00:00Z"


@dataclass(frozen=True, slots=True)
class Difference:
    """Say what was expected and what came instead; `key` is the key of `expect`."""

    key: str
    expected: Any
    got: Any


@dataclass(frozen=True, slots=True)
class Result:
    """Say what became of one case, and where it is written; `reason` says why it was decided so."""

    tests: str
    name: str
    action: str
    path: str
    line: int
    differences: tuple[Difference, ...]
    reason: str

    @property
    def ok(self) -> bool:
        """Say whether everything came as expected."""
        return not self.differences


@dataclass(frozen=True, slots=True)
class Place:
    """Name a rule or a limit, and where it is written."""

    name: str
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Results:
    """Hold what became of all cases. `unmatched` are the rules that no case matched and the limits that none exceeded, of `total`."""

    results: tuple[Result, ...]
    unmatched: tuple[Place, ...]
    total: int

    @property
    def failed(self) -> tuple[Result, ...]:
        """Give the results that are not as expected."""
        return tuple(result for result in self.results if not result.ok)


def run_cases(policies: Policies, files: Mapping[str, str], actions: Mapping[str, ActionShape]) -> Results:
    """Decide every case of these files, texts by path. Pure. Raises the first PolicyError, which knows the `others`."""
    clauses: dict[str, list[Rule | Limit]] = {}
    for action, ruleset in every_ruleset(policies):
        clauses.setdefault(action, []).extend((*ruleset.rules, *ruleset.limits))
    names = {action: frozenset(clause.name for clause in found) for action, found in clauses.items()}
    limits = {action: frozenset(clause.name for clause in found if isinstance(clause, Limit)) for action, found in clauses.items()}
    read = [_Tests(policies, actions, names, limits, *parse(path, text, CaseFile), {}) for path, text in sorted(files.items())]
    if problems := {str(problem): problem for tests in read for problem in tests.problems()}:  # what a file gives is wrong only once
        first, *others = problems.values()
        first.others = tuple(others)
        raise first
    decided = [each for tests in read for each in tests.run()]
    matched = frozenset().union(*(_matched(decision) for _, decision in decided))
    places = {clause.name: Place(clause.name, clause.path, clause.line) for found in clauses.values() for clause in found}
    unmatched = tuple(place for name, place in sorted(places.items()) if name not in matched)
    return Results(tuple(result for result, _ in decided), unmatched, len(places))


@dataclass(frozen=True, slots=True)
class _Tests:
    """Hold one file of cases, and the policies that it tests."""

    policies: Policies
    actions: Mapping[str, ActionShape]
    names: Mapping[str, frozenset[str]]
    """The rules and limits by action, of whichever tenant."""
    limits: Mapping[str, frozenset[str]]
    """The limits alone."""
    document: Document
    written: CaseFile
    _kinds: dict[str, Kind]

    def problems(self) -> Iterator[PolicyError]:
        """Find names that nobody has and values that no rule would ever see: a test with those shows nothing."""
        for place, case in enumerate(self.written.cases):
            if case.action not in self.actions:
                yield self._unknown("action", case.action, self.actions, ("cases", place, "action"))
                continue
            given, kind = self._given(place, case), self._kind(case.action)
            for name in ("arguments", "facts", "subject", "principal", "session", "now"):
                for loc, message in _misfits(given[name], kind.fields[name], (name,)):
                    yield self.document.error(message, self._loc(place, loc), key=True)
            yield from self._strange_names(place, case, given)
        yield from self._shared_by_none()

    def run(self) -> Iterator[tuple[Result, Decision]]:
        """Decide each case."""
        path = self.document.source.path
        for place, case in enumerate(self.written.cases):
            decision = decide(self.policies, self._inputs(place, case))
            differences, line = tuple(_differences(case.expect, decision)), self.document.line_of(("cases", place))
            yield Result(self.written.tests, case.name, case.action, path, line, differences, decision.reason), decision

    def _strange_names(self, place: int, case: Case, given: Values) -> Iterator[PolicyError]:
        names = self.names.get(case.action, frozenset())
        ids = Counter(name.partition("/")[2] for name in names)
        known = names | ids.keys()
        for key in ("rules", "not_rules", "errors"):
            for at, name in enumerate(getattr(case.expect, key) or ()):
                if name not in known:
                    yield self._unknown(f"rule or limit on {case.action}", name, known, ("cases", place, "expect", key, at))
                elif ids[name] > 1:
                    message = f"several policies have a `{name}`, and either would do: write policy/{name}"
                    yield self.document.error(message, ("cases", place, "expect", key, at))
        limits = self.limits.get(case.action, frozenset())
        for name in given["usage"].keys() - limits:
            yield self._unknown(f"limit on {case.action}", name, limits, self._loc(place, ("usage", name)))
        for at, name in enumerate(given["done"]):
            if name not in self.actions:
                yield self._unknown("action", name, self.actions, self._loc(place, ("done", at)))
        for at, name in enumerate(case.expect.missing or ()):
            if name not in self.actions:
                yield self._unknown("action", name, self.actions, ("cases", place, "expect", "missing", at))

    def _shared_by_none(self) -> Iterator[PolicyError]:
        """Find what the file gives to every case and none takes: it would be left out, and nobody would notice."""
        for name in _OF_ACTIONS:
            takes = [self._keys(case.action, name) for case in self.written.cases if case.action in self.actions]
            known = {key for keys in takes for key in keys or ()}
            for key in self.document.value.get("given", {}).get(name, {}):
                if None not in takes and key not in known:
                    message = f"no action that is tested here has `{key}` among its {name}{hint(key, known)}"
                    yield self.document.error(message, ("given", name, key), key=True)

    def _keys(self, action: str, name: str) -> Collection[str] | None:
        """Name the arguments, the facts or the limits of an action; None where any key may stand."""
        kind = self._kind(action).fields.get(name)
        if kind is None:
            return self.limits.get(action, ())
        return kind.fields.keys() if kind.what == "object" else None

    def _kind(self, action: str) -> Kind:
        if action not in self._kinds:
            self._kinds[action] = inputs_kind(self.actions[action])
        return self._kinds[action]

    def _unknown(self, what: str, name: str, known: Collection[str], loc: Loc) -> PolicyError:
        return self.document.error(f"there is no {what} `{name}`{hint(name, known)}", loc)

    def _loc(self, place: int, loc: Loc) -> Loc:
        """Say where a given value is written: in the case, else among the file's."""
        own: Loc = ("cases", place, "given", *loc)
        return own if own in self.document.values else ("given", *loc)

    def _given(self, place: int, case: Case) -> Values:
        """Merge what the case gives over what the file gives, of which the parts of other actions are left out."""
        shared = dict(self.document.value.get("given", {}))
        for name in _OF_ACTIONS & shared.keys():
            if (keys := self._keys(case.action, name)) is not None:
                shared[name] = {key: value for key, value in shared[name].items() if key in keys}
        return _merged(_merged(_DEFAULTS, shared), self.document.value["cases"][place].get("given", {}))

    def _inputs(self, place: int, case: Case) -> Inputs:
        given = self._given(place, case)
        limits = self.policies.limits_for(case.action, given["session"].get("tenant", ""))
        usage = {limit.name: 0 for limit in limits} | given["usage"]
        counted = {name: used if isinstance(used, dict) else {"used": used, "known": False} for name, used in usage.items()}
        return Inputs(**given | {"action": case.action, "usage": counted, "done": tuple(sorted(given["done"]))})


def _merged(under: Values, over: Values) -> Values:
    merged = dict(under)
    for name, value in over.items():
        before = merged.get(name)
        merged[name] = _merged(before if isinstance(before, dict) else {}, value) if isinstance(value, dict) else value
    return {name: value for name, value in merged.items() if value is not None}


def _misfits(value: Any, kind: Kind, loc: Loc) -> Iterator[tuple[Loc, str]]:
    """Find what no rule would ever see. What is left out is not missed: a condition that needs it can't be evaluated, and that is seen."""
    shown = ".".join(map(str, loc))
    wanted: Any = _TYPES.get(kind.what, type(value))
    if type(value) is not wanted:
        yield loc, f"`{shown}` must be {_A_TIME if kind.what == 'timestamp' else kind.what}"
    elif kind.what == "timestamp" and not _is_time(value):
        yield loc, f"`{shown}` must be {_A_TIME}"
    elif kind.what == "text" and (why := kind.stranger(value)):
        yield loc, f"`{shown}` is never `{value}`{why}"
    elif kind.what == "list" and kind.item:
        for place, item in enumerate(value):
            yield from _misfits(item, kind.item, (*loc, place))
    elif kind.what == "object":
        for name, inner in value.items():
            if name in kind.fields:
                yield from _misfits(inner, kind.fields[name], (*loc, name))
            else:
                yield (*loc, name), f"`{shown}` has no field `{name}`{hint(name, kind.fields)}"


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _matched(decision: Decision) -> frozenset[str]:
    """Name the rules that matched and the limits that are exceeded, but not what counts only because it can't be evaluated."""
    exceeded = (headroom.limit for headroom in decision.limits if headroom.exceeded)
    return frozenset((*(match.rule for match in decision.matched), *exceeded)) - {error.rule for error in decision.errors}


def _differences(expect: Expect, decision: Decision) -> Iterator[Difference]:
    matched, errors = sorted(_matched(decision)), sorted({error.rule for error in decision.errors})
    made = "allow" if decision.allowed else "deny"
    if expect.decision not in (None, made):
        yield Difference("decision", expect.decision, made)
    if expect.requirements is not None and (wanted := _listed(expect.requirements)) != (asked := _listed(decision.requirements)):
        yield Difference("requirements", wanted, asked)
    if expect.rules and not all(_named(name, matched) for name in expect.rules):
        yield Difference("rules", expect.rules, matched)
    if expect.not_rules and any(_named(name, matched) for name in expect.not_rules):
        yield Difference("not_rules", expect.not_rules, matched)
    if expect.missing is not None and sorted(expect.missing) != sorted(decision.missing):
        yield Difference("missing", expect.missing, list(decision.missing))
    if expect.say not in (None, decision.say):
        yield Difference("say", expect.say, decision.say)
    if expect.delay is not None and seconds(expect.delay) != decision.delay:
        yield Difference("delay", expect.delay, in_units(decision.delay))
    if not all(_named(name, errors) for name in expect.errors) or not all(_named(name, expect.errors) for name in errors):
        yield Difference("errors", expect.errors, [f"{error.rule}: {error.message}" for error in decision.errors])


def _named(name: str, among: Collection[str]) -> bool:
    """Say whether a rule is among these; either may be named by its id alone."""
    return any(name == other or name.partition("/")[2] == other or name == other.partition("/")[2] for other in among)


def _listed(requirements: Iterable[str | Approval | Requirement]) -> list[str]:
    """List requirements in words. The customer is asked once, however many rules want it; approvals add up."""
    words = [_words(one) for one in requirements]
    return sorted([*(one for one in words if one.startswith("approval")), *({*words} & {"confirmation", "step_up"})])


def _words(one: str | Approval | Requirement) -> str:
    match one:
        case Approval(approval=role, votes=votes) | Requirement(kind="approval", by=role, votes=votes):
            return f"approval by {role}" if votes == 1 else f"approval by {role} ({votes} votes)"
        case Requirement(kind=kind):
            return kind
    return one
