"""`remit policy propose`, `activate`, `bundles`, `shadow` and `replay`: change the policies, and see before what that would do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .application import Unusable, load, run
from .explain import explain
from .options import App, AsJson, example
from .output import panel, show, show_json, state_style, table
from .values import moment, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..runtime import Outcome, Runtime
    from ..runtime.bundles import Bundle
    from ..runtime.replay import Flip, Replay

commands = typer.Typer()
commands.command("explain", epilog=example("remit policy explain call_2f6c0a", "remit policy explain call_2f6c0a --all"))(explain)

Person = Annotated[str, typer.Option("--as", metavar="PERSON", help="Who does it: a person's id, as in `remit people list`.")]
Named = Annotated[str, typer.Argument(metavar="BUNDLE", help="The beginning of a bundle's digest, as in `remit policy bundles`.")]
Candidate = Annotated[str, typer.Argument(metavar="BUNDLE", help="A folder, a file, or the beginning of a bundle's digest.")]
Most = Annotated[int, typer.Option(min=0, help="List at most so many calls.")]
Every = Annotated[bool, typer.Option("--all", help="List every call.")]


@commands.command("propose", epilog=example("remit policy propose policies --as eve"))
def propose(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A folder or a file.")],
    person: Person,
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """Keep a bundle of policies with its author, checked, and not yet in force."""

    async def proposed(runtime: Runtime) -> str:
        return await (await runtime.start()).bundles.propose(path, author=person)

    digest = run(load(app), proposed)
    if as_json:
        show_json({"policy": digest, "author": person})
    else:
        short = digest[:12]
        show(f"Proposed: {short}", f"Next: remit policy replay {short}, then remit policy activate {short} --as PERSON")


@commands.command("activate", epilog=example("remit policy activate 3f9a21 --as sam", "remit policy activate 3f9a21 --as eve --first"))
def activate(
    bundle: Named,
    person: Person,
    first: Annotated[bool, typer.Option("--first", help="The very first bundle: there is none yet that could decide it.")] = False,
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a proposed bundle to be put in force.

    That is a call like any other: the bundle in force decides who must agree, and whoever wrote the new one can't do it alone. For
    policies that are managed, not a folder's.
    """
    runtime = load(app)
    if first:
        digest = run(runtime, lambda runtime: _first(runtime, bundle, person))
        show_json({"policy": digest}) if as_json else show(f"In force: {digest[:12]}")
        return
    outcome = run(runtime, lambda runtime: runtime.activate_policies(bundle, person=person, channel="cli"))
    show_json(outcome.to_json()) if as_json else _show_outcome(outcome)
    if outcome.error:
        raise typer.Exit(1)


@commands.command("bundles", epilog=example("remit policy bundles"))
def bundles(app: App = None, as_json: AsJson = False) -> None:
    """List the bundles that are kept, the latest first."""

    async def kept(runtime: Runtime) -> tuple[Bundle, ...]:
        return await (await runtime.start()).bundles.list()

    found = run(load(app), kept)
    if as_json:
        show_json({"bundles": [asdict(one) for one in found]})
    else:
        rows = [(one.digest[:12], one.author, moment(one.created), _stands(one)) for one in found]
        show(table(("bundle", "author", "kept since (UTC)", ""), rows))


