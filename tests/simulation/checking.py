"""What must hold once a schedule has come to rest: at most one effect, and everything that was said, kept and held agrees with it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from remit.audit import State, verify
from remit.runtime import Runtime
from remit.runtime.logs import DatabaseLog, Reproduction
from remit.runtime.receive import Submission, idempotency
from tests.simulation.determined import AT_MOST, WINDOW
from tests.simulation.world import Said, World

TAKEN = "SELECT series, hex(key), hex(member), sum(amount) FROM usage GROUP BY 1, 2, 3"
HELD = """
SELECT r.series, hex(r.key), hex(r.member), sum(r.amount) FROM reservation r JOIN series s USING (tenant, series, key)
WHERE released = 0 AND r.at / s.width >= s.at / s.width - 60 GROUP BY 1, 2, 3
"""
CALLS = "SELECT id, action, state, effect_key, ordinal, taken_back, undoes, dead_at, kind, idempotency FROM call"


class Checked:
    """A world at rest, and what is wrong with it (`findings`)."""

    def __init__(self, world: World, runtime: Runtime) -> None:
        self.world, self.runtime = world, runtime
        connection = world.disk.connect()
        try:
            self._rows = {sql: connection.execute(sql).fetchall() for sql in (TAKEN, HELD, CALLS, EFFECTS, RESERVED)}
            self.kinds = frozenset(kind for (kind,) in connection.execute("SELECT DISTINCT kind FROM event"))
        finally:
            connection.close()
        names = ("id", "action", "state", "effect_key", "ordinal", "taken_back", "undoes", "dead_at", "kind", "idempotency")
        self.calls: dict[str, dict[str, Any]] = {row[0]: dict(zip(names, row, strict=True)) for row in self._rows[CALLS]}
        self.applied = Counter(effect.call for effect in world.provider.effects)

    def findings(self) -> list[str]:
        checks = (self._effects, self._ledger, self._told, self._keys, self._limits, self._undone, self._log, self._unexpected)
        return [f"{check.__name__[1:]}: {found}" for check in checks for found in check()]

    def _effects(self) -> Iterable[str]:
        """At most one effect for each call and ordinal, and for each effect key and ordinal until it is taken back."""
        effects = self.world.provider.effects
        for (call, ordinal), count in Counter((one.call, one.ordinal) for one in effects).items():
            if count > 1:
                yield f"{count} effects of call {call}, ordinal {ordinal}"
        standing = [one for one in effects if self.calls.get(one.call, {}).get("taken_back") is None]
        for (key, ordinal), count in Counter((one.effect_key, one.ordinal) for one in standing).items():
            if count > 1:
                yield f"{count} effects of {key}, ordinal {ordinal}"

    def _ledger(self) -> Iterable[str]:
        """What is recorded is what happened, and nothing is left on its way."""
        for call in self.calls.values():
            applied = self.applied[call["id"]]
            if call["state"] not in ENDED:
                yield f"{call['id']} ({call['action']}) is left {call['state']}"
            elif call["kind"] != "read" and applied != (call["state"] == "succeeded"):
                yield f"{call['id']} ({call['action']}) is {call['state']} and was applied {applied} times"
        for call_id in self.applied.keys() - self.calls.keys():
            yield f"{call_id} had an effect and is not recorded"

    def _told(self) -> Iterable[str]:
        """Whoever was told of an end was told the truth, and no call of which somebody was told is lost."""
        for said in self.world.said:
            outcome = said.outcome
            if outcome is None:
                continue
            if outcome.call_id is None:
                yield from self._nothing_done(said)
            elif outcome.state is State.NEW:
                continue  # `wait` was over before anything was written: until then a call dies with its process
            elif outcome.call_id not in self.calls:
                yield f"{outcome.call_id} is lost: {said.what}"
            elif outcome.final and outcome.state != self.calls[outcome.call_id]["state"]:
                yield f"{outcome.call_id} was told as {outcome.state} and is {self.calls[outcome.call_id]['state']}"

    def _nothing_done(self, said: Said) -> Iterable[str]:
        if said.submission is None or self.world.asked.count(said.submission) > 1:
            return
        key, session = said.submission
        submission = Submission(tool_call=None, session=session, key=key)  # type: ignore[arg-type]
        hashed = idempotency(self.runtime.parts, submission)
        for call in self.calls.values():
            if call["idempotency"] == hashed and self.applied[call["id"]]:
                yield f"{said.what}: told that nothing was done, and {call['id']} was"

    def _keys(self) -> Iterable[str]:
        """An effect key is held by what was done and not taken back, and by nothing else."""
        holding = {(key, ordinal, call) for key, ordinal, call in self._rows[EFFECTS]}
        should = {
            (call["effect_key"], call["ordinal"], call["id"])
            for call in self.calls.values()
            if call["effect_key"] and call["state"] == "succeeded" and call["taken_back"] is None
        }
        for _, ordinal, call in sorted(holding - should, key=str):
            yield f"{call} still holds its key ({ordinal})"
        for _, ordinal, call in sorted(should - holding, key=str):
            yield f"{call} holds its key no more ({ordinal})"

    def _limits(self) -> Iterable[str]:
        """No window holds more than its limit, and slices hold what reservations do."""
        if {row for row in self._rows[TAKEN] if row[3]} != {row for row in self._rows[HELD] if row[3]}:
            yield "slices and reservations differ"
        taken: dict[Any, list[tuple[int, int, str]]] = defaultdict(list)
        for series, key, amount, at, call in self._rows[RESERVED]:
            taken[series, key].append((at, amount, call))
            state = self.calls[call]
            if state["state"] != "succeeded" or state["taken_back"]:
                yield f"{call} ({state['state']}) still holds what it took"
        for place, all_ in taken.items():
            for at, *_ in all_:
                used = sum(amount for when, amount, _ in all_ if at - WINDOW * 1_000_000 < when <= at)
                if used > (most := AT_MOST[place[0].rpartition(":")[0]]):
                    yield f"{place[0]}: {used} in a window of at most {most}"

    def _undone(self) -> Iterable[str]:
        """What was undone is known as taken back, by one call."""
        by = Counter(call["undoes"] for call in self.calls.values() if call["undoes"] and call["state"] == "succeeded")
        for call_id, count in by.items():
            if count > 1 or self.calls[call_id]["taken_back"] is None:
                yield f"{call_id} was undone {count} times and is taken back: {self.calls[call_id]['taken_back']}"

    def _log(self) -> Iterable[str]:
        with DatabaseLog(self.runtime.parts) as log:
            report = verify(log, decide=Reproduction(log.bundles(), self.runtime._shapes))
        for finding in report.findings:
            yield f"{finding}"

    def _unexpected(self) -> Iterable[str]:
        yield from self.world.errors.found


ENDED = {"succeeded", "failed", "denied", "declined", "expired", "cancelled", "rejected"}
EFFECTS = "SELECT key, ordinal, call FROM effect"
RESERVED = "SELECT series, hex(key), amount, at, call FROM reservation WHERE released = 0"
