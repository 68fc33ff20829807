"""Two processes share one database file: each sees the other's calls, and one of them wins each intent."""

import asyncio
import contextlib
import subprocess
import sys
from collections import Counter

from remit.audit import State
from remit.runtime.clock import Clock
from tests.runtime.bank import LARGE, World, asks, session
from tests.runtime.other_process import PAYMENTS, shared


class Other:
    def __init__(self, process):
        self.process = process

    async def says(self) -> str:
        return (await asyncio.to_thread(self.process.stdout.readline)).strip()

    def told(self, line: str) -> None:
        print(line, file=self.process.stdin, flush=True)


@contextlib.asynccontextmanager
async def two(tmp_path):
    World.make(tmp_path)
    world = shared(tmp_path)
    async with world.running(clock=Clock) as runtime:
        command = [sys.executable, "-m", "tests.runtime.other_process", str(tmp_path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            other = Other(process)
            assert await other.says() == "ready"
            yield runtime, other
            process.stdin.close()
            await asyncio.to_thread(process.wait)


def effects(tmp_path) -> Counter:
    return Counter(line.split()[0] for line in (tmp_path / "effects").read_text().splitlines())


async def test_two_processes_that_pay_the_same_payments_at_once_pay_each_once(tmp_path):
    async with two(tmp_path) as (runtime, other):
        other.told("pay transfer")
        outcomes = await asyncio.gather(*(runtime.submit(asks("transfer", payment), session()) for payment in PAYMENTS))
        assert {outcome.state for outcome in outcomes} == {State.SUCCEEDED}
        assert (await other.says()).split() == ["succeeded"] * len(PAYMENTS)
        paid = effects(tmp_path)
        assert paid == Counter(PAYMENTS)
        assert len(await runtime.calls(most=1_000)) == len(PAYMENTS)
        assert (await runtime.verify()).ok


async def test_each_sees_the_others_calls_and_one_carries_out_what_was_approved(tmp_path):
    async with two(tmp_path) as (runtime, other):
        other.told("ask pay_1")
        theirs = await other.says()
        assert [view.id for view in await runtime.inbox()] == [theirs]
        again = await runtime.submit(asks("transfer", "pay_1", LARGE), session())
        assert (again.call_id, again.repeated) == (theirs, True)

        other.told(f"vote {theirs}")
        both = await asyncio.gather(runtime.vote(theirs, person="finn", answer="approve"), other.says(), return_exceptions=True)
        assert sorted(type(one).__name__ for one in both) in (["ApprovalNotOpen", "str"], ["Outcome", "str"])
        assert (await runtime.wait(theirs, 10)).state is State.SUCCEEDED
        assert effects(tmp_path) == {"pay_1": 1}

        mine = await runtime.submit(asks("transfer", "pay_2", LARGE), session())
        other.told(f"vote {mine.call_id}")
        assert await other.says() in {"succeeded", "executing"}, "either process may take it up first"
        assert (await runtime.wait(mine.call_id, 30)).state is State.SUCCEEDED
        assert effects(tmp_path) == {"pay_1": 1, "pay_2": 1}
        assert (await runtime.verify()).ok
