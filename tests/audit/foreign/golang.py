"""Go's golang.org/x/mod/sumdb, out of the sources that its toolchain carries, as a program that verifies logs in tiles."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.environments import environment

_SOURCE = Path(__file__).parent / "verifier" / "main.go"
_VENDORED = "src/cmd/vendor/golang.org/x/mod"
_MODULES = {
    "verifier": "module verifier\n\ngo 1.25\n\nrequire golang.org/x/mod v0.0.0\n\nreplace golang.org/x/mod => ../mod\n",
    "mod": "module golang.org/x/mod\n\ngo 1.25\n",
}


def build(folder: Path) -> Path:
    """Build the verifier in a folder, without a network; give the program."""
    home = environment("go")
    root = next(home.glob("lib/python*/site-packages/go"))
    for package in ("note", "tlog"):
        shutil.copytree(root / _VENDORED / "sumdb" / package, folder / "mod" / "sumdb" / package)
    (folder / "verifier").mkdir()
    shutil.copy(_SOURCE, folder / "verifier")
    for name, text in _MODULES.items():
        (folder / name / "go.mod").write_text(text)
    settings = {
        "GOPROXY": "off",
        "GOFLAGS": "-mod=mod",
        "GOTOOLCHAIN": "local",
        "GOCACHE": str(home / "built"),
        "GOPATH": str(folder / "path"),
    }
    done = subprocess.run(
        [home / "bin" / "go", "build", "-o", "../log-verifier", "."],
        cwd=folder / "verifier",
        env={**os.environ, **settings, "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "log-verifier"
