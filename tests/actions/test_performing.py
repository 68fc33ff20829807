"""Handlers, loaders and look-ups get what they ask for by name, and what they give back is checked."""

import asyncio
import re
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel

from remit.actions import Context, Money, Result, ResultInvalid, Secret, Subject, action, keyed, lookup, once, per_call, read
from remit.actions.effects import EffectKind, duration
from remit.errors import DefinitionError

from .shop import Books, Payment, Payments, Reason, Refund, load_payment, look_up_hours, refund_payment, ship_parcel

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
BOOKS = Books({"pi_1": Payment(customer="cus_1", amount=Money(4990, "EUR"), created=NOW.astimezone())})
RESOURCES = {Payments: BOOKS}
SUBJECT = Subject("cus_1", 2)
SAID = {"key": per_call, "owns": None, "owns_reason": "a test"}


def context(**changes: Any) -> Context:
    return Context(
        **{
            "call_id": "call_1",
            "action": "x",
            "tenant": "t",
            "principal": "agent_1",
            "conversation": None,
            "attempt": 1,
            "deadline": NOW,
            **changes,
        }
    )


def refund_arguments(payment_id="pi_1"):
    return refund_payment.read({"payment_id": payment_id, "amount": {"value": "1.00", "currency": "EUR"}, "reason": "late"})


async def test_a_handler_gets_context_subject_arguments_and_resources():
    ctx = context()
    given = await refund_payment.perform(ctx, SUBJECT, refund_arguments(), RESOURCES)
    assert given == Refund(id="re_pi_1", amount=Money(100, "EUR"), reason=Reason.LATE)
    assert (ctx.provider_reference, ctx.provider_status, ctx.key_used) == ("cus_1/call_1", "pending", True)


async def test_facts_are_loaded_in_canonical_form():
    fact = await refund_payment.load_fact("payment", context(), SUBJECT, refund_arguments(), RESOURCES)
    assert fact == {"customer": "cus_1", "amount": {"currency": "EUR", "minor": 4990}, "created": "2026-03-01T10:00:00Z", "disputed": False}
    assert await refund_payment.load_fact("payment", context(), SUBJECT, refund_arguments("pi_2"), RESOURCES) is None
    assert refund_payment.facts == {"payment": load_payment}
    assert set(refund_payment.facts_schemas["payment"]["properties"]) == {"customer", "amount", "created", "disputed", "note"}


async def test_a_look_up_gives_the_result_or_none():
    assert (await refund_payment.look_up(context(), SUBJECT, refund_arguments(), RESOURCES)).id == "call_1"
    assert await refund_payment.look_up(context(), SUBJECT, refund_arguments("pi_2"), RESOURCES) is None
    with pytest.raises(LookupError, match="no look-up"):
        await look_up_hours.look_up(context(), SUBJECT, look_up_hours.read("{}"), {})


async def test_a_synchronous_handler_runs_in_a_thread():
    @action(**SAID)
    def where() -> str:
        """Say where."""
        return threading.current_thread().name

    assert await where.perform(context(), SUBJECT, where.read("{}"), {}) != threading.current_thread().name


async def test_callables_of_other_kinds_can_load():
    class Loader:
        async def __call__(self, a: int) -> dict[str, Any]:
            return {"a": a, "b": 0.1, "when": NOW}

    def both(a: int, b: int) -> Any:
        return asyncio.sleep(0, a + b)

    @action(facts={"one": Loader(), "two": partial(both, b=2)}, **SAID)
    def act(a: int) -> None:
        """Act."""

    arguments = act.read('{"a": 1}')
    assert await act.load_fact("one", context(), SUBJECT, arguments, {}) == {"a": 1, "b": "0.1", "when": "2026-03-01T10:00:00Z"}
    assert await act.load_fact("two", context(), SUBJECT, arguments, {}) == 3
    assert act.facts_schemas == {"one": None, "two": None}


