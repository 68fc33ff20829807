"""Say how an action is reversed: by which other action, and where the arguments of that one come from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import DefinitionError
from .schema import Schema, branches, kind, under

if TYPE_CHECKING:
    from .action import Action

_PATH = re.compile(r"call\.id|result|(?:arguments|result|facts)(?:\.[A-Za-z0-9_-]+)+", re.ASCII)
_TEXT = re.compile(r"'([^']*)'")


@dataclass(frozen=True, slots=True)
class Undo:
    """Name the action that reverses this one, and say where each of its arguments comes from; `undo` makes one.

    `arguments` maps them to dotted paths, text in single quotes, or other constants. None: each required argument is the one
    of the same name. What is optional and not named keeps its default.
    """

    action: str
    arguments: Mapping[str, Any] | None = None

    @property
    def facts(self) -> frozenset[str]:
        """Name the facts that arguments come from, so that they are loaded and kept with the call."""
        paths = [source.split(".") for source in (self.arguments or {}).values() if isinstance(source, str)]
        return frozenset(path[1] for path in paths if path[0] == "facts")

    def check(self, own: Action, other: Action) -> None:
        """Raise DefinitionError unless `other`, the action named here, can reverse `own` with these arguments."""
        if not other.effect.writes:
            raise DefinitionError(f"{own.name}: undo={self.action!r} only reads, so it reverses nothing; name an action that writes")
        known, required = _parameters(other.schema)
        given = self._given(required)
        if unknown := given.keys() - known:
            takes = ", ".join(sorted(known)) or "none"
            raise DefinitionError(f"{own.name}: undo gives {min(unknown)!r}, which {self.action} does not take; it takes {takes}")
        if missing := required - given.keys():
            raise DefinitionError(
                f"{own.name}: undo={self.action!r} needs {', '.join(sorted(missing))};"
                f' say where from, such as undo("{self.action}", {min(missing)}="result.id")'
            )
        for name, source in given.items():
            self._check_source(own, other, name, source)

    def raw(
        self,
        other: Action,
        *,
        call_id: str,
        arguments: Mapping[str, Any],
        result: Any,
        facts: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Give the arguments of the call that reverses another, as a model would send them to `other`, the action named here.

        `arguments`, `result` and `facts` are those of the first call, canonical. Raise ValueError where something is missing
        in them, or `other` does not take what is found.
        """
        required = _parameters(other.schema)[1]
        first = {"call": {"id": call_id}, "arguments": arguments, "result": result, "facts": facts or {}}
        found: dict[str, Any] = {}
        for name, source in self._given(required).items():
            value = _value(first, source)
            if value is not None:
                found[name] = value
            elif name in required or not str(source).startswith("arguments."):  # an argument that was left out is left out again
                raise ValueError(f"{self.action} can't be told its {name}: the call has no {source}")
        return other.as_sent(other.restore(found))

    def _given(self, required: frozenset[str]) -> Mapping[str, Any]:
        return {name: f"arguments.{name}" for name in required} if self.arguments is None else self.arguments

    def _check_source(self, own: Action, other: Action, name: str, source: Any) -> None:
        nodes = list(_sources(own, source))
        wanted = {kind(node) for node in under(other.rules_schema, [name])}
        kinds = {kind(node) for node in nodes} if isinstance(source, str) else {_JSON.get(type(source), "mixed")}
        if not kinds:
            how = f'; write undo("{self.action}", {name}="…")' if self.arguments is None else ""
            raise DefinitionError(f"{own.name}: undo takes {name} from {source}, and there is no such thing{how}")
        if any(node.get("x-remit") == "secret" for node in nodes):
            raise DefinitionError(f"{own.name}: undo takes {name} from {source}, a secret, which is not kept that long")
        if not kinds & wanted and "mixed" not in kinds | wanted:
            raise DefinitionError(f"{own.name}: {source} is {_any(kinds)}, and {name} of {self.action} takes {_any(wanted)}")


def undo(action: str, /, **arguments: Any) -> Undo:
    """Say which action reverses this one, and its arguments: `undo("cancel_appointment", appointment_id="result.id")`.

    Text is a dotted path into the call that is reversed: `arguments.…`, `result.…` (or the whole `result`), `facts.…`, all in
    their canonical form, or `call.id`, for what a provider names after the call. Text in single quotes and whatever is no text
    are constants. Without arguments it says what the bare name says. Raise DefinitionError for text that is none of these.
    """
    for name, source in arguments.items():
        if isinstance(source, str) and not (_PATH.fullmatch(source) or _TEXT.fullmatch(source)):
            raise DefinitionError(
                f"undo={action!r}: {name}={source!r} is no path; it begins with arguments., result., facts. or is call.id,"
                " and a constant text has single quotes in it"
            )
        if source is None:
            raise DefinitionError(f"undo={action!r}: {name}=None says nothing; leave it out")
    return Undo(action, dict(arguments) or None)


_JSON: Mapping[type, str] = {str: "string", bool: "boolean", int: "integer", list: "array", dict: "object"}


def _value(first: Mapping[str, Any], source: Any) -> Any:
    if not isinstance(source, str):
        return source
    if text := _TEXT.fullmatch(source):
        return text[1]
    value: Any = first
    for step in source.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _sources(own: Action, source: Any) -> Iterator[Schema]:
    """Give the schemas of what a source may be; {} where that is not said."""
    match source.split(".") if isinstance(source, str) else ():
        case ["arguments", *path]:
            yield from under(own.rules_schema, path)
        case ["result", *path]:
            yield from under(own.result_schema or {}, path)
        case ["facts", fact, *path] if fact in own.facts_schemas:
            yield from under(own.facts_schemas[fact] or {}, path)
        case ["facts", *_] | []:
            return
        case _:
            yield {"type": "string"}


def _parameters(schema: Schema) -> tuple[frozenset[str], frozenset[str]]:
    """Name the arguments of an action, and those among them that must be given."""
    nodes = list(branches(schema, schema))
    known = frozenset(name for node in nodes for name in node.get("properties", {}))
    return known, frozenset.intersection(*(frozenset(node.get("required", ())) for node in nodes)) if nodes else frozenset()


def _any(kinds: set[str]) -> str:
    return " or ".join(sorted(kinds))
