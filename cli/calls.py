"""`remit call`, `calls`, `approve` and `reject`: make calls, look at them, and answer those that wait for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .actions import find
from .application import Unusable, load, run
from .options import OPERATOR, App, AsJson, CallId, Purpose, Reader, Reason, example, group
from .output import coloured, panel, show, show_json, standing, state_style, table
from .values import amount, moment, typed

if TYPE_CHECKING:
    from ..actions import Problem
    from ..runtime import Outcome, Runtime, Session
    from ..runtime.call import Call
    from ..runtime.review import Review
    from ..runtime.switches import Switch
    from ..runtime.views import CallView

answers = typer.Typer()
"""The commands that stand at the top: call, approve, reject."""
commands = group("Look at calls.", "remit calls list")

_WITHOUT_EFFECT = {"rejected", "denied", "failed", "declined", "expired", "cancelled", "unknown"}
_TELLING = ("person", "answer", "role", "via", "by", "rule", "attempt", "reference", "status", "code")
Person = Annotated[str, typer.Option("--as", metavar="PERSON", help="Who answers: a person's id, as in `remit people list`.")]


@answers.command("call", epilog=example('remit call give_credit --arg order_id=A-1001 --arg amount="15.00 EUR" --as-subject ada'))
def call(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The action.")],
    arg: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="An argument; may be given several times.")] = None,
    json_args: Annotated[str | None, typer.Option(metavar="JSON", help="All arguments as one JSON object.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide only: do nothing, record nothing.")] = False,
    as_subject: Annotated[str, typer.Option(metavar="ID", help="The customer in whose name it happens.")] = "anonymous",
    assurance: Annotated[int, typer.Option(metavar="LEVEL", min=0, help="How sure the host is of the customer.")] = 0,
    principal: Annotated[str | None, typer.Option(metavar="ID", help="The agent that asks, instead of you.")] = None,
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """Make a call, as an agent would.

    It is checked, decided, done or held for a person, and recorded.
    """
    from ..actions import Problem, ToolCall

    runtime = load(app)
    action = find(runtime.catalog, name)
    arguments = typed(action.schema, arg or (), json_args)
    if isinstance(read := action.read(arguments), Problem):
        raise Unusable(f"{name}: {_what_is_wrong(read)}")
    asked, session = ToolCall(None, name, arguments), local_session(runtime.tenant, principal, as_subject, assurance)
    report(run(runtime, lambda runtime: runtime.submit(asked, session, dry_run=dry_run)), as_json)


@commands.command("list", epilog=example("remit calls list --state waiting"))
def list_calls(
    state: Annotated[str | None, typer.Option(help="Only those in this state.")] = None,
    action: Annotated[str | None, typer.Option(help="Only those of this action.")] = None,
    dead: Annotated[
        bool, typer.Option("--dead", help="Only those of unknown outcome that a person must resolve, the longest so first.")
    ] = False,
    most: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many.")] = 50,
    by: Reader = OPERATOR,
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """List calls, the latest first.

    It says who must act: of one that waits, who is asked; of one of unknown outcome nobody while it is looked up, else who can resolve it.
    """
    from ..audit import State

    if state is not None and state not in set(State):
        raise Unusable(f"--state {state}: write one of {', '.join(State)}")
    if dead and (state or action):
        raise Unusable("--dead lists all that a person must resolve: leave --state and --action out")

    async def listed(runtime: Runtime) -> tuple[list[Call], Mapping[str, tuple[str, ...]], tuple[Switch, ...]]:
        found = await (runtime.dead(most=most, by=by) if dead else runtime.calls(state=state, action=action, most=most, by=by))
        return found, await runtime.waited_for(found), await runtime.switches.list()

    calls, asked, switches = run(load(app), listed)
    found = [_brief(one) | {"waits_for": list(asked.get(one.id, ()))} for one in calls]
    if as_json:
        show_json({"calls": found})
        return
    show(*standing(switches))
    if found:
        rows = [(c["id"], c["action"], coloured(c["state"]), c["principal"], moment(c["created"]), _who_acts(c)) for c in found]
        show(table(("call", "action", "state", "asked by", "when (UTC)", "who must act"), rows))
        if any(c["settled_by"] == "person" for c in found):
            show("Next: look at the provider's own records, then remit calls resolve ID --applied|--not-applied --as PERSON --reason TEXT")
    elif dead:
        show("No call waits for a person to find out what became of it.")
    elif state or action:
        show("There are no such calls. `remit calls list` lists all.")
    else:
        show("There are no calls yet. `remit call NAME --arg NAME=VALUE` makes one; `remit actions list` lists the names.")


@commands.command(
    "show", epilog=example("remit calls show call_2f6c0a", 'remit calls show call_2f6c0a --as eve --purpose "a complaint of the customer"')
)
def show_call(call_id: CallId, by: Reader = OPERATOR, purpose: Purpose = "", app: App = None, as_json: AsJson = False) -> None:
    """Show all of a call.

    What was asked, why it was allowed or not, who agreed, and what came of it. That you looked is recorded: `remit audit access`.
    """
    found = run(load(app), lambda runtime: runtime.review(call_id, by=by, purpose=purpose))
    if as_json:
        show_json(asdict(found.call))
    else:
        _show_view(found)


@answers.command("approve", epilog=example("remit approve call_2f6c0a --as eve"))
def approve(call_id: CallId, person: Person, reason: Reason = "", app: App = None, as_json: AsJson = False) -> None:
    """Approve a call that waits; it then runs.

    The person must have the role that is asked for. It is recorded as local operator access.
    """
    _vote(call_id, person, "approve", reason, app, as_json)


@answers.command("reject", epilog=example('remit reject call_2f6c0a --as eve --reason "ordered twice"'))
def reject(call_id: CallId, person: Person, reason: Reason, app: App = None, as_json: AsJson = False) -> None:
    """Say no to a call that waits, for good.

    The person must have the role that is asked for. It is recorded as local operator access.
    """
    _vote(call_id, person, "reject", reason, app, as_json)


@commands.command("amend", epilog=example('remit calls amend call_2f6c0a --arg amount="5.00 EUR" --as eve --reason "half is enough"'))
def amend(
    call_id: CallId,
    person: Person,
    reason: Reason,
    arg: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="An argument to change; may be given several times.")] = None,
    json_args: Annotated[str | None, typer.Option(metavar="JSON", help="All arguments to change as one JSON object.")] = None,
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """Change the arguments of a call that waits.

    It is decided anew: who had agreed is asked again, and whoever amends can't vote on it.
    """

    async def amended(runtime: Runtime) -> Outcome:
        found = await runtime.view(call_id, by=person, purpose="amends the call")
        arguments = typed(find(runtime.catalog, found.action).schema, arg or (), json_args)
        return await runtime.amend(call_id, by=person, arguments=arguments, reason=reason, digest=found.digest)

    report(run(load(app), amended), as_json)


def local_session(tenant: str, agent: str | None, subject: str, assurance: int) -> Session:
    """Make the session of whoever sits here, or of an agent in whose name they ask; raises `Unusable`."""
    from ..runtime import Session

    kind: Literal["agent", "person"] = "agent" if agent else "person"
    try:
        return Session(tenant=tenant, principal=agent or OPERATOR, kind=kind, subject=subject, assurance=assurance, channel="cli")
    except ValueError as error:
        raise Unusable(str(error)) from None


def _vote(call_id: str, person: str, answer: Literal["approve", "reject"], reason: str, app: str | None, as_json: bool) -> None:
    async def answered(runtime: Runtime) -> tuple[Review, Outcome]:
        found = await runtime.review(call_id, by=await _voter(runtime, person, call_id), purpose="approval")
        # What is shown is what is agreed to: had it been amended meanwhile, or had a price changed, this would be refused.
        shown = next((one["shown"] for one in _asked(found.call)), None)
        seen = {"digest": found.call.digest, "shown": shown}
        return found, await runtime.vote(call_id, person=person, answer=answer, reason=reason, via=OPERATOR, **seen)

    found, outcome = run(load(app), answered)
    if not as_json:
        _show_asked(found)
    report(outcome, as_json, wanted="declined" if answer == "reject" else "succeeded")


async def _voter(runtime: Runtime, person: str, call_id: str) -> str:
    """Name whom the call is shown to: the person who may answer it, else whoever sits here and is told why that person may not."""
    known = await (await runtime.start()).people.get(person)
    return person if known and known.active and known.roles & await runtime.roles_asked(call_id) else OPERATOR


def report(outcome: Outcome, as_json: bool, *, wanted: str = "succeeded") -> None:
    """Print an outcome, and end with 1 where it is not what was wanted and nothing can still make it so."""
    if as_json:
        show_json(outcome.to_json())
    else:
        fields = {
            "call": outcome.call_id,
            "says": outcome.message(),
            "why": outcome.error and outcome.error.code,
            "result": outcome.result,
            "waits for": [one["for"] for one in outcome.waiting],
            "until": outcome.until and moment(outcome.until),
        }
        title = f"{outcome.action}: {'would be ' if outcome.dry_run else ''}{outcome.state}"
        show(panel(title, fields, style=state_style(outcome.state)))
        if outcome.waiting and outcome.call_id:
            theirs = any(one["requirement"] == "approval" for one in outcome.waiting)
            then = f", then remit approve {outcome.call_id} --as PERSON" if theirs else "; only its customer can answer now"
            show(f"Next: remit calls show {outcome.call_id}{then}")
    if outcome.state in _WITHOUT_EFFECT - {wanted}:
        raise typer.Exit(1)


def _asked(found: CallView) -> list[Mapping[str, Any]]:
    return [one for one in found.requirements if one["state"] == "open"]


def _in_words(review: Review) -> list[str]:
    """Say what would be done in the action's own words, which may tell facts, such as a price."""
    return [one for one in (review.summary.sentence, *review.summary.notes) if one] if review.summary else []


