"""What is not documented does not exist: codes, events, states, settings and words."""

import inspect
import re
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import remit
from remit import errors
from remit.audit import KINDS, State
from remit.runtime.outcome import WORDS
from remit.settings import Settings

DOCS = Path(__file__).resolve().parent.parent / "docs"
REFERENCE = (DOCS / "reference.md").read_text()


def undocumented(names, text):
    return sorted(name for name in names if f"`{name}`" not in text)


def every_exception():
    for module in walk_packages(remit.__path__, "remit."):
        if ".migrations" not in module.name and not module.name.endswith("__main__"):
            for _, found in inspect.getmembers(import_module(module.name), inspect.isclass):
                if issubclass(found, errors.RemitError) and not found.__name__.startswith("_"):
                    yield found


def test_every_event_kind_state_and_code_is_documented():
    assert undocumented(KINDS, REFERENCE) == []
    assert undocumented((state.value for state in State if state is not State.NEW), REFERENCE) == []
    assert undocumented(WORDS, REFERENCE) == []


def test_every_exception_is_documented_with_its_code():
    codes = {found.code for found in every_exception()}
    assert len(codes) > 20
    assert undocumented(codes, REFERENCE + (DOCS / "http-api.md").read_text()) == []


def test_every_setting_is_documented():
    assert undocumented((f"REMIT_{name.upper()}" for name in Settings.model_fields), (DOCS / "cli.md").read_text()) == []


def test_control_something_undocumented_is_noticed():
    assert undocumented(["call.received", "call.vanished"], REFERENCE) == ["call.vanished"]


def test_every_code_is_unique():
    by_code: dict[str, set[str]] = {}
    for found in every_exception():
        by_code.setdefault(found.code, set()).add(found.__name__)
    shared = {code: names for code, names in by_code.items() if len(names) > 1}
    assert shared == {}


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=lambda path: path.name)
def test_links_between_pages_lead_somewhere(path):
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)#][^)]*)\)", path.read_text()) if "://" not in link]
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_every_test_that_a_claim_names_exists():
    root = DOCS.parent
    named = re.findall(r"`(tests/[^`]+?)(?:::([^`]+))?`", (DOCS / "claims.md").read_text() + (DOCS / "threats.md").read_text())
    assert named
    missing = [
        f"{path}::{test}"
        for path, test in named
        if not (root / path).exists() or (test and f"def {test}(" not in (root / path).read_text())
    ]
    assert missing == []
