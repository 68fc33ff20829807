"""Find the developer's runtime, and do one piece of work with it."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from ..errors import PolicyError, RemitError

if TYPE_CHECKING:
    from ..runtime import Runtime
    from ..runtime.people import People
    from ..settings import Settings

T = TypeVar("T")


class Unusable(RemitError):
    """What was asked for can't be tried."""

    code = "unusable"


def settings() -> Settings:
    """Read the REMIT_* variables; raises `Unusable` for one that can't be used."""
    from pydantic import ValidationError

    from ..settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        wrong = error.errors()[0]
        raise Unusable(f"REMIT_{str(wrong['loc'][0]).upper()}={wrong['input']}: {wrong['msg']}") from None


def load(named: str | None) -> Runtime:
    """Import the runtime that is named, else that of REMIT_APP, else `app:runtime`; the current folder is looked in first.

    Raises `Unusable` where there is none, and what the module itself raises of `RemitError`.
    """
    from ..runtime import Runtime

    place = named or settings().app
    module_name, _, attribute = place.partition(":")
    if not module_name or not attribute:
        raise Unusable(f"--app {place}: write MODULE:NAME, such as app:runtime")
    module = _imported(module_name)
    found = getattr(module, attribute, None)
    if isinstance(found, Runtime):
        return found
    others = [name for name, value in vars(module).items() if isinstance(value, Runtime)]
    instead = f"say --app {module_name}:{others[0]}" if others else f"make one there: {attribute} = Runtime([...], policies=...)"
    raise Unusable(f"{module.__file__} has no Runtime called {attribute}; {instead}")


def publishing(runtime: Runtime, folder: Path | None) -> Runtime:
    """Let the runtime publish its log as tiles to this folder, else to that of REMIT_TILES, else as the app says."""
    named = settings().tiles
    runtime.tiles = folder or (Path(named) if named else runtime.tiles)
    return runtime


def run(runtime: Runtime, work: Callable[[Runtime], Awaitable[T]]) -> T:
    """Do the work with the runtime, which starts when it is first asked for something, and close it whatever happens."""
    import asyncio

    async def closing() -> T:
        try:
            return await work(runtime)
        finally:
            await runtime.close()

    return asyncio.run(closing())


def run_with_people(runtime: Runtime, work: Callable[[People], Awaitable[T]]) -> T:
    """Do the work with the people and keys that the runtime knows."""

    async def started(runtime: Runtime) -> T:
        return await work((await runtime.start()).people)

    return run(runtime, started)


def _imported(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return import_module(name)
    except RemitError as error:
        if not isinstance(error, PolicyError) and (place := _place(error)):
            error.message = f"{place}: {error.message}"
        raise
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise Unusable(
                f"there is no module {error.name} in {here}; go to your app's folder, name it with --app MODULE:NAME, "
                "or make one with `remit init`"
            ) from None
        raise Unusable(f"{_place(error) or name}: {type(error).__name__}: {getattr(error, 'msg', error)}") from error


def _place(error: Exception) -> str:
    """Say where in the developer's own files an error came up: the last frame that is in the current folder."""
    here = f"{Path.cwd()}{os.sep}"
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        frames.append((str(error.filename), error.lineno))
    own = [f"{file.removeprefix(here)}:{line}" for file, line in frames if file.startswith(here)]
    return own[-1] if own else ""
