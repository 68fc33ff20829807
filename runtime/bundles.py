"""Policy bundles with their authors: proposed, looked up, put in force, and decided beside the one in force."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import PolicyError, RemitError
from ..policies import Policies, Then, load
from .clock import to_text
from .control import activation, bundle_row, known_shapes, loaded_bundle, nothing, refresh, stored_bundle
from .journal import Conflict
from .people import People
from .statements import Write
from .work import Parts, apart

ACTIVATE = "activate_policies"
"""The action that puts a bundle in force, in managed mode."""
ACTIVE, SHADOW = "active", "shadow"


class UnknownBundle(RemitError):
    """There is no such policy bundle."""

    code = "unknown_bundle"
    status = 404


@dataclass(frozen=True, slots=True)
class Bundle:
    """A stored bundle: its digest, who wrote it, and since when it is kept (RFC 3339 in UTC)."""

    digest: str
    author: str
    created: str
    active: bool
    shadow: bool


class Bundles:
    """Keep policy bundles by digest, and say which is in force."""

    def __init__(self, parts: Parts, people: People) -> None:
        self._parts, self._store, self._people = parts, parts.store, people
        self._loaded: dict[str, Policies] = {}

    async def propose(self, sources: Mapping[str, str] | str | Path, *, author: str) -> str:
        """Load, type-check and keep a bundle, and give its digest; it is not in force by that. Safe to repeat: it keeps its first author.

        Raises `BadPerson` unless the author is an active person, and `PolicyError` for a bundle that can't be used.
        """
        by, policies = (await self._people.active(author)).id, self._load(sources)
        if ACTIVATE in self._parts.catalog and (why := locks_itself(policies)):
            raise PolicyError(why)
        event = apart(self._parts, "policy.proposed", {"policy": policies.digest, "by": by})
        with suppress(Conflict):  # it is kept already
            await self._store.commit([Write("bundle.add", bundle_row(self._parts, policies, by=by)), *event])
        return policies.digest

    async def list(self) -> tuple[Bundle, ...]:
        """List the bundles, the latest first."""
        row = await self._store.control()
        sql = "SELECT digest, author, created_at FROM bundle WHERE tenant = ? ORDER BY created_at DESC, digest"
        found = await self._store.rows(sql, (self._store.tenant,))
        return tuple(Bundle(one, by, to_text(at), one == (row and row.bundle), one == (row and row.shadow)) for one, by, at in found)

    async def find(self, named: str) -> Bundle:
        """Give the bundle that is `active` or `shadow`, or whose digest begins so; raises `UnknownBundle` where that is not just one."""
        places = {ACTIVE: "active", SHADOW: "shadow"}
        known = await self.list()
        found = [one for one in known if (getattr(one, places[named]) if named in places else one.digest.startswith(named))]
        if len(found) != 1 or not named:
            many = f"{len(found)} bundles begin so" if found else "there is no such bundle"
            raise UnknownBundle(f"{named}: {many}; `remit policy bundles` lists them")
        return found[0]

    async def get(self, named: str) -> Policies:
        """Load the bundle that is `active` or `shadow`, or whose digest begins so; raises `UnknownBundle` and `PolicyError`."""
        digest = (await self.find(named)).digest
        if digest not in self._loaded:
            self._loaded[digest] = await stored_bundle(self._store, digest, known_shapes(self._parts))
        return self._loaded[digest]

    def scanned(self, digest: str) -> Policies:
        """Load a bundle by its whole digest, in any thread; raises `StoreError` where it is gone or was changed."""
        if digest not in self._loaded:
            sql, place = "SELECT sources FROM bundle WHERE tenant = ? AND digest = ?", (self._store.tenant, digest)
            self._loaded[digest] = loaded_bundle(self._store.scanned(sql, place), digest, known_shapes(self._parts))
        return self._loaded[digest]

    async def read(self, named: Mapping[str, str] | str | Path) -> Policies:
        """Load a bundle that need not be kept: sources, a folder or file, or as `get` does; raises what these raise."""
        kept = isinstance(named, str) and not Path(named).exists()  # noqa: ASYNC240 - whoever names a folder waits for it
        return await self.get(str(named)) if kept else self._load(named)

    def _load(self, sources: Mapping[str, str] | str | Path) -> Policies:
        return load(sources if isinstance(sources, Mapping) else Path(sources), known_shapes(self._parts))

    async def activate(self, digest: str, *, by: str, **told: str) -> str:
        """Put a kept bundle in force, in every process, and give the digest of what it replaces. Asks nobody: that is for whoever calls it."""
        bundle = await self.find(digest)
        while True:
            if (seen := await self._store.control()) is None:
                raise UnknownBundle("nothing is in force that it could replace")
            with suppress(Conflict):  # a switch was thrown, or another bundle activated
                await self._store.commit(activation(self._parts, bundle.digest, seen, by=by, author=bundle.author, **told))
                await refresh(self._parts)
                return seen.bundle

    async def activate_first(self, named: str, *, person: str) -> str:
        """Put the very first bundle in force and give its digest: there is nothing yet that could decide it, so the operator does.

        Raises `PolicyError` where one is in force already, or where this one could never be replaced.
        """
        by, bundle = (await self._people.active(person)).id, await self.find(named)
        if (row := await self._store.control()) is None or row.bundle != nothing().digest:
            raise PolicyError("a bundle is in force already; leave out --first, and let it decide who must agree")
        if why := locks_itself(await self.get(bundle.digest)):
            raise PolicyError(why)
        first = activation(self._parts, bundle.digest, row, by=by, author=bundle.author, first=True)
        with suppress(Conflict):
            await self._store.commit(first)
            await refresh(self._parts)
            return bundle.digest
        raise PolicyError("another bundle was put in force meanwhile")

    async def activated_by(self, call_id: str) -> tuple[str, str] | None:
        """Give what a call has put in force and what that replaced, from the log; None where it has not."""
        sql = "SELECT leaf FROM event WHERE tenant = ? AND kind = 'policy.activated' ORDER BY position DESC"
        bodies = [json.loads(leaf)["body"] for (leaf,) in await self._store.rows(sql, (self._store.tenant,))]
        return next(((body["policy"], body["before"]) for body in bodies if body.get("call") == call_id), None)

    async def shadow(self, named: str | None, *, by: str) -> str | None:
        """Let a kept bundle be decided beside the one in force, or none, and give its digest. It changes nothing of what happens."""
        person, tenant = (await self._people.active(by)).id, self._store.tenant
        digest = (await self.find(named)).digest if named else ""
        before = row.shadow if (row := await self._store.control()) else ""
        ended = apart(self._parts, "policy.shadowed", {"policy": before, "by": person, "begins": False}) if before else []
        begun = apart(self._parts, "policy.shadowed", {"policy": digest, "by": person, "begins": True}) if digest else []
        if digest != before:
            await self._store.commit([Write("control.shadow", (digest, tenant)), *ended, *begun])
            await refresh(self._parts)
        return digest or None


def locks_itself(policies: Policies) -> str | None:
    """Say why a bundle could never be replaced once it is in force; None where it could."""
    if any(rule.then is Then.ALLOW and rule.when.constant is not False for rule in policies.rules_for(ACTIVATE)):
        return None
    return f"no rule allows {ACTIVATE}, so no other bundle could ever replace this one: write who may change the policies"
