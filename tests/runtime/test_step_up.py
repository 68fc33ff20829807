"""Step-up: a code or a token proves who the customer is, for one call; guesses are counted before they are looked at."""

import asyncio
import re
import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from remit import DefinitionError, EmailCodes, StepUp
from remit.actions.library.mail import SmtpMail
from remit.audit import State
from remit.errors import ApprovalNotOpen, CodeNotAccepted, CodeNotSent, NotAnApprover
from remit.sandbox.mail import MailFault, MailServer
from tests.runtime.asking import CONFIRM, PROVE, approve, asking, events, said, waits
from tests.runtime.bank import altered, asks, session

KEY = OKPKey.generate_key("Ed25519")


@dataclass
class Pigeons:
    """Keep the codes instead of sending them."""

    codes: list[str] = field(default_factory=list)
    nobody: bool = False

    async def reached(self, subject: str) -> str | None:
        return None if self.nobody else f"{subject[0]}•••"

    async def send(self, subject, code, locale, until) -> None:
        self.codes.append(code)


@pytest.fixture
def pigeons():
    return Pigeons()


@pytest.fixture
async def proving(world, pigeons):
    async with asking(world, PROVE).running(step_up=StepUp(codes=pigeons, keys=[KEY.as_dict(private=False)])) as runtime:
        yield runtime


def token(world, call, *, key=KEY, algorithm="Ed25519", without=(), **claims):
    now = world.time.nanos // 10**9
    given = {"aud": "remit:step-up", "sub": "kay", "call": call, "assurance": 2, "iat": now, "exp": now + 300, **claims}
    return jwt.encode({"alg": algorithm}, {k: v for k, v in given.items() if k not in without}, key, algorithms=[algorithm])


def other(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


async def test_a_code_proves_it_and_the_call_goes_on(proving, world, pigeons):
    call_id = await waits(proving)
    sent = await proving.send_code(call_id, subject="kay")
    assert (sent.to, sent.left) == ("k•••", 2) and re.fullmatch(r"\d{6}", pigeons.codes[0])
    done = await proving.step_up(call_id, subject="kay", code=pigeons.codes[0])
    assert done.state is State.SUCCEEDED and world.bank.effects == ["pay_1"]
    [event] = await events(proving, call_id, "call.stepped_up")
    assert (event["body"]["method"], event["body"]["assurance"]) == ("code", 2)
    decided = (await events(proving, call_id, "call.decided"))[-1]["body"]["inputs"]["subject"]
    assert decided["assurance"] == 2 and decided["verified_at"].endswith("Z"), "rules see how sure, and since when"
    assert pigeons.codes[0].encode() not in world.bytes()
    assert (await proving.verify()).ok


async def test_without_proof_nothing_runs(proving, world, pigeons):
    call_id = await waits(proving)
    for attempt in ({}, {"code": "123456"}, {"token": ""}, {"token": "x.y.z"}, {"code": "1", "token": "2"}):
        with pytest.raises(CodeNotAccepted):
            await proving.step_up(call_id, subject="kay", **attempt)
    with pytest.raises(ApprovalNotOpen):
        await proving.confirm(call_id, subject="kay")
    assert world.bank.attempts == []


@pytest.mark.parametrize("who", ["zoe", "bot", "anonymous"])
async def test_only_the_customer_is_sent_a_code_or_gives_one(proving, pigeons, who):
    call_id = await waits(proving)
    with pytest.raises(NotAnApprover):
        await proving.send_code(call_id, subject=who)
    await proving.send_code(call_id, subject="kay")
    with pytest.raises(NotAnApprover):
        await proving.step_up(call_id, subject=who, code=pigeons.codes[0])


async def test_a_code_has_three_tries_and_the_fourth_is_refused_even_if_right(proving, world, pigeons):
    call_id = await waits(proving)
    await proving.send_code(call_id, subject="kay")
    right = pigeons.codes[0]
    for _ in range(3):
        with pytest.raises(CodeNotAccepted):
            await proving.step_up(call_id, subject="kay", code=other(right))
    with pytest.raises(CodeNotAccepted) as found:
        await proving.step_up(call_id, subject="kay", code=right)
    assert str(found.value) == CodeNotAccepted().message, "the words do not say why"
    assert world.bank.attempts == []


async def guesses(runtime, call_id: str, wrong: list[str]) -> int:
    """Guess all at once; give how many guesses were compared with the code."""
    from remit.runtime import step_up

    compared, real = [], step_up._compared

    def counting(parts, asked, last, code):
        compared.append(code)
        return real(parts, asked, last, code)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step_up, "_compared", counting)
        await asyncio.gather(*(runtime.step_up(call_id, subject="kay", code=code) for code in wrong), return_exceptions=True)
    return len(compared)


