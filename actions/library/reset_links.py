"""Make links that let a person choose a new password: each works once, and only for a while.

A link is its token: 256 random bits. The store keeps the token's SHA-256, so who reads the store can't use one.
"""

from __future__ import annotations

import base64
import hashlib
import os
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from .database import Database, utc_now

SCHEMA = "CREATE TABLE IF NOT EXISTS reset_link (digest BLOB PRIMARY KEY, account TEXT NOT NULL, expires TEXT NOT NULL) STRICT;"


class ResetLinks:
    """Keep the links that stand in the SQLite file at `path`; `address` is what a token is appended to.

    The page at that address only shows a form; what the form sends is redeemed. So a mail scanner that follows links uses none up.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        address: str,
        valid: timedelta = timedelta(minutes=30),
        now: Callable[[], datetime] = utc_now,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._database, self._address, self._valid, self._now, self._random = Database(path, SCHEMA), address, valid, now, random

    async def issue(self, account_id: str) -> str:
        """Make a link for an account; any earlier one of it ends."""
        token = base64.urlsafe_b64encode(self._random(32)).rstrip(b"=").decode()
        now = self._now().astimezone(UTC)  # in a local zone, half an hour may take one and a half
        row = (_digest(token), account_id, _instant(now + self._valid))

        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM reset_link WHERE account = ? OR expires <= ?", (account_id, _instant(now)))
            db.execute("INSERT INTO reset_link VALUES (?, ?, ?)", row)

        await self._database.run(work)
        return self._address + token

    async def redeem(self, token: str) -> str | None:
        """Use a token up and return the id of its account; None where it is unknown, used or expired."""
        query = "DELETE FROM reset_link WHERE digest = ? AND expires > ? RETURNING account"
        parameters = (_digest(token), _instant(self._now()))
        found = await self._database.run(lambda db: db.execute(query, parameters).fetchone())
        return None if found is None else str(found["account"])


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()  # a token from an address may be anything


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")  # in one zone, because texts are compared
