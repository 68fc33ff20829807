"""What an action may say of a ledger, and what it then expects of one call."""

import pytest
from pydantic import BaseModel

from remit import Context, DefinitionError, Money, Secret, action, per_call
from remit.actions import Catalog, entered, read
from remit.actions.library import accounts, appointments, payments, plans

SAID = {"key": per_call, "owns": None, "owns_reason": "a test"}


class Receipt(BaseModel):
    id: str
    amount: Money


def paying(ledger, **more):
    @action(**SAID, ledger=ledger, **more)
    async def pay(ctx: Context, account: str, amount: Money, pin: Secret[str] = "none") -> Receipt:
        """Pay."""
        return Receipt(id=account, amount=amount)

    return pay


def test_the_librarys_own_declarations_hold():
    found = Catalog([payments, plans, appointments, accounts])
    named = {name: one.ledger.effect for name, one in found.items() if one.ledger}
    assert named == {
        "book_appointment": "appointment",
        "cancel_appointment": "cancellation",
        "change_plan": "plan_change",
        "refund_payment": "refund",
        "reschedule_appointment": "appointment",
        "send_password_reset": "mail",
    }


def test_it_gives_what_the_ledger_must_show_of_a_call():
    ledger = entered("payment", about="result.id", amount="arguments.amount", detail="call.id")
    Catalog([paying(ledger)])
    asked = {"account": "a", "amount": {"currency": "EUR", "minor": 5}}
    assert ledger.expected("call_1", asked, {"id": "r"}) == {
        "enters": True,
        "about": "r",
        "amount": Money(5, "EUR"),
        "detail": "call_1",
    }
    # Of a call that was erased, or that has no result, that is not known.
    assert ledger.expected("call_1", {}, None) == {"enters": True, "about": None, "amount": None, "detail": "call_1"}


def test_a_call_may_say_that_it_has_left_nothing():
    ledger = entered("payment", about="call.id", only=("result.id", "paid"))
    Catalog([paying(ledger)])
    assert (ledger.expected("c", {}, {"id": "paid"})["enters"], ledger.expected("c", {}, {"id": "none"})["enters"]) == (True, False)
    assert ledger.expected("c", {}, {})["about"] is None  # which of the two, nobody knows any more


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"about": "arguments.nothing"}, "no such thing"),
        ({"about": "result.nothing"}, "no such thing"),
        ({"about": "arguments.pin"}, "a secret"),
        ({"about": "arguments.account", "amount": "arguments.account"}, "not Money"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_when_the_actions_are_put_together(said, why):
    with pytest.raises(DefinitionError, match=why):
        Catalog([paying(entered("payment", **said))])


@pytest.mark.parametrize("path", ["facts.payment.id", "account", "arguments.", "subject.id", ""])
def test_what_is_no_path_is_refused_at_once(path):
    with pytest.raises(DefinitionError, match="is no path"):
        entered("payment", about=path)


def test_an_action_that_only_reads_leaves_nothing_in_a_ledger():
    @action(effect=read, owns=None, owns_reason="a test", ledger=entered("look", about="call.id"))
    async def look(ctx: Context) -> None:
        """Look."""

    with pytest.raises(DefinitionError, match="only reads"):
        Catalog([look])


def test_anything_else_is_refused():
    with pytest.raises(DefinitionError, match="ledger= is entered"):
        paying("payment")