async def test_guesses_at_once_in_two_processes_are_never_more_than_three(proving, world, pigeons):
    call_id = await waits(proving)
    await proving.send_code(call_id, subject="kay")
    wrong = [f"{number:06d}" for number in range(40) if f"{number:06d}" != pigeons.codes[0]]
    async with world.running(step_up=StepUp(codes=pigeons), people=False) as second:
        counts = await asyncio.gather(guesses(proving, call_id, wrong[:20]), guesses(second, call_id, wrong[20:]))
    assert (await proving.parts.store.code((await proving.view(call_id)).requirements[0]["id"])).tries == 3
    assert max(counts) <= 3 and world.bank.attempts == []


async def test_control_tries_that_are_only_looked_at_let_more_guesses_through(proving, pigeons, monkeypatch):

    call_id = await waits(proving)
    await proving.send_code(call_id, subject="kay")
    altered(monkeypatch, "code.try", "UPDATE code SET tries = tries WHERE tenant = ? AND requirement = ? AND sent = ? AND ? >= 0")
    wrong = [f"{number:06d}" for number in range(20) if f"{number:06d}" != pigeons.codes[0]]
    assert await guesses(proving, call_id, wrong) > 3


async def test_the_right_code_at_once_counts_once(proving, world, pigeons):
    call_id = await waits(proving)
    await proving.send_code(call_id, subject="kay")
    await asyncio.gather(*(proving.step_up(call_id, subject="kay", code=pigeons.codes[0]) for _ in range(8)), return_exceptions=True)
    assert world.bank.effects == ["pay_1"] and len(await events(proving, call_id, "call.stepped_up")) == 1


async def test_three_codes_half_a_minute_apart_and_only_the_last_is_good(proving, world, pigeons):
    call_id = await waits(proving)
    for left in (2, 1, 0):
        assert (await proving.send_code(call_id, subject="kay")).left == left
        with pytest.raises(CodeNotSent):
            await proving.send_code(call_id, subject="kay")
        world.time.pass_(seconds=31)
    with pytest.raises(CodeNotSent):
        await proving.send_code(call_id, subject="kay")
    first, _, last = pigeons.codes
    if first != last:
        with pytest.raises(CodeNotAccepted):
            await proving.step_up(call_id, subject="kay", code=first)
    assert (await proving.step_up(call_id, subject="kay", code=last)).state is State.SUCCEEDED


async def test_codes_asked_for_at_once_are_one(proving, pigeons):
    call_id = await waits(proving)
    await asyncio.gather(*(proving.send_code(call_id, subject="kay") for _ in range(10)), return_exceptions=True)
    assert len(pigeons.codes) == 1


async def test_a_code_is_good_for_ten_minutes(proving, world, pigeons):
    call_id = await waits(proving)
    await proving.send_code(call_id, subject="kay")
    world.time.pass_(minutes=10, seconds=1)
    with pytest.raises(CodeNotAccepted):
        await proving.step_up(call_id, subject="kay", code=pigeons.codes[0])


async def test_a_code_of_one_call_is_none_of_another(proving, pigeons):
    one, two = await waits(proving), await waits(proving, payment="pay_2")
    await proving.send_code(one, subject="kay")
    await proving.send_code(two, subject="kay")
    if pigeons.codes[0] != pigeons.codes[1]:
        with pytest.raises(CodeNotAccepted):
            await proving.step_up(two, subject="kay", code=pigeons.codes[0])


