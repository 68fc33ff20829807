"""What the payment sandbox holds, and what really happened in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import count
from operator import eq, ge, gt, le, lt
from typing import Any

Object = dict[str, Any]


class ProblemError(Exception):
    """Carry an error as Stripe answers it (https://docs.stripe.com/api/errors)."""

    def __init__(
        self, message: str, *, status: int = 400, kind: str = "invalid_request_error", code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        given = {"type": kind, "message": message, "code": code, "param": param}
        self.body = {"error": {name: value for name, value in given.items() if value is not None}}


@dataclass(frozen=True, slots=True)
class Entry:
    """Say what really happened: one refund or one change of plan.

    `reference` is the refund or the subscription, `about` the payment or the price, `amount` in Stripe's units of
    `currency`, `call` the metadata `remit_call`, `status` as it is now, `at` in Unix seconds.
    """

    effect: str
    reference: str
    about: str
    amount: int
    currency: str
    call: str | None
    status: str
    at: int

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        return asdict(self)


class Ledger:
    """Hold every object by id, newest last, and the entries of what was done with them."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._objects: dict[str, Object] = {}
        self._entries: list[dict[str, Any]] = []
        self._numbers = count(1)

    def now(self) -> int:
        """Give the time as Stripe writes it: whole Unix seconds."""
        return int(self._clock().timestamp())

    def add(self, prefix: str, kind: str, **fields: Any) -> Object:
        """Keep a new object under a new id."""
        made = {
            "id": f"{prefix}_{next(self._numbers):08d}",
            "object": kind,
            "created": self.now(),
            "livemode": False,
            "metadata": {},
            **fields,
        }
        self._objects[made["id"]] = made
        return made

    def get(self, kind: str, name: str, *, param: str | None = None) -> Object:
        """Find an object. Raise ProblemError: 404 where the id was the address, 400 where it was the parameter `param`."""
        found = self._objects.get(name)
        if found is None or found["object"] != kind:
            raise ProblemError(f"No such {kind}: {name!r}", status=400 if param else 404, code="resource_missing", param=param or "id")
        return found

    def page(
        self, kind: str, where: Mapping[str, Any], *, created: Any = None, limit: int = 10, starting_after: str | None = None
    ) -> Object:
        """List objects whose fields have one of the values given as text, newest first, a page at a time.

        `created` is a time, or bounds by `gt`, `gte`, `lt` and `lte`. Sources: https://docs.stripe.com/api/pagination and
        https://docs.stripe.com/api/refunds/list
        """
        if not 1 <= limit <= 100:
            raise ProblemError("A page has 1 to 100 objects.", code="parameter_invalid_integer", param="limit")
        made = _bounds(created)
        found = [one for one in reversed(list(self._objects.values())) if one["object"] == kind and _fits(one, where)]
        found = [one for one in found if all(_HOLDS[bound](one["created"], at) for bound, at in made)]
        if starting_after is not None:
            found = found[found.index(self.get(kind, starting_after, param="starting_after")) + 1 :]
        return {"object": "list", "has_more": len(found) > limit, "data": found[:limit]}

    def expand(self, answer: Object, path: str) -> Object:
        """Put the object itself where its id stands, as `expand[]=latest_charge` or `data.latest_charge` asks."""
        name, _, rest = path.partition(".")
        value = answer.get(name)
        if isinstance(value, list):
            return answer | {name: [self.expand(one, rest) for one in value]}
        return answer | {name: self._objects[value]} if isinstance(value, str) and value in self._objects else answer

    def record(self, effect: str, done: Object, *, about: str, amount: int, currency: str) -> None:
        """Write down what was done."""
        call = done["metadata"].get("remit_call")
        self._entries.append(
            {
                "effect": effect,
                "reference": done["id"],
                "about": about,
                "amount": amount,
                "currency": currency,
                "call": call,
                "at": self.now(),
            }
        )

    def entries(self) -> list[Entry]:
        """Give what really happened, in order."""
        return [Entry(**entry, status=self._objects[entry["reference"]]["status"]) for entry in self._entries]


def _fits(one: Object, where: Mapping[str, Any]) -> bool:
    return all(_text(one.get(name)) in (value if isinstance(value, list) else [value]) for name, value in where.items())


_HOLDS: dict[str, Callable[[int, int], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le, "": eq}


def _bounds(created: Any) -> list[tuple[str, int]]:
    """Read the filter `created`. Raise ProblemError for a bound or a time that there is not."""
    given = created if isinstance(created, dict) else {} if created is None else {"": created}
    for bound, at in given.items():
        if bound not in _HOLDS:
            raise ProblemError(f"Received unknown parameter: created[{bound}]", code="parameter_unknown", param=f"created[{bound}]")
        if not re.fullmatch("[0-9]{1,15}", str(at)):
            raise ProblemError(f"Invalid integer: {str(at)[:40]}", code="parameter_invalid_integer", param="created")
    return [(bound, int(at)) for bound, at in given.items()]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
