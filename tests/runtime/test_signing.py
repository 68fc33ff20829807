"""The key that signs the log is rotated: both sign where the log says so, wherever it was cut off, and only who has the keys signs on."""

import contextlib
import json
import shutil

import pytest

from remit.audit import FolderLog, KeyFile, RightEdge, Signers, TileLog, folder_fetch, read, verifier_key, verify, verify_checkpoint
from remit.errors import AuditError, KeysOutdated, RotationUnderWay, StoreError
from remit.runtime import signing
from remit.runtime.key_changes import alone
from remit.runtime.logs import DatabaseLog
from remit.runtime.signing import Signing
from tests.runtime.bank import says, session


def keys_of(world):
    (path,) = world.folder.glob("remit.keys")
    return KeyFile.load(path)


def notes(world):
    return world.sql("SELECT size, note FROM checkpoint ORDER BY size")


def signed_by(world, key, log_id):
    found = []
    for size, note in notes(world):
        with contextlib.suppress(AuditError):
            verify_checkpoint(note, log_id, key)
            found.append(size)
    return found


async def works(runtime, *said):
    for one in said:
        await runtime.submit(says(one), session())
    await runtime._sequencer.catch_up()


async def test_both_keys_sign_where_the_log_says_so_and_from_then_on_the_new_one(world, tmp_path):
    async with world.running() as runtime:
        old = keys_of(world).public_key
        await works(runtime, "one", "two")
        rotated = await runtime.rotate_signing_key(by="eve", reason="yearly")
        await works(runtime, "three")
        log_id, new = runtime.parts.log_id, keys_of(world).public_key
        assert (rotated.old, rotated.new, rotated.waiting) == (verifier_key(log_id, old), verifier_key(log_id, new), ())
        ((leaf, data),) = world.sql("SELECT leaf_index, leaf FROM event WHERE kind = 'log.key_rotated'")
        assert {"by": "eve", "reason": "yearly"}.items() <= read(bytes(data)).event.body.items()
        sizes = [size for size, _ in notes(world)]
        assert signed_by(world, old, log_id) == [size for size in sizes if size <= leaf + 1]
        assert signed_by(world, new, log_id) == [size for size in sizes if size >= leaf + 1]
        assert (await runtime.verify()).findings == []
        await runtime.export(tmp_path / "folder")
        await runtime.export(tmp_path / "tiles", tiles=True)
    for key in (rotated.old, rotated.new, None):
        assert verify(FolderLog(tmp_path / "folder", key)).ok
        assert verify(TileLog(folder_fetch(tmp_path / "tiles"), key)).ok


async def test_the_old_private_key_is_gone_from_the_file(world):
    async with world.running() as runtime:
        before = keys_of(world)
        await runtime.rotate_signing_key(by="eve", reason="it leaked")
        after = keys_of(world)
    assert before.signing_seed.hex() not in after.path.read_text()
    assert (after.next_signing_seed, after.tenant_keys, after.lookup_key) == (None, before.tenant_keys, before.lookup_key)


async def test_it_is_rotated_again_and_works_on_when_opened_anew(world):
    async with world.running() as runtime:
        await runtime.rotate_signing_key(by="eve", reason="one")
    async with world.running(people=False) as runtime:
        await runtime.rotate_signing_key(by="eve", reason="two")
        await works(runtime, "after")
        assert (await runtime.verify()).findings == []
        assert world.sql("SELECT count(*) FROM event WHERE kind = 'log.key_rotated'") == [(2,)]


class CutOff(BaseException):
    """The process ends here."""


STEPS = {
    "before the next key is in the file": (KeyFile, "save", "before"),
    "before the event is written": (KeyFile, "save", "after"),
    "before both have signed": (signing, "Rotated", "before"),
    "before the old key is gone": (KeyFile, "of_next_signing", "before"),
    "once the old key is gone": (KeyFile, "of_next_signing", "after"),
}


@pytest.mark.parametrize("step", STEPS)
async def test_it_goes_on_wherever_it_was_cut_off(world, monkeypatch, step):
    owner, name, when = STEPS[step]
    does = getattr(owner, name)

    def cut(*given, **named):
        if when == "after":
            does(*given, **named)
        raise CutOff

    async with world.running() as runtime:
        await works(runtime, "before")
        runtime._background[1].cancel()  # it must not go on by itself, here
        monkeypatch.setattr(owner, name, cut)
        with pytest.raises(CutOff):
            await runtime.rotate_signing_key(by="eve", reason="yearly")
        monkeypatch.setattr(owner, name, does)
    async with world.running(people=False) as runtime:
        await works(runtime, "after")
        await runtime._sequencer.attempt()
        if not world.sql("SELECT 1 FROM event WHERE kind = 'log.key_rotated'"):
            await runtime.rotate_signing_key(by="eve", reason="yearly")
            await works(runtime, "later")
        assert (await runtime.verify()).findings == []
        assert keys_of(world).next_signing_seed is None
        assert world.sql("SELECT count(*) FROM event WHERE kind = 'log.key_rotated'") == [(1,)]
        assert len(signed_by(world, keys_of(world).public_key, runtime.parts.log_id)) > 1


