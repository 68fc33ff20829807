"""What happened: events as leaves of a signed tree, personal values apart, and a verifier that needs nothing else of Remit.

This package needs only itself, `remit.errors`, `cryptography` and `orjson`.
"""

from .canonical import canonical
from .checkpoint import Checkpoint, read_verifier_key, sign, verifier_key
from .checkpoint import verify as verify_checkpoint
from .event import FINAL, KINDS, REACHED, READ_TRANSITIONS, TRANSITIONS, Event, State
from .export import export
from .folder_lock import FolderLock, FolderTaken
from .keys import KeyFile, signing_fingerprint
from .leaf import LARGEST, Leaf, Opening, Record, commit, read, write
from .log import Entry, FolderLog, Log
from .merkle import EMPTY_ROOT, RightEdge, leaf_hash, node_hash, root
from .privacy import KEY_SIZE, KeyedHash, epoch_of, keyed_hash, open_, seal, unveil, unwrap, veil, wrap
from .proofs import check_consistency, check_inclusion, prove_consistency, prove_inclusion, root_of
from .report import Finding, Report
from .seen import SeenLog
from .signers import Rotation, Signers, rotation_in
from .tile_export import TileWriter, export_tiles
from .tile_log import TileLog, folder_fetch
from .tiles import Hashes
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
    "FolderLock",
    "FolderLog",
    "FolderTaken",
    "Hashes",
    "KeyFile",
    "KeyedHash",
    "Leaf",
    "Log",
    "Opening",
    "Record",
    "Report",
    "RightEdge",
    "Rotation",
    "SeenLog",
    "Signers",
    "State",
    "TileLog",
    "TileWriter",
    "canonical",
    "check_consistency",
    "check_inclusion",
    "commit",
    "epoch_of",
    "export",
    "export_tiles",
    "folder_fetch",
    "keyed_hash",
    "leaf_hash",
    "node_hash",
    "open_",
    "prove_consistency",
    "prove_inclusion",
    "read",
    "read_verifier_key",
    "root",
    "root_of",
    "rotation_in",
    "seal",
    "sign",
    "signing_fingerprint",
    "unveil",
    "unwrap",
    "veil",
    "verifier_key",
    "verify",
    "verify_checkpoint",
    "wrap",
    "write",
]
