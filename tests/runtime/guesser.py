"""A guesser: has what lay in a database at some time, and a key file, and tries every value of a small space against all of it."""

import itertools
import json

from remit.audit import KeyedHash, KeyFile, canonical, open_, unveil, unwrap, veil
from remit.errors import AuditError

LABELS = ("subject", "person", "request", "idempotency", "effect", "limit", "limit.member")


def taken(world):
    """Take every row of every table, as a backup has it, and the raw bytes of what lies on the disk."""
    tables = {
        name: world.sql(f"SELECT * FROM {name}")
        for name in ("subject", "call", "effect", "event", "opening", "excluded", "vote", "requirement", "raised", "usage", "reservation")
    }
    ids = {
        "subject": world.sql("SELECT tenant, lookup, pseudonym, wrapped_key FROM subject"),
        "opening": world.sql("SELECT event, subject, blob FROM opening"),
        "call": world.sql("SELECT id, subject, sealed, result FROM call"),
    }
    return tables, ids, world.bytes()


def recovered(backup, keys: KeyFile, values):
    """Give which of these values can be told from what was taken, with these keys."""
    tables, ids, raw = backup
    found = {value for value in values if value.encode() in raw}
    opened = {}
    for _, _, pseudonym, wrapped in ids["subject"]:
        try:
            opened[pseudonym] = unwrap(keys.tenant_keys, bytes(wrapped), pseudonym)
        except AuditError:
            continue
    sealed = [(pseudonym, event, blob) for event, pseudonym, blob in ids["opening"]]
    sealed += [(pseudonym, call, blob) for call, pseudonym, *blobs in ids["call"] for blob in blobs if blob]
    for pseudonym, place, blob in sealed:
        if key := opened.get(pseudonym):
            try:
                text = json.dumps(json.loads(open_(key, bytes(blob), place.encode())))
            except AuditError:
                continue
            found |= {value for value in values if value in text}
    return found | guessed(tables, ids, keys, values)


def guessed(tables, ids, keys, values):
    """Hash each value in every way in which Remit hashes, and look for that in every column and every leaf."""
    there = b"\n".join(bytes(value) for rows in tables.values() for row in rows for value in row if isinstance(value, bytes | memoryview))
    for (_, lookup, *_rest), key in itertools.product(ids["subject"], keys.tenant_keys.values()):
        try:
            there += b"\n" + unveil(key, bytes(lookup))
        except AuditError:
            continue
    hashed = KeyedHash(keys.lookup_key)
    forms = {
        value: [
            *(hashed(label, text) for label in LABELS for text in (value, canonical(value))),
            *(veil(key, hashed("subject", value)) for key in keys.tenant_keys.values()),
            *(hashed("limit", canonical([series, json.dumps(value)])) for series in ("payments/mine:calls",)),
        ]
        for value in values
    }
    return {value for value, tried in forms.items() if any(one in there or one.hex().encode() in there for one in tried)}
