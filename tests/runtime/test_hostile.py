"""Nothing that a model sends raises, floods the log, or passes for something else."""

import asyncio
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remit import Context, Injected, ToolCall, action
from remit.actions import Action, once, per_call
from remit.audit import State
from tests.runtime.bank import ACTIONS, Bank, asks, kinds, says, session

ANY = st.text(max_size=30)  # surrogates included
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(ANY | st.sampled_from(["text", "pin", "payment_id", "amount"]), inner, max_size=4)
    ),
    max_leaves=12,
)
NAMES = ANY | st.sampled_from([one.name for one in ACTIONS]) | st.none() | st.integers() | st.just("jot" * 100_000)
USABLE = st.sampled_from([asks()["arguments"], {"text": "milk"}, {"payment_id": "pay_1"}])
ARGUMENTS = (
    USABLE
    | JSON
    | st.binary(max_size=60)
    | st.sampled_from(["", "{", '{"text": "x", "text": "y"}', "[1e999999]", '{"text": "\\ud800"}', "[" * 5_000])
)
IDS = ANY | st.none() | JSON


@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES, arguments=ARGUMENTS, tool_call=IDS)
async def test_nothing_that_a_model_sends_raises(runtime, name, arguments, tool_call):
    outcome = await runtime.submit(ToolCall(tool_call, name, arguments), session())
    assert outcome.state in {State.REJECTED, State.DENIED, State.SUCCEEDED, State.FAILED, State.WAITING}
    assert isinstance(outcome.message(), str) and outcome.to_json()["state"] == outcome.state.value


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet=st.characters(), max_size=40), pin=ANY, place=ANY)
async def test_whatever_text_is_accepted_is_stored_and_verifies(runtime, text, pin, place):
    outcome = await runtime.submit({"id": None, "name": "jot", "arguments": {"text": text, "pin": pin, "place": place}}, session())
    if outcome.state is State.SUCCEEDED:
        view = await runtime.view(outcome.call_id)
        assert (view.arguments["text"], view.arguments["place"]) == (text, place)


async def test_after_all_that_the_log_verifies(runtime):
    for name, arguments in [
        ("\ud800", {}),
        ("jot", {"\ud800": 1}),
        ("jot", {"text": "\ud800"}),
        ("jot", "\ud800"),
        ("jot", None),
        ("", []),
    ]:
        outcome = await runtime.submit({"id": "\ud800", "name": name, "arguments": arguments}, session())
        assert outcome.state is State.REJECTED
    assert (await runtime.submit(says("fine", tag="\ud800"), session())).state is State.SUCCEEDED
    assert (await runtime.submit(says("fine", tag="\ud800"), session())).repeated
    assert (await runtime.verify()).ok


async def test_an_action_over_a_foreign_schema_takes_what_it_takes(world):
    properties = {f"field_{number}": {"type": "string"} for number in range(800)}
    schema = {"type": "object", "properties": {**properties, "a/b~c": {"type": "string", "x-remit": "secret"}}}

    async def take(bank: Injected[Bank], **arguments: str) -> dict:
        bank.effects.append(arguments["a/b~c"])
        return {name: value for name, value in arguments.items() if name != "a/b~c"}

    foreign = Action.from_schema(
        "take", schema, take, description="Take many.", effect=once, key=per_call, owns=None, owns_reason="it is about nobody"
    )
    (world.folder / "policies" / "payments.yaml").write_text("policy: p\nactions: [take]\nrules:\n  - {id: a, then: allow}\n")
    (world.folder / "policies" / "notes.yaml").unlink()
    async with world.running([foreign]) as runtime:
        sent = dict.fromkeys(properties, "x" * 10) | {"a/b~c": "HUSH-HUSH"}
        outcome = await runtime.submit({"name": "take", "arguments": sent}, session())
        assert (outcome.state, world.bank.effects) == (State.SUCCEEDED, ["HUSH-HUSH"])
        view = await runtime.view(outcome.call_id)
        assert "HUSH-HUSH" not in str(view.arguments) + str(view.events)
        assert (await runtime.verify()).ok


async def test_a_hostile_session_fails_alone(runtime, world):
    """A host may hand in what no database takes: its own call fails, and everybody else's goes on."""
    bad = session(conversation="\ud800", channel="\ud800")
    outcomes = await asyncio.gather(
        *(runtime.submit(says(f"note {number}"), bad if number % 2 else session()) for number in range(10)), return_exceptions=True
    )
    assert {one.state for one in outcomes[::2]} == {State.SUCCEEDED}
    assert all(isinstance(one, Exception) for one in outcomes[1::2])
    assert (await runtime.submit(says("after"), session())).state is State.SUCCEEDED


