"""The README's own code, run as a developer would: save each block, run it, ask again, look."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README, CUSTOMERS, RECONCILING = ((ROOT / name).read_text() for name in ("README.md", "docs/customers.md", "docs/audit-reconcile.md"))


def save(page, folder):
    blocks = dict(re.findall(r"<!-- test: (\S+) -->\n```\w+\n(.*?)```", page, re.DOTALL))
    for name, text in blocks.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return list(blocks)


@pytest.fixture
def app(tmp_path):
    assert save(README, tmp_path) == ["actions.py", "policies/fees.yaml", "app.py"]
    return tmp_path


def run(app, *command):
    return subprocess.run([sys.executable, *command], cwd=app, capture_output=True, text=True, check=False)


def remit(app, *arguments):
    done = run(app, "-m", "remit", *arguments, "--json")
    return done.returncode, json.loads(done.stdout)


def ask(app, invoice, amount):
    return remit(app, "call", "waive_fee", "--arg", f"invoice_id={invoice}", "--arg", f"amount={amount}", "--as-subject", "ada")


def test_the_readme_alone_gives_a_working_app(app):
    first = run(app, "app.py")
    assert first.returncode == 0, first.stderr
    assert re.fullmatch(r"succeeded waived 9\.90 EUR under call_\w{4}\n", first.stdout)

    code, again = ask(app, "inv-7", "9.90 EUR")
    assert (code, again["state"], again["repeated"]) == (0, "succeeded", True)

    code, foreign = ask(app, "inv-8", "9.90 EUR")
    assert (code, foreign["state"], foreign["error"]["code"]) == (1, "denied", "not_found")

    code, report = remit(app, "audit", "verify")
    assert code == 0
    assert report["ok"] is True


def test_the_page_on_customers_runs_and_prints_what_it_says(tmp_path):
    assert save(CUSTOMERS, tmp_path) == ["desk.py", "policies/plans.yaml", "output"]
    done = run(tmp_path, "desk.py")
    assert done.stdout.replace("\xa0", " ") == (tmp_path / "output").read_text(), done.stderr


def test_the_page_on_ledgers_runs_and_prints_what_it_says(tmp_path):
    assert save(RECONCILING, tmp_path) == ["desk.py", "policies/credits.yaml", "output"]
    done = run(tmp_path, "desk.py")
    assert done.stdout == (tmp_path / "output").read_text(), done.stderr


def test_every_link_of_the_readme_leads_somewhere():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
