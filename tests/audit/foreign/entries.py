"""Leaves with their proofs and checkpoint as Sigstore's tools take them: a TransparencyLogEntry in protobuf's JSON."""

from base64 import b64decode, b64encode
from copy import deepcopy
from hashlib import sha256

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from remit.audit import Hashes, TileLog, folder_fetch, prove_inclusion, root_of, verify_checkpoint
from remit.audit.tiles import Tile, leaves_in, width_of
from tests.audit.building import KEY, ORIGIN
from tests.audit.foreign.damage import OTHER
from tests.audit.tiny import note


def text(data):
    return b64encode(data).decode()


def der(key=KEY):
    return text(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def log_id(key=KEY):
    """Name a log as Rekor does: of what the first four bytes are the key id in its notes."""
    return text(sha256(ORIGIN.encode() + b"\n\x01" + key.public_key().public_bytes_raw()).digest())


def entry(folder, index):
    """Take a leaf out of the tiles, with its proof."""
    fetch = folder_fetch(folder)
    log = TileLog(fetch)
    envelope = next(log.checkpoints())
    size = verify_checkpoint(envelope, log.origin, log.public_key).size
    nodes, number = Hashes(fetch, size), index // 256
    proof = {
        "logIndex": str(index),
        "rootHash": text(root_of(size, nodes)),
        "treeSize": str(size),
        "hashes": [*map(text, prove_inclusion(index, size, nodes))],
        "checkpoint": {"envelope": envelope},
    }
    body = leaves_in(fetch, Tile(None, number, width_of(size, 0, number)))[index % 256]
    return {
        "logIndex": str(index),
        "logId": {"keyId": log_id()},
        "kindVersion": {"kind": "remit", "version": "1"},
        "inclusionProof": proof,
        "canonicalizedBody": text(body),
    }


def _flip(encoded):
    data = b64decode(encoded)
    return text(data[:-1] + bytes([data[-1] ^ 1]))


def _put(key, value):
    def change(one):
        one["inclusionProof"][key] = value(one["inclusionProof"][key])

    return change


def _envelope(write):
    return _put("checkpoint", lambda held: {"envelope": write(held["envelope"])})


def _other_body(one):
    one["canonicalizedBody"] = _flip(one["canonicalizedBody"])


WRONG = {
    "another leaf": _other_body,
    "another place": _put("logIndex", lambda index: str(int(index) ^ 1)),
    "another root": _put("rootHash", _flip),
    "a changed hash": _put("hashes", lambda hashes: [_flip(hashes[0]), *hashes[1:]]),
    "a hash too few": _put("hashes", lambda hashes: hashes[:-1]),
    "a hash too many": _put("hashes", lambda hashes: [*hashes, hashes[0]]),
    "two hashes swapped": _put("hashes", lambda hashes: [hashes[1], hashes[0], *hashes[2:]]),
    "another signature": _envelope(lambda held: held[:-8] + ("A" if held[-8] != "A" else "B") + held[-7:]),
    "no signature": _envelope(lambda held: held.partition("\n\n")[0] + "\n\n"),
    "another size signed": _envelope(lambda held: held.replace("\n257\n", "\n258\n")),
    "another checkpoint": _envelope(lambda _: note(256)),
    "another key's checkpoint": _envelope(lambda _: note(257, OTHER)),
}
"""By name what makes an entry of the log of 257 leaves wrong."""


def wrong(right, what):
    changed = deepcopy(right)
    WRONG[what](changed)
    return changed
