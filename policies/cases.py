"""Test policies: cases written in YAML beside them, each with what is given and what must be decided, and what no case ever matched."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..errors import PolicyError
from .decide import decide
from .decision import Decision
from .document import Document, Loc, parse
from .facts import ActionShape, Inputs
from .rules import Policies
from .schema import Kind, inputs_kind
from .source import hint

DEFAULTS: Mapping[str, Any] = {
    "subject": {"id": "customer", "assurance": 1, "anonymous": False},
    "principal": {"id": "agent", "kind": "agent"},
    "session": {"tenant": "default", "conversation": "conversation"},
    "now": "2026-01-01T00:00:00Z",
}
"""What is given unless a file or a case gives something else."""

Values = dict[str, Any]


class _Written(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True)


class Used(_Written):
    """Say what was used of a limit that counts distinct values."""

    used: int = Field(ge=0)
    """How many values were seen in the window."""
    known: bool = False
    """Whether this call's value is one of them."""


class Given(_Written):
    """Write what a decision depends on. The case's values are merged over the file's, key by key; `null` takes a value away."""

    arguments: Values = {}
    """The arguments as rules see them: an amount is {currency, minor}."""
    facts: Values = {}
    """The facts by name, as rules see them."""
    subject: Values = {}
    """The customer: id, assurance, anonymous. Default: an authenticated one."""
    principal: Values = {}
    """Who asks: id and kind. Default: an agent."""
    session: Values = {}
    """tenant, conversation, channel, model. Default: the tenant `default`."""
    now: str | None = None
    """The time of the decision, RFC 3339. Default: 2026-01-01T00:00:00Z."""
    usage: dict[str, int | Used] = {}
    """What was used of each limit before, by the limit's name. Default: nothing."""
    done: list[str] = []
    """Actions that succeeded earlier in this conversation. Default: none."""


class Approval(_Written):
    """Expect an approval by a role."""

    approval: str
    """The role."""
    votes: int = Field(default=1, ge=1)
    """How many votes."""


class Expect(_Written):
    """Write what must come out. Only what is written is compared, but a condition that can't be evaluated is never passed over."""

    decision: Literal["allow", "deny"] | None = None
    """Whether the call is allowed."""
    requirements: list[Literal["confirmation", "step_up"] | Approval] | None = None
    """Exactly what is asked for, in any order."""
    rules: list[str] | None = None
    """Rules and limits that must be among those that matched, by id or policy/id."""
    not_rules: list[str] | None = None
    """Rules and limits that must not be among them."""
    missing: list[str] | None = None
    """Exactly the prerequisites that are not met."""
    say: str | None = None
    """The text for the model."""
    errors: list[str] = []
    """Exactly the rules and limits that can't be evaluated. Default: none."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("expect something: `decision`, `requirements`, `rules`, `not_rules`, `missing`, `say` or `errors`")
        return self


class Case(_Written):
    """Write one case."""

    name: str = Field(min_length=1)
    """What is shown."""
    action: str
    """The action that is called."""
    given: Given = Given()
    """What the decision depends on, over the file's `given`."""
    expect: Expect
    """What must be decided."""


class TestsFile(_Written):
    """Write one file of cases, `*_test.yaml` beside the policies."""

    tests: str = Field(min_length=1)
    """The file's name, as it is shown."""
    given: Given = Given()
    """Defaults of every case."""
    cases: list[Case] = Field(min_length=1)
    """The cases."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Say what was expected and what came instead; `key` is the key of `expect`."""

    key: str
    expected: Any
    got: Any


@dataclass(frozen=True, slots=True)
class Result:
    """Say what became of one case, and where it is written."""

    tests: str
    name: str
    action: str
    path: str
    line: int
    differences: tuple[Difference, ...]
    reason: str
    """Why it was decided so."""

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
    """Hold what became of all cases; `unmatched` are the rules that no case matched and the limits that none exceeded, of `total`."""

    results: tuple[Result, ...]
    unmatched: tuple[Place, ...]
    total: int

    @property
    def failed(self) -> tuple[Result, ...]:
        """Give the results that are not as expected."""
        return tuple(result for result in self.results if not result.ok)


