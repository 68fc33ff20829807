"""Decide: deny wins, requirements add up, and nothing is allowed unless a rule allows it."""

from __future__ import annotations

from collections.abc import Sequence

from .decision import Decision, EvaluationError, Match, Requirement, Then
from .facts import Inputs
from .rules import Policies, Rule

Counted = Sequence[tuple[Rule, EvaluationError | None]]


def decide(policies: Policies, inputs: Inputs) -> Decision:
    """Decide on one call. Pure and total: equal policies and inputs give an equal decision, and nothing raises.

    A condition that can't be evaluated counts as matched in a deny or a requirement, and as not matched in an allow.
    """
    ruleset = policies.rulesets.get(inputs.action)
    rules = ruleset.rules if ruleset else ()
    results = ruleset.conditions.evaluate(inputs) if ruleset else []
    errors = tuple(result for result in results if isinstance(result, EvaluationError))
    counted = [(rule, _error(result)) for rule, result in zip(rules, results, strict=True) if _counts(rule, result)]
    by_effect = {then: [each for each in counted if each[0].then is then] for then in Then}
    allowed = bool(by_effect[Then.ALLOW]) and not by_effect[Then.DENY]
    deciding = _deciding(by_effect, allowed=allowed)
    return Decision(
        allowed=allowed,
        requirements=tuple(_requirement(rule) for rule, _ in by_effect[Then.REQUIRE_APPROVAL]) if allowed else (),
        matched=tuple(Match(rule.name, rule.then, rule.reason) for rule, _ in counted),
        errors=errors,
        policy_digest=policies.digest,
        say=next((rule.say for rule, _ in deciding if rule.say), None),
        reason="; ".join(map(_because, deciding)) or _nothing_allows(inputs.action, errors),
    )


def _error(result: bool | EvaluationError) -> EvaluationError | None:
    return result if isinstance(result, EvaluationError) else None


def _counts(rule: Rule, result: bool | EvaluationError) -> bool:
    return rule.then is not Then.ALLOW if isinstance(result, EvaluationError) else result


def _deciding(by_effect: dict[Then, list[tuple[Rule, EvaluationError | None]]], *, allowed: bool) -> Counted:
    """Pick the rules that settled it: the denials, else the requirements, else the permissions."""
    if not allowed:
        return by_effect[Then.DENY]
    return by_effect[Then.REQUIRE_APPROVAL] or by_effect[Then.ALLOW]


def _requirement(rule: Rule) -> Requirement:
    assert rule.approval is not None, "a rule that requires an approval is checked to say whose"
    return Requirement("approval", rule.name, rule.approval.by, rule.approval.votes, rule.approval.within, rule.reason)


def _because(counted: tuple[Rule, EvaluationError | None]) -> str:
    rule, error = counted
    if error:
        return f"{rule.name} counts because it can't be evaluated: {error.message}"
    return f"{rule.name}: {rule.reason}" if rule.reason else f"{rule.name} says {rule.then}"


def _nothing_allows(action: str, errors: Sequence[EvaluationError]) -> str:
    return "; ".join((f"no rule allows {action}", *(f"{error.rule} can't be evaluated: {error.message}" for error in errors)))
