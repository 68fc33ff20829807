"""A log whose front was pruned: the tree that it begins with, and what its own events must say of that.

Leaves go from the front, in whole blocks of 256. What is kept of a block is its root, so every tile above the leaves stays as it was,
and whatever comes after is held to the same checkpoints as before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..errors import AuditError
from .event import Event, Json
from .merkle import RightEdge
from .report import Finding

BLOCK = 256
"""Leaves that are pruned together: as many as a tile has hashes."""

KIND = "retention.pruned"


def begins_of(log: object) -> RightEdge:
    """Give the tree of what was pruned from a log's front; an empty one where nothing was."""
    begins: RightEdge = getattr(log, "begins", None) or RightEdge()
    return begins


def blocks_of(log: object) -> Sequence[bytes]:
    """Give the roots of the blocks that were pruned from a log's front, of a log that has them: its method `blocks`.

    Raises AuditError for one that has only the tree over them.
    """
    if not begins_of(log).size:
        return ()
    if (blocks := getattr(log, "blocks", None)) is None:
        raise AuditError("this copy of the log has not all tiles above what was pruned; export tiles from the database")
    found: Sequence[bytes] = blocks()
    return found


def tree_over(blocks: Sequence[bytes]) -> RightEdge:
    """Give the tree over blocks by their roots."""
    above = RightEdge()
    for block in blocks:
        above.append(block)
    # The perfect subtrees of 256 * n leaves are those of n blocks.
    return RightEdge(above.size * BLOCK, above.subtrees)


def edge_to_json(begins: RightEdge) -> Json:
    """Write what a log begins with, as the member `from` of log.json."""
    return {"index": begins.size, "edge": [each.hex() for each in begins.subtrees]}


def edge_from_json(written: Json) -> RightEdge:
    """Read what `edge_to_json` wrote. Raises AuditError when it can't be that."""
    match written:
        case {"index": int(index), "edge": list(edge)} if index >= 0:
            try:
                return RightEdge(index, [bytes.fromhex(each) for each in edge])
            except (TypeError, ValueError) as error:
                raise AuditError("log.json does not say what the log begins with") from error
    raise AuditError("log.json does not say what the log begins with")


@dataclass(frozen=True, slots=True)
class _Pruned:
    leaf: int | None
    below: Json
    root: Json


class Prunings:
    """What a log's own events say of how far it was pruned."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: list[_Pruned] = []

    def add(self, leaf: int | None, event: Event) -> None:
        """Take an event in."""
        if event.kind == KIND:
            self._told.append(_Pruned(leaf, event.body.get("below"), event.body.get("root")))

    def finish(self, begins: RightEdge, covered: int) -> Iterator[Finding]:
        """Hold where the log begins against its events under a checkpoint, those before leaf `covered`."""
        for told in self._told:
            if type(told.below) is not int or (told.leaf is not None and told.below > told.leaf):
                yield Finding("pruning_unfounded", f"it says that leaves before {told.below!r} were pruned, and is one of them", told.leaf)
        if not begins.size:
            return
        said = [told for told in self._told if told.below == begins.size and told.leaf is not None and told.leaf < covered]
        if not said:
            furthest = max((one.below for one in self._told if type(one.below) is int), default=0)
            recorded = f"events tell of leaves before {furthest} alone" if furthest else "no event tells of any"
            message = f"the log begins here, and under no checkpoint an event says that what came before was pruned: {recorded}"
            yield Finding("pruning_unrecorded", message, begins.size)
        elif all(told.root != begins.root().hex() for told in said):
            yield Finding("pruning_differs", "what the log begins with is another tree than the one that was pruned", said[-1].leaf)
