"""What makes it so: calls move through phases, effects happen at most once, and every step is recorded with its change."""

from .call import Call
from .outcome import Outcome
from .people import Person
from .runtime import Runtime
from .session import ANONYMOUS, Session
from .views import CallView

__all__ = ["ANONYMOUS", "Call", "CallView", "Outcome", "Person", "Runtime", "Session"]