async def test_the_conversation_stays_raised_for_half_an_hour_and_no_other_does(proving, world, pigeons):
    call_id = await waits(proving)
    await proving.send_code(call_id, subject="kay")
    await proving.step_up(call_id, subject="kay", code=pigeons.codes[0])
    world.time.pass_(minutes=29)
    assert (await proving.submit(asks("transfer", "pay_2"), session())).state is State.SUCCEEDED
    for elsewhere in ({"conversation": "c2"}, {"conversation": ""}):
        assert (await proving.submit(asks("transfer", "pay_3"), session(**elsewhere))).state is State.WAITING
        await proving.cancel((await proving.calls(most=1))[0].id, by="fay")
    world.bank.payments["pay_4"].customer = "zoe"
    assert (await proving.submit(asks("transfer", "pay_4"), session(subject="zoe"))).state is State.WAITING
    world.time.pass_(minutes=2)
    assert (await proving.submit(asks("transfer", "pay_5"), session())).state is State.WAITING


async def test_an_absent_customer_is_not_asked_again_because_an_approver_took_an_hour(world, pigeons):
    old = "  - {id: old, when: '!has(subject.verified_at) || now - subject.verified_at > duration(\"10m\")', then: require_step_up}\n"
    async with asking(world, old, approve("large", "finance")).running(step_up=StepUp(codes=pigeons)) as runtime:
        call_id = await waits(runtime, assurance=2)
        await runtime.send_code(call_id, subject="kay")
        assert said(await runtime.step_up(call_id, subject="kay", code=pigeons.codes[0])) == ["approval"]
        world.time.pass_(hours=1)
        assert (await runtime.vote(call_id, person="fay", answer="approve")).state is State.SUCCEEDED
        assert (await runtime.verify()).ok


async def test_proof_comes_first_then_confirmation_then_approval(world, pigeons):
    async with asking(world, CONFIRM, approve("large", "finance"), PROVE).running(step_up=StepUp(codes=pigeons)) as runtime:
        outcome = await runtime.submit(asks("transfer"), session())
        assert said(outcome) == ["step_up"]
        await runtime.send_code(outcome.call_id, subject="kay")
        assert said(await runtime.step_up(outcome.call_id, subject="kay", code=pigeons.codes[0])) == ["confirmation"]
        assert said(await runtime.confirm(outcome.call_id, subject="kay")) == ["approval"]
        assert (await runtime.vote(outcome.call_id, person="fay", answer="approve")).state is State.SUCCEEDED
        assert (await runtime.verify()).ok


async def test_the_hosts_token_proves_it(proving, world):
    call_id = await waits(proving)
    done = await proving.step_up(call_id, subject="kay", token=token(world, call_id))
    assert done.state is State.SUCCEEDED
    [event] = await events(proving, call_id, "call.stepped_up")
    assert event["body"]["method"] == "token" and (await proving.verify()).ok


@pytest.mark.parametrize(
    "how",
    [
        {"aud": "remit:confirm"},
        {"sub": "zoe"},
        {"call": "call_other"},
        {"assurance": 1},
        {"assurance": "2"},
        {"assurance": True},
        {"exp": 1},
        {"iat": 1_000, "exp": 4_000_000_000},
        {"without": ("exp",)},
        {"without": ("iat",)},
        {"without": ("call",)},
        {"key": OKPKey.generate_key("Ed25519")},
        {"key": OctKey.import_key(KEY.as_dict(private=False)["x"].encode()), "algorithm": "HS256"},
    ],
    ids=lambda how: " ".join(f"{name}={value}" if isinstance(value, (str, int, tuple)) else name for name, value in how.items()),
)
async def test_any_other_token_does_not(proving, world, how):
    call_id = await waits(proving)
    with pytest.raises(CodeNotAccepted):
        await proving.step_up(call_id, subject="kay", token=token(world, **{"call": call_id, **how}))
    assert world.bank.attempts == []


