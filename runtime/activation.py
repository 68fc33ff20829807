"""Put a policy bundle in force by a governed call: decided by the bundle in force, agreed to by others than its author, recorded.

Some things hold whatever the rules say: only people ask, whoever wrote a bundle neither approves it nor puts it in force alone,
and no bundle comes in force that could not be replaced.
"""

from __future__ import annotations

from pydantic import BaseModel

from ..actions import Context, Injected, Public, ToolCall, action, lookup, per_call
from ..errors import RemitError
from .approvals import exclude
from .bundles import ACTIVATE, Bundles, locks_itself
from .people import People
from .phases import deny
from .session import ANONYMOUS, Session
from .work import Parts, Work


class Proposed(BaseModel):
    """What rules may look at of a bundle: who wrote it, and whether it says who may replace it."""

    author: Public[str]
    replaceable: bool


class Activated(BaseModel):
    """What is in force now, and what it replaced."""

    policy: Public[str]
    before: Public[str]


async def load_proposed(bundle: str, bundles: Injected[Bundles]) -> Proposed | None:
    """Load what rules may look at."""
    try:
        return Proposed(author=(await bundles.find(bundle)).author, replaceable=locks_itself(await bundles.get(bundle)) is None)
    except RemitError:
        return None


async def find_activated(ctx: Context, bundles: Injected[Bundles]) -> Activated | None:
    """Find what this call has put in force."""
    found = await bundles.activated_by(ctx.call_id)
    return Activated(policy=found[0], before=found[1]) if found else None


@action(
    effect=lookup(find_activated, settle="1s"),
    key=per_call,
    facts={"bundle": load_proposed},
    owns=None,
    owns_reason="the policies belong to nobody; they say themselves who may replace them",
)
async def activate_policies(ctx: Context, bundle: Public[str], bundles: Injected[Bundles]) -> Activated:
    """Put a proposed policy bundle in force, everywhere and at once.

    bundle: the whole digest of the bundle
    """
    before = await bundles.activate(bundle, by=ctx.principal, call=ctx.call_id)
    return Activated(policy=bundle, before=before)


def asked(digest: str, person: str, tenant: str, channel: str) -> tuple[ToolCall, Session]:
    """Make the call that asks for a bundle, in a person's own name."""
    call = ToolCall(None, ACTIVATE, {"bundle": digest})
    return call, Session(tenant=tenant, principal=person, kind="person", subject=ANONYMOUS, channel=channel)


async def govern(parts: Parts, work: Work) -> Work:
    """Hold a change of the policies to what no rule can loosen, at every decision on it."""
    if work.action is not activate_policies:
        return work
    bundles, digest = parts.resources[Bundles], work.arguments.canonical["bundle"]
    assert isinstance(bundles, Bundles)
    try:
        proposed, loaded = await bundles.find(digest), await bundles.get(digest)
    except RemitError as error:
        return deny(work, "denied", say=error.message, why=error.message)
    # The beginning of a digest, or `shadow`, may be another bundle by the time it is agreed to.
    why = locks_itself(loaded) if digest == loaded.digest else "name the bundle by its whole digest"
    why = why or await _refusal(parts, work, proposed.author)
    return deny(work, "denied", say=why, why=why) if why else work.also(exclude(work.owner, work.call, proposed.author))


async def _refusal(parts: Parts, work: Work, author: str) -> str | None:
    """Say what stands against who asks; None where nothing does."""
    assert work.decision is not None
    principal = await People(parts).get(work.session.principal)
    if work.session.kind != "person" or principal is None or not principal.active:
        return "only people who are recorded here change the policies"
    by_another = any(one.kind == "approval" for one in work.decision.requirements)
    if principal.id.casefold() == author.casefold() and not by_another:
        return "whoever wrote a bundle does not put it in force alone: somebody else must ask for it, or approve it"
    return None
