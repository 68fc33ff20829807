"""No personal value lies in the database in clear, and no secret anywhere a call can be looked at."""

import asyncio

import pytest

from remit import Refused, Unsure
from remit.audit import State
from tests.runtime.bank import ALLOW, LARGE, NOTES, Store, asks, gated, kinds, raising, says, session

PERSONAL = {
    "argument": "ARGUMENT-VALUE-77",
    "fact": "FACT-VALUE-77",
    "result": "RESULT-VALUE-77",
    "vote": "VOTE-REASON-77",
    "cancel": "CANCEL-REASON-77",
    "refused": "REFUSED-REASON-77",
    "unsure": "UNSURE-REASON-77",
    "subject": "SUBJECT-NAME-77",
    "wrong": "WRONG-VALUE-77",
    "key": "pay_ZZ77",
}
PUBLIC = "PUBLIC-VALUE-77"
SECRET = "SECRET-PIN-77"
LOOKS = (
    ALLOW
    + """
  - id: stumbles
    when: timestamp(facts.payment.memo) > now
    then: require_approval
    approval: {by: finance, votes: 1, within: 4h}
"""
)


async def everything(runtime, world):
    """Let each kind of personal value pass through the runtime in each way it can."""
    world.bank.replied = PERSONAL["result"]
    world.bank.payments["pay_1"].memo = PERSONAL["fact"]
    customer = session(subject=PERSONAL["subject"])
    for number in range(1, 9):
        world.bank.payments[f"pay_{number}"].customer = PERSONAL["subject"]
    world.bank.payments[PERSONAL["key"]] = world.bank.payments["pay_1"]
    ids = [(await runtime.submit(says(PERSONAL["argument"], pin=SECRET, place=PUBLIC), customer)).call_id]
    waiting = await runtime.submit(asks(payment=PERSONAL["key"], euros=LARGE, note=PERSONAL["argument"]), customer)
    ids.append((await runtime.vote(waiting.call_id, person="fay", answer="approve", reason=PERSONAL["vote"])).call_id)
    for number, (name, answer) in enumerate({"transfer": "reject", "cheque": "cancel"}.items(), 2):
        call_id = (await runtime.submit(asks(name, f"pay_{number}", LARGE), customer)).call_id
        if answer == "reject":
            await runtime.vote(call_id, person="fay", answer="reject", reason=PERSONAL["vote"])
        else:
            await runtime.cancel(call_id, by=PERSONAL["subject"], reason=PERSONAL["cancel"])
        ids.append(call_id)
    world.bank.plan.append(raising(Refused(PERSONAL["refused"], definite=True)))
    ids.append((await runtime.submit(asks("transfer", "pay_4"), customer)).call_id)
    world.bank.plan.append(raising(Unsure(PERSONAL["unsure"])))
    ids.append((await runtime.submit(asks("cheque", "pay_5"), customer)).call_id)
    ids.append(
        (await runtime.submit({"name": "refund", "arguments": {"payment_id": "pay_6", "amount": PERSONAL["wrong"]}}, customer)).call_id
    )
    return ids


async def test_a_condition_that_stumbles_over_a_value_does_not_repeat_it(world):
    world.policies(payments=LOOKS, notes=NOTES)
    world.bank.payments["pay_1"].memo = PERSONAL["fact"]
    async with world.running() as runtime:
        outcome = await runtime.submit(asks(), session())
        assert outcome.state is State.WAITING, "the control: what can't be evaluated counts"
        assert PERSONAL["fact"] in str(await runtime.view(outcome.call_id))
    assert PERSONAL["fact"].encode() not in world.bytes()


async def test_no_personal_value_lies_in_clear_on_the_disk(world):
    async with world.running() as runtime:
        ids = await everything(runtime, world)
        assert None not in ids
        opened = str([await runtime.view(call_id) for call_id in ids])
        for what, value in PERSONAL.items():
            assert value in opened, f"the control: {what} is there, sealed"
        if not Store.server:
            assert world.database.with_name("remit.db-wal").stat().st_size > 0, "the control: the write-ahead log is looked at too"
        found = [what for what, value in PERSONAL.items() if value.encode() in world.bytes()]
        assert found == []
        assert PUBLIC.encode() in world.bytes(), "the control: what is public would be found"
        assert (await runtime.verify()).ok
    assert [what for what, value in PERSONAL.items() if value.encode() in world.bytes()] == []