def read_tests(path: Path) -> dict[str, str]:
    """Read a test file, or every `*_test.yaml` of a folder that is not hidden, as texts by relative path; raises PolicyError."""
    root, found = (path, sorted(path.rglob("*_test.yaml"))) if path.is_dir() else (path.parent, [path])
    names = [name for file in found if not any(part.startswith(".") for part in (name := file.relative_to(root)).parts)]
    try:
        return {name.as_posix(): (root / name).read_bytes().decode() for name in names}
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"can't be read: {error}", path=str(path)) from None


def run_cases(policies: Policies, files: Mapping[str, str], actions: Mapping[str, ActionShape]) -> Results:
    """Decide every case of these files (texts by path). Pure; raises the first PolicyError of a file, which knows the `others`."""
    read = [_Tests(policies, actions, *parse(path, text, TestsFile)) for path, text in sorted(files.items())]
    if problems := [problem for tests in read for problem in tests.problems()]:
        problems[0].others = tuple(problems[1:])
        raise problems[0]
    decided = [each for tests in read for each in tests.run()]
    matched = {name for _, decision in decided for name in _matched(decision)}
    places = {clause.name: Place(clause.name, clause.path, clause.line) for clause in policies.clauses}
    unmatched = [place for name, place in sorted(places.items()) if name not in matched]
    return Results(tuple(result for result, _ in decided), tuple(unmatched), len(places))


@dataclass(frozen=True, slots=True)
class _Tests:
    """Hold one file of cases, over the policies that it tests."""

    policies: Policies
    actions: Mapping[str, ActionShape]
    document: Document
    written: TestsFile

    def problems(self) -> Iterator[PolicyError]:
        """Find the names that nobody has and the values that the actions would never give: a test of those shows nothing."""
        for place, case in enumerate(self.written.cases):
            at: Loc = ("cases", place)
            if case.action not in self.actions:
                yield self._unknown("action", case.action, self.actions, (*at, "action"))
                continue
            root, given = inputs_kind(self.actions[case.action]), self._given(place, case)
            for name in ("arguments", "facts", "subject", "principal", "session", "now"):
                for loc, message in _misfits(given[name], root.fields[name], (name,)):
                    yield self.document.error(message, self._loc_of(place, loc), key=True)
            yield from self._unknown_names(at, case, given)

    def run(self) -> Iterator[tuple[Result, Decision]]:
        """Decide each case."""
        for place, case in enumerate(self.written.cases):
            decision = decide(self.policies, self._inputs(place, case))
            differences, line = tuple(_differences(case.expect, decision)), self.document.line_of(("cases", place))
            path, reason = self.document.source.path, decision.reason
            yield Result(self.written.tests, case.name, case.action, path, line, differences, reason), decision

    def _unknown_names(self, at: Loc, case: Case, given: Values) -> Iterator[PolicyError]:
        clauses = [clause.name for clause in self.policies.clauses if clause.action == case.action]
        known = {*clauses, *(name.partition("/")[2] for name in clauses)}
        for key in ("rules", "not_rules", "errors"):
            for item, name in enumerate(getattr(case.expect, key) or ()):
                if name not in known:
                    yield self._unknown(f"rule or limit on `{case.action}`", name, known, (*at, "expect", key, item))
        for name in given["usage"]:
            if name not in clauses:
                yield self._unknown(f"limit on `{case.action}`", name, clauses, self._loc_of(int(at[1]), ("usage", name)))
        for key, names in (("done", given["done"]), ("missing", case.expect.missing or ())):
            for name in names:
                if name not in self.actions:
                    loc = self._loc_of(int(at[1]), ("done",)) if key == "done" else (*at, "expect", key)
                    yield self._unknown("action", name, self.actions, loc)

    def _unknown(self, what: str, name: str, known: Collection[str], loc: Loc) -> PolicyError:
        return self.document.error(f"there is no {what} `{name}`{hint(name, known)}", loc)

    def _loc_of(self, place: int, loc: Loc) -> Loc:
        """Say where a given value is written: in the case, else in the file's defaults."""
        own: Loc = ("cases", place, "given", *loc)
        return own if own in self.document.values else ("given", *loc)

    def _given(self, place: int, case: Case) -> Values:
        """Merge what the case gives over the file's defaults, of which those of other actions are left out."""
        root, limits = inputs_kind(self.actions[case.action]), {clause.name for clause in self.policies.clauses if clause.action == case.action}
        known = {"arguments": root.fields["arguments"].fields.keys(), "facts": root.fields["facts"].fields.keys(), "usage": limits}
        shared = dict(self.document.value.get("given", {}))
        for name, keys in known.items():
            shared[name] = {key: value for key, value in shared.get(name, {}).items() if key in keys}
        own = self.document.value["cases"][place].get("given", {})
        return {"arguments": {}, "facts": {}, "usage": {}, "done": []} | _merged(_merged(DEFAULTS, shared), own)

    def _inputs(self, place: int, case: Case) -> Inputs:
        given = self._given(place, case)
        nothing: Values = {limit.name: 0 for limit in self.policies.limits_for(case.action, given["session"].get("tenant", ""))}
        usage = {name: {"used": used} if isinstance(used, int) else used for name, used in (nothing | given["usage"]).items()}
        return Inputs(**given | {"action": case.action, "usage": usage, "done": sorted(given["done"])})


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> Values:
    merged = dict(under)
    for name, value in over.items():
        if isinstance(value, dict):
            inner = merged.get(name)
            merged[name] = _merged(inner if isinstance(inner, dict) else {}, value)
        elif value is None:
            merged.pop(name, None)
        else:
            merged[name] = value
    return merged


