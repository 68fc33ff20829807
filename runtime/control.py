"""Which policies are in force: activated from a folder, stored by digest, and known to every process by their epoch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..actions import Action, Catalog
from ..errors import PolicyChanged
from ..policies import ActionShape, Expression, Policies, compile_expression, load
from .statements import Write
from .store import Store
from .work import Control, Guard, Parts, apart


def shape(action: Action) -> ActionShape:
    """Describe an action to the policies, which know no `Action`."""
    return ActionShape(name=action.name, arguments=action.rules_schema, facts=action.facts_schemas, tags=action.tags)


def shapes(catalog: Catalog) -> dict[str, ActionShape]:
    """Describe every action to the policies."""
    return {action.name: shape(action) for action in catalog.values()}


def guard(action: Action, described: ActionShape) -> Guard:
    """Compile the expressions that an action declares about itself; raises `PolicyError`."""

    def compiled(text: str | None, result: type[bool | str], what: str) -> Expression | None:
        return None if text is None else compile_expression(text, described, result=result, place=f"{action.name}: {what}")

    return Guard(shape=described, owns=compiled(action.owns, bool, "owns"), about=compiled(action.about, str, "about"))


@dataclass(frozen=True, slots=True)
class PolicyFolder:
    """Where the policies lie, and what they were when they were read."""

    path: Path
    policies: Policies

    @classmethod
    def read(cls, path: Path, known: Mapping[str, ActionShape]) -> PolicyFolder:
        """Load and type-check the folder; raises `PolicyError`."""
        return cls(path, load(path, known))


def active(store: Store, known: Mapping[str, ActionShape]) -> Control | None:
    """Load the active bundle from the database, from its own stored sources."""
    if (row := store.control()) is None:
        return None
    epoch, digest = row
    return Control(epoch, stored_bundle(store, digest, known))


def stored_bundle(store: Store, digest: str, known: Mapping[str, ActionShape]) -> Policies:
    """Load a bundle by digest."""
    sources = store.row("SELECT sources FROM bundle WHERE tenant = ? AND digest = ?", (store.tenant, digest))[0]
    return load(json.loads(sources), known)


def enforce(store: Store, folder: PolicyFolder, *, activate: bool) -> Control | None:
    """Say which policies a starting process takes: None where the folder must be activated first.

    Raises `PolicyChanged` where the folder differs from the active bundle and nobody said to activate it.
    """
    row = store.control()
    if row is None or (activate and row[1] != folder.policies.digest):
        return None
    if row[1] != folder.policies.digest:
        raise PolicyChanged(
            f"{folder.path}: these policies are not the active ones (folder {folder.policies.digest[:12]}, active {row[1][:12]}); "
            "`remit policy reload` activates the folder"
        )
    return Control(row[0], folder.policies)


async def activate(parts: Parts, policies: Policies, *, by: str) -> Control:
    """Put a bundle in force: after this commit no intent is written under the one before."""
    store, now = parts.store, parts.clock.now()
    row = store.control()
    if row is not None and row[1] == policies.digest:
        return Control(row[0], policies)
    epoch, before = row or (0, None)
    body = {"policy": policies.digest, "before": before, "epoch": epoch + 1, "by": by}
    switch = (
        Write("control.open", (store.tenant, 1, policies.digest))
        if row is None
        else Write("control.activate", (policies.digest, store.tenant, epoch))
    )
    bundle = Write("bundle.add", (store.tenant, policies.digest, json.dumps(dict(policies.sources)), by, now), expect=None)
    await store.commit([switch, bundle, *apart(parts, "policy.activated", body)])
    return Control(epoch + 1, policies)
