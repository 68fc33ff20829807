"""What is told of calls to whoever runs Remit: spans and metrics by OpenTelemetry's GenAI conventions, and log lines with call ids.

All names are in this file. Nothing personal is ever told: ids of ours, names of actions and rules, states, codes and counts alone; no
argument, result, fact, subject, conversation, model's tool-call id or text of an exception. Only the API is used, so without an SDK in
the process this does next to nothing; docs/telemetry.md has the list.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import Token
from functools import wraps
from pathlib import PurePath
from time import perf_counter
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

import structlog
from opentelemetry import context, metrics, trace
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

from ..policies import Decision
from .breaker import Standing
from .call import Call

P = ParamSpec("P")
T = TypeVar("T")

OPERATION, EXECUTE_TOOL = "gen_ai.operation.name", "execute_tool"
TOOL, TOOL_TYPE, TOOL_CALL = "gen_ai.tool.name", "gen_ai.tool.type", "gen_ai.tool.call.id"
AGENT = "gen_ai.agent.id"
ERROR = "error.type"
STATE, CODE, ATTEMPT, EVENT = "remit.call.state", "remit.call.code", "remit.call.attempt", "remit.event.kind"
EFFECT, OUTCOME, CONNECTOR = "remit.effect.kind", "remit.handler.outcome", "remit.connector"
DECISION, RULES = "remit.decision", "remit.rules"
DECIDE, COMMIT = "decide", "commit"
"""Spans within a call's; a handler's is `handler ACTION`."""
CALL, REQUEST = "remit_call", "remit_request"
"""Keys of a log line, in the contextvars that structlog shares with the host: so they are named after us."""
OTHER = "other"
"""Stands for a code that does not look like one, and for an action that there is not."""

_tracer, _meter = trace.get_tracer("remit"), metrics.get_meter("remit")
_rests = _meter.create_counter("remit.calls", "{call}", "Calls that came to rest, by action, state and code")
_events = _meter.create_counter("remit.events", "{event}", "Audit events committed, by kind and action")
_decisions = _meter.create_counter("remit.decisions", "{decision}", "Decisions by the policies in force, by action")
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
_CODE = re.compile(r"[a-z][a-z0-9_.-]{0,63}")


def logger(name: str) -> Any:
    """Give a structlog logger whose lines are standard-library records: whoever runs Remit decides where they go, and in what form."""
    return structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            _with_ids,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.render_to_log_kwargs,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _with_ids(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the ids of ours that are bound; what else the host has bound is for its own lines, and may be about a customer."""
    bound = structlog.contextvars.get_contextvars()
    line.update((name, bound[name]) for name in (CALL, REQUEST) if name in bound)
    return line


def places(error: BaseException) -> str:
    """Say what was raised and where, without a word of it: a message may repeat a value."""
    told, seen = list[str](), set[int]()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        frames = traceback.extract_tb(link.__traceback__)[-4:]
        told.append(" < ".join([type(link).__name__, *(f"{PurePath(at.filename).name}:{at.lineno} {at.name}" for at in reversed(frames))]))
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "; after ".join(told)


class _Span:
    """A span that is the current one within a `with`. Of what is raised it tells the type alone; without an SDK it costs little."""

    __slots__ = ("_attributes", "_name", "_token", "span")

    def __init__(self, name: str, attributes: dict[str, Any] | None = None) -> None:
        self._name, self._attributes = name, attributes
        self._token: Token[context.Context] | None = None

    def __enter__(self) -> Self:
        self.span = _tracer.start_span(self._name, attributes=self._attributes, record_exception=False, set_status_on_exception=False)
        if self.span.get_span_context().is_valid:
            self._token = context.attach(trace.set_span_in_context(self.span))
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None) -> None:
        if kind is not None:
            self.failed(kind.__name__)
        self.span.end()
        if self._token is not None:
            context.detach(self._token)

    def failed(self, why: str) -> None:
        """Mark an error, by its type or code."""
        self.span.set_status(Status(StatusCode.ERROR))
        self.span.set_attribute(ERROR, why)


def phase(name: str) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """Tell each run of a coroutine function as a span."""

    def told(code: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        @wraps(code)
        async def run(*given: P.args, **named: P.kwargs) -> T:
            with _Span(name):
                return await code(*given, **named)

        return run

    return told


async def journey(call_id: str, going: Coroutine[Any, Any, Call]) -> Call:
    """Tell a call's way in this process until it rests as one span; its log lines carry the call's id."""
    structlog.contextvars.bind_contextvars(**{CALL: call_id})
    with _Span(EXECUTE_TOOL, {OPERATION: EXECUTE_TOOL, TOOL_CALL: call_id, TOOL_TYPE: "function"}) as told:
        call = await going
        _rested(told, call)
        return call


def _rested(told: _Span, call: Call) -> None:
    code = code_of(call.code)
    attributes = {TOOL: call.action, STATE: call.state.value} | ({CODE: code} if code else {})
    _rests.add(1, attributes)
    if not told.span.is_recording():
        return
    told.span.update_name(f"{EXECUTE_TOOL} {call.action}")
    told.span.set_attributes({**attributes, ATTEMPT: call.attempt, EFFECT: call.kind})
    if call.principal_kind == "agent":
        told.span.set_attribute(AGENT, call.principal)
    if call.state.value in {"failed", "unknown"}:
        told.failed(code or call.state.value)


def code_of(code: str | None) -> str | None:
    """Give a code as it is told: a handler's refusal brings its own, and words are none."""
    return code if code is None or _CODE.fullmatch(code) else OTHER


def traceparent() -> str:
    """Name the current span as W3C's Trace Context does, to be kept sealed with a call; empty where nobody traces."""
    now = trace.get_current_span().get_span_context()
    return f"00-{now.trace_id:032x}-{now.span_id:016x}-{now.trace_flags:02x}" if now.is_valid else ""


def link(parent: str) -> None:
    """Link the current span to the one under which its call was submitted, perhaps in another process."""
    span = trace.get_current_span()
    if parent and span.is_recording():
        _, trace_id, span_id, flags = parent.split("-")
        span.add_link(SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))))


def decided(action: str, decision: Decision) -> None:
    """Tell a decision: `allow`, `ask` where something is required first, or `deny`; and the rules that said so, on the span."""
    word = ("ask" if decision.requirements else "allow") if decision.allowed else "deny"
    _decisions.add(1, {TOOL: action, DECISION: word})
    if (span := trace.get_current_span()).is_recording():
        span.set_attributes({TOOL: action, DECISION: word, RULES: sorted({match.rule for match in decision.matched})})


def rejected(action: str | None, code: str) -> None:
    """Count a call that could not be used; `action` is None where there is none of that name, for the name is the model's."""
    _rests.add(1, {TOOL: action or OTHER, STATE: "rejected", CODE: code})


@contextmanager
def handling(action: str) -> Iterator[dict[str, str]]:
    """Tell one attempt of a handler as a span, and how long it took; what is known of it is put under `OUTCOME`."""
    told, begun = {TOOL: action}, perf_counter()
    with _Span(f"handler {action}", told) as span:
        try:
            yield told
        finally:
            _handlers.record(perf_counter() - begun, told)
            span.span.set_attributes(told)


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
