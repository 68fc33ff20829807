"""A person can be erased: nobody recovers anything of them, no proof breaks, and it goes on wherever it was cut off."""

import json
import os
import sqlite3
from datetime import UTC, datetime

import pytest

from remit.audit import FolderLog, KeyFile, State, unveil, unwrap, veil, verify, wrap
from remit.errors import StoreError
from remit.runtime import subjects, subjects_rotation
from remit.runtime.access import NotAReader
from remit.runtime.holds import BadHold, HoldNotFound, SubjectNotFound
from remit.runtime.subjects import CallsUnderWay, UnderHold
from tests.runtime.bank import ALLOW, NOTES, Store, altered, asks, says, session
from tests.runtime.guesser import recovered, taken
from tests.runtime.test_privacy import LARGE, PERSONAL, everything

WHO = PERSONAL["subject"]
LIMIT = """
limits:
  - id: mine
    per: subject.id
    window: 1d
    at_most: 100
    beyond: deny
"""
WHY = {"reason": "asked by letter", "legal_basis": "GDPR 17(1)(b)", "by": "fay"}
GUESSES = [value for what, value in PERSONAL.items() if what != "key"] + ["nobody@example.org", "NEVER-SEEN-77"]


async def story(runtime, world):
    """Let everything happen to one person, and all of it end; another's call stays."""
    ids = await everything(runtime, world)
    for call_id in ids:
        if (await runtime.get(call_id)).state is State.UNKNOWN:
            world.time.pass_(hours=1)
            await runtime.resolve(call_id, applied=False, by="sam", reason="looked")
    world.bank.payments["pay_30"].customer, world.bank.replied = "zoe", "thank you"
    other = (await runtime.submit(asks(payment="pay_30"), session(subject="zoe"))).call_id
    return ids, other


@pytest.fixture
async def running(world):
    world.policies(payments=ALLOW + LIMIT, notes=NOTES)
    async with world.running() as runtime:
        await runtime.people.change_roles("sam", add=["operator"])
        yield runtime


def keys_of(world):
    return KeyFile.load(world.folder / "remit.keys")


async def test_nobody_recovers_anything_and_no_proof_breaks(running, world, tmp_path):
    ids, other = await story(running, world)
    before, old_keys = taken(world), keys_of(world)
    assert set(GUESSES[:-2]) <= recovered(before, old_keys, GUESSES), "the control: the guesser is able"
    leaves = world.sql("SELECT id, leaf, hash FROM event ORDER BY position")

    done = await running.subjects.erase(WHO, **WHY)
    assert recovered(taken(world), keys_of(world), GUESSES) == set(), "of the database nothing, even with the keys of then"
    if Store.server:
        assert done.completed is None and set(GUESSES[:-2]) <= recovered(before, keys_of(world), GUESSES), "the control: not rotated yet"
        (done,) = await running.subjects.complete()
    assert done.completed and list(keys_of(world).tenant_keys) == [2]
    assert recovered(before, keys_of(world), GUESSES) == set(), "and of a backup nothing, with the keys of today"
    assert set(GUESSES[:-2]) <= recovered(before, old_keys, GUESSES), "the control: with those of before it does"

    kept = world.sql("SELECT id, leaf, hash FROM event ORDER BY position")[: len(leaves)]
    assert [tuple(map(bytes_or_text, row)) for row in kept] == [tuple(map(bytes_or_text, row)) for row in leaves]
    report = await running.verify()
    assert report.ok, report.findings
    assert report.erased > 20 and report.attested > 0 and report.opened > 0
    await running.people.change_roles("sam", add=["reviewer"])
    await running.export(tmp_path / "out", disclose=True, by="sam", purpose="what is left")
    assert verify(FolderLog(tmp_path / "out")).ok
    told = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert [value for value in GUESSES if value.encode() in told] == []
    assert (await running.view(other)).subject == "zoe", "who lives is held as before"
    assert [(await running.view(one)).arguments for one in ids] == [{}] * len(ids)
    assert [value for value in GUESSES if value in str([await running.story(one) for one in ids])] == []
    with pytest.raises(SubjectNotFound):
        await running.subjects.export(WHO)


def bytes_or_text(value):
    return bytes(value) if isinstance(value, memoryview) else value


async def test_everything_held_is_given_out(running, world):
    await story(running, world)
    given = json.dumps(await running.subjects.export(WHO), default=str)
    assert [what for what, value in PERSONAL.items() if value not in given] == [] and "zoe" not in given


