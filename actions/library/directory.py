"""Find people's accounts in a directory, and unlock them: SCIM 2 (RFC 7643, 7644) over httpx."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import BaseModel, Field, ValidationError

from ...errors import Refused, Retryable, Unsure
from .. import Personal, Public

_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class Account(BaseModel, frozen=True):
    """A person's account; `email` is the address on file, `active` is False while it is locked."""

    id: Personal[str]
    user_name: Personal[str]
    email: Personal[str] | None = None
    active: Public[bool] = True


class Directory(ABC):
    """Know the accounts. Reading raises Retryable where the directory does not answer."""

    @abstractmethod
    async def find(self, login: str) -> Account | None:
        """Return the one account with this user name, e-mail address or id; None where there is none, or more than one."""

    @abstractmethod
    async def unlock(self, account_id: str) -> None:
        """Set the account active. Raise Refused or Retryable where it certainly was not, Unsure where that is not known."""


class ScimDirectory(Directory):
    """Use the SCIM service at `url`, such as https://directory.example.org/v2, with a bearer token; `timeout` is seconds.

    SCIM knows one attribute for it, `active` (RFC 7643, section 4.1.1). Where a directory also closes accounts with it, let a
    person approve what unlocks one. Every request has a connection of its own.
    """

    def __init__(self, url: str, *, token: str | None = None, timeout: float = 10) -> None:
        self._url, self._timeout = url.rstrip("/"), timeout
        self._tls = httpx.create_ssl_context()  # once: it takes longer than a request
        self._headers = {"Accept": "application/scim+json"} | ({"Authorization": f"Bearer {token}"} if token else {})

    async def find(self, login: str) -> Account | None:
        """Ask for user name, address and id in one filter, so that one request is made whatever is found."""
        value = json.dumps(login)  # a filter's value is a JSON string (RFC 7644, section 3.4.2.2): nothing in it ends it early
        query = f"userName eq {value} or emails.value eq {value} or id eq {value}"
        try:
            async with self._client() as client:
                answer = await client.get(f"{self._url}/Users", params={"filter": query, "count": "2"})
            answer.raise_for_status()
            found = _Users.model_validate_json(answer.content).resources
        except (httpx.HTTPError, ValidationError) as error:
            raise Retryable("The directory can't be read.") from error
        return found[0].account if len(found) == 1 else None

    async def unlock(self, account_id: str) -> None:
        """Replace `active` by true (RFC 7644, section 3.5.2.3)."""
        body = {"schemas": [_PATCH], "Operations": [{"op": "replace", "path": "active", "value": True}]}
        try:
            async with self._client() as client:
                headers = {"Content-Type": "application/scim+json"}
                address = f"{self._url}/Users/{quote(account_id, safe='')}"
                status = (await client.patch(address, content=json.dumps(body), headers=headers)).status_code
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Retryable("The directory can't be reached.") from error
        except httpx.HTTPError as error:
            raise Unsure("The directory's answer got lost.") from error
        if status == 429:
            raise Retryable("The directory asks to come back later.")
        if status in (400, 401, 403, 404):
            raise Refused("The directory refused.", definite=True)
        if status not in (200, 204):
            raise Unsure(f"The directory answered {status}.")

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(headers=self._headers, timeout=self._timeout, verify=self._tls)


class _Email(BaseModel):
    value: str
    primary: bool = False


class _User(BaseModel):
    """A User of RFC 7643, as far as it is read here."""

    id: str
    user_name: str = Field(alias="userName")
    active: bool = True
    emails: list[_Email] = []

    @property
    def account(self) -> Account:
        first = sorted(self.emails, key=lambda email: not email.primary)[:1]
        address: Any = first[0].value if first else None
        return Account(id=self.id, user_name=self.user_name, email=address, active=self.active)


class _Users(BaseModel):
    resources: list[_User] = Field(alias="Resources", default=[])
