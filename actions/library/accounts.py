"""Help people back into their accounts: mail a link to choose a new password, unlock an account.

    Runtime([accounts], resources=[ScimDirectory(…), SmtpMail(…), ResetLinks(…)], …)

Whoever asks for a reset may be anybody, so two things hold. The mail goes to the address on file, never to one from the chat. And the
answer is the same whether or not there is such an account, and so, as far as that can be, are the steps: one question to the directory,
one link made, one session with the mail server. What really happened is in a part of the result that only staff see.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, StringConstraints

from ...errors import Refused, Retryable, Unsure
from .. import Context, Injected, Internal, Personal, Public, Subject, action, after, entered, lookup, once
from .directory import Account, Directory
from .mail import Mail
from .reset_links import ResetLinks

# SCIM compares user names and addresses without case (RFC 7643, section 4.1.1): one spelling, so that they make one effect key.
Login = Annotated[Personal[str], StringConstraints(strip_whitespace=True, to_lower=True, min_length=1, max_length=254)]

_SUBJECT = "Choose a new password"
_TEXT = """Somebody, probably you, asked us to let you choose a new password.

{link}

The link works once, and only for a short time. If it was not you, there is nothing to do: your password stays as it is.
"""


class ResetRequested(BaseModel, frozen=True):
    """What everybody is told, and, for staff alone, what was done."""

    message: Public[str] = "If there is such an account, a link to choose a new password has been sent to the address on file."
    delivery: Internal[Literal["mailed", "no_account", "no_address", "refused", "later", "unsure"]]


class Unlocked(BaseModel, frozen=True):
    """An account that is not locked."""

    account_id: Personal[str]


async def load_account(account: str, directory: Injected[Directory]) -> Account | None:
    """Load the account that a call names."""
    return await directory.find(account)


@action(
    effect=once,
    key="password_reset:{account}:{subject.id}",  # else whoever asks first for somebody's account would hold it against its owner
    again=after("15m"),
    facts={"account": load_account},
    owns=None,
    owns_reason="Who lost a password can't log in. The link goes only to the address on file, so only its owner can use it.",
    about="has(facts.account) ? facts.account.id : subject.id",
    summary={
        "en": "Send a link to choose a new password to the address on file of the account {account}.",
        "de": "Einen Link zum Wählen eines neuen Passworts an die hinterlegte Adresse des Kontos {account} senden.",
    },
    labels={"de": {"account": "Konto"}},
    ledger=entered("mail", about="call.id", only=("result.delivery", "mailed")),
)
async def send_password_reset(
    ctx: Context, directory: Injected[Directory], mail: Injected[Mail], links: Injected[ResetLinks], account: Login
) -> ResetRequested:
    """Send a link to choose a new password to the address on file of an account.

    The answer is the same whether or not there is such an account.

    Args:
        account: The user name or e-mail address of the account.
    """
    found = await directory.find(account)
    link = await links.issue(found.id if found else "")
    try:
        if found and found.email:
            return ResetRequested(delivery=await _mailed(mail, found.email, link, ctx.call_id))
        await mail.check()
    except Refused:  # an outcome of its own would tell whether there is such an account
        return ResetRequested(delivery="refused")
    return ResetRequested(delivery="no_address" if found else "no_account")


async def _mailed(mail: Mail, to: str, link: str, call: str) -> Literal["mailed", "later", "unsure"]:
    """Send the link. Only what would have stopped any mail is raised: an outcome of its own would tell that there is somebody to write to.

    A mail of unknown fate needs nobody to look: the link may be asked for again, and the newest one counts.
    """
    try:
        await mail.send(to, _SUBJECT, _TEXT.format(link=link), message_id=call)
    except Retryable:
        await mail.check()
        return "later"
    except Unsure:
        return "unsure"
    return "mailed"


async def load_own_account(subject: Subject, directory: Injected[Directory]) -> Account | None:
    """Load the account whose id is the subject's."""
    return await directory.find(subject.id)


async def _unlocked(subject: Subject, directory: Injected[Directory]) -> Unlocked | None:
    found = await directory.read(subject.id)  # not `find`, to which an account may be one of two
    return Unlocked(account_id=found.id) if found and found.active else None


@action(
    effect=lookup(_unlocked, settle="10s"),
    key="unlock_account:{subject.id}",
    again=after("15m"),
    facts={"account": load_own_account},
    owns="facts.account.id == subject.id",
    summary={"en": "Unlock your account.", "de": "Ihr Konto entsperren."},
)
async def unlock_account(ctx: Context, subject: Subject, directory: Injected[Directory]) -> Unlocked:
    """Unlock the customer's own account after too many failed attempts to log in."""
    # Setting an account active twice is setting it once, and reading it again tells whether it was: hence `lookup`.
    await directory.unlock(subject.id)
    ctx.reference(subject.id, status="active")
    return Unlocked(account_id=subject.id)
