"""Staff, agents and API keys: every change is an event, and a key is worth something only while its owner is."""

import pytest

from remit.runtime.people import BadPerson
from tests.runtime.bank import session


async def told(runtime) -> list[tuple[str, dict]]:
    await runtime._sequencer.catch_up()
    events = await runtime.events(most=1_000)
    return [(event["kind"], event["body"]) for event in events if event["kind"].split(".")[0] in {"person", "agent", "key"}]


async def test_every_change_is_an_event_that_says_by_whom(runtime):
    before = len(await told(runtime))
    await runtime.people.add("ann", name="Ann Other", email="ann@example.org", roles=["support"], by="boss")
    await runtime.people.change_roles("ann", add=["finance"], remove=["support"], by="boss")
    await runtime.people.add_agent("bot-2", owner="ann", by="boss")
    key = await runtime.people.new_key("ann", kind="person", scopes=["vote"], by="boss")
    await runtime.people.revoke_key(key.split("_")[1], by="boss")
    await runtime.people.disable("ann", by="boss")
    events = (await told(runtime))[before:]
    assert [kind for kind, _ in events] == [
        "person.added",
        "person.changed",
        "agent.added",
        "key.created",
        "key.revoked",
        "person.disabled",
    ]
    assert {body["by"] for _, body in events} == {"boss"}
    assert events[1][1]["roles"] == ["finance"]
    assert "Ann Other" not in str(events) and "ann@example.org" not in str(events)
    assert (await runtime.verify()).ok


@pytest.mark.parametrize("bad", ["", " ", "a b", "-x", "x" * 200, "\ud800", "a\nb"])
async def test_an_id_or_a_role_that_can_be_none_is_refused(runtime, bad):
    with pytest.raises(BadPerson):
        await runtime.people.add(bad)
    with pytest.raises(BadPerson):
        await runtime.people.add("ann", roles=[bad])
    assert await runtime.people.get("ann") is None


async def test_nobody_is_added_twice_or_changed_without_being_there(runtime):
    with pytest.raises(BadPerson, match="already"):
        await runtime.people.add("fay")
    for change in (
        runtime.people.change_roles("none", add=["x"]),
        runtime.people.disable("none"),
        runtime.people.add_agent("a", owner="none"),
    ):
        with pytest.raises(BadPerson, match="no person none"):
            await change


async def test_a_key_says_who_it_is(runtime, world):
    key = await runtime.people.new_key("fay", kind="person", scopes=["vote", "read"])
    owner = await runtime.people.who(key)
    assert (owner.owner, owner.kind, owner.scopes) == ("fay", "person", {"vote", "read"})
    assert key.split("_", 2)[2].encode() not in world.bytes(), "stored as a hash only"


@pytest.mark.parametrize("how", ["revoked", "expired", "disabled", "changed", "nonsense"])
async def test_a_key_that_is_worth_nothing(runtime, world, how):
    expires = runtime.parts.clock.now() + 3_600_000_000
    key = await runtime.people.new_key("fay", kind="person", scopes=["vote"], expires_at=expires)
    assert await runtime.people.who(key) is not None, "the control"
    match how:
        case "revoked":
            await runtime.people.revoke_key(key.split("_")[1])
        case "expired":
            world.time.pass_(hours=2)
        case "disabled":
            await runtime.people.disable("fay")
        case "changed":
            key = key[:-1] + ("A" if key[-1] != "A" else "B")
        case "nonsense":
            key = "remit_\ud800_x"
    assert await runtime.people.who(key) is None


@pytest.mark.parametrize("nothing", ["", "remit", "remit_x", "other_12345678_secret", "remit__", "remit_12345678_"])
async def test_what_is_no_key_is_nobody(runtime, nothing):
    assert await runtime.people.who(nothing) is None


def test_a_session_names_who_and_for_whom():
    for wrong in ({"principal": ""}, {"subject": ""}, {"tenant": ""}, {"subject": "anonymous", "assurance": 1}):
        with pytest.raises(ValueError, match=r"session names|anonymous subject"):
            session(**wrong)
