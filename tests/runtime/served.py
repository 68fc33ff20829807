"""A world whose database is served by PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remit import Runtime
from remit.audit import KeyFile
from remit.runtime.clock import Clock
from tests.postgres import database
from tests.runtime.bank import ACTIONS, ALLOW, NOTES, Payment, World


@dataclass
class Served(World):
    """The same, with a server's database that is dropped in the end, and time that really passes."""

    url: str = ""

    @property
    def database(self) -> Any:
        return self.url

    def runtime(self, actions: Any = ACTIONS, **settings: Any) -> Runtime:
        return super().runtime(actions, **{"keys": self.folder / "remit.keys", "clock": Clock, **settings})


@contextlib.contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Make such a world: keys, policies, and an empty database."""
    with database() as url:
        world = Served(folder, url=url)
        KeyFile.create(folder / "remit.keys")
        (folder / "policies").mkdir()
        world.policies(payments=ALLOW, notes=NOTES)
        world.bank.payments = {f"pay_{number}": Payment(customer="kay") for number in range(1, 60)}
        yield world
