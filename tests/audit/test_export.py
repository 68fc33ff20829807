"""An exported folder verifies like the log that it came from, and a damaged one does not."""

import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from remit.audit import FolderLog, export, leaf_hash, verifier_key, verify
from remit.audit.leaf import LARGEST
from remit.errors import AuditError
from tests.audit.building import KEY, ORIGIN, POLICY, allowed, approved, decide, log_of, read, uncertain


@pytest.fixture
def log():
    made = log_of(allowed(), approved(), uncertain(), read())
    made.rows[3] = replace(made.rows[3], opening=None)
    return made


@pytest.fixture
def folder(log, tmp_path):
    export(log, tmp_path / "exported")
    return tmp_path / "exported"


def test_a_folder_gives_back_the_log(log, folder):
    read_back = FolderLog(folder)
    assert [(row.index, row.leaf, row.hash) for row in read_back.entries()] == [(row.index, row.leaf, row.hash) for row in log.rows]
    assert list(read_back.checkpoints()) == log.notes
    assert read_back.bundles() == {POLICY: {"refunds.yaml": "policy: refunds\n"}}
    assert (read_back.origin, read_back.log_id, read_back.public_key) == (log.origin, log.log_id, log.public_key)


def test_a_folder_verifies_like_its_log(log, folder):
    assert verify(FolderLog(folder), decide=decide) == verify(log, decide=decide)
    assert verify(FolderLog(folder)).ok


def test_entries_without_a_place_are_carried_too(log, tmp_path):
    log.rows[-1] = replace(log.rows[-1], index=None)
    log.notes.pop()
    export(log, tmp_path / "exported")
    assert verify(FolderLog(tmp_path / "exported")) == verify(log)
    assert verify(log).ok


def _edit(name, change):
    def damage(folder):
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    return damage


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_edit("leaves.jsonl", lambda text: text[:-10]), "leaves.jsonl has"),
        (_edit("leaves.jsonl", lambda text: b"".join(text.splitlines(keepends=True)[:-1])), "leaves.jsonl has"),
        (_edit("leaves.jsonl", lambda text: text + text.splitlines(keepends=True)[0]), "leaves.jsonl has"),
        (_edit("leaves.jsonl", lambda text: text.replace(b"10:00:02", b"10:00:03", 1)), "leaf 8: its bytes are not those"),
        (_edit("hashes.bin", lambda data: data[:-5]), "its bytes are not those"),
        (_edit("openings.jsonl", lambda text: text[:-10]), "openings.jsonl has"),
        (_edit("openings.jsonl", lambda text: text.replace(b"pay_77", b"pay_78", 1)), "is not the one that was committed to"),
        (_edit("openings.jsonl", lambda text: b"".join(reversed(text.splitlines(keepends=True)))), "out of order"),
        (_edit("openings.jsonl", lambda text: text.replace(b'"leaf":', b'"leef":', 1)), "not an opening"),
        (_edit("checkpoints.jsonl", lambda text: text[:-10]), "checkpoints.jsonl has"),
        (_edit("checkpoints.jsonl", lambda text: text.replace(b'"audit', b'["audit', 1)), "checkpoints.jsonl holds what is not JSON"),
        (_edit("checkpoints.jsonl", lambda text: b"1\n2\n"), "is not a string"),
        (lambda folder: (folder / "leaves.jsonl").unlink(), "can't be read"),
        (lambda folder: (folder / "checkpoints.jsonl").unlink(), "can't be read"),
    ],
)
def test_a_damaged_folder_is_found(folder, damage, words):
    assert verify(FolderLog(folder)).ok
    damage(folder)
    report = verify(FolderLog(folder))
    assert not report.ok
    assert any(words in str(finding) for finding in report.findings), report.findings


