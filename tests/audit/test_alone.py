"""The verifier stands alone: what it imports, and that its one table is the designed one."""

import subprocess
import sys

from remit.audit import FINAL, KINDS, REACHED, READ_TRANSITIONS, TRANSITIONS, State

_PROBE = """
import sys
{prelude}
import remit.audit
print(*sorted({{name.partition(".")[0] for name in sys.modules}} - set(sys.stdlib_module_names)))
print(*sorted(name for name in sys.modules if name.startswith("remit.") and name.count(".") == 1))
"""


def _imported(prelude: str = "") -> tuple[set[str], set[str]]:
    done = subprocess.run([sys.executable, "-c", _PROBE.format(prelude=prelude)], capture_output=True, text=True, check=True)
    packages, rooms = done.stdout.splitlines()
    return set(packages.split()), set(rooms.split())


def test_it_needs_cryptography_and_orjson_and_no_other_room():
    packages, rooms = _imported()
    assert rooms == {"remit.audit", "remit.errors"}
    assert {"cryptography", "orjson", "remit"} <= packages
    assert packages.isdisjoint({"pydantic", "sqlmodel", "sqlalchemy", "cel_expr_python", "httpx", "fastapi", "typer", "yaml"})


def test_the_probe_would_see_another_package():
    packages, _ = _imported("import sqlmodel")
    assert "sqlmodel" in packages


def test_the_states_and_their_table_are_the_designed_ones():
    assert {state.value for state in FINAL} == {"rejected", "denied", "succeeded", "failed", "declined", "expired", "cancelled"}
    assert {before.value: " ".join(sorted(after)) for before, after in TRANSITIONS.items() if after} == {
        "new": "denied executing ready rejected waiting",
        "waiting": "cancelled declined denied expired ready waiting",
        "ready": "cancelled denied executing expired waiting",
        "executing": "failed ready succeeded unknown",
        "unknown": "executing failed ready succeeded",
    }
    assert {state: READ_TRANSITIONS[state] - TRANSITIONS[state] for state in State if READ_TRANSITIONS[state] != TRANSITIONS[state]} == {
        State.NEW: {State.SUCCEEDED, State.FAILED},
        State.READY: {State.SUCCEEDED, State.FAILED},
    }


def test_every_kind_that_names_a_state_is_a_kind():
    assert REACHED.keys() <= KINDS
    assert set(REACHED.values()) == set(State) - {State.NEW}
