"""Staff, agents and API keys. Every change of them is an event."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ..errors import CallError
from .statements import Write
from .work import Parts, apart

OPERATOR = "operator"
"""The role whose people may amend any waiting call, and say what became of one of unknown outcome."""
OwnerKind = Literal["person", "service"]
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,63}")


class BadPerson(CallError):
    """This person, agent or key can't be recorded so."""

    code = "bad_person"
    status = 422


@dataclass(frozen=True, slots=True)
class Person:
    """A member of staff: a stable id, and roles as policies name them."""

    id: str
    name: str = ""
    email: str = ""
    roles: frozenset[str] = frozenset()
    active: bool = True


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """Whom an API key belongs to, and what it may do."""

    prefix: str
    owner: str
    kind: OwnerKind
    scopes: frozenset[str]


class People:
    """Record who there is, and know them again."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._store = parts.store

    async def get(self, person_id: str) -> Person | None:
        """Give a person by id."""
        row = await self._store.row(
            "SELECT id, name, email, roles, active FROM person WHERE tenant = ? AND id = ?", (self._store.tenant, person_id)
        )
        return _person(row) if row else None

    async def active(self, person_id: str) -> Person:
        """Give a person who may act; raises `BadPerson` for anybody else."""
        if (person := await self.get(person_id)) is None or not person.active:
            raise BadPerson(f"there is no active person {person_id}; `remit people add {person_id}` makes one")
        return person

    async def everybody(self) -> list[Person]:
        """List everybody, by id."""
        rows = await self._store.rows(
            "SELECT id, name, email, roles, active FROM person WHERE tenant = ? ORDER BY id", (self._store.tenant,)
        )
        return [_person(row) for row in rows]

    async def add(
        self, person_id: str, *, name: str = "", email: str = "", roles: Iterable[str] = (), by: str = "local operator"
    ) -> Person:
        """Record a new person; raises `BadPerson` for an id or a role that can't be one, or that is there."""
        if not _ID.fullmatch(person_id):
            raise BadPerson(f"{person_id!r} can't be a person's id: letters, digits and . _ @ + - only")
        if await self.get(person_id) is not None:
            raise BadPerson(f"there is a person {person_id} already; `remit people role` changes the roles")
        return await self._put(Person(person_id, name, email, _roles(roles)), "person.added", by)

    async def change_roles(
        self, person_id: str, *, add: Iterable[str] = (), remove: Iterable[str] = (), by: str = "local operator"
    ) -> Person:
        """Give or take roles."""
        person = await self._known(person_id)
        return await self._put(replace(person, roles=(person.roles | _roles(add)) - frozenset(remove)), "person.changed", by)

    async def disable(self, person_id: str, *, by: str = "local operator") -> Person:
        """Let a person do nothing any more."""
        return await self._put(replace(await self._known(person_id), active=False), "person.disabled", by)

    async def add_agent(self, agent_id: str, *, owner: str, by: str = "local operator") -> None:
        """Record who answers for an agent: that person can't approve what the agent asks for."""
        await self._known(owner)
        body = {"agent": agent_id, "owner": owner}
        await self._commit("agent.added", body, by, [Write("agent.put", (self._store.tenant, agent_id, owner))])

    async def owner_of(self, agent_id: str) -> str | None:
        """Say who answers for an agent."""
        row = await self._store.row("SELECT owner FROM agent WHERE tenant = ? AND id = ?", (self._store.tenant, agent_id))
        return str(row[0]) if row else None

    async def new_key(
        self, owner: str, *, kind: OwnerKind, scopes: Iterable[str], expires_at: int | None = None, by: str = "local operator"
    ) -> str:
        """Make an API key and give it, this one time: the database keeps its SHA-256 only."""
        if kind == "person":
            await self._known(owner)
        prefix, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        now, granted = self._parts.clock.now(), " ".join(sorted(scopes))
        row = (self._store.tenant, prefix, hashlib.sha256(secret.encode()).digest(), owner, kind, granted, now, expires_at, 0)
        await self._commit("key.created", {"prefix": prefix, "owner": owner, "kind": kind, "scopes": granted}, by, [Write("key.add", row)])
        return f"remit_{prefix}_{secret}"

    async def revoke_key(self, prefix: str, *, by: str = "local operator") -> None:
        """Make a key useless from now on."""
        await self._commit("key.revoked", {"prefix": prefix}, by, [Write("key.revoke", (self._store.tenant, prefix))])

    async def who(self, key: str) -> KeyOwner | None:
        """Say whose API key this is, or None: unknown, revoked, expired, or its person disabled."""
        parts = key.split("_", 2)
        if len(parts) != 3 or parts[0] != "remit" or not key.isascii():
            return None
        sql = "SELECT hash, owner, owner_kind, scopes, expires_at, revoked FROM api_key WHERE tenant = ? AND prefix = ?"
        row = await self._store.row(sql, (self._store.tenant, parts[1]))
        known = row[0] if row else bytes(32)
        same = hmac.compare_digest(known, hashlib.sha256(parts[2].encode()).digest())
        if row is None or not same or row[5] or (row[4] is not None and row[4] <= self._parts.clock.now()):
            return None
        if row[2] == "person" and not ((person := await self.get(row[1])) and person.active):
            return None
        return KeyOwner(parts[1], row[1], row[2], frozenset(row[3].split()))

    async def _known(self, person_id: str) -> Person:
        if (person := await self.get(person_id)) is None:
            raise BadPerson(f"there is no person {person_id}; `remit people add {person_id}` makes one")
        return person

    async def _put(self, person: Person, kind: str, by: str) -> Person:
        roles = sorted(person.roles)
        row = (self._store.tenant, person.id, person.name, person.email, " ".join(roles), int(person.active))
        await self._commit(kind, {"person": person.id, "roles": roles, "active": person.active}, by, [Write("person.put", row)])
        return person

    async def _commit(self, kind: str, body: Mapping[str, object], by: str, writes: list[Write]) -> None:
        await self._store.commit([*writes, *apart(self._parts, kind, {**body, "by": by})])


def _roles(names: Iterable[str]) -> frozenset[str]:
    roles = frozenset(names)
    for role in roles:
        if not _ROLE.fullmatch(role):
            raise BadPerson(f"{role!r} can't be a role: lower-case letters, digits, _ and - only")
    return roles


def _person(row: tuple[str, str, str, str, int]) -> Person:
    return Person(row[0], row[1], row[2], frozenset(row[3].split()), bool(row[4]))
