"""Whatever breaks a rule of the shop is stopped, by that rule and no other; where the rule is left out, it goes through."""

import asyncio
from dataclasses import replace
from itertools import islice

import pytest
import yaml

from examples.retail.shop import changes, lookups
from remit import per_call
from remit.actions import Catalog
from remit.audit import State
from remit.errors import NotAnApprover
from tests.retail.desk import FLOOR, POLICIES, opened
from tests.retail.violations import ADDRESS, BREAKING, by_itself, cashless, legitimate, original, swap, swappable

ENOUGH = 10


@pytest.fixture
async def desk(bed, tmp_path):
    async with opened(bed, tmp_path) as open_desk:
        yield open_desk


@pytest.fixture
async def lax(bed, tmp_path):
    """The control: as the original tools are, with no rule but what they check themselves, one's own order or not, any number at a time."""
    unruled = tmp_path / "policies"
    unruled.mkdir()
    policy = {"policy": "anything", "actions": sorted(Catalog([lookups, changes])), "rules": [{"id": "goes", "then": "allow"}]}
    (unruled / "anything.yaml").write_text(yaml.safe_dump(policy))
    said = {"owns": None, "owns_reason": "the original asks nobody", "again": changes.cancel_pending_order.again}
    careless = [replace(one, **said, key=one.key and per_call) for one in Catalog([lookups, changes]).values()]
    async with opened(bed, tmp_path, careless, unruled) as open_desk:
        yield open_desk


def unchanged(desk, bed):
    return all(desk.shop.tables[name] == bed.tables[name] for name in bed.tables) and not desk.shop.tables["transfers"]


def some(asked):
    found = list(islice(asked, ENOUGH))
    assert len(found) == ENOUGH
    return found


@pytest.mark.parametrize("rule", BREAKING)
async def test_what_breaks_a_rule_is_denied_by_that_rule_alone(rule, desk, bed):
    for customer, name, arguments in some(BREAKING[rule](bed)):
        outcome = await desk.done(customer, name, arguments)
        assert outcome.state is State.DENIED
        assert await desk.denials(outcome) == {rule}, (customer, name, arguments)
    assert unchanged(desk, bed)


async def test_control_an_item_is_exchanged_for_itself_where_no_rule_forbids_it(lax, bed):
    assert all([(await lax.done(*asked)).ok for asked in some(by_itself(bed))])


async def test_nothing_is_done_for_somebody_who_has_not_logged_in(desk, bed):
    for customer, name, arguments in some(legitimate(bed)):
        read = {"user_id": customer}
        for asked in (
            (name, arguments),
            ("get_user_details", read),
            ("list_all_product_types", {}),
            ("transfer_to_human_agents", {"summary": "x"}),
        ):
            outcome = await desk.ask(desk.session(customer, assurance=0), *asked)
            assert outcome.state is State.DENIED
            assert await desk.denials(outcome) == {"customer/not_logged_in"}
            assert "find your account" in outcome.message()
            assert (await desk.ask(desk.session("anonymous", assurance=0), *asked)).state is State.DENIED
    assert unchanged(desk, bed)


async def test_finding_an_account_comes_before_and_afterwards_finds_only_oneself(desk, bed):
    for customer, row in islice(bed.users.items(), ENOUGH):
        name = {"first_name": row["name"]["first_name"], "last_name": row["name"]["last_name"], "zip": row["address"]["zip"]}
        stranger = next(user for user in bed.users if user != customer)
        for asked in (("find_user_id_by_email", {"email": row["email"]}), ("find_user_id_by_name_zip", name)):
            assert (await desk.ask(desk.session("anonymous", assurance=0), *asked)).result == customer
            assert (await desk.ask(customer, *asked)).result == customer
            assert (await desk.ask(stranger, *asked)).error.code == "not_found"


async def test_an_order_of_another_customer_is_as_if_it_did_not_exist(desk, bed):
    for customer, name, arguments in some(asked for asked in legitimate(bed) if "order_id" in asked[2]):
        stranger = next(user for user in bed.users if user != customer)
        missing = await desk.ask(stranger, name, {**arguments, "order_id": "#W0000000"})
        for asked in ((name, arguments), ("get_order_details", {"order_id": arguments["order_id"]})):
            outcome = await desk.ask(stranger, *asked)
            assert (outcome.state, outcome.error) == (State.DENIED, missing.error)
            assert outcome.error.code == "not_found"
        assert (await desk.ask(stranger, "get_user_details", {"user_id": customer})).error.code == "not_found"
    assert unchanged(desk, bed)


