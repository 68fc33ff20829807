"""The page behind a customer's link: no script, nothing from elsewhere, every value escaped. Looking at it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl

import orjson
from fastapi import APIRouter, Depends, Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..actions import strict
from ..actions.localised import Language, language
from ..audit import State
from ..errors import AlreadySettled, AlreadyStarted, ApprovalNotOpen, CallNotFound, NotAnApprover
from ..runtime import Runtime
from ..runtime.answering import Answer
from ..runtime.confirmation import Confirmation
from .bodies import ConfirmationBody
from .door import read_body, served
from .links import Link, LinkExpired, LinkInvalid

_FOLDER = Path(__file__).parent / "templates"
_WORDS: Mapping[str, Mapping[str, Any]] = orjson.loads((_FOLDER / "confirm.json").read_bytes())
_STYLE = (_FOLDER / "confirm.css").read_bytes()
_template = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined).get_template("confirm.html")
_MARKS = {"accepted": "✓", "done": "✓", "already": "✓", "declined": "✕"}
_ANSWERS: Mapping[str | None, Answer] = {"approve": "approve", "reject": "reject"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Vary": "Accept, Accept-Language",
}
STATUS = {"invalid": 404, "already": 409, "changed": 409, "expired": 410, "unanswered": 422}
"""The HTTP status of the states that are not answered with 200."""

Served = Annotated[Runtime, Depends(served)]
pages = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Page:
    """Hold what a link leads to: its `state` (a name in confirm.json, or "open") and what was asked, where that is known."""

    state: str
    asked: Confirmation | None = None

    @property
    def body(self) -> ConfirmationBody | None:
        """Give what is asked while it is open, or what is going to be done while it can still be stopped."""
        return ConfirmationBody.of(self.asked) if self.asked and self.state in {"open", "delayed"} else None

    def response(self, request: Request) -> Response:
        """Answer a browser with a page, and whoever wants JSON alone with that."""
        status, body = STATUS.get(self.state, 200), self.body
        if _wants_json(request.headers.get("accept", "")):
            told = {"state": self.state} | ({"confirmation": body.model_dump(mode="json")} if body else {})
            return Response(orjson.dumps(told), status, HEADERS, "application/json")
        spoken = self.asked.summary.locale if self.asked else request.headers.get("accept-language", "").split(",")[0].partition(";")[0]
        return Response(self._html(language(spoken.strip()), body), status, HEADERS, "text/html; charset=utf-8")

    def _html(self, reader: Language, body: ConfirmationBody | None) -> str:
        words = next(_WORDS[tag] for tag in reader.ranges if tag in _WORDS)
        heading, detail = words.get(self.state, ("", ""))
        found: dict[str, Any] = {"heading": heading, "detail": detail, "mark": _MARKS.get(self.state, "!"), "asked": body}
        if body:
            until = datetime.fromisoformat(body.until).replace(microsecond=0).isoformat()
            found |= {"heading": body.summary.sentence or body.summary.title, "until": until, "until_text": reader.instant(until)}
        return _template.render(state=self.state, words=words, locale=reader.tag, direction=reader.direction, **found)


@pages.get("/confirm.css")
async def get_style() -> Response:
    """Give the page's style sheet."""
    return Response(_STYLE, media_type="text/css", headers={"X-Content-Type-Options": "nosniff"})


@pages.get("/confirm/{token}")
async def show_page(token: str, request: Request, runtime: Served) -> Response:
    """Show what the customer is asked, or what became of it. Changes nothing: whoever scans mail for bad links does no harm."""
    return (await _found(runtime, token))[1].response(request)


@pages.post("/confirm/{token}")
async def answer_page(token: str, request: Request, runtime: Served) -> Response:
    """Count the customer's answer once, if what they saw is still what would be done."""
    link, page = await _found(runtime, token)
    sent = _sent(request, await read_body(request)) if page.body else {}
    if link is not None and page.state == "delayed" and sent.get("answer") == "cancel":
        with suppress(AlreadyStarted, AlreadySettled):  # it was just too late: the page says how it stands
            await runtime.cancel(link.call, subject=link.subject)
        return (await _found(runtime, token))[1].response(request)
    if link is None or page.body is None:
        state = "already" if page.state in {"accepted", "done", "declined"} else page.state
    elif page.state == "delayed" or (answer := _ANSWERS.get(sent.get("answer"))) is None:
        state = "unanswered"
    elif sent.get("shown") != page.body.shown:
        state = "changed"
    else:
        try:
            await runtime.confirm(link.call, subject=link.subject, answer=answer, digest=link.digest, shown=sent["shown"])
            return (await _found(runtime, token))[1].response(request)
        except ApprovalNotOpen:  # another answer was quicker, and may have met another price
            state = "changed" if (await _found(runtime, token))[1].body else "already"
    return replace(page, state=state).response(request)


async def _found(runtime: Runtime, token: str) -> tuple[Link | None, Page]:
    """Follow a link to what it asks, and say how that stands."""
    try:
        link = Link.read(token, runtime.link_key, runtime.parts.clock.now() // 1_000_000)
        asked = await runtime.confirmation(link.call, subject=link.subject)
        state = (await runtime.get(link.call)).state
    except LinkExpired:
        return None, Page("expired")
    except (LinkInvalid, ApprovalNotOpen, CallNotFound, NotAnApprover):  # erased since, or asked of somebody else
        return None, Page("invalid")
    return link, Page(_standing(asked, link, state), asked)


def _standing(asked: Confirmation, link: Link, call: State) -> str:
    """Name how a confirmation stands, for its customer."""
    if asked.state == "delayed":
        return "delayed" if asked.digest == link.digest else "changed"
    if asked.state in {"rejected", "expired"}:
        return "declined" if asked.state == "rejected" else "expired"
    if asked.state in {"open", "voided"}:
        if call is not State.WAITING:
            return "closed"
        return "open" if asked.state == "open" and asked.digest == link.digest else "changed"
    if call in {State.DENIED, State.DECLINED, State.FAILED, State.CANCELLED, State.EXPIRED}:
        return "closed"
    return "done" if call is State.SUCCEEDED else "accepted"


def _sent(request: Request, body: bytes) -> dict[str, str]:
    """Read a form, or a widget's JSON; {} for anything else."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/x-www-form-urlencoded":
            pairs = parse_qsl(body.decode("ascii"), max_num_fields=10)
            return dict(pairs) if len(dict(pairs)) == len(pairs) else {}
        document = strict.load(body) if kind == "application/json" else {}
    except (ValueError, strict.Unreadable):
        return {}
    return {name: text for name, text in document.items() if isinstance(text, str)} if isinstance(document, dict) else {}


def _wants_json(accept: str) -> bool:
    types = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return "application/json" in types and "text/html" not in types
