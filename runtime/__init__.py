"""What makes it so: calls move through phases, effects happen at most once, and every step is recorded with its change."""

from .breaker import Breaking
from .call import Call
from .confirmation import Confirmation
from .identity import EmailCodes, StepUp
from .outcome import Outcome
from .people import Person
from .review import Review
from .runtime import Runtime
from .session import ANONYMOUS, Session
from .step_up import CodeSent
from .views import CallView

__all__ = [
    "ANONYMOUS",
    "Breaking",
    "Call",
    "CallView",
    "CodeSent",
    "Confirmation",
    "EmailCodes",
    "Outcome",
    "Person",
    "Review",
    "Runtime",
    "Session",
    "StepUp",
]
