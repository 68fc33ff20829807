"""Find people's accounts in a directory, and unlock them: SCIM 2 (RFC 7643, 7644) over httpx."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, Field, ValidationError

from ...errors import Refused, Retryable, Unsure
from .. import Personal, Public
from .connections import FreshConnections

_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_REFUSALS = (400, 401, 403, 404)


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
    async def read(self, account_id: str) -> Account | None:
        """Return the account with this id as it is now, None where there is none."""

    @abstractmethod
    async def unlock(self, account_id: str) -> None:
        """Set the account active. Raise Refused or Retryable where it certainly was not, Unsure where that is not known."""


class ScimDirectory(Directory):
    """Use the SCIM service at `url`, such as https://directory.example.org/v2, with a bearer token; `timeout` is seconds.

    SCIM knows one attribute for it, `active` (RFC 7643, section 4.1.1). Where a directory also closes accounts with it, let a
    person approve what unlocks one. Every request has a connection of its own.
    """

    def __init__(self, url: str, *, token: str | None = None, timeout: float = 10) -> None:
        self._url = url.rstrip("/")
        headers = {"Accept": "application/scim+json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._http = FreshConnections("The directory", timeout=timeout, headers=headers)

    async def find(self, login: str) -> Account | None:
        """Ask for user name, address and id in one filter, so that one request is made whatever is found."""
        value = json.dumps(login)  # a filter's value is a JSON string (RFC 7644, section 3.4.2.2): nothing in it ends it early
        query = f"userName eq {value} or emails.value eq {value} or id eq {value}"
        answer = await self._http.read(f"{self._url}/Users", params={"filter": query, "count": "2"})
        found = _parsed(_Users, answer).resources
        return found[0].account if len(found) == 1 else None

    async def read(self, account_id: str) -> Account | None:
        """Read the User resource (RFC 7644, section 3.4.1)."""
        answer = await self._http.read(self._address(account_id))
        return None if answer.status_code == 404 else _parsed(_User, answer).account

    async def unlock(self, account_id: str) -> None:
        """Replace `active` by true (RFC 7644, section 3.5.2.3); a 200 has to show that it is."""
        body = {"schemas": [_PATCH], "Operations": [{"op": "replace", "path": "active", "value": True}]}
        headers = {"Content-Type": "application/scim+json"}
        answer = await self._http.write("PATCH", self._address(account_id), content=json.dumps(body), headers=headers, definite=_REFUSALS)
        if answer.status_code in _REFUSALS:
            raise Refused("The directory refused.", definite=True)
        if answer.status_code != 204 and not _shows_active(answer):
            raise Unsure("The directory's answer can't be read.")

    def _address(self, account_id: str) -> str:
        return f"{self._url}/Users/{quote(account_id, safe='')}"


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


M = TypeVar("M", bound=BaseModel)


def _parsed(kind: type[M], answer: httpx.Response) -> M:
    """Read an answer; one that can't be read is not nobody."""
    try:
        if answer.status_code == 200:
            return kind.model_validate_json(answer.content)
    except ValidationError as error:
        raise Retryable("The directory can't be read.") from error
    raise Retryable("The directory can't be read.")


def _shows_active(answer: httpx.Response) -> bool:
    try:
        return _User.model_validate_json(answer.content).active
    except ValidationError:
        return False
