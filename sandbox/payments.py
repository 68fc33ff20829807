"""A payment server on loopback that behaves as Stripe documents, with faults to order and a ledger of what really happened.

    with PaymentSandbox() as sandbox:
        sandbox.order(Fault.ANSWER_LOST)
        stripe.StripeClient("sk_test_any", base_addresses={"api": sandbox.url})

As a process of its own: `python -m remit.sandbox.payments --port 0`, controlled by requests to `/_sandbox/…`.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .account import Account
from .events import Event, Events
from .faults import Fault, Faults, Order
from .forms import nested
from .idempotency import Answer, IdempotencyKeys
from .ledger import Entry, Object, ProblemError
from .serving import Serving


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    path: str
    text: str
    key: str | None
    api_key: str

    @property
    def writes(self) -> bool:
        return self.method == "POST" and self.path != "/v1/invoices/create_preview"  # a POST that changes nothing


@dataclass(frozen=True, slots=True)
class Written:
    """Tell of one writing request that came in: `text` is its form, `status` None where no answer went out."""

    path: str
    text: str
    key: str | None
    status: int | None
    fault: Fault | None
    replayed: bool

    @property
    def call(self) -> str | None:
        """Give the call that sent it, as its metadata say."""
        metadata = nested(self.text).get("metadata")
        return metadata.get("remit_call") if isinstance(metadata, dict) else None


class PaymentSandbox(Serving):
    """Serve the sandbox while the block lasts; `port` 0 takes a free one. It takes any test key, and no live one.

    `charging` and `billing` make customers, payments, prices and subscriptions to try on.
    """

    def __init__(self, port: int = 0, *, clock: Callable[[], datetime] | None = None) -> None:
        self._source, self._ahead = clock or partial(datetime.now, UTC), timedelta()
        self._account = Account(self._now)
        self.charging, self.billing = self._account.charging, self._account.billing
        self._keys, self._faults = IdempotencyKeys(self._now), Faults()
        self._events = Events(self._source)  # whoever verifies a signature looks at a clock that nobody moves
        self._late: list[tuple[datetime, Callable[[], Any]]] = []
        self._written: list[Written] = []
        self._lock = threading.RLock()  # the server has its own thread
        routes = [
            Route("/v1/{path:path}", self._api, methods=["GET", "POST"]),
            Route("/_sandbox/{what}", self._control, methods=["GET", "POST"]),
        ]
        super().__init__(Starlette(routes=routes), port)

    def order(self, fault: Fault, *, on: str = "POST /v1/refunds", times: int = 1, seconds: float = 1) -> None:
        """Let the next `times` requests whose "METHOD /path" begins with `on` meet `fault`."""
        with self._lock:
            self._faults.order(Order(Fault(fault), on, times, seconds))

    def advance(self, by: timedelta) -> None:
        """Move the clock forward."""
        with self._lock:
            self._ahead += by

    def deliver_to(self, url: str, secret: str) -> None:
        """Send an event to `url`, signed with `secret`, whenever `settle_refund` changes a refund from now on."""
        with self._lock:
            self._events.deliver_to(url, secret)

    def settle_refund(self, refund: str, status: str) -> None:
        """Let the bank answer a refund later: `succeeded`, or `failed`, which gives the amount back to the payment.

        Returns when its events have been sent, once each; in an event loop that is to answer them, call it in a thread.
        """
        with self._lock:
            events = self._events.refund_changed(self.charging.settle_refund(refund, status))
        self._events.deliver(events)

    def events(self) -> list[Event]:
        """Give the events that were sent, in order."""
        with self._lock:
            return list(self._events.sent)

    def resend(self, event: str) -> None:
        """Send an event once more."""
        self._events.deliver([self._events.find(event)])

    def ledger(self) -> list[Entry]:
        """Give what really happened, in order."""
        with self._lock:
            self._catch_up()
            return self._account.ledger.entries()

    def written(self) -> list[Written]:
        """Give every writing request that came in, in order, whatever became of it."""
        with self._lock:
            return list(self._written)

    async def _api(self, request: Request) -> Response:
        text = request.url.query if request.method == "GET" else (await request.body()).decode()
        api_key = request.headers.get("authorization", "").removeprefix("Bearer ")
        call = _Call(request.method, request.url.path, text, request.headers.get("idempotency-key"), api_key)
        with self._lock:
            self._catch_up()
            met = self._faults.take(f"{call.method} {call.path}")
            answer = self._answer(call, met)
            replayed = answer is not None and answer.replayed
            if met.fault in {Fault.ANSWER_LOST, Fault.LATE}:
                answer = None
            if call.writes:
                self._written.append(Written(call.path, text, call.key, answer.status if answer else None, met.fault, replayed))
        if answer is None:
            request.state.abort()
            await asyncio.sleep(0)  # the connection goes first, so that this answer reaches nobody
            return Response()
        if met.fault is Fault.SLOW:
            await self.pause(met.seconds)
        headers = {"Idempotent-Replayed": "true"} if answer.replayed else {}
        if answer.status == 429:
            headers["Retry-After"] = f"{met.seconds:g}"
        return Response(answer.body, answer.status, headers, "application/json")

    def _answer(self, call: _Call, met: Order) -> Answer | None:
        """Give the answer to a call, None where nothing is done by now."""
        if met.fault is Fault.TOO_MANY:  # Stripe's rate limiter stands before everything else, and nothing is saved
            return Answer.of(ProblemError("Too many requests.", status=429, code="rate_limit"))
        if met.fault is Fault.DROPPED:
            return None
        try:
            operation = self._account.operation(call.api_key, call.method, call.path, call.text)
            saved = self._keys.begin(call.key, f"{call.path}?{call.text}") if call.writes and call.key else None
        except ProblemError as problem:
            return Answer.of(problem)
        if saved is None and met.fault is Fault.LATE:
            due = self._now() + timedelta(seconds=met.seconds)
            self._late.append((due, partial(self._perform, call, operation, Order())))
            return None
        return saved or self._perform(call, operation, met)

    def _perform(self, call: _Call, operation: Callable[[], Object], met: Order) -> Answer:
        try:
            answer = Answer.of(operation())
        except ProblemError as problem:
            answer = Answer.of(problem)
        if met.fault is Fault.ERROR_AFTER:
            answer = Answer.of(ProblemError("Something went wrong.", status=500, kind="api_error"))
        if call.writes and call.key:
            self._keys.finish(call.key, answer, after=timedelta(seconds=met.seconds if met.fault is Fault.SLOW else 0))
        return answer

    def _now(self) -> datetime:
        return self._source() + self._ahead

    def _catch_up(self) -> None:
        """Apply what was ordered to be late and is due by now."""
        due = [late for late in self._late if late[0] <= self._now()]
        self._late = [late for late in self._late if late not in due]
        for _, perform in due:
            perform()

    async def _control(self, request: Request) -> Response:
        """Serve the methods above to another process."""
        given = await request.json() if request.method == "POST" else {}
        match request.method, request.path_params["what"]:
            case "GET", "ledger":
                return JSONResponse([entry.to_json() for entry in self.ledger()])
            case "POST", "faults":
                self.order(**given)
            case "POST", "clock":
                self.advance(timedelta(seconds=given["seconds"]))
            case "POST", "refunds":  # in a thread: whoever gets its events may ask for the refund before they answer
                await asyncio.to_thread(partial(self.settle_refund, **given))
            case "GET", "events":
                return JSONResponse([asdict(event) for event in self.events()])
            case "POST", "webhook":
                self.deliver_to(**given)
            case "POST", "resend":
                await asyncio.to_thread(partial(self.resend, **given))
            case _:
                return Response(status_code=404)
        return Response(status_code=204)


def main(arguments: list[str] | None = None) -> int:
    """Serve until the process is told to end; print the address first. Give exit code 2 for a busy port."""
    parser = argparse.ArgumentParser(prog="python -m remit.sandbox.payments", description="A payment server to try Remit on.")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    port = parser.parse_args(arguments).port
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        with PaymentSandbox(port) as sandbox:
            sys.stdout.write(f"{sandbox.url}\n")
            sys.stdout.flush()
            ended.wait()
    except OSError as error:
        sys.stderr.write(f"port {port} on 127.0.0.1 can't be used ({error.strerror}); take another, or 0 for a free one\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
