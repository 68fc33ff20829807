"""What makes it so: calls move through phases, effects happen at most once, and every step is recorded with its change."""

from .access import Access
from .breaker import Breaking
from .call import Call
from .confirmation import Confirmation
from .identity import EmailCodes, StepUp
from .outcome import Outcome
from .people import Person
from .retention import Retention
from .review import Review
from .runtime import Runtime
from .searching import Found, Page
from .searching_query import Query
from .session import ANONYMOUS, Session
from .step_up import CodeSent
from .story import Story
from .views import CallView

__all__ = [
    "ANONYMOUS",
    "Access",
    "Breaking",
    "Call",
    "CallView",
    "CodeSent",
    "Confirmation",
    "EmailCodes",
    "Found",
    "Outcome",
    "Page",
    "Person",
    "Query",
    "Retention",
    "Review",
    "Runtime",
    "Session",
    "StepUp",
    "Story",
]
