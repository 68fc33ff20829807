"""Change the key file, one process of a machine at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ..errors import StoreError
from .key_drafts import sweep


@asynccontextmanager
async def alone(path: Path) -> AsyncIterator[None]:
    """Let one process of this machine at a time change the key file, by whatever link it is named; what a killed one left is destroyed.

    Raises StoreError where that can't be.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows; there the key file's owner sees to it
        sweep(path)
        yield
        return
    try:
        opened = _lock_of(path).open("w")
    except OSError as error:
        raise StoreError(f"{_lock_of(path)} can't be written: {error.strerror}; the keys stay as they are") from error
    with opened as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        sweep(path)
        yield


def _lock_of(path: Path) -> Path:
    place = path.resolve()
    return place.with_name(f"{place.name}.lock")
