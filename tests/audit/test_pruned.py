"""A log whose front was pruned: verified from the tree that it begins with, held to what it says of that itself, and counted where it is cut."""

from dataclasses import dataclass, field, replace

import pytest

from remit.audit import (
    Entry,
    Event,
    FolderLog,
    Hashes,
    RightEdge,
    SeenLog,
    TileLog,
    check_consistency,
    check_inclusion,
    export,
    export_tiles,
    folder_fetch,
    leaf_hash,
    prove_consistency,
    prove_inclusion,
    root,
    verify,
    verify_checkpoint,
)
from remit.audit.pruned import BLOCK, edge_from_json, edge_to_json, tree_over
from remit.errors import AuditError
from tests.audit.building import MadeLog, allowed, approved, decide, log_of, read, uncertain

ODD = "pruning_unrecorded"


def tree(rows):
    edge = RightEdge()
    for row in rows:
        edge.append(leaf_hash(row.leaf))
    return edge


@dataclass
class Cut(MadeLog):
    """A log that begins behind the first so many leaves."""

    before: list[Entry] = field(default_factory=list)

    @property
    def begins(self):
        return tree(self.before)

    def blocks(self):
        hashes = [leaf_hash(row.leaf) for row in self.before]
        return [root(hashes[at : at + BLOCK]) for at in range(0, len(hashes), BLOCK)]


def cut(log, below):
    return Cut(log.rows[below:], log.notes, log.sources, log.origin, log.log_id, log.public_key, log.rows[:below])


def recorded(log, below, **body):
    """Let the log say that it was pruned before a leaf, under a checkpoint."""
    told = {"below": below, "root": tree(log.rows[:below]).root().hex(), **body}
    at = "2026-10-01T10:00:00.000000Z"
    return log.place(Event(kind="retention.pruned", at=at, id=f"p{below}", tenant="default", body=told)).checkpoint()


def codes(report):
    return [one.code for one in report.findings]


def long():
    """Two blocks of leaves and more."""
    return log_of(*(allowed(f"c{number}") for number in range(150)))


def test_it_verifies_wherever_it_is_cut_and_says_what_it_could_not_check():
    log = log_of(allowed(), approved(), uncertain(), read())
    for below in range(1, len(log.rows)):
        whole = recorded(log_of(allowed(), approved(), uncertain(), read()), below)
        report = verify(cut(whole, below), decide=decide)
        assert report.ok, (below, report.findings)
        assert report.begins == below and report.unchecked > 0 and report.uncovered == 0


def test_control_whole_it_checks_everything():
    report = verify(recorded(log_of(allowed(), approved()), 0), decide=decide)
    assert report.ok and (report.begins, report.unchecked) == (0, 0)


def test_without_an_event_that_says_so_it_is_found():
    (found,) = verify(cut(log_of(allowed(), approved()), 3)).findings
    assert (found.code, found.leaf) == (ODD, 3) and "no event tells of any" in found.message


def test_an_event_of_another_place_or_tree_does_not_say_so():
    assert codes(verify(cut(recorded(log_of(allowed(), approved()), 2), 3))) == [ODD]
    assert codes(verify(cut(recorded(log_of(allowed(), approved()), 3, root="00"), 3))) == ["pruning_differs"]


def test_nor_does_one_that_no_checkpoint_covers():
    log = recorded(log_of(allowed(), approved()), 3)
    log.notes.pop()
    assert codes(verify(cut(log, 3))) == [ODD]
    log.rows[-1] = replace(log.rows[-1], index=None)
    assert codes(verify(cut(log, 3))) == [ODD]


def test_one_that_would_have_pruned_itself_is_found():
    log = log_of(allowed()).place(
        Event(kind="retention.pruned", at="2026-10-01T10:00:00.000000Z", id="p", tenant="default", body={"below": 99})
    )
    assert codes(verify(log.checkpoint())) == ["pruning_unfounded"]


def test_another_tree_before_it_is_found():
    log = cut(recorded(log_of(allowed(), approved()), 4), 4)
    log.before[1] = log.before[0]
    found = verify(log).findings
    assert {one.code for one in found} == {"root_differs", ODD} and "does not begin with what was pruned" in found[0].message


def test_a_leaf_that_is_missing_behind_the_place_is_found():
    log = cut(recorded(log_of(allowed(), approved()), 4), 4)
    del log.rows[0]
    first = verify(log).findings[0]
    assert (first.code, first.leaf) == ("leaf_missing", 4)


def test_of_a_call_that_began_before_gaps_and_a_broken_chain_are_found():
    log = recorded(log_of(approved()), 2)
    assert verify(cut(log, 2)).ok, "the control"
    gone = cut(log, 2)
    del gone.rows[1]
    assert "event_missing" in codes(verify(gone))
    changed = cut(log, 2)
    changed.rows[1] = replace(changed.rows[1], leaf=changed.rows[1].leaf.replace(b'"previous":"', b'"previous":"0', 1))
    assert "chain_broken" in codes(verify(changed))


