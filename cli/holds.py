"""`remit hold`: keep what a court or an authority may ask for, and let go of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from .application import Unusable, load, run
from .options import OPERATOR, App, AsJson, example, group
from .output import show, show_json, table
from .times import moment_at, time_of
from .values import moment

if TYPE_CHECKING:
    from ..runtime import Runtime
    from ..runtime.holds import LegalHold

commands = group("Keep what must not be erased for now.", 'remit hold place --subject ada --reason "case 12/26" --by eve')

Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; recorded in clear, so name nobody.")]
By = Annotated[str, typer.Option("--by", metavar="PERSON", help="Who does it.")]


@commands.command(
    "place", epilog=example('remit hold place --subject ada --reason "case 12/26"', "remit hold place --since 2026-11-01 --reason audit")
)
def place(
    reason: Why,
    subject: Annotated[str | None, typer.Option("--subject", metavar="ID", help="A customer.")] = None,
    call: Annotated[str | None, typer.Option("--call", metavar="ID", help="One call.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Calls received from then on, such as 30d or 2026-11-01.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Calls received until then; default: until now.")] = None,
    by: By = OPERATOR,
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """Place a legal hold on a customer, a call or a time: what it covers can't be erased."""
    if sum(one is not None for one in (subject, call, since or until)) != 1:
        raise Unusable("name one thing: --subject ID, --call ID, or --since TIME (and --until TIME)")
    begins, ends = time_of("--since", since), time_of("--until", until)

    async def placed(runtime: Runtime) -> LegalHold:
        now = (await runtime.start()).parts.clock.now()
        times = {"since": moment_at(begins, now), "until": moment_at(ends, now)}
        return await runtime.holds.place(by=by, reason=reason, subject=subject, call=call, **times)

    hold = run(load(app), placed)
    if as_json:
        show_json(asdict(hold))
    else:
        show(f"Held: {hold.id}")


@commands.command("lift", epilog=example('remit hold lift hold_0190 --reason "case closed" --by eve'))
def lift(
    hold: Annotated[str, typer.Argument(metavar="ID", help="The hold's id, as in `remit hold list`.")],
    reason: Why,
    by: By = OPERATOR,
    app: App = None,
) -> None:
    """Let go of what was held."""

    async def lifted(runtime: Runtime) -> None:
        await (await runtime.start()).holds.lift(hold, by=by, reason=reason)

    run(load(app), lifted)
    show(f"Lifted {hold}.")


@commands.command("list", epilog=example("remit hold list"))
def list_holds(app: App = None, as_json: AsJson = False) -> None:
    """List the legal holds that stand."""

    async def listed(runtime: Runtime) -> tuple[LegalHold, ...]:
        return await (await runtime.start()).holds.list()

    found = run(load(app), listed)
    if as_json:
        show_json({"holds": [asdict(one) for one in found]})
    elif found:
        rows = [(one.id, one.kind, one.target or f"{one.since} to {one.until}", one.reason, one.by, moment(one.at)) for one in found]
        show(table(("hold", "on", "which", "reason", "by", "since (UTC)"), rows))
    else:
        show("No legal hold stands.")
