"""A log that is published as tiles verifies from its folder and over HTTP, and what was done to it is named."""

import gzip
import json
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest

from remit.audit import TileLog, export, export_tiles, verify
from remit.cli.log_sources import web_fetch
from remit.errors import AuditError
from tests.audit.building import allowed, approved, log_of
from tests.audit.test_pruned import cut, recorded
from tests.audit.tiny import TinyLog
from tests.environments import free_port


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def serving(folder, handler=Quiet):
    """Serve a folder as any static server does."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *given: handler(*given, directory=str(folder)))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answering(answer):
    """Make a server that answers everything alike: a status, and bytes."""

    class Handler(Quiet):
        def do_GET(self):
            status, body = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


@pytest.fixture
def published(credit, remit, desk):
    """Publish a log of a credit; give the verifier key that the export named."""
    credit("15.00 EUR")
    return remit("audit", "export", "--tiles", "public").out.split("--key ")[1].strip()


def test_tiles_verify_from_the_folder(published, remit):
    ended = remit("audit", "verify", "public", "--key", published)
    assert ended.code == 0
    assert "The log verifies" in ended.out
    assert "the folder says itself" in remit("audit", "verify", "public").out


def test_tiles_verify_over_http(published, remit, desk):
    with serving(desk / "public") as url:
        assert "The log verifies" in remit("audit", "verify", url, "--key", published).out
        assert "the server says itself" in remit("audit", "verify", f"{url}/").out
        report = remit("audit", "verify", url, "--json").document
    assert report == remit("audit", "verify", "public", "--json").document
    assert report["ok"] is True


def test_tiles_are_the_same_log_as_the_database(published, remit):
    live = remit("audit", "verify", "--json").document
    tiles = remit("audit", "verify", "public", "--json").document
    assert (tiles["entries"], tiles["calls"]) == (live["entries"], live["calls"])
    assert tiles["sealed"] > 0 == tiles["opened"]


def test_a_further_export_goes_on_where_the_last_one_ended(published, credit, remit):
    before = remit("audit", "verify", "public", "--json").document["entries"]
    credit("16.00 EUR")
    assert remit("audit", "export", "--tiles", "public").code == 0
    after = remit("audit", "verify", "public", "--json").document
    assert after["ok"]
    assert after["entries"] > before


def test_what_was_done_to_it_is_named_and_ends_with_1(published, remit, desk):
    (bundle,) = (desk / "public/tile/entries").rglob("*.p/*")
    bundle.write_bytes(bundle.read_bytes().replace(b'"minor":1500', b'"minor":9500'))
    with serving(desk / "public") as url:
        ended = remit("audit", "verify", url, "--key", published, "--json")
    assert ended.code == 1
    assert "its bytes are not those whose hash was stored beside it" in ended.document["first"]


def test_a_missing_tile_is_named(published, remit, desk):
    (bundle,) = (desk / "public/tile/entries").rglob("*.p/*")
    bundle.unlink()
    with serving(desk / "public") as url:
        ended = remit("audit", "verify", url, "--json")
    assert ended.code == 1
    assert "tile/entries/000.p/" in json.dumps(ended.document["findings"])


def test_what_was_seen_is_kept_and_an_older_state_is_named(published, credit, remit, desk):
    (desk / "public").rename(desk / "older")
    credit("16.00 EUR")
    remit("audit", "export", "--tiles", "public")
    for folder in ("older", "public", "public"):
        assert remit("audit", "verify", folder, "--seen", "seen").code == 0
        assert (desk / "seen").read_text() == (desk / folder / "checkpoint").read_text()
    kept = (desk / "seen").read_text()
    assert remit("audit", "verify", "older").code == 0  # the control: by itself it is a sound log
    ended = remit("audit", "verify", "older", "--seen", "seen", "--json")
    assert ended.code == 1
    assert "that was seen before" in json.dumps(ended.document["findings"])
    assert (desk / "seen").read_text() == kept


def test_what_was_seen_and_is_pruned_by_now_is_said_to_show_nothing(remit, tmp_path):
    for below, said in ((3, ""), (9, "nothing shows that this log goes on from it")):
        log = recorded(log_of(allowed(), approved()), below)
        export(cut(log, below), tmp_path / f"from-{below}")
        (tmp_path / "seen").write_text(log.notes[0])
        ended = remit("audit", "verify", str(tmp_path / f"from-{below}"), "--seen", str(tmp_path / "seen"), "--json")
        assert (ended.code, ended.document["begins"]) == (0, below)
        assert said in ended.err and bool(said) is bool(ended.err)
        assert (tmp_path / "seen").read_text() == log.notes[-1], "and what is seen now holds from then on"


def test_what_is_called_wrongly_is_said_in_one_line(published, remit, desk):
    assert "no personal values" in remit("audit", "export", "--tiles", "--disclose", "more").line
    assert "name its folder or URL" in remit("audit", "verify", "--seen", "seen").line
    (desk / "seen").write_bytes(b"\xff")
    assert "not a checkpoint" in remit("audit", "verify", "public", "--seen", "seen").line
    assert "can't be written" in remit("audit", "verify", "public", "--seen", "no/such").line
    assert "holds no log in tiles" in remit("audit", "export", "--tiles", "policies").line


def test_a_server_that_is_not_there_or_has_no_log_is_named(remit, desk):
    nobody = f"http://127.0.0.1:{free_port()}"
    assert f"{nobody}/checkpoint can't be read" in remit("audit", "verify", nobody).line
    with serving(desk) as url:
        assert "log.json is missing" in remit("audit", "verify", url).line
    with serving(desk, answering(lambda _: (503, b""))) as url:
        assert "answers 503" in remit("audit", "verify", url).line
    assert "can't be read" in remit("audit", "verify", "https://[").line


@pytest.fixture
def tiles(tmp_path):
    export_tiles(log_of(*(allowed(f"c{number}") for number in range(70))), tmp_path / "log")
    return tmp_path / "log"


def test_files_come_over_http_whole_cut_or_not_at_all(tiles):
    with serving(tiles) as url, httpx.Client() as client:
        fetch = web_fetch(client, url)
        whole = (tiles / "tile/0/000").read_bytes()
        assert fetch("tile/0/000", 10_000) == whole
        assert fetch("tile/0/000", 100) == whole[:100]
        assert fetch("tile/0/999", 100) is None
        assert verify(TileLog(fetch)).ok


def test_a_compressed_answer_is_read_and_a_bomb_is_not(tiles):
    class Gzipped(Quiet):
        def do_GET(self):
            body = gzip.compress(bytes(50_000_000)) if "bomb" in self.path else gzip.compress((tiles / self.path[1:]).read_bytes())
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(tiles, Gzipped) as url, httpx.Client() as client:
        assert verify(TileLog(web_fetch(client, url))).ok
        assert len(web_fetch(client, url)("bomb", 1_000)) == 1_000


def test_a_broken_connection_is_tried_again(tiles):
    failing = {"tile/0/000": 1}

    class Breaking(Quiet):
        def do_GET(self):
            if failing.pop(self.path[1:], None):
                self.close_connection = True
                return
            super().do_GET()

    with serving(tiles, Breaking) as url, httpx.Client() as client:
        assert verify(TileLog(web_fetch(client, url))).ok
    assert failing == {}


def test_a_large_log_comes_a_bundle_at_a_time(tmp_path):
    export_tiles(TinyLog(1_000), tmp_path / "log")
    asked = []

    class Telling(Quiet):
        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

    with serving(tmp_path / "log", Telling) as url, httpx.Client() as client:
        entries = TileLog(web_fetch(client, url)).entries()
        for _ in range(300):
            next(entries)
    assert [path for path in asked if "entries" in path] == ["/tile/entries/000", "/tile/entries/001"]


def test_control_a_server_that_sends_another_file_is_noticed(tiles):
    swapped = answering(lambda path: (200, (tiles / path[1:].replace("tile/0/000", "tile/1/000.p/1")).read_bytes()))
    with serving(tiles, swapped) as url, httpx.Client() as client:
        report = verify(TileLog(web_fetch(client, url)))
        assert "tile/0/000 has 32 bytes, not 8192" in str(report.findings[0])
    with serving(tiles, answering(lambda _: (301, b""))) as url, httpx.Client() as client, pytest.raises(AuditError, match="answers 301"):
        TileLog(web_fetch(client, url))


def test_the_tree_alone_is_checked_where_that_is_asked(published, remit, desk):
    for place in ((), ("public",)):
        report = remit("audit", "verify", *place, "--tree-only", "--json").document
        assert (report["ok"], report["calls"], report["uncovered"]) == (True, 0, 0)
    assert "was not read" in remit("audit", "verify", "public", "--tree-only").out
    tile = desk / "public" / "tile" / "entries"
    (path,) = [one for one in tile.rglob("*") if one.is_file()]
    path.write_bytes(path.read_bytes().replace(b'"allowed":true', b'"allowed":fals'))
    assert "leaf_changed" in remit("audit", "verify", "public", "--tree-only").out
