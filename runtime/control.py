"""Which policies are in force: activated from a folder or by a governed call, stored by digest, known to every process by their epoch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..actions import Action, Catalog
from ..errors import DatabaseTooNew, PolicyChanged, RemitError, StoreError
from ..policies import ActionShape, Expression, Policies, compile_expression, load
from . import telemetry
from .journal import Conflict
from .opening import REVISION, refuse_newer
from .statements import Write
from .store import ControlRow, Store
from .work import Guard, Parts, apart

log = telemetry.logger("remit.control")


def shape(action: Action) -> ActionShape:
    """Describe an action to the policies, which know no `Action`."""
    return ActionShape(
        name=action.name, arguments=action.rules_schema, facts=action.facts_schemas, tags=action.tags, writes=action.effect.writes
    )


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
    while (row := await parts.store.control()) is None or row.bundle != folder.policies.digest:
        if row is not None and not activate:
            raise PolicyChanged(
                f"{folder.path}: these policies are not the active ones (folder {folder.policies.digest[:12]}, active {row.bundle[:12]}); "
                "`remit policy reload` activates the folder"
            )
        with suppress(Conflict):  # another process was quicker: see what is active now
            await _activate(parts, folder.policies, row, by=by)
    parts.control.policies = folder.policies
    await _take(parts, row)


async def put_nothing_in_force(parts: Parts) -> None:
    """Take what is active; where nothing is, begin with policies that allow nothing, until a first bundle is activated."""
    while (row := await parts.store.control()) is None:
        with suppress(Conflict):
            await _activate(parts, nothing(), None, by="the first start")
    await _take(parts, row)


def nothing() -> Policies:
    """Give the policies that allow nothing: those of no file."""
    return load({}, {})


async def refresh(parts: Parts) -> None:
    """Take over what has been put in force meanwhile, in this process or another; raises `DatabaseTooNew` from when that holds."""
    if (row := await parts.store.control()) is not None and row.epoch != parts.control.epoch:
        await _take(parts, row)


async def take_time(parts: Parts) -> None:
    """Take over the time that the processes on this database share."""
    if parts.follows:
        await parts.store.take_time(parts.clock)


async def _not_outdated(parts: Parts) -> None:
    """Refuse a database that was brought forward meanwhile, which raises the epoch: no intent of this process passes from then on."""
    try:
        refuse_newer(await parts.store.rows(REVISION), f"{parts.store.name}, while this process ran")
    except DatabaseTooNew as error:
        parts.control.outdated = error
        raise


async def _take(parts: Parts, row: ControlRow) -> None:
    """Take what the row says: switches first, which need no loading, and the epoch once the rest is there, the time included."""
    await _not_outdated(parts)
    await take_time(parts)
    control, known = parts.control, known_shapes(parts)
    control.switches = row.switches
    if row.bundle != control.policies.digest:
        control.policies = await stored_bundle(parts.store, row.bundle, known)
    if row.shadow != (control.shadow.digest if control.shadow else ""):
        control.shadow = await _shadow(parts.store, row.shadow, known) if row.shadow else None
    parts.vault.forget()  # somebody may have been erased
    control.epoch = row.epoch


async def _shadow(store: Store, digest: str, known: Mapping[str, ActionShape]) -> Policies | None:
    """Load what is decided beside; where this process can't, it goes without, because a shadow never stands in the way."""
    try:
        return await stored_bundle(store, digest, known)
    except RemitError as error:
        log.warning("the shadow %s is not decided here: %s", digest[:12], error)
        return None


def known_shapes(parts: Parts) -> dict[str, ActionShape]:
    """Give the shapes of the actions that this process has."""
    return {name: guard.shape for name, guard in parts.guards.items()}


async def stored_bundle(store: Store, digest: str, known: Mapping[str, ActionShape]) -> Policies:
    """Load a bundle by digest, from its own stored sources; raises `StoreError` where they are gone or were changed."""
    row = await store.row("SELECT sources FROM bundle WHERE tenant = ? AND digest = ?", (store.tenant, digest))
    return loaded_bundle(row, digest, known)


def loaded_bundle(row: Any, digest: str, known: Mapping[str, ActionShape]) -> Policies:
    """Load a bundle from its row, which may be None; raises `StoreError`."""
    if row is None or (loaded := load(json.loads(row[0]), known)).digest != digest:
        raise StoreError(f"the stored policy bundle {digest[:12]} is gone, or was changed")
    return loaded


def bundle_row(parts: Parts, policies: Policies, *, by: str) -> tuple[Any, ...]:
    """Make the row that keeps a bundle, sources and author included."""
    return (parts.store.tenant, policies.digest, json.dumps(dict(policies.sources)), by, parts.clock.now())


def activation(parts: Parts, digest: str, seen: ControlRow, **told: Any) -> list[Write]:
    """Replace the active bundle that was seen: after this commit no intent is written under it. `told` goes into the event."""
    body = {"policy": digest, "before": seen.bundle, "epoch": seen.epoch + 1, **told}
    return [Write("control.activate", (digest, parts.store.tenant, seen.epoch)), *apart(parts, "policy.activated", body)]


async def _activate(parts: Parts, policies: Policies, seen: ControlRow | None, *, by: str) -> None:
    """Store a bundle, and put it in the place of what was seen, which may be nothing."""
    keep, tenant = Write("bundle.add", bundle_row(parts, policies, by=by), expect=None), parts.store.tenant
    if seen is not None:
        await parts.store.commit([keep, *activation(parts, policies.digest, seen, by=by, author=by)])
        return
    body = {"policy": policies.digest, "before": None, "epoch": 1, "by": by, "author": by}
    await parts.store.commit([Write("control.open", (tenant, 1, policies.digest)), keep, *apart(parts, "policy.activated", body)])