@commands.command(
    "shadow", epilog=example("remit policy shadow candidate --as eve", "remit policy shadow --report", "remit policy shadow --off --as eve")
)
def shadow(
    bundle: Annotated[str | None, typer.Argument(metavar="BUNDLE", help="A folder, a file, or the beginning of a bundle's digest.")] = None,
    person: Annotated[str, typer.Option("--as", metavar="PERSON", help="Who does it: a person's id, as in `remit people list`.")] = "",
    off: Annotated[bool, typer.Option("--off", help="Decide nothing beside any more.")] = False,
    report: Annotated[bool, typer.Option("--report", help="What it would have done so far.")] = False,
    most: Most = 20,
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """Let a bundle be decided beside the one in force, without any effect."""
    if sum((bundle is not None, off, report)) != 1:
        raise Unusable("say one of these: a bundle, --off, or --report")
    if report:
        _show_replay(run(load(app), lambda runtime: runtime.shadowed()), most, as_json, "beside the one in force")
        return
    new = bundle is not None and Path(bundle).exists()
    digest = run(load(app), lambda runtime: _shadow(runtime, bundle, person, new=new))
    if as_json:
        show_json({"shadow": digest})
    else:
        show(f"Decided beside the one in force: {digest[:12]}" if digest else "Nothing is decided beside the one in force.")


@commands.command("replay", epilog=example("remit policy replay candidate", "remit policy replay 3f9a21 --since 7d --all"))
def replay(
    bundle: Candidate,
    since: Annotated[str, typer.Option(metavar="TIME", help="How far back: a number and s, m, h or d.")] = "30d",
    most: Most = 20,
    every: Every = False,
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """Decide recorded calls again by another bundle.

    Says how many would be decided otherwise, which way, in money and in approvals a day. Changes nothing, and asks no provider.
    """
    from ..actions.effects import duration
    from ..errors import DefinitionError

    try:
        back = duration(since)
    except DefinitionError as error:
        raise Unusable(f"--since {error}") from None
    with _progress() as told:
        found = run(load(app), lambda runtime: runtime.replay(bundle, since=back, progress=told))
    _show_replay(found, len(found.flips) if every else most, as_json, f"the last {since}")


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Draw a bar on stderr, where somebody looks."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("deciding again")
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _show_replay(found: Replay, most: int, as_json: bool, what: str) -> None:
    if as_json:
        show_json(found.to_json())
        return
    before, after = found.approvals_a_day if found.approvals != (0, 0) else (0.0, 0.0)
    fields = {
        "decided again": f"{found.decided:,} calls, {what}",
        "decided otherwise": f"{len(found.flips):,}",
        **{f"  {way}": _way(found, way, number) for way, number in found.ways.items()},
        "approvals a day": f"{before:.2f} -> {after:.2f}" if before or after else "",
        "by rule": [f"{name} {number}" for name, number in found.rules.items()],
        "sealed for good": found.sealed or "",
        **dict(sorted(found.undecided.items())),
    }
    show(panel(f"Under {found.policy[:12]}", fields, style="yellow" if found.flips else "green"))
    if listed := found.flips[:most]:
        show(table(("call", "action", "way", "amount", "why"), map(_flip, listed)))
    if len(found.flips) > len(listed):
        show(f"and {len(found.flips) - len(listed):,} more; --all lists them, --json gives them to programs")


def _way(found: Replay, way: str, number: int) -> str:
    return ", ".join((f"{number:,}", *(shown({"currency": one, "minor": minor}) for one, minor in found.money.get(way, {}).items())))


def _flip(one: Flip) -> tuple[Any, ...]:
    return one.call, one.action, one.way, [{"currency": currency, "minor": minor} for currency, minor in one.money], one.reason


def _show_outcome(outcome: Outcome) -> None:
    fields = {"call": outcome.call_id, "says": outcome.message(), "waits for": [one["for"] for one in outcome.waiting]}
    show(panel(f"{outcome.action}: {outcome.state}", fields, style=state_style(outcome.state)))
    if outcome.waiting:
        show(f"Next: remit approve {outcome.call_id} --as PERSON")


def _stands(one: Bundle) -> str:
    return ", ".join(word for word, so in (("in force", one.active), ("decided beside", one.shadow)) if so)


async def _first(runtime: Runtime, bundle: str, person: str) -> str:
    return await (await runtime.start()).bundles.activate_first(bundle, person=person)


async def _shadow(runtime: Runtime, named: str | None, person: str, *, new: bool) -> str | None:
    kept = (await runtime.start()).bundles
    if named is not None and new:
        named = await kept.propose(named, author=person)
    return await kept.shadow(named, by=person)