async def test_a_token_that_is_signed_by_nobody_does_not(proving, world):
    call_id = await waits(proving)
    _, claims, _ = token(world, call_id).split(".")
    for header in ("eyJhbGciOiJub25lIn0", "eyJhbGciOiJOb25lIn0"):
        with pytest.raises(CodeNotAccepted):
            await proving.step_up(call_id, subject="kay", token=f"{header}.{claims}.")


async def test_a_token_from_before_it_was_asked_for_does_not(proving, world):
    call_id = await waits(proving)
    with pytest.raises(CodeNotAccepted):
        await proving.step_up(call_id, subject="kay", token=token(world, call_id, iat=world.time.nanos // 10**9 - 60))


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(ECKey.generate_key("P-256"), "ES256"), (RSAKey.generate_key(2048), "PS256"), (RSAKey.generate_key(2048), "RS256")],
    ids=["ec", "pss", "rsa"],
)
async def test_keys_of_other_types_as_pem(world, key, algorithm):
    ways = StepUp(keys=[key.as_pem(private=False)])
    async with asking(world, PROVE).running(step_up=ways) as runtime:
        call_id = await waits(runtime)
        signed = token(world, call_id, key=key, algorithm=algorithm)
        assert (await runtime.step_up(call_id, subject="kay", token=signed)).state is State.SUCCEEDED


async def test_the_older_name_of_the_algorithm_is_understood(proving, world):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        call_id = await waits(proving)
        signed = token(world, call_id, algorithm="EdDSA")
    assert (await proving.step_up(call_id, subject="kay", token=signed)).state is State.SUCCEEDED


@pytest.mark.parametrize("key", ["no key", {"kty": "oct", "k": "c2VjcmV0"}, b""], ids=str)
def test_a_key_that_verifies_nothing_is_refused(key):
    with pytest.raises(DefinitionError):
        StepUp(keys=[key])


@pytest.mark.parametrize("why", ["anonymous", "no way", "no address", "too weak"])
async def test_what_nobody_could_prove_is_refused_at_the_call(world, pigeons, why):
    pigeons.nobody = why == "no address"
    ways = None if why == "no way" else StepUp(codes=pigeons, assurance=1 if why == "too weak" else 2)
    if why == "anonymous":
        world.bank.payments["pay_1"].customer = "anonymous"
    async with asking(world, PROVE).running(step_up=ways) as runtime:
        denied = await runtime.submit(asks("transfer"), session(**({"subject": "anonymous"} if why == "anonymous" else {})))
        assert (denied.state, denied.error.code, denied.error.retry) == (State.DENIED, "step_up_impossible", "never")
        [event] = await events(runtime, denied.call_id, "call.denied")
        assert event["body"]["why"] and (await runtime.verify()).ok


async def test_where_codes_go_cannot_be_looked_up_for_a_moment(world, pigeons, monkeypatch):
    async def down(subject: str) -> str | None:
        raise ConnectionError("down")

    async with asking(world, PROVE).running(step_up=StepUp(codes=pigeons)) as runtime:
        call_id = await waits(runtime)
        monkeypatch.setattr(pigeons, "reached", down)
        with pytest.raises(CodeNotSent):
            await runtime.send_code(call_id, subject="kay")
        denied = await runtime.submit(asks("transfer", "pay_2"), session())
        assert (denied.state, denied.error.code, denied.error.retry) == (State.DENIED, "facts_unavailable", "later")


@pytest.mark.parametrize(("locale", "word"), [("de-AT", "Ihr Code"), ("en", "Your code"), (None, "Your code"), ("fr", "Your code")])
async def test_the_mail_goes_to_the_address_on_file_in_the_customers_language(world, locale, word):
    async def address_of(subject: str) -> str | None:
        return f"{subject}@example.org"

    with MailServer() as server:
        codes = EmailCodes(SmtpMail(server.host, server.port, "desk@shop.example.org"), address_of)
        async with asking(world, PROVE).running(step_up=StepUp(codes=codes)) as runtime:
            call_id = await waits(runtime, locale=locale)
            assert (await runtime.send_code(call_id, subject="kay")).to == "k•••@example.org"
            [mail] = server.messages
            assert mail["To"] == "kay@example.org" and word in mail.get_content()
            code = re.search(r"\d{6}", mail.get_content())[0]
            assert code not in mail["Subject"]
            assert (await runtime.step_up(call_id, subject="kay", code=code)).state is State.SUCCEEDED


