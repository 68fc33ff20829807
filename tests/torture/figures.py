"""Keep what a run has counted, so that `make torture` can write it down: a line of JSON each, in the file `REMIT_FIGURES` names."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path


def keep(what: str, began: float, **counted: int) -> None:
    """Keep what was counted; `began` is the monotonic time at which it began."""
    if place := os.environ.get("REMIT_FIGURES"):
        with Path(place).open("a") as lines:
            lines.write(json.dumps({"what": what, "seconds": round(time.monotonic() - began, 1), **counted}) + "\n")
