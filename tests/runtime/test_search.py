"""Search: each filter finds what it must and nothing else, on both databases, page by page while the log grows."""

import pytest
from alembic.script import ScriptDirectory

from remit import Money
from remit.audit import State
from remit.errors import RemitError
from remit.runtime import Query
from remit.runtime.access import NotAReader
from remit.runtime.migrating import _postgres, _sqlite, is_postgres, migration_config
from remit.runtime.searching_query import BadSearch
from tests.runtime.bank import LARGE, Payment, altered, asks, says, session


async def history(world, runtime) -> dict[str, str]:
    """Make calls of every sort; gives their names."""

    async def made(name: str, call: dict, **changes: object) -> str:
        named[name] = (await runtime.submit(call, session(**changes))).call_id
        return named[name]

    named: dict[str, str] = {}
    world.bank.payments |= {"pay_z": Payment(customer="zoe"), "pay_d": Payment(customer="kay", disputed=True)}
    await made("note", says("hello"))
    await made("small", asks())
    await runtime.vote(await made("agreed", asks(payment="pay_2", euros=LARGE)), person="fay", answer="approve")
    world.time.pass_(hours=1)
    named["between"] = runtime.parts.clock.now()
    await runtime.vote(await made("refused", asks(payment="pay_3", euros=LARGE)), person="finn", answer="reject", reason="SECRET-REASON")
    await made("disputed", asks(payment="pay_d"))
    await made("other", asks("transfer", payment="pay_z", euros="30.00"), principal="clerk", subject="zoe", conversation="c9")
    await made("waiting", asks(payment="pay_4", euros=LARGE))
    await runtime.switches.throw("action", "cheque", by="fay", reason="Too many cheques")
    return named


async def found(runtime, **filters) -> set[str]:
    """Everything that meets these, over all pages of three."""
    names, after = [], None
    while True:
        page = await runtime.search(Query(**filters), after=after, most=3)
        names += [one.call or one.kind for one in page.found]
        if (after := page.after) is None:
            return set(names)


BIG = {"agreed", "refused", "waiting"}
REFUNDS = {"small", "disputed"} | BIG
FILTERS = [
    ({"action": "transfer"}, {"other"}),
    ({"action": "refund"}, REFUNDS),
    ({"subject": "zoe"}, {"other"}),
    ({"principal": "clerk"}, {"other"}),
    ({"conversation": "c9"}, {"other"}),
    ({"approver": "finn"}, {"refused"}),
    ({"by": "fay"}, {"agreed", "switch.thrown"}),
    ({"rule": "payments/large"}, BIG),
    ({"rule": "payments/disputed"}, {"disputed"}),
    ({"outcome": State.DECLINED}, {"refused"}),
    ({"outcome": State.WAITING}, {"waiting"}),
    ({"outcome": State.DENIED}, {"disputed"}),
    ({"outcome": State.EXECUTING}, set()),
    ({"kind": "approval.voted"}, {"agreed", "refused"}),
    ({"kind": "call.denied"}, {"disputed"}),
    ({"kind": "call.intended", "action": "refund"}, {"small", "agreed"}),
    ({"kind": "switch.thrown"}, {"switch.thrown"}),
    ({"at_least": Money(5_000, "EUR")}, BIG),
    ({"at_most": Money(3_000, "EUR")}, {"small", "disputed", "other"}),
    ({"at_least": Money(2_000, "EUR"), "at_most": Money(4_000, "EUR")}, {"other"}),
    ({"at_least": Money(1, "USD")}, set()),
    ({"text": "more than FIFTY"}, BIG),
    ({"text": "many cheques"}, {"switch.thrown"}),
    ({"text": "nobody wrote this"}, set()),
    ({"text": "SECRET-REASON"}, set()),
    (
        {"rule": "payments/large", "approver": "finn", "outcome": State.DECLINED, "subject": "kay", "at_least": Money(9_900, "EUR")},
        {"refused"},
    ),
    ({"rule": "payments/large", "approver": "finn", "outcome": State.SUCCEEDED}, set()),
    ({"subject": "nobody"}, set()),
]


