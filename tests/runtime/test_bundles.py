"""Bundles have an author, and change by a call that the bundle in force decides, agreed to by somebody other than its author."""

import asyncio
import contextlib
import dataclasses
import subprocess
import sys

import pytest

from remit import Runtime
from remit.audit import State
from remit.errors import NotAnApprover, PolicyError, StoreError
from remit.runtime import activation
from remit.runtime.bundles import UnknownBundle
from remit.runtime.people import BadPerson
from tests.runtime.bank import ACTIONS, ALLOW, NOTES, asks, hire, says, session
from tests.runtime.test_processes import Other

GOVERN = """
policy: changes
actions: [activate_policies]
rules:
  - id: staff
    when: principal.kind == "person" && facts.bundle.replaceable
    then: allow
  - id: second_pair_of_eyes
    then: require_approval
    approval: {by: finance, votes: 1, within: 4h}
"""
ALONE = GOVERN.partition("  - id: second")[0]
FIRST = {"payments.yaml": ALLOW, "notes.yaml": NOTES, "changes.yaml": GOVERN}
STRICT = {**FIRST, "notes.yaml": NOTES.replace("jot, look_up", "look_up")}


@contextlib.asynccontextmanager
async def managed(world, *, first=FIRST):
    runtime = Runtime(
        ACTIONS,
        policies="managed",
        database=world.database,
        keys=world.folder / "remit.keys",
        resources=[world.bank],
        clock=world.time.clock,
    )
    async with runtime:
        if not await runtime.people.everybody():
            await hire(runtime)
            if first:
                await runtime.bundles.activate_first(await runtime.bundles.propose(first, author="boss"), person="boss")
        yield runtime


async def recorded(runtime, kind):
    return await runtime.parts.store.rows("SELECT leaf FROM event WHERE kind = ? ORDER BY position", (kind,))


async def test_before_any_bundle_everything_is_denied_and_the_operator_puts_the_first_in_force(world):
    async with managed(world, first=None) as runtime:
        assert (await runtime.submit(says("x"), session())).state is State.DENIED
        digest = await runtime.bundles.propose(FIRST, author="fay")
        assert (await runtime.submit(says("x"), session())).state is State.DENIED, "proposed is not in force"
        refused = await runtime.activate_policies(digest, person="sam")
        assert refused.state is State.DENIED
        await runtime.bundles.activate_first(digest[:12], person="fay")
        assert (await runtime.submit(says("x"), session())).ok
        with pytest.raises(PolicyError, match="in force already"):
            await runtime.bundles.activate_first(digest, person="fay")
        assert (await runtime.verify()).ok


async def test_another_person_puts_it_in_force_once_somebody_agreed(world):
    async with managed(world) as runtime:
        digest = await runtime.bundles.propose(STRICT, author="fay")
        asked = await runtime.activate_policies(digest, person="sam")
        assert asked.state is State.WAITING and (await runtime.submit(says("x"), session())).ok
        with pytest.raises(NotAnApprover):
            await runtime.vote(asked.call_id, person="fay", answer="approve")
        done = await runtime.vote(asked.call_id, person="finn", answer="approve")
        assert done.ok and (await runtime.bundles.find("active")).digest == digest
        assert (await runtime.submit(says("x"), session())).state is State.DENIED
        assert (await runtime.verify()).ok


async def test_whoever_wrote_it_may_ask_but_somebody_else_must_agree(world):
    async with managed(world) as runtime:
        digest = await runtime.bundles.propose(STRICT, author="fay")
        asked = await runtime.activate_policies(digest, person="fay")
        with pytest.raises(NotAnApprover):
            await runtime.vote(asked.call_id, person="fay", answer="approve")
        assert (await runtime.vote(asked.call_id, person="finn", answer="approve")).ok


async def test_whoever_wrote_it_never_puts_it_in_force_alone_whatever_the_rules_say(world):
    async with managed(world, first={**FIRST, "changes.yaml": ALONE}) as runtime:
        digest = await runtime.bundles.propose({**STRICT, "changes.yaml": ALONE}, author="fay")
        refused = await runtime.activate_policies(digest, person="fay")
        assert refused.state is State.DENIED and "somebody else" in refused.message()
        assert (await runtime.activate_policies(digest, person="sam")).ok


async def test_control_without_the_guard_the_author_would(world, monkeypatch):
    async def nothing(_parts, _work, _author):
        return None

    monkeypatch.setattr(activation, "_refusal", nothing)
    async with managed(world, first={**FIRST, "changes.yaml": ALONE}) as runtime:
        digest = await runtime.bundles.propose({**STRICT, "changes.yaml": ALONE}, author="fay")
        assert (await runtime.activate_policies(digest, person="fay")).ok


@pytest.mark.parametrize(("kind", "who"), [("agent", "bot"), ("service", "cron"), ("person", "stranger"), ("agent", "sam")])
async def test_only_people_ask(world, kind, who):
    changes = ALONE.replace('principal.kind == "person" && ', "")
    async with managed(world, first={**FIRST, "changes.yaml": changes}) as runtime:
        digest = await runtime.bundles.propose(STRICT, author="fay")
        call, person = activation.asked(digest, who, "default", "test")
        refused = await runtime.submit(call, dataclasses.replace(person, kind=kind))
        assert refused.state is State.DENIED and "people" in refused.message()


async def test_no_model_is_offered_the_action_and_a_folder_has_none(world, runtime):
    assert "activate_policies" not in runtime.catalog
    with pytest.raises(PolicyError):
        await runtime.activate_policies("active", person="sam")