async def test_control_a_rotation_that_destroys_the_old_key_at_once_can_not_be_followed(world, monkeypatch):
    async with world.running() as runtime:
        runtime._background[1].cancel()
        await works(runtime, "before")
        real = Signing.keys_for

        async def new_only(self, rotation):
            return (await real(self, rotation))[-1:]

        monkeypatch.setattr(Signing, "keys_for", new_only)
        await runtime.rotate_signing_key(by="eve", reason="yearly")
        assert "rotation_unsigned" in {one.code for one in (await runtime.verify()).findings}


async def test_a_machine_whose_file_lacks_the_new_key_signs_nothing_and_says_what_to_do(world, tmp_path):
    async with world.running() as runtime:
        await works(runtime, "before")
        shutil.copy(keys_of(world).path, tmp_path / "older.keys")
        await runtime.rotate_signing_key(by="eve", reason="yearly")
        latest, place = keys_of(world).path.read_bytes(), keys_of(world).path
        shutil.copy(tmp_path / "older.keys", place)
        runtime.parts.store.keys = KeyFile.load(place)
        before = notes(world)
        await runtime.submit(says("while"), session())
        with pytest.raises(KeysOutdated, match="nothing is signed here; put the latest key file in its place"):
            await runtime._sequencer.catch_up()
        assert notes(world) == before
        place.write_bytes(latest)
        assert await runtime._sequencer.catch_up() > 0, "and goes on once it is there"
        assert (await runtime.verify()).findings == []
        shutil.copy(tmp_path / "older.keys", place)
    with pytest.raises(StoreError, match="put the latest key file in its place"):
        async with world.running(people=False):
            pass
    place.write_bytes(latest)


async def test_a_rotation_that_is_not_ended_is_not_begun_again(world):
    async with world.running() as runtime:
        runtime._background[1].cancel()
        await runtime._sequencer.catch_up()
        await signing.begin(runtime.parts, by="eve", reason="one")
        with pytest.raises(RotationUnderWay):
            await signing.begin(runtime.parts, by="eve", reason="two")
        await runtime.rotate_signing_key(by="eve", reason="two")
        assert (await runtime.verify()).findings == []


async def test_an_event_that_somebody_else_wrote_rotates_nothing(world):
    """Who has the database alone names a key of their own: the log stops there, and nobody is led to that key."""
    async with world.running() as runtime:
        runtime._background[1].cancel()
        await works(runtime, "before")
        forger = KeyFile(b"f" * 32, {1: b"t" * 32}, b"l" * 32)
        body = {"old": verifier_key(runtime.parts.log_id, keys_of(world).public_key), "by": "eve", "reason": ""}
        body |= {"new": verifier_key(runtime.parts.log_id, forger.public_key)}
        await runtime.parts.store.commit(signing._event(runtime.parts, "default", body))
        with pytest.raises(KeysOutdated, match="Remit did not write it"):
            await runtime._sequencer.catch_up()


@pytest.mark.on_files("the key file, whatever the database")
async def test_a_link_stays_and_what_it_leads_to_is_replaced(world, tmp_path):
    async with world.running():
        pass
    place = keys_of(world).path
    kept = tmp_path / "elsewhere" / "kept.keys"
    kept.parent.mkdir()
    place.rename(kept)
    place.symlink_to(kept)
    before = kept.read_bytes()
    async with world.running(people=False) as runtime:
        await runtime.rotate_signing_key(by="eve", reason="yearly")
        await works(runtime, "after")
        assert (await runtime.verify()).ok
    assert place.is_symlink() and not kept.is_symlink()
    assert json.loads(kept.read_bytes())["signing_seed"] != json.loads(before)["signing_seed"]
    assert {one.name for one in kept.parent.iterdir()} == {"kept.keys", "kept.keys.lock"}
    assert kept.stat().st_mode & 0o777 == 0o600


async def test_a_log_says_who_signed_at_which_size(world):
    async with world.running() as runtime:
        await runtime.rotate_signing_key(by="eve", reason="yearly")
        await works(runtime, "after")
        with DatabaseLog(runtime.parts) as log:
            (one,) = log.rotations
            signers = Signers(log.origin, log.public_key, log.rotations)
        assert [len(signers.at(one.leaf + offset)) for offset in (0, 1, 2)] == [1, 2, 1]


