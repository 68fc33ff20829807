"""Doors for machines: the runtime over HTTP, for hosts whose agent runs elsewhere."""

from .app import create_app
from .serving import CannotListen, listen, serve

__all__ = ["CannotListen", "create_app", "listen", "serve"]
