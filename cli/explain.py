"""`remit policy explain`: why a call was decided as it was, rule by rule, with what each saw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..safe_text import safe
from .application import load, run
from .options import OPERATOR, App, AsJson, CallId, Purpose, Reader
from .output import panel, show, show_json, table
from .values import amount, moment, shown

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..policies import EvaluationError, Explained, Headroom
    from ..runtime.decided import Explained as ExplainedCall

_STYLES = {"allow": "green", "deny": "red"}


def explain(
    call_id: CallId,
    every: Annotated[bool, typer.Option("--all", help="Also why each other rule did not count.")] = False,
    by: Reader = OPERATOR,
    purpose: Purpose = "",
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """Explain how a call was decided.

    By the bundle that was in force and what was recorded then: every rule that counted, its place, and the values that it saw.
    """
    found = run(load(app), lambda runtime: runtime.explain(call_id, by=by, purpose=purpose))
    if as_json:
        show_json(found.to_json())
    else:
        show(*_shown(found, every))


def _shown(found: ExplainedCall, every: bool) -> Iterator[RenderableType]:
    explanation, decision = found.explanation, found.explanation.decision
    fields = {
        "call": f"{found.call}, now {found.state}",
        "decided (UTC)": moment(found.at),
        "by bundle": f"{found.bundle.digest[:12]}, written by {found.bundle.author}",
        "because": decision.reason,
        "asks for": [_asked(one) for one in decision.requirements],
        "the same again": "yes" if found.reproduced else "NO: this is not what was recorded",
    }
    style = "green" if decision.allowed and found.reproduced else "red"
    yield panel(f"{found.action}: {'allowed' if decision.allowed else 'denied'}", fields, style=style)
    counted = {one.rule for one in decision.matched}
    yield from _rules("What counted", (one for one in explanation.rules if one.rule in counted), counted=True)
    if every:
        yield from _rules("What did not", (one for one in explanation.rules if one.rule not in counted), counted=False)
    elif left := len(explanation.rules) - len(counted):
        yield _text(f"{left} more did not count; --all says why", style="dim")
    if explanation.limits:
        rows = [_limit(limit.name, f"{limit.path}:{limit.line}", one) for limit, one in explanation.limits]
        yield from ("", table(("limit", "used", "takes", "at most", "left", "where"), rows))
    if explanation.requires:
        rows = [(one.action, "has succeeded" if met else "MISSING", f"{one.path}:{one.line}") for one, met in explanation.requires]
        yield from ("", table(("must come first", "in this conversation", "where"), rows))


def _rules(title: str, rules: Iterable[Explained], *, counted: bool) -> Iterator[RenderableType]:
    for number, one in enumerate(rules):
        if number == 0:
            yield from ("", _text(title, style="bold"))
        yield from _rule(one, counted)


def _rule(one: Explained, counted: bool) -> Iterator[RenderableType]:
    from rich.text import Text

    mark, style = ("●", _STYLES.get(one.then, "yellow")) if counted else ("○", "dim")
    head = Text(f"{mark} ", style=style)
    head.append(one.rule, style="bold").append(f"  {one.then}", style=style).append(f"  {one.path}:{one.line}", style="dim")
    yield head
    if not isinstance(one.result, bool):
        yield _text(f"can't be evaluated: {safe(one.result.message)}", style="red", indent=2)
    if one.condition != "true":
        yield _text(_line(one.condition), indent=2)
    for text, result in one.parts if not counted else ():
        yield _text(f"{_sign(result)} {_line(text)}", style="dim" if result is True else "", indent=4)
    for path, value in one.values.items():
        yield _text(f"{path} = {shown(value) if value is not None else 'missing'}", style="cyan", indent=4)


def _limit(name: str, where: str, one: Headroom | EvaluationError) -> tuple[Any, ...]:
    if (message := getattr(one, "message", None)) is not None:
        return name, message, "", "", "", where
    return name, *(amount(number, one.currency) for number in (one.used, one.takes, one.at_most, one.left)), where  # type: ignore[union-attr]


def _asked(one: Any) -> str:
    of = f" by {one.votes} of {one.by}" if one.kind == "approval" else ""
    return f"{one.kind.replace('_', '-')}{of}"


def _sign(result: bool | EvaluationError) -> str:
    return ("yes" if result else "no ") if isinstance(result, bool) else "?  "


def _line(condition: str) -> str:
    return safe(" ".join(condition.split()))


def _text(text: str, style: str = "", indent: int = 0) -> RenderableType:
    from rich.padding import Padding
    from rich.text import Text

    return Padding(Text(text, style=style), (0, 0, 0, indent), expand=False)
