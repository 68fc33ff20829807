"""Say in a person's language what a call would do, from its typed arguments alone: no text of a model decides what is asked.

An author may word the sentence (`summary="Refund {amount} of payment {payment_id}"`); every argument is listed all the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from ..errors import DefinitionError
from ..safe_text import safe
from .classes import marked
from .fields import Money
from .keys import PLACEHOLDER
from .schema import Schema, branches, places

if TYPE_CHECKING:
    from .action import Action
    from .localised import Language

T = TypeVar("T")
Texts = str | Mapping[str, str]
Labels = Mapping[str, Mapping[str, str]]
HIDDEN = "•••"
_DEEPER = " · "
_MOST_LINES = 100  # of one argument; what has more is shown as the JSON text that it is
_TAG = re.compile(r"[a-z]{2,3}(-[a-z0-9]{1,8})*")
_MONEY = {"currency", "minor"}
_WRITTEN_AS = {"decimal": "number", "date-time": "instant", "date": "date", "time": "time"}


@dataclass(frozen=True, slots=True)
class Summary:
    """Hold what somebody is asked to agree to, as plain text that is safe to show: HTML is the one thing left to escape it for.

    `lines` are (label, text) for every argument. `locale` is the BCP 47 tag that it is written for, `direction` ltr or rtl.
    """

    title: str
    sentence: str
    lines: tuple[tuple[str, str], ...]
    locale: str
    direction: str
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Give it as a record commits to it, and as a page or a widget takes it."""
        members = asdict(self)
        return members | {"lines": [list(line) for line in self.lines], "notes": list(self.notes)}


@dataclass(frozen=True, slots=True)
class Wording:
    """Hold an author's words: texts by language ("" for all), and labels by language and path.

    A label's path names an argument (`address.city`) or one value of an enum (`reason.duplicate`).
    """

    texts: Mapping[str, str]
    labels: Labels

    @classmethod
    def of(cls, texts: Texts, labels: Labels, arguments: Schema, facts: Mapping[str, Schema | None], name: str) -> Wording:
        """Take them as declared; raise DefinitionError for a language, placeholder or label that nothing could fill."""
        found = cls({"": texts} if isinstance(texts, str) else dict(texts), labels)
        known = places(arguments, arguments)
        for tag in {*found.texts, *labels} - {""}:
            if not _TAG.fullmatch(tag):
                raise DefinitionError(f"{name}: {tag!r} is not a language; use a tag in lower case, such as de or de-at")
        for text in found.texts.values():
            if any(brace in literal for literal in PLACEHOLDER.split(text)[::2] for brace in "{}"):
                raise DefinitionError(f"{name}: summary {text!r}: a brace is not closed; a placeholder is written {{payment_id}}")
            for place in PLACEHOLDER.findall(text):
                _check(place, arguments, facts, f"{name}: summary {text!r}: {{{place}}}")
        for path in {path for named in labels.values() for path in named}:
            if path not in known and path.rpartition(".")[0] not in known:
                raise DefinitionError(f"{name}: labels: {path!r} is unknown; known are {', '.join(sorted(known))}")
        return found

    @property
    def facts(self) -> frozenset[str]:
        """Name the facts that the texts tell, in whatever language."""
        return frozenset(place.partition(".")[0] for place in self.places)

    @property
    def places(self) -> frozenset[str]:
        """Name what the texts tell of facts, as dotted paths such as `payment.amount`."""
        named = [place.partition(".") for text in self.texts.values() for place in PLACEHOLDER.findall(text)]
        return frozenset(path for first, _, path in named if first == "facts" and path)


def render(
    action: Action[..., Any],
    arguments: Mapping[str, Any],
    facts: Mapping[str, Any],
    locale: str | None,
    *,
    after: str | None = None,
) -> Summary:
    """Render what a call with these canonical `arguments` would do, in the language closest to `locale`. Never raises for a locale.

    `after` names an earlier call that did this before. Secrets are shown as •••, and no other argument is left out.
    """
    from .localised import language  # Babel takes a while to import, and most calls are shown to nobody

    wanted = language(locale)
    written = _Written(wanted, _closest(action.wording.labels, wanted, {}))
    schema, lines = action.rules_schema, list[tuple[str, str]]()
    declared = _properties(schema, schema)
    for name in _ordered(arguments, declared):
        if name in action.secrets:
            lines.append((written.label(name, name, declared=True), HIDDEN))
        else:
            lines += written.lines(arguments[name], declared.get(name, {}), schema, name)

    def fill(found: re.Match[str]) -> str:
        first, *path = found[1].split(".")
        if first != "facts" or not path:
            value, node, root = _at(arguments, [first, *path], schema, schema)
        else:
            root = action.facts_schemas[path[0]] or {}
            value, node, root = _at(facts.get(path[0]), path[1:], root, root)
        return written.isolated(", ".join(text for _, text in written.lines(value, node, root, found[1])))

    text = _closest(action.wording.texts, wanted, next(iter(action.wording.texts.values()), ""))
    return Summary(
        title=action.title,
        sentence=PLACEHOLDER.sub(fill, text),
        lines=tuple(lines),
        locale=wanted.tag,
        direction=wanted.direction,
        notes=(f"{wanted.word('before')} ({safe(after)})",) if after else (),
    )


