"""Have PostgreSQL plan anew as tables grow: a plan that it keeps from when they were nearly empty reads all of a table later.

It plans anew by itself once autovacuum has seen the table, which may take a minute; a new database under load was at a third of its
speed by then.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import psycopg

FIRST, FURTHER = 64, 4
"""Plans are thrown away after so many statements of a connection, and whenever it has run so many times as many."""


class Plans:
    """Counts what is asked over each connection of a reader or a writer."""

    def __init__(self) -> None:
        self._asked: WeakKeyDictionary[psycopg.AsyncConnection[Any], tuple[int, int]] = WeakKeyDictionary()

    async def grow_old(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Count one more, and throw the plans away where it is time; outside of a transaction."""
        asked, enough = self._asked.get(connection, (0, FIRST))
        if (asked := asked + 1) >= enough:
            enough *= FURTHER
            await connection.execute("DISCARD PLANS")
        self._asked[connection] = asked, enough
