"""The directory of the sandbox answers as RFC 7644 says, to somebody who is not our client too."""

from __future__ import annotations

import httpx
import pytest

from remit.sandbox.directory import DirectoryServer, Person


@pytest.fixture(scope="module")
def directory():
    people = [Person("1", "ada", "ada@example.org", active=False), Person("2", "bob"), Person("3", "Eve", "eve@example.org")]
    with DirectoryServer(people) as served, httpx.Client(base_url=f"{served.url}/v2") as client:
        yield client


def search(client, text, **given):
    return client.get("/Users", params={"filter": text, **given})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('userName eq "ADA"', ["1"]),
        ('emails.value eq "Eve@example.org"', ["3"]),
        ('id eq "2"', ["2"]),
        ('userName eq "bob" or id eq "1"', ["1", "2"]),
        ('userName eq "\\u0062ob"', ["2"]),
        ('emails.value eq ""', []),
        ("", ["1", "2", "3"]),
    ],
)
def test_people_are_found(directory, text, found):
    answer = search(directory, text)
    assert answer.headers["content-type"] == "application/scim+json"
    assert [user["id"] for user in answer.json()["Resources"]] == found
    assert answer.json()["totalResults"] == len(found)


@pytest.mark.parametrize(
    "text",
    ["userName", 'userName eq "ada', 'userName sw "a"', 'userName eq "ada" and id eq "1"', 'title eq "x"', 'id eq "\\q"', 'id eq "1"x'],
)
def test_a_filter_that_is_not_understood_is_said_to_be_so(directory, text):
    answer = search(directory, text)
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidFilter")


def test_a_page_is_as_long_as_was_asked(directory):
    answer = search(directory, "", count="2").json()
    assert (len(answer["Resources"]), answer["totalResults"]) == (2, 3)


def change(client, user, *operations):
    return client.patch(f"/Users/{user}", json={"schemas": [], "Operations": list(operations)})


def test_an_account_is_made_active(directory):
    assert directory.get("/Users/1").json()["active"] is False
    assert change(directory, "1", {"op": "Replace", "path": "active", "value": True}).status_code == 204
    assert directory.get("/Users/1").json()["active"] is True


@pytest.mark.parametrize(
    "operation",
    [
        {},
        {"op": "replace", "path": "userName", "value": "x"},
        {"op": "remove", "path": "active", "value": True},
        {"op": "replace", "path": "active", "value": "yes"},
        None,
    ],
)
def test_another_change_is_refused(directory, operation):
    before = directory.get("/Users/2").json()
    assert change(directory, "2", operation).status_code == 400
    assert directory.get("/Users/2").json() == before


def test_nobody_is_not_found(directory):
    assert directory.get("/Users/9").status_code == 404
    assert change(directory, "9").status_code == 404


def test_only_the_bearer_of_the_token_is_served():
    with DirectoryServer([Person("1", "ada")], token="t0ken") as served:
        for path, method in (("/Users", "GET"), ("/Users/1", "GET"), ("/Users/1", "PATCH")):
            assert httpx.request(method, f"{served.url}/v2{path}").status_code == 401
        assert httpx.get(f"{served.url}/v2/Users/1", headers={"Authorization": "Bearer t0ken"}).status_code == 200
