"""The customer's link: one call, one digest, one answer, a short time; looking changes nothing, and nothing on the page runs."""

import asyncio
import base64
import re
from html import unescape
from types import MappingProxyType

import pytest
from jinja2 import Environment
from joserfc import jwt
from joserfc.jwe import JWERegistry
from joserfc.jwk import OctKey

from remit.server import page as page_module
from remit.server.links import AUDIENCE, Link, LinkExpired, LinkInvalid
from remit.server.page import HEADERS
from tests.server.conftest import page, part
from tests.server.test_confirmations import ask

KEY, OTHER = b"k" * 32, b"o" * 32
LINK = Link("call_1", "cus_1", "d" * 64, 2_000)


def test_a_link_says_what_it_was_made_for():
    assert Link.read(LINK.seal(KEY), KEY, 1_999) == LINK


def test_a_link_tells_nobody_whose_it_is():
    parts = [base64.urlsafe_b64decode(part + "==") for part in LINK.seal(KEY).split(".")]
    assert not any(word in part for part in parts for word in (b"cus_1", b"call_1", b"sub"))


def forged(header=MappingProxyType({"alg": "dir", "enc": "A256GCM"}), **changed):
    claims = {"aud": AUDIENCE, "call": "call_1", "sub": "cus_1", "digest": "d", "exp": 2_000} | changed
    kept = {name: value for name, value in claims.items() if value is not None}
    registry = JWERegistry(algorithms=[*header.values()]) if "enc" in header else None
    return jwt.encode(dict(header), kept, OctKey.import_key(KEY), registry=registry)


FORGED = {
    "another key": LINK.seal(OTHER),
    "another audience": forged(aud="remit:step-up"),
    "no audience": forged(aud=None),
    "no end": forged(exp=None),
    "no subject": forged(sub=None),
    "no digest": forged(digest=None),
    "no call": forged(call=None),
    "a number for a call": forged(call=5),
    "a list for a subject": forged(sub=["cus_1"]),
    "cut off": LINK.seal(KEY)[:-2],
    "signed only": forged(header={"alg": "HS256"}),
    "another cipher": forged(header={"alg": "dir", "enc": "A128CBC-HS256"}),
    "unsigned": "eyJhbGciOiJub25lIn0." + forged(header={"alg": "HS256"}).split(".")[1] + ".",
    "nothing": "",
    "rubbish": "..",
    "long": "x" * 100_000,
    "not ASCII": "é.é.é",
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED)
def test_a_link_that_is_not_ours_is_refused(token):
    with pytest.raises(LinkInvalid):
        Link.read(token, KEY, 1_000)


def test_control_the_forger_makes_good_links_too():
    assert Link.read(forged(), KEY, 1_000).call == "call_1"


def test_a_link_ends():
    with pytest.raises(LinkExpired):
        Link.read(LINK.seal(KEY), KEY, 2_001)


async def link_to(door, call, subject="cus_1", **more):
    async with door.client() as client:
        made = await client.post(f"/v1/calls/{call}/link", json={"subject": subject, **more})
    assert made.status_code == 200, made.text
    return made.json()["path"]


def form(text, answer="approve"):
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)">', text))
    return fields | {"answer": answer}


