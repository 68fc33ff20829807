"""What people are shown of a call before they agree to it, and a commitment to that: another price asks them anew."""

from __future__ import annotations

from typing import Any

from ..audit import canonical, keyed_hash
from .recorded import told, without_secrets
from .work import Work


def shown(work: Work) -> dict[str, Any]:
    """Give what an approver or a customer is shown: exactly what will run, what was done before, and the facts that tell it."""
    facts = told(work.facts, work.action.wording.places)
    return {
        "action": work.action.name,
        "version": work.action.version,
        "arguments": without_secrets(work.action, work.arguments.canonical),
        "subject": work.session.subject,
        "after": work.confirm,
        **({"facts": facts} if facts else {}),
    }


def commitment(work: Work) -> str:
    """Commit to what is shown: a keyed hash in hex, under the nonce that is sealed with the call."""
    return keyed_hash(bytes.fromhex(work.nonce), "shown", canonical(shown(work))).hex()