def _limits(found: CallView) -> list[str]:
    """Say what the call would take of limits."""
    return [
        f"{one['limit']}: takes {amount(one['takes'], one.get('currency'))} beside {amount(one['used'], one.get('currency'))} "
        f"of {amount(one['at_most'], one.get('currency'))}"
        for one in found.limits
    ]


def _show_asked(review: Review) -> None:
    """Show what somebody answers: what would run, why it stopped, and its digest."""
    found = review.call
    reasons = [one["reason"] for one in _asked(found) if one["reason"]]
    fields = {"call": found.id, "asked by": found.principal, "for": found.subject, "what": _in_words(review), "arguments": found.arguments}
    show(
        panel(
            f"{found.action}: {found.state}",
            fields | {"why": reasons, "limits": _limits(found), "digest": found.digest},
            style=state_style(found.state),
        )
    )


def _show_view(review: Review) -> None:
    found = review.call
    fields: dict[str, Any] = {
        "call": found.id,
        "asked by": found.principal,
        "for": found.subject,
        "when (UTC)": moment(found.created),
        "channel": found.channel,
        "model": found.model,
        "what": _in_words(review),
        "arguments": found.arguments,
        "limits": _limits(found),
        "effect key": found.effect_key,
        "result": _came_of(found.result),
        "why": found.code,
        "reference": found.reference,
        "attempts": found.attempt or None,
        "next looked at": found.next_look and moment(found.next_look),
        "cools off until": moment(found.until) if found.until and found.state == "ready" else None,
        "who finds out": found.settled_by and {"look_up": "a look-up", "person": "an operator: remit calls resolve"}[found.settled_by],
        "undoes": found.undoes,
        "undone by" if found.taken_back else "being undone by": found.undo,
        "taken back": found.taken_back,
        "pruned": "by retention: what was recorded of it, or its beginning" if found.pruned else None,
    }
    show(panel(f"{found.action}: {found.state}", fields, style=state_style(found.state)))
    if found.requirements:
        rows = [
            (
                r["kind"],
                f"{r['votes']} of {r['by']}" if r["by"] else "",
                r["rule"],
                r["state"],
                r["answers"],
                moment(r["until"]),
                r["reason"],
            )
            for r in found.requirements
        ]
        show("", table(("asked for", "of", "by rule", "state", "answers", "until (UTC)", "reason"), rows))
    told = [(e["kind"], moment(e["at"]), e["place"], " → ".join(e["change"] or ()), _telling(e)) for e in found.events]
    show("", table(("event", "when (UTC)", "place", "moved", "what"), told))


