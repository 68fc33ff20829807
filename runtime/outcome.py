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
    "overloaded": "Too much is going on right now. Nothing was done; try again shortly.",
    "stopped": "It was not done.",
}
"""Code -> what the model is told where no rule and no provider gave it words."""

UNKNOWN_WORDS = (
    "It is not known whether this was done; it is being looked up. Do not repeat it. "
    "Tell the customer that it is being checked and that they will not be charged or served twice."
)


def problem(code: str, message: str | None = None, *, retry: str = "never") -> Problem:
    """Make the problem of one of the codes above."""
    return Problem(code=code, message=message or WORDS[code], retry=retry)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Tell what became of a call.

    `result` is what the model may see; `error` says how to repair the call, or that it must stop; `waiting` for whom
    the call waits. `repeated` means that this is the outcome of an earlier, equal request: nothing was done again.
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
            case State.SUCCEEDED:
                return again + (self.error.message if self.error else "Done.")
            case State.WAITING if self.waiting:
                names = ", ".join(str(one["for"]) for one in self.waiting)
                return again + f"Waiting for {names}. Do not repeat the call; it will be done when they agree."
            case State.UNKNOWN:
                return again + UNKNOWN_WORDS
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
            body["error"] = problem("unknown", UNKNOWN_WORDS).to_json()
        if self.waiting:
            body["waiting"] = [dict(one) for one in self.waiting]
        if self.repeated:
            body["repeated"] = True
        if self.dry_run:
            body["dry_run"] = True
        return body
