"""All commands under one name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import (
    actions,
    audit,
    audit_follow,
    audit_place,
    audit_reconcile,
    audit_search,
    calls,
    changes,
    database,
    doctor,
    holds,
    keys,
    people,
    policies,
    retention,
    scaffold,
    serve,
    settling,
    subjects,
    switches,
    worker,
)
from .options import AsJson, example

app = typer.Typer(
    name="remit",
    help="Let an AI support agent do things for a customer, inside what was written down for it.",
    epilog=(
        "\b\nExit codes:\n  0  done, or waiting for somebody\n  1  what was asked for is not so: denied, failed, does not verify\n"
        "  2  could not be tried: how it was called, the policies, the database\n\n"
    )
    + example("remit init desk"),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.command("demo", epilog=example("remit demo", "remit demo --keep shop"))
def demo(
    keep: Annotated[Path | None, typer.Option("--keep", metavar="FOLDER", help="A new folder that keeps the app and its database.")] = None,
    as_json: AsJson = False,
) -> None:
    """Play a support conversation, with providers to try on.

    Ends with 0 only if the providers' ledgers and the audit log agree. STRIPE_API_KEY=sk_test_… plays it at Stripe's test mode.
    """
    from .demo import play

    raise typer.Exit(play(as_json=as_json, keep=keep))


app.add_typer(scaffold.starting)
app.add_typer(scaffold.commands, name="new")
app.add_typer(actions.commands, name="actions")
app.add_typer(calls.answers)
calls.commands.add_typer(settling.commands)
app.add_typer(calls.commands, name="calls")
policies.commands.add_typer(changes.commands)
app.add_typer(policies.commands, name="policy")
app.add_typer(switches.commands, name="switch")
app.add_typer(people.commands, name="people")
app.add_typer(subjects.commands, name="subject")
app.add_typer(holds.commands, name="hold")
app.add_typer(retention.commands, name="retention")
app.add_typer(keys.commands, name="keys")
audit.commands.add_typer(audit_follow.commands)
audit.commands.add_typer(audit_place.commands)
audit.commands.add_typer(audit_reconcile.commands)
audit.commands.add_typer(audit_search.commands)
app.add_typer(audit.commands, name="audit")
app.add_typer(database.commands, name="db")
app.add_typer(doctor.commands)
app.add_typer(serve.commands)
app.add_typer(worker.commands)
