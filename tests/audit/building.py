"""Make logs for tests: calls as the runtime tells them, written by the real writer, signed by a real key."""

import random
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from remit.audit import Entry, Event, RightEdge, leaf_hash, sign, write

LOG_ID, ORIGIN = "log-1", "audit.example.org/log-1"
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
POLICY = "p" * 64
_random = random.Random(7)

ALLOW = {"allowed": True, "requirements": []}
NEEDS_ONE = {"allowed": True, "requirements": [{"kind": "approval", "by": "finance", "votes": 1}]}


def salts(count: int) -> bytes:
    return _random.randbytes(count)


def decide(inputs: Any, policy: str) -> Any:
    """Stand in for policies: up to 50.00 is allowed at once, above it takes an approval; a disputed payment is denied."""
    assert policy == POLICY
    if inputs["facts"]["payment"]["disputed"]:
        return {"allowed": False, "requirements": []}
    return ALLOW if inputs["arguments"]["amount"]["minor"] <= 5000 else NEEDS_ONE


@dataclass
class Call:
    """The events of one call, in its order. `with_` rewrites one of them before anything is hashed."""

    id: str
    effect: str = "keyed"
    events: list[Event] = field(default_factory=list)
    minute: str = "2026-03-01T10:00"

    def later(self, minute: str) -> "Call":
        """Let what follows happen in this minute of the day."""
        self.minute = f"2026-03-01T{minute}"
        return self

    def tell(self, kind: str, change: tuple[str, str] | None = None, personal: dict[str, Any] | None = None, /, **body: Any) -> "Call":
        at = f"{self.minute}:{len(self.events):02}.000000Z"
        self.events.append(
            Event(
                kind=kind,
                at=at,
                id=f"{self.id}-{len(self.events)}",
                tenant="default",
                call=self.id,
                principal={"id": "agent-1", "kind": "agent"},
                action={"name": "refund_payment", "version": "1", "schema": "5" * 64},
                change=change,
                body=body,
                personal=personal or {},
            )
        )
        return self

    def received(self, change: tuple[str, str] | None = None) -> "Call":
        clear = {"amount": {"currency": "EUR", "minor": 4990}}
        personal = {"/arguments/payment_id": "pay_77", "/subject": "customer-1"}
        return self.tell("call.received", change, personal, digest="d1", effect=self.effect, arguments=clear, effect_key="e1")

    def decided(self, change: tuple[str, str] | None = ("new", "ready"), minor: int = 4990) -> "Call":
        inputs = {
            "now": "2026-03-01T10:00:00Z",
            "principal": {"id": "agent-1", "kind": "agent"},
            "session": {"tenant": "default"},
            "subject": {"assurance": 2, "anonymous": False},
            "arguments": {"amount": {"currency": "EUR", "minor": minor}},
            "facts": {},
        }
        payment = {"disputed": False, "customer": "customer-1"}
        personal = {"/inputs/facts/payment": payment, "/inputs/arguments/payment_id": "pay_77", "/inputs/subject/id": "customer-1"}
        decision = deepcopy(ALLOW if minor <= 5000 else NEEDS_ONE)
        return self.tell("call.decided", change, personal, policy=POLICY, decision=decision, inputs=inputs)

    def held(self) -> "Call":
        self.tell("call.held", ("new", "waiting"), requirements=NEEDS_ONE["requirements"], digest="d1")
        return self.tell("approval.requested", approval="a1", by="finance", votes=1, digest="d1", shown="0" * 64)

    def voted(self, change: tuple[str, str] | None = None, **body: Any) -> "Call":
        vote = {"approval": "a1", "person": "ada", "answer": "approve", "digest": "d1", "role": "finance", **body}
        return self.tell("approval.voted", change, {"/reason": "looks right"}, **vote)

    def intended(self, attempt: int = 1, before: str = "ready", **body: Any) -> "Call":
        intent = {
            "digest": "d1",
            "attempt": attempt,
            "effect_key": "e1",
            "provider_key": "k1",
            "kind": self.effect,
            "approvals": [],
            **body,
        }
        return self.tell("call.intended", (before, "executing"), lease_until="2026-03-01T10:01:00Z", **intent)

    def succeeded(self, before: str = "executing") -> "Call":
        return self.tell("call.succeeded", (before, "succeeded"), {"/result/id": "re_1"}, reference="re_1", result={})

    def with_(self, kind: str, *, every: bool = False, **changes: Any) -> "Call":
        """Rewrite the first event of a kind, or every one: its fields, or by `body` some members of its body."""
        numbers = [number for number, event in enumerate(self.events) if event.kind == kind]
        for number in numbers if every else numbers[:1]:
            event = self.events[number]
            more = {"body": {**event.body, **changes["body"]}} if "body" in changes else {}
            self.events[number] = replace(event, **{**changes, **more})
        return self

    def without(self, kind: str) -> "Call":
        self.events = [event for event in self.events if event.kind != kind]
        return self


