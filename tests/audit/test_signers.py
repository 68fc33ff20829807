"""The signing key of a log is rotated by an event under a checkpoint that both keys signed, and nothing else passes for that."""

from dataclasses import replace

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from remit.audit import (
    Event,
    FolderLog,
    RightEdge,
    Rotation,
    SeenLog,
    Signers,
    TileLog,
    export,
    export_tiles,
    folder_fetch,
    leaf_hash,
    sign,
    verifier_key,
    verify,
    verify_checkpoint,
)
from remit.errors import AuditError
from tests.audit.building import KEY, ORIGIN, allowed, log_of
from tests.audit.building import read as read_call

NEW = Ed25519PrivateKey.from_private_bytes(b"n" * 32)
THIRD = Ed25519PrivateKey.from_private_bytes(b"t" * 32)
FORGER = Ed25519PrivateKey.from_private_bytes(b"f" * 32)


def public(key):
    return key.public_key().public_bytes_raw()


def named(key):
    return verifier_key(ORIGIN, public(key))


def event(old=KEY, new=NEW, at=1):
    body = {"old": named(old), "new": named(new), "by": "eve", "reason": "yearly"}
    return Event(kind="log.key_rotated", at=f"2026-03-02T10:00:{at:02}.000000Z", id=f"rotated-{at}", tenant="default", body=body)


def note(log, *keys):
    edge = RightEdge()
    for row in log.rows:
        edge.append(leaf_hash(row.leaf))
    return sign(ORIGIN, edge.size, edge.root(), *keys)


def rotate(log, old=KEY, new=NEW, signed=None, at=1):
    """Go over from one key to another; `signed` says which keys sign over it, else both."""
    log.place(event(old, new, at))
    log.notes.append(note(log, *(signed or (old, new))))
    log.rotations = (*log.rotations, Rotation(len(log.rows) - 1, public(old), public(new), log.notes[-1]))
    log.public_key = public(new)
    return log


def more(log, *keys, number=90):
    """Let a call come in, under a checkpoint of these keys."""
    call = read_call(f"c{number}")
    previous = None
    for sequence, each in enumerate(call.events, start=1):
        log.place(replace(each, sequence=sequence, previous=previous))
        previous = log.rows[-1].hash.hex()
    log.notes.append(note(log, *keys))
    return log


@pytest.fixture
def rotated():
    return more(rotate(log_of(allowed("c1"))), NEW)


def found(log, **options):
    return {(one.code, one.leaf) for one in verify(log, **options).findings}


def codes(log, **options):
    return {code for code, _ in found(log, **options)}


@pytest.mark.parametrize("trusted", [KEY, NEW])
@pytest.mark.parametrize("meaning", [True, False])
def test_whoever_trusts_either_key_verifies_the_whole_log(rotated, trusted, meaning):
    rotated.public_key = public(trusted)
    report = verify(rotated, meaning=meaning)
    assert (report.findings, report.checkpoints, report.uncovered) == ([], len(rotated.notes), 0)


def test_it_is_rotated_again(rotated):
    twice = more(rotate(rotated, NEW, THIRD, at=2), THIRD, number=91)
    for trusted in (KEY, NEW, THIRD):
        twice.public_key = public(trusted)
        assert verify(twice).ok


def opened(folder, form, key):
    return TileLog(folder_fetch(folder), key) if form == "tiles" else FolderLog(folder, key)


@pytest.mark.parametrize("form", ["folder", "tiles"])
@pytest.mark.parametrize("key", [KEY, NEW, None])
def test_an_export_leads_from_the_old_key_to_the_new(rotated, tmp_path, form, key):
    (export_tiles if form == "tiles" else export)(rotated, tmp_path / "log")
    log = opened(tmp_path / "log", form, named(key) if key else None)
    assert verify(log).findings == []
    assert log.public_key == public(key or NEW)
    with pytest.raises(AuditError, match="not the key that was given"):
        opened(tmp_path / "log", form, named(FORGER))


def test_tiles_grow_over_a_rotation_and_show_either_state_whole(tmp_path):
    log = log_of(allowed("c1"))
    export_tiles(log, tmp_path / "log")
    kept = (tmp_path / "log" / "checkpoint").read_text()
    export_tiles(rotate(log), tmp_path / "log")
    assert verify_checkpoint((tmp_path / "log" / "checkpoint").read_text(), ORIGIN, public(KEY)).size == len(log.rows)
    assert verify_checkpoint((tmp_path / "log" / "checkpoint").read_text(), ORIGIN, public(NEW)).size == len(log.rows)
    export_tiles(more(log, NEW), tmp_path / "log")
    assert verify(SeenLog(TileLog(folder_fetch(tmp_path / "log"), named(KEY)), kept)).ok
    (tmp_path / "log" / "checkpoint").write_text(kept)  # as a reader meets it whose export is half-way: the checkpoint comes last
    assert verify(TileLog(folder_fetch(tmp_path / "log"))).ok
    assert verify(TileLog(folder_fetch(tmp_path / "log"), named(KEY))).ok
    assert not verify(TileLog(folder_fetch(tmp_path / "log"), named(NEW))).ok, "nothing there is signed by it"