async def test_the_old_key_waits_for_every_tenants_log(world):
    async with world.running() as one:
        async with world.running(tenant="other", people=False) as other:
            await works(other)
        await works(one, "before")
        rotated = await one.rotate_signing_key(by="eve", reason="yearly", patience=0)
        assert rotated.waiting == ("other",)
        await works(one, "while")
        assert keys_of(world).next_signing_seed is not None
        with pytest.raises(RotationUnderWay):
            await one.rotate_signing_key(by="eve", reason="again", patience=0)
        async with world.running(tenant="other", people=False) as other:
            await works(other)
            await other._sequencer.attempt()
            assert (await other.verify()).findings == []
        assert keys_of(world).next_signing_seed is None
        await works(one, "after")
        assert (await one.verify()).findings == []


@pytest.mark.on_servers
async def test_another_machine_with_an_older_file_lets_this_one_sign(world, tmp_path):
    async with world.running() as here:
        await works(here, "before")
        shutil.copy(keys_of(world).path, tmp_path / "copy.keys")
        async with world.running(people=False, keys=tmp_path / "copy.keys") as there:
            here._background[1].cancel()
            there._background[1].cancel()
            await here.rotate_signing_key(by="eve", reason="yearly", patience=0)
            await there.submit(says("there"), session())
            await here.parts.store.yield_lead()
            with pytest.raises(KeysOutdated):
                await there._sequencer.catch_up()
            assert await here._sequencer.catch_up() > 0, "it was let"
            await here._sequencer.attempt()
            shutil.copy(keys_of(world).path, tmp_path / "copy.keys")
            await here.parts.store.yield_lead()
            await there.submit(says("again"), session())
            assert await there._sequencer.catch_up() > 0
        assert (await here.verify()).findings == []


async def test_what_a_killed_process_left_of_the_key_file_goes_with_the_old_key(world):
    async with world.running() as runtime:
        before = keys_of(world)
        left = before.path.with_name(f".{before.path.name}.4711")
        left.write_bytes(before.path.read_bytes())
        await runtime.rotate_signing_key(by="eve", reason="yearly")
        seed = before.signing_seed.hex().encode()
        assert not left.exists()
        assert not [one for one in before.path.parent.iterdir() if one.is_file() and one.suffix != ".db" and seed in one.read_bytes()]


@pytest.mark.parametrize("begun", ["written", "cut off before it was written"])
async def test_whoever_is_late_with_the_old_key_leaves_that_of_the_next_rotation_alone(world, monkeypatch, begun):
    """One process has both keys in mind, when another ends that rotation and begins the next: it must not destroy what still signs."""
    async with world.running() as late, world.running(people=False) as other:
        for runtime in (late, other):
            runtime._background[1].cancel()
        await works(late, "before")
        await signing.begin(late.parts, by="eve", reason="one")
        await late._sequencer.catch_up()
        both = late.parts.store.keys
        assert both.next_signing_seed is not None
        other.parts.store.keys = both
        await Signing(other.parts.store, other.parts.log_id).let_go()
        assert keys_of(world).next_signing_seed is None
        if begun == "written":
            monkeypatch.setattr(Signing, "_gone_over", found_before(both, Signing._gone_over))
            await signing.begin(other.parts, by="eve", reason="two")
        else:
            keys_of(world).with_next_signing().save()
        standing = keys_of(world)
        await Signing(late.parts.store, late.parts.log_id).let_go()
        assert keys_of(world) == standing, "it is needed still"
        await late._sequencer.catch_up()
        assert (await late.verify()).findings == []


def found_before(keys, looks):
    """Let what is found of these keys be from before the next rotation was begun."""

    async def found(self, given):
        return (True, ()) if given == keys else await looks(self, given)

    return found


async def test_control_one_who_does_not_look_again_destroys_the_key_that_is_needed(world, monkeypatch):
    async with world.running() as runtime:
        runtime._background[1].cancel()
        await works(runtime, "before")
        await signing.begin(runtime.parts, by="eve", reason="one")

        async def gone(_self, _keys):
            return True, ()

        monkeypatch.setattr(Signing, "_gone_over", gone)
        await Signing(runtime.parts.store, runtime.parts.log_id).let_go()
        with pytest.raises(KeysOutdated, match="is not in it"):
            await runtime._sequencer.catch_up()


async def test_the_log_of_a_tenant_that_begins_meanwhile_is_told_as_well(world, monkeypatch):
    async with world.running() as runtime:
        await works(runtime, "before")
        real, begun = signing._event, []

        def told(parts, tenant, body):
            """Let another tenant's log begin, and its first checkpoint be signed, behind the back of who has listed the tenants."""
            if not begun:
                begun.append(tenant)
                world.sql("INSERT INTO log_head SELECT 'other', 0, 0, ? FROM log_head", (RightEdge().to_bytes(),))
            return real(parts, tenant, body)

        monkeypatch.setattr(signing, "_event", told)
        rotated = await runtime.rotate_signing_key(by="eve", reason="yearly", patience=0)
        assert rotated.waiting == ("other",)
        assert world.sql("SELECT tenant FROM event WHERE kind = 'log.key_rotated' ORDER BY tenant") == [("default",), ("other",)]
        async with world.running(tenant="other", people=False) as other:
            await works(other)
            assert (await other.verify()).findings == []
        assert (await runtime.verify()).findings == []


