"""sigstore-python, which nobody here wrote, accepts our checkpoints and proofs, and rejects what was tampered with."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.audit.foreign.damage import OTHER
from tests.audit.foreign.entries import WRONG, der, entry, wrong
from tests.audit.tiny import SIZES
from tests.environments import environment

SCRIPT = Path(__file__).parent / "check_with_sigstore.py"


def sigstore(*entries, key=None):
    given = json.dumps({"key": key or der(), "entries": entries})
    python = environment("sigstore") / "bin" / "python"
    done = subprocess.run([python, SCRIPT], input=given, capture_output=True, text=True, check=False)
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
    assert [what for what, why in zip(WRONG, said[1:], strict=True) if why is None] == []


def test_it_rejects_anothers_key(published):
    assert "invalid signature" in sigstore(entry(published(257), 0), key=der(OTHER))[0]


@pytest.mark.parametrize("size", [1, 256])
def test_it_rejects_another_leaf_at_the_end(published, size):
    right = entry(published(size), size - 1)
    changed = {**right, "canonicalizedBody": "AAAA"}
    assert [why is None for why in sigstore(right, changed)] == [True, False]
