"""What a provider itself keeps of what was done there, and how an action's calls must look in it.

A connector that can be asked is a `Ledger` as well as whatever its actions ask for. An action says with `entered` what each of
its calls leaves there; who compares knows no provider, and needs no more than the two.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import DefinitionError
from .fields import Money
from .schema import under

if TYPE_CHECKING:
    from .action import Action

_PATH = re.compile(r"call\.id|(?:arguments|result)(?:\.[A-Za-z0-9_-]+)+", re.ASCII)


class Keeping(StrEnum):
    """Say what a ledger keeps of one kind of effect, and how it can be read."""

    ALL = "all"  # each effect, of Remit or not, and those since a time can be listed
    BY_OBJECT = "by_object"  # each effect, but only object by object
    LATEST = "latest"  # of each object the latest effect alone: what came before is written over


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """Tell of one effect as its provider keeps it.

    `effect` is its kind, such as `refund`; `reference` the provider's own name for it, as handlers give it to `ctx.reference`;
    `about` the object, such as the payment. `call` is the call that the entry names (at Stripe the metadata `remit_call`), None
    where it names none. `amount` and `detail`, such as the plan, are None where the ledger does not tell. `at` is aware. `stands` is
    False once it was taken back: a refund that failed, an appointment that was cancelled.
    """

    effect: str
    reference: str
    about: str
    call: str | None = None
    amount: Money | None = None
    detail: str | None = None
    at: datetime | None = None
    stands: bool = True


class Ledger(ABC):
    """Read what a provider keeps. Both methods only read, give every page, and raise where a page can't be had.

    `kept` says which kinds of effect it keeps, and how. Raise Retryable where the provider can't be read just now: the comparison is
    then incomplete, and says so.
    """

    kept: ClassVar[Mapping[str, Keeping]]

    @abstractmethod
    def entries_about(self, effect: str, about: str) -> AsyncIterator[LedgerEntry]:
        """Give every effect of that kind on one object, whoever made it; nothing where there is no such object."""

    @abstractmethod
    def entries_since(self, effect: str, since: datetime) -> AsyncIterator[LedgerEntry]:
        """Give every effect of that kind since then, whoever made it; more does no harm. Asked for `Keeping.ALL` alone."""


@dataclass(frozen=True, slots=True)
class Entered:
    """Say what each call of an action leaves in a ledger; `entered` makes one."""

    effect: str
    about: str
    amount: str | None = None
    detail: str | None = None
    ends: str | None = None
    only: tuple[str, str] | None = None

    @property
    def paths(self) -> Mapping[str, str]:
        """Give the paths by the names that they were given under."""
        given = {"about": self.about, "amount": self.amount, "detail": self.detail, "only": self.only[0] if self.only else None}
        return {name: path for name, path in given.items() if path is not None}

    def check(self, own: Action) -> None:
        """Raise DefinitionError where a path leads nowhere, or an amount is none."""
        if not own.effect.writes:
            raise DefinitionError(
                f"{own.name}: ledger= says what an effect leaves at the provider, and this action only reads; leave it out"
            )
        for name, path in self.paths.items():
            room, *steps = path.split(".")
            schema = {"arguments": own.rules_schema, "result": own.result_schema or {}}.get(room)
            nodes = [{"type": "string"}] if schema is None else under(schema, steps)
            if not nodes:
                raise DefinitionError(f"{own.name}: ledger= takes {name} from {path}, and there is no such thing")
            if any(node.get("x-remit") == "secret" for node in nodes):
                raise DefinitionError(f"{own.name}: ledger= takes {name} from {path}, a secret, which is not kept that long")
            if name == "amount" and not any(node.get("x-remit") == "money" or not node for node in nodes):
                raise DefinitionError(f"{own.name}: ledger= takes amount from {path}, which is not Money")

    def expected(self, call_id: str, arguments: Any, result: Any) -> Mapping[str, Any]:
        """Give what the ledger must show of a call: `about`, `amount` and `detail`, None for what can't be read of it any more.

        `enters` is False for a call that says itself that it has left nothing there.
        """
        told = {"call": {"id": call_id}, "arguments": arguments, "result": result}
        found = {name: _at(told, path) for name, path in self.paths.items()}
        amount = found.get("amount")
        money = (
            Money(amount["minor"], amount["currency"]) if isinstance(amount, Mapping) and {"minor", "currency"} <= amount.keys() else None
        )
        about, detail, only = found.get("about"), found.get("detail"), found.get("only")
        if self.only is not None and only is None:
            about = None  # whether it has left anything can't be read any more
        return {
            "enters": self.only is None or only is None or str(only) == self.only[1],
            "about": None if about is None else str(about),
            "amount": money,
            "detail": None if detail is None else str(detail),
        }


def entered(
    effect: str,
    *,
    about: str,
    amount: str | None = None,
    detail: str | None = None,
    ends: str | None = None,
    only: tuple[str, str] | None = None,
) -> Entered:
    """Say what each call leaves in the connector's ledger: `entered("refund", about="arguments.payment_id", amount="arguments.amount")`.

    `about`, `amount` and `detail` are dotted paths into the call: `arguments.…`, `result.…`, or `call.id`. `ends` names the kind of effect
    that this one removes, as a cancellation does: what it was about is then rightly not there any more. `only` is a path and a text:
    calls where another text stands have left nothing for certain. Raise DefinitionError for text that is no path.
    """
    paths = {"about": about, "amount": amount, "detail": detail, "only": only[0] if only else None}
    for name, path in paths.items():
        if path is not None and not _PATH.fullmatch(path):
            raise DefinitionError(f"ledger={effect!r}: {name}={path!r} is no path; it begins with arguments. or result., or is call.id")
    return Entered(effect, about, amount, detail, ends, only)


def _at(value: Any, path: str) -> Any:
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
