"""Hold every answer to what the OpenAPI document says of its endpoint, status and media type."""

import json
import re
from email.message import Message

import httpx
from jsonschema import Draft202012Validator


def validator(document, schema):
    return Draft202012Validator({**schema, "components": document["components"]}, format_checker=Draft202012Validator.FORMAT_CHECKER)


def media_type(header):
    message = Message()
    message["content-type"] = header
    return message.get_content_type()


class Documented(httpx.AsyncBaseTransport):
    """A transport that fails a test whose endpoint answered otherwise than it is documented."""

    def __init__(self, inner, document):
        self.inner, self.document = inner, document

    async def handle_async_request(self, request):
        response = await self.inner.handle_async_request(request)
        await response.aread()
        hold(self.document, request.method, request.url.path, response)
        return response


def hold(document, method, path, response):
    for template, item in document["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) and method.lower() in item:
            documented = item[method.lower()]["responses"]
            assert str(response.status_code) in documented, f"{method} {template} answered {response.status_code}: {response.text}"
            content = documented[str(response.status_code)]["content"]
            found = media_type(response.headers["content-type"])
            assert found in content, f"{found} is not among {list(content)}"
            validator(document, content[found]["schema"]).validate(json.loads(response.content))
            return
    assert response.status_code in {404, 405}, f"{method} {path} is not documented"
    assert media_type(response.headers["content-type"]) == "application/problem+json"