async def test_that_it_was_given_out_is_recorded(running):
    await running.submit(asks(), session())
    with pytest.raises(NotAReader):
        await running.subjects.export("kay", by="sam")
    await running.people.change_roles("sam", add=["privacy_officer"])
    given = await running.subjects.export("kay", by="sam", purpose="asked by letter")
    (read,) = [one for one in await running.accesses() if one.kind == "personal.revealed"]
    assert (read.who, read.purpose, read.sought) == ("sam", "asked by letter", {"subject": given["pseudonym"]})


async def test_a_repeat_gets_the_state_of_what_was_erased(running, world):
    first = await running.submit(asks(tag="t1"), session())
    await running.subjects.erase("kay", **WHY)
    effects = len(world.bank.effects)
    for again in (asks(tag="t1"), asks(tag="t2")):
        outcome = await running.submit(again, session())
        assert (outcome.call_id, outcome.state, outcome.erased, outcome.result) == (first.call_id, State.SUCCEEDED, True, None)
        assert outcome.to_json()["erased"] is True
    assert len(world.bank.effects) == effects
    assert (await running.submit(asks(payment="pay_2"), session())).ok, "whoever comes back is somebody new"
    assert (await running.verify()).ok


async def test_it_is_refused_while_a_call_has_not_ended(running):
    call_id = (await running.submit(asks("transfer", euros=LARGE), session())).call_id
    with pytest.raises(CallsUnderWay, match=f"{call_id} is waiting"):
        await running.subjects.erase("kay", **WHY)
    await running.cancel(call_id, by="fay")
    assert (await running.subjects.erase("kay", **WHY)).subject.startswith("sub_")


@pytest.mark.parametrize("kind", ["subject", "call", "time"])
async def test_a_hold_stops_it_by_name_until_it_is_lifted(running, kind):
    call_id = (await running.submit(asks(), session())).call_id
    on = {"subject": {"subject": "kay"}, "call": {"call": call_id}, "time": {"since": datetime(2000, 1, 1, tzinfo=UTC)}}[kind]
    hold = await running.holds.place(by="fay", reason="case 12", **on)
    assert await running.holds.list() == (hold,)
    with pytest.raises(UnderHold, match=f"{hold.id}.*case 12"):
        await running.subjects.erase("kay", **WHY)
    assert (await running.get(call_id)).result is not None
    await running.holds.lift(hold.id, by="fay", reason="closed")
    with pytest.raises(HoldNotFound):
        await running.holds.lift(hold.id, by="fay", reason="closed")
    await running.subjects.erase("kay", **WHY)
    assert (await running.verify()).ok


async def test_control_without_the_look_at_holds_the_verifier_finds_it(running, monkeypatch):
    await running.submit(asks(), session())
    await running.holds.place(by="fay", reason="case 12", subject="kay")

    async def nothing(_self, _pseudonym):
        return None

    monkeypatch.setattr(subjects.Subjects, "_refuse", nothing)
    with pytest.raises(StoreError):
        await running.subjects.erase("kay", **WHY)  # the statement looks itself
    altered(monkeypatch, "erase.subject", "DELETE FROM subject WHERE tenant = ? AND pseudonym = ?")
    await running.subjects.erase("kay", **WHY)
    assert [one.code for one in (await running.verify()).findings] == ["erased_under_hold"]


async def test_control_an_opening_that_was_left_is_found(running, world):
    await running.submit(asks(), session())
    rows = world.sql("SELECT tenant, lookup, pseudonym, wrapped_key FROM subject")
    openings = world.sql("SELECT tenant, event, subject, blob FROM opening")
    keys = running.parts.store.keys
    await running.subjects.erase("kay", **WHY)
    now = keys_of(world)
    for tenant, lookup, name, wrapped in rows:
        anew = wrap(now.tenant_key, now.epoch, unwrap(keys.tenant_keys, bytes(wrapped), name), name, os.urandom)
        await world.change(
            "INSERT INTO subject VALUES (?, ?, ?, ?)", tenant, veil(now.tenant_key, unveil(keys.tenant_key, bytes(lookup))), name, anew
        )
    for row in openings:
        await world.change("INSERT INTO opening VALUES (?, ?, ?, ?)", *map(bytes_or_text, row))
    assert "erased_opened" in [one.code for one in (await running.verify()).findings]


async def test_a_hold_is_on_one_thing_that_is_there(running):
    with pytest.raises(BadHold):
        await running.holds.place(by="fay", reason="")
    with pytest.raises(SubjectNotFound):
        await running.holds.place(by="fay", reason="", subject="nobody")


