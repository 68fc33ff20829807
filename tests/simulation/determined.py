"""What makes a run the same each time: seeded randomness, databases of the simulation, and policies that are compiled once."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import random
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

from remit.audit import KeyFile
from remit.errors import StoreError
from remit.policies import Policies, load
from remit.runtime import control, journeys, sequencer, store, wakeups
from remit.runtime import logs as logs_module
from remit.runtime import runtime as runtime_module
from remit.runtime.sqlite import open_sqlite
from tests.runtime.bank import shut
from tests.simulation.provider import ACTIONS

KEYS = KeyFile(b"signing-seed-of-the-simulation-1", {1: b"tenant-key-of-the-simulation---2"}, b"lookup-key-of-the-simulation---3")
PAYING = "[charge, pay, send, post, lend]"
WINDOW, AT_MOST = 600, {"paying/budget": 6_000, "paying/often": 4}
LIMITS = f"""
limits:
  - {{id: budget, measure: arguments.amount, currency: EUR, window: {WINDOW // 60}m, at_most: {AT_MOST["paying/budget"]}}}
  - {{id: often, per: subject.id, window: {WINDOW // 60}m, at_most: {AT_MOST["paying/often"]}}}
"""
EXPECTED = {"remit.settling", "remit.execution", "remit.work"}
"""Who tells operators what they must do, or what a provider did."""
INJECTED = (": StoreError", ": DatabaseUnavailable", ": DatabaseLocked", ": CommitUnknown", ": Overlapped")
"""How the log names what the database of the simulation does."""
REST = "policy: rest\nactions: [look, fetch]\nrules:\n  - {id: any, then: allow}\n"
ABOVE = 'arguments.amount.currency == "EUR" && arguments.amount.minor > '
ANY = f"policy: paying\nactions: {PAYING}\nrules:\n  - {{id: any, then: allow}}\n"
VARIANTS = (
    f"{ANY}{LIMITS}",
    f"{ANY}  - {{id: large, when: '{ABOVE}2000', then: require_approval, approval: {{by: finance, votes: 1, within: 20m}}}}\n{LIMITS}",
    f"{ANY}  - {{id: sure, when: '{ABOVE}1500', then: require_confirmation, confirmation: {{within: 10m}}}}\n{LIMITS}",
)
"""What may be in force: everything within a limit, with an approval or a confirmation of what is large, or without."""

_bundles: dict[str, Policies] = {}


def policy(sources: Any, actions: Mapping[str, Any]) -> Policies:
    """Load policies once: a path names one of `VARIANTS`."""
    if isinstance(sources, Path):
        sources = {"paying.yaml": VARIANTS[int(sources.name)], "rest.yaml": REST}
    key = "\0".join(f"{name}\0{sources[name]}" for name in sorted(sources))
    if key not in _bundles:
        _bundles[key] = load(sources, actions)
    return _bundles[key]


@functools.cache
def _guard(action: Any) -> Any:
    return control.guard(action, control.shape(action))


@functools.cache
def empty() -> bytes:
    """Make the bytes of a database with its tables and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "remit.db"
        with path.with_suffix(".keys").open("wb") as file:
            file.write(KEYS._to_json())
        path.with_suffix(".keys").chmod(0o600)
        with patch("secrets.token_hex", return_value="0" * 16):
            shut(open_sqlite(path))
        return path.read_bytes()


class Errors(logging.Handler):
    """Collect what the runtime did not expect: errors that are no `StoreError` of an injected fault."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error, said = record.exc_info[1] if record.exc_info else None, record.getMessage()
        if isinstance(error, StoreError) or record.name in EXPECTED or any(name in said for name in INJECTED):
            return
        self.found.append(f"{record.name}: {said} {error!r}")


@contextlib.contextmanager
def determined(seed: int, open_database: Any) -> Iterator[Errors]:
    """Let nothing but the seed decide, and databases be opened by `open_database`."""
    state, errors, logger = random.getstate(), Errors(), logging.getLogger("remit")
    before = logger.propagate, logger.level
    logger.addHandler(errors)
    logger.propagate, logger.level = False, logging.ERROR
    random.seed(seed)
    with contextlib.ExitStack() as stack:
        for place, name, value in (
            (os, "urandom", random.Random(seed).randbytes),
            (runtime_module, "open_database", open_database),
            (runtime_module, "guard", lambda action, _shape: _guard(action)),
            (control, "load", policy),
            (logs_module, "load", policy),
            (wakeups, "POLL", 1.0),
            (journeys, "POLL", 0.5),
            (sequencer, "PAUSE", 1.5),
            (store, "started", lambda: "-" * 36),
        ):
            stack.enter_context(patch.object(place, name, value))
        try:
            yield errors
        finally:
            random.setstate(state)
            logger.removeHandler(errors)
            logger.propagate, logger.level = before


__all__ = ["ACTIONS", "AT_MOST", "KEYS", "VARIANTS", "WINDOW", "determined", "empty", "policy"]