async def test_a_conversation_is_with_one_customer(desk, bed):
    for customer, name, arguments in some(legitimate(bed)):
        first = next(user for user in bed.users if user != customer)
        here = desk.session(first)
        assert (await desk.ask(here, "get_user_details", {"user_id": first})).ok
        second = desk.session(customer, here.conversation)
        for asked in ((name, arguments), ("get_user_details", {"user_id": customer}), ("calculate", {"expression": "1 + 1"})):
            assert await desk.denials(await desk.ask(second, *asked)) == {"customer/another_customer"}
        never_opened = replace(second, conversation="never-opened")
        assert await desk.denials(await desk.ask(never_opened, name, arguments)) == {"customer/another_customer"}
    assert unchanged(desk, bed)


async def test_control_strangers_reach_every_order_where_no_rule_forbids_it(lax, bed):
    for customer, name, arguments in some(legitimate(bed)):
        stranger = next(user for user in bed.users if user != customer)
        assert (await lax.ask(stranger, "get_user_details", {"user_id": customer})).ok
        if "payment_method_id" not in arguments:
            assert (await lax.done(lax.session(stranger, assurance=0), name, arguments)).ok


async def test_nothing_is_changed_before_the_customer_agrees_to_the_details(desk, bed):
    for customer, name, arguments in some(legitimate(bed)):
        outcome = await desk.ask(customer, name, arguments)
        assert outcome.state is State.WAITING
        assert [one["rule"] for one in (await desk.decision(outcome))["requirements"]] == ["consent/to_the_details"]
        assert unchanged(desk, bed)
        for somebody in ("desk-agent", FLOOR, next(user for user in bed.users if user != customer)):
            with pytest.raises(NotAnApprover):
                await desk.runtime.confirm(outcome.call_id, subject=somebody)
        declined = await desk.runtime.confirm(outcome.call_id, subject=customer, answer="reject")
        assert declined.state is State.DECLINED
    assert unchanged(desk, bed)
    assert not [name for name in desk.runtime.catalog if "confirm" in name], "nothing that a model can call agrees for the customer"


async def test_a_yes_to_one_price_is_none_to_another(desk, bed):
    for customer, order, item, method in islice(swappable(bed, "pending", "delivered"), ENOUGH):
        desk.start_over()
        variant = bed.variants(item)[0]
        outcome = await desk.ask(customer, *swap(order, item, variant["item_id"], method))
        before = (await desk.runtime.confirmation(outcome.call_id, subject=customer)).summary.sentence
        product = desk.shop.tables["products"][item["product_id"]]
        dearer = {**variant, "price": round(variant["price"] + 1, 2)}
        desk.shop.tables["products"][item["product_id"]] = {**product, "variants": {**product["variants"], variant["item_id"]: dearer}}
        again = await desk.runtime.confirm(outcome.call_id, subject=customer)
        assert again.state is State.WAITING
        assert desk.shop.tables["orders"] == bed.tables["orders"]
        after = (await desk.runtime.confirmation(outcome.call_id, subject=customer)).summary.sentence
        assert item["name"] in after and before != after
        assert (await desk.runtime.confirm(outcome.call_id, subject=customer)).ok
        desk.pause()


async def test_control_it_is_changed_unasked_where_no_rule_asks(lax, bed):
    assert all([(await lax.ask(*asked)).ok for asked in some(legitimate(bed))])


def after_items(bed):
    """Give pending orders whose items can be changed: the change, and then whatever else could be asked of the order."""
    for customer, order, item, method in swappable(bed, "pending"):
        if (variants := bed.variants(item)) and (others := [key for key in cashless(bed, customer) if key != original(order)]):
            order_id = order["order_id"]
            later = [
                ("cancel_pending_order", {"order_id": order_id, "reason": "no longer needed"}),
                ("modify_pending_order_address", {"order_id": order_id, **ADDRESS}),
                ("modify_pending_order_payment", {"order_id": order_id, "payment_method_id": others[0]}),
            ]
            if len(order["items"]) > 1 and (next_one := bed.variants(order["items"][1])):
                later.append(swap(order, order["items"][1], next_one[0]["item_id"], method))
            yield customer, swap(order, item, variants[0]["item_id"], method), later


