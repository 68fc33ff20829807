"""Compile conditions and evaluate them, so that nothing but a clear true counts as true. The only module that knows CEL.

Two environments: one is typed by the action's schemas and only checks; the other takes plain JSON values and evaluates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from enum import Enum
from itertools import permutations
from math import isfinite
from operator import contains
from typing import Any

import orjson
from cel_expr_python import cel  # type: ignore[import-untyped] # it ships a .pyi without py.typed

from .decision import EvaluationError
from .facts import ActionShape, Inputs
from .meaning import misreadings
from .schema import PACKAGE, Kind, describe, inputs_kind
from .source import Passage, hint
from .syntax import Syntax

MAX_LENGTH = 4_096
MAX_DEPTH = 32
"""CEL's own bound on the depth of an expression."""

_CHUNK = 25

_COMPARED = {"_<_": "less", "_<=_": "less_equals", "_>_": "greater", "_>=_": "greater_equals"}
_NUMBERS = {"int64": cel.Type.INT, "uint64": cel.Type.UINT, "double": cel.Type.DOUBLE}
_ORDERED = _NUMBERS | {
    "bool": cel.Type.BOOL,
    "string": cel.Type.STRING,
    "bytes": cel.Type.BYTES,
    "timestamp": cel.Type.TIMESTAMP,
    "duration": cel.Type.DURATION,
}
_TYPES = {
    "text": cel.Type.STRING,
    "integer": cel.Type.INT,
    "boolean": cel.Type.BOOL,
    "timestamp": cel.Type.TIMESTAMP,
    "list": cel.Type("list<string>"),
}
"""The types of inputs that are no objects. The one list among them, `done`, is of texts."""
_FOUND = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_NO_FIELD = re.compile(r"undefined field '(\w+)' not found in struct '([\w.]+)'")
_NO_NAME = re.compile(r"undeclared reference to '([^']+)'.*")
_NO_OVERLOAD = re.compile(r"found no matching overload for '(.+)' applied to '\((.*)\)'")


class Result(Enum):
    """Name what an expression may have to give, with the CEL types and the Python types that it may be."""

    BOOL = "bool", (cel.Type.BOOL,), (bool,)
    TEXT = "string", (cel.Type.STRING,), (str,)
    INTEGER = "int", (cel.Type.INT, cel.Type.UINT), (int,)
    VALUE = "a text, an int or a bool", (cel.Type.STRING, cel.Type.INT, cel.Type.UINT, cel.Type.BOOL), (str, int, bool)
    MONEY = "money", (), (dict,)

    def __init__(self, words: str, types: tuple[cel.Type, ...], classes: tuple[type, ...]) -> None:
        self.words, self.types, self.classes = words, types, classes


_NO_CURRENCY = {
    (Result.INTEGER, "money"): ": name the limit's `currency`",
    (Result.MONEY, "int"): ": only money has a `currency`",
}


