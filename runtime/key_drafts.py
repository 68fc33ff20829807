"""What a process that was killed while it wrote the key file has left beside it: a copy of keys that are to be destroyed."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..errors import StoreError


def sweep(keys: Path) -> None:
    """Overwrite and remove what was left; nobody else may be writing the key file meanwhile. Raises StoreError where that can't be done."""
    place = keys.resolve()
    draft = re.compile(rf"\.{re.escape(place.name)}\.\d+")  # named after its process: somebody's own copy is left alone
    for left in [one for one in place.parent.iterdir() if draft.fullmatch(one.name)]:
        try:
            if left.samefile(place):  # of a process that was killed while it made the key file: the same file by another name
                left.unlink()
                continue
            with left.open("r+b") as file:
                file.write(b"\0" * os.fstat(file.fileno()).st_size)
                file.flush()
                os.fsync(file.fileno())
            left.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StoreError(f"{left} holds a copy of keys, and can't be removed: {error.strerror}") from error
