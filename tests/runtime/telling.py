"""Play a story in which every kind of personal value passes by, with an OpenTelemetry SDK in the process; print all that was told.

    telling.py FOLDER [leaking | wording]

One JSON object: spans, metrics and log lines as they would be exported. As controls, `leaking` puts the arguments on the span, and
`wording` leaves exceptions to the SDK, which puts their words there.
"""

import asyncio
import json
import logging
import sys
from contextlib import suppress
from pathlib import Path

import structlog
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from remit import Refused
from remit.runtime import execution, telemetry, work
from tests.runtime import test_privacy
from tests.runtime.bank import LARGE, World, asks, raising, says, session
from tests.runtime.test_privacy import everything

PERSONAL = test_privacy.PERSONAL | {
    "conversation": "CONVERSATION-77",
    "idempotency": "IDEMPOTENCY-77",
    "action": "anna_miller_77",
    "code": "Anna Miller 77",
    "exception": "EXCEPTION-WORDS-77",
    "host": "HOST-BOUND-77",
}


class Lines(logging.Handler):
    def __init__(self):
        super().__init__(level=0)
        self.lines = []

    def emit(self, record):
        told = {name: value for name, value in vars(record).items() if name not in {"args", "msg", "exc_info"}}
        self.lines.append({**told, "said": self.format(record)})


def _fails(kind: str, *, words: str):
    """Fail the next transaction that writes such an event, with words that may be about somebody."""
    honest = work.record

    def record(parts, call, drafts, owner):
        if kind in {draft.kind for draft in drafts}:
            work.record = honest
            raise ValueError(words)
        return honest(parts, call, drafts, owner)

    work.record = record


async def odd(runtime, world) -> list[str]:
    """Go on with what is personal where it does not belong: an action's name, a refusal's code, an exception that nobody foresees."""
    customer = session(subject=PERSONAL["subject"], conversation=PERSONAL["conversation"])
    await runtime.submit({"id": PERSONAL["idempotency"], "name": PERSONAL["action"], "arguments": {}}, customer)
    world.bank.plan.append(raising(Refused(PERSONAL["refused"], definite=True, code=PERSONAL["code"])))
    await runtime.submit(asks("transfer", "pay_8"), customer)
    _fails("call.succeeded", words=PERSONAL["exception"])
    with suppress(ValueError):
        await runtime.submit(says(PERSONAL["argument"]), customer)
    _fails("call.decided", words=PERSONAL["exception"])
    with suppress(ValueError):
        await runtime.submit(says(PERSONAL["argument"]), customer)
    structlog.contextvars.bind_contextvars(name=PERSONAL["host"], message=PERSONAL["host"], customer=PERSONAL["host"])
    world.bank.plan.append(raising(ZeroDivisionError(PERSONAL["exception"])))
    await runtime.submit(asks("cheque", "pay_7"), session(subject=PERSONAL["subject"]))
    waiting = await runtime.submit(asks("refund", "pay_3", LARGE), session(subject=PERSONAL["subject"]))
    return [waiting.call_id]


async def main(folder: Path, *, how: str) -> dict:
    spans, reader, lines = InMemorySpanExporter(), InMemoryMetricReader(), Lines()
    tracer = TracerProvider()
    tracer.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(tracer)
    metrics.set_meter_provider(MeterProvider([reader]))
    logging.getLogger("remit").addHandler(lines)
    logging.getLogger("remit").setLevel(0)
    if how == "wording":

        def words(self, kind, error, at):
            self.span.__exit__(kind, error, at)

        telemetry._Span.__exit__ = words
        begin = telemetry._tracer.start_span
        telemetry._tracer.start_span = lambda name, attributes, **_: begin(name, attributes=attributes)
    if how == "leaking":
        honest = execution.perform

        async def leaks(parts, work, told):
            trace.get_current_span().set_attribute("gen_ai.tool.call.arguments", str(dict(work.arguments.canonical)))
            return await honest(parts, work, told)

        execution.perform = leaks
    world = World.make(folder)
    async with world.running() as runtime:
        ids = await everything(runtime, world)
        waiting = await odd(runtime, world)
        await asyncio.sleep(0.05)
    async with world.running() as runtime:  # as another process would
        await runtime.vote(waiting[0], person="fay", answer="approve")
    return {
        "taken_up": waiting[0],
        "calls": ids,
        "spans": [json.loads(span.to_json()) for span in spans.get_finished_spans()],
        "metrics": json.loads(reader.get_metrics_data().to_json()),
        "lines": lines.lines,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(Path(sys.argv[1]), how="".join(sys.argv[2:]))), default=str))