async def test_the_page_shows_it_and_the_button_does_it_once(door):
    path = await link_to(door, await ask(door, note='<script>alert("1")</script>'))
    async with page(door) as browser:
        shown = await browser.get(path)
        assert (shown.status_code, shown.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "Order wheel for €9.00" in shown.text
        assert "<script" not in shown.text
        assert '<script>alert("1")</script>' in unescape(shown.text)
        assert door.desk.parts == []
        done = await browser.post(path, data=form(shown.text))
        assert (done.status_code, door.desk.parts) == (200, ["wheel"])
        assert '<h1 dir="auto">Done</h1>' in done.text
        again = await browser.post(path, data=form(shown.text))
        assert again.status_code == 409
        assert "already answered" in again.text
        assert "Done" in (await browser.get(path)).text
    assert door.desk.parts == ["wheel"]


async def test_control_a_page_that_escapes_nothing_is_noticed(door, monkeypatch):
    careless = Environment(loader=page_module._template.environment.loader, autoescape=False).get_template("confirm.html")
    monkeypatch.setattr(page_module, "_template", careless)
    path = await link_to(door, await ask(door, note='<script>alert("1")</script>'))
    async with page(door) as browser:
        assert "<script" in (await browser.get(path)).text


async def test_a_mail_scanner_that_follows_the_link_does_nothing(door):
    call = await ask(door)
    path = await link_to(door, call)
    before = len((await door.runtime.view(call)).events)
    async with page(door) as scanner:
        for method in ("GET", "HEAD", "GET", "OPTIONS"):
            await scanner.request(method, path)
    assert len((await door.runtime.view(call)).events) == before
    assert (await door.runtime.get(call)).state == "waiting"
    assert door.desk.parts == []


async def test_no_is_no_and_an_earlier_yes_stays(door):
    path = await link_to(door, await ask(door))
    async with page(door, **{"Accept-Language": "de-AT,en;q=0.5"}) as browser:
        shown = await browser.get(path)
        assert "Declined" in (await browser.post(path, data=form(shown.text, "reject"))).text
        late = await browser.post(path, data=form(shown.text))
        assert (late.status_code, door.desk.parts) == (409, [])


@pytest.mark.parametrize(
    "sent",
    [
        {"data": {"answer": "approve"}},
        {"data": {"answer": "approve", "shown": "0" * 64}},
        {"data": {}},
        {"data": {"answer": "yes"}},
        {"content": b"answer=approve&answer=reject", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"content": b"\xff\xfe", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"content": b"answer=approve", "headers": {"Content-Type": "text/plain"}},
        {"content": b'{"answer": "approve", "answer": "reject"}', "headers": {"Content-Type": "application/json"}},
        {"content": b"[]", "headers": {"Content-Type": "application/json"}},
        {"content": b'{"answer": ["approve"]}', "headers": {"Content-Type": "application/json"}},
        {"params": {"answer": "approve"}},
    ],
)
async def test_a_form_that_is_not_the_pages_own_counts_as_no_answer(door, sent):
    path = await link_to(door, await ask(door))
    async with page(door) as browser:
        assert (await browser.post(path, **sent)).status_code in {409, 422}
    assert door.desk.parts == []


async def test_a_price_that_changed_while_the_page_was_open_is_asked_again(door):
    call = await ask(door)
    path = await link_to(door, call)
    async with page(door) as browser:
        old = await browser.get(path)
        door.desk.price = 1900
        anew = await browser.post(path, data=form(old.text))
        assert "Order wheel for €19.00" in anew.text, "what is asked now, in place of what was"
        stale = await browser.post(path, data=form(old.text))
        assert stale.status_code == 409
        assert "changed meanwhile" in stale.text
        assert door.desk.parts == []
        await browser.post(path, data=form(anew.text))
    assert door.desk.parts == ["wheel"]


async def test_of_two_clicks_at_once_one_counts_and_not_for_the_new_price(door):
    path = await link_to(door, await ask(door))
    async with page(door) as browser:
        old = await browser.get(path)
        door.desk.price = 1900
        answers = await asyncio.gather(*(browser.post(path, data=form(old.text)) for _ in range(4)))
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert door.desk.parts == []


async def test_a_link_is_for_the_form_that_it_was_made_for(door):
    call = await ask(door)
    path = await link_to(door, call)
    wrong = Link(call, "cus_1", "0" * 64, 4_000_000_000).seal(door.runtime.link_key)
    other = Link(call, "cus_9", "0" * 64, 4_000_000_000).seal(door.runtime.link_key)
    async with page(door) as browser:
        shown = await browser.get(path)
        for token, status in ((wrong, 200), (other, 404), ("rubbish", 404)):
            for response in (await browser.get(f"/confirm/{token}"), await browser.post(f"/confirm/{token}", data=form(shown.text))):
                assert response.status_code in {status, 409}
                assert "wheel" not in response.text
    assert door.desk.parts == []


async def test_a_link_and_a_confirmation_end(door):
    call = await ask(door)
    short, long = await link_to(door, call, within=60), await link_to(door, call, within=86_400)
    async with page(door) as browser:
        shown = await browser.get(short)
        door.runtime.parts.clock._offset += 90 * 1_000_000
        late = await browser.post(short, data=form(shown.text))
        assert (late.status_code, door.desk.parts) == (410, [])
        assert (await browser.get(long)).status_code == 200
        door.runtime.parts.clock._offset += 2 * 3600 * 1_000_000
        assert (await browser.get(long)).status_code == 410
        assert (await browser.post(long, data=form(shown.text))).status_code == 410
    assert door.desk.parts == []


async def test_no_link_is_made_to_what_is_not_open(door):
    call = await ask(door)
    await door.runtime.confirm(call, subject="cus_1", answer="reject")
    async with door.client() as client:
        made = await client.post(f"/v1/calls/{call}/link", json={"subject": "cus_1"})
        assert (made.status_code, made.json()["code"]) == (409, "approval_not_open")
        for wrong in ({"within": 10}, {"within": 10**9}, {"subject": ""}):
            refused = await client.post(f"/v1/calls/{call}/link", json={"subject": "cus_1", **wrong})
            assert refused.status_code == 422


async def test_a_call_that_was_cancelled_is_no_longer_open(door):
    call = await ask(door)
    path = await link_to(door, call)
    await door.runtime.cancel(call, by="shop")
    async with page(door) as browser:
        assert "no longer open" in (await browser.get(path)).text
        assert "no longer open" in (await browser.post(path, data={"answer": "approve"})).text


async def test_a_widget_gets_and_sends_json(door):
    path = await link_to(door, await ask(door))
    async with page(door, Accept="application/json") as widget:
        asked = (await widget.get(path)).json()
        assert asked["state"] == "open"
        assert asked["confirmation"]["summary"]["sentence"] == "Order wheel for €9.00"
        answer = {"answer": "approve", "shown": asked["confirmation"]["shown"]}
        assert (await widget.post(path, json=answer)).json() == {"state": "done"}
        assert (await widget.post(path, json=answer)).json() == {"state": "already"}
        assert (await widget.get("/confirm/rubbish")).json() == {"state": "invalid"}
    assert door.desk.parts == ["wheel"]


@pytest.mark.parametrize("locale", ["de-DE", "fr", "es-MX", "ar", "he", "en", None, "xx"])
async def test_the_page_speaks_the_customers_language(door, locale):
    path = await link_to(door, await ask(door, locale=locale))
    async with page(door) as browser:
        text = (await browser.get(path)).text
    button = {"de-DE": "Zustimmen", "fr": "Accepter", "es-MX": "Aceptar"}.get(locale, "Accept")
    assert f">{button}</button>" in text
    assert f'dir="{"rtl" if locale in {"ar", "he"} else "ltr"}"' in text


async def test_nothing_on_the_page_runs_or_leaks(door):
    path = await link_to(door, await ask(door))
    async with page(door) as browser:
        shown, style = await browser.get(path), await browser.get("/confirm.css")
    for name, value in HEADERS.items():
        assert shown.headers[name] == value
    assert shown.headers["cache-control"] == "no-store"
    policy = shown.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "script" not in policy and "unsafe" not in policy
    assert not re.search(r"<script|\son\w+=|javascript:|style=|https?://", shown.text)
    assert style.headers["content-type"].startswith("text/css") and not re.search(rb"url\(|@import", style.content)


async def test_the_log_has_no_token(door, caplog):
    path = await link_to(door, await ask(door))
    with caplog.at_level("INFO"):
        async with page(door) as browser:
            await browser.get(path)
    ours = "".join(record.getMessage() for record in caplog.records if record.name == "remit.server")
    assert path.removeprefix("/confirm/") not in ours
    assert "GET /confirm/{token}" in ours


async def test_part_is_asked_of_the_customer(door):
    async with door.client() as client:
        known = await client.post("/v1/calls", json=part(subject="cus_known"))
    assert known.json()["state"] == "succeeded", "the control: who is not asked is served at once"