def test_a_checkpoint_of_a_key_that_no_rotation_introduced_is_found(rotated):
    rotated.notes[-1] = note(rotated, FORGER)
    assert codes(rotated) == {"checkpoint_invalid"}


def test_a_rotated_key_that_signs_on_is_found(rotated):
    rotated.notes[-1] = note(rotated, KEY)
    assert "was rotated at leaf" in str(verify(rotated).first)
    rotated.notes[-1] = note(rotated, NEW, KEY)
    assert "was rotated at leaf" in str(verify(rotated).first)


def test_a_key_that_signs_before_its_time_is_found(rotated):
    half = replace(rotated, rows=rotated.rows[:2])
    rotated.notes[0] = note(half, NEW)
    assert "goes over to only at leaf" in str(verify(rotated).first)


@pytest.mark.parametrize("signed", [(KEY,), (NEW,)])
def test_a_rotation_that_one_key_signed_is_forged(signed):
    log = more(rotate(log_of(allowed("c1")), signed=signed), NEW)
    leaf = log.rotations[0].leaf
    assert ("rotation_unsigned", leaf) in found(log)
    assert "both keys did not sign" in str(next(one for one in verify(log).findings if one.code == "rotation_unsigned"))


def test_an_event_that_names_a_forgers_key_without_the_old_key_is_found():
    """Who has the database, but not the key, writes the event and goes on with a key of their own."""
    log = more(rotate(log_of(allowed("c1")), new=FORGER, signed=(FORGER,)), FORGER)
    for trusted in (KEY, FORGER):
        log.public_key = public(trusted)
        assert {"rotation_unsigned", "checkpoint_invalid"} <= codes(log)


def test_control_a_verifier_that_asks_for_one_signature_takes_the_forgery(monkeypatch):
    class Lax(Signers):
        def verify(self, text):
            for key in self.keys:
                try:
                    return verify_checkpoint(text, ORIGIN, key)
                except AuditError as error:
                    last = error
            raise last

    monkeypatch.setattr("remit.audit.signers.Signers", Lax)
    assert verify(more(rotate(log_of(allowed("c1")), new=FORGER, signed=(FORGER,)), FORGER)).ok


def test_control_a_verifier_without_rotations_refuses_a_rotated_log(rotated):
    rotated.rotations = ()
    assert {"rotation_forged", "checkpoint_invalid"} <= codes(rotated)


def test_an_event_that_the_log_says_nothing_of_is_forged(rotated):
    rotated.place(event(NEW, FORGER, 7))
    rotated.notes.append(note(rotated, NEW))
    assert found(rotated) == {("rotation_forged", len(rotated.rows) - 1)}


def test_a_rotation_that_no_leaf_tells_of_is_found(rotated):
    """A log of the forger's own, that says it went over to the trusted key once: nothing but the leaf can show that."""
    log = log_of(allowed("c1"))
    log.notes = [note(log, FORGER)]
    for leaf in (2, 1_000_000):
        log.rotations, log.public_key = (Rotation(leaf, public(FORGER), public(KEY), ""),), public(KEY)
        assert ("rotation_missing", leaf) in found(log)


def test_rotations_that_do_not_follow_one_another_are_found(rotated):
    rotated.rotations = (*rotated.rotations, replace(rotated.rotations[0], leaf=len(rotated.rows)))
    assert "rotation_disordered" in codes(rotated)
    with pytest.raises(AuditError, match="follow one another"):
        Signers(ORIGIN, public(NEW), rotated.rotations)
    with pytest.raises(AuditError, match="leads to the key"):
        Signers(ORIGIN, public(FORGER), rotated.rotations[:1])


def test_a_leaf_whose_words_only_look_like_it_rotates_nothing():
    log = log_of(allowed("c1").tell("call.cancelled", None, None, reason='"log.key_rotated"', why="log.key_rotated"))
    assert not {"rotation_forged"} & codes(log)


@pytest.mark.parametrize("described", [1, [1], [{}], [{"leaf": "1", "old": named(KEY), "new": named(NEW), "note": ""}]])
def test_a_description_of_rotations_that_is_none_is_refused(rotated, tmp_path, described):
    export(rotated, tmp_path / "log")
    about = orjson.loads((tmp_path / "log" / "log.json").read_bytes())
    (tmp_path / "log" / "log.json").write_bytes(orjson.dumps({**about, "rotations": described}))
    with pytest.raises(AuditError):
        FolderLog(tmp_path / "log")