async def test_each_filter_finds_what_it_must_and_nothing_else(world, runtime):
    named = await history(world, runtime)
    for filters, expected in FILTERS:
        assert await found(runtime, **filters) == {named.get(name, name) for name in expected}, filters
    between = named.pop("between")
    assert await found(runtime, call=named["small"]) == {named["small"]} and await found(runtime, call="call_0") == set()
    assert await found(runtime, until=between, action="refund") == {named["small"], named["agreed"]}
    assert await found(runtime, since=between, action="refund") == {named[name] for name in ("refused", "disputed", "waiting")}
    everything = await found(runtime)
    assert set(named.values()) < everything and {"person.added", "policy.activated", "switch.thrown", "log.opened"} < everything


@pytest.mark.parametrize("filters", [{"action": "refund"}, {"approver": "finn"}, {"rule": "payments/large"}, {"at_least": Money(1, "EUR")}])
async def test_control_without_its_terms_a_call_is_not_found(world, monkeypatch, filters):
    altered(monkeypatch, "term.add", "INSERT INTO term (tenant, what, term, at, about, number) SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE 1 = 0")
    async with world.running() as runtime:
        await history(world, runtime)
        assert await found(runtime, **filters) == set()


def test_control_no_filter_of_these_finds_everything_or_the_same_as_another():
    asked = {str(sorted(filters)) for filters, _ in FILTERS}
    assert all(len(expected) < len(REFUNDS) + 3 for _, expected in FILTERS)
    names = {name for filters, _ in FILTERS for name in filters} | {"since", "until", "call"}
    assert names == set(Query.__slots__) and len(asked) > 10


async def pages(runtime, step, *, most=4, **filters):
    """Read page after page, and do something between them; gives the calls in the order in which they came."""
    came, after = [], None
    while True:
        page = await runtime.search(Query(**filters), after=after, most=most)
        came += [one.call for one in page.found]
        if (after := page.after) is None:
            return came
        await step(runtime)


async def another(runtime):
    for _ in range(3):
        await runtime.submit(says("meanwhile"), session())


@pytest.mark.parametrize(
    "filters",
    [
        {"action": "jot"},
        {"kind": "call.succeeded", "principal": "bot"},
        {"rule": "notes/anybody"},
        {"subject": "kay"},
        {"outcome": State.SUCCEEDED},
    ],
)
async def test_pages_lose_and_repeat_nothing_while_events_are_added(runtime, filters):
    before = [(await runtime.submit(says(str(number)), session())).call_id for number in range(13)]
    came = await pages(runtime, another, **filters)
    assert came == before[::-1]


async def test_control_pages_by_an_offset_repeat_what_was_there(runtime):
    for number in range(13):
        await runtime.submit(says(str(number)), session())
    sql = "SELECT about FROM term WHERE what = 'action' AND term = 'jot' ORDER BY at DESC, about DESC LIMIT 4 OFFSET "
    came = []
    for page in range(4):
        came += [about for (about,) in await runtime.parts.store.rows(f"{sql}{4 * page}")]
        await another(runtime)
    assert len(came) > len(set(came))


async def test_several_reasons_are_walked_together(world, runtime):
    world.policies(
        notes="policy: notes\nactions: [jot]\nrules:\n"
        + "".join(
            f'  - {{id: r{number}, when: arguments.text == "{number}", then: allow, reason: Reason number {number}}}\n'
            for number in range(3)
        )
    )
    await runtime.reload_policies(by="sam")
    made = [(await runtime.submit(says(str(number % 3)), session())).call_id for number in range(9)]
    assert await pages(runtime, another, text="reason number", most=2) == made[::-1]
    assert await pages(runtime, another, text="number 2", most=2) == made[2::3][::-1]


async def test_what_is_not_a_search_is_refused(runtime):
    for bad in ({"kind": "limit.reserved"}, {"kind": "audit.read"}, {"kind": "nothing"}, {"text": " "}):
        with pytest.raises(BadSearch):
            Query(**bad)
    with pytest.raises(BadSearch):
        Query(at_least=Money(1, "EUR"), at_most=Money(1, "USD"))
    for cursor in ("", "x", "!!!!", "MSAx", "MSAxIA", "ΩΩΩΩ", "A" * 5_000):
        with pytest.raises(BadSearch):
            await runtime.search(Query(), after=cursor)
    for most in (0, 501):
        with pytest.raises(BadSearch):
            await runtime.search(Query(), most=most)
    with pytest.raises(NotAReader):
        await runtime.search(Query(), by="nobody")


