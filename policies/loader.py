"""Load policies: type every expression for every action, and refuse the whole if any part can't be used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import PolicyError
from .clauses import seconds
from .decision import Match, Then
from .document import Loc
from .expression import Expression, Language, Result
from .facts import ActionShape
from .folder import read_folder
from .limits import Limit
from .policy import LimitClause, RuleClause
from .reading import ReadFile, Reading
from .rules import Policies, Prerequisite, Rule, Ruleset
from .source import hint

MAX_BUNDLE = 8_388_608

Sources = Mapping[str, str] | Path


@dataclass(slots=True)
class Gathered:
    """Collect what is in force for one action, by name, so that what is included twice counts once."""

    rules: dict[str, Rule] = field(default_factory=dict)
    limits: dict[str, Limit] = field(default_factory=dict)
    requires: dict[str, Prerequisite] = field(default_factory=dict)


@dataclass(slots=True)
class Loading:
    """Collect rules and problems while files are taken."""

    sources: Mapping[str, str]
    actions: Mapping[str, ActionShape]
    reading: Reading
    gathered: dict[tuple[str, str], Gathered] = field(default_factory=dict)
    """What is in force by action and tenant; an empty tenant is every tenant."""
    _languages: dict[str, Language] = field(default_factory=dict)

    @property
    def problems(self) -> list[PolicyError]:
        """Give what is wrong, at most a hundred things."""
        return self.reading.problems

    def take(self) -> None:
        """Take the rules of every file; what holds for every tenant first, so that an overlay repeats nothing of it."""
        for file in sorted(self.reading.files.values(), key=lambda file: file.written.tenant or ""):
            included = [self.reading.files[name] for name in file.written.include if name in self.reading.files]
            if file.written.tenant:
                self._refuse_permissions(file, included)
            for action in file.actions:
                for source in (file, *included):
                    self._gather(source, action, file.written.tenant or "")

    def policies(self) -> Policies:
        """Give what was read as policies."""
        text = json.dumps(self.sources, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).hexdigest()
        made = {(action, tenant): self._ruleset(action, self.gathered[action, tenant]) for action, tenant in sorted(self.gathered)}
        general = {action: ruleset for (action, tenant), ruleset in made.items() if not tenant}
        overlays: dict[str, dict[str, Ruleset]] = {}
        for (action, tenant), ruleset in made.items():
            if tenant:
                overlays.setdefault(action, {})[tenant] = general[action].tightened(ruleset) if action in general else ruleset
        return Policies(digest, self.sources, general, overlays, self._roles())

    def _refuse_permissions(self, overlay: ReadFile, included: list[ReadFile]) -> None:
        """Refuse an overlay that allows: it may only tighten."""
        for place, rule in enumerate(overlay.written.rules):
            if rule.then == Then.ALLOW:
                message = "an overlay may hold anything but `allow`: what every tenant may do is said in a file without `tenant`"
                self.reading.note(overlay.document.error(message, ("rules", place, "then")))
        for source in included:
            allows = [rule.id for rule in source.written.rules if rule.then == Then.ALLOW]
            if allows:
                message = f"{source.written.policy}/{allows[0]} allows, and an overlay may hold anything but `allow`: do not include it"
                place = overlay.written.include.index(source.written.policy)
                self.reading.note(overlay.document.error(message, ("include", place)))

    def _gather(self, source: ReadFile, action: str, tenant: str) -> None:
        """Take what one file says, for one action of one tenant or of all."""
        into = self.gathered.setdefault((action, tenant), Gathered())
        general = self.gathered.get((action, ""), into)
        written, document = source.written, source.document
        for place, clause in enumerate(written.rules):
            name = f"{written.policy}/{clause.id}"
            if name not in into.rules and name not in general.rules and (rule := self._rule(source, action, place, clause)):
                into.rules[name] = rule
        for place, bound in enumerate(written.limits):
            name = f"{written.policy}/{bound.id}"
            if name not in into.limits and name not in general.limits and (limit := self._limit(source, action, place, bound)):
                into.limits[name] = limit
        for place, required in enumerate(written.requires):
            name, line = f"{written.policy}/{required}", document.line_of(("requires", place))
            if name not in general.requires:
                into.requires[name] = Prerequisite(required, written.policy, document.source.path, line)

    def _rule(self, source: ReadFile, action: str, place: int, clause: RuleClause) -> Rule | None:
        name, then = f"{source.written.policy}/{clause.id}", Then(clause.then)
        when = self._compile(source, action, name, ("rules", place, "when"), Result.BOOL, clause.when)
        if when is None:
            return None
        requirement = clause.requirement(then, name, clause.confirmation.within if clause.confirmation else "24h")
        path, line = source.document.source.path, source.document.line_of(("rules", place))
        delay = seconds(clause.delay) if clause.delay and self.actions[action].writes else 0  # what only reads has nothing to take back
        return Rule(action, when, Match(name, then, clause.reason, delay), requirement, clause.say, path, line)

    def _limit(self, source: ReadFile, action: str, place: int, clause: LimitClause) -> Limit | None:
        name, then, at = f"{source.written.policy}/{clause.id}", Then(clause.beyond), ("limits", place)
        wanted = {
            "measure": (clause.measure, Result.MONEY if clause.currency else Result.INTEGER),
            "distinct": (clause.distinct, Result.VALUE),
            "per": (clause.per, Result.VALUE),
        }
        compiled: dict[str, Expression | None] = {}
        for key, (written, result) in wanted.items():
            if isinstance(written, dict) and not self._covers(source, action, (*at, key), written):
                return None
            loc = (*at, key, action) if isinstance(written, dict) else (*at, key)
            compiled[key] = self._compile(source, action, name, loc, result) if written is not None else None
            if written is not None and compiled[key] is None:
                return None
        return Limit(
            name=name,
            **compiled,
            currency=clause.currency,
            window=seconds(clause.window),
            at_most=clause.at_most,
            beyond=then,
            requirement=clause.requirement(then, name),
            reason=clause.reason,
            say=clause.say,
            path=source.document.source.path,
            line=source.document.line_of(at),
        )

    def _covers(self, source: ReadFile, action: str, loc: Loc, written: Mapping[str, str]) -> bool:
        """Say whether there is an expression for the action, and note expressions for actions that there are not."""
        for name in written:
            if name not in (source.actions or self.actions):
                known = source.actions or self.actions
                self.reading.note(source.document.error(f"no action `{name}` is named here{hint(name, known)}", (*loc, name), key=True))
                return False
        if action not in written:
            self.reading.note(source.document.error(f"`{loc[-1]}` has no expression for `{action}`", loc, key=True))
        return action in written

    def _compile(self, source: ReadFile, action: str, name: str, loc: Loc, result: Result, default: str = "") -> Expression | None:
        """Type one expression for one action, or note what is wrong with it."""
        if self.reading.full:
            return None
        try:
            return self._language(action).compile(source.passage(loc, default), name, result, source.scope)
        except PolicyError as error:
            if len(source.actions) != 1:
                message = f"{error.message} (for {action})"
                error = PolicyError(message, path=error.path, line=error.line, column=error.column, excerpt=error.excerpt)
            self.reading.note(error)
            return None

    def _language(self, action: str) -> Language:
        if action not in self._languages:
            self._languages[action] = Language(self.actions[action])
        return self._languages[action]

    def _ruleset(self, action: str, gathered: Gathered) -> Ruleset:
        rules = sorted(gathered.rules.values(), key=lambda rule: rule.name)
        limits = sorted(gathered.limits.values(), key=lambda limit: limit.name)
        return Ruleset.of(self._language(action), tuple(rules), tuple(limits), tuple(gathered.requires.values()))

    def _roles(self) -> dict[str, tuple[str, int]]:
        """Give where each role is first named."""
        found: dict[str, tuple[str, int]] = {}
        for file in sorted(self.reading.files.values(), key=lambda file: file.document.source.path):
            for key, clauses in (("rules", file.written.rules), ("limits", file.written.limits)):
                for place, clause in enumerate(clauses):
                    if asked := clause.approval:
                        line = file.document.line_of((key, place, "approval"))
                        for role in (asked.by, *([asked.escalate.to] if asked.escalate else [])):
                            found.setdefault(role, (file.document.source.path, line))
        return found


def load(sources: Sources, actions: Mapping[str, ActionShape]) -> Policies:
    """Load policies for these actions from texts by relative path, a folder, or one file.

    Of a folder, every `*.yaml` in it counts, at any depth, but `*_test.yaml` and what is hidden. Raises the first PolicyError, which
    knows the `others`.
    """
    loading = read(sources, actions)
    if loading.problems:
        first, *others = loading.problems
        first.others = tuple(others)
        raise first
    return loading.policies()


def read(sources: Sources, actions: Mapping[str, ActionShape]) -> Loading:
    """Read everything and collect the problems; raises PolicyError only where the files themselves can't be had."""
    texts = dict(sorted((read_folder(sources) if isinstance(sources, Path) else sources).items()))
    if sum(map(len, texts.values())) > MAX_BUNDLE:
        raise PolicyError(f"the policies together are larger than {MAX_BUNDLE:,} characters")
    loading = Loading(texts, actions, Reading(actions))
    for path, text in texts.items():
        loading.reading.add(path, text)
    loading.reading.connect()
    loading.take()
    return loading
