"""What an approver is told before answering: what will run, why it stopped, and what was done for the same person before."""

from tests.runtime.asking import TELLING, approve, asking, waits
from tests.runtime.bank import asks, says, session


async def test_an_approver_sees_what_will_run_why_it_stopped_and_what_was_before(world):
    world.bank.payments["pay_1"].memo = "lamp"
    because = "  - {id: large, then: require_approval, approval: {by: finance, escalate: {after: 1h, to: support}}, reason: It is much.}\n"
    cheap = because.replace("then:", "when: 'arguments.amount.currency != \"EUR\" || arguments.amount.minor > 700', then:", 1)
    async with asking(world, cheap).running(TELLING) as runtime:
        for number in range(2, 14):
            await runtime.submit(asks("transfer", f"pay_{number}", "5.00"), session())
        world.bank.payments["pay_20"].customer = "zoe"
        await runtime.submit(asks("transfer", "pay_20", "5.00"), session(subject="zoe"))
        review = await runtime.review(await waits(runtime))
        assert "lamp" in review.summary.sentence
        assert ("payments/large", "It is much.") in [(one["rule"], one["reason"]) for one in review.matched]
        assert review.errors == () and len(review.earlier) == 10
        assert all(one["state"] == "succeeded" and one["action"] == "transfer" for one in review.earlier)
        [asked] = review.call.requirements
        assert (asked["can"], asked["answers"], asked["escalates"]["to"]) == (["fay", "finn"], [], "support")


async def test_an_inbox_says_who_has_answered_and_who_still_can(world):
    async with asking(world, approve("a", "finance", 2), approve("b", "support")).running() as runtime:
        call_id = await waits(runtime)
        await runtime.vote(call_id, person="fay", answer="approve")
        [view] = await runtime.inbox()
        by_role = {one["by"]: one for one in view.requirements}
        assert [one["person"] for one in by_role["finance"]["answers"]] == ["fay"]
        assert (by_role["finance"]["can"], by_role["support"]["can"]) == (["finn"], ["sam"])
        await runtime.vote(call_id, person="finn", answer="approve")
        assert [one["for"] for one in (await runtime.get(call_id)).waiting] == ["approval by support"]


async def test_a_flood_of_other_questions_hides_nothing_from_an_approver(world, monkeypatch):
    monkeypatch.setattr("remit.runtime.inbox.MOST", 3)
    small, large = "'arguments.amount.currency == \"EUR\" && arguments.amount.minor < 500'", approve("large", "finance", within="9h")
    lead = approve("lead", "lead", when='arguments.amount.currency == "EUR" && arguments.amount.minor == 600')
    confirm = f"  - {{id: small, when: {small}, then: require_confirmation, confirmation: {{within: 1h}}}}\n"
    cheap = large.replace("'true'", "'arguments.amount.currency != \"EUR\" || arguments.amount.minor > 700'")
    async with asking(world, confirm, lead, cheap).running() as runtime:
        await runtime.people.add("lena", roles=["lead"])
        for number in range(2, 7):
            await waits(runtime, payment=f"pay_{number}", euros="1.00")
            await waits(runtime, payment=f"pay_{number + 10}", euros="6.00")
        call_id = await waits(runtime, euros="9.00")
        assert [view.id for view in await runtime.inbox(person="fay")] == [call_id]
        assert len(await runtime.inbox(person="lena")) == len(await runtime.inbox()) == 3


async def test_people_who_have_not_logged_in_are_not_one_customer(world):
    notes = "policy: notes\nactions: [jot, look_up]\nrules:\n  - {id: any, then: allow}\n"
    world.policies(notes=notes + approve("much", "finance"))
    async with world.running() as runtime:
        for subject, earlier in (("anonymous", []), ("kay", ["jot"])):
            here = session(subject=subject, conversation=subject)
            await runtime.submit(says("before"), here)
            review = await runtime.review((await runtime.submit(says("x"), here)).call_id)
            assert [one["action"] for one in review.earlier] == earlier
