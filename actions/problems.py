"""What is wrong with a call, in words that a model can act on."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from .schema import Schema, places

if TYPE_CHECKING:  # jsonschema is slow to import, and only foreign schemas need it
    from jsonschema import ValidationError as SchemaError

MOST = 20
_LONGEST = 80  # characters of a path or a value that are repeated
Retry = Literal["fix_arguments", "later", "never"]


@dataclass(frozen=True, slots=True)
class FieldError:
    """Say of one place in the arguments what is wrong and what would be right. `path` is dotted: `amount.currency`."""

    path: str
    problem: str
    expected: str
    suggestion: str | None = None

    def to_json(self) -> dict[str, str]:
        """Give the JSON form; a suggestion only where there is one."""
        found = {"path": self.path, "problem": self.problem, "expected": self.expected}
        return found | ({"suggestion": self.suggestion} if self.suggestion else {})


@dataclass(frozen=True, slots=True)
class Problem:
    """Say why a call can't go on, and whether to repair it, come back later, or stop."""

    code: str
    message: str
    field_errors: tuple[FieldError, ...] = ()
    retry: Retry = "fix_arguments"
    suggestion: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Give the form that goes to the model and into the HTTP answer."""
        return {
            "code": self.code,
            "message": self.message,
            "field_errors": [error.to_json() for error in self.field_errors],
            "retry": self.retry,
            "suggestion": self.suggestion,
        }


def unreadable(problem: str, where: str) -> Problem:
    """Say that the arguments are not even JSON that everybody reads alike."""
    wrong = FieldError(where[:_LONGEST], problem, "one JSON object")
    return Problem("arguments_unreadable", "The arguments are not usable JSON; send one JSON object.", (wrong,))


def invalid(action: str, errors: Iterable[FieldError]) -> Problem:
    """Say which arguments can't be used, the first twenty."""
    found = tuple(islice(errors, MOST))
    return Problem("arguments_invalid", f"Some arguments of `{action}` can't be used; correct them and call again.", found)


def closest(name: str, known: Iterable[str]) -> str | None:
    """Ask about the nearest known name, where one is near."""
    found = get_close_matches(name[:80], list(known), n=1)
    return f"did you mean `{found[0]}`?" if found else None


def shown(value: Any) -> str:
    """Describe a value in at most some 80 characters."""
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case str():
            return f"the text `{value[:60]}`" + ("…" if len(value) > 60 else "")
        case dict():
            return "an object"
        case list():
            return "a list"
        case _:
            return f"the number {str(value)[:60]}"


def from_pydantic(error: ValidationError, document: Any, schema: Schema) -> list[FieldError]:
    """Translate pydantic's errors about `document`, which `schema` describes."""
    return [_translate(detail, document, schema) for detail in error.errors(include_url=False)[:MOST]]


def hide(errors: Iterable[FieldError], secret: Collection[str]) -> list[FieldError]:
    """Leave out what the errors about secret fields would show of their values."""
    return [FieldError(wrong.path, "can't be used", "") if wrong.path.partition(".")[0] in secret else wrong for wrong in errors]


def _translate(detail: ErrorDetails, document: Any, schema: Schema) -> FieldError:
    kind, parts = detail["type"], _path(detail, document)
    path, message = ".".join(parts)[:_LONGEST], detail["msg"].removeprefix("Value error, ")
    if kind == "missing":
        return FieldError(path, "is missing", "a value")
    if kind == "extra_forbidden":
        above = [part for part in parts[:-1] if not part.isdigit()]
        known = [name.rpartition(".")[2] for name in places(schema, schema) if name.split(".")[:-1] == above]
        return FieldError(path, "is not an argument", "nothing here", closest(parts[-1], known))
    expected = message.removeprefix("Input should be ")
    given = detail["input"]
    options = re.findall(r"'([^']*)'", expected) if kind in {"literal_error", "enum"} and isinstance(given, str) else ()
    return FieldError(path, f"is {shown(given)}", expected[:200], closest(given, options) if options else None)


def _path(detail: ErrorDetails, document: Any) -> list[str]:
    """Keep of pydantic's location what is a place in the document; the rest names branches of unions."""
    found = []
    for part in detail["loc"]:
        inside = document.get(part, None) if isinstance(document, dict) else None
        if isinstance(document, list) and isinstance(part, int):
            inside = document[part]
        elif not (isinstance(document, dict) and part in document):
            continue
        document = inside
        found.append(str(part))
    return [*found, str(detail["loc"][-1])] if detail["type"] == "missing" else found


def from_jsonschema(errors: Iterable[SchemaError]) -> list[FieldError]:
    """Translate jsonschema's errors, the first twenty."""
    return list(islice(chain.from_iterable(map(_violations, errors)), MOST))


def _violations(error: SchemaError) -> Iterator[FieldError]:
    path, rule, value = ".".join(map(str, error.absolute_path))[:_LONGEST], error.validator, error.validator_value
    if rule in {"anyOf", "oneOf"} and error.context:
        options = [i for i, option in enumerate(value) if option != {"type": "null"}]
        inner = [below for below in error.context if below.relative_schema_path[0] == options[0]]
        if len(options) == 1 and inner:  # a value that may be null: say what is wrong with it if it is not
            yield from (wrong for below in inner for wrong in _violations(below))
            return
    match rule:
        case "required":
            yield FieldError(path, "is missing", "a value")
        case "additionalProperties" if value is False:
            known = error.schema.get("properties", {})
            for name in error.instance.keys() - known.keys():
                yield FieldError(f"{path}.{name}".lstrip(".")[:_LONGEST], "is not an argument", "nothing here", closest(name, known))
        case "enum":
            near = closest(error.instance, [text for text in value if isinstance(text, str)]) if isinstance(error.instance, str) else None
            yield FieldError(path, f"is {shown(error.instance)}", f"one of {', '.join(map(str, value))}"[:200], near)
        case _:
            yield FieldError(
                path, f"is {shown(error.instance)}", f"{rule} {value}"[:200] if not isinstance(value, dict | list) else str(rule)
            )