async def test_a_fact_that_is_not_as_declared_is_an_error():
    async def load() -> Payment:
        return {"customer": 1}  # type: ignore[return-value]

    @action(facts={"payment": load}, **SAID)
    def act() -> None:
        """Act."""

    with pytest.raises(ValueError, match="customer"):
        await act.load_fact("payment", context(), SUBJECT, act.read("{}"), {})


def returning(annotation: Any):
    def act() -> None:
        """Act."""

    act.__annotations__["return"] = annotation
    return action(**SAID)(act)


class Stamped(BaseModel):
    at: datetime


class Nested(BaseModel):
    refunds: list[Refund]
    by_name: dict[str, Secret[str]]


@pytest.mark.parametrize(
    ("annotation", "value", "says"),
    [
        (Refund, None, "instance of Refund"),
        (Refund, {"id": 1}, "id"),
        (str, 5, "string"),
        (str, "x" * 65_535, "65536 bytes"),
        (dict[str, Any], {"a": object()}, "serialize"),
        (int, 2**53, "whole number"),
        (Stamped, {"at": datetime(2026, 3, 1, 10)}, "offset"),  # noqa: DTZ001
        (Refund, Refund.model_construct(id=5), "serializ|Expected|field"),
    ],
)
def test_an_unusable_result_is_a_value(annotation, value, says):
    found = returning(annotation).result(value)
    assert isinstance(found, ResultInvalid)
    assert re.search(says, found.reason)


@pytest.mark.parametrize(
    ("annotation", "value", "canonical"),
    [
        (None, None, None),
        (bool, True, True),
        (Any, {"a": (1, 0.5)}, {"a": [1, "0.5"]}),
        (Decimal, Decimal("1.50"), "1.50"),
        (list[Money], [Money(5, "JPY")], [{"currency": "JPY", "minor": 5}]),
        (Stamped, Stamped(at=NOW.astimezone()), {"at": "2026-03-01T10:00:00Z"}),
    ],
)
def test_results_in_canonical_form(annotation, value, canonical):
    found = returning(annotation).result(value)
    assert isinstance(found, Result)
    assert found.canonical == canonical


def test_secrets_are_stored_nowhere_and_internal_parts_are_not_for_the_model():
    refund = Refund(id="re_1", amount=Money(1, "EUR"), reason=Reason.LATE, risk=7, token="tok_secret")
    found = returning(Nested).result(Nested(refunds=[refund], by_name={"a": "tok_secret"}))
    assert isinstance(found, Result)
    assert "tok_secret" not in str(found)
    assert found.canonical["refunds"][0]["risk"] == 7
    assert "risk" not in found.model["refunds"][0]
    assert found.model["by_name"] == {}


def test_recursive_results_are_cut_too():
    class Node(BaseModel):
        pin: Secret[str] = "1234"
        children: "list[Node]" = []

    Node.model_rebuild(_types_namespace={"Node": Node})
    found = returning(Node).result(Node(children=[Node(children=[Node()])]))
    assert "1234" not in str(found)


def test_effects():
    assert (read.writes, once.writes, once.kind) == (False, True, EffectKind.ONCE)
    assert read.annotations["readOnlyHint"] is True
    assert keyed("24h").ttl == timedelta(hours=24)
    assert lookup(print, settle="2m").settle == timedelta(minutes=2)
    assert ship_parcel.effect.find is not None
    for wrong in ("1w", "", "-1s", "1.5h", 30, "0s", timedelta(0)):
        with pytest.raises(DefinitionError, match="not a duration"):
            duration(wrong)


def test_subjects_and_keys():
    assert Subject.ANONYMOUS.anonymous
    assert not SUBJECT.anonymous
    ctx = context(provider_key="key_1")
    assert not ctx.key_used
    assert (ctx.idempotency_key, ctx.key_used) == ("key_1", True)


def test_what_an_action_needs():
    assert refund_payment.needs == ship_parcel.needs == {Payments}
    assert (refund_payment.injected, ship_parcel.injected, look_up_hours.needs) == ({"books": Payments}, {}, frozenset())
