"""`remit subject`: give out what is held about a person, and erase it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .application import Unusable, load, run
from .options import OPERATOR, App, AsJson, example, group
from .output import panel, show, show_json, table
from .values import moment, shown

if TYPE_CHECKING:
    from ..runtime import Runtime
    from ..runtime.subjects import Erasure

commands = group("Give out what is held about a customer, and erase it.", "remit subject export ada --out ada.json")

SubjectId = Annotated[str, typer.Argument(metavar="ID", help="The customer's id, as sessions name them.")]


@commands.command("export", epilog=example("remit subject export ada", "remit subject export ada --out ada.json"))
def export(
    subject: SubjectId,
    by: Annotated[str, typer.Option("--by", metavar="PERSON", help="Who has it opened; it is recorded.")] = OPERATOR,
    purpose: Annotated[
        str, typer.Option("--purpose", metavar="TEXT", help="For what; it is recorded, so name nobody.")
    ] = "asked for by the person",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="A new JSON file that its owner alone can read.")] = None,
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """Show everything that is held about a customer, readable."""
    held = run(load(app), lambda runtime: _exported(runtime, subject, by, purpose))
    if out is not None:
        _written(out, held)
        show(f"Wrote {out}: {len(held['calls'])} calls.")
    elif as_json:
        show_json(held)
    else:
        show(panel(subject, {"in the log": held["pseudonym"], "calls": len(held["calls"]), "legal holds": len(held["holds"])}))
        for call in held["calls"]:
            told = {"state": call["state"], "received": moment(call["created"]), "arguments": call["arguments"], "result": call["result"]}
            said = dict.fromkeys(f"{name[1:]}: {shown(value)}" for event in call["events"] for name, value in event["personal"].items())
            show(panel(f"{call['action']} {call['id']}", told | {"said": list(said)}))


@commands.command("erase", epilog=example('remit subject erase ada --reason "asked by letter" --legal-basis "GDPR 17(1)(b)" --by eve'))
def erase(
    subject: SubjectId,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; recorded in clear and for good, so name nobody.")],
    basis: Annotated[str, typer.Option("--legal-basis", metavar="TEXT", help="By which law; it is recorded.")],
    by: Annotated[str, typer.Option("--by", metavar="PERSON", help="Who asks for it.")] = OPERATOR,
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """Erase a customer, for good; proofs stay whole.

    Refused under a legal hold, and while a call of theirs has not ended. On a server `remit subject complete` reaches the backups.
    """
    erased = run(load(app), lambda runtime: _erased(runtime, subject, reason, basis, by))
    if as_json:
        show_json(asdict(erased))
        return
    show(f"Erased: {erased.subject} stands for nobody any more.")
    if erased.completed:
        show("The tenant key of before is destroyed: backups open nothing of them.")
    else:
        show("Backups still hold them, until `remit subject complete`; run it within 7 days.")


@commands.command("complete", epilog=example("remit subject complete"))
def complete(app: App = None, as_json: AsJson = False) -> None:
    """Destroy the tenant key by which backups still tell who was erased.

    Everybody else is wrapped by the next one, which is in the key file: put that on every machine.
    """
    done = run(load(app), _completed)
    if as_json:
        show_json({"completed": [asdict(one) for one in done]})
    else:
        show(f"Complete: {len(done)} erasures." if done else "There is nothing to complete.")


@commands.command("erased", epilog=example("remit subject erased"))
def erased(app: App = None, as_json: AsJson = False) -> None:
    """List who was erased, by pseudonym, and whether backups are reached."""
    found = run(load(app), _list)
    if as_json:
        show_json({"erased": [asdict(one) for one in found]})
    elif found:
        rows = [(one.subject, moment(one.at), moment(one.completed) if one.completed else "not yet") for one in found]
        show(table(("was", "erased (UTC)", "backups reached"), rows))
    else:
        show("Nobody was erased.")


def _written(place: Path, document: Mapping[str, Any]) -> None:
    """Write a new file, whole or not at all."""
    import json

    from ..runtime.exporting import written

    try:
        with written(place) as file:
            file.write(json.dumps(document, indent=2, default=str).encode())
    except FileExistsError:
        raise Unusable(f"{place} exists; name a new file") from None
    except OSError as error:
        raise Unusable(f"{place} can't be written: {error.strerror}") from error


async def _exported(runtime: Runtime, subject: str, by: str, purpose: str) -> Mapping[str, Any]:
    return await (await runtime.start()).subjects.export(subject, by=by, purpose=purpose)


async def _erased(runtime: Runtime, subject: str, reason: str, basis: str, by: str) -> Erasure:
    return await (await runtime.start()).subjects.erase(subject, reason=reason, legal_basis=basis, by=by)


async def _completed(runtime: Runtime) -> tuple[Erasure, ...]:
    return await (await runtime.start()).subjects.complete()


async def _list(runtime: Runtime) -> tuple[Erasure, ...]:
    return await (await runtime.start()).subjects.erasures()
