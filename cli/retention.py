"""`remit retention`: see how long what was recorded is kept, and prune what was kept long enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .application import load, run
from .options import OPERATOR, App, AsJson, example, group
from .output import panel, show, show_json
from .values import moment

if TYPE_CHECKING:
    from ..runtime import Runtime
    from ..runtime.pruning import Pruned
    from ..runtime.pruning_plan import KeptBy, PruningPlan

commands = group("See how long what was recorded is kept, and prune it.", "remit retention show")

_WHY = {"hold": "the legal hold {}", "under_way": "call {}, which has not ended", "class": "{}: not kept for long enough yet"}


@commands.command("show", epilog=example("remit retention show", "remit retention show --json"))
def show_retention(app: App = None, as_json: AsJson = False) -> None:
    """Show what is declared, what would be pruned now, and what keeps the rest."""
    runtime = load(app)
    if not runtime.keeps:
        if as_json:
            show_json({"declared": None, "plan": None})
        else:
            show('No retention is declared: nothing is ever pruned. Declare it with Runtime(retention=Retention("400d")).')
        return
    plan = run(runtime, _planned)
    if as_json:
        show_json({"declared": _declared(runtime), "plan": _document(plan)})
    else:
        show(panel("Kept for", {name: f"{one['days']} days: {one['holds']}" for name, one in _declared(runtime).items()}))
        show(_panel(plan, "Would be pruned now"))


@commands.command("prune", epilog=example("remit retention prune --by eve", "remit retention prune --by eve --dry-run"))
def prune(
    by: Annotated[str, typer.Option("--by", metavar="PERSON", help="Who does it; it is recorded.")] = OPERATOR,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be pruned, and prune nothing.")] = False,
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """Delete from the front of the log what was kept long enough, for good; what comes after is proved as before.

    Safe to repeat: what was cut off goes on.
    """
    runtime = load(app)
    if dry_run:
        plan = run(runtime, _planned)
        show_json({"dry_run": True, **_document(plan)}) if as_json else show(_panel(plan, "Would be pruned"))
        return
    done = run(runtime, lambda runtime: _pruned(runtime, by))
    if as_json:
        show_json({"below": done.below, "events": done.events, "deleted": done.deleted, "event": done.event, **_document(done.plan)})
    elif done.events:
        show(f"Pruned: {done.events} events, all before leaf {done.below}; {done.event} says so.")
        show(*_kept(done.plan))
    else:
        went_on = f"Went on where it was cut off: {done.deleted} events deleted. " if done.deleted else ""
        show(went_on + "There is nothing to prune.", *_kept(done.plan))


async def _pruned(runtime: Runtime, by: str) -> Pruned:
    from .progress import progress

    retention = (await runtime.start()).retention
    with progress("events deleted", await retention.upcoming()) as told:
        return await retention.prune(by=by, progress=told)


async def _planned(runtime: Runtime) -> PruningPlan:
    return await (await runtime.start()).retention.plan()


def _declared(runtime: Runtime) -> dict[str, Any]:
    from ..runtime.retention import CLASSES

    assert runtime.keeps is not None
    return {name: {"days": runtime.keeps.of(name).days, "holds": holds} for name, holds in CLASSES.items()}


def _document(plan: PruningPlan) -> Mapping[str, Any]:
    kept = plan.kept_by
    return {
        "from": plan.former,
        "below": plan.below,
        "events": plan.events,
        "classes": dict(plan.classes),
        "oldest_kept": plan.oldest_kept,
        "kept_by": {name: getattr(kept, name) for name in kept.__slots__} if kept else None,
    }


def _panel(plan: PruningPlan, title: str) -> Any:
    said = {"events": plan.events, "leaves": f"{plan.former} to {plan.below - 1}" if plan.events else "", **dict(plan.classes)}
    if plan.kept_by:
        said["kept from"] = f"leaf {plan.below}" + (f", {moment(plan.oldest_kept)}" if plan.oldest_kept else "")
        said["first to be kept"] = _words(plan.kept_by)
    return panel(title, said)


def _kept(plan: PruningPlan) -> list[str]:
    return [f"The next that must be kept is {_words(plan.kept_by)}."] if plan.kept_by else []


def _words(kept: KeptBy) -> str:
    return f"leaf {kept.leaf} ({kept.kind}), because of {_WHY[kept.why].format(kept.named)}"
