"""What docs/audit-tiles.md shows runs."""

import re
from pathlib import Path

from remit.audit import export_tiles
from tests.audit.building import allowed, log_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "audit-tiles.md"


def test_the_shown_proof_is_made_and_checked(tmp_path, monkeypatch):
    (tmp_path / "public").mkdir()
    export_tiles(log_of(allowed()), tmp_path / "public" / "log")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    shown = {}
    exec(code, shown)
    assert len(shown["proof"]) == 2
