"""The appointment and account actions as the runtime uses them: ownership, effect, look-up, what the model sees, example policies."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from remit.actions import Arguments, Catalog, Context, Subject, per_call
from remit.actions.library import accounts, appointments
from remit.actions.library.appointments import Calendar
from remit.actions.library.calendar import EmbeddedCalendar
from remit.actions.library.directory import Directory, ScimDirectory
from remit.actions.library.mail import Mail, SmtpMail
from remit.actions.library.reset_links import ResetLinks
from remit.errors import Refused, Retryable
from remit.policies import ActionShape, Inputs, compile_expression, decide, load
from remit.sandbox.directory import DirectoryServer, Person
from remit.sandbox.mail import MailFault, MailServer
from tests.environments import free_port
from tests.library.appointing import NINE, NOW, TEN, now

CATALOG = Catalog([appointments, accounts])
ADA, BOB, NOBODY = Subject("acc_ada", 1), Subject("acc_bob", 1), Subject.ANONYMOUS
EXAMPLES = Path(__file__).parents[2] / "examples" / "support" / "policies"
LINK = "https://shop.example.org/reset?token="


class Desk:
    """Do with one action what the runtime does, without its store."""

    def __init__(self, *resources):
        ports = (Calendar, Directory, Mail, ResetLinks)
        self._resources = {port: one for one in resources for port in ports if isinstance(one, port)}
        self._calls = 0

    def context(self, action, call=None):
        self._calls += 1
        return Context(call or f"call_{self._calls}", action.name, "default", "agent", "conversation", 1, NOW + timedelta(seconds=30))

    def read(self, name, given):
        arguments = CATALOG[name].read(given)
        assert isinstance(arguments, Arguments), arguments
        return arguments

    async def facts(self, name, subject, given):
        action = CATALOG[name]
        loaded = {
            fact: await action.load_fact(fact, self.context(action), subject, self.read(name, given), self._resources)
            for fact in action.facts
        }
        return {fact: value for fact, value in loaded.items() if value is not None}

    async def expression(self, text, name, subject, given, result=bool):
        inputs = await self.inputs(name, subject, given)
        return compile_expression(text, shape(CATALOG[name]), result=result).evaluate(inputs)

    async def owns(self, name, subject, given):
        return await self.expression(CATALOG[name].owns, name, subject, given) is True

    async def inputs(self, name, subject, given, moment=NOW):
        who = {"id": subject.id, "assurance": subject.assurance, "anonymous": subject.anonymous}
        session = dict.fromkeys(("tenant", "conversation", "channel", "model"), "x")
        facts = await self.facts(name, subject, given)
        agent = {"id": "agent", "kind": "agent"}
        return Inputs(name, self.read(name, given).canonical, facts, who, agent, session, moment.strftime("%Y-%m-%dT%H:%M:%SZ"))

    async def perform(self, name, subject, given, call=None):
        action = CATALOG[name]
        ctx = self.context(action, call)
        found = action.result(await action.perform(ctx, subject, self.read(name, given), self._resources))
        return found, ctx

    async def look_up(self, name, subject, given, call):
        action = CATALOG[name]
        return await action.look_up(self.context(action, call), subject, self.read(name, given), self._resources)


def shape(action):
    return ActionShape(action.name, action.rules_schema, action.facts_schemas, action.tags)


@pytest.fixture
def calendar(tmp_path):
    return EmbeddedCalendar(tmp_path / "calendar.db", now=now)


@pytest.fixture
def people():
    with DirectoryServer([Person("acc_ada", "ada", "ada@example.org", active=False), Person("acc_eve", "eve")]) as served:
        yield served


@pytest.fixture
def sink():
    with MailServer() as served:
        yield served


@pytest.fixture
def desk(calendar, people, sink, tmp_path):
    links = ResetLinks(tmp_path / "links.db", address=LINK)
    return Desk(calendar, ScimDirectory(f"{people.url}/v2"), SmtpMail(sink.host, sink.port, "support@example.org"), links)


async def test_an_appointment_is_found_booked_moved_and_cancelled(desk):
    found, _ = await desk.perform("find_slots", NOBODY, {"first_day": "2030-01-07", "days": 1})
    assert found.model["slots"][0] == {"id": NINE, "start": "2030-01-07T09:00:00Z", "end": "2030-01-07T09:30:00Z"}
    booked, ctx = await desk.perform("book_appointment", ADA, {"slot_id": NINE, "topic": "A contract"})
    assert booked.canonical == booked.model | {"customer": "acc_ada"}  # the customer's id is not the model's business
    assert (booked.model["id"], ctx.provider_reference, ctx.provider_status) == (ctx.call_id, ctx.call_id, "booked")
    mine = {"appointment_id": ctx.call_id}
    moved, _ = await desk.perform("reschedule_appointment", ADA, mine | {"slot_id": TEN})
    assert moved.model["start"] == "2030-01-07T10:00:00Z"
    cancelled, _ = await desk.perform("cancel_appointment", ADA, mine)
    assert cancelled.model == {"appointment_id": ctx.call_id}


async def test_many_free_slots_stay_within_one_answer(desk):
    found, _ = await desk.perform("find_slots", NOBODY, {"first_day": "2030-01-07", "days": 31})
    assert (len(found.model["slots"]), found.model["more"]) == (100, True)


@pytest.mark.parametrize("name", ["reschedule_appointment", "cancel_appointment"])
async def test_an_appointment_is_its_customers_alone(desk, calendar, name):
    booked = await calendar.book("call_0", NINE, "acc_ada", "")
    given = {"appointment_id": booked.id} | ({"slot_id": TEN} if name == "reschedule_appointment" else {})
    assert await desk.owns(name, ADA, given)
    for subject, asked in ((BOB, given), (NOBODY, given), (ADA, given | {"appointment_id": "another"})):
        assert not await desk.owns(name, subject, asked)


async def test_only_who_is_logged_in_books(desk):
    assert await desk.owns("book_appointment", ADA, {"slot_id": NINE})
    assert not await desk.owns("book_appointment", NOBODY, {"slot_id": NINE})


async def test_each_change_is_looked_up_by_its_call(desk):
    book, move, cancel = {"slot_id": NINE}, {"appointment_id": "call_a", "slot_id": TEN}, {"appointment_id": "call_a"}
    for name, given, call in (("book_appointment", book, "call_a"), ("reschedule_appointment", move, "call_b")):
        assert await desk.look_up(name, ADA, given, call) is None
        done, _ = await desk.perform(name, ADA, given, call)
        assert CATALOG[name].result(await desk.look_up(name, ADA, given, call)) == done
    assert await desk.look_up("cancel_appointment", ADA, cancel, "call_c") is None
    await desk.perform("cancel_appointment", ADA, cancel, "call_c")
    assert (await desk.look_up("cancel_appointment", ADA, cancel, "call_c")).appointment_id == "call_a"


async def test_the_same_slot_can_be_booked_again_after_it_was_cancelled(desk):
    """That is why booking says key=per_call: under a key of its own the second answer would be that of the first."""
    assert CATALOG["book_appointment"].key is per_call
    _, ctx = await desk.perform("book_appointment", ADA, {"slot_id": NINE})
    await desk.perform("cancel_appointment", ADA, {"appointment_id": ctx.call_id})
    again, second = await desk.perform("book_appointment", ADA, {"slot_id": NINE})
    assert again.model["id"] == second.call_id != ctx.call_id


async def test_a_reset_link_goes_to_the_address_on_file_and_works_once(desk, sink, tmp_path):
    for asked in ("ada", " ADA@Example.org "):
        sent, _ = await desk.perform("send_password_reset", NOBODY, {"account": asked})
        assert sent.canonical["delivery"] == "mailed"
    assert [message["To"] for message in sink.messages] == ["ada@example.org"] * 2
    links = ResetLinks(tmp_path / "links.db", address=LINK)
    tokens = [line.removeprefix(LINK) for m in sink.messages for line in m.get_content().splitlines() if line.startswith(LINK)]
    assert [await links.redeem(token) for token in (*tokens, tokens[1])] == [None, "acc_ada", None]


FATES = {None: "mailed", MailFault.REFUSED: "refused", MailFault.LATER: "later", MailFault.ANSWER_LOST: "unsure"}


@pytest.mark.parametrize("fault", FATES)
async def test_the_answer_does_not_tell_whether_an_account_exists(desk, sink, fault):
    seen, kept = [], []
    for asked in ("ada", "nobody", "eve", "nobody@example.org"):
        sink.faults[:] = [fault] if fault else []
        sent, ctx = await desk.perform("send_password_reset", NOBODY, {"account": asked})
        seen.append((sent.model, ctx.provider_reference, ctx.provider_status))
        kept.append(sent.canonical["delivery"])
    assert all(one == seen[0] for one in seen)
    assert kept == [FATES[fault], "no_account", "no_address", "no_account"]  # staff do see it


async def test_a_mail_server_that_is_down_is_down_for_everybody(people, tmp_path):
    links = ResetLinks(tmp_path / "links.db", address=LINK)
    desk = Desk(ScimDirectory(f"{people.url}/v2"), SmtpMail("127.0.0.1", free_port(), "support@example.org"), links)
    for asked in ("ada", "nobody", "eve"):
        with pytest.raises(Retryable):
            await desk.perform("send_password_reset", NOBODY, {"account": asked})


async def test_a_reset_is_about_the_person_whose_account_it_is(desk):
    about = CATALOG["send_password_reset"].about
    assert await desk.expression(about, "send_password_reset", NOBODY, {"account": "ada"}, str) == "acc_ada"
    assert await desk.expression(about, "send_password_reset", NOBODY, {"account": "nobody"}, str) == "anonymous"


def test_one_spelling_of_an_account_makes_one_effect_key():
    reset = CATALOG["send_password_reset"]
    keys = {reset.key.fill(reset.read({"account": a}).canonical, "anonymous", "default") for a in ("ada@example.org", " Ada@EXAMPLE.org")}
    assert keys == {"password_reset:ada%40example.org:anonymous"}


async def test_an_account_is_unlocked_by_its_owner_alone_and_looked_up(desk, people):
    assert await desk.owns("unlock_account", ADA, {})
    for other in (BOB, NOBODY, Subject("ada", 1), Subject("ada@example.org", 1)):  # a name that finds her is not her id
        assert not await desk.owns("unlock_account", other, {})
    assert await desk.look_up("unlock_account", ADA, {}, "call_a") is None
    done, _ = await desk.perform("unlock_account", ADA, {}, "call_a")
    assert people.people["acc_ada"].active
    assert CATALOG["unlock_account"].result(await desk.look_up("unlock_account", ADA, {}, "call_a")) == done


@pytest.fixture(scope="module")
def policies():
    names = ("appointments", "appointment_changes", "password_resets", "accounts")
    return load(
        {f"{name}.yaml": (EXAMPLES / f"{name}.yaml").read_text() for name in names}, {a.name: shape(a) for a in map(CATALOG.get, CATALOG)}
    )


async def decided(desk, policies, name, subject, given, moment=NOW):
    found = decide(policies, await desk.inputs(name, subject, given, moment))
    assert not found.errors
    return [one.by for one in found.requirements] if found.allowed else found.say


async def test_the_example_policies_say_what_they_mean(desk, policies, calendar):
    await calendar.book("call_0", NINE, "acc_ada", "")
    mine, start = {"appointment_id": "call_0"}, NOW + timedelta(days=2, hours=21)
    assert await decided(desk, policies, "find_slots", NOBODY, {"first_day": "2030-01-07"}) == []
    assert await decided(desk, policies, "book_appointment", ADA, {"slot_id": NINE}) == []
    assert await decided(desk, policies, "cancel_appointment", ADA, mine) == []
    assert await decided(desk, policies, "cancel_appointment", ADA, mine, start - timedelta(hours=23)) == ["front-desk"]
    assert await decided(desk, policies, "cancel_appointment", ADA, mine, start) == "This appointment can't be changed any more."
    assert await decided(desk, policies, "unlock_account", ADA, {}) == ["support"]
    assert await decided(desk, policies, "unlock_account", Subject("acc_ada", 0), {}) is None
    assert "not locked" in await decided(desk, policies, "unlock_account", Subject("acc_eve", 1), {})
    for account in ("ada", "nobody"):
        assert await decided(desk, policies, "send_password_reset", NOBODY, {"account": account}) == []


async def test_a_refusal_of_the_calendar_reaches_the_model_with_a_code(desk):
    await desk.perform("book_appointment", ADA, {"slot_id": NINE})
    with pytest.raises(Refused) as refused:
        await desk.perform("book_appointment", BOB, {"slot_id": NINE})
    assert (refused.value.definite, refused.value.reason_code) == (True, "slot_taken")
