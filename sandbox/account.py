"""One account at the payment sandbox: its objects, and which request asks for what."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from .billing import Billing
from .charging import Charging
from .forms import bound, nested
from .ledger import Ledger, Object, ProblemError

_COLLECTIONS = {  # in the address: kind of object, and what a list can be filtered by
    "customers": ("customer", {"email"}),
    "payment_intents": ("payment_intent", {"customer"}),
    "charges": ("charge", {"customer", "payment_intent"}),
    "refunds": ("refund", {"payment_intent", "charge"}),
    "prices": ("price", {"active", "lookup_keys", "product"}),
    "subscriptions": ("subscription", {"customer", "status"}),
}

_FIELDS = {"lookup_keys": "lookup_key"}  # a filter that is called otherwise than its field


class Account:
    """Hold the objects of one account and find the operation that a request asks for."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.ledger = Ledger(clock)
        self.charging, self.billing = Charging(self.ledger), Billing(self.ledger)
        self._posts: dict[str, Callable[..., Object]] = {
            "customers": self.charging.create_customer,
            "payment_intents": self.charging.create_payment,
            "refunds": self.charging.create_refund,
            "prices": self.billing.create_price,
            "subscriptions": self.billing.create_subscription,
            "invoices/create_preview": self.billing.preview_invoice,
        }

    def operation(self, api_key: str, method: str, path: str, text: str) -> Callable[[], Object]:
        """Give the operation behind an address and its form-encoded parameters, ready to be executed.

        Raise ProblemError for a live key, and for an address or parameters that don't exist: then nothing is executed, and no
        idempotency key is used up.
        """
        if not api_key.startswith(("sk_test_", "rk_test_")):
            raise ProblemError("The sandbox takes test keys only: sk_test_….", status=401)
        parameters = nested(text)
        expand = parameters.pop("expand", [])
        done: Callable[[], Object]
        match method, path.removeprefix("/v1/").split("/"):
            case "GET", [name] if name in _COLLECTIONS:
                done = partial(self._list, name, parameters)
            case "GET", [name, one] if name in _COLLECTIONS:
                done = partial(self.ledger.get, _COLLECTIONS[name][0], one)
            case "POST", ["subscriptions", one]:
                done = bound(partial(self.billing.update_subscription, one), parameters)
            case "POST", parts if operation := self._posts.get("/".join(parts)):
                done = bound(operation, parameters)
            case _:
                raise ProblemError(f"Unrecognized request URL ({method}: {path}).", status=404)
        return partial(self._expanded, done, expand)

    def _list(self, name: str, parameters: Object) -> Object:
        kind, filters = _COLLECTIONS[name]
        created = parameters.pop("created", None)
        unknown = parameters.keys() - filters - {"limit", "starting_after"}
        if unknown:
            raise ProblemError(f"Received unknown parameter: {min(unknown)}", code="parameter_unknown", param=min(unknown))
        where = {_FIELDS.get(name, name): value for name, value in parameters.items() if name in filters and value != "all"}
        paging = {name: value for name, value in parameters.items() if name not in filters}
        return {"url": f"/v1/{name}", **self.ledger.page(kind, where, created=created, **paging)}

    def _expanded(self, done: Callable[[], Object], paths: list[str]) -> Object:
        result = done()
        for path in paths:
            result = self.ledger.expand(result, path)
        return result
