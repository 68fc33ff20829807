"""Go's sumdb, which nobody here wrote, accepts our checkpoints, tiles and proofs, and rejects what was tampered with."""

import json
import subprocess
from base64 import b64encode
from dataclasses import replace

import pytest

from remit.audit import LARGEST, Hashes, export_tiles, folder_fetch, prove_consistency, prove_inclusion, root, sign, verifier_key
from tests.audit.building import KEY, ORIGIN, allowed, log_of, uncertain
from tests.audit.foreign.damage import DAMAGE, OTHER_KEY, VERIFIER_KEY
from tests.audit.foreign.golang import build
from tests.audit.test_pruned import cut, long, recorded
from tests.audit.test_signers import NEW, more, rotate
from tests.audit.tiny import SIZES, hash_at, note

pytestmark = pytest.mark.timeout(300)  # building Go's standard library, once on a machine


@pytest.fixture(scope="module")
def go(tmp_path_factory):
    program = build(tmp_path_factory.mktemp("go"))

    def run(folder, *earlier, proofs=(), key=VERIFIER_KEY):
        return subprocess.run([program, key, folder, *earlier], input=json.dumps([*proofs]), capture_output=True, text=True, check=False)

    return run


def encoded(hashes):
    return [b64encode(each).decode() for each in hashes]


def proof_of_leaf(folder, index, size):
    proof = prove_inclusion(index, size, Hashes(folder_fetch(folder), size))
    return {"Index": index, "Leaf": encoded([hash_at(index)])[0], "Proof": encoded(proof)}


def proof_of_growth(folder, old, size):
    proof = prove_consistency(old, size, Hashes(folder_fetch(folder), size))
    return {"Growth": True, "Old": old, "Root": encoded([root(map(hash_at, range(old)))])[0], "Proof": encoded(proof)}


def among(size):
    return sorted({at for at in (0, 1, 127, 255, 256, size // 2, 65_535, 65_536, size - 2, size - 1) if 0 <= at < size})


@pytest.mark.parametrize("size", SIZES)
def test_it_accepts_our_logs_and_proofs(go, published, size):
    folder = published(size)
    proofs = [proof_of_leaf(folder, index, size) for index in among(size)]
    proofs += [proof_of_growth(folder, old + 1, size) for old in among(size)]
    done = go(folder, proofs=proofs)
    assert (done.stderr, done.stdout.split()) == ("", [str(size), str(len(proofs))])


def test_it_accepts_leaves_as_they_are_written_and_the_largest(go, tmp_path):
    log = log_of(*(allowed(f"c{number}") for number in range(70)), uncertain())
    log.rows[3] = replace(log.rows[3], leaf=b"x" * LARGEST)
    export_tiles(log.resign(), tmp_path / "log")
    done = go(tmp_path / "log")
    assert (done.stderr, done.stdout) == ("", f"{len(log.rows)} 0\n")


@pytest.mark.parametrize(("old", "size"), [(1, 2), (255, 256), (256, 257), (2, 65_536), (257, 70_000), (65_536, 70_000)])
def test_it_accepts_that_a_log_has_grown(go, published, tmp_path, old, size):
    (tmp_path / "earlier").write_text(note(old))
    assert go(published(size), tmp_path / "earlier").stderr == ""


def test_it_accepts_a_log_whose_front_was_pruned_and_that_it_has_grown(go, tmp_path):
    log = long()
    (tmp_path / "earlier").write_text(log.notes[-1])
    log = recorded(log, 512)
    export_tiles(cut(log, 512), tmp_path / "log")
    assert not (tmp_path / "log" / "tile" / "0" / "000").exists()
    done = go(tmp_path / "log", tmp_path / "earlier")
    assert (done.stderr, done.stdout) == ("", f"{len(log.rows)} 0\n")
    (tile,) = (tmp_path / "log" / "tile" / "1").rglob("*.p/*")
    tile.write_bytes(bytes(32) + tile.read_bytes()[32:])
    assert go(tmp_path / "log").returncode == 1


@pytest.mark.parametrize("what", DAMAGE)
@pytest.mark.parametrize("size", [257, 70_000])
def test_it_rejects_what_was_tampered_with(go, copied, size, what):
    folder = copied(size)
    DAMAGE[what](folder)
    assert go(folder).returncode == 1


def test_it_rejects_anothers_key(go, published):
    assert "no verifiable signatures" in go(published(257), key=OTHER_KEY).stderr


def test_it_rejects_another_history(go, published, tmp_path):
    (tmp_path / "earlier").write_text(sign(ORIGIN, 200, root(map(hash_at, range(1, 201))), KEY))
    assert go(published(257), tmp_path / "earlier").returncode == 1


def test_it_rejects_proofs_of_ours_that_were_changed(go, published):
    folder = published(257)
    for right in (proof_of_leaf(folder, 3, 257), proof_of_growth(folder, 200, 257)):
        assert go(folder, proofs=[right]).returncode == 0
        wrong = [{**right, "Proof": right["Proof"][:-1]}, {**right, "Proof": [*right["Proof"][1:], right["Proof"][0]]}]
        wrong += [{**right, "Index": 4} if "Index" in right else {**right, "Old": 201}]
        assert [go(folder, proofs=[each]).returncode for each in wrong] == [1, 1, 1]


def test_it_accepts_the_checkpoint_of_a_rotation_under_either_key_and_no_other_under_both(go, tmp_path):
    log = rotate(log_of(*(allowed(f"c{number}") for number in range(70))))
    export_tiles(log, tmp_path / "at")
    export_tiles(more(log, NEW), tmp_path / "after")
    for key in (VERIFIER_KEY, verifier_key(ORIGIN, NEW.public_key().public_bytes_raw())):
        assert go(tmp_path / "at", key=key).stderr == ""
    assert go(tmp_path / "after", key=verifier_key(ORIGIN, NEW.public_key().public_bytes_raw())).stderr == ""
    assert "no verifiable signatures" in go(tmp_path / "after").stderr
    assert "no verifiable signatures" in go(tmp_path / "at", key=OTHER_KEY).stderr
