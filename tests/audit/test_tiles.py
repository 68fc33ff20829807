"""A log in tiles is laid out as C2SP tlog-tiles says, reads back as it was, grows where it ended, and shows what was done to it."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.audit import (
    LARGEST,
    Entry,
    FolderLog,
    Hashes,
    SeenLog,
    TileLog,
    check_consistency,
    check_inclusion,
    export,
    export_tiles,
    folder_fetch,
    prove_consistency,
    prove_inclusion,
    root,
    sign,
    verifier_key,
    verify,
    verify_checkpoint,
)
from remit.audit import tile_export as tile_export_module
from remit.audit.tiles import Tile
from remit.errors import AuditError
from tests.audit.building import KEY, ORIGIN, POLICY, allowed, approved, decide, log_of, read, uncertain
from tests.audit.tiny import TinyLog, hash_at, leaf, note


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def layout(folder):
    return {name for name in files(folder) if name.startswith("tile/")}


def tiles_of(log, folder):
    export_tiles(log, folder)
    return TileLog(folder_fetch(folder))


@pytest.fixture
def story():
    return log_of(allowed(), approved(), uncertain(), read())


@pytest.fixture
def folder(tmp_path):
    export_tiles(log_of(*(allowed(f"c{number}") for number in range(70))), tmp_path / "log")  # 280 leaves: a full bundle and a part
    return tmp_path / "log"


# The layout


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 999, 3), "tile/0/999.p/3"),
        (Tile(1, 1000), "tile/1/x001/000"),
        (Tile(None, 1_234_067, 255), "tile/entries/x001/x234/067.p/255"),
        (Tile(63, 123_456), "tile/63/x123/456"),
    ],
)
def test_a_tile_lies_where_the_specification_says(tile, path):
    assert tile.path == path


@pytest.mark.parametrize(
    ("size", "names"),
    [
        (0, set()),
        (1, {"tile/0/000.p/1", "tile/entries/000.p/1"}),
        (256, {"tile/0/000", "tile/entries/000", "tile/1/000.p/1"}),
        (257, {"tile/0/000", "tile/entries/000", "tile/1/000.p/1", "tile/0/001.p/1", "tile/entries/001.p/1"}),
    ],
)
def test_there_are_the_tiles_of_the_size_and_no_others(tmp_path, size, names):
    export_tiles(TinyLog(size), tmp_path / "log")
    assert layout(tmp_path / "log") == names


def test_the_example_of_the_specification(tmp_path):
    """70,000 leaves: 273 full tiles and one of 112, above them one full and one of 17, above those one of 1."""
    log = tiles_of(TinyLog(70_000), tmp_path / "log")
    full = {f"{number:03}" for number in range(273)}
    hashes = {f"tile/0/{name}" for name in full} | {"tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"}
    assert layout(tmp_path / "log") == hashes | {f"tile/entries/{name}" for name in full} | {"tile/entries/273.p/112"}
    assert sum(entry.leaf == leaf(entry.index) for entry in log.entries()) == 70_000


def test_the_bytes_are_the_specified_ones(tmp_path):
    export_tiles(TinyLog(257), tmp_path / "log")
    held = files(tmp_path / "log")
    assert held["tile/0/000"] == b"".join(map(hash_at, range(256)))
    assert held["tile/1/000.p/1"] == root(map(hash_at, range(256)))
    assert held["tile/entries/001.p/1"] == b"\x00\x03256"
    assert held["checkpoint"].decode() == note(257)


# Reading


def test_tiles_verify_like_their_log(story, tmp_path):
    log = tiles_of(story, tmp_path / "log")
    report = verify(log)
    assert (report.ok, report.entries, report.checkpoints, report.uncovered) == (True, len(story.rows), 1, 0)
    assert [(row.index, row.leaf, row.hash) for row in log.entries()] == [(row.index, row.leaf, row.hash) for row in story.rows]
    assert log.bundles() == {POLICY: {"refunds.yaml": "policy: refunds\n"}}
    assert (log.origin, log.log_id, log.public_key, log.size) == (story.origin, story.log_id, story.public_key, len(story.rows))


def test_no_personal_value_is_in_tiles(story, tmp_path):
    export(story, tmp_path / "folder")
    export_tiles(story, tmp_path / "tiles")
    assert any(b"pay_77" in data for data in files(tmp_path / "folder").values())  # the control: it would be seen
    assert not any(b"pay_77" in data for data in files(tmp_path / "tiles").values())
    assert verify(TileLog(folder_fetch(tmp_path / "tiles")), decide=decide).attested


def test_what_no_checkpoint_covers_is_left_out(story, tmp_path):
    size = len(story.rows)
    story.rows.append(Entry(None, story.rows[0].leaf))
    assert verify(tiles_of(story, tmp_path / "log")).entries == size


@given(st.integers(1, 600), st.data())
def test_proofs_come_out_of_the_tiles(tmp_path_factory, size, data):
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    nodes = Hashes(folder_fetch(_of_600(tmp_path_factory)), 600)
    tree = [root(map(hash_at, range(each))) for each in (old, size, 600)]
    check_inclusion(hash_at(index), index, 600, prove_inclusion(index, 600, nodes), tree[2])
    check_consistency(old, size, prove_consistency(old, size, nodes), tree[0], tree[1])


def _of_600(factory):
    folder = factory.getbasetemp() / "six-hundred"
    if not folder.exists():
        export_tiles(TinyLog(600), folder)
    return folder


def test_there_is_no_hash_beyond_the_size(tmp_path):
    export_tiles(TinyLog(300), tmp_path / "log")
    with pytest.raises(AuditError, match="no full subtree"):
        Hashes(folder_fetch(tmp_path / "log"), 300)(0, 300)


def test_reading_keeps_one_bundle_at_a_time(tmp_path):
    export_tiles(TinyLog(1_000), tmp_path / "log")
    fetch, fetched = folder_fetch(tmp_path / "log"), []
    log = TileLog(lambda path, most: fetched.append(path) or fetch(path, most))
    entries = log.entries()
    for _ in range(300):
        next(entries)
    assert [path for path in fetched if "entries" in path] == ["tile/entries/000", "tile/entries/001"]


# Growing


@settings(max_examples=30)
@given(st.lists(st.integers(0, 700), min_size=1, max_size=4).map(sorted))
def test_a_folder_grows_to_what_one_export_writes(tmp_path_factory, sizes):
    grown, whole = tmp_path_factory.mktemp("grown") / "log", tmp_path_factory.mktemp("whole") / "log"
    for size in sizes:
        export_tiles(TinyLog(size), grown)
    export_tiles(TinyLog(sizes[-1]), whole)
    assert verify_checkpoint((grown / "checkpoint").read_text(), ORIGIN, KEY.public_key().public_bytes_raw()).size == sizes[-1]
    assert files(whole).items() <= files(grown).items()
    kept = {name: int(name.rpartition("/")[2]) for name in files(grown).keys() - files(whole).keys()}  # parts, as of older checkpoints
    assert all(".p/" in name for name in kept)


def test_growing_writes_only_what_is_new(tmp_path, monkeypatch):
    export_tiles(TinyLog(2_000), tmp_path / "log")
    placed, place = [], tile_export_module._place
    monkeypatch.setattr(tile_export_module, "_place", lambda path, data, **more: placed.append(path.name) or place(path, data, **more))
    export_tiles(TinyLog(2_001), tmp_path / "log")
    assert placed == ["log.json", "209", "209", "checkpoint"]


def test_a_part_that_has_become_whole_goes_and_a_reader_of_the_older_checkpoint_finds_the_whole(tmp_path):
    export_tiles(TinyLog(200), tmp_path / "log")
    older = (tmp_path / "log" / "checkpoint").read_bytes()
    export_tiles(TinyLog(300), tmp_path / "log")
    assert not (tmp_path / "log" / "tile/0/000.p").exists()
    (tmp_path / "log" / "checkpoint").write_bytes(older)
    assert [entry.leaf for entry in TileLog(folder_fetch(tmp_path / "log")).entries()] == list(map(leaf, range(200)))


def test_a_stopped_export_leaves_the_log_that_was_there(tmp_path, monkeypatch):
    export_tiles(TinyLog(200), tmp_path / "log")
    place = tile_export_module._place
    for stopped_at in ("tile/0/000", "tile/entries/000", "tile/0/002", "checkpoint"):

        def stops(path, data, at=stopped_at, **more):
            if str(path).endswith(at):
                raise KeyboardInterrupt
            place(path, data, **more)

        monkeypatch.setattr(tile_export_module, "_place", stops)
        with pytest.raises(KeyboardInterrupt):
            export_tiles(TinyLog(800), tmp_path / "log")
        assert len(list(TileLog(folder_fetch(tmp_path / "log")).entries())) == 200
    monkeypatch.setattr(tile_export_module, "_place", place)
    export_tiles(TinyLog(800), tmp_path / "log")
    assert [entry.leaf for entry in TileLog(folder_fetch(tmp_path / "log")).entries()] == list(map(leaf, range(800)))


def test_a_stopped_first_export_leaves_nothing_that_looks_whole(tmp_path):
    log = TinyLog(800)
    log.entries = lambda _start: (Entry(index, leaf(index)) for index in [*range(500), 501])
    with pytest.raises(AuditError, match="leaf 500 is missing"):
        export_tiles(log, tmp_path / "log")
    with pytest.raises(AuditError, match="checkpoint is missing"):
        TileLog(folder_fetch(tmp_path / "log"))
    assert not [name for name in files(tmp_path / "log") if name.endswith(".new")]
    export_tiles(TinyLog(800), tmp_path / "log")


EDGE = ["tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44"]


@pytest.mark.parametrize("name", EDGE)
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "truncated"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"), "not those that its checkpoint at size 300 signed"),
        (lambda path: path.write_bytes(path.read_bytes() + bytes(32)), "added"),
        (lambda path: path.unlink(), "is missing"),
    ],
)
def test_an_old_tile_that_was_damaged_is_refused(tmp_path, name, damage, words):
    export_tiles(TinyLog(300), tmp_path / "log")
    damage(tmp_path / "log" / name)
    before = files(tmp_path / "log")
    with pytest.raises(AuditError, match=words):
        export_tiles(TinyLog(301), tmp_path / "log")
    assert files(tmp_path / "log") == before


def test_another_folder_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(AuditError, match="holds no log in tiles"):
        export_tiles(TinyLog(3), tmp_path / "mine")
    assert files(tmp_path / "mine") == {"thesis.txt": b""}


def test_another_log_or_an_older_one_does_not_go_into_a_folder(tmp_path):
    export_tiles(TinyLog(10), tmp_path / "log")
    before = files(tmp_path / "log")
    other = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
    foreign = TinyLog(11, public_key=other.public_key().public_bytes_raw())
    foreign.checkpoints = lambda: iter([note(11, other)])
    with pytest.raises(AuditError, match="not the key that was given"):
        export_tiles(foreign, tmp_path / "log")
    with pytest.raises(AuditError, match="older one, at 9"):
        export_tiles(TinyLog(9), tmp_path / "log")
    assert files(tmp_path / "log") == before


def test_another_history_is_not_published(tmp_path):
    """The old leaves were changed in the database and signed anew: the tiles hold the old ones, and the root shows it."""
    export_tiles(TinyLog(10), tmp_path / "log")
    forged = TinyLog(11)
    edge = root([hash_at(99), *map(hash_at, range(1, 11))])
    forged.checkpoints = lambda: iter([sign(ORIGIN, 11, edge, KEY)])
    with pytest.raises(AuditError, match="signed over other leaves"):
        export_tiles(forged, tmp_path / "log")
    assert TileLog(folder_fetch(tmp_path / "log")).size == 10


def test_a_log_without_a_checkpoint_has_no_tiles(story, tmp_path):
    story.notes = []
    with pytest.raises(AuditError, match="no checkpoint yet"):
        export_tiles(story, tmp_path / "log")


def test_the_largest_leaf_fits_and_a_larger_one_is_refused(tmp_path):
    for size, fits in ((LARGEST, True), (LARGEST + 1, False)):
        log = log_of(allowed())
        log.rows[1] = replace(log.rows[1], leaf=b"x" * size)
        log.resign()
        if fits:
            assert [entry.leaf for entry in tiles_of(log, tmp_path / "fits").entries()] == [row.leaf for row in log.rows]
        else:
            with pytest.raises(AuditError, match="leaf 1 has 65536 bytes; at most 65535 fit"):
                export_tiles(log, tmp_path / "log")
            assert any("at most 65535 fit" in str(finding) and finding.leaf == 1 for finding in verify(log).findings)


def test_a_bundle_can_name_no_file_outside(story, tmp_path):
    story.sources = {"../../escaped": {}}
    with pytest.raises(AuditError, match="not the digest"):
        export_tiles(story, tmp_path / "log")


# What was done to it


def leaves_of(data):
    found, at = [], 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        found.append(data[at:end])
        at = end
    return found


def edit(name, change):
    def damage(folder):
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    return damage


def entries(change, name="tile/entries/000"):
    return edit(name, lambda data: b"".join(change(leaves_of(data))))


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("damage", "words", "leaf"),
    [
        (edit("tile/0/000", lambda data: data[:-32]), "tile/0/000 has 8160 bytes, not 8192: it was truncated", None),
        (edit("tile/0/000", lambda data: data[:-1]), "it was truncated", None),
        (edit("tile/0/000", lambda data: data + data[:32]), "tile/0/000 has more than the 8192 bytes", None),
        (edit("tile/1/000.p/1", lambda _: b""), "tile/1/000.p/1 has 0 bytes, not 32: it was truncated", None),
        (edit("tile/1/000.p/1", lambda data: flipped(data, 7)), "tile/1/000.p/1 was changed", None),
        (edit("tile/0/001.p/24", lambda data: flipped(data, 32)), "not those whose hash was stored beside it", 257),
        (edit("tile/0/000", lambda data: flipped(data, 64)), "not those whose hash was stored beside it", 2),
        (edit("tile/entries/001.p/24", lambda data: data[:-5]), "tile/entries/001.p/24 ends within leaf 279: it was truncated", None),
        (edit("tile/entries/000", lambda data: data + b"\x00"), "tile/entries/000 ends within leaf 256", None),
        (edit("tile/entries/000", lambda data: data.replace(b'"minor":4990', b'"minor":4999', 1)), "not those whose hash", 0),
        (entries(lambda found: [*found[:5], *found[6:]]), "255 leaves, not 256: it was truncated, or a leaf was deleted", None),
        (entries(lambda found: [*found[:5], found[5], *found[5:]]), "257 leaves, not 256: a leaf was added or doubled", None),
        (entries(lambda found: [*found[:5], found[6], found[5], *found[7:]]), "not those whose hash was stored beside it", 5),
        (entries(lambda found: [*found[:5], found[4], *found[6:]]), "not those whose hash was stored beside it", 5),
        (lambda folder: (folder / "tile/0/000").unlink(), "tile/0/000 is missing", None),
        (lambda folder: (folder / "tile/entries/001.p/24").unlink(), "tile/entries/001.p/24 is missing", None),
        (lambda folder: (folder / "tile/1/000.p/1").unlink(), "tile/1/000.p/1 is missing", None),
        (
            edit("checkpoint", lambda data: data.replace(b"\n280\n", b"\n279\n")),
            "signature of the checkpoint at size 279 is not valid",
            None,
        ),
        (edit("checkpoint", lambda data: data[:-20]), "not signed by this log's key", None),
        (edit("checkpoint", lambda _: b"\xff"), "this is not a checkpoint", None),
    ],
)
def test_what_was_done_to_it_is_named(folder, damage, words, leaf):
    assert verify(TileLog(folder_fetch(folder))).ok
    damage(folder)
    report = verify(TileLog(folder_fetch(folder)))
    assert not report.ok
    named = [finding for finding in report.findings if words in str(finding)]
    assert named, report.findings
    assert leaf is None or leaf in [finding.leaf for finding in named]
    assert leaf is None or report.first.leaf == leaf


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """Hold in memory what is in a folder of tiles."""
    folder = tmp_path_factory.mktemp("held") / "log"
    export_tiles(log_of(*(allowed(f"c{number}") for number in range(70))), folder)
    return files(folder)


def fetch_from(held):
    def fetch(path, most):
        data = held.get(path)
        return None if data is None else data[:most]

    return fetch


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_bit_of_a_tile_or_of_what_is_signed_can_be_changed(held, data):
    path = data.draw(st.sampled_from(sorted(name for name in held if name.startswith("tile/") or name == "checkpoint")))
    end = len(held[path].partition(b"\n\n")[0]) if path == "checkpoint" else len(held[path])
    at, bit = data.draw(st.integers(0, end - 1)), 1 << data.draw(st.integers(0, 7))
    changed = held[path][:at] + bytes([held[path][at] ^ bit]) + held[path][at + 1 :]
    assert checked(TileLog(fetch_from(held))) == []
    assert checked(TileLog(fetch_from({**held, path: changed})))


@given(st.data())
def test_no_file_can_be_cut_or_taken_away(held, data):
    path = data.draw(st.sampled_from(sorted(name for name in held if name.startswith("tile/"))))
    end = data.draw(st.integers(0, len(held[path]) - 1))
    assert checked(TileLog(fetch_from({**held, path: held[path][:end]})))
    assert checked(TileLog(fetch_from({name: kept for name, kept in held.items() if name != path})))


def test_leaves_and_hashes_changed_alike_do_not_have_the_signed_root(folder):
    """Whoever changes a leaf and every hash above it lacks only the signature."""
    log = log_of(*(allowed(f"c{number}") for number in range(70)))
    log.change(100, b"10:00", b"11:00")
    log.notes = [log.resign().notes[-1]]
    export_tiles(log, folder.with_name("forged"))
    (folder.with_name("forged") / "checkpoint").write_bytes((folder / "checkpoint").read_bytes())
    report = verify(TileLog(folder_fetch(folder.with_name("forged"))))
    assert "root_differs" in {finding.code for finding in report.findings}


def test_control_without_the_tiles_above_being_read_a_wrong_one_would_pass(folder, monkeypatch):
    edit("tile/1/000.p/1", lambda data: flipped(data, 7))(folder)
    assert not verify(TileLog(folder_fetch(folder))).ok
    monkeypatch.setattr(TileLog, "_differing", lambda _self, made: [*made] and None)
    assert verify(TileLog(folder_fetch(folder))).ok


def test_control_without_the_stored_hashes_a_swap_would_have_no_place(folder, monkeypatch):
    entries(lambda found: [*found[:5], found[6], found[5], *found[7:]])(folder)
    log = TileLog(folder_fetch(folder))
    bare = [replace(entry, hash=None) for entry in log.entries()]
    monkeypatch.setattr(log, "entries", lambda: iter(bare))
    codes = {finding.code for finding in verify(log).findings}
    assert "root_differs" in codes
    assert "leaf_changed" not in codes


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"v": 1}', '{"v":1,"form":"tiles","key":"x","log":"l","bundles":["../x"]}'])
def test_what_describes_no_tiles_is_refused(folder, text):
    (folder / "log.json").write_text(text)
    with pytest.raises(AuditError):
        TileLog(folder_fetch(folder))


def test_an_export_of_the_other_form_is_said_to_be_no_such(folder, story):
    export(story, folder.with_name("other"))
    with pytest.raises(AuditError, match="not an exported log"):
        FolderLog(folder)
    with pytest.raises(AuditError, match="does not describe a log in tiles"):
        TileLog(folder_fetch(folder.with_name("other")))


@pytest.mark.parametrize("name", ["log.json", "checkpoint"])
def test_without_its_description_or_checkpoint_it_is_refused(folder, name):
    (folder / name).unlink()
    with pytest.raises(AuditError, match=f"{name} is missing"):
        TileLog(folder_fetch(folder))


def test_another_key_did_not_sign_it(folder):
    other = verifier_key(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"o" * 32).public_key().public_bytes_raw())
    mine = verifier_key(ORIGIN, KEY.public_key().public_bytes_raw())
    assert verify(TileLog(folder_fetch(folder), mine)).ok
    with pytest.raises(AuditError, match="not the key that was given"):
        TileLog(folder_fetch(folder), other)
    edit("log.json", lambda data: data.replace(mine.encode(), other.encode()))(folder)
    report = verify(TileLog(folder_fetch(folder), other))
    assert "not signed by this log's key" in str(report.findings[0])


# Against what was seen before


def test_an_older_state_than_the_seen_one_is_named(tmp_path):
    for size in (200, 280):
        export_tiles(TinyLog(size), tmp_path / f"{size}")
    old, new = TileLog(folder_fetch(tmp_path / "200")), TileLog(folder_fetch(tmp_path / "280"))
    assert integrity(SeenLog(new, note(200))) == integrity(SeenLog(new, note(280))) == integrity(SeenLog(old, note(200))) == set()
    assert integrity(SeenLog(old, note(280))) == {"checkpoint_invalid"}
    found = checked(SeenLog(old, note(280)))
    assert any("older than the one at size 280 that was seen before" in str(each) for each in found)


def test_control_without_the_seen_one_an_older_state_passes(tmp_path):
    assert integrity(tiles_of(TinyLog(200), tmp_path / "log")) == set()


@pytest.mark.parametrize("size", [5, 200])
def test_another_history_than_the_seen_one_is_named(tmp_path, size):
    other = root(map(hash_at, range(1, size + 1)))
    assert integrity(SeenLog(tiles_of(TinyLog(200), tmp_path / "log"), sign(ORIGIN, size, other, KEY))) == {"root_differs"}


def test_what_was_seen_of_another_log_is_refused(story):
    for seen in (sign("other.example.org", 5, root([]), KEY), "nothing", note(5, Ed25519PrivateKey.from_private_bytes(b"o" * 32))):
        with pytest.raises(AuditError):
            SeenLog(story, seen)


def test_a_folder_is_held_to_what_was_seen_too(story, tmp_path):
    export(story, tmp_path / "log")
    assert verify(SeenLog(FolderLog(tmp_path / "log"), story.notes[0])).ok
    assert verify(SeenLog(FolderLog(tmp_path / "log"), story.notes[1])).checkpoints == 3
    story.notes.pop()
    story.rows = story.rows[: len(story.rows) // 2]
    export(story, tmp_path / "cut")
    assert not verify(SeenLog(FolderLog(tmp_path / "cut"), log_of(allowed(), approved(), uncertain(), read()).notes[1])).ok


def checked(log):
    """Check the tree alone, whatever the leaves say: nothing, in a tiny log."""
    return verify(log, meaning=False).findings


def integrity(log):
    return {finding.code for finding in checked(log)}


@pytest.mark.parametrize("start", [0, 1, 255, 256, 300, 512, 599, 600, 700])
def test_it_is_read_from_a_place_on(tmp_path, start):
    export_tiles(TinyLog(600), tmp_path / "tiles")
    export(TinyLog(600), tmp_path / "folder")
    for log in (TileLog(folder_fetch(tmp_path / "tiles")), FolderLog(tmp_path / "folder"), SeenLog(TinyLog(600), note(600))):
        assert [(entry.index, entry.leaf) for entry in log.entries(start)] == [(index, leaf(index)) for index in range(start, 600)]


def test_growing_reads_no_leaf_that_is_there_already(tmp_path):
    export_tiles(TinyLog(300), tmp_path / "log")
    log = TinyLog(700)
    asked = []
    log.entries = lambda start: asked.append(start) or TinyLog(700).entries(start)
    export_tiles(log, tmp_path / "log")
    assert asked == [300]
    assert verify(TileLog(folder_fetch(tmp_path / "log")), meaning=False).ok
