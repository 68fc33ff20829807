"""A series in slices against a naive list of (when, how much): the same sums, the same refusals, and the verifier agrees."""

import itertools
import sqlite3
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.audit import Event, State
from remit.audit.series import Usage
from remit.runtime import series
from remit.runtime.series import SLICES, Release, Take, change, used, width_of
from remit.runtime.statements import STATEMENTS, Write
from tests.runtime.bank import _template, at_once

NAMES = ("series", "usage", "reservation", "event")
WINDOWS = (60, 600, 3_600)
AT_MOST = 20
numbers = itertools.count(1)


def database() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:", isolation_level=None)
    with sqlite3.connect(_template()) as template:
        for (sql,) in template.execute(f"SELECT sql FROM sqlite_master WHERE tbl_name IN {NAMES} AND sql IS NOT NULL"):
            made.execute(sql)
    return made


@dataclass
class Naive:
    """A list of what was taken, and nothing else."""

    distinct: bool
    taken: dict[str, tuple[int, int, str]] = field(default_factory=dict)  # by call: when, how much, which value
    last: int = 0

    def used(self, at: int, width: int, without: str = "") -> int:
        first = max(at, self.last) // width - SLICES
        counting = [one for call, one in self.taken.items() if one[0] // width >= first and call != without]
        return len({member for _, _, member in counting}) if self.distinct else sum(amount for _, amount, _ in counting)

    def take(self, call: str, at: int, amount: int, member: str, width: int) -> bool:
        first, others = max(at, self.last) // width - SLICES, {name: one for name, one in self.taken.items() if name != call}
        known = self.distinct and any(one[2] == member and one[0] // width >= first for one in others.values())
        if self.used(at, width, call) + (0 if known else amount) > AT_MOST:
            return False
        self.last = max(at, self.last)
        self.taken[call] = self.last, amount, member
        return True

    def holds(self, call: str, at: int, amount: int, member: str, width: int) -> bool:
        held = self.taken[call]
        return held[1:] == (amount, member) and held[0] // width == max(at, self.last) // width


@dataclass
class Real:
    """The same over a database, one transaction a group, with the events that a verifier reads."""

    distinct: bool
    connection: sqlite3.Connection = field(default_factory=database)
    events: list[Event] = field(default_factory=list)
    states: dict[str, State] = field(default_factory=dict)

    def tell(self, kind, body):
        self.events.append(Event(kind=kind, at="", id=str(next(numbers)), tenant="default", body=body))
        return [Write("event.add", ("default", str(next(numbers)), None, 0, kind, 0, b"", b""))]

    def wants(self, call, at, amount, member, width, again=False) -> Take:
        name = "p/l:distinct" if self.distinct else "p/l:units"
        shown = member.encode() if self.distinct else b""
        return Take("default", call, "p/l", name, b"key", shown, amount, width, at, AT_MOST, again, self.tell)

    async def rows(self, sql, values=()):
        return self.connection.execute(sql, values).fetchall()

    async def run(self, batches):
        return [self.connection.executemany(STATEMENTS[statement], values).rowcount for statement, values in batches]

    def commit(self, group) -> list[bool]:
        told = len(self.events)
        self.connection.execute("BEGIN")
        found = at_once(change(self, [[one] for one in group]))
        self.connection.execute("COMMIT")
        for one, refused in zip(group, found, strict=True):
            if isinstance(one, Release):
                self.states[one.call] = State.FAILED
            elif not refused:
                reservation = {"limit": one.limit, "series": one.series, "key": one.key.hex(), "takes": one.takes}
                reservation |= {"member": one.member.hex()} if one.member else {}
                decision = {"requirements": [], "limits": [{"limit": one.limit, "at_most": one.at_most}]}
                self.events.append(Event("call.decided", "", f"{told}d", "default", one.call, body={"decision": decision}))
                self.events.append(Event("call.intended", "", str(told), "default", one.call, body={"reservations": [reservation]}))
        return [not refused for refused in found]

    def findings(self):
        usage = Usage()
        found = [finding for place, event in enumerate(self.events) for finding in usage.add(place, event)]
        return [*found, *usage.finish(self.states)]


takes = st.tuples(st.just("take"), st.integers(0, 12), st.sampled_from("rgb"), st.integers(0, 40_000_000))
steps = st.one_of(
    takes,
    takes,
    st.tuples(st.just("release"), st.integers(0, 100)),
    st.tuples(st.just("again"), st.integers(0, 100), st.integers(0, 12), st.sampled_from("rgb")),
    st.tuples(st.just("commit")),
    st.tuples(st.just("wait"), st.integers(1, 4_000_000_000)),
    st.tuples(st.just("window"), st.sampled_from(WINDOWS)),
)


def play(distinct: bool, plan) -> Real:
    naive, real = Naive(distinct), Real(distinct)
    now, width, group, expected, calls = 10**15, width_of(600), [], [], []

    def commit():
        assert real.commit(group) == expected
        group.clear()
        expected.clear()

    for what, *how in [*plan, ("commit",)]:
        match what, how:
            case "take", (amount, member, later):
                call, now, amount = f"c{next(numbers)}", now + later, 1 if distinct else amount
                group.append(real.wants(call, now, amount, member, width))
                expected.append(naive.take(call, now, amount, member if distinct else "", width))
                calls += [call] if expected[-1] else []
            case "again", (which, amount, member) if calls:
                commit()
                call, amount = calls[which % len(calls)], 1 if distinct else amount
                if call in naive.taken:
                    wanted = real.wants(call, now, amount, member, width, again=True)
                    own = at_once(series.held_by(real, "default", call)).get(wanted.series)
                    assert at_once(used(real, wanted, own))["used"] == naive.used(now, width, call)
                    group.append(wanted)
                    wants = call, now, amount, member if distinct else "", width
                    expected.append(naive.holds(*wants) or naive.take(*wants))
            case "release", (which,) if calls:
                commit()
                call = calls[which % len(calls)]
                naive.taken.pop(call, None)
                group.append(Release("default", call, real.tell))
                expected.append(True)
            case "commit", ():
                commit()
                assert at_once(used(real, real.wants("", now, 1, "r", width), None))["used"] == naive.used(now, width)
            case "wait", (later,):
                now += later
            case "window", (window,):
                commit()
                width = width_of(window)
    return real


@pytest.mark.parametrize("distinct", [False, True])
@settings(max_examples=150, deadline=None)
@given(plan=st.lists(steps, max_size=40))
def test_slices_agree_with_a_list(distinct, plan):
    real = play(distinct, plan)
    assert real.findings() == []
    rows = real.connection.execute("SELECT count(DISTINCT slice), coalesce(min(amount), 0) FROM usage").fetchone()
    assert rows[0] <= SLICES + 1 and rows[1] >= 0


def test_control_slices_that_forget_a_release_disagree(monkeypatch):
    monkeypatch.setitem(STATEMENTS, "usage.add", STATEMENTS["usage.add"] + " WHERE excluded.amount > 0")
    plan = [("take", 12, "r", 0), ("release", 0), ("commit",)]
    with pytest.raises(AssertionError):
        play(False, plan)


@given(window=st.integers(1, 90 * 86_400))
def test_sixty_slices_are_never_shorter_than_the_window_and_at_most_a_sixtieth_longer(window):
    width = width_of(window)
    assert window * 1_000_000 <= SLICES * width < window * 1_000_000 + SLICES
