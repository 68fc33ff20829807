"""The whole demo: what it plays, what it says at the end, and that it does not say so when it is not so."""

import functools
import io
import json
import re
import shutil
import subprocess
import sys

import pytest
from rich.console import Console

from remit.actions import Money
from remit.cli.application import Unusable
from remit.cli.demo import play, stage, story
from remit.cli.demo.agreement import Effect, compare
from remit.cli.demo.closing import close
from remit.cli.demo.record import Asked, Expected, Said
from remit.cli.demo.scenes import Scene
from remit.cli.demo.scenes.refunds import allowed_at_once, repaired
from remit.cli.demo.story import SCENES, Story, tell
from remit.cli.demo.telling import Telling, rows
from remit.runtime.switches import Switches
from remit.sandbox.charging import Charging
from remit.sandbox.payments import PaymentSandbox


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Play the whole demo once, as a command, with its folder kept."""
    folder = tmp_path_factory.mktemp("demo") / "shop"
    command = [sys.executable, "-m", "remit", "demo", "--json", "--keep", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return folder, json.loads(done.stdout)


def lines(document, kind):
    return [line[kind] for step in document["steps"] for line in step["lines"] if kind in line]


def test_it_plays_every_scene_in_the_providers_wire_formats(whole):
    _, document = whole
    assert [step["title"] for step in document["steps"]] == [scene.title for scene in SCENES]
    asked, answered = lines(document, "asked"), lines(document, "answered")
    assert len(asked) == len(answered) >= 12
    assert {one["dialect"] for one in asked} == {"anthropic", "openai", "gemini"}
    for question, answer in zip(asked, answered, strict=True):
        assert ids(question["message"]) == ids(answer["answer"]), "every tool call is answered, under its provider's id"


def ids(document):
    """Find the ids by which providers name tool calls, wherever they stand in a wire form."""
    return set(re.findall(r'"((?:toolu|call|fc)_\d\d)"', json.dumps(document)))


def test_every_expectation_is_met_and_the_verdict_follows(whole):
    _, document = whole
    assert len(lines(document, "expected")) > 30
    assert all(one["held"] for one in lines(document, "expected"))
    verdict = document["verdict"]
    assert (verdict["ok"], verdict["agree"], verdict["failed"], document["differences"]) == (True, True, [], [])
    assert (verdict["verification"]["ok"], verdict["verification"]["open_calls"], verdict["verification"]["uncovered"]) == (True, 0, 0)


def test_each_effect_at_a_provider_is_one_in_the_log(whole):
    _, document = whole
    told = [(one["kind"], one["call"], one["reference"], json.dumps(one["amount"])) for one in document["log"]]
    done = [(one["kind"], one["call"], one["reference"], json.dumps(one["amount"])) for one in document["ledger"]]
    assert sorted(told, key=str) == sorted(done, key=str)
    assert [kind for kind, *_ in done].count("refund") == 7
    assert {"plan change", "booked", "moved", "mail"} < {kind for kind, *_ in done}


def test_the_customer_is_shown_the_price_in_her_own_language(whole):
    _, document = whole
    [page] = lines(document, "shown")
    assert page["locale"] == "de"
    assert "sofort 10,00\N{NO-BREAK SPACE}€" in page["sentence"]
    assert page["lines"][-1] == ["Tarif", "pro_monthly"]


def test_what_it_keeps_can_be_looked_at_and_verified(whole):
    folder, _ = whole
    for command in (["audit", "verify"], ["calls", "list", "--json"]):
        done = subprocess.run([sys.executable, "-m", "remit", *command], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["calls"]) >= 12
    with pytest.raises(Unusable, match="name a new folder"):
        play(as_json=True, keep=folder)


@pytest.fixture
def two_scenes(monkeypatch):
    """Shorten the story: what is wanted of it here is only its end."""
    monkeypatch.setattr(story, "SCENES", (Scene("One", allowed_at_once), Scene("Two", repaired)))
    monkeypatch.delenv("STRIPE_API_KEY", raising=False)


def test_control_a_sandbox_that_secretly_pays_one_refund_more_is_found_out(two_scenes, monkeypatch, capsys):
    refund = Charging.create_refund

    @functools.wraps(refund)  # the sandbox looks at what a request may say
    def secretly(self, **given):
        if given.get("amount") == 4900:
            other = self.create_payment(amount=900, currency="eur")["id"]
            refund(self, payment_intent=other, amount=500)
        return refund(self, **given)

    monkeypatch.setattr(Charging, "create_refund", secretly)

    assert play(as_json=True) == 1

    document = json.loads(capsys.readouterr().out)
    assert (document["verdict"]["ok"], document["verdict"]["agree"], document["verdict"]["failed"]) == (False, False, [])
    [difference] = document["differences"]
    assert (difference["wrong"], difference["log"], difference["provider"]["amount"]["value"]) == (
        "the log knows nothing of it",
        None,
        "5.00",
    )


def test_control_without_the_secret_refund_the_same_two_scenes_agree(two_scenes, capsys):
    assert play(as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["differences"] == []


async def hopes_in_vain(stage, step):
    await allowed_at_once(stage, step)
    step.expect("two refunds were made", len(stage.account.refunded(stage.goods.lamp)), 2)


async def breaks_off(stage, step):
    raise LookupError("nothing there")


async def test_an_expectation_that_is_not_met_fails_the_demo_and_is_named(tmp_path):
    scenes = (Scene("In vain", hopes_in_vain), Scene("Broken", breaks_off), Scene("Two", repaired))
    output = io.StringIO()
    console = Console(file=output, width=100)
    told = await tell(tmp_path / "desk", None, Telling(console), scenes)
    close(console, told, None, 1.0)

    assert (told.agree, told.ok) == (True, False)
    assert [(title, wrong.text) for title, wrong in told.failed] == [
        ("In vain", "two refunds were made"),
        ("Broken", "the step is played to its end"),
    ]
    printed = output.getvalue()
    assert "In vain: two refunds were made; found 1, not 2" in printed
    assert "LookupError: nothing there" in printed
    assert "Not as it must be" in printed


@pytest.mark.parametrize(
    ("file", "rule", "loosened", "scenes"),
    [
        ("refunds.yaml", "at_most: 20000", "at_most: 50000", (0, 4, 5)),
        ("plans.yaml", "then: require_confirmation\n    confirmation: {within: 2h}", "then: allow", (10,)),
    ],
)
async def test_control_without_its_rule_a_scene_fails(tmp_path, monkeypatch, file, rule, loosened, scenes):
    desk = tmp_path / "loose"
    shutil.copytree(stage.DESK, desk)
    written = (desk / "policies" / file).read_text()
    assert rule in written
    (desk / "policies" / file).write_text(written.replace(rule, loosened))
    monkeypatch.setattr(stage, "DESK", desk)

    told = await tell(tmp_path / "desk", None, Telling(Console(quiet=True)), [SCENES[number] for number in scenes])

    assert {title for title, _ in told.failed} == {SCENES[scenes[-1]].title}


async def test_control_a_switch_that_stops_nothing_fails_its_scene(tmp_path, monkeypatch):
    async def nothing(*_args, **_given):
        return None

    monkeypatch.setattr(Switches, "throw", nothing)

    told = await tell(tmp_path / "desk", None, Telling(Console(quiet=True)), [SCENES[6]])

    assert (told.agree, "it is refused" in [wrong.text for _, wrong in told.failed]) == (True, True)


EURO = Money.of("5.00", "EUR")


@pytest.mark.parametrize(
    ("done", "told", "wrong"),
    [
        ([Effect("refund", "call_1", "re_1", EURO)], [Effect("refund", "call_1", "re_1", EURO, 7)], [""]),
        ([Effect("refund", "call_1", "re_1", EURO)], [], ["the log knows nothing of it"]),
        ([], [Effect("refund", "call_1", "re_1", EURO, 7)], ["the provider knows nothing of it"]),
        ([Effect("refund", "call_1", "re_1", EURO)], [Effect("refund", "call_1", "re_2", EURO, 7)], ["the references differ"]),
        ([Effect("refund", "call_1", "re_1", EURO)], [Effect("refund", "call_1", "re_1", Money(501, "EUR"), 7)], ["the amounts differ"]),
        (
            [Effect("refund", "call_1", "re_1", EURO)] * 2,
            [Effect("refund", "call_1", "re_1", EURO, 7)],
            ["", "the log knows nothing of it"],
        ),
        ([Effect("refund", None, "re_1", EURO)], [Effect("refund", "call_1", "re_1", EURO, 7)], ["the log", "the provider"]),
        ([Effect("mail", "call_1", None)], [Effect("refund", "call_1", None, None, 7)], ["the log", "the provider"]),
    ],
)
def test_an_effect_matches_only_one_that_says_the_same(done, told, wrong):
    found = [row.wrong for row in compare(done, told)]
    assert len(found) == len(wrong)
    assert all(one == wanted or (wanted and one.startswith(wanted)) for one, wanted in zip(found, wrong, strict=True))


def test_nothing_at_all_is_no_agreement():
    assert not Story("the sandbox").agree


def test_a_test_key_plays_it_at_stripe_where_no_fault_can_be_ordered(monkeypatch, capsys):
    with PaymentSandbox() as elsewhere:
        monkeypatch.setenv("STRIPE_API_KEY", "sk_test_other")
        monkeypatch.setenv("PAYMENTS_URL", elsewhere.url)
        assert play(as_json=True) == 0
        document = json.loads(capsys.readouterr().out)
        assert sorted(one["reference"] for one in document["ledger"] if one["kind"] in {"refund", "plan change"}) == sorted(
            entry.reference for entry in elsewhere.ledger()
        )
    assert document["provider"] == "Stripe's test mode"
    assert [step["title"] for step in document["steps"] if "skipped" in step] == [scene.title for scene in SCENES if scene.faults]


@pytest.mark.parametrize("key", ["sk_live_1", "rk_live_1", "anything"])
def test_no_other_key_than_a_test_key_is_taken(key, monkeypatch):
    monkeypatch.setenv("STRIPE_API_KEY", key)
    with pytest.raises(Unusable, match="not a test key"):
        play(as_json=True)


def test_without_its_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("remit.cli.demo.find_spec", lambda _name: None)
    with pytest.raises(Unusable, match=r"remit\[demo\]"):
        play(as_json=True)


def test_a_provider_that_can_not_be_reached_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_1")
    monkeypatch.setenv("PAYMENTS_URL", "http://127.0.0.1:1")
    with pytest.raises(Unusable, match="can't be reached"):
        play(as_json=True, keep=tmp_path / "shop")
    assert not (tmp_path / "shop").exists()


@pytest.mark.parametrize("width", [80, 120])
async def test_it_fits_the_terminal_and_is_plain_where_nobody_looks(tmp_path, width):
    output = io.StringIO()
    console = Console(file=output, width=width)
    told = await tell(tmp_path / "desk", None, Telling(console), (*SCENES[:7], SCENES[10]))
    close(console, told, tmp_path, 1.0)
    printed = output.getvalue()
    assert max(map(len, printed.splitlines())) <= width
    assert "\x1b" not in printed
    assert told.ok, printed


def test_what_others_wrote_does_nothing_to_a_terminal():
    nasty = "\x1b[2J[bold]\u202e"
    written = [Said("Ada", nasty), Asked("openai", {}, ((nasty, {nasty: nasty}),)), Expected("x", held=False, found=nasty)]
    for line in written:
        text = "".join(cell.plain for row in rows(line) for cell in row)
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "[bold]" in text, "shown as it is, not read as markup"
