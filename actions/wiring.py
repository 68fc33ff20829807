"""Read what one of the developer's functions wants, and give it that."""

from __future__ import annotations

import asyncio
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from ..errors import DefinitionError
from .context import Context, Subject
from .fields import INJECTED

Resources = Mapping[type, object]


def place(fn: Callable[..., Any]) -> str:
    """Name a function so that its author finds it."""
    return f"{getattr(fn, '__module__', '?')}.{getattr(fn, '__qualname__', type(fn).__qualname__)}"


@dataclass(frozen=True, slots=True)
class Wiring:
    """Hold which parameter of a function is filled from where.

    `free` are the parameters left for arguments, with their annotations; `rest` says whether it takes any others too, and
    `whole` names one that takes all arguments in one mapping.
    """

    fn: Callable[..., Any]
    context: tuple[str, ...]
    subject: tuple[str, ...]
    injected: Mapping[str, type]
    free: Mapping[str, inspect.Parameter]
    rest: bool
    returns: Any
    whole: str | None = None

    @classmethod
    def of(cls, fn: Callable[..., Any], *, rest: bool = False) -> Wiring:
        """Read a signature. Raise DefinitionError where it can't be called with named values."""
        if not callable(fn) or inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
            raise DefinitionError(f"{place(fn)} must be a function that returns its result, not a generator")
        hints = _hints(fn)
        context, subject, takes_rest = list[str](), list[str](), False
        injected, free = dict[str, type](), dict[str, inspect.Parameter]()
        for name, parameter in inspect.signature(fn).parameters.items():
            hint = hints.get(name, parameter.annotation)
            if parameter.kind is parameter.VAR_KEYWORD and rest:
                takes_rest = True
            elif parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
                raise DefinitionError(f"{place(fn)}: {parameter} can't be passed by name; write each argument out, without *, ** or /")
            elif hint is Context:
                context.append(name)
            elif hint is Subject:
                subject.append(name)
            elif get_origin(hint) is Annotated and INJECTED in hint.__metadata__:
                injected[name] = _port(fn, name, get_args(hint)[0])
            elif _reserved(hint):
                raise DefinitionError(f"{place(fn)}: annotate {name!r} with Context, Subject or Injected[…] and nothing around it")
            else:
                free[name] = parameter.replace(annotation=hint)
        returns = hints.get("return", inspect.Signature.empty)
        return cls(fn, tuple(context), tuple(subject), injected, free, takes_rest, returns)

    async def call(self, ctx: Context, subject: Subject, values: Mapping[str, Any], resources: Resources) -> Any:
        """Call the function with those of `values` that it names; a synchronous one runs in a thread."""
        given: dict[str, Any] = {name: value for name, value in values.items() if self.rest or name in self.free}
        given = {self.whole: values} if self.whole else given
        given |= dict.fromkeys(self.context, ctx) | dict.fromkeys(self.subject, subject)
        given |= {name: resources[kind] for name, kind in self.injected.items()}
        if inspect.iscoroutinefunction(self.fn) or inspect.iscoroutinefunction(getattr(self.fn, "__call__", None)):  # noqa: B004
            return await self.fn(**given)
        result = await asyncio.to_thread(self.fn, **given)
        return await result if inspect.isawaitable(result) else result


def _hints(fn: Callable[..., Any]) -> dict[str, Any]:
    source = getattr(fn, "func", fn)  # a partial keeps its function there
    try:
        return typing.get_type_hints(source if inspect.isroutine(source) else type(source).__call__, include_extras=True)
    except NameError as error:
        raise DefinitionError(
            f"{place(fn)}: the annotation {error.name!r} can't be resolved; define or import it at module level"
        ) from None


def _reserved(hint: Any) -> bool:
    """Say whether a type that Remit fills hides inside another, where the model could send it."""
    return hint is Context or hint is Subject or INJECTED in getattr(hint, "__metadata__", ()) or any(map(_reserved, get_args(hint)))


def _port(fn: Callable[..., Any], name: str, kind: Any) -> type:
    if not isinstance(kind, type) or (getattr(kind, "_is_protocol", False) and not getattr(kind, "_is_runtime_protocol", False)):
        raise DefinitionError(f"{place(fn)}: Injected parameter {name!r} needs a class, such as an abstract base class")
    return kind
