"""What can be done: actions, declared once, and what a model sends to them."""

from __future__ import annotations

from .action import Action, action
from .arguments import Arguments
from .call import ToolCall
from .catalog import Catalog
from .context import Context, Subject
from .effects import Effect, EffectKind, keyed, lookup, once, read
from .fields import Injected, Internal, Money, Personal, Public, Secret, SignedMoney
from .keys import Again, KeyTemplate, after, per_call
from .ledger import Entered, Keeping, Ledger, LedgerEntry, entered
from .outputs import Result, ResultInvalid
from .problems import FieldError, Problem
from .summary import Summary, render
from .undo import Undo, undo

__all__ = [
    "Action",
    "Again",
    "Arguments",
    "Catalog",
    "Context",
    "Effect",
    "EffectKind",
    "Entered",
    "FieldError",
    "Injected",
    "Internal",
    "Keeping",
    "KeyTemplate",
    "Ledger",
    "LedgerEntry",
    "Money",
    "Personal",
    "Problem",
    "Public",
    "Result",
    "ResultInvalid",
    "Secret",
    "SignedMoney",
    "Subject",
    "Summary",
    "ToolCall",
    "Undo",
    "action",
    "after",
    "entered",
    "keyed",
    "lookup",
    "once",
    "per_call",
    "read",
    "render",
    "undo",
]
