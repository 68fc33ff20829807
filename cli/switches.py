"""`remit switch`: stop an action, an agent, this tenant or everything, at once and in every process; and let it go on."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from .application import Unusable, load, run
from .options import OPERATOR, App, AsJson, Reason, example, group
from .output import coloured, show, show_json, standing, table
from .values import moment

if TYPE_CHECKING:
    from ..runtime import Runtime
    from ..runtime.switches import Kind, Switch, Thrown

commands = group("Stop what must not go on, at once.", 'remit switch throw --action refund_payment --reason "paid twice"')

Action = Annotated[str | None, typer.Option("--action", metavar="NAME", help="One action.")]
Agent = Annotated[str | None, typer.Option("--agent", metavar="ID", help="One agent, or whoever else asks.")]
Tenant = Annotated[bool, typer.Option("--tenant", help="This tenant.")]
All = Annotated[bool, typer.Option("--all", help="Everything, in every tenant of the database.")]


@commands.command(
    "throw", epilog=example('remit switch throw --action refund_payment --reason "paid twice" --as eve', "remit switch throw --all")
)
def throw(
    action: Action = None,
    agent: Agent = None,
    tenant: Tenant = False,
    everything: All = False,
    reason: Reason = "",
    person: Annotated[str, typer.Option("--as", metavar="PERSON", help="Who throws it.")] = OPERATOR,
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """Stop an action, an agent, this tenant or everything.

    From then on nothing of it is begun, in any process. Lists what had begun before, which can't be stopped.
    """
    kind, target = _named(action, agent, tenant, everything)
    thrown = run(load(app), lambda runtime: _thrown(runtime, kind, target, person, reason))
    if as_json:
        calls = [{"id": one.id, "action": one.action, "state": one.state, "principal": one.principal} for one in thrown.calls]
        show_json({"switch": asdict(thrown.switch), "new": thrown.new, "calls": calls})
        return
    show(*standing([thrown.switch]))
    if not thrown.new:
        show("It was thrown before; nothing has changed.")
    if thrown.calls:
        rows = [(one.id, one.action, coloured(one.state), one.principal, moment(one.created)) for one in thrown.calls]
        show("Under way when it was thrown:", table(("call", "action", "now", "asked by", "when (UTC)"), rows))
    else:
        show("Nothing of it was under way.")


@commands.command("lift", epilog=example('remit switch lift --action refund_payment --as eve --reason "it was a test"'))
def lift(
    person: Annotated[str, typer.Option("--as", metavar="PERSON", help="Who lifts it: a person's id, as in `remit people list`.")],
    action: Action = None,
    agent: Agent = None,
    tenant: Tenant = False,
    everything: All = False,
    reason: Reason = "",
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """Let go on what a switch has stopped. Only a person does that."""
    kind, target = _named(action, agent, tenant, everything)
    lifted = run(load(app), lambda runtime: _lifted(runtime, kind, target, person, reason))
    if as_json:
        show_json({"lifted": lifted})
    else:
        show("It goes on." if lifted else "There is no such switch; `remit switch list` lists those that stand.")
    if not lifted:
        raise typer.Exit(1)


@commands.command("list", epilog=example("remit switch list"))
def list_switches(app: App = None, as_json: AsJson = False) -> None:
    """List the switches that stand."""
    found = run(load(app), _list)
    if as_json:
        show_json({"switches": [asdict(one) for one in found]})
    elif found:
        show(*standing(found))
    else:
        show("Nothing is switched off.")


def _named(action: str | None, agent: str | None, tenant: bool, everything: bool) -> tuple[Kind, str]:
    named: list[tuple[Kind, str]] = []
    named += [("action", action)] if action is not None else []
    named += [("agent", agent)] if agent is not None else []
    named += [("tenant", "")] if tenant else []
    named += [("all", "")] if everything else []
    if len(named) != 1:
        raise Unusable("name one thing: --action NAME, --agent ID, --tenant or --all")
    return named[0]


async def _thrown(runtime: Runtime, kind: Kind, target: str, by: str, reason: str) -> Thrown:
    return await (await runtime.start()).switches.throw(kind, target, by=by, reason=reason)


async def _lifted(runtime: Runtime, kind: Kind, target: str, person: str, reason: str) -> bool:
    return await (await runtime.start()).switches.lift(kind, target, person=person, reason=reason)


async def _list(runtime: Runtime) -> tuple[Switch, ...]:
    return await (await runtime.start()).switches.list()
