"""Form-encoded requests of Stripe's v1 API: nested names, whole numbers, and only the parameters that an operation knows."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from .ledger import Object, ProblemError

_INTEGERS = {"amount", "limit", "proration_date", "quantity", "unit_amount"}


def nested(text: str) -> Object:
    """Read `items[0][price]=p&expand[]=x` as {"items": [{"price": "p"}], "expand": ["x"]}. Raise ProblemError for a broken number."""
    root: Object = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        *outer, last = re.findall(r"[^\[\]]+|(?<=\[)(?=\])", name)
        node = root
        for part in outer:
            node = node.setdefault(part, {})
        node[last or str(len(node))] = _whole(last, value) if last in _INTEGERS and "metadata" not in outer else value
    return {name: _listed(value) for name, value in root.items()}


def bound(operation: Callable[..., Object], parameters: Object) -> Callable[[], Object]:
    """Give the operation with its parameters. Raise ProblemError for one that is unknown or missing: nothing is executed then."""
    known = inspect.signature(operation).parameters
    for name in parameters:
        if name not in known:
            raise ProblemError(f"Received unknown parameter: {name}", code="parameter_unknown", param=name)
    for name, parameter in known.items():
        if parameter.default is parameter.empty and name not in parameters:
            raise ProblemError(f"Missing required param: {name}.", code="parameter_missing", param=name)
    return partial(operation, **parameters)


def _whole(name: str, value: str) -> int:
    if not re.fullmatch("-?[0-9]{1,15}", value):
        raise ProblemError(f"Invalid integer: {value[:40]}", code="parameter_invalid_integer", param=name)
    return int(value)


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _listed(one) for name, one in value.items()}
    return list(inner.values()) if all(name.isdigit() for name in inner) else inner
