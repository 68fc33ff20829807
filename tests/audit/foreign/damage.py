"""What is done to a log in tiles that a verifier must reject: names, and the ways."""

import re

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from remit.audit import root, sign, verifier_key
from tests.audit.building import KEY, ORIGIN
from tests.audit.tiny import hash_at, note

VERIFIER_KEY = verifier_key(ORIGIN, KEY.public_key().public_bytes_raw())
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
OTHER_KEY = verifier_key(ORIGIN, OTHER.public_key().public_bytes_raw())


def edit(pattern, change):
    """Change the last file whose path matches."""

    def damage(folder):
        found = sorted(path for path in folder.rglob("*") if path.is_file() and re.search(pattern, str(path.relative_to(folder))))
        found[-1].write_bytes(change(found[-1].read_bytes()))

    return damage


def leaves(change):
    """Change the leaves of the first bundle."""

    def rebundle(data):
        found, at = [], 0
        while at < len(data):
            end = at + 2 + data[at + 1]
            found.append(data[at:end])
            at = end
        return b"".join(change(found))

    return edit(r"entries/000(\.p/\d+)?$", rebundle)


def checkpoint(write):
    def damage(folder):
        (folder / "checkpoint").write_text(write((folder / "checkpoint").read_text()))

    return damage


def flipped(data):
    return data[:-1] + bytes([data[-1] ^ 1])


def _size(text):
    return int(text.split("\n")[1])


DAMAGE = {
    "a leaf was changed": leaves(lambda found: [flipped(found[0]), *found[1:]]),
    "two leaves were swapped": leaves(lambda found: [found[1], found[0], *found[2:]]),
    "a leaf was deleted": leaves(lambda found: found[1:]),
    "a leaf was doubled": leaves(lambda found: [found[0], *found]),
    "a bundle was truncated": edit(r"entries/", lambda data: data[:-1]),
    "a hash of a leaf was changed": edit(r"tile/0/", flipped),
    "a hash above was changed": edit(r"tile/1/", flipped),
    "a tile was truncated": edit(r"tile/0/", lambda data: data[:-32]),
    "a tile is missing": lambda folder: next((folder / "tile/0").rglob("0*")).rename(folder / "gone"),
    "the size was changed": checkpoint(lambda text: text.replace(f"\n{_size(text)}\n", f"\n{_size(text) - 1}\n")),
    "the signature was changed": checkpoint(lambda text: text[:-8] + ("A" if text[-8] != "A" else "B") + text[-7:]),
    "another key signed": checkpoint(lambda text: note(_size(text), OTHER)),
    "another log was signed": checkpoint(lambda text: sign("other.example.org", _size(text), root([]), KEY)),
    "another root was signed": checkpoint(lambda text: sign(ORIGIN, _size(text), root([hash_at(1)]), KEY)),
}
"""By name what is done to a folder of at least 257 leaves."""
