"""Which ledger an action's calls are compared with: that of its connector, or one that was given to the runtime beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from ..actions import Action, Keeping, Ledger, LedgerEntry
from ..errors import CallError, Retryable
from .work import Parts


class NoLedger(CallError):
    """No action here has a ledger to compare with: none says `ledger=entered(…)` for a kind of effect that a connector here keeps."""

    code = "no_ledger"
    status = 409


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where an action's effects stand at the provider, and how they are kept there."""

    ledger: Ledger
    effect: str

    @property
    def key(self) -> tuple[int, str]:
        """Tell places apart; a connector itself may be no key."""
        return id(self.ledger), self.effect

    @property
    def name(self) -> str:
        """Name the ledger to people."""
        return type(self.ledger).__name__

    @property
    def keeping(self) -> Keeping:
        """Say how the effects are kept."""
        return self.ledger.kept[self.effect]


def places(parts: Parts) -> dict[str, Place]:
    """Give the place of each action that has one, by name."""
    found = ((action.name, _place(parts, action)) for action in parts.catalog.values())
    return {name: place for name, place in found if place is not None}


def _place(parts: Parts, action: Action) -> Place | None:
    if action.ledger is None:
        return None
    own = [parts.resources[kind] for kind in action.needs]
    for one in (*own, *parts.ledgers):
        if isinstance(one, Ledger) and action.ledger.effect in one.kept:
            return Place(one, action.ledger.effect)
    return None


async def steadily(entries: AsyncIterator[LedgerEntry], *, patience: float, together: int) -> AsyncIterator[LedgerEntry]:
    """Give entries as long as they come, and are others than before: a provider may give one page for ever, or nothing for ever.

    Raises TimeoutError after `patience` seconds without one, and Retryable where `together` of them come as they have come before.
    """
    given, seen, coming = list[tuple[str, str | None]](), set[int](), aiter(entries)
    while True:
        async with asyncio.timeout(patience):
            entry = await anext(coming, None)
        if entry is None:
            return
        yield entry
        given.append((entry.reference, entry.call))
        if len(given) == together:
            if (name := hash(tuple(given))) in seen:
                raise Retryable("The ledger gives the same again and again.")
            seen.add(name)
            given.clear()
