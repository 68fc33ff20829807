"""Check what an entry discloses: that an opening is what was committed to, and that a decision follows from its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import orjson

from ..errors import AuditError, RemitError
from .canonical import canonical
from .event import MALFORMED, Json
from .leaf import Opening, Record, commit
from .report import Finding, Report

Decide = Callable[[Json, str], Json]
"""Decide again: (inputs, policy digest) -> decision, all as JSON. Raises RemitError when it has no such policy bundle."""

_INPUTS = "/inputs/"


def check_opening(leaf: int | None, record: Record, opening: Opening | None, report: Report) -> Mapping[str, Json]:
    """Hold an opening against the commitments of its leaf; give the values that are proved, by pointer."""
    opening = opening or {}
    proved = {}
    for pointer, commitment in record.commitments.items():
        if pointer not in opening:
            report.sealed += 1
        elif _opens(commitment, pointer, opening[pointer]):
            report.opened += 1
            proved[pointer] = opening[pointer][1]
        else:
            report.mismatched += 1
            message = f"the value opened at {pointer} is not the one that was committed to"
            report.add(Finding("opening_mismatch", message, leaf, record.event.call))
    if surplus := opening.keys() - record.commitments.keys():
        message = f"its opening opens {', '.join(sorted(surplus))}, to which it does not commit"
        report.add(Finding("opening_surplus", message, leaf, record.event.call))
    return proved


def check_decision(leaf: int | None, record: Record, proved: Mapping[str, Json], decide: Decide | None, report: Report) -> None:
    """Decide again from the recorded inputs and compare; counted as attested when an input is sealed or `decide` is None."""
    body = record.event.body
    needed = [pointer for pointer in record.commitments if pointer.startswith(_INPUTS)]
    if decide is None or any(pointer not in proved for pointer in needed):
        report.attested += 1
        return
    try:
        inputs = restored(body, {pointer: proved[pointer] for pointer in needed})
        same = canonical(decide(inputs, body["policy"])) == canonical(body["decision"])
    except (RemitError, *MALFORMED) as error:  # no such bundle, or a body made by hand
        report.add(Finding("decision_unreproducible", f"it can't be decided again: {error!r}", leaf, record.event.call))
        return
    if same:
        report.reproduced += 1
    else:
        message = f"its inputs and the policies {body['policy']} give another decision than the one recorded"
        report.add(Finding("decision_differs", message, leaf, record.event.call))


def restored(body: Mapping[str, Json], opened: Mapping[str, Json]) -> Json:
    """Give the inputs of a decision as they were, from the body of its event and the values at the pointers below `/inputs/`."""
    document = {"inputs": orjson.loads(orjson.dumps(body["inputs"]))}  # a deep copy, at a tenth of what `deepcopy` takes
    for pointer, value in opened.items():
        _place(document, pointer, value)
    return document["inputs"]


def _opens(commitment: str, pointer: str, pair: Json) -> bool:
    try:
        salt, value = pair
        return commit(bytes.fromhex(salt), pointer, value) == commitment
    except (ValueError, TypeError, AuditError):  # an opening comes from outside the tree and may be anything
        return False


def _place(document: Json, pointer: str, value: Json) -> None:
    """Set the value at a JSON pointer (RFC 6901), with the objects on the way."""
    path = pointer[1:].split("/")
    *way, name = [token.replace("~1", "/").replace("~0", "~") for token in path] if "~" in pointer else path
    for token in way:
        document = document.setdefault(token, {})
    document[name] = value
