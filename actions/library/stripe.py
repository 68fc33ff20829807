"""Reach Stripe for payments and plans, through its own SDK.

The SDK's retries are off: whether to send again is decided by Remit, which knows what was written down before. Every error
becomes one of three signals, so that only an answer under the idempotency key ever proves that nothing was applied.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar

import httpx
import stripe

from ...errors import HandlerSignal, Refused, Retryable, Unsure
from .. import Context, Keeping, Ledger, LedgerEntry, Money, SignedMoney
from .connections import BEFORE_A_BYTE, retry_after
from .database import utc_now
from .payments import NOT_PAID_BACK, Payment, Payments, Refund, RefundReason
from .plans import PlanPreview, Plans, Proration, Subscription
from .stripe_amounts import from_stripe, to_stripe

S = TypeVar("S")
T = TypeVar("T")
CALL = "remit_call"
"""The metadata by which a call finds its own effect."""


class Stripe(Payments, Plans, Ledger):
    """Connect to the Stripe account of `api_key`; `api_base` is another address for it, such as a sandbox's.

    Plans go by the `lookup_key` of their price; a price without one can't be changed to. `timeout` is in seconds and lies
    below the deadline of the actions. Close it with `aclose()` or `async with`. The SDK's telemetry, which is a setting of
    the process and writes a file, is switched off.
    """

    kept: ClassVar[Mapping[str, Keeping]] = {"refund": Keeping.ALL, "plan_change": Keeping.LATEST}

    def __init__(self, api_key: str, *, api_base: str | None = None, timeout: float = 20) -> None:
        stripe.enable_telemetry = False
        # A proxy from the environment is for the way to Stripe, not for the way to a sandbox on this machine.
        self._http = _Http(httpx.AsyncClient(timeout=timeout, trust_env=api_base is None))
        self._v1 = stripe.StripeClient(
            api_key, base_addresses={"api": api_base or stripe.DEFAULT_API_BASE}, http_client=self._http, max_network_retries=0
        ).v1

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.close_async()

    async def load_payment(self, payment_id: str) -> Payment | None:
        """Read a payment intent and its charge."""
        intent = await _found(self._v1.payment_intents.retrieve_async(payment_id, {"expand": ["latest_charge"]}))
        return None if intent is None else _payment(intent)

    async def refund(self, ctx: Context, payment_id: str, amount: Money, reason: RefundReason) -> Refund:
        """Create a refund, after making sure of the currency: Stripe would take 50 yen for 50 cents of a payment in euro."""
        wanted, payment = to_stripe(amount), await self.load_payment(payment_id)
        if payment is None:
            raise Refused("There is no such payment.", code="not_found")
        if payment.amount.currency != amount.currency:
            raise Refused(f"The payment is in {payment.amount.currency}.", code="currency_mismatch")
        request = self._v1.refunds.create_async(
            {"payment_intent": payment_id, "amount": wanted, "reason": reason, "metadata": {CALL: ctx.call_id}},
            {"idempotency_key": ctx.idempotency_key},
        )
        return _written(_refund, await _asked(request, writing=True))

    async def find_refund(self, payment_id: str, call_id: str) -> Refund | None:
        """List the payment's refunds, every page: they can't be filtered by metadata, and the Search API lags."""

        async def of_call() -> list[Refund]:
            page = await self._v1.refunds.list_async({"payment_intent": payment_id, "limit": 100})
            return [_refund(one) async for one in page.auto_paging_iter() if _made_by(one, call_id)]

        # Under a key that Stripe had pruned a failed refund may have a successor; a failed one says less than any other.
        found = sorted(await _asked(of_call()), key=lambda refund: refund.status in {"failed", "canceled"})
        return found[0] if found else None

    async def load_subscription(self, subscription_id: str) -> Subscription | None:
        """Read a subscription of one item."""
        held = await _found(self._v1.subscriptions.retrieve_async(subscription_id))
        return None if held is None else _subscription(held)

    async def preview_change(self, subscription_id: str, plan: str) -> PlanPreview | None:
        """Let Stripe preview the invoice of the change; nothing is changed by it."""
        held, price = await _found(self._v1.subscriptions.retrieve_async(subscription_id)), await self._price(plan)
        if held is None or price is None:
            return None
        item = _item(held)
        details: Any = {"items": [{"id": item.id, "price": price.id}], "proration_behavior": "always_invoice"}
        invoice = await _asked(self._v1.invoices.create_preview_async({"subscription": subscription_id, "subscription_details": details}))
        return PlanPreview(
            plan=plan,
            price=_price_of(price, item.quantity),
            interval=_interval(price),
            due=from_stripe(invoice.amount_due, invoice.currency, Money),
            lines=tuple(
                Proration(line.description or "", from_stripe(line.amount, line.currency, SignedMoney)) for line in invoice.lines.data
            ),
        )

    async def change_plan(self, ctx: Context, subscription_id: str, plan: str) -> Subscription:
        """Put another price on the subscription's item and invoice the difference; a payment that fails changes nothing.

        Nothing in the request depends on the time: in every attempt it is the same, as one idempotency key demands.
        """
        held, price = await _found(self._v1.subscriptions.retrieve_async(subscription_id)), await self._price(plan)
        if held is None or price is None:
            missing = "subscription" if held is None else "plan"
            raise Refused(f"There is no such {missing}.", code="not_found")
        request = self._v1.subscriptions.update_async(
            subscription_id,
            {
                "items": [{"id": _item(held).id, "price": price.id}],
                "proration_behavior": "always_invoice",
                "payment_behavior": "error_if_incomplete",
                "metadata": {CALL: ctx.call_id},
            },
            {"idempotency_key": ctx.idempotency_key},
        )
        return _written(_subscription, await _asked(request, writing=True))

    async def find_change(self, subscription_id: str, call_id: str) -> Subscription | None:
        """Read the subscription: the change and the mark of its call are written together."""
        held = await _asked(self._v1.subscriptions.retrieve_async(subscription_id))
        return _subscription(held) if _made_by(held, call_id) else None

    async def entries_about(self, effect: str, about: str) -> AsyncIterator[LedgerEntry]:
        """Give a payment's refunds, every page, or the change of plan that a subscription shows: each writes over the one before."""
        if effect == "plan_change":
            held = await _found(self._v1.subscriptions.retrieve_async(about))
            if held is not None and (call := _call_of(held)) is not None:
                items = held["items"].data
                plan = items[0].price.lookup_key or items[0].price.id if len(items) == 1 else None
                yield LedgerEntry("plan_change", held.id, held.id, call=call, detail=plan)
        else:
            async for refund in self._refunds({"payment_intent": about}):
                yield _entry(refund)

    async def entries_since(self, effect: str, since: datetime) -> AsyncIterator[LedgerEntry]:
        """Give the account's refunds that were created since then, every page; not by the Search API, which lags."""
        del effect  # of a plan only the latest change is kept
        async for refund in self._refunds({"created": {"gte": int(since.timestamp())}}):
            yield _entry(refund)

    async def _refunds(self, which: Any) -> AsyncIterator[stripe.Refund]:
        which["limit"] = 100
        page = await _found(self._v1.refunds.list_async(which))
        while page is not None:  # of a payment that is not there
            for refund in page.data:
                yield refund
            page = await _asked(page.next_page_async()) if page.has_more else None

    async def _price(self, plan: str) -> stripe.Price | None:
        prices = await _asked(self._v1.prices.list_async({"lookup_keys": [plan], "active": True, "limit": 1}))
        return prices.data[0] if prices.data else None


