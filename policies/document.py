"""Read a policy file strictly as YAML, and remember where each value stands.

Of YAML only what a policy needs is taken: mappings, lists, text, integers, `true`, `false`, `null`. Anchors, aliases, tags, repeated
keys and deep nesting are refused; `yes`, `no`, `on`, dates and base-60 numbers are text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ..errors import PolicyError
from .source import Passage, Source, hint

MAX_FILE = 1_048_576
MAX_DEPTH = 16
MAX_PROBLEMS = 100
"""No more are told at once: what is wrong in a hundred places is seldom a hundred mistakes."""

Loc = tuple[int | str, ...]
Model = TypeVar("Model", bound=BaseModel)

# libyaml's parser is ten times as fast; a build of PyYAML may lack it.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# YAML ends a line, and so a comment, at breaks that most editors don't show; and marks of direction show text in another order.
_UNSEEN = re.compile("\r(?!\n)|[\x85\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_CONSTANTS = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(frozen=True, slots=True)
class Document:
    """Hold the value of a YAML file, and the nodes of its values and keys by path, such as `("rules", 0, "when")`."""

    source: Source
    value: Any
    values: Mapping[Loc, Any]
    keys: Mapping[Loc, Any]

    def error(self, message: str, loc: Loc, *, key: bool = False) -> PolicyError:
        """Make an error that points at the value of `loc` (or its key), or at the nearest that is there."""
        if key and loc in self.keys:
            return self.source.error(message, self.keys[loc].start_mark.index)
        return self.source.error(message, self._start(loc))

    def line_of(self, loc: Loc) -> int:
        """Give the line, from 1, of the value of `loc`."""
        return self.source.line_of(self._start(loc))

    def _start(self, loc: Loc) -> int:
        while loc not in self.values:
            loc = loc[:-1]
        return int(self.values[loc].start_mark.index)

    def passage(self, loc: Loc, default: str) -> Passage:
        """Give the text at `loc` with its places, or `default` as a text of its own."""
        node = self.values.get(loc)
        if node is None:
            return Passage.whole(default, self.source.path)
        return Passage.scalar(node.value, self.source, node.start_mark.index, node.style)


def read_document(path: str, text: str) -> Document:
    """Read one file; raises PolicyError with the place of the first thing that can't be taken."""
    source = Source(path, text.removeprefix("\ufeff"))
    if len(text) > MAX_FILE:
        raise source.error(f"the file is larger than {MAX_FILE:,} characters: split it")
    if found := _UNSEEN.search(source.text):
        message = f"the character U+{ord(found[0]):04X} makes the file read other than it looks: take it out, or write it as an escape"
        raise source.error(message, found.start())
    try:
        _guard(source)
        root = yaml.compose(source.text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise source.error(f"not YAML: {error.problem}", mark.index if mark else 0) from None
    except yaml.reader.ReaderError as error:
        raise source.error(f"not YAML: {error.reason}", error.position if isinstance(error.position, int) else 0) from None
    if root is None:
        raise source.error("the file is empty: write `policy`, `actions` and `rules`, or remove it")
    values: dict[Loc, Any] = {}
    keys: dict[Loc, Any] = {}
    return Document(source, _build(source, (), root, values, keys), values, keys)


def parse(path: str, text: str, model: type[Model]) -> tuple[Document, Model]:
    """Read one file as the model says; raises the first PolicyError, which knows the `others`."""
    document = read_document(path, text)
    try:
        return document, model.model_validate(document.value)
    except ValidationError as error:
        first, *others = islice(translate(error, document, _keys(model.model_json_schema())), MAX_PROBLEMS)
    first.others = tuple(others)
    raise first


def _keys(schema: Any) -> frozenset[str]:
    """Name every key that a model and those within it know, to suggest one for a misspelt one."""
    return frozenset(key for part in (schema, *schema.get("$defs", {}).values()) for key in part.get("properties", ()))


def translate(error: ValidationError, document: Document, keys: Collection[str]) -> Iterator[PolicyError]:
    """Put each of pydantic's errors in our words, at its place in the file. A misspelt key may have been meant as one of `keys`."""
    for each in error.errors(include_url=False, include_input=False):
        loc, kind = _placed(each["loc"], document), each["type"]
        is_key = each["loc"][-1:] == ("[key]",)
        key = next((part for part in reversed(loc) if isinstance(part, str)), "the file")
        match kind:
            case "extra_forbidden":
                yield document.error(f"unknown key `{key}`{hint(key, keys)}", loc, key=True)
            case "missing":
                yield document.error(f"`{each['loc'][-1]}` is missing", loc)
            case "value_error":
                yield document.error(str(each["ctx"]["error"]), loc)
            case "model_type" | "dict_type":
                yield document.error(f"`{key}` must be a mapping", loc)
            case _:
                yield document.error(f"`{key}`: {each['msg']}", loc, key=is_key)


def _placed(loc: Loc, document: Document) -> Loc:
    """Leave out of a path what is not in the document, such as the names of a union's branches."""
    placed: Loc = ()
    for part in loc:
        placed = (*placed, part) if (*placed, part) in document.values else placed
    return placed


def _guard(source: Source) -> None:
    """Refuse, before a tree is made, what could make it large, deep or surprising."""
    depth = 0
    event: Any
    for event in yaml.parse(source.text, Loader=_Loader):
        at = event.start_mark.index
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise source.error("anchors and aliases are not taken: write the value out", at)
        if getattr(event, "tag", None):
            raise source.error(f"tags such as `{event.tag}` are not taken", at)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise source.error(f"nested more than {MAX_DEPTH} deep", at)


def _build(source: Source, loc: Loc, node: Any, values: dict[Loc, Any], keys: dict[Loc, Any]) -> Any:
    values[loc] = node
    if isinstance(node, yaml.SequenceNode):
        return [_build(source, (*loc, place), item, values, keys) for place, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return _scalar(node.value) if not node.style else node.value
    built: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise source.error("a key must be a plain word", key.start_mark.index)
        if key.value in built:
            raise source.error(f"`{key.value}` is given twice", key.start_mark.index)
        keys[*loc, key.value] = key
        built[key.value] = _build(source, (*loc, key.value), value, values, keys)
    return built


def _scalar(text: str) -> Any:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    return int(text) if _INTEGER.fullmatch(text) else text
