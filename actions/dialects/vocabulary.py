"""What a provider can express of JSON Schema 2020-12, the words for the rest, and the report of what was lost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

MAPS = frozenset({"properties", "dependentSchemas"})
LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
SINGLES = frozenset({"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"})
"""The keywords whose values are schemas: by name, in a list, or one."""

_WORDS = {
    "minimum": "At least {}.",
    "maximum": "At most {}.",
    "exclusiveMinimum": "More than {}.",
    "exclusiveMaximum": "Less than {}.",
    "multipleOf": "A multiple of {}.",
    "minLength": "At least {} characters.",
    "maxLength": "At most {} characters.",
    "pattern": "Must match the regular expression `{}`.",
    "format": "Format: {}.",
    "minItems": "At least {} items.",
    "maxItems": "At most {} items.",
    "minProperties": "At least {} properties.",
    "maxProperties": "At most {} properties.",
    "default": "Default: {}.",
    "examples": "Examples: {}.",
    "enum": "One of {}.",
}


def words(keyword: str, value: Any) -> str:
    """Say a keyword in words, for the description that the model reads."""
    if (keyword, value) == ("additionalProperties", False):
        return "No other properties."
    if (keyword, value) == ("uniqueItems", True):
        return "No item twice."
    said = value if isinstance(value, str) and keyword != "default" else json.dumps(value, ensure_ascii=False)
    return _WORDS.get(keyword, f"By JSON Schema, {keyword}: {{}}.").format(said)


@dataclass(frozen=True, slots=True)
class Loss:
    """Tell one thing that a provider can't express. It is still enforced: `Action.read` knows the whole schema.

    `path` is dotted, `[]` for the items of an array, empty for the arguments as a whole. `keyword` is JSON Schema's, or
    `strict` where the provider's constrained decoding had to be left off for the tool.
    """

    action: str
    path: str
    keyword: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Describe which schemas a provider takes.

    `keywords`: those it understands (None: all); `takes`: for some of them, which values; `root`: those allowed at the root.
    `otherwise`: the provider decodes strictly by this vocabulary, so every object must be closed and every place typed; a
    schema that can't be put so is sent in that other one. `null_for_absent`: every property is required, and null stands
    for one that is left out. `recursive`: it follows a `$ref` in a circle. `limits`: bounds on what `size` counts.
    """

    provider: str
    keywords: frozenset[str] | None = None
    takes: Mapping[str, Callable[[Any], bool]] = field(default_factory=dict)
    root: Callable[[str], bool] = lambda _: True
    null_for_absent: bool = False
    recursive: bool = True
    limits: Mapping[str, int] = field(default_factory=dict)
    otherwise: Vocabulary | None = None

    @property
    def strict(self) -> bool:
        """Say whether a schema in this vocabulary is decoded by."""
        return self.otherwise is not None

    def keeps(self, keyword: str, value: Any) -> bool:
        """Say whether the provider understands the keyword with this value."""
        known = self.keywords is None or keyword in self.keywords
        return known and (keyword not in self.takes or self.takes[keyword](value))


def no_combination(keyword: str) -> bool:
    """Say whether a keyword may stand at the root where the provider wants a plain object there."""
    return keyword not in {"anyOf", "oneOf", "allOf", "not", "if", "then", "else", "enum", "const"}


def scalars(values: list[Any]) -> bool:
    """Say whether an enumeration has no arrays or objects."""
    return not any(isinstance(value, list | dict) for value in values)


def size(schema: Mapping[str, Any]) -> Counter[str]:
    """Count what providers limit: properties, optional ones, unions, enum values, characters in names and values, levels."""
    counted: Counter[str] = Counter()
    deepest = 0
    todo: list[tuple[Any, int]] = [(schema, 0)]
    while todo:
        part, level = todo.pop()
        if not isinstance(part, Mapping):
            continue
        properties, values = part.get("properties", {}), part.get("enum", [])
        level += "properties" in part or "items" in part
        deepest = max(deepest, level)
        counted["properties"] += len(properties)
        counted["optional"] += len(properties.keys() - set(part.get("required", ())))
        counted["unions"] += "anyOf" in part
        counted["enum values"] += len(values)
        counted["characters"] += sum(len(str(text)) for text in [*properties, *values, part.get("const", "")])
        todo += [(child, level) for child in [*properties.values(), *part.get("$defs", {}).values(), part.get("items")]]
        todo += [(branch, level) for branch in part.get("anyOf", ())]
    return counted + Counter({"levels": deepest})