@pytest.mark.on_files("the key file, whatever the database")
async def test_where_the_key_file_can_not_be_locked_that_is_said_once_and_the_log_goes_on(world, caplog):
    async with world.running() as runtime:
        runtime._background[1].cancel()
        await works(runtime, "before")
        await signing.begin(runtime.parts, by="eve", reason="yearly")
        lock = keys_of(world).path.with_name("remit.keys.lock")
        lock.unlink()
        lock.mkdir()
        for _ in range(3):
            await runtime._sequencer.attempt()
        assert [line for line in caplog.messages if "remit.keys.lock can't be written" in line] == caplog.messages[-1:], caplog.messages
        with pytest.raises(StoreError, match="can't be written"):
            await signing.begin(runtime.parts, by="eve", reason="again")
        lock.rmdir()
        await runtime._sequencer.attempt()
        assert keys_of(world).next_signing_seed is None
        assert (await runtime.verify()).findings == []


async def test_what_came_after_the_rotation_is_placed_in_the_same_go(world):
    async with world.running() as runtime:
        runtime._background[1].cancel()
        await signing.begin(runtime.parts, by="eve", reason="yearly")
        await runtime.submit(says("after"), session())
        await runtime._sequencer.catch_up()
        assert world.sql("SELECT count(*) FROM event WHERE leaf_index IS NULL") == [(0,)]
        assert (await runtime.verify()).uncovered == 0


@pytest.mark.on_files("the key file, whatever the database")
async def test_what_was_left_by_who_made_the_key_file_is_the_key_file_itself(world):
    """Killed when it had given its draft the name and not yet taken the other away: both are one file, which must not be overwritten."""
    async with world.running() as runtime:
        place = keys_of(world).path
        left = place.with_name(f".{place.name}.4711")
        left.hardlink_to(place)
        kept = place.read_bytes()
        async with alone(place):
            assert place.read_bytes() == kept and not left.exists()
        left.write_bytes(kept)
        other = left.with_name("other")
        other.hardlink_to(left)
        async with alone(place):
            assert other.read_bytes() == bytes(len(kept)), "the control: a copy is overwritten, by whatever name it goes"
        await runtime.rotate_signing_key(by="eve", reason="yearly")
        assert (await runtime.verify()).findings == []


async def test_a_process_that_does_not_sign_holds_the_log_to_the_latest_key(world):
    """Once the event that rotated it is pruned, nothing leads there from the key that such a process began with."""
    async with world.running() as one, world.running(people=False) as other:
        other._background[1].cancel()
        await works(one, "before")
        began = keys_of(world).public_key
        await one.rotate_signing_key(by="eve", reason="yearly")
        assert other.parts.store.keys.public_key == began != keys_of(world).public_key
        with DatabaseLog(other.parts) as log:
            assert log.public_key == keys_of(world).public_key
            log.rotations = ()
            assert Signers(log.origin, log.public_key).verify(log.newest())


@pytest.mark.on_files
async def test_a_backup_from_before_a_rotation_needs_the_key_file_of_then_and_that_is_said(world, tmp_path):
    async with world.running() as runtime:
        await works(runtime, "before")
    for name in ("remit.db", "remit.keys"):
        shutil.copy(world.folder / name, tmp_path / f"kept-{name}")
    async with world.running(people=False) as runtime:
        await runtime.rotate_signing_key(by="eve", reason="yearly")
    for kept in world.folder.glob("remit.*.signed"):
        kept.unlink()
    shutil.copy(tmp_path / "kept-remit.db", world.folder / "remit.db")
    with pytest.raises(KeysOutdated, match="put back from before a rotation, the key file of that time"):
        async with world.running(people=False):
            pass
    shutil.copy(tmp_path / "kept-remit.keys", world.folder / "remit.keys")
    async with world.running(people=False) as runtime:
        await works(runtime, "after")
        assert (await runtime.verify()).ok


async def test_somebodys_own_copy_of_the_key_file_is_left_alone(world):
    keys = world.folder / "remit.keys"
    own, left = world.folder / ".remit.keys.backup", world.folder / ".remit.keys.4242"
    for copy in (own, left):
        copy.write_bytes(keys.read_bytes())
    before = own.read_bytes()
    async with world.running() as runtime:
        await runtime.rotate_signing_key(by="eve", reason="yearly")
        await runtime._sequencer.attempt()
    assert own.read_bytes() == before and not left.exists()