async def test_long_and_odd_terms_are_kept_and_found(runtime):
    long = "c" * 3_000
    first = (await runtime.submit(says("a"), session(conversation=long))).call_id
    await runtime.submit(says("a"), session(conversation=long[:-1] + "d"))
    assert await found(runtime, conversation=long) == {first}
    await runtime.switches.throw("action", "cheque", by="fay", reason="é'\"% _" + "x" * 5_000)
    assert await found(runtime, text="é'\"% _") == {"switch.thrown"}


async def test_neither_the_index_nor_the_access_log_names_a_customer(world):
    async with world.running() as runtime:
        told = await runtime.submit(says("PRIVATE-NOTE"), session(subject="kay-4711", conversation="thread-0815"))
        assert await found(runtime, subject="kay-4711")
        page = await runtime.search(Query(conversation="thread-0815"))
        assert [one.call for one in page.found] == [told.call_id]
        assert "thread-0815" not in repr(page) + repr(await runtime.story(told.call_id))
        assert "thread-0815" in repr(await runtime.view(told.call_id)), "the control: it is there for who may open the call"
        await found(runtime, text="kay-4711")
        rows = [*world.sql("SELECT * FROM term"), *world.sql("SELECT * FROM access")]
    kept = repr(rows)
    assert rows and "kay-4711" not in kept and "thread-0815" not in kept and "PRIVATE-NOTE" not in kept and "sub_" in kept


async def test_each_reading_is_recorded_with_who_what_and_how_much(world, runtime, tmp_path):
    named = await history(world, runtime)
    await runtime.search(Query(approver="finn", subject="kay"), by="fay")
    await runtime.story(named["small"], by="sam")
    report = await runtime.verify(by="sam")
    await runtime.export(tmp_path / "out", disclose=False, by="fay")
    exported, verified, told, searched = await runtime.accesses()
    assert (searched.kind, searched.who, searched.found) == ("audit.read", "fay", 1)
    assert searched.sought["approver"] == "finn" and searched.sought["subject"].startswith("sub_")
    assert (told.kind, told.who, told.call) == ("audit.read", "sam", named["small"])
    assert (verified.kind, verified.found) == ("audit.verified", report.entries) and exported.kind == "audit.exported"
    assert (await runtime.accesses())[0].sought == {"accesses": 50}, "reading the access log is reading"


async def test_what_can_not_be_recorded_is_not_shown(world, runtime, monkeypatch):
    await history(world, runtime)
    altered(monkeypatch, "access.add", "INSERT INTO access (nothing) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
    for reading in (runtime.search(Query()), runtime.accesses(), runtime.verify()):
        with pytest.raises(RemitError):
            await reading


async def filled_anew(world) -> list:
    """Throw the index away, and fill it as the migration does from what is there."""
    await world.change("DELETE FROM term")
    engine = _postgres(world.database) if is_postgres(world.database) else _sqlite(f"sqlite:///{world.database}")
    with engine.begin() as connection:
        ScriptDirectory.from_config(migration_config()).get_revision("0005").module._fill(connection)
    engine.dispose()
    return sorted(world.sql("SELECT * FROM term"))


async def test_the_migration_fills_the_index_as_it_would_have_been_written(world, monkeypatch):
    monkeypatch.setattr(ScriptDirectory.from_config(migration_config()).get_revision("0005").module, "TOGETHER", 3)
    async with world.running() as runtime:
        await history(world, runtime)
        await runtime.submit(says("x", nonsense=1), session())
    written = sorted(world.sql("SELECT * FROM term"))
    assert len(written) > 50 and await filled_anew(world) == written


async def test_control_a_fill_that_leaves_something_out_is_noticed(world, monkeypatch):
    async with world.running() as runtime:
        await history(world, runtime)
    written = sorted(world.sql("SELECT * FROM term"))
    monkeypatch.setattr("remit.runtime.terms.of_call", lambda *_: iter(()))
    assert await filled_anew(world) != written


async def test_a_leaf_that_was_changed_does_not_stop_the_migration(world):
    async with world.running() as runtime:
        await runtime.submit(asks(), session())
    await world.change("UPDATE event SET leaf = x'7b' WHERE kind = 'call.decided'")
    assert await filled_anew(world)
