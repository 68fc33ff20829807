"""What is told of calls to whoever runs Remit: spans and metrics by OpenTelemetry's GenAI conventions, and log lines with call ids.

All names are in this file. Nothing personal is ever told: ids of ours, names of actions and rules, states, codes and counts alone; no
argument, result, fact, subject, conversation, model's tool-call id or text of an exception. Only the API is used, so without an SDK in
the process this does next to nothing; docs/telemetry.md has the list.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import structlog
from opentelemetry import metrics, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from .breaker import Standing
from .call import Call

OPERATION, EXECUTE_TOOL = "gen_ai.operation.name", "execute_tool"
TOOL, TOOL_TYPE, TOOL_CALL = "gen_ai.tool.name", "gen_ai.tool.type", "gen_ai.tool.call.id"
AGENT = "gen_ai.agent.id"
ERROR = "error.type"
STATE, CODE, ATTEMPT, EVENT = "remit.call.state", "remit.call.code", "remit.call.attempt", "remit.event.kind"
EFFECT, OUTCOME, CONNECTOR = "remit.effect.kind", "remit.handler.outcome", "remit.connector"

_tracer, _meter = trace.get_tracer("remit"), metrics.get_meter("remit")
_rests = _meter.create_counter("remit.calls", "{call}", "Calls that came to rest, by action, state and code")
_events = _meter.create_counter("remit.events", "{event}", "Audit events committed, by kind and action")
_refusals = _meter.create_counter("remit.overloaded", "{call}", "Calls that were told to come back, because too much was going on")
_handlers = _meter.create_histogram("remit.handler.duration", "s", "One attempt of an action's handler, by action and what is known of it")
_commits = _meter.create_histogram("remit.journal.commit.duration", "s", "One transaction of a group of changes, the disk included")
_groups = _meter.create_histogram("remit.journal.group.size", "{change}", "Changes that one transaction committed")
_queued = _meter.create_gauge("remit.journal.queue", "{change}", "Changes that wait for a transaction")
_running = _meter.create_gauge("remit.calls.running", "{call}", "Calls on their way in this process")
_dead = _meter.create_gauge("remit.calls.dead", "{call}", "Calls of unknown outcome that only a person can settle")
_unsequenced = _meter.create_gauge("remit.log.unsequenced.age", "s", "Age of the oldest event that no checkpoint covers")
_switches = _meter.create_gauge("remit.switches", "{switch}", "Kill switches that are thrown")
_connectors = _meter.create_gauge("remit.connector.breaker", "1", "How a connector's breaker stands: 0 closed, 1 half open, 2 open")


def logger(name: str) -> Any:
    """Give a structlog logger whose lines are standard-library records: whoever runs Remit decides where they go, and in what form."""
    return structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.render_to_log_kwargs,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


async def journey(call_id: str, going: Coroutine[Any, Any, Call]) -> Call:
    """Tell a call's way in this process until it rests as one span; its log lines carry the call's id."""
    structlog.contextvars.bind_contextvars(call=call_id)
    given = {OPERATION: EXECUTE_TOOL, TOOL_CALL: call_id, TOOL_TYPE: "function"}
    with _tracer.start_as_current_span(EXECUTE_TOOL, kind=SpanKind.INTERNAL, attributes=given, record_exception=False) as span:
        call = await going
        told = {TOOL: call.action, STATE: call.state.value} | ({CODE: call.code} if call.code else {})
        _rests.add(1, told)
        if span.is_recording():
            span.update_name(f"{EXECUTE_TOOL} {call.action}")
            span.set_attributes({**told, ATTEMPT: call.attempt, EFFECT: call.kind})
            if call.principal_kind == "agent":
                span.set_attribute(AGENT, call.principal)
            if call.state.value in {"failed", "unknown"}:
                span.set_status(Status(StatusCode.ERROR))
                span.set_attribute(ERROR, call.code or call.state.value)
        return call


@contextmanager
def handling(action: str) -> Iterator[dict[str, str]]:
    """Tell one attempt of a handler as a span, and how long it took; what is known of it is put under `OUTCOME`."""
    told, begun = {TOOL: action}, perf_counter()
    with _tracer.start_as_current_span(f"handler {action}", kind=SpanKind.INTERNAL, attributes=told, record_exception=False) as span:
        try:
            yield told
        finally:
            _handlers.record(perf_counter() - begun, told)
            if span.is_recording():
                span.set_attributes(told)


@contextmanager
def committing(changes: int) -> Iterator[None]:
    """Tell one transaction of a group."""
    begun = perf_counter()
    yield
    _commits.record(perf_counter() - begun)
    _groups.record(changes)


def committed(action: str, kinds: Iterable[str]) -> None:
    """Count events that are committed."""
    for kind in kinds:
        _events.add(1, {EVENT: kind, TOOL: action})


def refused() -> None:
    """Count a call that was told to come back."""
    _refusals.add(1)


def breaker(connector: str, standing: Standing) -> None:
    """Tell how a connector's breaker stands now."""
    _connectors.set({Standing.CLOSED: 0, Standing.HALF_OPEN: 1, Standing.OPEN: 2}[standing], {CONNECTOR: connector})


def measured() -> bool:
    """Say whether anybody listens to metrics: what has to be looked up for them is looked up only then."""
    return type(metrics.get_meter_provider()).__module__.partition(".")[2] != "metrics._internal"


def health(*, running: int, queued: int, unsequenced: float, dead: int, switches: int) -> None:
    """Tell how the runtime stands; `unsequenced` in seconds."""
    for gauge, value in (
        (_running, running),
        (_queued, queued),
        (_unsequenced, unsequenced),
        (_dead, dead),
        (_switches, switches),
    ):
        gauge.set(value)
