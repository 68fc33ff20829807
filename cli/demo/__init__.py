"""`remit demo`: a support conversation, played against providers to try on, and checked at the end.

The desk is the example in examples/support/, copied to a folder of its own; the model's part is written down, and everything
else is real: the wire formats, the runtime and its database, the providers' servers, the process that is killed.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..application import Unusable

if TYPE_CHECKING:
    from collections.abc import Iterator


def play(*, as_json: bool, keep: Path | None = None) -> int:
    """Play the story in `keep`, else in a folder that goes afterwards; give 0 if all is as it must be, else 1.

    Raises `Unusable` where it can't be tried: without the extra `demo`, with a live key of Stripe's, for a folder with
    something in it, or where Stripe can't be reached.
    """
    key = _test_key()
    if find_spec("aiosmtpd") is None:
        raise Unusable("the demo's mail server needs the package aiosmtpd; `pip install 'remit[demo]'` brings it")
    with _folder(keep) as folder:
        return _play(folder, key, as_json=as_json, kept=keep)


def _play(folder: Path, key: str | None, *, as_json: bool, kept: Path | None) -> int:
    import asyncio
    import time

    import httpx

    from ..output import show_json
    from .closing import close
    from .story import SCENES, tell
    from .telling import Telling, terminal

    console, began = terminal(quiet=as_json), time.monotonic()
    try:
        story = asyncio.run(tell(folder, key, Telling(console), SCENES))
    except httpx.HTTPStatusError as error:
        raise Unusable(
            f"{error.request.url.host} answered {error.response.status_code} to {error.request.url.path}: is the key right?"
        ) from error
    except httpx.HTTPError as error:
        raise Unusable(f"the payment provider can't be reached: {error}") from error
    close(console, story, kept, time.monotonic() - began)
    if as_json:
        show_json(story.to_json())
    return 0 if story.ok else 1


def _test_key() -> str | None:
    key = os.environ.get("STRIPE_API_KEY")
    if key and not key.startswith(("sk_test_", "rk_test_")):
        raise Unusable("STRIPE_API_KEY is not a test key (sk_test_…): the demo pays and refunds, so it takes no other")
    return key or None


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    import shutil
    import tempfile

    if keep is None:
        with tempfile.TemporaryDirectory(prefix="remit-demo-") as folder:
            yield Path(folder)
        return
    if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise Unusable(f"{keep} is there already, with something in it; name a new folder")
    try:
        yield keep
    except Unusable:
        shutil.rmtree(keep, ignore_errors=True)  # nothing half-written
        raise
