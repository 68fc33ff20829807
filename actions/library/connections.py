"""Speak HTTP with what can only be looked up: every request on a connection of its own, sent once, and what came of it proves no more than it does.

A connection that was kept may be closed by the other side just when it is used again, and then nobody knows whether the request
arrived; a new one either can't be made, and not a byte was sent, or carries the whole request.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

import httpx

from ...errors import Retryable, Unsure
from .database import utc_now

BEFORE_A_BYTE = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
"""What httpx raises where the request itself was never begun: DNS, TCP, TLS, a proxy on the way."""


class FreshConnections:
    """Send requests to a provider that is called `name` in errors; `timeout` is seconds for each step.

    Redirects are not followed: a repeated write may come out as a read, whose 200 says nothing.
    """

    def __init__(self, name: str, *, timeout: float, headers: Mapping[str, str] | None = None, auth: tuple[str, str] | None = None) -> None:
        self._name, self._timeout, self._headers, self._auth = name, timeout, headers, auth
        self._tls = httpx.create_ssl_context()  # once: it takes longer than a request

    async def read(self, url: str, *, params: Mapping[str, str] | None = None) -> httpx.Response:
        """GET. Give an answer of 200 or 404; raise Retryable for any other, and for none."""
        try:
            async with self._client() as client:
                answer = await client.get(url, params=params)
        except httpx.HTTPError as error:
            raise Retryable(f"{self._name} can't be read.") from error
        if answer.status_code not in (200, 404):
            raise Retryable(f"{self._name} can't be read.", after=_wait(answer))
        return answer

    async def write(
        self, method: str, url: str, *, content: str, headers: Mapping[str, str], definite: Collection[int] = ()
    ) -> httpx.Response:
        """Send once. Give an answer of 200, 201, 204, or one of the `definite` refusals.

        Raise Retryable where nothing was done, because no byte was sent or the answer is 429, and Unsure for everything else, a page
        instead of an answer included.
        """
        try:
            async with self._client() as client:
                answer = await client.request(method, url, content=content, headers=headers)
        except BEFORE_A_BYTE as error:
            raise Retryable(f"{self._name} can't be reached.") from error
        except httpx.HTTPError as error:
            raise Unsure(f"The answer of {self._name} to {method} got lost.") from error
        if answer.status_code == 429:
            raise Retryable(f"{self._name} asks to come back later.", after=_wait(answer))
        if answer.status_code not in definite and (answer.status_code not in (200, 201, 204) or _is_page(answer)):
            raise Unsure(f"{self._name} answered {answer.status_code} to {method}.")
        return answer

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(headers=self._headers, timeout=self._timeout, verify=self._tls, auth=self._auth)


def retry_after(header: str | None, now: datetime) -> float | None:
    """Read a Retry-After (RFC 9110, section 10.2.3), seconds or a date, as seconds from `now`; None where it is neither."""
    text = (header or "").strip()
    if re.fullmatch("[0-9]{1,9}", text):
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):  # no date, or one without a zone
        return None


def _wait(answer: httpx.Response) -> float | None:
    return retry_after(answer.headers.get("retry-after"), utc_now())


def _is_page(answer: httpx.Response) -> bool:
    """Say whether somebody on the way answered with a page, such as a login; PHP calls an empty answer HTML too."""
    return bool(answer.content) and "html" in answer.headers.get("content-type", "")