STEPS = ["prepare", "_stand", "_wrap_anew", "KeyFile.save", "of_last_epoch", "scrub"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_it_goes_on_wherever_it_was_cut_off(world, monkeypatch, step, when):
    async with world.running() as runtime:
        await runtime.submit(asks(), session())
        world.bank.payments["pay_30"].customer = "zoe"
        other = (await runtime.submit(asks(payment="pay_30"), session(subject="zoe"))).call_id
        with monkeypatch.context() as broken:
            cut(broken, runtime, step, when)
            with pytest.raises(Cut):
                await runtime.subjects.erase("kay", **WHY)
                await runtime.subjects.complete()
        assert (await runtime.view(other)).subject == "zoe"
        assert (await runtime.submit(asks(payment="pay_31"), session(subject="new one"))).state in {State.SUCCEEDED, State.DENIED}
    async with world.running() as runtime:
        await runtime.subjects.complete()
        (done,) = await runtime.subjects.erasures()
        assert done.completed and list(keys_of(world).tenant_keys) == [2]
        assert (await runtime.view(other)).subject == "zoe"
        assert await runtime.parts.vault.find("new one") is not None
        report = await runtime.verify()
        assert report.ok
        kinds = [
            kind for (kind,) in world.sql("SELECT kind FROM event WHERE kind IN ('subject.erased', 'erasure.completed') ORDER BY position")
        ]
        assert kinds == ["subject.erased", "erasure.completed"]


class Cut(Exception):
    """The process ends here."""


def cut(monkeypatch, runtime, step, when):
    target, name = {
        "KeyFile.save": (KeyFile, "save"),
        "of_last_epoch": (KeyFile, "of_last_epoch"),
        "scrub": (runtime.parts.store, "scrub"),
    }.get(step, (subjects_rotation, step))
    whole = getattr(target, name)

    def sudden(*given):
        if when == "before":
            raise Cut
        whole(*given)
        raise Cut

    async def waited(*given):
        if when == "before":
            raise Cut
        await whole(*given)
        raise Cut

    monkeypatch.setattr(target, name, sudden if target is KeyFile else waited)


async def test_another_process_goes_on_with_the_keys_of_today(world):
    async with world.running() as one, world.running(people=False) as other:
        world.bank.payments["pay_30"].customer = "zoe"
        call_id = (await other.submit(asks(payment="pay_30"), session(subject="zoe"))).call_id
        await one.submit(asks(), session())
        await one.subjects.erase("kay", **WHY)
        await one.subjects.complete()
        other.parts.vault._known.clear()
        other.parts.vault._by_pseudonym.clear()
        assert (await other.view(call_id)).subject == "zoe"
        assert (await other.submit(says("hello"), session(subject="somebody new"))).ok
        assert (await one.view(call_id)).subject == "zoe" and (await one.verify()).ok
        epochs = {bytes(wrapped)[3] for (wrapped,) in world.sql("SELECT wrapped_key FROM subject")}
        assert epochs == {2}


@pytest.mark.on_files
async def test_the_file_and_its_log_hold_no_value_that_was_deleted(running, world):
    await story(running, world)
    conversation = "CONVERSATION-77"
    world.bank.payments["pay_40"].customer = WHO
    await running.submit(asks(payment="pay_40"), session(subject=WHO, conversation=conversation))
    wrapped, blobs = world.sql("SELECT wrapped_key FROM subject"), world.sql("SELECT blob FROM opening")
    lived = [conversation.encode(), *(row[0][-32:] for row in (*wrapped, *blobs[:20]))]
    assert all(one in world.bytes() for one in lived), "the control: they are there before"
    await running.subjects.erase(WHO, **WHY)
    assert conversation.encode() not in world.bytes()
    gone = {row[0] for row in blobs} - {row[0] for row in world.sql("SELECT blob FROM opening")}
    assert gone and [one for one in gone if one[-32:] in world.bytes()] == []
    assert sqlite3.connect(world.database).execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_what_an_effect_key_names_can_still_be_tried_with_the_key_file(running, world):
    """A limit that is documented: a repeat must be known for good."""
    await running.submit(asks(payment="pay_1"), session())
    await running.subjects.erase("kay", **WHY)
    tried = running.parts.vault.hash("effect", "refund:pay_1")
    assert (await running.parts.store.holds(tried)) and tried.hex() in str(await running.events(most=1_000) or await story_of(running))


async def story_of(runtime):
    return [(await runtime.view(call.id)).events for call in await runtime.calls()]
