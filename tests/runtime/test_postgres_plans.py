"""A server that has seen nothing of its tables yet is not asked by plans of when they were empty: what is looked up stays a look-up."""

import pytest

from remit.runtime import postgres_plans
from tests.runtime.bank import Store, World, session

CALLS = 1_500
READ = """
SELECT (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'call')
     + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'call')
"""
FEW = 200
"""Rows that a call may read, in the middle, with what the first ones read; by a plan of before it reads half of all calls."""


async def read_by_each(folder) -> float:
    """Make calls while autovacuum stays away; gives how many rows of calls each has read."""
    world = World.make(folder)
    world.sql("ALTER TABLE call SET (autovacuum_enabled = off)")
    async with world.running() as runtime:
        for number in range(CALLS):
            outcome = await runtime.submit({"id": f"m{number}", "name": "look_up", "arguments": {"payment_id": "pay_1"}}, session())
            assert outcome.ok
    [(read,)] = world.sql(READ)  # each connection has told, now that it is closed
    return float(read / CALLS)


@pytest.fixture(autouse=True)
def _on_a_server(monkeypatch):
    monkeypatch.setattr(Store, "server", True)


async def test_what_is_looked_up_is_planned_anew_as_a_table_grows(tmp_path):
    assert await read_by_each(tmp_path) < FEW


async def test_control_by_the_plans_of_an_empty_table_each_call_reads_all_calls(tmp_path, monkeypatch):
    monkeypatch.setattr(postgres_plans, "FIRST", 10**9)
    assert await read_by_each(tmp_path) > FEW