def _misfits(value: Any, kind: Kind, loc: Loc) -> Iterator[tuple[Loc, str]]:
    """Find what a rule could never see there. What is left out is not missed: what needs it fails when it is decided."""
    shown = ".".join(map(str, loc))
    expected = {"text": str, "integer": int, "boolean": bool, "timestamp": str, "list": list, "object": dict}.get(kind.what, object)
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        yield loc, f"`{shown}` must be {'a time such as 2026-03-01T10:00:00Z' if kind.what == 'timestamp' else f'of the type {kind.what}'}"
    elif kind.what == "timestamp" and not _is_time(value):
        yield loc, f"`{shown}` must be a time such as 2026-03-01T10:00:00Z"
    elif kind.values and value not in kind.values:
        yield loc, f"`{shown}` is never `{value}`{hint(value, kind.values) or f': it is one of {', '.join(sorted(kind.values))}'}"
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


def _matched(decision: Decision) -> set[str]:
    """Name the rules that matched and the limits that are exceeded, without those that count only because they can't be evaluated."""
    exceeded = (headroom.limit for headroom in decision.limits if headroom.exceeded)
    return {*(match.rule for match in decision.matched), *exceeded} - {error.rule for error in decision.errors}


def _differences(expect: Expect, decision: Decision) -> Iterator[Difference]:
    matched = _matched(decision)
    asked: Sequence[str] = _asked((one.kind, one.by, one.votes) for one in decision.requirements)
    compared: list[tuple[str, Any, Any]] = [
        ("decision", expect.decision, "allow" if decision.allowed else "deny"),
        ("missing", expect.missing and sorted(expect.missing), sorted(decision.missing)),
        ("say", expect.say, decision.say),
    ]
    for key, expected, got in compared:
        if expected is not None and expected != got:
            yield Difference(key, expected, got)
    if expect.requirements is not None and (expected := _asked(map(_need, expect.requirements))) != asked:
        yield Difference("requirements", expected, asked)
    # TODO
