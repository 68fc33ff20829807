"""What somebody could do to the database, and where the verifier finds it; docs/tampering.md is made of this list.

The log is that of `history`: leaves 0 to 6 before all calls, 7 to 10 a refund, 11 to 18 a transfer that was agreed to, 19 to 21 a refund
that was denied, 22 to 25 a note, 26 to 29 a cheque whose outcome is unknown; checkpoints at 7, 11, 15, 19, 26 and 30.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from remit.audit import sign
from tests.audit.tampering.hand import FORGER, Hand

RECEIVED, DECIDED, INTENDED, SUCCEEDED, HELD, VOTED, DENIED, NOTE, LAST = 7, 8, 9, 10, 13, 15, 21, 22, 29


@dataclass(frozen=True)
class Case:
    """One manipulation: in words, as done, the code of the finding that names it, and words of it that say where."""

    words: str
    do: Callable[[Hand], object]
    code: str
    place: str


def _forge(old: bytes, new: bytes, index: int) -> Callable[[Hand], None]:
    def do(hand: Hand) -> None:
        hand.change(index, old, new)
        hand.rechain(index)

    return do


def recommit(hand: Hand) -> None:
    """Change the first commitment of a leaf, and what follows from it."""
    before, _, after = hand.leaf(RECEIVED).partition(b'"commitments":{')
    name, separator, rest = after.partition(b'":"')
    hand.write(RECEIVED, before + b'"commitments":{' + name + separator + (b"0" if rest[:1] != b"0" else b"1") + rest[1:])
    hand.rechain(RECEIVED)


def _lengthen(hand: Hand) -> None:
    leaf = hand.leaf(INTENDED)
    body = leaf.index(b'"body":{') + len(b'"body":{')
    hand.write(INTENDED, leaf[:body] + b'"a":"' + b"x" * 70_000 + b'",' + leaf[body:])


def _shorten(hand: Hand) -> None:
    hand.change(LAST, b'"at":"2', b'"at":"3')
    hand.sql("UPDATE log_head SET size = ?", LAST)


def _drop(where: str, *, close: bool = False, head: bool = False) -> Callable[[Hand], None]:
    def do(hand: Hand) -> None:
        hand.sql(f"DELETE FROM event WHERE {where}")
        if close:
            hand.close_the_gap()
        if head:
            hand.set_head()

    return do


def _double(hand: Hand) -> None:
    hand.sql("DROP INDEX event_place")
    hand.copy(INTENDED, INTENDED)


def _insert(hand: Hand) -> None:
    hand.sql("DROP INDEX event_place")
    hand.sql("UPDATE event SET leaf_index = leaf_index + 1 WHERE leaf_index > ?", DENIED)
    hand.copy(DENIED, DENIED + 1)
    hand.set_head()


def _move(hand: Hand) -> None:
    hand.sql("DROP INDEX event_place")
    hand.sql("UPDATE event SET leaf_index = 1000 WHERE leaf_index = ?", NOTE)
    hand.sql("UPDATE event SET leaf_index = leaf_index - 1 WHERE leaf_index > ? AND leaf_index < 1000", NOTE)
    hand.sql("UPDATE event SET leaf_index = ? WHERE leaf_index = 1000", LAST)


def _note(change: Callable[[str], str], size: int = 30) -> Callable[[Hand], None]:
    def do(hand: Hand) -> None:
        ((note,),) = hand.sql("SELECT note FROM checkpoint WHERE size = ?", size)
        hand.sql("UPDATE checkpoint SET note = ? WHERE size = ?", change(note), size)

    return do


def _signed_by_another(hand: Hand) -> None:
    ((log_id,),) = hand.sql("SELECT value FROM store_meta WHERE key = 'log_id'")
    edge = hand.edge()
    hand.sql("UPDATE checkpoint SET note = ? WHERE size = 30", sign(log_id, edge.size, edge.root(), FORGER))


def _of_another_log(hand: Hand) -> None:
    edge = hand.edge()
    hand.sql("UPDATE checkpoint SET note = ? WHERE size = 30", sign("remit/another", edge.size, edge.root(), FORGER))


def _swap_checkpoints(hand: Hand) -> None:
    notes = dict(hand.sql("SELECT size, note FROM checkpoint WHERE size IN (11, 26)"))
    hand.sql("UPDATE checkpoint SET note = ? WHERE size = 11", notes[26])
    hand.sql("UPDATE checkpoint SET note = ? WHERE size = 26", notes[11])


def _rewritten(hand: Hand) -> None:
    """Change what was paid, and everything that follows from it, with another key."""
    _forge(b'"minor":1000', b'"minor":9000', RECEIVED)(hand)
    hand.resign(FORGER)


def _sql(sql: str, *values: object) -> Callable[[Hand], None]:
    return lambda hand: hand.sql(sql, *values) and None


CASES = (
    # leaves
    Case(
        "change the amount in a leaf",
        lambda h: h.change(RECEIVED, b'"minor":1000', b'"minor":9000', hashed=False),
        "leaf_changed",
        "leaf 7",
    ),
    Case("change it, and the hash beside it", lambda h: h.change(RECEIVED, b'"minor":1000', b'"minor":9000'), "chain_broken", "leaf 8"),
    Case(
        "change it, the hash, and the chain of the call",
        _forge(b'"minor":1000', b'"minor":9000', RECEIVED),
        "root_differs",
        "leaves 7 to 10",
    ),
    Case(
        "change the answer of an approver, with hash and chain",
        _forge(b'"approve"', b'"decline"', VOTED),
        "root_differs",
        "leaves 15 to 18",
    ),
    Case("change the name of an approver, with hash and chain", _forge(b'"fay"', b'"gus"', VOTED), "root_differs", "leaves 15 to 18"),
    Case(
        "change when it happened, in the last event of a call",
        lambda h: h.change(LAST, b'"at":"2', b'"at":"1'),
        "root_differs",
        "leaves 26 to 29",
    ),
    Case(
        "let a denied call be allowed, with hash and chain",
        _forge(b'"allowed":false', b'"allowed":true', 20),
        "root_differs",
        "leaves 19 to 25",
    ),
    Case(
        "let an allowed decision follow from other inputs",
        _forge(b'"minor":1000', b'"minor":9000', DECIDED),
        "root_differs",
        "leaves 7 to 10",
    ),
    Case(
        "let an unknown outcome be a success",
        lambda h: h.change(LAST, b"call.became_unknown", b"call.succeeded"),
        "root_differs",
        "leaves 26 to 29",
    ),
    Case(
        "give an event a kind that there is not",
        lambda h: h.change(SUCCEEDED, b"call.succeeded", b"call.triumphed"),
        "kind_unknown",
        "leaf 10",
    ),
    Case("change the hash beside a leaf", _sql("UPDATE event SET hash = zeroblob(32) WHERE leaf_index = 9"), "leaf_changed", "leaf 9"),
    Case("empty the hash beside a leaf", _sql("UPDATE event SET hash = x'' WHERE leaf_index = 9"), "leaf_changed", "leaf 9"),
    Case("empty a leaf", lambda h: h.write(INTENDED, b""), "leaf_malformed", "leaf 9"),
    Case("put what is no JSON in its place", lambda h: h.write(INTENDED, b"not a leaf"), "leaf_malformed", "leaf 9"),
    Case(
        "put JSON with blanks in its place",
        lambda h: h.write(INTENDED, h.leaf(INTENDED).replace(b'":"', b'": "', 1)),
        "leaf_malformed",
        "leaf 9",
    ),
    Case("let a leaf be longer than one may be", _lengthen, "leaf_malformed", "leaf 9"),
    Case("put the leaf of another call in its place", lambda h: h.write(INTENDED, h.leaf(28)), "event_doubled", "leaf 28"),
    Case("put the leaf of another log in its place", lambda h: h.change(0, b'"log":"remit/', b'"log":"other/'), "leaf_foreign", "leaf 0"),
    Case(
        "let an event belong to another call", lambda h: h.change(INTENDED, b'"call":"call_', b'"call":"fall_'), "event_missing", "leaf 9"
    ),
    Case("change the commitment to a personal value", recommit, "opening_mismatch", "leaf 7"),
    # rows
    Case("delete an event", _drop("leaf_index = 9"), "leaf_missing", "leaf 9"),
    Case("delete it, and close the gap", _drop("leaf_index = 9", close=True), "event_missing", "leaf 9"),
    Case("delete it, close the gap, and mend the head", _drop("leaf_index = 9", close=True, head=True), "root_differs", "leaves 7 to 10"),
    Case("delete a vote, and close the gap", _drop("leaf_index = 15", close=True, head=True), "root_differs", "leaves 15 to 18"),
    Case("delete a whole call, and close the gap", _drop("leaf_index BETWEEN 19 AND 21", close=True), "root_differs", "leaves 19 to 25"),
    Case("delete the first event of the log", _drop("leaf_index = 0"), "leaf_missing", "leaf 0"),
    Case("delete the last event", _drop("leaf_index = 29"), "log_truncated", "ends after 29"),
    Case("delete everything behind the third checkpoint", _drop("leaf_index >= 15"), "log_truncated", "ends after 15"),
    Case("delete every event", _drop("1"), "log_truncated", "ends after 0"),
    Case("let two events change places", lambda h: h.swap(9, 10), "root_differs", "leaves 7 to 10"),
    Case("let events of two calls change places", lambda h: h.swap(10, 25), "root_differs", "leaves 7 to 10"),
    Case("move an event to the end", _move, "root_differs", "leaves 19 to 25"),
    Case("give two events one place", _double, "leaf_doubled", "leaf 9"),
    Case("put a further event in the middle", _insert, "root_differs", "leaves 19 to 25"),
    Case(
        "put a further event where none was yet",
        lambda h: h.copy(LAST, LAST + 3),
        "event_doubled",
        "event 4 of this call is there more than once",
    ),
    Case("take an event's place away", _sql("UPDATE event SET leaf_index = NULL WHERE leaf_index = 9"), "leaf_missing", "leaf 9"),
    Case(
        "give an event a place that is no number",
        _sql("UPDATE event SET leaf_index = 'first' WHERE leaf_index = 9"),
        "leaf_missing",
        "leaf 9",
    ),
    Case("give an event to another tenant", _sql("UPDATE event SET tenant = 'another' WHERE leaf_index = 9"), "leaf_missing", "leaf 9"),
    Case("change the last event, and let the tree end before it", _shorten, "root_differs", "leaves 26 to 29"),
    # checkpoints
    Case("delete every checkpoint", _sql("DELETE FROM checkpoint"), "no_checkpoint", "nothing shows"),
    Case("change the size in a checkpoint", _note(lambda note: note.replace("\n30\n", "\n29\n")), "checkpoint_invalid", "size 29"),
    Case(
        "change the root in a checkpoint",
        _note(lambda note: "\n".join([*note.split("\n")[:2], "A" * 43 + "=", *note.split("\n")[3:]])),
        "checkpoint_invalid",
        "size 30",
    ),
    Case("cut the signature off", _note(lambda note: note.partition("\n\n")[0]), "checkpoint_invalid", "not signed"),
    Case(
        "put a signature of another size under a checkpoint",
        _note(lambda note: note.replace("\n26\n", "\n30\n"), 26),
        "checkpoint_invalid",
        "size 30",
    ),
    Case("sign a checkpoint with another key", _signed_by_another, "checkpoint_invalid", "size 30"),
    Case("put a checkpoint of another log in its place", _of_another_log, "checkpoint_invalid", "remit/another"),
    Case("put words in a checkpoint's place", _note(lambda _: "all is well"), "checkpoint_invalid", "not a checkpoint"),
    Case("let an older checkpoint be the newer one", _swap_checkpoints, "checkpoint_disordered", "size 11"),
    Case("write the whole log anew, signed with another key", _rewritten, "checkpoint_invalid", "size 30"),
    # bundles, and what the log is
    Case(
        "change a policy in a bundle",
        _sql("UPDATE bundle SET sources = replace(sources, '100000', '900000')"),
        "decision_unreproducible",
        "leaf 8",
    ),
    Case("break a bundle", _sql("UPDATE bundle SET sources = '{'"), "decision_unreproducible", "leaf 8"),
    Case("delete a bundle", _sql("DELETE FROM bundle"), "decision_unreproducible", "leaf 8"),
    Case("give the log another name", _sql("UPDATE store_meta SET value = 'remit/another' WHERE key = 'log_id'"), "leaf_foreign", "leaf 0"),
)