class _Http(stripe.HTTPClient):
    """Send with httpx, once; the SDK's own httpx client passes the form in a way that httpx has deprecated."""

    name = "httpx"

    def __init__(self, client: httpx.AsyncClient) -> None:
        super().__init__()
        self._httpx = client

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        try:
            answer = await self._httpx.request(method, url, headers=dict(headers), content=post_data)
        except httpx.HTTPError as error:
            raise stripe.APIConnectionError(type(error).__name__) from error  # type: ignore[no-untyped-call]
        if answer.status_code == 429:  # one of somebody before Stripe has a page as its body, and the SDK would lose what it means
            raise stripe.RateLimitError(http_status=429, headers=dict(answer.headers))
        return answer.content, answer.status_code, answer.headers

    def sleep_async(self, secs: float) -> Awaitable[None]:
        return asyncio.sleep(secs)

    async def close_async(self) -> None:
        await self._httpx.aclose()


async def _asked(request: Awaitable[T], *, writing: bool = False) -> T:
    try:
        return await request
    except stripe.StripeError as error:
        raise signal(error, writing=writing) from error


def _written(read: Callable[[S], T], answer: S) -> T:
    """Read the answer to a write; one that can't be read says nothing, whatever its status."""
    try:
        return read(answer)
    except (Refused, AttributeError, LookupError, TypeError, ValueError) as error:
        raise Unsure("Stripe's answer can't be read.") from error


