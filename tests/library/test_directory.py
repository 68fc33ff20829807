"""The SCIM client against two servers: our sandbox, and scim2-server, which somebody else wrote."""

from __future__ import annotations

from types import SimpleNamespace

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from remit.actions.library.directory import Account, ScimDirectory
from remit.errors import Refused, Retryable, Unsure
from remit.sandbox.directory import DirectoryServer, Person
from remit.sandbox.serving import Serving
from tests.environments import free_port, server

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PEOPLE = [
    ("ada", ["ada@example.org"], False),
    ("bob", ["bob.second@example.org", "bob@example.org"], True),
    ("eve", [], True),
    ('quo"te\\', ["quote@example.org"], True),
    ("ada@example.org.example.org", ["long@example.org"], True),
]


@pytest.fixture(scope="module")
def foreign():
    port = free_port()
    with server("scim", ["scim2-server", "--port", str(port)], port) as url:
        ids = {}
        for name, addresses, active in PEOPLE:
            emails = [{"value": address, "primary": address.startswith(f"{name}@")} for address in addresses]
            body = {"schemas": [USER], "userName": name, "active": active, "emails": emails}
            answer = httpx.post(f"{url}/v2/Users", json=body, headers={"Content-Type": "application/scim+json"})
            ids[name] = answer.raise_for_status().json()["id"]
        yield f"{url}/v2", ids


@pytest.fixture(scope="module")
def own():
    people = [Person(f"id-{n}", name, addresses[-1] if addresses else None, active) for n, (name, addresses, active) in enumerate(PEOPLE)]
    with DirectoryServer(people) as served:
        yield f"{served.url}/v2", {person.user_name: person.id for person in people}


@pytest.fixture(params=["own", "foreign"])
def directory(request):
    url, ids = request.getfixturevalue(request.param)
    return ScimDirectory(url), ids


async def test_an_account_is_found_by_name_address_or_id(directory):
    scim, ids = directory
    bob = Account(id=ids["bob"], user_name="bob", email="bob@example.org", active=True)
    for login in ("bob", "BOB", "bob@example.org", "Bob@Example.org", ids["bob"]):
        assert await scim.find(login) == bob
    assert (await scim.find("eve")).email is None


@pytest.mark.parametrize(
    "login",
    [
        "nobody",
        "",
        '"',
        "\\",
        'x" or userName eq "bob',
        'x" or userName pr or id eq "',
        "*",
        "bob\x00",
        "bo",
        "bob@",
        "böb",
        "\ud7ff",
        "a\nb",
        "%22",
        "(" * 50,
    ],
)
async def test_no_login_finds_anybody_else(directory, login):
    assert await directory[0].find(login) is None


async def test_a_name_that_needs_escaping_is_found(directory):
    scim, ids = directory
    assert (await scim.find('quo"te\\')).id == ids['quo"te\\']


async def test_control_a_filter_without_escaping_would_find_somebody_else(directory, monkeypatch):
    scim, ids = directory
    careless = SimpleNamespace(dumps=lambda value: f'"{value}"')
    monkeypatch.setattr("remit.actions.library.directory.json", careless)
    assert (await scim.find('x" or userName eq "bob')).id == ids["bob"]


async def test_an_account_is_unlocked_and_read_as_such(directory):
    scim, ids = directory
    await scim.unlock(ids["ada"])
    await scim.unlock(ids["ada"])  # twice is once
    assert (await scim.find("ada")).active


@pytest.mark.parametrize("account", ["nobody", "../Users", "a/b", "a?b=c"])
async def test_an_account_that_is_not_there_is_a_definite_refusal(directory, account):
    with pytest.raises(Refused) as refused:
        await directory[0].unlock(account)
    assert refused.value.definite


async def test_two_accounts_with_one_name_are_nobody():
    people = [Person("1", "ada", "ada@example.org"), Person("2", "other", "ada@example.org")]
    with DirectoryServer(people) as served:
        scim = ScimDirectory(f"{served.url}/v2")
        assert await scim.find("ada@example.org") is None
        assert (await scim.find("ada")).id == "1"


