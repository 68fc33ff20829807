"""`remit people`: who may approve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .application import Unusable, load, run_with_people
from .options import App, AsJson, example, group
from .output import show, show_json, table

if TYPE_CHECKING:
    from ..runtime.people import People, Person

commands = group("Say who there is, and what they may decide.", "remit people list")

PersonId = Annotated[str, typer.Argument(metavar="ID", help="The person's id, for good: names change, ids do not.")]


@commands.command("add", epilog=example('remit people add eve --name "Eve Park" --email eve@example.org --role lead'))
def add(
    person_id: PersonId,
    name: Annotated[str, typer.Option(help="As it is shown to others.")] = "",
    email: Annotated[str, typer.Option(help="Where they are told of what waits.")] = "",
    role: Annotated[list[str] | None, typer.Option(help="A role as policies name it; may be given several times.")] = None,
    app: App = None,
) -> None:
    """Record a person."""
    _say(run_with_people(load(app), lambda people: people.add(person_id, name=name, email=email, roles=role or ())))


@commands.command("role", epilog=example("remit people role eve --add lead --remove trainee"))
def change_role(
    person_id: PersonId,
    add: Annotated[list[str] | None, typer.Option(metavar="ROLE", help="Give this role.")] = None,
    remove: Annotated[list[str] | None, typer.Option(metavar="ROLE", help="Take this role away.")] = None,
    app: App = None,
) -> None:
    """Give or take roles."""
    if not add and not remove:
        raise Unusable(f"say which role: `remit people role {person_id} --add ROLE`, or --remove ROLE")
    _say(run_with_people(load(app), lambda people: people.change_roles(person_id, add=add or (), remove=remove or ())))


@commands.command("disable", epilog=example("remit people disable eve"))
def disable(person_id: PersonId, app: App = None) -> None:
    """Let a person decide nothing any more."""
    _say(run_with_people(load(app), lambda people: people.disable(person_id)))


@commands.command("list", epilog=example("remit people list"))
def list_people(app: App = None, as_json: AsJson = False) -> None:
    """List everybody."""

    async def everybody(people: People) -> list[Person]:
        return await people.everybody()

    found = run_with_people(load(app), everybody)
    if as_json:
        show_json({"people": [_described(person) for person in found]})
    elif found:
        rows = [(person.id, person.name, person.email, sorted(person.roles), person.active) for person in found]
        show(table(("person", "name", "e-mail", "roles", "active"), rows))
    else:
        show("There is nobody yet. `remit people add ID --role ROLE` records somebody who may approve.")


def _say(person: Person) -> None:
    roles = ", ".join(sorted(person.roles)) or "no role"
    show(f"{person.id}: {roles}" if person.active else f"{person.id}: disabled")


def _described(person: Person) -> dict[str, Any]:
    return {"id": person.id, "name": person.name, "email": person.email, "roles": sorted(person.roles), "active": person.active}