async def _found(request: Awaitable[T]) -> T | None:
    try:
        return await _asked(request)
    except Refused as refused:
        if refused.reason_code == "resource_missing":
            return None
        raise


def signal(error: stripe.StripeError, *, writing: bool) -> HandlerSignal:
    """Say what an error of the SDK means for the effect: refused, not applied by this attempt, or not known.

    Definite are 400, 402 and 404: had an earlier attempt under the key been executed, its answer would have been replayed.
    401, 403 and 429 stand before the keys and prove nothing of an earlier attempt. A key that was used with other
    parameters proves nothing, nor do 408, 409, 425 and any 5xx. Source: https://docs.stripe.com/error-low-level
    """
    match error:
        case stripe.APIConnectionError() if isinstance(error.__cause__, BEFORE_A_BYTE):
            return Retryable("Stripe can't be reached.")
        case stripe.RateLimitError():
            return Retryable("Stripe asks to slow down.", after=retry_after((error.headers or {}).get("retry-after"), utc_now()))
        case stripe.AuthenticationError() | stripe.PermissionError():
            return Retryable("Stripe does not take our credentials.")
        case stripe.InvalidRequestError() | stripe.CardError():
            return Refused(error.user_message or "Stripe refused.", definite=writing, code=error.code)
        case _ if writing:
            return Unsure("Stripe did not say whether it was done.")
        case _:
            return Retryable("Stripe did not answer.")


def _made_by(made: stripe.Refund | stripe.Subscription, call_id: str) -> bool:
    return _call_of(made) == call_id


def _call_of(made: stripe.Refund | stripe.Subscription) -> str | None:
    call = made.metadata.to_dict().get(CALL) if made.metadata is not None else None
    return str(call) if call else None


def _payment(intent: stripe.PaymentIntent) -> Payment:
    charge: Any = intent.latest_charge
    captured, refunded = (charge.amount_captured, charge.amount_refunded) if charge else (0, 0)
    return Payment(
        id=intent.id,
        customer=_id(intent.customer),
        amount=from_stripe(intent.amount, intent.currency, Money),
        refunded=from_stripe(refunded, intent.currency, Money),
        refundable=from_stripe(captured - refunded, intent.currency, Money),
        created=datetime.fromtimestamp(intent.created, UTC),
        status=intent.status,
        disputed=bool(charge and charge.disputed),
    )


def _refund(refund: stripe.Refund) -> Refund:
    amount = from_stripe(refund.amount, refund.currency, Money)
    return Refund(refund.id, _id(refund.payment_intent) or "", amount, refund.status or "")


def _entry(refund: stripe.Refund) -> LedgerEntry:
    about = _id(refund.payment_intent) or _id(refund.charge) or ""
    try:
        amount = from_stripe(refund.amount, refund.currency, Money)
    except Refused:  # a currency that nothing here can have paid in
        amount = None
    made, stands = datetime.fromtimestamp(refund.created, UTC), refund.status not in NOT_PAID_BACK
    return LedgerEntry("refund", refund.id, about, call=_call_of(refund), amount=amount, at=made, stands=stands)


def _subscription(held: stripe.Subscription) -> Subscription:
    item = _item(held)
    return Subscription(
        id=held.id,
        customer=_id(held.customer),
        plan=item.price.lookup_key or item.price.id,
        price=_price_of(item.price, item.quantity),
        interval=_interval(item.price),
        renews=datetime.fromtimestamp(item.current_period_end, UTC),
        status=held.status,
    )


def _item(held: stripe.Subscription) -> stripe.SubscriptionItem:
    items: list[stripe.SubscriptionItem] = held["items"].data
    if len(items) != 1:
        raise Refused("This subscription has several parts; a colleague has to look at it.", code="several_items")
    return items[0]


def _price_of(price: stripe.Price, quantity: int | None) -> Money:
    if price.unit_amount is None:
        raise Refused("This plan has no single price; a colleague has to look at it.", code="no_single_price")
    return from_stripe(price.unit_amount * (quantity or 1), price.currency, Money)


def _interval(price: stripe.Price) -> str:
    every = price.recurring
    if every is None:
        raise Refused("This price does not recur.", code="not_a_plan")
    return every.interval if every.interval_count == 1 else f"{every.interval_count} {every.interval}s"


def _id(named: Any) -> str | None:
    """Give the id of what Stripe names by its id or, expanded, as a whole."""
    return named if isinstance(named, str) or named is None else str(named.id)
