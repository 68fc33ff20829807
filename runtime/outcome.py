"""What the caller gets back: always a value, in words that a model can act on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never

from ..actions import Problem
from ..audit import FINAL, State

WORDS = {
    "denied": "This is not allowed here. Do not repeat it.",
    "switched_off": "This is switched off. Do not repeat it.",
    "prerequisite_missing": "Something else must be done first in this conversation, so nothing was done.",
    "not_found": "There is no such thing for this customer. Do not repeat it.",
    "effect_taken": "Something else was already asked for here, so this was not done. Do not repeat it.",
    "conflict": "This can't be done here. Do not repeat it.",
    "declined": "A person said no. Do not repeat it.",
    "step_up_impossible": "The customer would have to prove who they are, and can't do that here. Do not repeat it.",
    "nobody_can_approve": "There is nobody who could approve this. Do not repeat it.",
    "expired": "Nobody answered in time, so it was not done.",
    "cancelled": "It was cancelled before it was done.",
    "row_changed": "The stored request is not the one that was approved, so it was not done.",
    "action_changed": "The action has changed since this was asked for, so it was not done.",
    "key_reused": "This call id was used before for something else. Nothing was done.",
    "facts_unavailable": "What the decision needs could not be loaded, so nothing was done. Try again later.",
    "not_applied": "It was not done: the provider could not be reached.",
    "refused": "The provider refused; it was not done.",
    "result_invalid": "It was done, but what the provider answered can't be shown.",
    "read_failed": "It could not be looked up. Try again later.",
    "unproved": "The audit log is behind, so nothing was done.",
    "overloaded": "Too much is going on right now, so nothing was done.",
    "stopped": "It was not done.",
    "unavailable": "What this goes through can't be reached at the moment, so nothing was done.",
    "nothing_to_undo": "What this would undo has been taken back already, so nothing was done. Do not repeat it.",
    "resolved": "It was done: a person has made sure of it. What the provider answered is not known.",
    "resolved_not_applied": "It was not done: a person has made sure of it.",
}
"""Code -> what the model is told where no rule and no provider gave it words."""

LOOKED_UP_WORDS = (
    "It is not known whether this was done; it is being looked up{until}. Do not repeat it. "
    "Tell the customer that it is being checked and that they will not be charged or served twice."
)
PERSON_WORDS = (
    "It is not known whether this was done, and only a person can find out; that takes longer. Do not repeat it. "
    "Tell the customer that somebody is looking into it and that they will not be charged or served twice."
)
DELAYED_WORDS = (
    "It will be done after {until}, not before. Do not repeat the call. Until then it can still be cancelled, by the customer or by staff."
)
UNKNOWN_REPEAT_WORDS = (
    "Nothing was done now: this, or something else in its place, was done before, and what exactly is not known any more. "
    "Do not repeat it, and do not say that it was done as it was asked for now."
)
TAKEN_BACK_WORDS = {
    "undone": "It was done, and has been undone since.",
    "reversed": "It was done, but the provider has reversed it since: it came to nothing.",
}


def problem(code: str, message: str | None = None, *, retry: str = "never") -> Problem:
    """Make the problem of one of the codes above."""
    return Problem(code=code, message=message or WORDS[code], retry=retry)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Tell what became of a call.

    `result` is what the model may see; `error` says how to repair the call, or that it must stop; `waiting` for whom
    the call waits. `repeated` means that this is the outcome of an earlier, equal request: nothing was done again.
    `until` (RFC 3339) is the end of a cooling-off, or when an unknown effect is looked up next; `settled_by` says of an unknown
    one whether a "look_up" or a "person" finds out, and `taken_back` whether it was "undone" since, or "reversed" by the provider.
    `erased` says that its customer was erased, or its record pruned, and what came of it as well: only the state is known, and of a
    repeat not whether it is an equal one.
    """

    call_id: str | None
    action: str
    state: State
    result: Any = None
    error: Problem | None = None
    waiting: tuple[Mapping[str, Any], ...] = ()
    repeated: bool = False
    dry_run: bool = False
    reference: str | None = field(default=None, repr=False)
    retry_after: int | None = None
    until: str | None = None
    settled_by: str | None = None
    taken_back: str | None = None
    erased: bool = False

    @property
    def final(self) -> bool:
        """Say whether the call can never move again."""
        return self.state in FINAL

    @property
    def ok(self) -> bool:
        """Say whether the action was done."""
        return self.state is State.SUCCEEDED

    def message(self) -> str:
        """Say it in one or two sentences, to the model."""
        again = "This was asked before; nothing was done again. " if self.repeated else ""
        if self.dry_run:
            return "Dry run: nothing was done."
        match self.state:
            case State.SUCCEEDED if self.repeated and self.erased and not self.taken_back:
                return UNKNOWN_REPEAT_WORDS
            case State.SUCCEEDED:
                done = self.error.message if self.error else "Done."
                return again + (TAKEN_BACK_WORDS[self.taken_back] if self.taken_back else done)
            case State.WAITING if self.waiting:
                names = ", ".join(str(one["for"]) for one in self.waiting)
                return again + f"Waiting for {names}. Do not repeat the call; it will be done when they agree."
            case State.UNKNOWN:
                return again + self._not_known()
            case State.READY if self.until:
                return again + DELAYED_WORDS.format(until=self._until())
            case State.NEW | State.WAITING | State.READY | State.EXECUTING:
                return again + "It is being done. Do not repeat the call."
            case State.REJECTED | State.DENIED | State.FAILED | State.DECLINED | State.EXPIRED | State.CANCELLED:
                return again + (self.error.message if self.error else WORDS.get(self.state.value, WORDS["stopped"]))
            case _:
                assert_never(self.state)

    def to_json(self) -> dict[str, Any]:
        """Give the outcome as the model and the HTTP API receive it."""
        body: dict[str, Any] = {"call": self.call_id, "action": self.action, "state": self.state.value, "message": self.message()}
        if self.result is not None:
            body["result"] = self.result
        if self.error is not None:
            body["error"] = self.error.to_json()
        elif self.state is State.UNKNOWN:
            body["error"] = problem("unknown", self._not_known()).to_json()
        if self.waiting:
            body["waiting"] = [dict(one) for one in self.waiting]
        if self.repeated:
            body["repeated"] = True
        if self.dry_run:
            body["dry_run"] = True
        if self.erased:
            body["erased"] = True
        if self.retry_after is not None:
            body["retry_after"] = self.retry_after
        told = {"until": self.until, "settled_by": self.settled_by, "taken_back": self.taken_back}
        return body | {name: value for name, value in told.items() if value is not None}

    def _not_known(self) -> str:
        """Say who finds out, and when it is looked up next."""
        if self.settled_by == "person":
            return PERSON_WORDS
        return LOOKED_UP_WORDS.format(until=f", next at {self._until()}" if self.until else "")

    def _until(self) -> str:
        """Write the moment for people, without fractions of a second."""
        return f"{(self.until or '')[:19].replace('T', ' ')} UTC"
