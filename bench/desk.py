"""A runtime with the library's four families, as a process of its own: `python -m bench.desk FOLDER` says when it is ready."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from remit import Runtime
from remit.actions.library import accounts, appointments, payments, plans
from remit.actions.library.calendar import EmbeddedCalendar
from remit.actions.library.directory import ScimDirectory
from remit.actions.library.mail import SmtpMail
from remit.actions.library.reset_links import ResetLinks
from remit.actions.library.stripe import Stripe

POLICIES = Path(__file__).resolve().parent.parent / "examples" / "support" / "policies"


async def main(folder: Path) -> None:
    """Start, say so, and stop; nothing is asked of the providers."""
    connectors = [
        Stripe("sk_test_bench", api_base="http://127.0.0.1:9"),
        EmbeddedCalendar(folder / "calendar.db"),
        ScimDirectory("http://127.0.0.1:9/v2"),
        SmtpMail("127.0.0.1", 9, "support@shop.example.org"),
        ResetLinks(folder / "links.db", address="https://shop.example.org/reset?token="),
    ]
    runtime = Runtime([payments, plans, appointments, accounts], policies=POLICIES, database=folder / "remit.db", resources=connectors)
    async with runtime:
        print("ready", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
