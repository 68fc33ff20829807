"""The scenes of the story: each lets a model ask, tells what happened, and expects what had to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ..record import Step
from ..stage import Stage

Play = Callable[[Stage, Step], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene. `faults` says that it needs a provider whose faults can be ordered."""

    title: str
    play: Play
    faults: bool = False