async def test_a_mail_that_is_refused_is_said_not_to_have_been_sent_and_one_whose_answer_is_lost_may_have_come(world):
    async def address_of(subject: str) -> str | None:
        return f"{subject}@example.org"

    with MailServer() as server:
        server.faults += [MailFault.REFUSED, MailFault.ANSWER_LOST]
        codes = EmailCodes(SmtpMail(server.host, server.port, "desk@shop.example.org"), address_of)
        async with asking(world, PROVE).running(step_up=StepUp(codes=codes)) as runtime:
            call_id = await waits(runtime)
            with pytest.raises(CodeNotSent):
                await runtime.send_code(call_id, subject="kay")
            world.time.pass_(seconds=31)
            assert (await runtime.send_code(call_id, subject="kay")).left == 1


async def test_many_calls_are_not_many_more_guesses(proving, world, pigeons):
    """A code is three guesses at a million; whoever has taken over a customer's session can let a model ask for any number of calls."""
    calls = [await waits(proving, payment=f"pay_{number}", conversation=f"c{number}") for number in range(1, 31)]
    await asyncio.gather(*(proving.send_code(call_id, subject="kay") for call_id in calls), return_exceptions=True)
    assert len(pigeons.codes) == 12
    world.time.pass_(minutes=30)
    with pytest.raises(CodeNotSent):
        await proving.send_code(calls[0], subject="kay")
    world.bank.payments["pay_40"].customer = "zoe"
    assert (await proving.send_code(await waits(proving, payment="pay_40", subject="zoe"), subject="zoe")).left == 2, "nobody else pays"
    world.time.pass_(hours=24)
    assert (await proving.send_code(await waits(proving, payment="pay_41"), subject="kay")).left == 2


@pytest.mark.parametrize(("assurance", "minutes", "state"), [(1, 25, State.WAITING), (2, 25, State.SUCCEEDED), (1, 4, State.SUCCEEDED)])
async def test_a_login_of_just_now_does_not_make_an_older_proof_of_more_a_recent_one(world, pigeons, assurance, minutes, state):
    old = "  - {id: old, when: '!has(subject.verified_at) || now - subject.verified_at > duration(\"5m\")', then: require_step_up}\n"
    async with asking(world, PROVE, old).running(step_up=StepUp(codes=pigeons)) as runtime:
        call_id = await waits(runtime, assurance=1)
        await runtime.send_code(call_id, subject="kay")
        assert (await runtime.step_up(call_id, subject="kay", code=pigeons.codes[0])).state is State.SUCCEEDED
        world.time.pass_(minutes=minutes)
        here = session(assurance=assurance, verified_at=datetime.fromtimestamp(world.time.nanos // 10**9, UTC))
        assert (await runtime.submit(asks("transfer", "pay_2"), here)).state is state


async def test_proving_less_than_is_known_makes_that_no_more_recent(world, pigeons):
    old = "  - {id: old, when: '!has(subject.verified_at) || now - subject.verified_at > duration(\"5m\")', then: require_step_up}\n"
    async with asking(world, old).running(step_up=StepUp(codes=pigeons)) as runtime:
        since = datetime.fromtimestamp(world.time.nanos // 10**9, UTC) - timedelta(hours=1)
        call_id = await waits(runtime, assurance=3, verified_at=since)
        await runtime.send_code(call_id, subject="kay")
        assert (await runtime.step_up(call_id, subject="kay", code=pigeons.codes[0])).state is State.SUCCEEDED
        subject = (await events(runtime, call_id, "call.decided"))[-1]["body"]["inputs"]["subject"]
        assert (subject["assurance"], subject["verified_at"][:19]) == (3, since.isoformat()[:19])
