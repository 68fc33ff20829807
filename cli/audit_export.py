"""`remit audit export --format`: events as one file, for other programs."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from .application import Unusable, load, run
from .output import show


class Form(StrEnum):
    """Name the forms that events are carried away in."""

    JSONL = "jsonl"
    CSV = "csv"
    OCSF = "ocsf"


def export_file(form: Form, out: Path | None, *, since: str | None, until: str | None, action: str | None, app: str | None) -> None:
    """Write the chosen events to a new file, and say how many there were."""
    from ..runtime.exporting import Filter

    if out is None:
        raise Unusable(f"--format {form} writes one file: name it with --out FILE")
    chosen = Filter(moment_of("--since", since), moment_of("--until", until), action)
    count = run(load(app), lambda runtime: runtime.export_events(out, form=form.value, chosen=chosen))
    show(f"Exported {count} events to {out}, without personal values.")


def moment_of(option: str, text: str | None) -> str | None:
    """Read how far back ("7d"), or a date or time (UTC where it doesn't say), as events store time."""
    from ..actions.effects import duration
    from ..errors import DefinitionError
    from ..runtime.clock import to_micros, to_text

    if text is None:
        return None
    try:
        moment = datetime.now(UTC) - duration(text)
    except DefinitionError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise Unusable(f"{option} {text}: write how far back, such as 7d, or a date or time, such as 2026-03-01") from None
    if moment.utcoffset() is None:
        moment = moment.replace(tzinfo=UTC)
    return to_text(to_micros(moment))
