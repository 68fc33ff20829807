"""Change the plan of a subscription, after a preview of what it costs, or look one up: two ports and the actions over them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field

from ...errors import Refused
from .. import Context, Injected, Internal, Money, SignedMoney, action, after, entered, keyed, read

# It becomes part of an address at the provider, so it holds nothing that means something there.
Identifier = Annotated[str, Field(pattern="^[A-Za-z0-9_-]{1,255}$")]


@dataclass(frozen=True, slots=True)
class Subscription:
    """Describe a subscription: `plan` is the name that plans are chosen by, `price` what it costs each `interval`.

    `renews` is when the current period ends, aware; `status` is the provider's word, such as `active`.
    """

    id: str
    customer: Internal[str | None]
    plan: str
    price: Money
    interval: str
    renews: datetime
    status: str


@dataclass(frozen=True, slots=True)
class Proration:
    """Describe one line of a preview: a credit is negative."""

    description: str
    amount: SignedMoney


@dataclass(frozen=True, slots=True)
class PlanPreview:
    """Say what a change would cost: `due` at once, then `price` each `interval`. A moment later `due` may be a little less."""

    plan: str
    price: Money
    interval: str
    due: Money
    lines: tuple[Proration, ...]


class PlansReader(ABC):
    """Read subscriptions and what a change would cost; this is all that facts and look-ups are given."""

    @abstractmethod
    async def load_subscription(self, subscription_id: str) -> Subscription | None:
        """Find a subscription; None where there is none."""

    @abstractmethod
    async def preview_change(self, subscription_id: str, plan: str) -> PlanPreview | None:
        """Say what a change to `plan` would cost now; None where there is no such subscription or plan."""

    @abstractmethod
    async def find_change(self, subscription_id: str, call_id: str) -> Subscription | None:
        """Find the change that a call made; None only where it certainly made none by now."""


class Plans(PlansReader):
    """Read subscriptions and change their plans."""

    @abstractmethod
    async def change_plan(self, ctx: Context, subscription_id: str, plan: str) -> Subscription:
        """Change to `plan` now and charge the difference, noting `ctx.call_id` where `find_change` finds it.

        Read `ctx.idempotency_key` only when sending. Raise Retryable, Unsure or Refused: definite only where the provider
        refused under that key, so that an earlier attempt under it can't have been applied either.
        """


async def load_subscription(subscription_id: str, plans: Injected[PlansReader]) -> Subscription | None:
    """Load the subscription as a fact."""
    return await plans.load_subscription(subscription_id)


async def preview_change(subscription_id: str, plan: str, plans: Injected[PlansReader]) -> PlanPreview | None:
    """Load what the change would cost as a fact, for rules and for whoever confirms it."""
    return await plans.preview_change(subscription_id, plan)


async def find_change(ctx: Context, subscription_id: str, plans: Injected[PlansReader]) -> Subscription | None:
    """Look up whether this call has changed the plan."""
    changed = await plans.find_change(subscription_id, ctx.call_id)
    return None if changed is None else _settled(ctx, changed)


@action(
    effect=keyed("24h", lookup=find_change),
    key="plan:{subscription_id}",
    again=after("15m"),  # a customer may change their mind; a model that goes to and fro may not
    facts={"subscription": load_subscription, "preview": preview_change},
    owns="facts.subscription.customer == subject.id",
    tags=["money"],  # no undo=: going back would leave a credit, and not pay back what was charged
    ledger=entered("plan_change", about="arguments.subscription_id", detail="arguments.plan"),
    summary={
        "en": "Change the subscription {subscription_id} to {plan} now: {facts.preview.due} at once, then {facts.preview.price} each period.",
        "de": "Das Abonnement {subscription_id} jetzt auf {plan} umstellen: sofort {facts.preview.due}, dann {facts.preview.price} je Periode.",
    },
    labels={"en": {"subscription_id": "Subscription"}, "de": {"subscription_id": "Abonnement", "plan": "Tarif"}},
)
async def change_plan(ctx: Context, subscription_id: Identifier, plan: Identifier, plans: Injected[Plans]) -> Subscription:
    """Change a subscription to another plan now; the difference for the rest of the period is charged at once.

    Args:
        subscription_id: The subscription to change, such as sub_1PZ1.
        plan: The plan to change to, such as pro_monthly.
    """
    return _settled(ctx, await plans.change_plan(ctx, subscription_id, plan))


@action(effect=read, facts={"subscription": load_subscription}, owns="facts.subscription.customer == subject.id", tags=["money"])
async def look_up_subscription(subscription_id: Identifier, plans: Injected[PlansReader]) -> Subscription:
    """Look up a subscription of the customer: plan, price, and when it renews.

    Args:
        subscription_id: The subscription to look up, such as sub_1PZ1.
    """
    subscription = await plans.load_subscription(subscription_id)
    if subscription is None:
        raise Refused("There is no such subscription.", code="not_found")
    return subscription


def _settled(ctx: Context, changed: Subscription) -> Subscription:
    ctx.reference(changed.id, status=changed.status)
    return changed
