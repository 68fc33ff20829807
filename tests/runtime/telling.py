"""Play a story in which every kind of personal value passes by, with an OpenTelemetry SDK in the process; print all that was told.

    telling.py FOLDER [leaking]

One JSON object: spans, metrics and log lines as they would be exported. `leaking` puts the arguments on the span, as a control.
"""

import asyncio
import json
import logging
import sys
from pathlib import Path

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from remit.runtime import execution
from tests.runtime.bank import World, asks, raising, session
from tests.runtime.test_privacy import PERSONAL, everything


class Lines(logging.Handler):
    def __init__(self):
        super().__init__(level=0)
        self.lines = []

    def emit(self, record):
        told = {name: value for name, value in vars(record).items() if name not in {"args", "msg", "exc_info"}}
        self.lines.append({**told, "said": self.format(record)})


async def main(folder: Path, *, leaking: bool) -> dict:
    spans, reader, lines = InMemorySpanExporter(), InMemoryMetricReader(), Lines()
    tracer = TracerProvider()
    tracer.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(tracer)
    metrics.set_meter_provider(MeterProvider([reader]))
    logging.getLogger("remit").addHandler(lines)
    logging.getLogger("remit").setLevel(0)
    if leaking:
        honest = execution.perform

        async def leaks(parts, work, told):
            trace.get_current_span().set_attribute("gen_ai.tool.call.arguments", str(dict(work.arguments.canonical)))
            return await honest(parts, work, told)

        execution.perform = leaks
    world = World.make(folder)
    async with world.running() as runtime:
        ids = await everything(runtime, world)
        world.bank.plan.append(raising(ZeroDivisionError(PERSONAL["unsure"])))
        await runtime.submit(asks("cheque", "pay_7"), session(subject=PERSONAL["subject"]))
        await asyncio.sleep(0.05)
    return {
        "calls": ids,
        "spans": [json.loads(span.to_json()) for span in spans.get_finished_spans()],
        "metrics": json.loads(reader.get_metrics_data().to_json()),
        "lines": lines.lines,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(Path(sys.argv[1]), leaking="leaking" in sys.argv[2:])), default=str))
