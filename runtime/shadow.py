"""Decide by a second bundle beside the one in force, and record it. It never changes what happens, and nothing of it can harm a call."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from ..policies import Decision, Inputs, Policies, decide
from ..policies.again import differing, way
from . import telemetry
from .deadline import within
from .usage import count
from .work import Parts, Work

PATIENCE = timedelta(seconds=1)
"""So long a call waits for facts that only the shadow looks at."""

Load = Callable[[Parts, Work, Iterable[str]], Coroutine[Any, Any, Mapping[str, Any]]]

log = telemetry.logger("remit.shadow")


async def beside(parts: Parts, work: Work, given: Inputs, decision: Decision, load: Load) -> Work:
    """Note what the shadow decides on the same inputs, and on those that only it looks at; a shadow that fails says nothing."""
    shadow = parts.control.shadow
    if shadow is None or work.dry_run:
        return work
    try:
        return await _noted(parts, work, shadow, given, decision, load)
    except Exception as error:  # noqa: BLE001 - whatever it is, the call goes on; its message might hold a value
        log.error("the shadow could not decide %s: %s", work.call.id, type(error).__name__)  # noqa: TRY400 - for the same reason
        return work


async def _noted(parts: Parts, work: Work, shadow: Policies, given: Inputs, live: Decision, load: Load) -> Work:
    facts = await _own_facts(parts, work, shadow, load)
    own = (await count(parts, shadow, work, replace(given, facts={**given.facts, **facts}))).inputs
    decision = decide(shadow, own)
    body: dict[str, Any] = {"policy": shadow.digest, "decision": decision.to_json(), "differs": False}
    if flips := way(live, decision):
        body |= {"differs": True, "way": flips, "rules": list(differing(live, decision))}
    # With these beside the inputs of `call.decided`, it can be decided again.
    body |= {name: value for name, value in (("usage", own.usage), ("done", list(own.done))) if value}
    return work.note("policy.shadowed", body, {f"/facts/{name}": value for name, value in facts.items()})


async def _own_facts(parts: Parts, work: Work, shadow: Policies, load: Load) -> dict[str, Any]:
    """Load the facts that only the shadow looks at; one that can't be had in time is missing."""
    facts: dict[str, Any] = {}
    for name in sorted(shadow.facts_for(work.action.name, work.call.tenant) - work.facts.keys()):
        try:
            facts |= await within(PATIENCE, load(parts, work, [name]))
        except Exception as error:  # noqa: BLE001 - the developer's code, or the network behind it
            log.warning("the fact %s, which only the shadow looks at, could not be loaded: %s", name, type(error).__name__)
    return {name: value for name, value in facts.items() if value is not None}