def _rows(change, *, hashes=True):
    """Change the lines of the leaves, as whoever can write the folder and mends what `log.json` counts and, with `hashes`, what lies beside."""

    def damage(folder):
        lines = (folder / "leaves.jsonl").read_bytes().splitlines()
        about, before = json.loads((folder / "log.json").read_text()), len(lines)
        lines = change(lines)
        (folder / "leaves.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
        for name in ("leaves", "placed"):
            about["counts"][name] += len(lines) - before
        (folder / "log.json").write_text(json.dumps(about))
        if hashes:
            (folder / "hashes.bin").write_bytes(b"".join(leaf_hash(line) for line in lines))

    return damage


def _swapped(lines):
    return [*lines[:5], lines[6], lines[5], *lines[7:]]


@pytest.mark.parametrize(
    ("damage", "code", "leaf", "words"),
    [
        (_rows(_swapped, hashes=False), "leaf_changed", 5, "its bytes are not those"),
        (_rows(_swapped), "root_differs", None, "one of the leaves"),
        (_rows(lambda lines: [*lines[:5], *lines[6:]], hashes=False), "leaf_changed", 5, "its bytes are not those"),
        (_rows(lambda lines: [*lines[:5], *lines[6:]]), "root_differs", None, "one of the leaves"),
        (_rows(lambda lines: [*lines[:6], lines[5], *lines[6:]]), "event_doubled", 6, "more than once"),
        (_rows(lambda lines: lines[:-1]), "log_truncated", None, "the log ends after"),
        (_rows(lambda lines: [*lines[:5], lines[5].replace(b"10:00:0", b"10:00:1", 1), *lines[6:]]), "root_differs", None, "was changed"),
        (_rows(lambda lines: [*lines[:5], b'{"v":1}', *lines[6:]]), "leaf_malformed", 5, "it lacks"),
        (_rows(lambda lines: [*lines[:5], b"x" * (LARGEST + 1), *lines[6:]]), "leaf_malformed", 5, "65536 bytes; at most 65535 fit"),
        (lambda folder: (folder / "hashes.bin").unlink(), "unreadable", None, "hashes.bin can't be read"),
        (lambda folder: (folder / "openings.jsonl").unlink(), "unreadable", None, "openings.jsonl can't be read"),
        (lambda folder: [path.unlink() for path in (folder / "bundles").iterdir()], "decision_unreproducible", 4, "no bundle"),
    ],
)
def test_what_was_done_to_a_folder_is_named_with_its_place(folder, damage, code, leaf, words):
    assert verify(FolderLog(folder), decide=decide).ok, "the control: before that it verifies"
    damage(folder)
    log = FolderLog(folder)

    def again(inputs, digest):
        if digest not in log.bundles():
            raise AuditError("no bundle")
        return decide(inputs, digest)

    report = verify(log, decide=again)
    assert not report.ok
    assert [one for one in report.findings if one.code == code and words in one.message and leaf in {None, one.leaf}], report.findings


def test_another_logs_key_and_an_older_checkpoint_are_named(folder, log):
    mine = (folder / "log.json").read_text()
    other = verifier_key(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"o" * 32).public_key().public_bytes_raw())
    (folder / "log.json").write_text(json.dumps({**json.loads(mine), "key": other}))
    assert verify(FolderLog(folder, other)).first.code == "checkpoint_invalid"
    (folder / "log.json").write_text(mine)
    notes = (folder / "checkpoints.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "checkpoints.jsonl").write_bytes(b"".join([notes[1], notes[0], *notes[2:]]))
    assert "checkpoint_disordered" in {finding.code for finding in verify(FolderLog(folder)).findings}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"v": 2}', '{"v":1,"key":"x","log":"l","counts":{}}'])
def test_a_folder_that_is_no_export_is_refused(folder, text):
    (folder / "log.json").write_text(text)
    with pytest.raises(AuditError):
        FolderLog(folder)


def test_a_folder_without_its_description_is_refused(tmp_path):
    with pytest.raises(AuditError, match=r"log\.json can't be read"):
        FolderLog(tmp_path)


def test_a_whole_forgery_is_found_by_whoever_knows_the_key(folder, log):
    """Without a key from elsewhere a folder vouches for itself; with it, a log signed anew does not pass."""
    mine = verifier_key(ORIGIN, KEY.public_key().public_bytes_raw())
    assert verify(FolderLog(folder, mine)).ok
    forger = Ed25519PrivateKey.from_private_bytes(b"f" * 32)
    log.public_key = forger.public_key().public_bytes_raw()
    export(log.resign(forger), folder.with_name("forged"))
    assert verify(FolderLog(folder.with_name("forged"))).ok
    with pytest.raises(AuditError, match="not the key that was given"):
        FolderLog(folder.with_name("forged"), mine)
    about = json.loads((folder.with_name("forged") / "log.json").read_text())
    (folder.with_name("forged") / "log.json").write_text(json.dumps({**about, "key": mine}))
    assert not verify(FolderLog(folder.with_name("forged"), mine)).ok


def test_an_interrupted_export_leaves_nothing(log, tmp_path):
    def entries():
        yield from log.rows[:5]
        raise AuditError("the database went away")

    log.entries = entries
    with pytest.raises(AuditError, match="went away"):
        export(log, tmp_path / "exported")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(log, folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with pytest.raises(AuditError, match="exists"):
        export(log, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_a_bundle_can_name_no_file_outside(log, tmp_path):
    log.sources = {"../../escaped": {}}
    with pytest.raises(AuditError, match="not the digest"):
        export(log, tmp_path / "exported")
    assert list(tmp_path.iterdir()) == []
