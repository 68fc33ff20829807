"""The folders, the links between them, and what is built from them."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {"actions", "policies", "audit", "runtime", "server", "cli", "sandbox"}


def test_every_link_of_the_facade_resolves_to_its_room():
    links = {path.name: path for path in (ROOT / "remit").iterdir() if path.is_symlink()}

    assert set(links) == ROOMS
    for name, link in links.items():
        assert link.readlink() == Path("..") / name, "relative, so that a clone works anywhere"
        assert (link / "__init__.py").is_file()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    for target in ("wheel", "sdist"):
        build(target, ROOT, folder)
    return folder


def build(target: str, source: Path, folder: Path) -> None:
    hook = f"build_{target}"
    script = f"import hatchling.build as b; print(b.{hook}({str(folder)!r}))"
    done = subprocess.run([sys.executable, "-c", script], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def modules_of(wheel: Path) -> set[str]:
    return {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py")}


def test_the_wheel_holds_every_module_and_imports_from_a_bare_environment(built, tmp_path):
    wheel = next(built.glob("*.whl"))
    inside = modules_of(wheel)
    expected = {
        f"remit/{path.relative_to(ROOT)}" for room in ROOMS for path in (ROOT / room).rglob("*.py") if "__pycache__" not in path.parts
    }
    assert expected <= inside
    assert all(name.startswith("remit/") for name in inside), "nothing lands under a generic name"
    assert "remit/py.typed" in zipfile.ZipFile(wheel).namelist()

    venv.create(tmp_path / "bare", with_pip=False)
    site = next((tmp_path / "bare").glob("lib/python*/site-packages"))
    zipfile.ZipFile(wheel).extractall(site)
    (site / "others.pth").write_text(next(path for path in sys.path if path.endswith("site-packages")))
    code = "import remit.runtime, remit.audit, remit.policies, remit.actions.library; print(remit.runtime.__file__)"
    done = subprocess.run([tmp_path / "bare" / "bin" / "python", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(site) in done.stdout, "imported from the wheel, not from this checkout"


def test_the_sdist_builds_the_same_wheel(built, tmp_path):
    import tarfile

    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
    again = tmp_path / "again"
    again.mkdir()
    build("wheel", next(tmp_path.glob("remit-*")), again)
    assert modules_of(next(again.glob("*.whl"))) == modules_of(next(built.glob("*.whl")))


def test_the_log_can_be_verified_without_the_rest_of_remit():
    code = "import sys, remit.audit; print(*sorted(name for name in sys.modules if name.startswith('remit.')), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not [name for name in done.stdout.split() if name.split(".")[1] in ROOMS - {"audit"}]
    control = subprocess.run(
        [sys.executable, "-c", code.replace("remit.audit", "remit.runtime", 1)], capture_output=True, text=True, check=True
    )
    assert "remit.policies" in control.stdout