def allowed(call: str = "c1") -> Call:
    return Call(call).received().decided().intended().succeeded()


def approved(call: str = "c2") -> Call:
    story = Call(call).received().decided(None, minor=90_000).held().voted()
    return story.decided(("waiting", "ready"), minor=90_000).intended(approvals=["a1"]).succeeded()


def confirmed(call: str = "c5") -> Call:
    story = Call(call).received().decided(None)
    story.tell("call.held", ("new", "waiting"), requirements=[{"kind": "confirmation", "rule": "again"}], digest="d1")
    story.tell("call.confirmed", digest="d1", answer="approve").decided(("waiting", "ready"))
    return story.intended().succeeded()


def lost(call: str = "c3", effect: str = "keyed", **intent: Any) -> Call:
    """Lose the answer to the first attempt."""
    return lose(Call(call, effect=effect).received().decided().intended(**intent), 1)


def lose(story: Call, attempt: int) -> Call:
    return story.tell("call.became_unknown", ("executing", "unknown"), attempt=attempt, why="timeout")


def uncertain(call: str = "c3") -> Call:
    return lost(call).intended(2, "unknown").succeeded()


def read(call: str = "c4") -> Call:
    return Call(call, effect="read").received().decided().tell("call.succeeded", ("ready", "succeeded"), result={})


@dataclass
class MadeLog:
    """A log in memory whose every part a test may tamper with."""

    rows: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sources: dict[str, dict[str, str]] = field(default_factory=lambda: {POLICY: {"refunds.yaml": "policy: refunds\n"}})
    origin: str = ORIGIN
    log_id: str = LOG_ID
    public_key: bytes = KEY.public_key().public_bytes_raw()
    rotations: tuple = field(default=(), kw_only=True)

    def entries(self, start=0):
        return (row for row in self.rows if row.index is None or row.index >= start)

    def checkpoints(self):
        return iter(self.notes)

    def bundles(self):
        return self.sources

    def place(self, *events: Event) -> "MadeLog":
        """Write events outside any call."""
        for event in events:
            leaf = write(event, self.log_id, salts)
            self.rows.append(Entry(len(self.rows), leaf.data, leaf.hash, leaf.opening))
        return self

    def checkpoint(self, key: Ed25519PrivateKey = KEY) -> "MadeLog":
        edge = RightEdge()
        for row in self.rows:
            edge.append(leaf_hash(row.leaf))
        self.notes.append(sign(self.origin, edge.size, edge.root(), key))
        return self

    def resign(self, key: Ed25519PrivateKey = KEY) -> "MadeLog":
        """Forge everything that follows from the leaves: indexes, stored hashes and, with the key, the one checkpoint."""
        self.rows = [replace(row, index=index, hash=leaf_hash(row.leaf)) for index, row in enumerate(self.rows)]
        self.notes = []
        return self.checkpoint(key)

    def change(self, index: int, old: bytes, new: bytes) -> "MadeLog":
        assert old in self.rows[index].leaf
        self.rows[index] = replace(self.rows[index], leaf=self.rows[index].leaf.replace(old, new))
        return self


def log_of(*calls: Call) -> MadeLog:
    """Write the calls with their leaves interleaved, a checkpoint in the middle and one at the end."""
    log, last, left = MadeLog(), {}, {call.id: list(call.events) for call in calls}
    total = sum(map(len, left.values()))
    while any(left.values()):
        for call, events in left.items():
            if events:
                sequence, previous = last.get(call, (0, None))
                log.place(replace(events.pop(0), sequence=sequence + 1, previous=previous))
                last[call] = sequence + 1, log.rows[-1].hash.hex()
                if len(log.rows) == total // 2:
                    log.checkpoint()
    return log.checkpoint()
