"""An erasure that is killed at any of its steps is gone on with: the person is there as before or gone, once, and no backup opens."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys

import pytest

from remit.audit import KeyFile
from tests.runtime.bank import NOTES, says, session
from tests.runtime.erasing_process import WHY
from tests.runtime.guesser import recovered, taken

SEEN = {
    *("before begin", "after run", "before commit", "after commit", "before the transaction", "after the transaction"),
    *("before saving keys", "before fsync", "before replacing the file", "after replacing the file", "after saving keys"),
    *("before _stand", "after _stand", "before _wrap_anew", "after _wrap_anew", "before scrubbing", "after scrubbing"),
}


@contextlib.contextmanager
def erasers(world):
    """Start the process; gives what lets a child die at a step of erasing somebody, and says how it ended."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    command = [sys.executable, "-m", "tests.runtime.erasing_process", str(world.folder)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def dies(at, who):
            print(at, who, file=process.stdin, flush=True)
            return int(process.stdout.readline())

        yield dies
        process.stdin.close()


def keys_of(world):
    return KeyFile.load(world.folder / "remit.keys")


def person(at):
    return f"person-{at}", f"SECRET-WORDS-{at}-77"


def left_of(world, keys):
    """Name the files beside the key file that hold a tenant key of then, as one does that a kill has left half-way."""
    return [path.name for path in world.folder.iterdir() if path.is_file() and keys.tenant_key.hex().encode() in path.read_bytes()]


async def received(runtime, who, words):
    return (await runtime.submit(says(words), session(subject=who))).call_id


async def gone_on_with(world, runtime, who, call):
    """End what was cut off; says whether the person was erased before that."""
    was_erased = await runtime.parts.vault.find(who) is None
    view = await runtime.view(call)
    assert (view.arguments == {}) is was_erased and (view.subject == who) is not was_erased, "all of it is there, or nothing"
    if was_erased:
        await runtime.subjects.complete()
    else:
        await runtime.subjects.erase(who, **WHY)
        await runtime.subjects.complete()
    return was_erased


def told(world):
    """Say of each pseudonym how often it is said to be erased, and that to be complete."""
    leaves = [
        json.loads(bytes(leaf)) for (leaf,) in world.sql("SELECT leaf FROM event WHERE kind IN ('subject.erased', 'erasure.completed')")
    ]
    erased = [leaf["subject"] for leaf in leaves if leaf["kind"] == "subject.erased"]
    return sorted(erased), sorted(name for leaf in leaves if leaf["kind"] == "erasure.completed" for name in leaf["body"]["subjects"])


@pytest.mark.timeout(300)
async def test_killed_at_any_step_it_is_gone_on_with_and_nothing_of_the_person_opens(world):
    world.policies(notes=NOTES)
    before, halves = {}, []
    async with world.running() as runtime:
        living = await received(runtime, "zoe", "still here")
        call = await received(runtime, *person(1))
    with erasers(world) as dies:
        for at in itertools.count(1):
            who, words = person(at)
            before[at], old_keys = taken(world), keys_of(world)
            assert recovered(before[at], old_keys, [who, words]) == {who, words}, "the control: with the keys of then it opens"
            ended = await asyncio.to_thread(dies, at, who)
            async with world.running() as runtime:
                halves.append(await gone_on_with(world, runtime, who, call))
                assert (await runtime.view(living)).subject == "zoe", at
                assert recovered(taken(world), old_keys, [who, words]) == set(), at
                assert recovered(before[at], keys_of(world), [who, words]) == set(), at
                assert left_of(world, old_keys) == [], at
                if ended == 0:
                    break
                assert ended == -signal.SIGKILL
                call = await received(runtime, *person(at + 1))
    passed = json.loads((world.folder / "steps").read_text())
    assert at - 1 == len(passed) and set(passed) >= SEEN, passed
    assert set(halves) == {True, False}, "killed before it was done, and after"
    erased, completed = told(world)
    assert len(erased) == len(set(erased)) == at and completed == erased
    async with world.running() as runtime:
        report = await runtime.verify()
        assert report.ok, report.findings
        assert report.erased > at


async def test_control_an_erasure_that_is_never_gone_on_with_opens_in_a_backup(world):
    """Killed between its halves, and left so: this is what the test above must see."""
    world.policies(notes=NOTES)
    async with world.running() as runtime:
        await received(runtime, *person(1))
    before = taken(world)
    with erasers(world) as dies:
        for at in itertools.count(1):
            assert await asyncio.to_thread(dies, at, "person-1") == -signal.SIGKILL
            if world.sql("SELECT count(*) FROM erasure WHERE completed_at IS NULL") == [(1,)]:
                break
    assert recovered(taken(world), keys_of(world), [*person(1)]) == set()
    assert recovered(before, keys_of(world), [*person(1)]) == {*person(1)}
