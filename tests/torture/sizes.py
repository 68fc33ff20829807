"""How much is tortured: a size that fits into `make test`, or the full one of `make torture` (`REMIT_TORTURE=full`)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from remit.audit import KeyFile
from tests import postgres

FULL = os.environ.get("REMIT_TORTURE") == "full"


def size(small: int, full: int) -> int:
    """Give the number for this run."""
    return full if FULL else small


@dataclass(frozen=True, slots=True)
class Sqlite:
    """A file; the runtime is killed `kills` times over it."""

    kills: int
    name: str = "sqlite"

    @contextlib.contextmanager
    def made(self, folder: Path) -> Iterator[str]:
        """Name a new database."""
        yield str(folder / "remit.db")


@dataclass(frozen=True, slots=True)
class Postgres:
    """A database of the tests' server, with its keys in the folder."""

    kills: int
    name: str = "postgres"

    @contextlib.contextmanager
    def made(self, folder: Path) -> Iterator[str]:
        """Name a new database."""
        KeyFile.create(folder / "remit.keys")
        with postgres.database() as url:
            yield url


KILLS = os.environ.get("REMIT_KILLS")
SQLITE, POSTGRES = Sqlite(int(KILLS or size(150, 1_000))), Postgres(int(KILLS or size(30, 300)))
DATABASES = (SQLITE, POSTGRES)
"""What the kill loop goes through."""
