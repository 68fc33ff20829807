"""Name the outside effect of a call, so that the same effect is recognised whoever asks for it again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal
from urllib.parse import quote

from ..errors import DefinitionError
from .effects import duration

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_SESSION = ("subject.id", "tenant")


class PerCall:
    """Say that every call is an effect of its own; the one instance is `per_call`."""

    def __repr__(self) -> str:
        return "per_call"


per_call: Final = PerCall()


@dataclass(frozen=True, slots=True)
class KeyTemplate:
    """Make effect keys such as `refund:pi_123` from a template such as `refund:{payment_id}`.

    Placeholders name arguments in their canonical form (`{amount.currency}`), `{subject.id}` and `{tenant}`. Everything in
    a value outside `[A-Za-z0-9._-]` is percent-encoded and an absent argument is `~`, so two different fillings never
    give one key.
    """

    text: str

    @property
    def names(self) -> tuple[str, ...]:
        """List the placeholders, in order."""
        return tuple(PLACEHOLDER.findall(self.text))

    def check(self, known: Mapping[str, str]) -> None:
        """Raise DefinitionError unless the template can be filled unmistakably; `known` maps each argument to its JSON type."""
        literals = PLACEHOLDER.split(self.text)[::2]
        if any(brace in literal for literal in literals for brace in "{}"):
            raise DefinitionError(f"key {self.text!r}: a brace is not closed; a placeholder is written {{payment_id}}")
        for name in self.names:
            kind = "string" if name in _SESSION else known.get(name)
            if kind is None:
                raise DefinitionError(f"key {self.text!r}: {{{name}}} is unknown; known are {', '.join(sorted((*known, *_SESSION)))}")
            if kind not in {"string", "integer", "boolean"}:
                raise DefinitionError(f"key {self.text!r}: {{{name}}} is {kind}; a key takes text, whole numbers and booleans")
        for literal in literals[1:-1]:
            if not re.search(r"[^A-Za-z0-9._%~-]", literal):
                raise DefinitionError(f"key {self.text!r}: put a `:` or `/` between two placeholders, else two fillings could give one key")

    def fill(self, arguments: Mapping[str, Any], subject_id: str, tenant: str) -> str:
        """Give the effect key of canonical `arguments`."""
        session = {"subject.id": subject_id, "tenant": tenant}
        return PLACEHOLDER.sub(lambda found: _escape(session[found[1]] if found[1] in session else _at(arguments, found[1])), self.text)


def _at(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _escape(value: str | int | bool | None) -> str:
    if value is None:
        return "~"
    if isinstance(value, bool):
        return "true" if value else "false"
    return quote(str(value), safe="").replace("~", "%7E")


@dataclass(frozen=True, slots=True)
class Again:
    """Say when the same effect key may be used for other content after it succeeded: never, confirmed, or after a while."""

    when: Literal["never", "confirmed", "after"] = "never"
    wait: timedelta = timedelta(0)

    @classmethod
    def of(cls, given: str | Again) -> Again:
        """Take "never", "confirmed" or `after("15m")`; raise DefinitionError for anything else."""
        if isinstance(given, Again):
            return given
        if given in {"never", "confirmed"}:
            return cls(given)  # type: ignore[arg-type]
        raise DefinitionError(f'again={given!r}: say "never", "confirmed" or after("15m")')


def after(wait: str | timedelta) -> Again:
    """Allow other content under the same effect key once `wait` has passed since it succeeded."""
    return Again("after", duration(wait))
