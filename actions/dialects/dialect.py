"""What a dialect does, and what all of them have in common."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, ClassVar

import orjson

from ..action import Action
from ..call import ToolCall
from ..strict import Unreadable, load
from .absence import without_absent
from .rewriting import Rewritten, rewrite
from .vocabulary import Loss, Vocabulary

Actions = Mapping[str, Action] | Iterable[Action]
Pairs = Iterable[tuple[ToolCall, Mapping[str, Any]]]


class Dialect(ABC):
    """Speak to one provider's model: tools out, calls in, outcomes out, each exactly in the provider's wire form."""

    name: ClassVar[str]
    vocabulary: ClassVar[Vocabulary]

    @abstractmethod
    def tools(self, actions: Actions) -> list[dict[str, Any]]:
        """Give the actions as the value of the request's `tools`."""

    @abstractmethod
    def results(self, pairs: Pairs) -> list[dict[str, Any]]:
        """Give the outcomes (`Outcome.to_json()`) of calls as what is appended to the conversation."""

    @abstractmethod
    def found(self, message: Mapping[str, Any]) -> Iterator[tuple[str | None, str, Any]]:
        """Find id, name and arguments of each tool call in a message of the model."""

    def calls(self, message: Mapping[str, Any], actions: Actions = ()) -> list[ToolCall]:
        """Read the tool calls in the model's message, or in the whole response that carries it.

        Give the actions that were offered as tools: what their schemas were rewritten to is turned back by them. Arguments
        that can't be parsed stay the text that the model wrote; `Action.read` says what is wrong with them.
        """
        known = {action.name: action for action in _each(actions)} if self.vocabulary.null_for_absent else {}
        return [ToolCall(identity, name, _read(arguments, known.get(name))) for identity, name, arguments in self.found(message)]

    def lossiness(self, actions: Actions) -> list[Loss]:
        """Report what the provider can't express of these actions, offered together. It is still enforced."""
        return [loss for _, written in self.rewritten(actions) for loss in written.losses]

    def rewritten(self, actions: Actions) -> list[tuple[Action, Rewritten]]:
        """Put the schemas of the actions into the provider's vocabulary."""
        return [(action, rewrite(action.name, action.schema, self.vocabulary)) for action in _each(actions)]


def _each(actions: Actions) -> Iterable[Action]:
    return actions.values() if isinstance(actions, Mapping) else actions


def _read(arguments: Any, action: Action | None) -> str | Mapping[str, Any]:
    if arguments is None or arguments == "":  # a tool without arguments
        return {}
    if isinstance(arguments, str) and action is not None:
        with suppress(Unreadable):
            document = load(arguments)
            return without_absent(document, action.schema, action.schema) if isinstance(document, dict) else arguments
    return arguments if isinstance(arguments, str | Mapping) else json.dumps(arguments)  # no object: it is refused when it is read


def described(action: Action, written: Rewritten) -> str:
    """Describe a tool: the action's own words, then what the root of its schema has to say."""
    return "\n\n".join(filter(None, [action.description, written.note]))


def text(outcome: Mapping[str, Any]) -> str:
    """Write an outcome as the text that the model reads."""
    return orjson.dumps(outcome).decode()


def went_wrong(outcome: Mapping[str, Any]) -> bool:
    """Say whether the provider is told of an error. Waiting is none, nor is an action that was done."""
    return "error" in outcome and outcome.get("state") != "succeeded"
