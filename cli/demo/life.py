"""A process of its own that runs the desk, so that it can really be killed: it takes one message of the model and sees it through.

    python -m remit.cli.demo.life FOLDER < {"dialect": …, "message": …, "session": …}

Its leases end after two seconds instead of forty, so that nobody who watches the demo has to wait.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from ...runtime import Runtime, Session
from .stage import load

DEADLINE, MARGIN = timedelta(seconds=1.5), timedelta(seconds=0.5)


@asynccontextmanager
async def begun(folder: Path, dialect: str, message: Mapping[str, Any], session: Session) -> AsyncIterator[Process]:
    """Start such a process and give it the message; if it still runs when the block ends, it is killed."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", __name__, str(folder), stdin=PIPE, stdout=PIPE, stderr=PIPE)
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps({"dialect": dialect, "message": message, "session": asdict(session)}).encode())
        process.stdin.close()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def end_of(process: Process) -> list[dict[str, Any]]:
    """Wait for what it prints when its calls are final. Raise ChildProcessError, with its last words, where it fails."""
    printed, complaint = await process.communicate()
    if process.returncode:
        raise ChildProcessError(complaint.decode(errors="replace")[-500:])
    outcomes: list[dict[str, Any]] = json.loads(printed)
    return outcomes


async def live(folder: Path, dialect: str, message: Mapping[str, Any], session: Session) -> list[dict[str, Any]]:
    """Submit what the model asks, and wait for the end of it."""
    app = load(folder)
    actions = [replace(action, deadline=DEADLINE) for action in app.runtime.catalog.values()]
    runtime = Runtime(actions, policies=folder / "policies", database=folder / "remit.db", resources=app.connectors, lease_margin=MARGIN)
    async with runtime, app.stripe:
        outcomes = [await runtime.submit(call, session) for call in runtime.read(dialect, message)]
        return [(await runtime.wait(one.call_id, 30) if one.call_id else one).to_json() for one in outcomes]


def main() -> None:
    """Live once."""
    given = json.load(sys.stdin)
    outcomes = asyncio.run(live(Path(sys.argv[1]), given["dialect"], given["message"], Session(**given["session"])))
    json.dump(outcomes, sys.stdout)


if __name__ == "__main__":
    main()