async def test_no_model_is_offered_it(world):
    async with managed(world) as runtime:
        assert "activate_policies" not in str(runtime.tools("openai")) and "activate_policies" in runtime.catalog


async def test_a_bundle_that_would_lock_itself_is_refused_whatever_the_rules_say(world):
    async with managed(world, first={**FIRST, "changes.yaml": ALONE.replace(" && facts.bundle.replaceable", "")}) as runtime:
        with pytest.raises(PolicyError, match="activate_policies"):
            await runtime.bundles.propose({"payments.yaml": ALLOW}, author="fay")
        nothing = next(one for one in await runtime.bundles.list() if one.author == "the first start")
        assert "could ever replace" in (await runtime.activate_policies(nothing.digest, person="sam")).message()


async def test_a_bundle_is_named_by_its_whole_digest(world):
    async with managed(world) as runtime:
        digest = await runtime.bundles.propose(STRICT, author="fay")
        call, person = activation.asked(digest[:12], "sam", "default", "test")
        assert "whole digest" in (await runtime.submit(call, person)).message()
        unknown, _ = activation.asked("0" * 64, "sam", "default", "test")
        assert (await runtime.submit(unknown, person)).state is State.DENIED


async def test_an_older_bundle_can_be_put_back(world):
    async with managed(world, first={**FIRST, "changes.yaml": ALONE}) as runtime:
        old = (await runtime.bundles.find("active")).digest
        new = await runtime.bundles.propose({**STRICT, "changes.yaml": ALONE}, author="fay")
        for digest in (new, old, new):
            assert (await runtime.activate_policies(digest, person="sam")).ok
            assert (await runtime.bundles.find("active")).digest == digest
        assert (await runtime.verify()).ok


async def test_proposing_checks_and_keeps_the_first_author(world):
    async with managed(world) as runtime:
        with pytest.raises(BadPerson):
            await runtime.bundles.propose(STRICT, author="bot")
        with pytest.raises(PolicyError, match="no action"):
            await runtime.bundles.propose({**STRICT, "x.yaml": NOTES.replace("jot", "jut").replace("notes", "x")}, author="fay")
        digests = await asyncio.gather(*(runtime.bundles.propose(STRICT, author=who) for who in ("fay", "sam")))
        first = (await runtime.bundles.find(digests[0])).author
        assert digests[0] == digests[1] and first in {"fay", "sam"}
        assert await runtime.bundles.propose(STRICT, author="finn") == digests[0]
        assert (await runtime.bundles.find(digests[0])).author == first
        assert len(await recorded(runtime, "policy.proposed")) == 2, "one for each bundle"
        for named in ("", "zz", "shadow"):
            with pytest.raises(UnknownBundle):
                await runtime.bundles.find(named)


async def test_a_crash_behind_the_change_is_settled_by_looking_it_up(world, monkeypatch):
    async with managed(world, first={**FIRST, "changes.yaml": ALONE}) as runtime:
        digest = await runtime.bundles.propose({**STRICT, "changes.yaml": ALONE}, author="fay")
        real = runtime.bundles.activate

        async def cut(*args, **told):
            await real(*args, **told)
            raise ConnectionError

        monkeypatch.setattr(type(runtime.bundles), "activate", staticmethod(cut))
        asked = await runtime.activate_policies(digest, person="sam")
        assert asked.state is State.UNKNOWN
        world.time.pass_(seconds=5)
        assert (await runtime.wait(asked.call_id, 30)).ok and len(await recorded(runtime, "policy.activated")) == 3
        assert (await runtime.verify()).ok


async def test_a_stored_bundle_that_was_changed_is_not_taken(world):
    async with managed(world) as runtime:
        digest = await runtime.bundles.propose(STRICT, author="fay")
        assert await world.change("UPDATE bundle SET sources = '{}' WHERE digest = ?", digest) == 1
        with pytest.raises(StoreError, match="changed"):
            await runtime.bundles.get(digest)


OTHER = """
import asyncio, sys
from pathlib import Path
from remit import Runtime
from tests.runtime.bank import ACTIONS, World, says, session
async def main():
    world = World(Path(sys.argv[1]))
    runtime = Runtime(ACTIONS, policies="managed", database=world.database, keys=world.folder / "remit.keys", resources=[world.bank])
    async with runtime:
        print("ready", flush=True)
        for line in sys.stdin:
            async with asyncio.timeout(20):
                while runtime.parts.control.policies.digest != line.strip():
                    await asyncio.sleep(0.01)
            print((await runtime.submit(says("x"), session())).state, flush=True)
asyncio.run(main())
"""


async def test_another_process_takes_it_over_without_a_restart(world):
    async with managed(world, first={**FIRST, "changes.yaml": ALONE}) as runtime:
        command = [sys.executable, "-c", OTHER, str(world.folder)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            other = Other(process)
            assert await other.says() == "ready"
            other.told((await runtime.bundles.find("active")).digest)
            assert await other.says() == "succeeded"
            digest = await runtime.bundles.propose({**STRICT, "changes.yaml": ALONE}, author="fay")
            assert (await runtime.activate_policies(digest, person="sam")).ok
            other.told(digest)
            assert await other.says() == "denied"
            process.stdin.close()
            await asyncio.to_thread(process.wait)


async def test_a_folder_is_activated_with_its_author(world, runtime):
    assert (await runtime.bundles.find("active")).author == "the folder at start"
    assert (await runtime.submit(asks(), session())).ok
