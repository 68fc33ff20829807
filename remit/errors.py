"""Say what went wrong, once: every exception of Remit, and the three that a handler may raise.

    RemitError
    ├── DefinitionError      an action, a catalog or a setting is declared wrongly (at import or construction)
    ├── PolicyError          a policy file can't be used; knows file, line and column
    ├── CallError            a request about a call can't be served
    │   ├── CallNotFound, KeyReused, AlreadyStarted, AlreadySettled
    │   ├── NotAnApprover, AlreadyVoted, ApprovalNotOpen
    │   ├── CodeNotAccepted, CodeNotSent, NotAmended
    │   ├── NotAnOperator, NotUnknown, StillRunning
    │   ├── NotSettled, NoUndo, NothingToUndo
    │   └── Overloaded
    │       └── Unproved
    ├── AuditError           a log or a leaf is not what it must be
    └── StoreError           the database or its keys can't be used
        └── DatabaseLocked, DatabaseReadOnly, DatabaseTooNew, KeysMissing, KeysMismatch, PolicyChanged,
            LogRolledBack, LastSignedUnusable, KeysOutdated, RotationUnderWay
    HandlerSignal            what a handler says of its own effect
    └── Refused, Retryable, Unsure

The docstring of a class is its default message. `code` is stable and goes to machines; `status` is the HTTP status.
"""

from __future__ import annotations

from typing import ClassVar


class RemitError(Exception):
    """Something in Remit went wrong."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, message: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        super().__init__(self.message)


class DefinitionError(RemitError):
    """This declaration can't be used."""

    code = "definition_error"


class PolicyError(RemitError):
    """This policy can't be used.

    `path`, `line` and `column` (from 1) say where; `excerpt` is the source line with a caret below the place. `others` are
    what else is wrong with the same policies.
    """

    code = "policy_error"
    others: tuple[PolicyError, ...] = ()

    def __init__(self, message: str, *, path: str = "", line: int = 0, column: int = 0, excerpt: str = "") -> None:
        super().__init__(message)
        self.path, self.line, self.column, self.excerpt = path, line, column, excerpt

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line, self.column) if part)
        head = f"{place}: {self.message}" if place else self.message
        return f"{head}\n{self.excerpt}" if self.excerpt else head


class CallError(RemitError):
    """This request about a call can't be served."""

    code = "call_error"
    status = 400


class CallNotFound(CallError):
    """No such call here."""

    code = "call_not_found"
    status = 404


class KeyReused(CallError):
    """This idempotency key was used before, for a different request. Take a new key for a new request."""

    code = "key_reused"
    status = 409


class AlreadyStarted(CallError):
    """The call has already started; it can no longer be cancelled. No further attempt will be made."""

    code = "already_started"
    status = 409


class AlreadySettled(CallError):
    """The call has already ended."""

    code = "already_settled"
    status = 409


class NotAnApprover(CallError):
    """This person may not vote on this call."""

    code = "not_an_approver"
    status = 403


class AlreadyVoted(CallError):
    """This person has already voted on this call; each person counts once."""

    code = "already_voted"
    status = 409


class ApprovalNotOpen(CallError):
    """This approval is not open: it was answered, has expired, or the call has changed since it was shown."""

    code = "approval_not_open"
    status = 409


class CodeNotAccepted(CallError):
    """This is not proof of who they are."""

    code = "code_not_accepted"
    status = 403


class CodeNotSent(CallError):
    """No code was sent."""

    code = "code_not_sent"
    status = 429


class NotAmended(CallError):
    """The call was not amended: it can't take these arguments."""

    code = "not_amended"
    status = 422


class NotAnOperator(CallError):
    """This person may not say what became of this call."""

    code = "not_an_operator"
    status = 403


class NotUnknown(CallError):
    """The outcome of this call is not unknown, so there is nothing to resolve."""

    code = "not_unknown"
    status = 409


class StillRunning(CallError):
    """An attempt may still be under way. Look at the provider when it has ended, then say what became of it."""

    code = "still_running"
    status = 409


class NotSettled(CallError):
    """What became of this call is not settled yet."""

    code = "not_settled"
    status = 409


class NoUndo(CallError):
    """This call can't be undone by another: its action names none that reverses it, or that one can't be told how."""

    code = "no_undo"
    status = 422


class NothingToUndo(CallError):
    """This call had no effect, or it was taken back already."""

    code = "nothing_to_undo"
    status = 409


class Overloaded(CallError):
    """Too much is going on right now. Nothing was done; come back in as many seconds as `after` says."""

    code = "overloaded"
    status = 503

    def __init__(self, message: str | None = None, *, after: int = 1) -> None:
        super().__init__(message or f"Too much is going on right now, so nothing was done. Come back in {after} seconds.")
        self.after = after


class Unproved(Overloaded):
    """The audit log is behind: what has happened can't be proved yet. Nothing was done; come back in as many seconds as `after` says."""

    code = "unproved"


class AuditError(RemitError):
    """This log or leaf is not what it must be."""

    code = "audit_error"


class StoreError(RemitError):
    """The database can't be used."""

    code = "store_error"
    status = 503


class DatabaseUnavailable(StoreError):
    """The database can't be written just now: it is full, broken, or out of reach. Whatever was not committed was not done."""

    code = "database_unavailable"


class DatabaseLocked(DatabaseUnavailable):
    """Another process holds the database locked."""

    code = "database_locked"


class DatabaseReadOnly(DatabaseUnavailable):
    """The database can't be written."""

    code = "database_read_only"


class DatabaseTooNew(StoreError):
    """The database was written by a newer Remit; upgrade this one."""

    code = "database_too_new"


class KeysMissing(StoreError):
    """The key file of this database is missing. A new one is never made for an existing database: restore it."""

    code = "keys_missing"


class KeysMismatch(StoreError):
    """The key file belongs to another database."""

    code = "keys_mismatch"


class LogRolledBack(StoreError):
    """The log in the database is not the one that was signed last: nothing more is signed."""

    code = "log_rolled_back"


class LastSignedUnusable(StoreError):
    """The file of what was signed last can't be used."""

    code = "last_signed_unusable"


class KeysOutdated(StoreError):
    """The key file is older than the log: a key that the log needs is not in it. Put the latest one in its place."""

    code = "keys_outdated"


class RotationUnderWay(StoreError):
    """An earlier rotation of the signing key is not ended: not every log was signed by both keys yet. A process of each tenant ends it."""

    code = "rotation_under_way"


class PolicyChanged(StoreError):
    """The policy folder differs from the active bundle."""

    code = "policy_changed"


class HandlerSignal(RemitError):
    """A handler says what became of its effect."""

    code = "handler_signal"


class Refused(HandlerSignal):
    """The provider refused.

    Known not applied. The reason may reach the model. After the handler has used its idempotency key a refusal
    counts only if the connector declares the answer `definite`; else the outcome is unknown.
    """

    code = "refused"

    def __init__(self, reason: str, *, definite: bool = False, code: str | None = None) -> None:
        super().__init__(reason)
        self.definite = definite
        self.reason_code = code or "refused"


class Retryable(HandlerSignal):
    """Known not applied, and worth another try: refused before a byte was sent, or answered 429."""

    code = "retryable"

    def __init__(self, reason: str, *, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Unsure(HandlerSignal):
    """The effect may or may not have happened."""

    code = "unsure"
