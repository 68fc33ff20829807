"""How much is tortured: a size that fits into `make test`, or the full one of `make torture` (`REMIT_TORTURE=full`)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

FULL = os.environ.get("REMIT_TORTURE") == "full"


def size(small: int, full: int) -> int:
    """Give the number for this run."""
    return full if FULL else small


@dataclass(frozen=True, slots=True)
class Database:
    """A kind of database to be tortured: where its databases are made, and how often the runtime is killed over one of them."""

    name: str
    kills: int

    def at(self, folder: Path) -> str:
        """Name a new database."""
        return str(folder / "remit.db")


SQLITE = Database("sqlite", int(os.environ.get("REMIT_KILLS") or size(150, 1_000)))
DATABASES = (SQLITE,)
"""What the kill loop goes through; another database is one more line here, and a class whose `at` makes one."""
