"""What was played, as data: the lines of each step, for the terminal and for `--json` alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Said:
    """Words of a person."""

    who: str
    text: str


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that decided: a rule that counted, or the ownership check. `then` is what it does."""

    then: str
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Move:
    """A state that the call reached, and why where the log says so."""

    to: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A message of the model in its provider's wire format; `calls` are the names and arguments of the tool calls in it."""

    dialect: str
    message: Mapping[str, Any]
    calls: tuple[tuple[str, Mapping[str, Any]], ...]


@dataclass(frozen=True, slots=True)
class Handled:
    """What Remit made of one tool call: `moves` are those of this submission, `milliseconds` how long it took."""

    outcome: Mapping[str, Any]
    reasons: tuple[Reason, ...]
    moves: tuple[Move, ...]
    milliseconds: int | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a message, in its provider's wire format, and what it says of each call."""

    dialect: str
    answer: tuple[Mapping[str, Any], ...]
    handled: tuple[Handled, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of an earlier call by something outside of the conversation."""

    outcome: Mapping[str, Any]
    moves: tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class Happened:
    """Something outside of the conversation: a vote, a mail, a process that died."""

    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What a customer is shown, word for word, in the language `locale` and safe to show."""

    locale: str
    sentence: str
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Expected:
    """What had to be so, and whether it was; `found` says what was there instead."""

    text: str
    held: bool
    found: str = ""


Line = Said | Asked | Answered | Moved | Happened | Shown | Expected


@dataclass(slots=True)
class Step:
    """One step of the story, written while it is played."""

    title: str
    lines: list[Line] = field(default_factory=list)
    skipped: str = ""

    def says(self, who: str, text: str) -> None:
        """Let a person say something."""
        self.lines.append(Said(who, text))

    def happens(self, where: str, text: str) -> None:
        """Tell of something outside of the conversation."""
        self.lines.append(Happened(where, text))

    def expect(self, text: str, found: object, wanted: object = True) -> None:
        """Hold what was found against what had to be; the demo fails where they differ."""
        held = found == wanted
        self.lines.append(Expected(text, held, "" if held else f"{_said(found)}, not {_said(wanted)}"))

    @property
    def failed(self) -> list[Expected]:
        """Give the expectations that were not met."""
        return [line for line in self.lines if isinstance(line, Expected) and not line.held]

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON, each line under its kind."""
        lines = [{type(line).__name__.lower(): asdict(line)} for line in self.lines]
        return {"title": self.title, "lines": lines} | ({"skipped": self.skipped} if self.skipped else {})


def _said(value: object) -> str:
    return str(value) if isinstance(value, str) else repr(value)
