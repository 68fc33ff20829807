"""Let one process at a time write to a folder; the system lets go of it when that ends, however it ends."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ..errors import AuditError


class FolderTaken(AuditError):
    """Another process writes to this folder."""

    code = "folder_taken"


class FolderLock:
    """A folder that is there, held until `close`, or until nobody refers to this any more. Raises `FolderTaken`.

    On a system without `fcntl`, and on a disk that knows no locks, nobody is held off.
    """

    def __init__(self, folder: Path) -> None:
        self._number: int | None = None
        try:
            import fcntl
        except ImportError:  # Windows: whoever starts them sees to it
            return
        self._number = os.open(folder, os.O_RDONLY)
        try:
            with suppress(OSError):  # a network's disk may lock no folders
                try:
                    fcntl.flock(self._number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise FolderTaken(f"another process writes to {folder}: end that, or name another folder") from None
        except FolderTaken:
            self.close()
            raise

    @classmethod
    def on(cls, folder: Path) -> FolderLock:
        """Hold a folder, which is made if it is not there. Raises AuditError as well where it can't be."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return cls(folder)
        except OSError as error:
            raise AuditError(f"{folder} can't be written: {error.strerror}") from error

    def holds(self, folder: Path) -> bool:
        """Say whether this folder is still the one that it holds: another may have been put in its place."""
        try:
            return self._number is None or os.path.samestat(os.fstat(self._number), folder.stat())
        except OSError:
            return False

    def close(self) -> None:
        """Let go of it. Safe to repeat."""
        number, self._number = self._number, None
        if number is not None:
            os.close(number)

    def __del__(self) -> None:
        self.close()
