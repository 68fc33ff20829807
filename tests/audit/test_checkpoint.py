"""Checkpoints are C2SP's, and only the log's own key makes them."""

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from remit.audit import Checkpoint, read_verifier_key, sign, verifier_key, verify_checkpoint
from remit.errors import AuditError

ORIGIN = "audit.example.org/log-1"
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
NOTE = sign(ORIGIN, 7, b"r" * 32, KEY)


def test_what_was_signed_is_read_back():
    assert verify_checkpoint(NOTE, ORIGIN, PUBLIC) == Checkpoint(ORIGIN, 7, b"r" * 32)


def test_the_note_has_the_lines_that_others_expect():
    origin, size, root, blank, signature, end = NOTE.split("\n")
    assert (origin, size, root, blank, end) == (ORIGIN, "7", b64encode(b"r" * 32).decode(), "", "")
    assert signature.startswith(f"— {ORIGIN} ")


def test_the_published_example_key_of_signed_notes_is_read_and_written():
    published = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    origin, key = read_verifier_key(published)
    assert (origin, verifier_key(origin, key)) == ("PeterNeumann", published)


@pytest.mark.parametrize("text", ["", "name", "name+c74f20a3+ARpc", "Other+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"])
def test_what_is_no_verifier_key_is_refused(text):
    with pytest.raises(AuditError):
        read_verifier_key(text)


def test_a_witness_may_sign_too():
    witness = sign("witness.example.org", 7, b"r" * 32, KEY).splitlines()[-1]
    assert verify_checkpoint(f"{NOTE}{witness}\n", ORIGIN, PUBLIC).size == 7
    assert verify_checkpoint(NOTE.replace("— ", f"{witness}\n— "), ORIGIN, PUBLIC).size == 7


@pytest.mark.parametrize(
    "note",
    [
        NOTE.replace("\n7\n", "\n8\n"),
        NOTE.replace("\n7\n", "\n07\n"),
        NOTE.replace("\n7\n", "\n\u0667\n"),
        NOTE.replace("cnJy", "AAAA", 1),
        NOTE.replace("\n\n", "\nmore\n\n"),
        NOTE.partition("\n\n")[0],
        NOTE.partition("\n\n")[0] + "\n\n",
        sign(ORIGIN, 7, b"r" * 32, Ed25519PrivateKey.generate()),
        sign("audit.example.org/log-2", 7, b"r" * 32, KEY),
        NOTE.replace(NOTE.split()[-1], "AAAA"),
        "",
        "nonsense",
    ],
)
def test_any_other_note_is_refused(note):
    assert note != NOTE
    with pytest.raises(AuditError):
        verify_checkpoint(note, ORIGIN, PUBLIC)


@pytest.mark.parametrize("origin", ["", "two words", "a+b", "line\nbreak"])
def test_an_origin_that_would_break_the_note_is_refused(origin):
    with pytest.raises(AuditError):
        sign(origin, 0, b"r" * 32, KEY)
