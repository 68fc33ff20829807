"""Declare an action: one typed function becomes what a model can call, a policy can judge and a log can name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from operator import or_
from types import NoneType, UnionType
from typing import Any, Generic, TypedDict, Union, Unpack, get_args, get_origin, overload

from typing_extensions import ParamSpec, TypeVar

from ..errors import DefinitionError
from . import strict
from .arguments import Arguments, Reader, TypedReader
from .classes import Class, Classified, classes, classify
from .context import Context, Subject
from .docstring import parse_docstring
from .effects import Effect, duration, once
from .keys import Again, KeyTemplate, PerCall
from .ledger import Entered
from .outputs import Output, Result, ResultInvalid
from .problems import Problem, invalid, unreadable
from .schema import Schema, digest, places
from .summary import Labels, Texts, Wording
from .undo import Undo
from .wiring import Resources, Wiring, place

P = ParamSpec("P", default=...)
R = TypeVar("R", default=Any)
_NEVER_TOO_LARGE = 4_096  # bytes that a model sent: written in full they stay below `strict.MAX_BYTES`
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)


class Declared(TypedDict, total=False):
    """List what an author may say of an action beside its name and signature.

    Defaults: version "1", effect `once`, again "never", deadline "30s"; title and description come from the name and the
    docstring. `key`, `owns` and `owns_reason` have none on purpose. `summary` is a text or texts by language, with placeholders
    for arguments and facts: `{"en": "Refund {amount}, paid {facts.payment.created}"}`; `labels` name arguments: `{"de": {"amount": "Betrag"}}`.
    `undo` names the action that reverses this one; where its arguments have other names, say `undo=undo("cancel_order", order_id="result.id")`.
    `delay` is a cooling-off, such as "10m", in which a call that may run can still be cancelled. `ledger` says what a call leaves in its
    connector's own ledger, for `remit audit reconcile`: `ledger=entered("refund", about="arguments.payment_id")`.
    """

    version: str
    title: str
    description: str
    effect: Effect
    key: str | PerCall
    again: str | Again
    facts: Mapping[str, Callable[..., Any]]
    owns: str | None
    owns_reason: str
    about: str
    undo: str | Undo
    ledger: Entered | None
    delay: str | timedelta
    tags: Iterable[str]
    deadline: str | timedelta
    summary: Texts
    labels: Labels


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Action(Generic[P, R]):
    """Hold everything about one thing that can be done. Calling it calls the plain function, as in a unit test.

    `schema` is what a model sees; `rules_schema` describes the canonical arguments, `facts_schemas` the facts (None: not
    said) and `result_schema` the result (None: not said) as rules and records have them. `deadline` bounds one attempt.
    `undo` says how a call is reversed (None: it can't be); `delay` how long one that may run waits (None: a policy alone says that);
    `ledger` what a call leaves at the provider (None: it can't be compared).
    """

    name: str
    version: str
    title: str
    description: str
    effect: Effect
    key: KeyTemplate | PerCall | None
    again: Again
    facts: Mapping[str, Callable[..., Any]]
    owns: str | None
    owns_reason: str | None
    about: str | None
    undo: Undo | None
    ledger: Entered | None
    delay: timedelta | None
    tags: frozenset[str]
    deadline: timedelta
    wording: Wording
    handler: Callable[P, R]
    schema: Schema
    schema_digest: str
    rules_schema: Schema
    facts_schemas: Mapping[str, Schema | None]
    result_schema: Schema | None
    injected: Mapping[str, type]
    needs: frozenset[type]
    _reader: Reader
    _wiring: Wiring
    _loaders: Mapping[str, tuple[Wiring, Output]]
    _finder: Wiring | None
    _output: Output
    _classes: Mapping[str, Class]
    _result_classes: Mapping[str, Class]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the plain function: no checks, no policy, no record."""
        return self.handler(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Action {self.name} {self.version} ({self.effect.kind})>"

    def read(self, raw: str | bytes | Mapping[str, Any]) -> Arguments | Problem:
        """Read what a model sent as arguments. Never raises for it: what can't be used comes back as a Problem."""
        try:
            document = strict.check(raw) if isinstance(raw, Mapping) else strict.load(raw)
        except strict.Unreadable as error:
            return unreadable(error.problem, error.where)
        if not isinstance(document, dict):
            return unreadable("is not an object", "")
        found = self._reader.read(document)
        if not isinstance(found, Arguments):
            return invalid(self.name, found)
        # Written in full, as it is stored, 1e308 takes sixty times the room.
        if (isinstance(raw, Mapping) or len(raw) > _NEVER_TOO_LARGE) and strict.size(found.canonical) > strict.MAX_BYTES:
            return unreadable(f"more than {strict.MAX_BYTES} bytes once numbers are written in full", "")
        return found

    def restore(self, canonical: Mapping[str, Any]) -> Arguments:
        """Rebuild arguments from their stored canonical form. Raise ValueError where the action no longer takes them."""
        return self._reader.restore(canonical)

    def as_sent(self, arguments: Arguments) -> dict[str, Any]:
        """Write arguments as a model would send them, secrets included."""
        return self._reader.as_sent(arguments)

    async def load_fact(self, name: str, ctx: Context, subject: Subject, arguments: Arguments, resources: Resources) -> Any:
        """Load one fact in canonical form; None where it is missing. Raises what the loader raises, ValueError if it is not as declared."""
        wiring, output = self._loaders[name]
        found = await wiring.call(ctx, subject, arguments.values, resources)
        return None if found is None else output.canonical(found)

    async def perform(self, ctx: Context, subject: Subject, arguments: Arguments, resources: Resources) -> Any:
        """Run the handler once and give what it returned, unchecked; raises what it raises."""
        return await self._wiring.call(ctx, subject, arguments.values, resources)

    async def look_up(self, ctx: Context, subject: Subject, arguments: Arguments, resources: Resources) -> Any:
        """Ask whether the effect was applied: its result, or None. Whatever is raised leaves it unknown."""
        if self._finder is None:
            raise LookupError(f"{self.name} has no look-up")
        return await self._finder.call(ctx, subject, arguments.values, resources)

    def result(self, value: Any) -> Result | ResultInvalid:
        """Check what the handler returned, and part what is stored from what the model may see."""
        return self._output.result(value)

    @property
    def secrets(self) -> frozenset[str]:
        """Name the arguments that hold a secret."""
        return frozenset(name for name, kind in self._classes.items() if kind == "secret")

    @property
    def summary_facts(self) -> frozenset[str]:
        """Name the facts that are loaded whatever the rules read: whoever is asked sees them in the summary, or undoing takes from them."""
        return self.wording.facts | (self.undo.facts if self.undo else frozenset())

    def classify(self, canonical: Mapping[str, Any]) -> Classified:
        """Part canonical arguments into what is clear (by name), personal (by JSON pointer) and secret (pointers)."""
        return classify(canonical, self._classes)

    def classify_result(self, canonical: Any) -> Classified:
        """Part a stored result likewise; a result that is not an object is personal as a whole, under the pointer ""."""
        return classify(canonical, self._result_classes)

    @classmethod
    def from_schema(cls, name: str, schema: Schema, handler: Callable[..., Any], **declared: Unpack[Declared]) -> Action:
        """Declare an action by a JSON Schema (2020-12) instead of a signature; keywords as for `action`.

        The handler takes the arguments by name, or all in one parameter annotated as a Mapping. Raise DefinitionError for
        a schema that is invalid, remote, recursive, or too costly to check.
        """
        # jsonschema and RE2 are slow to import, and most applications declare no foreign action
        from .foreign import ForeignReader, foreign_wiring

        reader = ForeignReader(schema, name)
        return _declare(name, "", reader, foreign_wiring(handler, reader.schema, name), declared)


@overload
def action(handler: Callable[P, R], /) -> Action[P, R]: ...
@overload
def action(*, name: str | None = None, **declared: Unpack[Declared]) -> Callable[[Callable[P, R]], Action[P, R]]: ...
def action(handler: Callable[..., Any] | None = None, /, *, name: str | None = None, **declared: Unpack[Declared]) -> Any:
    """Turn a typed function into an Action: `@action(effect=keyed("24h"), key="refund:{payment_id}", owns=…)`.

    What may be said is listed in `Declared`. `key` is required of an action that writes, and so is `owns`, CEL over
    subject, arguments and facts; where nothing is owned, say `owns=None` and why in `owns_reason`. Raise DefinitionError,
    at import, for anything that could not work at a call.
    """

    def decorate(fn: Callable[..., Any]) -> Action:
        wiring, (text, arguments) = Wiring.of(fn), parse_docstring(fn.__doc__)
        if wiring.returns is inspect.Signature.empty:
            raise DefinitionError(f"{place(fn)}: say what it returns, such as -> Refund, or -> None")
        named = name or str(getattr(fn, "__name__", type(fn).__name__))
        return _declare(named, text, TypedReader(wiring.free, arguments, place(fn)), wiring, declared)

    return decorate if handler is None else decorate(handler)


def _declare(name: str, text: str, reader: Reader, wiring: Wiring, declared: Declared) -> Action:
    effect, facts = declared.get("effect", once), declared.get("facts", {})
    _check(name, declared, text)
    known = places(reader.rules_schema, reader.rules_schema)
    arguments = {path for path in known if "." not in path}
    loaders = {fact: _loader(name, fact, loader, arguments) for fact, loader in facts.items()}
    finder = _reads(name, "look-up", effect.find, arguments) if effect.find else None
    schemas = {fact: loaded.schema for fact, (_, loaded) in loaders.items()}
    wirings = [wiring, *(loader for loader, _ in loaders.values()), *([finder] if finder else [])]
    key, output = _key(name, declared.get("key"), effect, known), Output(wiring.returns, name)
    return Action(
        name=name,
        version=declared.get("version", "1"),
        title=declared.get("title", name.replace("_", " ").capitalize()),
        description=declared.get("description", text),
        effect=effect,
        key=key,
        again=Again.of(declared.get("again", "never")),
        facts=dict(facts),
        owns=declared.get("owns"),
        owns_reason=declared.get("owns_reason"),
        about=declared.get("about"),
        undo=_undo(declared.get("undo")),
        ledger=declared.get("ledger"),
        delay=_delay(name, declared.get("delay"), effect),
        tags=frozenset(declared.get("tags", ())),
        deadline=duration(declared.get("deadline", "30s")),
        wording=Wording.of(declared.get("summary", {}), declared.get("labels", {}), reader.rules_schema, schemas, name),
        handler=wiring.fn,
        schema=reader.schema,
        schema_digest=digest(reader.schema, reader.rules_schema, effect.kind, str(key)),
        rules_schema=reader.rules_schema,
        facts_schemas=schemas,
        result_schema=output.schema,
        injected=wiring.injected,
        needs=frozenset(kind for one in wirings for kind in one.injected.values()),
        _reader=reader,
        _wiring=wiring,
        _loaders=loaders,
        _finder=finder,
        _output=output,
        _classes=classes(reader.rules_schema),
        _result_classes=classes(output.schema or {}),
    )


def _check(name: str, declared: Declared, text: str) -> None:
    if not NAME.fullmatch(name):
        raise DefinitionError(f"action name {name!r}: use lower-case letters, digits and _, at most 64, beginning with a letter")
    if unknown := declared.keys() - Declared.__annotations__:
        raise DefinitionError(f"{name}: {min(unknown)}= is unknown; known are {', '.join(Declared.__annotations__)}")
    if not isinstance(declared.get("effect", once), Effect):
        raise DefinitionError(f'{name}: effect= is read, once, keyed("24h") or lookup(find), not {declared["effect"]!r}')
    if not isinstance(declared.get("undo"), str | Undo | None):
        raise DefinitionError(f'{name}: undo= is the name of an action, or undo("NAME", …), not {declared["undo"]!r}')
    if not isinstance(declared.get("ledger"), Entered | None):
        raise DefinitionError(f'{name}: ledger= is entered("KIND", about="arguments.…"), not {declared["ledger"]!r}')
    if isinstance(declared.get("tags"), str):
        raise DefinitionError(f"{name}: tags= is a list of texts, not one text")
    if not declared.get("description", text):
        raise DefinitionError(f"{name}: say in a docstring or in description= what it does; the model chooses its tools by that")
    if (declared.get("owns") is None) == (declared.get("owns_reason") is None):
        raise DefinitionError(f'{name}: say owns="…", or owns=None with owns_reason="why nothing is owned", and not both')


def _undo(given: str | Undo | None) -> Undo | None:
    return Undo(given) if isinstance(given, str) else given


def _delay(name: str, given: str | timedelta | None, effect: Effect) -> timedelta | None:
    if given is None:
        return None
    if not effect.writes:
        raise DefinitionError(f"{name}: delay= is a cooling-off before something is done, and this action only reads; leave it out")
    return duration(given)


def _key(name: str, key: str | PerCall | None, effect: Effect, known: Mapping[str, str]) -> KeyTemplate | PerCall | None:
    if isinstance(key, str):
        template = KeyTemplate(key)
        template.check(known)
        return template
    if key is None and effect.writes:
        raise DefinitionError(f'{name}: an action that writes names its effect, such as key="refund:{{payment_id}}", or says key=per_call')
    return key


def _reads(name: str, what: str, fn: Callable[..., Any], arguments: Collection[str]) -> Wiring:
    """Wire a loader or look-up, which may name arguments only."""
    wiring = Wiring.of(fn)
    for parameter in wiring.free.values():
        if parameter.name not in arguments and parameter.default is parameter.empty:
            known = ", ".join(sorted(arguments)) or "none"
            raise DefinitionError(
                f"{name}: the {what} {place(fn)} wants {parameter.name!r}, which is not an argument; arguments are {known}"
            )
    return wiring


def _loader(name: str, fact: str, loader: Callable[..., Any], arguments: Collection[str]) -> tuple[Wiring, Output]:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", fact):
        raise DefinitionError(f"{name}: fact name {fact!r}: use lower-case letters, digits and _")
    wiring = _reads(name, f"loader of the fact {fact!r}", loader, arguments)
    options = get_args(wiring.returns) if get_origin(wiring.returns) in {Union, UnionType} else (wiring.returns,)
    present = reduce(or_, [option for option in options if option is not NoneType])  # None says that it is missing
    return wiring, Output(present, f"{name}, fact {fact!r}")
