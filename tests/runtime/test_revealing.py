"""Whoever opens a call, an inbox or the whole log is in the access log before they see anything, once for each time that they open it."""

from datetime import timedelta

import orjson
import pytest

from remit.audit import FolderLog, verify
from remit.errors import AuditError, RemitError
from remit.runtime import revealing
from remit.runtime.access import LOCAL_OPERATOR, NotAReader, PurposeMissing
from remit.runtime.holds import SubjectNotFound
from remit.runtime.logs import Reproduction
from tests.runtime.bank import LARGE, altered, asks, session

PURPOSE = "complaint 117"


@pytest.fixture
async def waiting(runtime):
    """A call that fay or finn may approve; rae is a reviewer, olga an operator."""
    await runtime.people.add("rae", roles=["reviewer"])
    await runtime.people.add("olga", roles=["operator"])
    return (await runtime.submit(asks(euros=LARGE), session())).call_id


async def revealed(runtime) -> list:
    """The openings in the access log, the earliest first."""
    return [one for one in reversed(await runtime.accesses(most=500)) if one.kind == "personal.revealed"]


async def opened(runtime, call_id) -> dict:
    """Open a call in every way that there is; gives who should be recorded for what."""
    await runtime.review(call_id, by="fay")
    await runtime.view(call_id, by="rae", purpose=PURPOSE)
    await runtime.explain(call_id, by="olga", purpose=PURPOSE)
    await runtime.view(call_id)
    return {"fay": "approval", "rae": PURPOSE, "olga": PURPOSE, LOCAL_OPERATOR: "work on a call"}


async def test_whoever_opens_a_call_is_recorded_with_the_purpose(runtime, waiting):
    expected = await opened(runtime, waiting)
    read = await revealed(runtime)
    assert {one.who: one.purpose for one in read} == expected and {one.call for one in read} == {waiting}


async def test_control_where_openings_are_remembered_before_they_are_recorded_the_access_log_says_less(runtime, waiting, monkeypatch):
    monkeypatch.setattr(revealing.Revealing, "_is_known", lambda *_: True)
    expected = await opened(runtime, waiting)
    assert {one.who: one.purpose for one in await revealed(runtime)} != expected


async def test_nobody_else_opens_it_and_whoever_can_not_approve_says_for_what(runtime, waiting):
    for who in ("sam", "nobody"):
        with pytest.raises(NotAReader):
            await runtime.review(waiting, by=who, purpose=PURPOSE)
    with pytest.raises(PurposeMissing):
        await runtime.view(waiting, by="rae")
    await runtime.people.disable("fay")
    with pytest.raises(NotAReader):
        await runtime.view(waiting, by="fay")
    assert await revealed(runtime) == []


async def test_an_inbox_that_refreshes_itself_is_one_opening_until_it_changes(world, runtime, waiting):
    for _ in range(50):
        assert [one.id for one in await runtime.inbox(person="fay")] == [waiting]
    (first,) = await revealed(runtime)
    assert (first.who, first.sought, first.found, first.purpose) == ("fay", {"inbox": [waiting]}, 1, "approval")
    other = (await runtime.submit(asks(payment="pay_2", euros=LARGE), session())).call_id
    for _ in range(50):
        await runtime.inbox(person="fay")
        await runtime.inbox(person="finn")
    assert [(one.who, one.sought["inbox"]) for one in (await revealed(runtime))[1:]] == [("fay", [other]), ("finn", [waiting, other])]
    world.time.pass_(hours=2)
    await runtime.inbox(person="fay")
    assert (await revealed(runtime))[-1].found == 2, "two hours later it is opened anew"


async def test_a_call_that_is_looked_at_again_and_again_is_one_opening_until_it_changes(runtime, waiting):
    for _ in range(20):
        await runtime.review(waiting, by="fay")
    assert len(await revealed(runtime)) == 1
    await runtime.vote(waiting, person="fay", answer="approve")
    await runtime.review(waiting, by="fay")
    assert len(await revealed(runtime)) == 2, "it has a result now"


async def test_each_purpose_for_which_a_call_is_opened_is_recorded(runtime, waiting):
    for purpose in (PURPOSE, "how a call stands", PURPOSE, "a letter of the police"):
        await runtime.view(waiting, by="rae", purpose=purpose)
    await runtime.opened(waiting, by="fay", purpose="how a call stands")
    await runtime.review(waiting, by="fay")
    assert [(one.who, one.purpose) for one in await revealed(runtime)] == [
        ("rae", PURPOSE),
        ("rae", "how a call stands"),
        ("rae", "a letter of the police"),
        ("fay", "how a call stands"),
        ("fay", "approval"),
    ]


async def test_nobody_reads_the_log_in_a_name_that_there_is_not(runtime, waiting, tmp_path):
    await runtime.people.disable("sam")
    for who in ("sam", "nobody"):
        for read in (
            runtime.verify(by=who),
            runtime.export(tmp_path / "out", by=who),
            runtime.export_events(tmp_path / "events", form="jsonl", by=who),
        ):
            with pytest.raises(NotAReader):
                await read
    assert await runtime.accesses() == [] == list(tmp_path.glob("[oe]*"))


async def test_what_is_forgotten_is_recorded_again_and_never_left_out(runtime, waiting, monkeypatch):
    monkeypatch.setattr(revealing, "MOST", 1)
    for _ in range(3):
        await runtime.review(waiting, by="fay")
        await runtime.review(waiting, by="finn")
    assert len(await revealed(runtime)) == 6


