"""A call's whole story: every event in order and in plain words, why it was decided so, what each approver saw, where it stands now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import CallNotFound
from .call import Call
from .confirmation import summary_of
from .story_words import says, stands, who
from .views import CallView, view
from .work import Parts

_ANSWERS = frozenset({"approval.voted", "call.confirmed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event. `place` is its leaf in the tree (None: no checkpoint covers it yet), `change` the state before and after.

    `personal` are the values that were revealed, by JSON pointer; `sealed` are the pointers of those that were not. `saw` says of an
    answer what it was given on: the digest, the arguments, the rules' reasons and the limits of then.
    """

    at: str
    kind: str
    who: str
    says: str
    change: tuple[str, str] | None
    place: int | None
    personal: Mapping[str, Any]
    sealed: tuple[str, ...]
    saw: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything about a call. Without `revealed`, the subject is a pseudonym, and neither the conversation nor arguments that are not clear are there.

    `decisions` name the policy bundle by digest, the rules that counted with their reasons, and those that could not be evaluated;
    `stands` says where it stands now.
    """

    call: str
    action: str
    version: str
    state: str
    stands: str
    principal: str
    model: str
    channel: str
    conversation: str
    subject: str
    arguments: Mapping[str, Any]
    digest: str
    attempts: int
    reference: str | None
    provider_status: str | None
    code: str | None
    undoes: str | None
    undo: str | None
    taken_back: str | None
    revealed: bool
    decisions: tuple[Mapping[str, Any], ...]
    events: tuple[Told, ...]


async def story(parts: Parts, call: Call, *, reveal: bool) -> Story:
    """Tell a call's story; personal values are left out unless they are to be revealed."""
    seen = await view(parts, call)
    telling = _Telling(seen, reveal, await _words(parts, call) if reveal else ())
    events = tuple(telling.tell(event) for event in seen.events)
    return Story(
        call=seen.id,
        action=seen.action,
        version=seen.version,
        state=str(seen.state),
        stands=stands(seen),
        principal=seen.principal,
        model=seen.model,
        channel=seen.channel,
        conversation=seen.conversation if reveal else "",
        subject=seen.subject if reveal else call.subject,
        arguments=seen.arguments if reveal else telling.versions.get(seen.digest, {}),
        digest=seen.digest,
        attempts=seen.attempt,
        reference=seen.reference,
        provider_status=seen.provider_status,
        code=seen.code,
        undoes=seen.undoes,
        undo=seen.undo,
        taken_back=seen.taken_back,
        revealed=reveal,
        decisions=tuple(telling.decisions),
        events=events,
    )


@dataclass(slots=True)
class _Telling:
    """What was told so far: versions of the arguments by digest, decisions, and what was asked for."""

    seen: CallView
    reveal: bool
    words: tuple[str, ...]
    versions: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    decisions: list[Mapping[str, Any]] = field(default_factory=list)
    asked: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def tell(self, event: Mapping[str, Any]) -> Told:
        """Tell one event, and remember what later ones stand on."""
        kind, body, personal = event["kind"], event["body"], event["personal"]
        saw = self._saw(body) if kind in _ANSWERS else None
        self._remember(kind, event)
        return Told(
            at=event["at"],
            kind=kind,
            who=who(kind, body, self.seen.principal),
            says=says(kind, body),
            change=tuple(event["change"]) if event["change"] else None,
            place=event["place"],
            personal=personal if self.reveal else {},
            sealed=tuple(sorted([*event["sealed"], *(() if self.reveal else personal)])),
            saw=saw,
        )

    def _remember(self, kind: str, event: Mapping[str, Any]) -> None:
        body = event["body"]
        match kind:
            case "call.received" | "call.amended":
                self.versions[body["digest"]] = {**body["arguments"], **dict(self._personal_arguments(event))}
            case "call.decided":
                decision = body["decision"]
                kept = {name: decision.get(name, ()) for name in ("matched", "requirements", "errors", "limits")}
                told = {"at": event["at"], "policy": body["policy"], "allowed": decision["allowed"], "reason": decision.get("reason")}
                self.decisions.append({**told, **kept})
            case "approval.requested":
                self.asked[body["approval"]] = body

    def _personal_arguments(self, event: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        if self.reveal:
            for pointer, value in event["personal"].items():
                if pointer.startswith("/arguments/"):
                    yield pointer.removeprefix("/arguments/"), value

    def _saw(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Say what an answer was given on, as it was recorded then."""
        decision = self.decisions[-1] if self.decisions else {}
        asked = self.asked.get(body.get("approval", ""), {})
        saw = {
            "digest": body["digest"],
            "shown": body.get("shown") or asked.get("shown"),
            "arguments": self.versions.get(body["digest"], {}),
            "rule": asked.get("rule"),
            "reasons": [one["reason"] for one in decision.get("matched", ()) if one.get("reason")],
            "limits": list(decision.get("limits", ())),
            "policy": decision.get("policy"),
        }
        # The words are those of what the call is now: they were seen by whoever answered on this digest.
        return saw | ({"words": list(self.words)} if self.words and body["digest"] == self.seen.digest else {})


async def _words(parts: Parts, call: Call) -> tuple[str, ...]:
    try:
        summary = await summary_of(parts, call)
    except CallNotFound:  # its action is not here, or the person was erased
        return ()
    return tuple(one for one in (summary.sentence, *summary.notes) if one)
