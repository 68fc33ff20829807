"""The command line: `remit`, or `python -m remit`. Everything heavy is imported inside the command that needs it.

A command ends with 0 when it did what was asked, with 1 when what was asked for is not so (a call denied, a log that does
not verify), and with 2 when it could not be tried: one line on stderr then says what, where, and what to do.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from ..errors import PolicyError, RemitError
from ..safe_text import safe

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command that `arguments` (sys.argv by default) name, and exit with its code."""
    import typer

    from .app import app

    try:
        sys.exit(app(arguments, prog_name="remit", standalone_mode=False) or 0)
    except PolicyError as error:
        _complain(*str(error).split("\n"))  # the line of the policy file and the caret below it follow
    except RemitError as error:
        _complain(error.message)
    except typer.Abort:
        _complain("stopped")
    except typer.TyperException as error:
        _complain(*_usage(error))
    sys.exit(2)


def _usage(error: Exception) -> list[str]:
    """Say what is wrong with how a command was called; for a group without a command that is its whole help."""
    message = str(error.format_message())  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    if "\n" in message or context is None:
        return message.split("\n")
    return [f"{message.rstrip('.')}{'' if message.endswith('?') else '.'} See `{context.command_path} --help`."]


def _complain(*lines: str) -> None:
    for line in lines:
        print(safe(line), file=sys.stderr)  # noqa: T201 - rich is slow to import, and wraps
