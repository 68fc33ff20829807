"""An event as OCSF has it: class 6003, API Activity, of schema 1.8.0 (schema.ocsf.io)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

VERSION = "1.8.0"
"""The version of the OCSF schema that is written."""

_CATEGORY, _CLASS, _OTHER = 6, 6003, 99
_INFORMATIONAL = 1
_STATUS = {"call.succeeded": 1, **dict.fromkeys(("call.failed", "call.denied", "call.rejected", "call.declined"), 2)}
_STATED = {0: "Unknown", 1: "Success", 2: "Failure"}


def api_activity(event: Mapping[str, Any]) -> dict[str, Any]:
    """Write an event, as its leaf tells it with its `place`, as API Activity; what OCSF has no member for is `unmapped`."""
    status = _STATUS.get(event["kind"], 0)
    return {
        "activity_id": _OTHER,
        "activity_name": event["kind"],
        "actor": _actor(event),
        "api": _api(event),
        "category_uid": _CATEGORY,
        "class_uid": _CLASS,
        "message": event["kind"],
        "metadata": _metadata(event),
        "severity_id": _INFORMATIONAL,
        "src_endpoint": {"svc_name": "remit", "uid": event["log"]},
        "status_id": status,
        "status": _STATED[status],
        "time": int(datetime.fromisoformat(event["at"]).timestamp() * 1_000),
        "type_uid": _CLASS * 100 + _OTHER,
        "unmapped": {name: event[name] for name in ("sequence", "subject", "model", "change", "body", "commitments") if name in event},
    }


def _actor(event: Mapping[str, Any]) -> dict[str, Any]:
    principal = event.get("principal")
    if principal is None:
        return {"app_name": "remit"}
    return {"app_name": "remit", "user": {"uid": principal["id"], "type_id": _OTHER, "type": principal["kind"]}}


def _api(event: Mapping[str, Any]) -> dict[str, Any]:
    action = event.get("action", {})
    api: dict[str, Any] = {"operation": action.get("name", event["kind"]), "service": {"name": "remit"}}
    if "version" in action:
        api["version"] = str(action["version"])
    if "call" in event:
        api["request"] = {"uid": event["call"]}
    return api


def _metadata(event: Mapping[str, Any]) -> dict[str, Any]:
    told = {"version": VERSION, "product": {"name": "Remit", "vendor_name": "Remit"}, "uid": event["id"], "log_name": event["log"]}
    return told if event.get("place") is None else {**told, "sequence": event["place"]}