async def test_once_its_items_were_changed_nothing_else_about_an_order_is(desk, bed):
    tried = set()
    for customer, change, later in some(after_items(bed)):
        assert (await desk.done(customer, *change)).ok
        order = desk.shop.tables["orders"][change[1]["order_id"]]
        for name, arguments in later:
            outcome = await desk.done(customer, name, arguments)
            assert "pending/items_were_changed" in await desk.denials(outcome)
            assert await desk.denials(outcome) <= {"pending/items_were_changed", "payment_changes/changed_before"}
            tried.add(name)
        assert desk.shop.tables["orders"][order["order_id"]] is order
    assert len(tried) == 4


async def test_control_a_changed_order_takes_a_new_address_and_is_cancelled_where_no_rule_forbids_it(lax, bed):
    for customer, change, later in some(after_items(bed)):
        assert (await lax.done(customer, *change)).ok
        assert all([(await lax.done(customer, *asked)).ok for asked in reversed(later[:2])])


def two_changes(bed):
    for customer, _, arguments in legitimate(bed):
        if "order_id" in arguments:
            first = ("modify_user_address", {"user_id": customer, **ADDRESS})
            yield customer, first, ("modify_user_address", {"user_id": customer, **ADDRESS, "zip": "78702"})


async def test_of_two_changes_asked_for_at_once_one_is_taken(desk, bed):
    for customer, first, second in some(two_changes(bed)):
        here = desk.session(customer)
        outcomes = await asyncio.gather(*(desk.ask(here, *asked) for asked in (first, second)))
        waiting, refused = sorted(outcomes, key=lambda outcome: outcome.state is State.DENIED)
        assert waiting.state is State.WAITING
        assert refused.error.code == "effect_taken"
        assert waiting.call_id in refused.message()
        elsewhere = await desk.ask(customer, *(second if waiting is outcomes[0] else first))
        assert elsewhere.error.code == "effect_taken", "not in another conversation either"
        await desk.runtime.confirm(waiting.call_id, subject=customer, answer="reject")
        assert (await desk.done(here, *second)).ok, "one after the other they are done"


async def test_control_both_are_taken_where_each_call_is_an_effect_of_its_own(lax, bed):
    for customer, first, second in some(two_changes(bed)):
        outcomes = await asyncio.gather(*(lax.ask(customer, *asked) for asked in (first, second)))
        assert all(outcome.ok for outcome in outcomes)


async def test_nobody_is_handed_over_for_what_the_desk_can_do(desk, bed):
    for customer, name, arguments in some(legitimate(bed)):
        summary = f"The customer wants {name} for {arguments.get('order_id', 'the profile')}."
        outcome = await desk.ask(customer, "transfer_to_human_agents", {"summary": summary})
        assert outcome.state is State.WAITING
        assert [one["rule"] for one in (await desk.decision(outcome))["requirements"]] == ["handover/a_person_takes_it"]
        back = await desk.runtime.vote(outcome.call_id, person=FLOOR, answer="reject", reason="The desk can do this.")
        assert back.state is State.DECLINED
    assert unchanged(desk, bed)


async def test_control_anybody_is_handed_over_where_no_person_is_asked(lax, bed):
    for customer, *_ in some(legitimate(bed)):
        assert (await lax.ask(customer, "transfer_to_human_agents", {"summary": "The customer wants to cancel a pending order."})).ok
    assert len(lax.shop.tables["transfers"]) == ENOUGH


async def test_the_payment_of_an_order_is_changed_once(desk, bed):
    changed = 0
    for customer, order in bed.orders("pending"):
        others = [key for key in cashless(bed, customer) if key != original(order)]
        if others and changed < ENOUGH:
            asked = ("modify_pending_order_payment", {"order_id": order["order_id"], "payment_method_id": others[0]})
            assert (await desk.done(customer, *asked)).ok
            assert await desk.denials(await desk.done(customer, *asked)) == {"payment_changes/changed_before"}
            changed += 1
    assert changed == ENOUGH


def test_every_deny_of_the_policies_is_tried_here():
    rules = [
        (f"{written['policy']}/{rule['id']}", rule["then"])
        for path in POLICIES.rglob("*.yaml")
        if not path.name.endswith("_test.yaml")
        for written in [yaml.safe_load(path.read_text())]
        for rule in written["rules"]
    ]
    elsewhere = {"customer/not_logged_in", "customer/another_customer", "pending/items_were_changed", "payment_changes/changed_before"}
    assert {name for name, then in rules if then == "deny"} == {*BREAKING, *elsewhere}
