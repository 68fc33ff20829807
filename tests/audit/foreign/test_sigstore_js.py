"""@sigstore/verify, which nobody here wrote, accepts our checkpoints and proofs, and rejects what was tampered with."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.audit.building import KEY, ORIGIN
from tests.audit.foreign.damage import OTHER
from tests.audit.foreign.entries import WRONG, der, entry, log_id, wrong
from tests.audit.tiny import SIZES
from tests.environments import environment, node

SCRIPT = Path(__file__).parent / "check_with_sigstore.js"
UNREAD = {"another root"}
"""What this verifier passes over by right: it computes the root, and compares that with the checkpoint."""


def sigstore(*entries, key=KEY, name=ORIGIN):
    given = json.dumps({"key": der(key), "id": log_id(KEY), "name": name, "entries": entries})
    home = environment("sigstore-js")
    done = subprocess.run([node(home), SCRIPT, home / "node_modules"], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_accepts_leaves_of_our_logs(published):
    """At every size but that of the empty log, which has no leaf to prove."""
    entries = [entry(published(size), index) for size in SIZES if size for index in {0, size // 2, size - 1}]
    assert sigstore(*entries) == [None] * len(entries)


def test_it_rejects_what_was_tampered_with(published):
    right = entry(published(257), 100)
    said = sigstore(right, *(wrong(right, what) for what in WRONG))
    assert said[0] is None
    assert {what for what, why in zip(WRONG, said[1:], strict=True) if why is None} == UNREAD


def test_it_rejects_anothers_key_and_name(published):
    assert "invalid checkpoint signature" in sigstore(entry(published(257), 0), key=OTHER)[0]
    assert "invalid checkpoint signature" in sigstore(entry(published(257), 0), name="other.example.org")[0]


@pytest.mark.parametrize("size", [1, 256])
def test_it_rejects_another_leaf_at_the_end(published, size):
    right = entry(published(size), size - 1)
    changed = {**right, "canonicalizedBody": "AAAA"}
    assert [why is None for why in sigstore(right, changed)] == [True, False]
