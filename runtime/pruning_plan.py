"""Find out how far a log can be pruned: up to the first event that must be kept, in whole blocks, and only what was signed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import orjson

from ..actions import EffectKind
from ..audit import FINAL, RightEdge, Signers, leaf_hash, root
from ..audit.pruned import BLOCK, tree_over
from ..errors import AuditError
from .clock import MICROSECOND, to_text
from .database import Snapshot
from .logs import beginning
from .retention import Retention, class_of
from .signing import ROTATIONS, rotations
from .work import Parts

_ENDED = ", ".join(f"'{state}'" for state in sorted(FINAL))
_EVENTS = (
    "SELECT e.leaf_index, e.call, e.kind, e.at, e.leaf, c.state, c.kind, c.attempt, c.updated_at, c.created_at, c.subject FROM event e"
    " LEFT JOIN call c ON c.tenant = e.tenant AND c.id = e.call WHERE e.tenant = ? AND e.leaf_index >= ? ORDER BY e.leaf_index"
)
_CALL = "SELECT state, kind, attempt, updated_at, created_at, subject FROM call WHERE tenant = ? AND id = ?"
_HOLDS = "SELECT id, kind, target, since_at, until_at FROM hold WHERE tenant = ? ORDER BY at, id"
_UNDONE = f"SELECT undoes, id FROM call WHERE tenant = ? AND undoes IS NOT NULL AND state NOT IN ({_ENDED})"  # noqa: S608 - names from this package
_COVERS = "SELECT note FROM checkpoint WHERE tenant = ? AND size >= ? ORDER BY size LIMIT 1"


@dataclass(frozen=True, slots=True)
class KeptBy:
    """What keeps a leaf, and all behind it: a `hold`, a call `under_way`, or the period of a `class`; `named` is its id or name."""

    why: str
    named: str
    leaf: int
    kind: str
    call: str | None


@dataclass(frozen=True, slots=True)
class PruningPlan:
    """What would be pruned: the leaves from `former` to before `below`, by class; `kept_by` is what stops it there.

    `oldest_kept` is when the first event after that was recorded. `blocks` are the roots of all blocks before `below`, `epoch` is the one in which this holds.
    """

    former: int
    below: int
    size: int
    classes: Mapping[str, int]
    oldest_kept: str | None
    kept_by: KeptBy | None
    blocks: bytes
    epoch: int

    @property
    def events(self) -> int:
        """Count the events."""
        return self.below - self.former

    def edge(self) -> RightEdge:
        """Give the tree of all that is pruned then."""
        return tree_over([self.blocks[at : at + 32] for at in range(0, len(self.blocks), 32)])


async def planned(parts: Parts, retention: Retention) -> PruningPlan:
    """Find out how far the log can be pruned now. Raises `AuditError` where that is not what was signed."""
    import asyncio

    control = await parts.store.control()
    epoch = control.epoch if control else 0  # read first: what is placed on hold after it raises it
    return await asyncio.to_thread(_planned, parts, retention, epoch)


def _planned(parts: Parts, retention: Retention, epoch: int) -> PruningPlan:
    tenant = parts.store.tenant
    with closing(parts.store.snapshot()) as snapshot:
        size: int = next(iter(snapshot.scan("SELECT size FROM log_head WHERE tenant = ?", (tenant,))))[0]
        former, blocks = beginning(snapshot, tenant, size)
        keeping = _Keeping(snapshot, tenant, parts.clock.now(), retention)
        walk = _Walk(keeping, former)
        for row in snapshot.scan(_EVENTS, (tenant, former)):
            if row[0] >= size or not walk.passes(row):
                break
        below = former + len(walk.roots) * BLOCK
        blocks += b"".join(walk.roots)
        plan = PruningPlan(former, below, size, walk.classes, _at(snapshot, tenant, below), walk.kept_by, blocks, epoch)
        if plan.events:
            _signed(parts, snapshot, plan)
    return plan


@dataclass(slots=True)
class _Walk:
    """The way along the leaves: whole blocks that may go."""

    keeping: _Keeping
    upcoming: int
    roots: list[bytes] = field(default_factory=list)
    classes: dict[str, int] = field(default_factory=dict)
    kept_by: KeptBy | None = None
    _block: list[bytes] = field(default_factory=list)
    _counted: Counter[str] = field(default_factory=Counter)

    def passes(self, row: Sequence[Any]) -> bool:
        """Take the next leaf; say whether it may go."""
        index, leaf = row[0], bytes(row[4])
        if index != self.upcoming:
            raise AuditError(f"leaf {self.upcoming} is missing: a log that does not verify is not pruned")
        self.upcoming += 1
        kept = self.keeping.judge(row)
        if isinstance(kept, KeptBy):
            self.kept_by = kept
            return False
        self._block.append(leaf_hash(leaf))
        self._counted[kept] += 1
        if len(self._block) == BLOCK:
            self.roots.append(root(self._block))
            self.classes = dict(sorted((Counter(self.classes) + self._counted).items()))
            self._block, self._counted = [], Counter()
        return True


class _Keeping:
    """What must be kept."""

    def __init__(self, snapshot: Snapshot, tenant: str, now: int, retention: Retention) -> None:
        self._snapshot, self._tenant, self._now, self._retention = snapshot, tenant, now, retention
        self._holds = list(snapshot.scan(_HOLDS, (tenant,)))
        self._undone = dict(snapshot.scan(_UNDONE, (tenant,)))

    def judge(self, row: Sequence[Any]) -> KeptBy | str:
        """Say what keeps an event; or else its class."""
        index, call, kind, at, leaf, *about = row
        subject = None
        if call is None:
            told = _told(leaf)
            subject, named = told.get("subject"), _body(told).get("call")
            if kind.startswith("limit.") and isinstance(named, str):  # a part of that call's story, wherever its leaf is
                call = named
                about = next((list(one) for one in self._snapshot.scan(_CALL, (self._tenant, call))), about)
        if call is not None and about[0] is not None:
            name, why = self._call(call, about)
        else:
            name = class_of(kind)
            why = self._held(call, subject, at) or self._young(name, at)
        return KeptBy(*why, index, kind, call) if why else name

    def _call(self, call: str, about: Sequence[Any]) -> tuple[str, tuple[str, str] | None]:
        state, kind, attempts, updated, created, subject = about
        name = "effects" if attempts and kind != EffectKind.READ else "calls"
        if state not in FINAL:
            return name, ("under_way", call)
        if call in self._undone:
            return name, ("under_way", self._undone[call])
        return name, self._held(call, subject, created) or self._young(name, updated)

    def _held(self, call: str | None, subject: str | None, at: int) -> tuple[str, str] | None:
        for hold, kind, target, since, until in self._holds:
            held = since <= at <= until if kind == "time" else target == (subject if kind == "subject" else call)
            if held:
                return "hold", hold
        return None

    def _young(self, name: str, at: int) -> tuple[str, str] | None:
        return ("class", name) if at > self._now - self._retention.of(name) // MICROSECOND else None


def _signed(parts: Parts, snapshot: Snapshot, plan: PruningPlan) -> None:
    """Hold what would be pruned, and what comes after it, to the next checkpoint."""
    tenant, log_id, key = parts.store.tenant, parts.log_id, parts.store.keys.public_key
    note = next((note for (note,) in snapshot.scan(_COVERS, (tenant, plan.below))), None)
    if note is None:
        raise AuditError("no checkpoint covers what would be pruned: nothing is pruned")
    told = [one for one in rotations(snapshot.scan(ROTATIONS, (tenant, plan.size)), log_id) if one.leaf >= plan.former]
    checkpoint, edge = Signers(log_id, key, told).verify(note), plan.edge()
    for leaf in _leaves(snapshot, tenant, plan.below, checkpoint.size):
        edge.append(leaf_hash(leaf))
    if (edge.size, edge.root()) != (checkpoint.size, checkpoint.root):
        raise AuditError(
            f"the events before leaf {checkpoint.size} are not those that were signed: nothing is pruned; `remit audit verify` says more"
        )


def _leaves(snapshot: Snapshot, tenant: str, start: int, end: int) -> Iterator[bytes]:
    sql = "SELECT leaf FROM event WHERE tenant = ? AND leaf_index >= ? AND leaf_index < ? ORDER BY leaf_index"
    for (leaf,) in snapshot.scan(sql, (tenant, start, end)):
        yield bytes(leaf)


def _at(snapshot: Snapshot, tenant: str, index: int) -> str | None:
    sql = "SELECT at FROM event WHERE tenant = ? AND leaf_index = ?"
    return next((to_text(at) for (at,) in snapshot.scan(sql, (tenant, index))), None)


def _told(leaf: bytes) -> Mapping[str, Any]:
    try:
        told = orjson.loads(leaf)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}


def _body(told: Mapping[str, Any]) -> Mapping[str, Any]:
    body = told.get("body")
    return body if isinstance(body, dict) else {}
