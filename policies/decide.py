"""Decide: deny wins, requirements add up, and nothing is allowed unless a rule allows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from operator import attrgetter, itemgetter
from typing import NamedTuple

from .clauses import in_units
from .decision import Decision, EvaluationError, Headroom, Requirement, Then
from .facts import Inputs
from .limits import Limit, Measured
from .rules import Evaluated, Policies, Rule, Ruleset

_STAGES = {"step_up": 0, "confirmation": 1, "approval": 2}


_ALLOW, _DENY = Then.ALLOW, Then.DENY  # to look up an enum's member costs as much as a condition
_BY_NAME, _BY_RULE, _BY_LIMIT = itemgetter(0), attrgetter("rule"), attrgetter("limit")


class _Cause(NamedTuple):
    """A rule that counts, or a limit that stands in the way: what it does, and why in words for people."""

    name: str
    then: Then
    why: str
    say: str | None
    requirement: Requirement | None = None


def decide(policies: Policies, inputs: Inputs, evaluated: Evaluated | None = None) -> Decision:
    """Decide on one call. Pure and total: equal policies and inputs give an equal decision, and nothing raises.

    A condition that can't be evaluated counts as matched in a deny or a requirement, and as not matched in an allow. A limit that can't
    be evaluated denies, and so does a prerequisite that is not among what was done. `evaluated` is what `evaluate` gave for these
    inputs before their `usage` was known, which no expression reads.
    """
    ruleset = policies.ruleset(inputs.action, tenant_of(inputs))
    if ruleset is None:
        return Decision(False, (), (), (), policies.digest, None, f"no rule allows {inputs.action}")
    results, measured = evaluated or ruleset.evaluate(inputs)
    telling = [each for each in zip(ruleset.rules, results, strict=True) if each[1] is not False]
    counted = [each for each in telling if _counts(*each)]
    causes = [_of_rule(*each) for each in counted]
    errors = [result for _, result in telling if isinstance(result, EvaluationError)]
    standing = standings(ruleset, measured, inputs) if measured else []
    for limit, headroom in standing:
        if isinstance(headroom, EvaluationError):
            errors.append(headroom)
        elif not headroom.exceeded:
            continue
        causes.append(_of_limit(limit, headroom))
    causes.sort(key=_BY_NAME)
    denials = [cause for cause in causes if cause.then is _DENY]
    permissions = [cause for cause in causes if cause.then is _ALLOW]
    missing = tuple(sorted({each.action for each in ruleset.requires if not is_met(each.action, inputs)})) if ruleset.requires else ()
    allowed = bool(permissions) and not denials and not missing
    demands = sorted([cause for cause in causes if cause.requirement], key=_stage) if allowed else []
    # What settled it: the denials, else the requirements, else the permissions.
    deciding = (demands or permissions) if allowed else denials
    delay = max([rule.match.delay for rule, _ in counted]) if allowed else 0
    because = [cause.why for cause in deciding] + [f"{each} must have succeeded earlier in this conversation" for each in missing]
    if delay:
        because += [f"{match.rule} lets it cool off for {in_units(delay)}" for rule, _ in counted if (match := rule.match).delay == delay]
    return Decision(
        allowed=allowed,
        requirements=tuple([cause.requirement for cause in demands if cause.requirement]),
        matched=tuple(sorted([rule.match for rule, _ in counted], key=_BY_RULE)),
        errors=tuple(sorted(errors, key=_BY_RULE)),
        policy_digest=policies.digest,
        say=next((cause.say for cause in deciding if cause.say), None),
        reason="; ".join(because) or _nothing_allows(inputs.action, errors),
        limits=tuple(sorted([each for _, each in standing if isinstance(each, Headroom)], key=_BY_LIMIT)),
        missing=missing,
        delay=delay,
    )


def evaluate(policies: Policies, inputs: Inputs) -> Evaluated | None:
    """Evaluate every expression on one call, as `decide` takes it; None where no policy names its action. Pure, and never raises."""
    ruleset = policies.ruleset(inputs.action, tenant_of(inputs))
    return ruleset.evaluate(inputs) if ruleset else None


def measure(policies: Policies, inputs: Inputs) -> tuple[Measured, ...]:
    """Say what one call would take of each limit. Pure; a limit that can't be measured is left out, and denies when it is decided."""
    return measured_by(evaluate(policies, inputs))


def measured_by(evaluated: Evaluated | None) -> tuple[Measured, ...]:
    """Say the same of what was evaluated."""
    found = evaluated.measured if evaluated else ()
    return tuple(sorted([each for each in found if isinstance(each, Measured)], key=_BY_LIMIT))


def tenant_of(inputs: Inputs) -> object:
    """Give the tenant of the session, or what stands in its place; None where nothing does."""
    return (inputs.session.get("tenant") or None) if isinstance(inputs.session, Mapping) else None


def is_met(action: str, inputs: Inputs) -> bool:
    """Say whether an action succeeded earlier in the conversation."""
    return isinstance(inputs.done, list | tuple) and action in inputs.done


def standings(
    ruleset: Ruleset, measured: Iterable[Measured | EvaluationError], inputs: Inputs
) -> list[tuple[Limit, Headroom | EvaluationError]]:
    """Give each limit with its headroom, from what the call takes of it; an error where it can't be known."""
    return [
        (limit, takes if isinstance(takes, EvaluationError) else limit.headroom(takes, inputs.usage))
        for limit, takes in zip(ruleset.limits, measured, strict=True)
    ]


def _counts(rule: Rule, result: bool | EvaluationError) -> bool:
    return result if isinstance(result, bool) else rule.match.then is not _ALLOW


def _stage(cause: _Cause) -> int:
    return _STAGES[cause.requirement.kind] if cause.requirement else 0


def _of_rule(rule: Rule, result: bool | EvaluationError) -> _Cause:
    match = rule.match
    if isinstance(result, EvaluationError):
        why = f"{match.rule} counts because it can't be evaluated: {result.message}"
    else:
        why = f"{match.rule}: {match.reason}" if match.reason else f"{match.rule} says {match.then}"
    return _Cause(match.rule, match.then, why, rule.say, rule.requirement)


def _of_limit(limit: Limit, headroom: Headroom | EvaluationError) -> _Cause:
    if isinstance(headroom, EvaluationError):
        # What it would say is about what is used up, which is not why.
        return _Cause(limit.name, _DENY, f"{limit.name} denies because it can't be evaluated: {headroom.message}", None)
    asked = limit.requirement and replace(limit.requirement, covers=headroom.used + headroom.takes)
    said = limit.reason or f"{headroom.used} used and {headroom.takes} more is beyond {headroom.at_most} {limit.counted}"
    return _Cause(limit.name, limit.beyond, f"{limit.name}: {said}", limit.say, asked)


def _nothing_allows(action: str, errors: Iterable[EvaluationError]) -> str:
    return "; ".join((f"no rule allows {action}", *(f"{error.rule} can't be evaluated: {error.message}" for error in errors)))
