"""Which policies are in force: activated from a folder, stored by digest, and known to every process by their epoch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..actions import Action, Catalog
from ..errors import PolicyChanged
from ..policies import ActionShape, Expression, Policies, compile_expression, load
from .journal import Conflict
from .statements import Write
from .store import ControlRow, Store
from .work import Guard, Parts, apart


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

    return Guard.of(described, compiled(action.owns, bool, "owns"), compiled(action.about, str, "about"))


@dataclass(frozen=True, slots=True)
class PolicyFolder:
    """Where the policies lie, and what they were when they were read."""

    path: Path
    policies: Policies

    @classmethod
    def read(cls, path: Path, known: Mapping[str, ActionShape]) -> PolicyFolder:
        """Load and type-check the folder; raises `PolicyError`."""
        return cls(path, load(path, known))


async def put_in_force(parts: Parts, folder: PolicyFolder, *, by: str, activate: bool) -> None:
    """Take a folder's policies, activating them where none are active or `activate` says so: then they hold in every process.

    Raises `PolicyChanged` where the folder differs from the active bundle and nobody said to activate it.
    """
    while (row := parts.store.control()) is None or row.bundle != folder.policies.digest:
        if row is not None and not activate:
            raise PolicyChanged(
                f"{folder.path}: these policies are not the active ones (folder {folder.policies.digest[:12]}, active {row.bundle[:12]}); "
                "`remit policy reload` activates the folder"
            )
        with suppress(Conflict):  # another process was quicker: see what is active now
            await _activate(parts, folder.policies, row, by=by)
    control = parts.control
    control.epoch, control.policies, control.switches = row.epoch, folder.policies, row.switches


def refresh(parts: Parts) -> None:
    """Take over what has been put in force meanwhile, in this process or another: switches first, which need no loading."""
    control = parts.control
    if (row := parts.store.control()) is None or row.epoch == control.epoch:
        return
    control.switches = row.switches
    if row.bundle != control.policies.digest:
        control.policies = stored_bundle(parts.store, row.bundle, known_shapes(parts))
    control.epoch = row.epoch


def known_shapes(parts: Parts) -> dict[str, ActionShape]:
    """Give the shapes of the actions that this process has."""
    return {name: guard.shape for name, guard in parts.guards.items()}


def stored_bundle(store: Store, digest: str, known: Mapping[str, ActionShape]) -> Policies:
    """Load a bundle by digest, from its own stored sources."""
    sources = store.row("SELECT sources FROM bundle WHERE tenant = ? AND digest = ?", (store.tenant, digest))[0]
    return load(json.loads(sources), known)


async def _activate(parts: Parts, policies: Policies, seen: ControlRow | None, *, by: str) -> None:
    """Replace the active bundle that was seen: after this commit no intent is written under it."""
    store = parts.store
    epoch, before = (seen.epoch, seen.bundle) if seen else (0, None)
    body = {"policy": policies.digest, "before": before, "epoch": epoch + 1, "by": by, "author": by}
    switch = (
        Write("control.open", (store.tenant, 1, policies.digest))
        if seen is None
        else Write("control.activate", (policies.digest, store.tenant, epoch))
    )
    row = (store.tenant, policies.digest, json.dumps(dict(policies.sources)), by, parts.clock.now())
    await store.commit([switch, Write("bundle.add", row, expect=None), *apart(parts, "policy.activated", body)])
