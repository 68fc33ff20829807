"""A call as the log tells it, for whoever compares it with what is kept elsewhere: read from its events, not from where the call stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ..actions import Action, Money
from ..audit import State
from .clock import MICROSECOND
from .recorded import members, plain
from .views import OPENINGS, open_opening
from .work import Parts

_NAME = re.compile(r"[!-~]{1,100}")
_EVENTS = (
    "SELECT e.call, e.kind, e.at, e.leaf, e.id, o.blob, o.subject, s.wrapped_key FROM event e "  # noqa: S608 - names from this package
    f"{OPENINGS} WHERE e.tenant = ? AND e.call IN ({{}}) ORDER BY e.call, e.sequence"
)
_CALLS = "SELECT id, updated_at, settle_at FROM call WHERE tenant = ? AND id IN ({})"
_REFERRED = "SELECT reference, id FROM call WHERE tenant = ? AND reference IN ({}) AND action IN ({}) ORDER BY created_at DESC, id DESC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recounted:
    """One call: how it ended, and what the provider must show of it. What was erased, or was never said, is None.

    `attempted` says that an effect was intended. `settling` is True as long as not finding it proves nothing, at the moment that was
    asked about. `enters` is False where its result says that it has left nothing there. `undo` is the call that has undone it, `updated` when it last moved in microseconds, 0 where its row is gone.
    """

    id: str
    action: str
    state: State
    attempted: bool
    settling: bool
    updated: int
    done: int = 0
    reference: str | None = None
    taken_back: str | None = None
    undo: str | None = None
    enters: bool = True
    about: str | None = None
    amount: Money | None = None
    detail: str | None = None


async def recount(parts: Parts, ids: Iterable[str], now: int) -> dict[str, Recounted]:
    """Read calls by id, as they stand now; one that the log does not know is left out."""
    names = sorted({one for one in ids if _NAME.fullmatch(one)})  # what a provider gives for one may be anything
    if not names:
        return {}
    marks, given = ", ".join("?" * len(names)), (parts.store.tenant, *names)
    moved = {call: (updated, settle) for call, updated, settle in await parts.store.rows(_CALLS.format(marks), given)}
    told: dict[str, list[Any]] = {}
    for call, *row in await parts.store.rows(_EVENTS.format(marks), given):
        told.setdefault(call, []).append(row)
    return {call: _recounted(parts, call, rows, *moved.get(call, (0, None)), now) for call, rows in told.items()}


def _recounted(parts: Parts, call: str, rows: list[Any], updated: int, settle_at: int | None, now: int) -> Recounted:
    state, asked, result = State.NEW, dict[str, Any](), dict[str, Any]()
    found: dict[str, Any] = {"attempted": False}
    name = ""
    for kind, at, leaf, *sealed in rows:
        read = members(leaf)
        body, name = read["body"], read.get("action", {}).get("name", name)
        state = State(read["change"][1]) if read.get("change") else state
        opened = open_opening(parts.vault, *sealed) or {}
        match kind:
            case "call.received" | "call.amended":
                asked = _joined(body.get("arguments"), opened, "/arguments")
            case "call.intended":
                found["attempted"] = True
            case "call.succeeded":
                result, found["reference"], found["done"] = _joined(body.get("result"), opened, "/result"), body.get("reference"), at
            case "call.undone":
                found |= {"taken_back": "undone", "undo": body["undo"]}
            case "effect.reversed":
                found["taken_back"] = "reversed"
    action = parts.catalog.get(name)
    settled_by = settle_at or _settled_by(action, found.get("done", 0))
    expected = action.ledger.expected(call, asked, result) if action and action.ledger else {}
    return Recounted(id=call, action=name, state=state, settling=now < settled_by, updated=updated, **found, **expected)


def _settled_by(action: Action | None, done: int) -> int:
    """Say until when a provider may not show yet what it has confirmed."""
    return done + (action.effect.settle if action else timedelta()) // MICROSECOND


def _joined(clear: Any, opened: Mapping[str, Any], room: str) -> dict[str, Any]:
    """Put together what stands in clear and what still opens; pointers are those of RFC 6901."""
    whole = opened.get(room, (None, None))[1]
    joined = dict(whole) if isinstance(whole, Mapping) else {}
    joined |= clear if isinstance(clear, Mapping) else {}
    for pointer, (_, value) in opened.items():
        if pointer.startswith(f"{room}/"):
            joined[pointer[len(room) + 1 :].replace("~1", "/").replace("~0", "~")] = value
    return joined


async def referred_to(parts: Parts, references: Sequence[str], doing: Sequence[str]) -> dict[str, str]:
    """Find the calls by reference, among those of actions that do such a thing: what takes it back may refer to the same."""
    names = [one for one in references if plain(one) == one and "\x00" not in one]  # no other can have been stored
    if not names:
        return {}
    sql = _REFERRED.format(*(", ".join("?" * len(given)) for given in (names, doing)))
    return dict(await parts.store.rows(sql, (parts.store.tenant, *names, *doing)))


async def remembered(parts: Parts, ids: Sequence[str]) -> set[str]:
    """Name the calls whose events were pruned, and of which only that they were done is known."""
    names = [one for one in ids if plain(one) == one and "\x00" not in one]
    if not names:
        return set()
    sql = f"SELECT id FROM call WHERE tenant = ? AND state = 'succeeded' AND id IN ({', '.join('?' * len(names))})"  # noqa: S608
    return {call for (call,) in await parts.store.rows(sql, (parts.store.tenant, *names))}
