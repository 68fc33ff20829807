"""What is sealed opens with its key at its place, and with a destroyed key not at all."""

import os

import pytest

from remit.audit import KeyedHash, keyed_hash, open_, seal, unveil, unwrap, veil, wrap
from remit.errors import AuditError

KEY, OTHER = b"a" * 32, b"b" * 32


def test_what_was_sealed_opens():
    sealed = seal(KEY, b"kim@example.org", b"event 1", os.urandom)
    assert b"kim" not in sealed
    assert open_(KEY, sealed, b"event 1") == b"kim@example.org"


def test_the_same_is_never_sealed_alike():
    assert seal(KEY, b"x", b"", os.urandom) != seal(KEY, b"x", b"", os.urandom)


@pytest.mark.parametrize(
    "attempt",
    [
        lambda sealed: open_(OTHER, sealed, b"event 1"),
        lambda sealed: open_(KEY, sealed, b"event 2"),
        lambda sealed: open_(KEY, sealed[:-1] + bytes([sealed[-1] ^ 1]), b"event 1"),
        lambda sealed: open_(KEY, sealed[:5], b"event 1"),
    ],
    ids=["another key", "another place", "a changed byte", "cut short"],
)
def test_anything_else_does_not_open(attempt):
    with pytest.raises(AuditError, match="does not open"):
        attempt(seal(KEY, b"x", b"event 1", os.urandom))


def test_a_wrapped_key_opens_under_its_epoch_and_only_for_its_subject():
    wrapped = wrap(KEY, 3, b"s" * 32, "customer-1", os.urandom)
    assert unwrap({2: OTHER, 3: KEY}, wrapped, "customer-1") == b"s" * 32
    with pytest.raises(AuditError, match="does not open"):
        unwrap({3: KEY}, wrapped, "customer-2")


def test_once_the_tenant_key_of_an_epoch_is_destroyed_what_it_wrapped_is_gone():
    wrapped = wrap(KEY, 1, b"s" * 32, "customer-1", os.urandom)
    with pytest.raises(AuditError, match="epoch 1 is not there"):
        unwrap({2: OTHER}, wrapped, "customer-1")


def test_a_keyed_hash_depends_on_key_label_and_text():
    hashes = {keyed_hash(key, label, text) for key in (KEY, OTHER) for label in ("effect", "subject") for text in ("x", "y")}
    assert len(hashes) == 8
    assert keyed_hash(KEY, "effect", "x") == keyed_hash(KEY, "effect", b"x")
    often = KeyedHash(KEY)
    for text in ("x", "y", b"x"):
        assert often("effect", text) == keyed_hash(KEY, "effect", text)


def test_a_veiled_lookup_is_found_again_and_tells_nothing_without_its_tenant_key():
    lookup = keyed_hash(KEY, "subject", "kim@example.org")
    assert veil(OTHER, lookup) == veil(OTHER, lookup) != veil(KEY, lookup)
    assert lookup not in veil(OTHER, lookup)
    assert unveil(OTHER, veil(OTHER, lookup)) == lookup == unveil(OTHER, lookup), "one of before there were veils is as it was"
    with pytest.raises(AuditError):
        unveil(KEY, veil(OTHER, lookup))