async def test_lists_without_personal_values_are_readings(runtime, waiting):
    for _ in range(3):
        await runtime.calls(state="waiting", by="sam")
        await runtime.dead(by="sam")
        await runtime.events(by="service siem")
    read = [(one.kind, one.who, one.sought, one.found) for one in reversed(await runtime.accesses())]
    assert read == [
        ("audit.read", "sam", {"calls": {"state": "waiting", "action": None}}, 1),
        ("audit.read", "sam", {"calls": "dead"}, 0),
        ("audit.read", "service siem", {"events": "in their order"}, 0),
    ]
    with pytest.raises(NotAReader):
        await runtime.calls(by="nobody")


async def test_what_can_not_be_recorded_is_not_opened(runtime, waiting, monkeypatch, tmp_path):
    altered(monkeypatch, "access.add", "INSERT INTO access (nothing) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
    away = tmp_path / "out"
    for look in (
        runtime.view(waiting),
        runtime.review(waiting),
        runtime.inbox(person="fay"),
        runtime.calls(),
        runtime.events(),
        runtime.explain(waiting),
        runtime.replay("active", since=timedelta(days=1)),
        runtime.export(away, disclose=True, by="rae", purpose=PURPOSE),
    ):
        with pytest.raises(RemitError):
            await look
    assert not away.exists()


@pytest.mark.parametrize("left", [b"", b"\x00", b"{", b"[]", b"{}", b'{"body":1}'])
async def test_what_was_changed_so_that_it_can_not_be_read_is_said_in_words(world, runtime, waiting, tmp_path, left):

    await runtime.wait_for_proof(waiting)
    [(before,)] = world.sql("SELECT leaf FROM event WHERE kind = 'call.decided'")
    change = "UPDATE event SET leaf = ? WHERE kind = 'call.decided'"
    assert await world.change(change, left) == 1
    for read in (
        runtime.story(waiting),
        runtime.view(waiting),
        runtime.explain(waiting),
        runtime.events(),
        runtime.subjects.export("kay"),
        runtime.export_events(tmp_path / "events", form="csv"),
        runtime.replay(world.folder / "policies", since=timedelta(days=1)),
    ):
        with pytest.raises(AuditError, match="was changed, and can't be read"):
            await read
    assert not (tmp_path / "events").exists()
    assert not (await runtime.verify()).ok
    await world.change(change, bytes(before))
    assert (await runtime.story(waiting)).events, "the control: as it was it can be read"


@pytest.mark.parametrize("lacking", ["policy", "decision", "inputs", "commitments"])
async def test_a_decision_that_lacks_something_is_said_in_words(world, runtime, waiting, lacking):
    await runtime.wait_for_proof(waiting)
    [(before,)] = world.sql("SELECT leaf FROM event WHERE kind = 'call.decided'")
    leaf = orjson.loads(before)
    del (leaf if lacking == "commitments" else leaf["body"])[lacking]
    await world.change("UPDATE event SET leaf = ? WHERE kind = 'call.decided'", orjson.dumps(leaf))
    for read in (runtime.explain(waiting), runtime.replay(world.folder / "policies", since=timedelta(days=1))):
        with pytest.raises(AuditError, match="was changed, and can't be read"):
            await read


async def test_no_call_on_its_way_is_a_reading(runtime, waiting):
    await runtime.vote(waiting, person="fay", answer="approve")
    await runtime.get(waiting)
    await runtime.wait(waiting, 1)
    assert await runtime.accesses() == []


async def several(runtime, tmp_path, name, **how) -> object:
    await runtime.export(tmp_path / name, by="rae", purpose=PURPOSE, **how)
    log = FolderLog(tmp_path / name)
    return verify(log, decide=Reproduction(log.bundles(), runtime._shapes))


async def test_a_bundle_opens_those_whom_it_is_about_and_no_others(world, runtime, waiting, tmp_path):
    world.bank.payments["pay_30"].customer = "zoe"
    await runtime.submit(asks(payment="pay_30"), session(subject="zoe"))
    none, zoes, all_ = (
        await several(runtime, tmp_path, "none"),
        await several(runtime, tmp_path, "zoes", disclose=True, subjects=["zoe"]),
        await several(runtime, tmp_path, "all", disclose=True),
    )
    assert none.ok and zoes.ok and all_.ok
    assert (none.opened, all_.sealed) == (0, 0)
    assert 0 < zoes.opened < all_.opened and zoes.opened + zoes.sealed == all_.opened == none.sealed
    assert (zoes.reproduced, zoes.attested) == (1, 1)
    told = (tmp_path / "zoes" / "openings.jsonl").read_text()
    assert '"zoe"' in told and '"kay"' not in told
    assert '"kay"' in (tmp_path / "all" / "openings.jsonl").read_text(), "the control: with all of them it is there"
    names = [one.sought["export"] for one in await revealed(runtime)]
    assert names[1] == "all" and len(names[0]) == 1 and names[0][0].startswith("sub_")


async def test_values_leave_with_a_role_and_a_purpose_alone(runtime, waiting, tmp_path):
    for who, purpose, refused in (
        (LOCAL_OPERATOR, PURPOSE, NotAReader),
        ("fay", PURPOSE, NotAReader),
        ("olga", PURPOSE, NotAReader),
        ("rae", "", PurposeMissing),
    ):
        with pytest.raises(refused):
            await runtime.export(tmp_path / "out", disclose=True, by=who, purpose=purpose)
    with pytest.raises(SubjectNotFound):
        await runtime.export(tmp_path / "out", disclose=True, subjects=["nobody-known"], by="rae", purpose=PURPOSE)
    assert not (tmp_path / "out").exists() and await revealed(runtime) == []
