"""Remit lets an AI agent do things for a customer, and keeps each of them inside what was written down for it.

Everything a developer needs is here; it is brought in when it is first used (PEP 562), so that `import remit.audit` needs
neither the runtime nor the policies.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .actions import (
        Action,
        Catalog,
        Context,
        Injected,
        Internal,
        Money,
        Personal,
        Public,
        Secret,
        Subject,
        ToolCall,
        action,
        after,
        keyed,
        lookup,
        once,
        per_call,
        read,
        undo,
    )
    from .errors import DefinitionError, PolicyError, Refused, RemitError, Retryable, Unsure
    from .runtime import EmailCodes, Outcome, Retention, Runtime, Session, StepUp

__version__ = "0.1.0"

_HOMES = {
    "actions": (
        *("Action", "Catalog", "Context", "Injected", "Internal", "Money", "Personal", "Public", "Secret", "Subject", "ToolCall"),
        *("action", "after", "keyed", "lookup", "once", "per_call", "read", "undo"),
    ),
    "errors": ("DefinitionError", "PolicyError", "Refused", "RemitError", "Retryable", "Unsure"),
    "runtime": ("EmailCodes", "Outcome", "Retention", "Runtime", "Session", "StepUp"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Action",
    "Catalog",
    "Context",
    "DefinitionError",
    "EmailCodes",
    "Injected",
    "Internal",
    "Money",
    "Outcome",
    "Personal",
    "PolicyError",
    "Public",
    "Refused",
    "RemitError",
    "Retention",
    "Retryable",
    "Runtime",
    "Secret",
    "Session",
    "StepUp",
    "Subject",
    "ToolCall",
    "Unsure",
    "action",
    "after",
    "keyed",
    "lookup",
    "once",
    "per_call",
    "read",
    "undo",
]


def __getattr__(name: str) -> Any:
    if (home := _HOME.get(name)) is None:
        raise AttributeError(f"module 'remit' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{home}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
