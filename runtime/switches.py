"""Kill switches: stop one action, one agent, this tenant or everything; after the commit no intent is written, in any process.

Throwing a switch raises the epoch that every intent asserts, in one transaction with the switch's row and event. An intent that was
decided before meets another epoch, rolls back and is decided again, this time with the switch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ..audit import State
from ..errors import CallError
from .clock import to_text
from .control import refresh
from .journal import Conflict
from .people import People
from .recorded import plain
from .statements import Write
from .views import CallView, view
from .work import Parts, apart

Kind = Literal["action", "agent", "tenant", "all"]
EVERYTHING = "*"
"""The target of a switch that stops everything, and the tenant of its row: it holds in all tenants of the database."""


class BadSwitch(CallError):
    """There is no such switch to throw or to lift."""

    code = "bad_switch"
    status = 422


@dataclass(frozen=True, slots=True)
class Switch:
    """A thrown switch: what it stops, why, by whom, since when (RFC 3339 in UTC)."""

    kind: Kind
    target: str
    reason: str
    by: str
    at: str


@dataclass(frozen=True, slots=True)
class Thrown:
    """What throwing a switch did: `new` is false where it stood already.

    `calls` were under way when it was thrown, and are as they stand now: what has begun can't be stopped.
    """

    switch: Switch
    new: bool
    calls: tuple[CallView, ...]


class Switches:
    """Throw and lift switches, and list those that stand."""

    def __init__(self, parts: Parts, people: People) -> None:
        self._parts, self._store, self._people = parts, parts.store, people

    async def throw(self, kind: Kind, target: str = "", *, by: str, reason: str) -> Thrown:
        """Stop an action (by name), an agent (whoever asks, by id), this tenant, or all of the database; say what was under way.

        Safe to repeat: it is thrown once, with one event. Raises `BadSwitch` for what is not there to be stopped.
        """
        place, at = self._place(kind, target), self._parts.clock.now()
        row = (*place, plain(reason), by, at)
        new = await self._change(Write("switch.throw", row), "switch.thrown", place, by=by, reason=reason, stands=False)
        standing = next(one for one in await self.list() if (one.kind, one.target) == place[1:])
        return Thrown(standing, new, await self._under_way(place, at))

    async def lift(self, kind: Kind, target: str = "", *, person: str, reason: str) -> bool:
        """Let go on what a switch has stopped; False where it does not stand.

        Raises `BadPerson` unless an active person does it: no agent and no service lifts a switch.
        """
        by, place = (await self._people.active(person)).id, self._place(kind, target, lifting=True)
        return await self._change(Write("switch.lift", place), "switch.lifted", place, by=by, reason=reason, stands=True)

    async def list(self) -> tuple[Switch, ...]:
        """List the switches that stand in this tenant, the latest first."""
        sql = "SELECT kind, target, reason, author, at FROM switch WHERE tenant IN (?, ?) ORDER BY at DESC, kind, target"
        rows = await self._store.rows(sql, (self._store.tenant, EVERYTHING))
        return tuple(Switch(kind, target, reason, by, to_text(at)) for kind, target, reason, by, at in rows)

    async def _change(self, write: Write, event: str, place: tuple[str, Kind, str], *, by: str, reason: str, stands: bool) -> bool:
        """Write a change of one switch, its event and the next epoch together; False where another was quicker, or it was so before."""
        tenant, kind, target = place
        epochs = Write("control.raise_all", (), expect=None) if kind == "all" else Write("control.raise", (tenant,))
        body = {"kind": kind, "target": target, "reason": plain(reason), "by": by}
        while await self._stands(place) is stands:
            try:
                await self._store.commit([write, epochs, *apart(self._parts, event, body)])
            except Conflict:
                continue
            await refresh(self._parts)
            return True
        return False

    async def _stands(self, place: tuple[str, Kind, str]) -> bool:
        return await self._store.row("SELECT 1 FROM switch WHERE tenant = ? AND kind = ? AND target = ?", place) is not None

    async def _under_way(self, place: tuple[str, Kind, str], at: int) -> tuple[CallView, ...]:
        """List the calls that had an intent when the switch was thrown; some may have ended since."""
        _, kind, target = place
        column = {"action": "action = ?", "agent": "principal = ?"}.get(kind, "? <> ''")
        sql = f"SELECT id FROM call WHERE tenant = ? AND {column} AND attempt > 0 AND (state IN (?, ?) OR updated_at >= ?) ORDER BY created_at"  # noqa: S608
        values = (self._store.tenant, target, State.EXECUTING.value, State.UNKNOWN.value, at)
        return tuple([await view(self._parts, await self._store.get(call_id)) for (call_id,) in await self._store.rows(sql, values)])

    def _place(self, kind: Kind, target: str, *, lifting: bool = False) -> tuple[str, Kind, str]:
        """Give the key of a switch's row; raises `BadSwitch`."""
        tenant, catalog = self._store.tenant, self._parts.catalog
        match kind:
            case "all":
                return EVERYTHING, kind, EVERYTHING
            case "tenant" if target in {"", tenant}:
                return tenant, kind, tenant
            case "agent" if target:
                return tenant, kind, target
            case "action" if target and (lifting or target in catalog):
                return tenant, kind, target
            case "action":
                near = catalog.suggest(target)
                raise BadSwitch(f"there is no action {target!r}" + (f"; did you mean {near!r}?" if near else ""))
            case "tenant":
                raise BadSwitch(f"this database is open for the tenant {tenant!r}, not {target!r}")
            case _:
                raise BadSwitch(f"{kind} {target!r} can't be stopped: name one of {', '.join(get_args(Kind))}, and which")
