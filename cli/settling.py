"""`remit calls cancel`, `resolve`, `reversed` and `undo`: what is done about a call that must not happen, or about one that was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .application import Unusable, load, run
from .calls import local_session, report
from .options import OPERATOR, App, AsJson, CallId, Reason, example

if TYPE_CHECKING:
    from ..runtime import Outcome, Runtime

commands = typer.Typer()
"""They stand beside those that look at calls."""
Person = Annotated[str, typer.Option("--as", metavar="PERSON", help="Who says so: an active person of the role operator.")]
Applied = Annotated[
    bool | None, typer.Option("--applied/--not-applied", help="Whether the effect has happened, as the provider's records say.")
]


@commands.command("cancel", epilog=example('remit calls cancel call_2f6c0a --reason "ordered twice"'))
def cancel(call_id: CallId, reason: Reason = "", app: App = None, as_json: AsJson = False) -> None:
    """End a call that waits, or that cools off.

    One that has started can't be stopped any more; it makes no further attempt.
    """
    report(run(load(app), lambda runtime: runtime.cancel(call_id, by=OPERATOR, reason=reason)), as_json, wanted="cancelled")


@commands.command("resolve", epilog=example('remit calls resolve call_2f6c0a --applied --as olga --reason "it is in the bank\'s list"'))
def resolve(call_id: CallId, person: Person, reason: Reason, applied: Applied = None, app: App = None, as_json: AsJson = False) -> None:
    """Say what became of a call of unknown outcome.

    Look at the provider's own records first: after --not-applied the same may be asked for again. `remit calls list --dead` lists
    the calls that wait for this.
    """
    if applied is None:
        raise Unusable("say what the provider's records say: --applied or --not-applied")

    async def resolved(runtime: Runtime) -> Outcome:
        return await runtime.resolve(call_id, applied=applied, by=person, reason=reason, via=OPERATOR)

    report(run(load(app), resolved), as_json, wanted="succeeded" if applied else "failed")


@commands.command("reversed", epilog=example("remit calls reversed call_2f6c0a --code refund_failed --reference re_3Pq"))
def take_down(
    call_id: CallId,
    code: Annotated[str, typer.Option(metavar="CODE", help="What the provider calls it.")] = "reversed",
    reference: Annotated[str | None, typer.Option(metavar="TEXT", help="The provider's own record of it.")] = None,
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """Take down that a provider has reversed what a call did.

    The call stays succeeded; what it took of limits is given back, and the same may be asked for again.
    """
    outcome = run(load(app), lambda runtime: runtime.reversed(call_id, by=OPERATOR, code=code, reference=reference))
    report(outcome, as_json)


@commands.command("undo", epilog=example('remit calls undo call_2f6c0a --as olga --reason "booked by mistake"'))
def undo(
    call_id: CallId,
    person: Annotated[
        str | None, typer.Option("--as", metavar="PERSON", help="Who asks: a person's id. Default: the local operator.")
    ] = None,
    reason: Reason = "",
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """Undo a call by the action that reverses it.

    That is a call of its own: it is decided, approved and recorded like any, and says which it undoes.
    """

    async def undone(runtime: Runtime) -> Outcome:
        by = person or local_session(runtime.tenant, None, (await runtime.view(call_id)).subject, 0)
        return await runtime.undo(call_id, by=by, reason=reason, channel="cli")

    report(run(load(app), undone), as_json)
