"""`remit audit search`, `story` and `access`: find what happened, read all of it, and see who has read what."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .application import Unusable, load, run
from .options import OPERATOR, App, AsJson, CallId, Reader, example
from .output import coloured, panel, show, show_json, state_style, table
from .times import moment_at, time_of
from .values import moment, shown

if TYPE_CHECKING:
    from ..actions import Money
    from ..audit import State
    from ..runtime import Found, Runtime, Story
    from ..runtime.searching import Page
    from ..runtime.story import Told

commands = typer.Typer()
"""They stand beside those that check the log and carry it away."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
Since = Annotated[str | None, typer.Option(metavar="TIME", help="Received since then: 7d, 12h, or 2026-03-01[T10:00[:00]] in UTC.")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Received before then, written as --since.")]
OneCall = Annotated[str | None, typer.Option(metavar="ID", help="This call.")]
Conversation = Annotated[str | None, typer.Option(metavar="ID", help="Calls of this conversation.")]
ActionName = Annotated[str | None, typer.Option(metavar="NAME", help="Calls of this action.")]
Subject = Annotated[str | None, typer.Option(metavar="ID", help="Calls about this customer, by your own id of them.")]
Principal = Annotated[str | None, typer.Option(metavar="ID", help="What this agent, person or service asked for.")]
Approver = Annotated[str | None, typer.Option(metavar="PERSON", help="What this person has voted on.")]
By = Annotated[str | None, typer.Option(metavar="PERSON", help="What this person has done anything about.")]
Rule = Annotated[str | None, typer.Option(metavar="RULE", help="Where this rule or limit counted.")]
Outcome = Annotated[str | None, typer.Option(metavar="STATE", help="Calls that are in this state now.")]
KindOf = Annotated[str | None, typer.Option(metavar="KIND", help="What has an event of this kind, such as call.amended.")]
AtLeast = Annotated[str | None, typer.Option(metavar="AMOUNT", help="An amount asked for is at least so much: '10.00 EUR'.")]
AtMost = Annotated[str | None, typer.Option(metavar="AMOUNT", help="An amount asked for is at most so much.")]
Text = Annotated[str | None, typer.Option(metavar="TEXT", help="A clear reason contains it: of a rule, or a switch.")]
After = Annotated[str | None, typer.Option(metavar="CURSOR", help="The next page, by the cursor that the last one gave.")]
Most = Annotated[int, typer.Option(min=1, max=500, help="At most so many.")]


@commands.command(
    "search",
    epilog=example(
        "remit audit search --action give_credit --at-least '10.00 EUR' --since 7d", "remit audit search --approver eve --outcome failed"
    ),
)
def search(
    since: Since = None,
    until: Until = None,
    call: OneCall = None,
    conversation: Conversation = None,
    action: ActionName = None,
    subject: Subject = None,
    principal: Principal = None,
    approver: Approver = None,
    by: By = None,
    rule: Rule = None,
    outcome: Outcome = None,
    kind: KindOf = None,
    at_least: AtLeast = None,
    at_most: AtMost = None,
    text: Text = None,
    after: After = None,
    most: Most = 50,
    person: Reader = OPERATOR,
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """Find calls, and events outside every call, the newest first.

    All filters must be met. Times are those of when a call was received, not of what came later. What people wrote about a call is sealed
    and not searched; no personal value is shown. That this was read is recorded.
    """
    asked: dict[str, Any] = {"call": call, "conversation": conversation, "action": action, "subject": subject, "principal": principal}
    asked |= {"approver": approver, "by": by, "rule": rule, "kind": kind, "text": text, "outcome": _state(outcome)}
    asked |= {"at_least": _amount("--at-least", at_least), "at_most": _amount("--at-most", at_most)}
    times = {"since": time_of("--since", since), "until": time_of("--until", until)}

    async def searched(runtime: Runtime) -> Page:
        from ..runtime import Query
        from ..runtime.clock import to_micros

        now = (await runtime.start()).parts.clock.now()
        counted: dict[str, Any] = {name: to_micros(at) for name, time in times.items() if (at := moment_at(time, now))}
        return await runtime.search(Query(**asked, **counted), by=person, after=after, most=most)

    page = run(load(app), searched)
    if as_json:
        show_json({"found": [_brief(one) for one in page.found], "after": page.after})
        return
    if page.found:
        show(table(("call", "when (UTC)", "what", "state", "asked by", "amounts", "more"), map(_row, page.found)))
        further = ["remit audit story CALL"] if any(one.call for one in page.found) else []
        further += [f"older ones: the same with --after {page.after}"] if page.after else []
        show(*([f"Next: {'; '.join(further)}"] if further else []))
    elif after:
        show("There is nothing further.")
    else:
        show("Nothing in the log meets that. `remit audit search` without options lists all of it.")


@commands.command(
    "story", epilog=example("remit audit story call_2f6c0a", 'remit audit story call_2f6c0a --reveal --as rita --purpose "complaint 117"')
)
def story(
    call_id: CallId,
    reveal: Annotated[bool, typer.Option("--reveal", help="With personal values: takes --as, a role for it, and --purpose.")] = False,
    purpose: Annotated[
        str, typer.Option(metavar="TEXT", help="For what personal values are revealed; it is recorded. Name no customer.")
    ] = "",
    person: Reader = OPERATOR,
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """Tell everything about a call, in order and in plain words.

    Who asked, which policies and rules decided, what each approver saw, what ran, and where it stands now. Personal values are sealed, unless
    a reviewer, a privacy officer or an administrator has them revealed for a purpose. That this was read is recorded.
    """
    if purpose and not reveal:
        raise Unusable("--purpose is for --reveal: without it no personal value is shown")
    told = run(load(app), lambda runtime: runtime.story(call_id, by=person, reveal=reveal, purpose=purpose))
    if as_json:
        show_json(asdict(told))
    else:
        show(*_story(told))


@commands.command("access", epilog=example("remit audit access"))
def access(most: Most = 50, person: Reader = OPERATOR, app: App = None, as_json: AsJson = False) -> None:
    """List who has read, checked or exported the log, and what was revealed to them, the latest first."""
    found = run(load(app), lambda runtime: runtime.accesses(by=person, most=most))
    if as_json:
        show_json({"accesses": [asdict(one) for one in found]})
    elif found:
        rows = [(one.kind, moment(one.at), one.who, one.call, one.sought, one.found, one.purpose) for one in found]
        show(table(("what", "when (UTC)", "who", "call", "looked for", "found", "purpose"), rows))
    else:
        show("Nobody has read the log yet.")


def _amount(option: str, text: str | None) -> Money | None:
    from ..actions import Money

    if text is None:
        return None
    value, _, currency = text.strip().rpartition(" ")
    try:
        return Money.of(value, currency)
    except ValueError as error:
        raise Unusable(f"{option} {text}: {error}; write an amount and a currency, such as '10.00 EUR'") from None


def _state(text: str | None) -> State | None:
    from ..audit import State

    if text is None:
        return None
    if text not in set(State) or text == State.NEW:
        raise Unusable(f"--outcome {text}: write one of {', '.join(one for one in State if one is not State.NEW)}")
    return State(text)


def _brief(one: Found) -> dict[str, Any]:
    return {name: value for name, value in asdict(one).items() if value not in (None, ())}


def _row(one: Found) -> tuple[Any, ...]:
    told = {"why": one.code, "reference": one.reference} if one.call else {name: _short(value) for name, value in (one.body or {}).items()}
    more = {name: value for name, value in told.items() if value not in (None, "", {})}
    return one.call or "-", moment(one.at), one.action or one.kind, coloured(one.state or ""), one.principal, one.amounts, more


def _short(value: Any) -> Any:
    """Cut a digest to what tells it from others; fingerprints of keys say nothing to people."""
    if isinstance(value, str) and _DIGEST.fullmatch(value):
        return value[:12]
    return {} if isinstance(value, dict) else value


def _story(told: Story) -> Iterator[Any]:
    fields = {
        "call": told.call,
        "now": told.stands,
        "asked by": told.principal,
        "model": told.model,
        "channel": told.channel,
        "conversation": told.conversation,
        "for": told.subject,
        "arguments": told.arguments,
        "digest": told.digest[:12],
        "attempts": told.attempts or None,
        "reference": told.reference,
        "undoes": told.undoes,
        "undo": told.undo,
    }
    yield panel(f"{told.action}: {told.state}", fields, style=state_style(told.state))
    yield from ("", table(("when (UTC)", "who", "what", "moved", "leaf"), map(_line, told.events)))
    for number, decision in enumerate(told.decisions, 1):
        yield from _decision(number, decision)
    for one in told.events:
        if one.saw:
            title = f"What {one.who} saw before {'saying' if one.kind == 'call.confirmed' else 'voting'}, {moment(one.at)}"
            yield panel(
                title, {name: value[:12] if name in {"digest", "shown", "policy"} and value else value for name, value in one.saw.items()}
            )
    if rows := list(dict.fromkeys((name, shown(value)) for one in told.events for name, value in one.personal.items())):
        yield from ("", table(("revealed", "value"), rows))
    if sealed := sum(len(one.sealed) for one in told.events):
        yield f"{sealed} personal values are sealed{' for good' if told.revealed else '; --reveal shows them, to whoever may see them'}."


def _line(one: Told) -> tuple[Any, ...]:
    return moment(one.at), one.who, one.says, " → ".join(one.change or ()), "-" if one.place is None else one.place


def _reason(one: Mapping[str, Any]) -> str:
    return f": {one['reason']}" if one.get("reason") else ""


def _decision(number: int, decision: Mapping[str, Any]) -> Iterator[Any]:
    rules = [f"{one['rule']} ({one['then']}){_reason(one)}" for one in decision["matched"]]
    fields = {
        "policies": decision["policy"][:12],
        "because": decision["reason"],
        "rules": rules,
        "errors": decision["errors"],
        "limits": decision["limits"],
    }
    yield panel(f"Decision {number}, {moment(decision['at'])}: {'allowed' if decision['allowed'] else 'denied'}", fields)
