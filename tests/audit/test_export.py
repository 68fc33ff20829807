"""An exported folder verifies like the log that it came from, and a damaged one does not."""

import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from remit.audit import FolderLog, export, verifier_key, verify
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
