"""Collect actions from where they are declared, each name once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from importlib.metadata import entry_points
from types import ModuleType

from ..errors import DefinitionError
from .action import Action
from .undo import Undo
from .wiring import place

Source = Action | ModuleType | str | Iterable[Action]


class Catalog(Mapping[str, Action]):
    """Hold actions by name, in name order.

    Sources are actions, modules (every action in them), other catalogs, and entry point groups as "entry:remit.actions".
    Raise DefinitionError where two actions have one name, a source is none of these, `undo` names no action that can
    reverse what names it, or `ledger` takes what is not there.
    """

    def __init__(self, sources: Iterable[Source]) -> None:
        found: dict[str, Action] = {}
        for action in _collect(sources):
            if found.setdefault(action.name, action) is not action:
                both = f"{place(found[action.name].handler)} and {place(action.handler)}"
                raise DefinitionError(f"two actions are called {action.name!r}: {both}; give one another name=")
        self._actions = dict(sorted(found.items()))
        for action in self._actions.values():
            if action.undo is not None:
                self._check_undo(action, action.undo)
            if action.ledger is not None:
                action.ledger.check(action)

    def __getitem__(self, name: str) -> Action:
        return self._actions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._actions)

    def __len__(self) -> int:
        return len(self._actions)

    def suggest(self, name: str) -> str | None:
        """Give the name nearest to one that is not here, where one is near."""
        return next(iter(get_close_matches(name[:80], self._actions, n=1)), None)

    def bind(self, resources: Iterable[object]) -> dict[type, object]:
        """Find for every injected type the one resource that is an instance of it. Raise DefinitionError where there is not just one."""
        given, bound = list(resources), dict[type, object]()
        for action in self._actions.values():
            for kind in action.needs:
                fitting = [resource for resource in given if isinstance(resource, kind)]
                if len(fitting) != 1:
                    wants = ", ".join(name for name, wanted in action.injected.items() if wanted is kind) or "a loader or look-up"
                    many = f"{len(fitting)} resources are one" if fitting else "no resource is one"
                    raise DefinitionError(
                        f"{action.name} ({wants}) needs a {kind.__name__} and {many}; pass one {kind.__name__} as a resource"
                    )
                bound[kind] = fitting[0]
        return bound

    def _check_undo(self, action: Action, undo: Undo) -> None:
        if (other := self._actions.get(undo.action)) is None:
            near = self.suggest(undo.action)
            hint = f"did you mean {near!r}?" if near else "register the action that reverses it as well, or leave undo= out"
            raise DefinitionError(f"{action.name}: undo={undo.action!r} is not registered; {hint}")
        undo.check(action, other)


def _collect(sources: Iterable[Source]) -> Iterator[Action]:
    for source in sources:
        match source:
            case Action():
                yield source
            case ModuleType():
                yield from (value for value in vars(source).values() if isinstance(value, Action))
            case Catalog():
                yield from source.values()
            case str() if source.startswith("entry:"):
                yield from _collect(point.load() for point in entry_points(group=source.removeprefix("entry:")))
            case list() | tuple():
                yield from _collect(source)
            case _:
                raise DefinitionError(f"{source!r} is no source of actions; give an Action, a module, a Catalog or 'entry:GROUP'")
