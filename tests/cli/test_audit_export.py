"""Events for other programs, from the command line."""

import json


def test_events_are_carried_away_in_each_form(credit, remit):
    assert credit("5.00 EUR").code == 0
    assert remit("audit", "export", "log").code == 0  # places what has no place yet
    for form in ("jsonl", "csv", "ocsf"):
        ended = remit("audit", "export", "--format", form, "--out", f"events.{form}", "--since", "1d", "--action", "give_credit")
        assert ended.code == 0, ended.err
        assert "without personal values" in ended.out


def test_following_once_writes_what_has_a_place(credit, remit, desk):
    assert credit("5.00 EUR").code == 0
    for _ in range(2):
        assert remit("audit", "follow", "--out", "events", "--once").code == 0
    (path,) = (desk / "events").iterdir()
    places = [json.loads(line)["place"] for line in path.read_text().splitlines()]
    assert places == list(range(len(places)))
    assert len(places) > 3


def test_how_it_is_called_wrongly_is_said(desk, remit):
    assert "--out FILE" in remit("audit", "export", "--format", "csv").line
    assert "leave FOLDER" in remit("audit", "export", "log", "--format", "csv", "--out", "x").line
    assert "--format" in remit("audit", "export", "--out", "x").line
    assert "such as 7d" in remit("audit", "export", "--format", "csv", "--out", "x", "--since", "soon").line