class Language:
    """Know the CEL of one action: what may be said of its inputs, and how it is evaluated."""

    def __init__(self, shape: ActionShape) -> None:
        self.kind = inputs_kind(shape)
        pool, self._messages = describe(self.kind)
        known = {kind: cel.Type(name) for name, kind in self._messages.items()}
        typed = {name: _TYPES.get(kind.what) or known.get(kind, cel.Type.DYN) for name, kind in self.kind.fields.items()}
        plain = {name: _TYPES.get(kind.what) or cel.Type("map<string,dyn>") for name, kind in self.kind.fields.items()}
        self._checks, self._evaluates = _environment(typed, pool), _environment(plain, None)
        self.empty = self._evaluates.Activation({})

    def compile(self, passage: Passage, name: str, result: Result = Result.BOOL, defined: Iterable[str] = ()) -> Expression:
        """Check an expression and make it ready; raises PolicyError that points into the passage, and may suggest what is defined."""
        if len(passage.text) > MAX_LENGTH:
            raise passage.error(f"longer than {MAX_LENGTH:,} characters: split the rule")
        try:
            checked = self._checks.compile(passage.text)
            compiled = self._evaluates.compile(passage.text)
            syntax = Syntax(checked.serialize())
        except Exception as error:  # noqa: BLE001 - CEL raises bare RuntimeErrors, and what it can't take must never pass
            raise passage.error(*self._explain(str(error), passage.text, defined)) from None
        given = checked.return_type()
        is_money = self._messages.get(given.name(), Kind()).money
        if given != cel.Type.DYN and not (is_money if result is Result.MONEY else given in result.types):
            shown = "money" if is_money else _name(given.name())
            raise passage.error(f"must give {result.words}, not {shown}{_NO_CURRENCY.get((result, shown), '')}")
        for message, at in misreadings(syntax, self.kind):
            raise passage.error(message, at)
        return Expression(name, passage.text, passage.written, syntax.paths, result, self, compiled)

    def bind(self, inputs: Inputs, names: Iterable[str]) -> cel.Activation | None:
        """Make those of the inputs that are read ready for evaluation; None if they don't fit the schemas."""
        try:
            # CEL takes no tuple, which `done` may be.
            values = {name: list(value) if type(value := getattr(inputs, name)) is tuple else value for name in names}
            # CEL follows values to any depth, and would crash the process; orjson stops, at what JSON can't hold as well.
            if b"null" in orjson.dumps(values):  # which is also what it makes of a number that is none
                values = _present(values)
            return self._evaluates.Activation({name: self.kind.fields[name].adapt(value) for name, value in values.items()})
        except Exception:  # noqa: BLE001 - whatever is wrong with the inputs, a decision is a value
            return None

    def fold(self, expressions: Iterable[Expression]) -> cel.Expression | None:
        """Compile several conditions into one list of their results; None if that is too much for CEL."""
        try:
            # A condition may end in a comment, which the line break ends.
            return self._evaluates.compile("[" + "\n,".join(each.text for each in expressions) + "\n]")
        except Exception:  # noqa: BLE001 - then they are evaluated one by one
            return None

    def evaluate_parts(self, whole: Expression, texts: Iterable[str], inputs: Inputs) -> list[Any | EvaluationError]:
        """Evaluate parts of a condition that was checked as a whole."""
        bound = self.bind(inputs, whole.inputs)
        return [replace(whole, text=text, compiled=self._evaluates.compile(text)).evaluate_bound(bound) for text in texts]

    def _explain(self, raised: str, text: str, defined: Iterable[str]) -> tuple[str, int]:
        """Put CEL's first error in our words, with its place as an offset."""
        found = _FOUND.search(raised)
        if not found or int(found[1]) < 1:
            return f"too deep or too large: at most {MAX_DEPTH} levels", 0
        lines = text.split("\n")
        at = sum(len(line) + 1 for line in lines[: int(found[1]) - 1]) + int(found[2]) - 1
        message = found[3].removesuffix(" [INVALID_ARGUMENT]").partition(" expecting")[0]
        if field := _NO_FIELD.search(message):
            kind = self._messages.get(field[2], Kind())
            # CEL points at the dot.
            return f"`{kind.path}` has no field `{field[1]}`{hint(field[1], kind.fields)}", at + text[at:].startswith(".")
        if name := _NO_NAME.search(message):
            # CEL names the whole path and points at its end.
            root = name[1].partition(".")[0]
            return f"unknown name `{root}`{hint(root, [*self.kind.fields, *defined])}", max(0, text.rfind(root, 0, at + len(root)))
        if call := _NO_OVERLOAD.search(message):
            nothing = ": nothing here is null, so test with has()" if "null" in call[2] else ""
            return f"`{call[1].strip('_@')}` can't take ({_name(call[2])}){nothing}", at
        return message, at


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """Hold a checked expression over the inputs of one action."""

    name: str
    text: str
    written: str
    """The text before definitions were put in."""
    paths: frozenset[tuple[str, ...]]
    """What it reads, such as `("facts", "payment", "created")`."""
    result: Result
    language: Language
    compiled: cel.Expression

    @property
    def inputs(self) -> frozenset[str]:
        """Name the inputs that it reads, such as `facts` or `now`."""
        return frozenset(path[0] for path in self.paths) & self.language.kind.fields.keys()

    @property
    def facts(self) -> frozenset[str]:
        """Name the facts that it needs: all of them if it reads `facts` as a whole."""
        known = frozenset(self.language.kind.fields["facts"].fields)
        return known if ("facts",) in self.paths else known & {path[1] for path in self.paths if path[0] == "facts"}

    @property
    def constant(self) -> Any:
        """Give the result if it is the same whatever the inputs; else None."""
        result = None if self.inputs else self.evaluate_bound(self.language.empty)
        return None if isinstance(result, EvaluationError) else result

    def evaluate(self, inputs: Inputs) -> Any | EvaluationError:
        """Evaluate over inputs: the result, or an error. Never raises."""
        return self.evaluate_bound(self.language.bind(inputs, self.inputs))

    def evaluate_bound(self, activation: cel.Activation | None) -> Any | EvaluationError:
        """Evaluate over inputs that were bound before."""
        if activation is None:
            return EvaluationError(self.name, "the inputs are not what the action's schemas say")
        try:
            value = self.compiled.eval(activation)
            kind, plain = value.type(), value.plain_value()
        except Exception:  # noqa: BLE001 - an exhausted budget raises, and must not allow
            return EvaluationError(self.name, "the condition can't be evaluated")
        # An error is a text as well: only its type tells.
        if type(plain) in self.result.classes and (kind in self.result.types or self.result is Result.MONEY):
            return plain
        return EvaluationError(self.name, _describe(kind, plain, self.text))


