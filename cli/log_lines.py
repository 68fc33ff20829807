"""How `remit serve`, `remit worker` and `remit audit place` write log lines: to standard error, as text or as JSON. The library itself configures nothing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

HEARD = ("remit.server", "remit.worker", "remit.sequencer")
"""Loggers that say more than warnings; not the root: an HTTP client's line has ids in its address."""


def write_lines(form: str) -> None:
    """Write the lines of this process as `console` or `json`; an exception is told by its types and places, whoever logs it."""
    import structlog

    from ..runtime import telemetry

    before: list[structlog.typing.Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(allow=[telemetry.CALL, telemetry.REQUEST]),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_words,
    ]
    last: structlog.typing.Processor = structlog.processors.JSONRenderer() if form == "json" else _as_text
    processors = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, last]
    handler = logging.StreamHandler()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=processors))
    logging.basicConfig(handlers=[handler])
    for name in HEARD:
        logging.getLogger(name).setLevel(logging.INFO)


def _without_words(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put types and places for an exception: its words may be about a customer, and asyncio, for one, would print them."""
    from ..runtime import telemetry

    told = line.pop("exc_info", None)
    if isinstance(told, tuple) and told[1] is not None:
        line["raised"] = telemetry.places(told[1])
    return line


def _as_text(_logger: Any, _method: str, line: Mapping[str, Any]) -> str:
    ids = "".join(f" [{line[name]}]" for name in ("remit_call", "remit_request") if name in line)
    raised = f": {line['raised']}" if "raised" in line else ""
    return f"{line['timestamp']} {line['level'].upper()} {line['event']}{ids}{raised}"