async def test_the_bearer_token_is_sent():
    with DirectoryServer([Person("1", "ada")], token="t0ken") as served:
        assert (await ScimDirectory(f"{served.url}/v2", token="t0ken").find("ada")).id == "1"
        with pytest.raises(Retryable):
            await ScimDirectory(f"{served.url}/v2").find("ada")
        with pytest.raises(Refused):
            await ScimDirectory(f"{served.url}/v2", token="other").unlock("1")


@pytest.mark.parametrize(
    ("status", "signal"),
    [
        (200, Unsure),  # it shows nothing
        (204, None),
        (400, Refused),
        (401, Refused),
        (403, Refused),
        (429, Retryable),
        (302, Unsure),
        (408, Unsure),
        (409, Unsure),
        (425, Unsure),
        (500, Unsure),
        (503, Unsure),
        (0, Unsure),
    ],
)
async def test_what_each_answer_to_a_change_proves(status, signal):
    async def answers(request):
        if not status:
            request.state.abort()
        return Response(status_code=status or 204, headers={"Location": "/elsewhere", "Retry-After": "7"})

    with Serving(Starlette(routes=[Route("/Users/{id}", answers, methods=["PATCH"])])) as odd:
        change = ScimDirectory(odd.url).unlock("1")
        if signal is None:
            await change
        else:
            with pytest.raises(signal) as raised:
                await change
            assert getattr(raised.value, "definite", False) is (signal is Refused)
            assert getattr(raised.value, "after", None) == (7 if signal is Retryable else None)


@pytest.mark.parametrize(
    ("body", "known"),
    [
        ('{"id": "1", "userName": "ada", "active": true}', True),
        ('{"id": "1", "userName": "ada", "active": false}', False),
        ('{"id": "1"', False),
        ("<html>Please log in</html>", False),
    ],
)
async def test_an_answer_to_a_change_has_to_show_it(body, known):
    async def answers(request):
        return Response(body)

    with Serving(Starlette(routes=[Route("/Users/{id}", answers, methods=["PATCH"])])) as odd:
        change = ScimDirectory(odd.url).unlock("1")
        if known:
            await change
        else:
            with pytest.raises(Unsure):
                await change


async def test_an_account_is_read_back_by_its_id_alone(directory):
    scim, ids = directory
    assert await scim.read(ids["bob"]) == Account(id=ids["bob"], user_name="bob", email="bob@example.org", active=True)
    for other in ("bob", "bob@example.org", "nobody", "../Users", "a/b", "a?b=c"):
        assert await scim.read(other) is None


async def test_an_account_whose_id_is_anothers_name_is_read_back_all_the_same():
    people = [Person("1", "ada", active=False), Person("2", "1")]
    with DirectoryServer(people) as served:
        scim = ScimDirectory(f"{served.url}/v2")
        assert await scim.find("1") is None  # to which it is one of two
        await scim.unlock("1")
        assert (await scim.read("1")).active


@pytest.mark.parametrize(("status", "body"), [(200, "[]"), (200, ""), (204, ""), (302, ""), (401, ""), (429, ""), (500, ""), (404, None)])
async def test_an_account_is_missing_only_if_the_directory_says_so(status, body):
    async def answers(request):
        return Response(body, status, headers={"Location": "/", "Retry-After": "7"})

    with Serving(Starlette(routes=[Route("/Users/{id}", answers)])) as odd:
        if status == 404:
            assert await ScimDirectory(odd.url).read("1") is None
        else:
            with pytest.raises(Retryable) as raised:
                await ScimDirectory(odd.url).read("1")
            assert raised.value.after == (None if status == 200 else 7)


@pytest.mark.parametrize(
    "body", ["", "[]", "null", '{"Resources": [{}]}', '{"Resources": 1}', '{"Resources": [{"id": 1, "userName": "ada"}]}']
)
async def test_an_unreadable_answer_is_not_nobody(body):
    async def answers(request):
        return Response(body)

    with Serving(Starlette(routes=[Route("/Users", answers)])) as odd, pytest.raises(Retryable):
        await ScimDirectory(odd.url).find("ada")


async def test_an_unreachable_directory_is_retryable():
    scim = ScimDirectory(f"http://127.0.0.1:{free_port()}")
    for request in (scim.find("ada"), scim.read("1"), scim.unlock("1")):
        with pytest.raises(Retryable):
            await request