def test_an_exported_folder_says_where_it_begins(tmp_path):
    log = cut(recorded(log_of(allowed(), approved(), read()), 5), 5)
    export(log, tmp_path / "log")
    assert b'"v": 2' in (tmp_path / "log" / "log.json").read_bytes()
    folder = FolderLog(tmp_path / "log")
    assert verify(folder) == verify(log) and verify(folder).begins == 5
    assert verify(SeenLog(folder, log.notes[-1])).ok and not SeenLog(folder, log.notes[-1]).pruned
    assert SeenLog(cut(log, 9), log.notes[0]).pruned, "nothing holds the log to it"
    export(FolderLog(tmp_path / "log"), tmp_path / "again")
    assert verify(FolderLog(tmp_path / "again")) == verify(log)
    with pytest.raises(AuditError, match="export tiles from the database"):
        export_tiles(folder, tmp_path / "tiles")


@pytest.mark.parametrize("wrong", ["{}", '{"index": 5, "edge": []}', '{"index": -1, "edge": []}', '{"index": 1, "edge": ["zz"]}', "7"])
def test_a_folder_that_does_not_say_it_right_is_refused(tmp_path, wrong):
    log = cut(recorded(log_of(allowed(), approved()), 4), 4)
    export(log, tmp_path / "log")
    file = tmp_path / "log" / "log.json"
    before, _, after = file.read_text().partition('"from": ')
    file.write_text(before + '"from": ' + wrong + after[after.index("}") + 1 :])
    with pytest.raises(AuditError):
        FolderLog(tmp_path / "log")


def test_a_whole_log_is_of_the_format_of_before(tmp_path):
    export(log_of(allowed()), tmp_path / "log")
    assert b'"v": 1' in (tmp_path / "log" / "log.json").read_bytes()
    assert edge_from_json(edge_to_json(tree([]))).size == 0


# tiles


def tiles(tmp_path, log, name="tiles"):
    export_tiles(log, tmp_path / name)
    return TileLog(folder_fetch(tmp_path / name))


def test_tiles_begin_at_the_place_and_prove_what_is_kept_and_how_it_grew(tmp_path):
    log = recorded(long(), 2 * BLOCK)
    written = tiles(tmp_path, cut(log, 2 * BLOCK))
    report = verify(written, decide=decide)
    assert report.ok and report.begins == 2 * BLOCK, report.findings
    signed = verify_checkpoint(log.notes[-1], log.origin, log.public_key)
    nodes = Hashes(folder_fetch(tmp_path / "tiles"), signed.size)
    for index in (2 * BLOCK, len(log.rows) - 1):
        check_inclusion(leaf_hash(log.rows[index].leaf), index, signed.size, prove_inclusion(index, signed.size, nodes), signed.root)
    for old in (BLOCK, 2 * BLOCK, 2 * BLOCK + 7):
        check_consistency(old, signed.size, prove_consistency(old, signed.size, nodes), tree(log.rows[:old]).root(), signed.root)
    with pytest.raises(AuditError, match="is missing"):
        prove_inclusion(3, signed.size, nodes)


def test_tiles_that_do_not_begin_where_they_say_are_found(tmp_path):
    tiles(tmp_path, cut(recorded(long(), BLOCK), BLOCK))
    file = tmp_path / "tiles" / "log.json"
    text = file.read_text()
    file.write_text(text.replace('"index": 256', '"index": 512'))
    assert codes(verify(TileLog(folder_fetch(tmp_path / "tiles")))) == [ODD]
    file.write_text(text.replace('"index": 256', '"index": 0'))
    assert codes(verify(TileLog(folder_fetch(tmp_path / "tiles"))))[0] == "unreadable"
    file.write_text(text.replace('"index": 256', '"index": 25600'))
    assert codes(verify(TileLog(folder_fetch(tmp_path / "tiles")))) == ["unreadable"]
    for wrong in ("255", "-256", '"256"', "true"):
        file.write_text(text.replace('"index": 256', f'"index": {wrong}'))
        with pytest.raises(AuditError, match="does not describe"):
            TileLog(folder_fetch(tmp_path / "tiles"))


@pytest.mark.parametrize("blocks", [1, 2, 3, 255, 256, 257])
def test_the_tree_over_blocks_is_that_over_their_leaves(blocks):
    hashes = [leaf_hash(str(number).encode()) for number in range(blocks * BLOCK)]
    edge = RightEdge()
    for each in hashes:
        edge.append(each)
    made = tree_over([root(hashes[at : at + BLOCK]) for at in range(0, len(hashes), BLOCK)])
    assert made.to_bytes() == edge.to_bytes()
