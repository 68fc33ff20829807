"""Each manipulation by somebody who lacks the signing key is found by the verifier, at its place."""

import asyncio
import shutil
from pathlib import Path

import pytest

from remit.audit import KeyFile, leaf_hash
from remit.errors import LogRolledBack
from tests.audit.tampering.catalogue import CASES, RECEIVED, _forge, recommit
from tests.audit.tampering.hand import hand
from tests.audit.tampering.history import told
from tests.audit.tampering.looking import verified
from tests.runtime.bank import World, says, session


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A whole log; each test takes a copy of it."""
    return asyncio.run(told(tmp_path_factory.mktemp("original")))


@pytest.fixture
def world(original, tmp_path):
    shutil.copytree(original.folder, tmp_path / "copy")
    return World(tmp_path / "copy")


def test_control_untouched_it_verifies_and_every_decision_follows(world):
    report = verified(world)
    assert report.ok, report.findings
    assert (report.entries, report.checkpoints, report.reproduced, report.sealed, report.uncovered) == (30, 6, 6, 0, 0)
    with hand(world.database):
        pass
    assert verified(world) == report, "and that guards were put aside and back is no finding by itself"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.words)
def test_without_the_key_it_is_found_at_its_place(world, case):
    with hand(world.database) as at:
        case.do(at)
    report = verified(world)
    assert not report.ok
    found = [str(finding) for finding in report.findings if finding.code == case.code]
    assert any(case.place in one for one in found), [(one.code, str(one)) for one in report.findings]


def test_there_are_thirty_and_more_and_none_twice():
    assert len(CASES) >= 30
    assert len({case.words for case in CASES}) == len(CASES)


# with the signing key: what the verifier alone can't see, and what it still does


def signing(world):
    return KeyFile.load(world.folder / "remit.keys").signing_key


def test_with_the_key_a_log_that_was_written_anew_as_a_whole_is_not_found(world):
    with hand(world.database) as at:
        _forge(b'"at":"2', b'"at":"1', 29)(at)
        at.resign(signing(world))
    assert verified(world).ok


def test_with_the_key_a_call_that_was_taken_out_as_a_whole_is_not_found(world):
    with hand(world.database) as at:
        at.sql("DELETE FROM event WHERE leaf_index BETWEEN 19 AND 21")
        at.close_the_gap()
        at.resign(signing(world))
    assert verified(world).ok


WITH_THE_KEY = {
    "an event of a call is taken out": (lambda at: at.sql("DELETE FROM event WHERE leaf_index = 9"), "event_missing"),
    "an event is changed, and the chain is not": (lambda at: at.change(RECEIVED, b'"minor":1000', b'"minor":9000'), "chain_broken"),
    "a decision is changed": (_forge(b'"allowed":false', b'"allowed":true', 20), "decision_differs"),
    "a decision's inputs are changed": (_forge(b'"minor":500000', b'"minor":1000', 20), "decision_differs"),
    "a commitment is changed": (recommit, "opening_mismatch"),
    "an unknown outcome is called a denial": (_forge(b"call.became_unknown", b"call.denied", 29), "state_differs"),
    "the policies are other ones": (
        lambda at: at.sql("UPDATE bundle SET sources = replace(sources, '100000', '900000')"),
        "decision_unreproducible",
    ),
}


@pytest.mark.parametrize("words", WITH_THE_KEY)
def test_with_the_key_what_makes_no_sense_is_found_still(world, words):
    do, code = WITH_THE_KEY[words]
    with hand(world.database) as at:
        do(at)
        at.close_the_gap()
        at.resign(signing(world))
    codes = {finding.code for finding in verified(world).findings}
    assert code in codes
    assert not codes & {"root_differs", "checkpoint_invalid", "leaf_changed"}


# the page


def test_the_page_lists_every_manipulation_and_where_it_is_found():
    page = (Path(__file__).parents[3] / "docs" / "tampering.md").read_text()
    listed = [line for line in page.splitlines() if line.startswith("| ") and "`" in line]
    assert [line for line in listed if line.count("|") == 4] == [f"| {case.words} | `{case.code}` | {case.place} |" for case in CASES]
    assert [line for line in listed if line.count("|") == 3] == [f"| {words} | `{code}` |" for words, (_, code) in WITH_THE_KEY.items()]


# what is found when the runtime signs next, and what is not found by anybody


async def signs_on(world):
    """Let a runtime come and sign one event more; gives the report on the log then."""
    async with world.running(people=False) as runtime:
        await runtime.submit(says("another note"), session())
        await runtime._sequencer.catch_up()
        return await runtime.verify()


def _rewind(at):
    at.sql("DELETE FROM event WHERE leaf_index >= 19")
    at.sql("DELETE FROM checkpoint WHERE size > 19")
    at.set_head()


def _rewrite_the_tree(at):
    at.change(29, b'"at":"2', b'"at":"1')
    at.sql("DELETE FROM checkpoint")
    at.set_head()


def _set_the_head_back(at):
    at.set_head(26)


@pytest.mark.parametrize("do", [_rewind, _rewrite_the_tree, _set_the_head_back])
async def test_what_the_log_itself_does_not_show_is_found_when_it_is_signed_next(world, do):
    with hand(world.database) as at:
        do(at)
    with pytest.raises(LogRolledBack):
        await signs_on(world)


@pytest.mark.parametrize("do", [_rewind, _rewrite_the_tree])
async def test_control_without_what_is_kept_outside_it_is_signed(world, do):
    for file in world.folder.glob("*.signed"):
        file.unlink()
    with hand(world.database) as at:
        do(at)
    assert (await signs_on(world)).ok


async def test_with_the_key_a_log_that_was_written_anew_is_found_when_it_is_signed_next(world):
    with hand(world.database) as at:
        at.change(29, b'"at":"2', b'"at":"1')
        at.resign(signing(world))
    with pytest.raises(LogRolledBack, match="not those that were signed"):
        await signs_on(world)


async def test_an_event_that_somebody_makes_up_before_it_has_a_place_is_signed_like_any(world):
    with hand(world.database) as at:
        leaf = at.leaf(6).replace(b'"id":"', b'"id":"made-up-', 1)
        row = ("default", "made-up", None, 0, "agent.added", 1, leaf, leaf_hash(leaf))
        at.sql("INSERT INTO event (tenant, id, call, sequence, kind, at, leaf, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *row)
    assert (await signs_on(world)).ok, "it is for reconciliation to find what never happened"


def test_the_columns_beside_a_leaf_are_an_index_and_not_what_is_verified(world):
    with hand(world.database) as at:
        at.sql("UPDATE event SET kind = 'call.denied', at = 0, call = NULL WHERE leaf_index = 10")
    assert verified(world).ok
