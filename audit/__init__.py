"""What happened: events as leaves of a signed tree, personal values apart, and a verifier that needs nothing else of Remit.

This package needs only itself, `remit.errors`, `cryptography` and `orjson`.
"""

from .canonical import canonical
from .checkpoint import Checkpoint, read_verifier_key, sign, verifier_key
from .checkpoint import verify as verify_checkpoint
from .event import FINAL, KINDS, REACHED, READ_TRANSITIONS, TRANSITIONS, Event, State
from .export import export
from .keys import KeyFile
from .leaf import LARGEST, Leaf, Opening, Record, commit, read, write
from .log import Entry, FolderLog, Log
from .merkle import EMPTY_ROOT, RightEdge, leaf_hash, node_hash, root
from .privacy import KEY_SIZE, KeyedHash, keyed_hash, open_, seal, unwrap, wrap
from .report import Finding, Report
from .verify import verify

__all__ = [
    "EMPTY_ROOT",
    "FINAL",
    "KEY_SIZE",
    "KINDS",
    "LARGEST",
    "REACHED",
    "READ_TRANSITIONS",
    "TRANSITIONS",
    "Checkpoint",
    "Entry",
    "Event",
    "Finding",
    "FolderLog",
    "KeyFile",
    "KeyedHash",
    "Leaf",
    "Log",
    "Opening",
    "Record",
    "Report",
    "RightEdge",
    "State",
    "canonical",
    "commit",
    "export",
    "keyed_hash",
    "leaf_hash",
    "node_hash",
    "open_",
    "read",
    "read_verifier_key",
    "root",
    "seal",
    "sign",
    "unwrap",
    "verifier_key",
    "verify",
    "verify_checkpoint",
    "wrap",
    "write",
]