class Expressions:
    """Evaluate expressions over the inputs of one action together.

    A few dozen are compiled into one list expression, which converts the inputs once and is several times as fast as one by one. One
    error spoils the whole list, and then they are evaluated one by one.
    """

    def __init__(self, language: Language, expressions: Sequence[Expression]) -> None:
        chunks = [expressions[start : start + _CHUNK] for start in range(0, len(expressions), _CHUNK)]
        self.inputs: frozenset[str] = frozenset().union(*(each.inputs for each in expressions))
        """Name the inputs that they read."""
        self._chunks = [(chunk, [frozenset(each.result.classes) for each in chunk], language.fold(chunk)) for chunk in chunks]

    def followed_by(self, more: Expressions) -> Expressions:
        """Put two together without compiling anything again."""
        both = copy(self)
        both.inputs, both._chunks = self.inputs | more.inputs, [*self._chunks, *more._chunks]  # noqa: SLF001 - of its own class
        return both

    def evaluate(self, inputs: Inputs, bound: cel.Activation | None) -> list[Any | EvaluationError]:
        """Evaluate all, in their order, over inputs that were bound to the names in `inputs` at least. Never raises."""
        results: list[Any | EvaluationError] = []
        for chunk, classes, folded in self._chunks:
            results += _together(classes, folded, bound) or _one_by_one(chunk, inputs, bound)
        return results


def _together(classes: Sequence[frozenset[type]], folded: cel.Expression | None, bound: cel.Activation | None) -> list[Any] | None:
    try:
        results = folded.eval(bound).plain_value() if folded and bound else None
    except Exception:  # noqa: BLE001 - an exhausted budget; one by one shows whose
        return None
    if not isinstance(results, list) or len(results) != len(classes):
        return None
    return results if all(map(contains, classes, map(type, results))) else None


def _one_by_one(chunk: Sequence[Expression], inputs: Inputs, bound: cel.Activation | None) -> list[Any | EvaluationError]:
    """Evaluate each alone: where the inputs don't fit, over what it reads itself, so that none depends on another."""
    return [each.evaluate_bound(bound) if bound else each.evaluate(inputs) for each in chunk]


def compile_expression(text: str, shape: ActionShape, *, result: type[bool | str] = bool, place: str = "") -> Expression:
    """Compile an expression that stands outside the policy files, such as an action's `owns` (bool) or `about` (str).

    `place` names it in errors. Raises PolicyError with line, column and caret within the text.
    """
    return Language(shape).compile(Passage.whole(text, place), place, Result.TEXT if result is str else Result.BOOL)


def _environment(variables: dict[str, cel.Type], pool: Any) -> cel.Env:
    """Make an environment in which numbers of different types can be compared, which CEL evaluates but would not let pass."""
    config = cel.NewEnvConfigFromYaml(json.dumps({"stdlib": {"exclude_functions": [{"name": name} for name in _COMPARED]}}))
    return cel.NewEnv(pool, config=config, variables=variables, functions=[_comparison(*each) for each in _COMPARED.items()])


def _comparison(name: str, stem: str) -> cel.FunctionDecl:
    same = [cel.Overload(f"{stem}_{one}", cel.Type.BOOL, [type_, type_]) for one, type_ in _ORDERED.items()]
    mixed = [
        cel.Overload(f"{stem}_{one}_{other}", cel.Type.BOOL, [_NUMBERS[one], _NUMBERS[other]]) for one, other in permutations(_NUMBERS, 2)
    ]
    return cel.FunctionDecl(name, same + mixed)


def _present(value: Any) -> Any:
    """Leave out what is null, however deep, so that has() says of it what it says of what is missing; raises ValueError for no number."""
    if isinstance(value, float) and not isfinite(value):
        raise ValueError("JSON has no such number, and what is compared with it is never true")
    if isinstance(value, dict):
        return {name: _present(inner) for name, inner in value.items() if inner is not None}
    return [_present(item) for item in value] if isinstance(value, list) else value


def _name(types: str) -> str:
    """Put names of CEL types in words."""
    return re.sub(rf"{PACKAGE}\.o\d+", "object", types).replace("google.protobuf.", "").replace("_type", "").lower()


def _describe(kind: cel.Type, plain: object, text: str) -> str:
    """Say why there is no usable result, without a value of the inputs: the message goes into the log in the clear."""
    if kind != cel.Type.ERROR:
        return f"gave {_name(kind.name())}"
    said = str(plain)
    if (missing := re.search(r'Key not found in map : "(\w+)"', said)) and missing[1] in text:
        return f"`{missing[1]}` is missing: test it with has()"
    if overload := re.search(r"No matching overloads found : (.+)\((.*)\)", said):
        return f"`{overload[1].strip('_@')}` can't take ({_name(overload[2])})"
    return "the condition can't be evaluated: " + said.partition(":")[0].replace("_", " ").lower()
