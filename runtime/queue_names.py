"""The names of the queues that wake calls on PostgreSQL: one for each action of a tenant."""

from __future__ import annotations

from hashlib import sha256

LONGEST = 40
"""Bytes: procrastinate tells of new jobs on the channel `procrastinate_queue_v1#NAME`, whose name may have 63."""


def queue_prefix(tenant: str) -> str:
    """Begin the names of a tenant's queues."""
    return f"remit.{_short(tenant, 16)}."


def queue_name(tenant: str, action: str) -> str:
    """Name the queue of an action; of what would be too long, a digest."""
    prefix = queue_prefix(tenant)
    return prefix + _short(action, LONGEST - len(prefix.encode()))


def _short(name: str, most: int) -> str:
    return name if len(name.encode()) <= most else sha256(name.encode()).hexdigest()[:16]
