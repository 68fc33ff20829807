"""Accounts and plans, from the model's message to the mail that arrives and the subscription that changes."""

import json

import pytest

from remit.sandbox.mail import MailFault
from tests.stories.shop import LINK


async def test_a_reset_link_goes_to_the_address_on_file_only_and_works_once(shop):
    chosen = await shop.ask(shop.nobody, "send_password_reset", account="ada", email="mallory@example.com")
    assert (chosen.state, chosen.error.field_errors[0].path) == ("rejected", "email")
    assert shop.mail.messages == []

    sent, answer = await shop.ask_and_answer(shop.nobody, "send_password_reset", account="ada")

    assert sent.ok
    [mail] = shop.mail.messages
    assert mail["To"] == "ada@example.org"
    [token] = [line.removeprefix(LINK) for line in mail.get_content().splitlines() if line.startswith(LINK)]
    assert [await shop.links.redeem(token) for _ in range(2)] == ["acc_ada", None]
    kept = [(await shop.runtime.view(sent.call_id)).events, await shop.runtime.events()]
    assert token in mail.get_content()
    assert token not in json.dumps([answer, kept], default=str), "neither the model nor the log has the link"


async def test_a_reset_does_not_tell_whether_there_is_such_an_account(shop):
    known, unknown = [await shop.ask(shop.nobody, "send_password_reset", account=account) for account in ("ada", "eve")]

    said = [{name: value for name, value in one.to_json().items() if name != "call"} for one in (known, unknown)]
    assert said[0] == said[1]
    assert [mail["To"] for mail in shop.mail.messages] == ["ada@example.org"], "only one of them had somebody to write to"


@pytest.mark.parametrize("fault", [MailFault.LATER, MailFault.ANSWER_LOST])
async def test_nor_does_it_where_the_mail_server_fails_for_one_mail(shop, fault):
    shop.mail.faults.append(fault)
    known, unknown = [await shop.ask(shop.nobody, "send_password_reset", account=account) for account in ("ada", "eve")]

    said = [{name: value for name, value in one.to_json().items() if name != "call"} for one in (known, unknown)]
    assert said[0] == said[1]


async def test_who_asks_first_does_not_hold_a_reset_against_others(shop):
    assert (await shop.ask(shop.bo, "send_password_reset", account="ada")).ok
    theirs = await shop.ask(shop.nobody, "send_password_reset", account="ada")
    assert theirs.ok and not theirs.repeated
    assert [mail["To"] for mail in shop.mail.messages] == ["ada@example.org"] * 2


async def test_a_plan_is_changed_for_what_the_customer_was_shown_and_confirmed(shop):
    subscription = shop.subscribed(shop.ada)

    waiting = await shop.ask(shop.ada, "change_plan", "openai", subscription_id=subscription, plan="pro_monthly")
    asked = await shop.runtime.confirmation(waiting.call_id, subject=shop.ada.subject)

    assert (waiting.state, shop.provider.ledger()) == ("waiting", [])
    assert "€10.00 at once, then €19.00 each period" in asked.summary.sentence
    changed = await shop.runtime.confirm(waiting.call_id, subject=shop.ada.subject, digest=asked.digest, shown=asked.shown)
    assert (changed.ok, changed.result["plan"]) == (True, "pro_monthly")
    *_, decided = [event for event in (await shop.runtime.view(changed.call_id)).events if event["kind"] == "call.decided"]
    preview = decided["personal"]["/inputs/facts/preview"]
    [entry] = shop.provider.ledger()
    assert (entry.amount, entry.call) == (preview["due"]["minor"], changed.call_id)
    assert sum(line["amount"]["minor"] for line in preview["lines"]) == preview["due"]["minor"]


async def test_a_plan_that_nobody_offers_is_not_changed_to(shop):
    subscription = shop.subscribed(shop.ada)
    shop.provider.billing.create_price(
        currency="eur", unit_amount=0, recurring={"interval": "month"}, product_data={"name": "staff"}, lookup_key="staff_free"
    )

    denied = await shop.ask(shop.ada, "change_plan", subscription_id=subscription, plan="staff_free")

    assert denied.state == "denied"
    assert shop.provider.ledger() == []