async def test_a_provider_may_say_what_it_likes(world):
    """References, codes and reasons come from outside: odd ones are kept as text, and the effect is settled."""

    @action(effect=once, key=per_call, owns=None, owns_reason="x", name="jot")
    async def odd(ctx: Context, text: str, bank: Injected[Bank]) -> str:
        """Use odd words."""
        bank.effects.append(text)
        ctx.reference({"id": 12.5} if text == "dict" else "\ud800" * 5_000, status=3)  # type: ignore[arg-type]
        return text

    notes = "policy: n\nactions: [jot]\nrules:\n  - {id: a, then: allow}\n"
    (world.folder / "policies" / "payments.yaml").unlink()
    (world.folder / "policies" / "notes.yaml").write_text(notes)
    async with world.running([odd]) as runtime:
        for text in ("dict", "text"):
            outcome = await runtime.submit({"name": "jot", "arguments": {"text": text}}, session())
            assert outcome.state is State.SUCCEEDED and isinstance(outcome.reference, str)
        assert (await runtime.verify()).ok


# unusable calls


async def unusable(runtime, *, turn: int = 0, name: str = "jot", principal: str = "bot", conversation: str = "c1"):
    return await runtime.submit(
        {"name": name, "arguments": {"txet": 1}}, session(turn=turn, principal=principal, conversation=conversation)
    )


async def test_an_unusable_call_says_how_to_repair_it(runtime):
    outcome = await unusable(runtime)
    assert (outcome.state, outcome.error.retry) == (State.REJECTED, "fix_arguments")
    assert {(one.path, one.suggestion) for one in outcome.error.field_errors} == {("text", None), ("txet", "did you mean `text`?")}
    assert kinds(await runtime.view(outcome.call_id)) == ["call.rejected"]


async def test_three_unusable_calls_turn_into_never_until_the_next_turn(runtime):
    assert [(await unusable(runtime)).error.retry for _ in range(4)] == ["fix_arguments", "fix_arguments", "never", "never"]
    assert (await unusable(runtime, name="refund")).error.retry == "fix_arguments", "another action"
    assert (await unusable(runtime, conversation="c2")).error.retry == "fix_arguments", "another conversation"
    assert (await unusable(runtime, turn=1)).error.retry == "fix_arguments", "the customer has spoken again"


async def test_beyond_twenty_a_minute_they_are_counted_in_one_event(runtime, world):
    before = len(await all_events(runtime))
    outcomes = [await unusable(runtime, turn=number) for number in range(1_000)]
    assert all(one.state is State.REJECTED and one.error is not None for one in outcomes), "each is answered all the same"
    assert [one.call_id is not None for one in outcomes] == [True] * 20 + [False] * 980
    assert len(await all_events(runtime)) - before == 20

    world.time.pass_(seconds=61)
    async with asyncio.timeout(10):
        while len(await all_events(runtime)) - before < 21:
            await asyncio.sleep(0.005)
    counted = (await all_events(runtime))[-1]
    assert (counted["kind"], counted["body"]["counted"], counted["principal"]) == ("call.rejected", 980, {"id": "bot", "kind": "agent"})
    assert (await unusable(runtime)).call_id is not None, "a new minute"
    assert (await runtime.verify()).ok


async def test_the_disk_stays_small_under_a_flood(runtime, world):
    await unusable(runtime)
    before = len(world.bytes())
    big = "x" * 100_000
    for _ in range(500):
        await runtime.submit({"name": "jot", "arguments": {"text": 1, big: big}}, session())
    assert len(world.bytes()) - before < 2_000_000


async def test_what_was_counted_is_written_on_close(world):
    async with world.running() as runtime:
        for number in range(30):
            await unusable(runtime, turn=number)
    async with world.running() as runtime:
        counted = [event for event in await all_events(runtime) if event["kind"] == "call.rejected" and "counted" in event["body"]]
        assert [event["body"]["counted"] for event in counted] == [10]


async def test_another_principal_is_counted_apart(runtime):
    for number in range(25):
        await unusable(runtime, turn=number)
    assert (await unusable(runtime, principal="other-bot")).call_id is not None


async def test_usable_calls_are_never_only_counted(runtime):
    for number in range(30):
        await unusable(runtime, turn=number)
    assert (await runtime.submit(asks(), session())).call_id is not None


async def all_events(runtime):
    await runtime._sequencer.catch_up()
    return await runtime.events(most=10_000)


@pytest.mark.parametrize("name", ["no_such", "jott", "", "JOT", "jot ", "x" * 10_000, "../jot", string.printable])
async def test_an_unknown_action_is_said_to_be_unknown(runtime, name):
    outcome = await runtime.submit({"name": name, "arguments": {}}, session())
    assert (outcome.state, outcome.error.code) == (State.REJECTED, "unknown_action")
    event = (await runtime.view(outcome.call_id)).events[0]
    assert name not in str(event["body"]) or not name