@dataclass(frozen=True, slots=True)
class _Written:
    """Write values by what their schema says of them."""

    language: Language
    labels: Mapping[str, str]

    def lines(self, value: Any, node: Schema, root: Schema, path: str) -> list[tuple[str, str]]:
        """Give a line for each part of a value, or one with all of it as JSON where these would be too many to read."""
        found = list[tuple[str, str]]()
        for line in self._parts(value, node, root, path, self.label(path, path.rpartition(".")[2], declared=True)):
            found.append(line)
            if len(found) > _MOST_LINES:
                return [(found[0][0].partition(_DEEPER)[0], safe(orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()))]
        return found

    def label(self, path: str, name: str, *, declared: bool) -> str:
        """Name a field: in the author's words, else from its name; one that the model has named stays as it is."""
        return self.labels.get(path) or (_humanised(name) if declared else safe(name))

    def isolated(self, text: str) -> str:
        """Keep a value that may run from right to left from reordering the sentence around it (Unicode TR 9, FSI and PDI)."""
        runs_back = self.language.direction == "rtl" or any(unicodedata.bidirectional(char) in {"R", "AL", "AN"} for char in text)
        return f"\u2068{text}\u2069" if runs_back else text

    def _parts(self, value: Any, node: Schema, root: Schema, path: str, label: str) -> Iterator[tuple[str, str]]:
        options = [option for option in branches(node, root) if _fits(option, value)]
        if money := _money(value, options):
            yield label, self.language.money(money)
        elif isinstance(value, Mapping) and value:
            declared = {name: item for option in options for name, item in _properties(option, root).items()}
            for name in _ordered(value, declared):
                inner = f"{path}.{name}"
                named = f"{label}{_DEEPER}{self.label(inner, name, declared=name in declared)}"
                yield from self._parts(value[name], declared.get(name, {}), root, inner, named)
        elif isinstance(value, list) and value:
            for index, item in enumerate(value):
                yield from self._parts(item, _item(options, index), root, path, f"{label}{_DEEPER}{index + 1}")
        else:
            yield label, self._text(value, options, path)

    def _text(self, value: Any, options: list[dict[str, Any]], path: str) -> str:
        from .localised import NOTHING

        match value:
            case None | "" | [] | {}:
                return NOTHING
            case bool():
                return self.language.word("yes" if value else "no")
        if any(value in option.get("enum", [option.get("const")]) for option in options):
            return self.labels.get(f"{path}.{value}") or safe(_humanised(str(value)))
        if isinstance(value, int):
            return self.language.number(value)
        written_as = {_WRITTEN_AS.get(option.get("format", "")) for option in options}
        if len(written_as) == 1 and (kind := written_as.pop()):
            try:
                return str(getattr(self.language, kind)(value))
            except (ValueError, ArithmeticError):  # a calendar that this language can't write, such as the year 1
                return safe(value)
        return safe(value)


def _check(place: str, arguments: Schema, facts: Mapping[str, Schema | None], where: str) -> None:
    """Raise DefinitionError for a placeholder that names nothing, or a secret."""
    first, *path = place.split(".")
    if first == "facts" and path and path[0] in facts:
        root, path = facts[path[0]], path[1:]
        if root is None or not path:
            return
    else:
        root, path = arguments, [first, *path]
    if ".".join(path) not in places(root, root):
        names = [*places(arguments, arguments), *(f"facts.{fact}" for fact in facts)]
        names += [f"facts.{fact}.{name}" for fact, schema in facts.items() if schema for name in places(schema, schema)]
        raise DefinitionError(f"{where} is unknown; known are {', '.join(sorted(names))}")
    node: Schema = root
    for part in path:
        node = _child(node, root, part)
        if marked(node, "secret", root):
            raise DefinitionError(f"{where} is secret; nobody is shown it")


def _closest(by_language: Mapping[str, T], wanted: Language, otherwise: T) -> T:
    return next((by_language[tag] for tag in (*wanted.ranges, "") if tag in by_language), otherwise)


def _at(value: Any, path: list[str], node: Schema, root: Schema) -> tuple[Any, Schema, Schema]:
    for part in path:
        value, node = value.get(part) if isinstance(value, Mapping) else None, _child(node, root, part)
    return value, node, root


def _child(node: Schema, root: Schema, name: str) -> Schema:
    return _properties(node, root).get(name, {})


def _properties(node: Schema, root: Schema) -> dict[str, Schema]:
    return {name: item for option in branches(node, root) for name, item in option.get("properties", {}).items()}


def _ordered(value: Mapping[str, Any], declared: Mapping[str, Any]) -> list[str]:
    """Order names as they are declared; the others, which come in the order of whoever wrote them, by name."""
    return [*(name for name in declared if name in value), *sorted(value.keys() - declared.keys())]


def _item(options: list[dict[str, Any]], index: int) -> Schema:
    for option in options:
        first, rest = option.get("prefixItems", ()), option.get("items", {})
        return first[index] if index < len(first) else rest if isinstance(rest, Mapping) else {}
    return {}


def _fits(option: Mapping[str, Any], value: Any) -> bool:
    kind = {str: "string", bool: "boolean", int: "integer", dict: "object", list: "array"}.get(type(value))
    return bool(option.get("type", kind) == kind)


def _money(value: Any, options: list[dict[str, Any]]) -> Money | None:
    """Know money by its two fields: a mark such as Personal takes the place of its own."""
    if not isinstance(value, Mapping) or not any(option.get("properties", {}).keys() == _MONEY for option in options):
        return None
    try:
        return Money(value["minor"], value["currency"])
    except (KeyError, ValueError):
        return None


def _humanised(name: str) -> str:
    return name.replace("_", " ").capitalize() if re.fullmatch(r"[a-z][a-z0-9_]*", name) else name
