"""Keep what was signed last outside the database, so that one that was put back from a backup, or rewritten, is never signed over.

A file beside the key file holds the right edge of the tree at the last checkpoint that this machine has committed, for each log one. It
is written after the commit: what it says was always signed, and at worst the very last checkpoint is not yet in it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import orjson

from ..audit import RightEdge
from ..errors import AuditError, LastSignedUnusable, LogRolledBack
from .store import Store

FORMAT = 1
READ_AT_ONCE = 10_000


class LastSigned:
    """The file of one log."""

    def __init__(self, store: Store, log_id: str) -> None:
        self._store, self._log_id = store, log_id
        self._unkept: RightEdge | None = None  # what this process signed last, while the disk does not take it
        name = sha256(f"{log_id}\n{store.tenant}".encode()).hexdigest()[:8]
        self.path: Path = store.keys_at.with_name(f"{store.keys_at.stem}.{name}.signed")

    def read(self) -> RightEdge | None:
        """Give the tree as it was signed last; None where nothing was yet. Raises `LastSignedUnusable` for a file that can't be used."""
        try:
            content = orjson.loads(self.path.read_bytes())
            kept = RightEdge.from_bytes(bytes.fromhex(content["edge"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AuditError) as error:
            raise LastSignedUnusable(
                f"{self.path} can't be used ({type(error).__name__}): put it back, or remove it to sign without it"
            ) from error
        further = self._unkept
        return RightEdge(further.size, further.subtrees) if further is not None and further.size > kept.size else kept

    def remember(self, edge: RightEdge) -> None:
        """Keep the tree that was just signed: the file is there as a whole, or as it was. Raises OSError; then it is known here alone."""
        self._unkept = RightEdge(edge.size, edge.subtrees)
        content = {"v": FORMAT, "log": self._log_id, "tenant": self._store.tenant, "size": edge.size, "edge": edge.to_bytes().hex()}
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            with draft.open("wb") as file:
                file.write(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
            self._unkept = None
        finally:
            draft.unlink(missing_ok=True)

    async def hold(self, edge: RightEdge, signed: RightEdge | None) -> None:
        """Hold the tree that is to be signed on to the one `signed` last; raises `LogRolledBack` where it has not only grown.

        `signed` was read before `edge`: another process of this machine may have signed on meanwhile.
        """
        if signed is None:
            return
        size = signed.size
        if edge.size < size:
            raise LogRolledBack(self._words(f"the log has {edge.size} events, but {size} were signed"))
        async for leaf_hash in self._grown(size, edge.size):
            signed.append(leaf_hash)
        if signed.size < edge.size and (pruned := await self._pruned()) > size:
            raise LogRolledBack(
                self._words(
                    f"{size} events were signed here last, and leaves up to {pruned} were pruned since: what came between can't be checked"
                )
            )
        if (signed.size, signed.root()) != (edge.size, edge.root()):
            raise LogRolledBack(
                self._words(f"its first {size} events are not those that were signed, or what came since does not fit them")
            )

    async def _grown(self, since: int, until: int) -> AsyncIterator[bytes]:
        sql = "SELECT hash FROM event WHERE tenant = ? AND leaf_index >= ? AND leaf_index < ? ORDER BY leaf_index"
        for start in range(since, until, READ_AT_ONCE):
            for (leaf_hash,) in await self._store.rows(sql, (self._store.tenant, start, min(until, start + READ_AT_ONCE))):
                yield bytes(leaf_hash)

    async def _pruned(self) -> int:
        row = await self._store.row("SELECT below FROM pruned WHERE tenant = ?", (self._store.tenant,))
        return int(row[0]) if row else 0

    def _words(self, found: str) -> str:
        return (
            f"{self._store.name}: {found}; was a backup put back? Nothing more is signed. Put the newest state of the database in place. "
            f"If what is missing is lost for good, compare your providers' lists with the log, then remove {self.path} to sign on: "
            "whoever has kept a later checkpoint will see that the log was cut"
        )
