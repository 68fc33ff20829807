"""Where a log that is verified comes from: a folder, in either form, or a URL at which its tiles are published."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import sleep

import httpx

from ..audit import FolderLog, TileLog, folder_fetch
from ..audit.tiles import Fetch
from ..errors import AuditError

_PATIENCE = 30  # seconds without a byte
_PAUSES = (0.2, 1.0)


def is_url(place: str) -> bool:
    """Say whether a place is on the web, and not a folder."""
    return place.startswith(("https://", "http://"))


@contextmanager
def opened(place: str, key: str | None, *, sealed: bool = False) -> Iterator[FolderLog | TileLog]:
    """Open the log at a place, held to the verifier key if one is given; `sealed` leaves openings unread. Raises AuditError where there is none."""
    if is_url(place):
        with httpx.Client(timeout=_PATIENCE) as client:
            yield TileLog(web_fetch(client, place), key)
    else:
        folder = Path(place)
        tiles = (folder / "checkpoint").exists() or (folder / "tile").exists()
        yield TileLog(folder_fetch(folder), key) if tiles else FolderLog(folder, key, sealed=sealed)


def web_fetch(client: httpx.Client, prefix: str, *, pauses: Sequence[float] = _PAUSES) -> Fetch:
    """Give the files below a URL, never more of one than asked for, whatever the server sends.

    A broken connection is tried again after each of the `pauses` (seconds).
    """

    def fetch(path: str, most: int) -> bytes | None:
        url = f"{prefix.rstrip('/')}/{path}"
        for pause in (*pauses, None):
            try:
                return _get(client, url, most)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                if pause is None or not isinstance(error, httpx.TransportError):
                    raise AuditError(f"{url} can't be read: {str(error) or type(error).__name__}") from error
                sleep(pause)
        return None

    return fetch


def _get(client: httpx.Client, url: str, most: int) -> bytes | None:
    with client.stream("GET", url) as response:
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        if response.status_code != httpx.codes.OK:
            raise AuditError(f"{url} can't be read: the server answers {response.status_code}")
        data = bytearray()
        for part in response.iter_bytes():
            data += part
            if len(data) >= most:
                break
        return bytes(data[:most])