async def test_a_secret_is_in_no_event_view_or_outcome(runtime, world):
    gate, entered = asyncio.Event(), asyncio.Event()
    world.bank.plan.append(gated(gate, entered))
    caller = asyncio.create_task(runtime.submit(says("x", pin=SECRET), session()))
    await entered.wait()
    view = await runtime.view((await runtime.calls())[0].id)
    assert view.arguments["pin"] == "•••" and SECRET not in str(view)
    gate.set()
    outcome = await caller
    view = await runtime.view(outcome.call_id)
    assert SECRET not in str(view) + str(outcome.to_json())
    assert SECRET.encode() not in world.bytes()


async def test_a_secret_is_sealed_with_its_call_only_while_it_is_needed(runtime, world):
    """Whoever holds the person's key can open it while the call can still move, and nobody can afterwards."""
    gate, entered = asyncio.Event(), asyncio.Event()

    async def sealed(call) -> str:
        return str((await runtime.parts.vault.by_pseudonym(call.subject)).open(call.sealed, call.id))

    world.bank.plan.append(gated(gate, entered))
    caller = asyncio.create_task(runtime.submit(says("x", pin=SECRET), session()))
    await entered.wait()
    call = (await runtime.calls())[0]
    assert call.state is State.EXECUTING and SECRET in await sealed(call), "the control"
    gate.set()
    await caller
    assert SECRET not in await sealed((await runtime.calls())[0])


@pytest.mark.parametrize("how", ["cancelled", "declined", "expired", "denied"])
async def test_a_secret_goes_however_a_call_ends(world, how):
    asking = NOTES.replace(
        "  - id: anybody", "  - id: look\n    then: require_approval\n    approval: {by: finance, votes: 1, within: 1h}\n  - id: anybody"
    )
    world.policies(payments=ALLOW, notes=asking)
    async with world.running() as runtime:
        call_id = (await runtime.submit(says("x", pin=SECRET), session())).call_id
        match how:
            case "cancelled":
                await runtime.cancel(call_id, by="fay")
            case "declined":
                await runtime.vote(call_id, person="fay", answer="reject")
            case "expired":
                world.time.pass_(hours=2)
                await runtime.wait(call_id, 30)
            case "denied":
                world.policies(payments=ALLOW, notes=asking + "  - id: stop\n    then: deny\n")
                await runtime.reload_policies(by="fay")
                await runtime.vote(call_id, person="fay", answer="approve")
        call = await runtime.parts.store.get(call_id)
        assert call.state == how
        assert SECRET not in str((await runtime.parts.vault.by_pseudonym(call.subject)).open(call.sealed, call.id))


async def test_a_secret_reaches_the_handler_after_a_restart(world):
    from remit.runtime.votes import vote

    asking = NOTES.replace(
        "  - id: anybody", "  - id: look\n    then: require_approval\n    approval: {by: finance, votes: 1, within: 1h}\n  - id: anybody"
    )
    world.policies(payments=ALLOW, notes=asking)
    got = []

    async def keep(bank, ctx, about, key):
        got.append(about)
        return bank.apply(ctx, about, key)

    async with world.running() as runtime:
        call_id = (await runtime.submit(says("x", pin=SECRET), session())).call_id
        for task in runtime._background:
            task.cancel()
        await vote(runtime.parts, runtime.people, call_id, person="fay", answer="approve", reason="", digest=None, via="test")
    world.bank.plan.append(keep)
    async with world.running() as runtime:
        assert (await runtime.wait(call_id, 30)).state is State.SUCCEEDED
        assert got == ["x"]


async def test_events_to_read_hold_commitments_and_no_personal_values(runtime, world):
    await everything(runtime, world)
    await runtime._sequencer.catch_up()
    listed = str(await runtime.events(most=1_000))
    assert "commitments" in listed and PUBLIC in listed
    assert [what for what, value in PERSONAL.items() if value in listed] == []


async def test_an_export_discloses_only_where_it_is_told_to(runtime, world, tmp_path):
    await everything(runtime, world)
    await runtime.people.change_roles("sam", add=["reviewer"])
    for disclose in (False, True):
        folder = tmp_path / f"export-{disclose}"
        await runtime.export(folder, disclose=disclose, by="sam", purpose="a test")
        written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
        assert (PERSONAL["fact"].encode() in written) is disclose
        assert SECRET.encode() not in written


async def test_foreign_facts_are_not_recorded(runtime, world):
    world.bank.payments["pay_1"].memo = "FOREIGN-77"
    outcome = await runtime.submit(asks(), session(subject="zoe"))
    view = await runtime.view(outcome.call_id)
    assert kinds(view) == ["call.received", "call.denied"] and "FOREIGN-77" not in str(view)
