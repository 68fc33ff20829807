"""A second payment provider: a port over localstripe, which knows no idempotency keys and refunds more than was paid."""

from datetime import UTC, datetime
from typing import ClassVar

import httpx

from remit.actions import Keeping, Ledger, LedgerEntry, Money
from remit.actions.library.payments import Payment, Payments, Refund
from remit.errors import Unsure


class LocalStripe(Payments, Ledger):
    """Speak to localstripe, whose refunds take no reason and whose charges lack what Stripe's have."""

    kept: ClassVar = {"refund": Keeping.BY_OBJECT}  # it can't list by time

    def __init__(self, url: str) -> None:
        self.api = httpx.AsyncClient(base_url=url, auth=("sk_test_local", ""), trust_env=False)

    async def post(self, path: str, **form: str) -> dict:
        answer = await self.api.post(f"/v1/{path}", data=form)
        answer.raise_for_status()
        return answer.json()

    async def customer_who_bought(self, cents: int) -> tuple[str, str]:
        customer = (await self.post("customers", name="Ada"))["id"]
        card = {"number": "4242424242424242", "exp_month": "12", "exp_year": "2040", "cvc": "123"}
        method = (await self.post("payment_methods", type="card", **{f"card[{name}]": value for name, value in card.items()}))["id"]
        await self.post(f"payment_methods/{method}/attach", customer=customer)
        paid = {"amount": str(cents), "currency": "eur", "customer": customer, "payment_method": method, "confirm": "true"}
        return customer, (await self.post("payment_intents", **paid))["id"]

    async def paid_back(self, payment: str) -> list[int]:
        page = (await self.api.get("/v1/refunds", params={"payment_intent": payment, "limit": "100"})).json()
        return [refund["amount"] for refund in page["data"]]

    async def load_payment(self, payment_id: str) -> Payment | None:
        answer = await self.api.get(f"/v1/payment_intents/{payment_id}", params={"expand[]": "latest_charge"})
        if answer.status_code == 404:
            return None
        intent = answer.json()
        paid, back = intent["amount"], intent["latest_charge"]["amount_refunded"]
        return Payment(
            id=intent["id"],
            customer=intent["customer"],
            amount=Money(paid, "EUR"),
            refunded=Money(back, "EUR"),
            refundable=Money(max(paid - back, 0), "EUR"),
            created=datetime.fromtimestamp(intent["created"], UTC),
            status=intent["status"],
            disputed=False,
        )

    async def refund(self, ctx, payment_id, amount, reason) -> Refund:
        form = {"payment_intent": payment_id, "amount": str(amount.minor), "metadata[remit_call]": ctx.call_id}
        try:
            answer = await self.api.post("/v1/refunds", data=form, headers={"Idempotency-Key": ctx.idempotency_key})
            return _refund(answer.raise_for_status().json())
        except httpx.HTTPError as error:
            raise Unsure("localstripe did not say whether it was done.") from error

    async def find_refund(self, payment_id: str, call_id: str) -> Refund | None:
        page = (await self.api.get("/v1/refunds", params={"payment_intent": payment_id, "limit": "100"})).json()
        return next((_refund(one) for one in page["data"] if one["metadata"].get("remit_call") == call_id), None)

    async def entries_about(self, effect: str, about: str):
        more = {}
        while True:
            answer = await self.api.get("/v1/refunds", params={"payment_intent": about, "limit": "100", **more})
            page = answer.raise_for_status().json()
            for one in page["data"]:
                call, made = one["metadata"].get("remit_call"), datetime.fromtimestamp(one["created"], UTC)
                yield LedgerEntry(effect, one["id"], about, call=call, amount=Money(one["amount"], "EUR"), at=made)
            if not page["has_more"]:
                return
            more = {"starting_after": page["data"][-1]["id"]}

    async def entries_since(self, effect: str, since: datetime):
        raise NotImplementedError
        yield


def _refund(made: dict) -> Refund:
    return Refund(made["id"], made["payment_intent"], Money(made["amount"], "EUR"), made["status"])
