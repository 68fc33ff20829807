"""docs/http-api.md: its examples run, in order, and it leaves out no endpoint, no scope and no code."""

import json
import re
from pathlib import Path

TEXT = (Path(__file__).parents[2] / "docs" / "http-api.md").read_text()


def exchanges():
    blocks = [parsed(block) for block in re.findall(r"```http\n(.*?)```", TEXT, re.DOTALL)]
    return list(zip(blocks[::2], blocks[1::2], strict=True))


def parsed(block):
    head, _, body = block.partition("\n\n")
    first, *headers = head.splitlines()
    return first, dict(line.split(": ", 1) for line in headers), json.loads(body) if body else None


def filled(text, known):
    """Put in place of {call}, {digest} and {shown} what the answers before gave."""
    for name, value in known.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def like(found, written):
    """Compare, where … stands for anything, also within a text."""
    if isinstance(written, dict):
        return isinstance(found, dict) and found.keys() == written.keys() and all(like(found[name], written[name]) for name in written)
    if isinstance(written, str):
        return isinstance(found, str) and re.fullmatch(".*".join(map(re.escape, written.split("…"))), found)
    return len(found) == len(written) and all(map(like, found, written)) if isinstance(written, list) else found == written


async def test_the_examples_run(door):
    known = {}
    async with door.client() as client:
        for (request, headers, body), (status, answered, outcome) in exchanges():
            method, url = filled(request, known).split()
            response = await client.request(method, url, json=json.loads(filled(json.dumps(body), known)), headers=headers)
            known |= {name: value for name, value in response.json().items() if name in {"call", "digest", "shown"}}
            assert response.status_code == int(status)
            assert like(response.json(), outcome), response.text
            assert like({name: response.headers[name] for name in answered}, answered)


def test_the_control_of_the_examples():
    _, (_, _, outcome) = exchanges()[0]
    assert like({**outcome, "call": "call_1"}, outcome)
    assert not like({**outcome, "state": "denied"}, outcome)


async def test_every_endpoint_scope_and_code_is_there(door):
    document = door.app.openapi()
    codes = set()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            row = next(line for line in TEXT.splitlines() if re.match(rf"\| `{method.upper()} {re.escape(path)}[`?]", line))
            assert "security" not in operation or f"`{operation['security'][0]['key'][0]}`" in row
            for parameter in operation.get("parameters", []):
                assert parameter["in"] != "query" or f"{parameter['name']}=" in row
            problems = [body["content"].get("application/problem+json") for body in operation["responses"].values()]
            codes |= {(one["value"]["status"], code) for problem in problems if problem for code, one in problem["examples"].items()}
    assert len(codes) > 15
    for status, code in codes:
        assert any(line.startswith(f"| {status} |") and f"`{code}`" in line for line in TEXT.splitlines()), (status, code)
