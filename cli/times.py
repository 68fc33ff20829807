"""Times as a person types them: so long ago, or a date, with or without a time of day."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from .application import Unusable


def time_of(option: str, text: str | None) -> datetime | timedelta | None:
    """Read so long ago ("7d"), or a date or time, in UTC unless it says otherwise; raises `Unusable`."""
    from ..actions.effects import duration
    from ..errors import DefinitionError

    if text is None:
        return None
    with suppress(DefinitionError):
        return duration(text)
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise Unusable(f"{option}: {text!r} is not a time; write how long ago, such as 7d, or a time such as 2026-03-01T10:00") from None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def moment_at(time: datetime | timedelta | None, now: int) -> datetime | None:
    """Give the moment that a time means; so long ago counts back from now, in microseconds by the database's clock."""
    from ..runtime.clock import to_datetime

    return to_datetime(now) - time if isinstance(time, timedelta) else time
