"""What the classes share that make up the methods of a runtime, each in a module of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

from .journeys import Journeys
from .people import People
from .revealing import Revealing
from .work import Parts


class Surface(ABC):
    """Some of the methods of a runtime; each starts it first. What they work with is there once it has started."""

    parts: Parts
    people: People
    revealing: Revealing
    _journeys: Journeys

    @abstractmethod
    async def start(self) -> Self:
        """See Runtime."""
