"""What reverses an action is checked when actions are put together, and told its arguments from the call that it reverses."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from remit.actions import Action, Catalog, Context, Money, Secret, Undo, action, per_call, read, undo
from remit.actions.library import accounts, appointments, payments, plans
from remit.errors import DefinitionError

WRITES = {"key": per_call, "owns": None, "owns_reason": "a test"}


class Order(BaseModel):
    id: str
    total: Money
    number: int = 1
    note: str | None = None
    token: Secret[str] = "tok"


class Basket(BaseModel):
    weight: Decimal
    labels: dict[str, str]


async def load_basket(basket: str) -> Basket:
    return Basket(weight=Decimal("1.5"), labels={"colour": "red"})


def placed(**declared: Any) -> Action:
    @action(facts={"basket": load_basket}, **WRITES | declared)
    async def place_order(basket: str, note: str | None = None, gift: bool = False, code: Secret[str] = "c") -> Order:
        """Place an order."""
        return Order(id="o_1", total=Money(4990, "EUR"))

    return place_order


@action(**WRITES)
async def cancel_order(
    order: str, total: Money | None = None, weight: Decimal | None = None, reason: str = "none", note: str | None = None, fast: bool = False
) -> None:
    """Cancel an order."""


@action(**WRITES)
async def drop(basket: str, gift: bool) -> None:
    """Drop a basket."""


@action(effect=read, owns=None, owns_reason="a test")
async def look(basket: str) -> None:
    """Look at a basket."""


FIRST = {
    "call_id": "call_1",
    "arguments": {"basket": "b_1", "gift": True, "code": "c"},
    "result": {"id": "o_1", "total": {"currency": "EUR", "minor": 4990}, "number": 1},
    "facts": {"basket": {"weight": "1.5", "labels": {"colour": "red"}}},
}


def raw(declared: Any, **first: Any) -> dict[str, Any]:
    catalog = Catalog([placed(undo=declared), cancel_order, drop, look])
    found = catalog["place_order"].undo
    assert found is not None
    return found.raw(catalog[found.action], **FIRST | first)


def test_an_action_says_nothing_of_undo_unless_it_is_told():
    assert placed().undo is None
    assert placed(undo="drop").undo == Undo("drop") == undo("drop")


def test_a_bare_name_passes_the_required_arguments_of_the_same_names():
    assert raw("drop") == {"basket": "b_1", "gift": True}


def test_arguments_come_from_the_call_its_result_and_its_facts_as_a_model_would_send_them():
    made = raw(undo("cancel_order", order="result.id", total="result.total", weight="facts.basket.weight", reason="'too late'", fast=True))
    assert made["total"] == {"value": "49.90", "currency": "EUR"}
    assert (made["order"], made["reason"], made["fast"]) == ("o_1", "too late", True)
    assert cancel_order.read(made).values["weight"] == Decimal("1.5")
    assert raw(undo("cancel_order", order="call.id"))["order"] == "call_1"
    assert raw(undo("cancel_order", order="facts.basket.labels.colour"))["order"] == "red"


def test_the_facts_that_undoing_takes_from_are_loaded_whatever_the_rules_read():
    assert placed(undo=undo("cancel_order", order="facts.basket.labels.colour", reason="'facts.x'")).summary_facts == {"basket"}
    assert placed(undo=undo("cancel_order", order="result.id")).summary_facts == placed(undo="drop").summary_facts == frozenset()


def test_the_whole_result_is_a_path():
    @action(undo=undo("cancel_order", order="result"), **WRITES)
    async def place() -> str:
        """Place an order."""
        return "o_1"

    catalog = Catalog([place, cancel_order])
    assert catalog["place"].undo.raw(cancel_order, call_id="call_1", arguments={}, result="o_2")["order"] == "o_2"


def test_an_argument_that_was_left_out_is_left_out_again():
    declared = undo("cancel_order", order="arguments.basket", note="arguments.note")
    assert "note" not in raw(declared)
    assert raw(declared, arguments={"basket": "b_1", "note": "n"})["note"] == "n"


@pytest.mark.parametrize(
    ("declared", "first", "words"),
    [
        (undo("cancel_order", order="result.id"), {"result": {}}, "cancel_order can't be told its order: the call has no result.id"),
        (undo("cancel_order", order="result.id"), {"result": None}, "no result.id"),
        (undo("cancel_order", order="result.note"), {}, "no result.note"),
        (undo("cancel_order", order="call.id", note="result.note"), {}, "no result.note"),
        (undo("cancel_order", order="call.id", weight="facts.basket.weight"), {"facts": None}, "no facts.basket.weight"),
        (undo("cancel_order", order="arguments.note"), {}, "no arguments.note"),
        (undo("cancel_order", order="result.id"), {"result": {"id": 7}}, "order"),
    ],
)
def test_what_is_missing_at_the_call_is_said_in_words(declared, first, words):
    with pytest.raises(ValueError, match=words):
        raw(declared, **first)


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ("drop_it", r"place_order: undo='drop_it' is not registered; did you mean 'drop'\?"),
        ("zzz", "not registered; register the action that reverses it as well, or leave undo= out"),
        ("look", "place_order: undo='look' only reads, so it reverses nothing"),
        ("cancel_order", r'undo takes order from arguments\.order, and there is no such thing; write undo\("cancel_order", order="…"\)'),
        (undo("cancel_order", fast=True), r'needs order; say where from, such as undo\("cancel_order", order="result\.id"\)'),
        (undo("cancel_order", order="result.id", size=1), "gives 'size', which cancel_order does not take; it takes fast, note, order"),
        (undo("cancel_order", order="result.name"), r"order from result\.name, and there is no such thing"),
        (undo("cancel_order", order="arguments.order"), r"order from arguments\.order, and there is no such thing"),
        (undo("cancel_order", order="facts.order.id"), r"order from facts\.order\.id, and there is no such thing"),
        (undo("cancel_order", order="facts.basket.size"), r"facts\.basket\.size, and there is no such thing"),
        (undo("cancel_order", order="result.id.more"), "there is no such thing"),
        (undo("cancel_order", order="result.number"), r"result\.number is integer, and order of cancel_order takes string"),
        (undo("cancel_order", order="result"), "result is object, and order of cancel_order takes string"),
        (undo("cancel_order", order=7), "7 is integer, and order of cancel_order takes string"),
        (undo("cancel_order", order="call.id", fast="'yes'"), "takes boolean"),
        (undo("cancel_order", order="result.token"), r"result\.token, a secret, which is not kept that long"),
        (undo("cancel_order", order="arguments.code"), r"arguments\.code, a secret"),
    ],
)
def test_what_could_not_be_undone_is_refused_when_actions_are_put_together(declared, words):
    with pytest.raises(DefinitionError, match=words):
        Catalog([placed(undo=declared), cancel_order, drop, look])


def test_an_argument_of_another_type_is_not_the_same_argument():
    @action(name="drop", **WRITES)
    async def other(basket: int) -> None:
        """Drop a basket."""

    with pytest.raises(DefinitionError, match=r"arguments\.basket is string, and basket of drop takes integer"):
        Catalog([placed(undo="drop"), other])


@pytest.mark.parametrize("source", ["result.", "argument.id", "id", "'open", "facts", "arguments", "call", "call.tenant", "", "result.a b"])
def test_text_that_is_no_path_is_refused_where_it_is_written(source):
    with pytest.raises(DefinitionError, match="is no path; it begins with arguments"):
        undo("cancel_order", order=source)


def test_nothing_and_other_values_are_refused():
    with pytest.raises(DefinitionError, match="order=None says nothing"):
        undo("cancel_order", order=None)
    with pytest.raises(DefinitionError, match=r'undo= is the name of an action, or undo\("NAME", …\), not 7'):
        placed(undo=7)


def test_what_says_nothing_of_its_result_is_trusted_until_the_call():
    @action(undo=undo("cancel_order", order="result.any.thing"), **WRITES)
    async def place() -> dict[str, Any]:
        """Place an order."""
        return {}

    catalog = Catalog([place, cancel_order])
    assert catalog["place"].undo.raw(cancel_order, call_id="c", arguments={}, result={"any": {"thing": "o"}})["order"] == "o"


# Delay


def test_a_delay_is_a_time_of_an_action_that_writes():
    assert placed().delay is None
    assert placed(delay="10m").delay == placed(delay=timedelta(minutes=10)).delay == timedelta(minutes=10)
    with pytest.raises(DefinitionError, match="'soon' is not a duration"):
        placed(delay="soon")
    with pytest.raises(DefinitionError, match=r"look: delay= is a cooling-off before something is done, and this action only reads"):
        action(effect=read, owns=None, owns_reason="a test", delay="10m", name="look")(look.handler)


# The library


def test_the_library_undoes_what_can_be_taken_back_and_nothing_else():
    catalog = Catalog([accounts, appointments, payments, plans])
    assert {name: one.undo.action for name, one in catalog.items() if one.undo} == {
        "book_appointment": "cancel_appointment",
        "reschedule_appointment": "reschedule_appointment",
    }


def test_a_booking_is_undone_by_the_name_of_its_call_and_a_move_by_the_slot_it_left():
    catalog = Catalog([appointments])
    ctx = Context("call_1", "x", "t", "p", None, 1, deadline=None)  # type: ignore[arg-type]
    stands = {
        "id": "call_0",
        "start": "2030-01-07T09:00:00Z",
        "end": "2030-01-07T09:30:00Z",
        "customer": "ada",
        "slot_id": "20300107T0900Z",
    }
    first = {"call_id": ctx.call_id, "arguments": {"slot_id": "20300107T0900Z", "topic": ""}, "result": stands}
    booked = catalog["book_appointment"]
    assert booked.undo.raw(catalog["cancel_appointment"], **first) == {"appointment_id": "call_1"}
    moved = catalog["reschedule_appointment"]
    first = {
        "call_id": "call_2",
        "arguments": {"appointment_id": "call_0", "slot_id": "20300107T1000Z"},
        "result": stands | {"slot_id": "20300107T1000Z"},
        "facts": {"appointment": stands},
    }
    assert moved.undo.raw(moved, **first) == {"appointment_id": "call_0", "slot_id": "20300107T0900Z"}
