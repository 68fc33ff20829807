"""The example in examples/support/ works as its first lines say."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from remit.sandbox.payments import PaymentSandbox

EXAMPLE = Path(__file__).parents[2] / "examples" / "support"


@pytest.fixture
def stocked():
    spec = importlib.util.spec_from_file_location("example_sandbox", EXAMPLE / "sandbox.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with PaymentSandbox() as payments:
        yield payments, module.stock(payments)


def test_the_call_in_its_docstring_is_answered(stocked, tmp_path):
    payments, there_is = stocked
    shutil.copytree(EXAMPLE, tmp_path / "desk", ignore=shutil.ignore_patterns("*.db*", "*.keys", "__pycache__"))
    [command] = [line.split() for line in (EXAMPLE / "app.py").read_text().splitlines() if line.strip().startswith("remit call ")]
    environment = {**os.environ, "PAYMENTS_URL": payments.url}
    done = subprocess.run(
        [sys.executable, "-m", "remit", *command[1:]], cwd=tmp_path / "desk", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "49.00 EUR" in done.stdout
    assert any(command[command.index("--arg") + 1].removeprefix("payment_id=") in line for line in there_is)
