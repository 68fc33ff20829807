"""Decide: deny wins, requirements add up, and nothing is allowed unless a rule allows it."""

from __future__ import annotations

from collections.abc import Sequence

from .decision import Decision, EvaluationError, Then
from .facts import Inputs
from .limits import Measured
from .rules import Policies, Rule

Counted = list[tuple[Rule, bool | EvaluationError]]


def decide(policies: Policies, inputs: Inputs) -> Decision:
    """Decide on one call. Pure and total: equal policies and inputs give an equal decision, and nothing raises.

    A condition that can't be evaluated counts as matched in a deny or a requirement, and as not matched in an allow.
    """
    ruleset = policies.rulesets.get(inputs.action)
    results = ruleset.conditions.evaluate(inputs) if ruleset else []
    errors = tuple([result for result in results if isinstance(result, EvaluationError)])
    counted = [each for each in zip(ruleset.rules if ruleset else (), results, strict=True) if _counts(*each)]
    denials, permissions = _of(Then.DENY, counted), _of(Then.ALLOW, counted)
    allowed = bool(permissions) and not denials
    demands = [each for each in counted if each[0].requirement] if allowed else []
    # What settled it: the denials, else the requirements, else the permissions.
    deciding = (demands or permissions) if allowed else denials
    return Decision(
        allowed=allowed,
        requirements=tuple([rule.requirement for rule, _ in demands if rule.requirement]),
        matched=tuple([rule.match for rule, _ in counted]),
        errors=errors,
        policy_digest=policies.digest,
        say=next((rule.say for rule, _ in deciding if rule.say), None),
        reason="; ".join([_because(*each) for each in deciding]) or _nothing_allows(inputs.action, errors),
    )


def measure(policies: Policies, inputs: Inputs) -> tuple[Measured, ...]:
    """Say what one call would take of each limit. Pure; a limit that can't be measured is left out, and denies when it is decided."""
    return ()


def _counts(rule: Rule, result: bool | EvaluationError) -> bool:
    return result if isinstance(result, bool) else rule.match.then is not Then.ALLOW


def _of(then: Then, counted: Counted) -> Counted:
    return [each for each in counted if each[0].match.then is then]


def _because(rule: Rule, result: bool | EvaluationError) -> str:
    if isinstance(result, EvaluationError):
        return f"{rule.name} counts because it can't be evaluated: {result.message}"
    return f"{rule.name}: {rule.match.reason}" if rule.match.reason else f"{rule.name} says {rule.then.value}"


def _nothing_allows(action: str, errors: Sequence[EvaluationError]) -> str:
    return "; ".join((f"no rule allows {action}", *(f"{error.rule} can't be evaluated: {error.message}" for error in errors)))
