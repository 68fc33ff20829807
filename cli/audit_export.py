"""`remit audit export --format`: events as one file, for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from .application import Unusable, load, run
from .output import show
from .times import moment_at, time_of

if TYPE_CHECKING:
    from ..runtime import Runtime


class Form(StrEnum):
    """Name the forms that events are carried away in."""

    JSONL = "jsonl"
    CSV = "csv"
    OCSF = "ocsf"


def export_file(
    form: Form, out: Path | None, *, since: str | None, until: str | None, action: str | None, by: str, app: str | None
) -> None:
    """Write the chosen events to a new file, and say how many there were."""
    from ..runtime.clock import to_micros, to_text
    from ..runtime.exporting import Filter

    if out is None:
        raise Unusable(f"--format {form} writes one file: name it with --out FILE")
    begins, ends = time_of("--since", since), time_of("--until", until)

    async def exported(runtime: Runtime) -> int:
        now = (await runtime.start()).parts.clock.now()
        first, last = (to_text(to_micros(at)) if (at := moment_at(time, now)) else None for time in (begins, ends))
        chosen = Filter(first, last, action)
        return await runtime.export_events(out, form=form.value, chosen=chosen, by=by)

    count = run(load(app), exported)
    show(f"Exported {count} events to {out}, without personal values.")
