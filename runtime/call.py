"""A call as one immutable value, exactly the row that is stored; every move makes a new value with the next version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ..audit import FINAL, State

T = TypeVar("T")
ERASED = b"erased"
"""What is in the place of the sealed request of a call whose customer was erased."""
PRUNED = b"pruned"
"""The same of a call whose events were pruned, and which is still there because it holds an effect key; of one that was erased it stays."""
UNDOING = "undoes IS NOT NULL AND state NOT IN ('rejected', 'denied', 'failed', 'declined', 'expired', 'cancelled')"
"""Of the calls that undo another, those that do or have done so: at most one for each, as an index says."""


def evolved(value: T, changes: Mapping[str, Any]) -> T:
    """Make a changed copy of a frozen value that has no slots: a tenth of the cost of `dataclasses.replace`, 26 times a call."""
    new = object.__new__(type(value))
    object.__setattr__(new, "__dict__", {**value.__dict__, **changes})
    return new


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request to perform an action.

    Times are microseconds since 1970 (UTC). Keys and fingerprints are HMACs under the lookup key. `sealed` holds the
    request (arguments, nonce, readable keys), `result` the outcome's content, both under the subject's own key.

    `met_at` is when all that it needed had first been agreed to, and `delayed_until` the end of the cooling-off that began then.
    `looks` counts the look-ups in a row that failed; since `dead_at` only a person can settle it. `undoes` is the call that this
    one reverses, and `taken_back` says what became of its own effect since: it was `undone`, or `reversed` by the provider.
    """

    tenant: str
    id: str
    version: int
    state: State
    action: str
    action_version: str
    schema_digest: str
    kind: str
    principal: str
    principal_kind: str
    subject: str
    conversation: str
    channel: str
    model: str
    assurance: int
    idempotency: bytes | None
    fingerprint: bytes | None
    digest: str
    effect_key: bytes | None
    ordinal: int
    sealed: bytes
    created_at: int
    updated_at: int
    attempt: int = 0
    sequence: int = 0
    last_leaf: bytes | None = None
    deadline_at: int | None = None
    lease_until: int | None = None
    settle_at: int | None = None
    first_sent_at: int | None = None
    unsure: int = 0
    wake_at: int | None = None
    cancel_asked: int = 0
    code: str | None = None
    result: bytes | None = None
    reference: str | None = None
    provider_status: str | None = None
    met_at: int | None = None
    delayed_until: int | None = None
    looks: int = 0
    dead_at: int | None = None
    undoes: str | None = None
    taken_back: str | None = None

    @property
    def final(self) -> bool:
        """Say whether the call can never move again."""
        return self.state in FINAL

    @property
    def erased(self) -> bool:
        """Say whether what was asked for, and what came of it, is gone: erased with its customer, or pruned."""
        return self.sealed in {ERASED, PRUNED}

    @property
    def pruned(self) -> bool:
        """Say whether its events were pruned."""
        return self.sealed == PRUNED

    def evolve(self, **changes: Any) -> Call:
        """Make the next version of this call."""
        return evolved(self, {"version": self.version + 1, **changes})
