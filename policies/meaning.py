"""Check what CEL's types can't say: money has a currency, an enum has only its values, a pattern is one that RE2 takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import re2

from .schema import QUIET, Kind
from .syntax import Syntax, path_of, signature


def misreadings(syntax: Syntax, root: Kind) -> Iterator[tuple[str, int]]:
    """Give what is wrong with a well-typed condition over `root`: a message, and where in its text."""
    reads = [node for node in syntax.nodes() if node.HasField("select") and not node.select.test_only]
    priced = {signature(node.select.operand) for node in reads if node.select.field == "currency"}
    for node in reads:
        if node.select.field == "minor" and signature(node.select.operand) not in priced:
            yield from _amount_without_currency(node, syntax, root)
    for node in syntax.nodes():
        if node.HasField("call") and node.call.function in {"_==_", "_!=_", "@in"}:
            yield from _strangers(node.call, syntax, root)
        elif node.HasField("call") and node.call.function == "matches":
            yield from _unusable_pattern(node.call, syntax)


def _amount_without_currency(node: Any, syntax: Syntax, root: Kind) -> Iterator[tuple[str, int]]:
    amount = path_of(node.select.operand)
    kind = root.at(amount) if amount else None
    if kind and kind.what == "object":
        currency = kind.fields.get("currency")
        if currency is None or len(currency.values) == 1:
            return
    shown = ".".join(amount) or "the amount"
    yield f"`{shown}.minor` says nothing without its currency: compare `{shown}.currency` as well", syntax.offset(node)


def _strangers(call: Any, syntax: Syntax, root: Kind) -> Iterator[tuple[str, int]]:
    """Find constants that what is on the other side can never equal."""
    left, right = call.arguments
    for one, other in ((left, right), (right, left)):
        kind = root.at(path_of(one)) if path_of(one) else None
        for constant in (other, *other.list.items):
            text = constant.constant.text
            if kind and text and (why := kind.stranger(text)):
                yield f"`{'.'.join(path_of(one))}` is never `{text}`{why}", syntax.offset(constant)


def _unusable_pattern(call: Any, syntax: Syntax) -> Iterator[tuple[str, int]]:
    pattern = call.arguments[-1]
    try:
        re2.compile(pattern.constant.text, QUIET)
    except re2.error as error:
        reason = error.args[0]
        shown = reason.decode() if isinstance(reason, bytes) else reason
        yield f"not a pattern that RE2 takes (it has no look-around and no back-references): {shown}", syntax.offset(pattern)