def _brief(one: Call) -> dict[str, Any]:
    from ..runtime.clock import to_text
    from ..runtime.views import settled_by

    kept = (
        "id",
        "action",
        "state",
        "principal",
        "channel",
        "model",
        "attempt",
        "code",
        "reference",
        "undoes",
        "taken_back",
    )
    times = {"created": to_text(one.created_at), "updated": to_text(one.updated_at), "next": to_text(one.wake_at) if one.wake_at else None}
    return {name: getattr(one, name) for name in kept} | times | {"settled_by": settled_by(one)}


def _who_acts(brief: Mapping[str, Any]) -> str:
    """Say who is asked, or of an unknown effect who finds out what became of it."""
    if brief["waits_for"]:
        return ", ".join(brief["waits_for"])
    if brief["settled_by"] == "person":
        return "an operator"
    looked = f": looked up at {moment(brief['next'])}" if brief["next"] else ""
    return f"nobody{looked}" if brief["settled_by"] else ""


def _what_is_wrong(found: Problem) -> str:
    wrong = [f"{e.path or 'the arguments'} {e.problem}; {e.suggestion or f'expected {e.expected}'}" for e in found.field_errors]
    return " · ".join(wrong) or found.message


def _telling(event: Mapping[str, Any]) -> dict[str, Any]:
    """Pick what a person reads of an event; `--json` gives all of it."""
    body = event["body"]
    told = {name: body[name] for name in _TELLING if body.get(name) not in (None, "")}
    if decision := body.get("decision"):
        told["rules"] = [match["rule"] for match in decision["matched"]]
        if not decision["allowed"]:
            told["because"] = decision["reason"]
    if reason := event["personal"].get("/reason"):
        told["reason"] = reason
    return told


def _came_of(result: Any) -> Any:
    """Give a result as it is; of a problem in its place, what it says."""
    return result["message"] if isinstance(result, Mapping) and {"code", "message", "retry"} <= result.keys() else result
