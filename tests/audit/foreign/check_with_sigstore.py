"""Check entries with sigstore-python's verifier of checkpoints and inclusion; runs in its environment, not in ours.

stdin: {"key": DER in base64, "entries": [TransparencyLogEntry in protobuf's JSON, ...]}; stdout: for each null, or what is wrong.
"""

import json
import sys

from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore._internal.rekor.checkpoint import verify_checkpoint
from sigstore._internal.trust import Keyring
from sigstore.errors import VerificationError
from sigstore.models import TransparencyLogEntry
from sigstore_models.common.v1 import PublicKey
from sigstore_models.rekor.v1 import TransparencyLogEntry as Message


def check(entry, keyring):
    try:
        parsed = TransparencyLogEntry(Message.from_json(json.dumps(entry)))
        verify_merkle_inclusion(parsed)
        verify_checkpoint(keyring, parsed)
    except (VerificationError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return None


if __name__ == "__main__":
    given = json.load(sys.stdin)
    keys = Keyring([PublicKey.from_json(json.dumps({"rawBytes": given["key"], "keyDetails": "PKIX_ED25519"}))])
    json.dump([check(entry, keys) for entry in given["entries"]], sys.stdout)
