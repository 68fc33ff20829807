"""Explain a decision: what each rule saw and why it did or did not count, where each limit stands, and what had to come first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .decide import decide, is_met, standings, tenant_of
from .decision import Decision, EvaluationError, Headroom, Then
from .definitions import tokens
from .expression import Expression
from .facts import Inputs, Json
from .limits import Limit
from .rules import Policies, Prerequisite, Rule


@dataclass(frozen=True, slots=True)
class Explained:
    """Say what came of one condition: `result` is true, false, or an error. `values` are what it read, by dotted path; null is missing.

    `parts` are the operands of a chain of `&&` that was not true, each with what came of it alone. `delay` is in seconds.
    """

    rule: str
    then: Then
    path: str
    line: int
    condition: str
    result: bool | EvaluationError
    values: Mapping[str, Json]
    parts: tuple[tuple[str, bool | EvaluationError], ...] = ()
    delay: int = 0

    def to_json(self) -> dict[str, Json]:
        """Give a JSON value; an error is `{"error": message}`."""
        value = {name: getattr(self, name) for name in ("rule", "then", "path", "line", "condition", "values")}
        parts = [{"condition": text, "result": _shown(result)} for text, result in self.parts]
        more = ({"parts": parts} if parts else {}) | ({"delay": self.delay} if self.delay else {})
        return value | {"result": _shown(self.result)} | more


@dataclass(frozen=True, slots=True)
class Explanation:
    """Hold everything that bore upon one decision, each with the place where it is written."""

    rules: tuple[Explained, ...]
    limits: tuple[tuple[Limit, Headroom | EvaluationError], ...]
    requires: tuple[tuple[Prerequisite, bool], ...]
    decision: Decision

    def to_json(self) -> dict[str, Json]:
        """Give a JSON value: `rules`, `limits`, `requires`, `decision`."""
        return {
            "rules": [rule.to_json() for rule in self.rules],
            "limits": [
                {"limit": limit.name, "path": limit.path, "line": limit.line}
                | (_shown(one) if isinstance(one, EvaluationError) else one.to_json())
                for limit, one in self.limits
            ],
            "requires": [{"action": one.action, "path": one.path, "line": one.line, "met": met} for one, met in self.requires],
            "decision": self.decision.to_json(),
        }


def explain(policies: Policies, inputs: Inputs) -> Explanation:
    """Say of every rule, limit and prerequisite of the action what came of it. Pure; nothing raises.

    Holds values of the inputs: it is for whoever may see the call.
    """
    decision = decide(policies, inputs)
    if (ruleset := policies.ruleset(inputs.action, tenant_of(inputs))) is None:
        return Explanation((), (), (), decision)
    results, measured = ruleset.evaluate(inputs)
    rules = [_explained(rule, result, inputs) for rule, result in zip(ruleset.rules, results, strict=True)]
    return Explanation(
        tuple(sorted(rules, key=lambda each: each.rule)),
        tuple(sorted(standings(ruleset, measured, inputs), key=lambda each: each[0].name)),
        tuple((each, is_met(each.action, inputs)) for each in sorted(ruleset.requires, key=lambda each: (each.action, each.policy))),
        decision,
    )


def _explained(rule: Rule, result: bool | EvaluationError, inputs: Inputs) -> Explained:
    when = rule.when
    values = {".".join(path): _value(inputs, path) for path in sorted(when.paths) if path[0] in when.inputs}
    parts = () if result is True else tuple(_parts(when, inputs))
    return Explained(rule.name, rule.then, rule.path, rule.line, when.written.strip(), result, values, parts, rule.match.delay)


def _value(inputs: Inputs, path: tuple[str, ...]) -> Json:
    value: Any = getattr(inputs, path[0])
    for step in path[1:]:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _parts(when: Expression, inputs: Inputs) -> list[tuple[str, bool | EvaluationError]]:
    """Evaluate each operand of a chain of `&&` alone. A definition is in parentheses, so what is written has the same operands."""
    operands = _operands(when.text)
    evaluated = when.language.evaluate_parts(when, operands, inputs) if len(operands) > 1 else []
    return list(zip([each.strip() for each in _operands(when.written)], evaluated, strict=True)) if evaluated else []


def _operands(text: str) -> list[str]:
    """Split a condition at its outermost `&&`; one operand where it is no such chain."""
    depth, starts, ends = 0, [0], list[int]()
    for token in tokens(text):
        mark = token["mark"] or ""
        depth += (mark in {"(", "[", "{"}) - (mark in {")", "]", "}"})
        if depth == 0 and mark in {"||", "?"}:
            return [text]
        if depth == 0 and mark == "&&":
            ends.append(token.start())
            starts.append(token.end())
    return [text[start:end] for start, end in zip(starts, [*ends, len(text)], strict=True)]


def _shown(result: bool | EvaluationError) -> Any:
    return {"error": result.message} if isinstance(result, EvaluationError) else result
