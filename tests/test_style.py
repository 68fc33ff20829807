"""The house rules that no linter knows: sizes, names, first lines, imports, and nothing of one machine."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("actions", "policies", "audit", "runtime", "server", "cli", "sandbox")
LONGEST_MODULE, LONGEST_FUNCTION = 400, 60
NO_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "managers", "service", "services"}


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [path for name in listed.stdout.split("\n") if name and (path := ROOT / name).is_file() and not path.is_symlink()]


SOURCES = [path for path in tracked("*.py") if path.relative_to(ROOT).parts[0] != "tests"]


def too_long(source: str) -> list[str]:
    """Name what is over the limits; empty where all is well."""
    found = [f"module of {source.count(chr(10))} lines"] if source.count("\n") > LONGEST_MODULE else []
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    sizes = [(node.name, node.end_lineno - node.lineno + 1) for node in functions]
    return found + [f"{name} of {size} lines" for name, size in sizes if size > LONGEST_FUNCTION]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_short_named_after_a_thing_and_says_what_it_is_for(path):
    source = path.read_text()
    assert not too_long(source)
    assert path.stem not in NO_NAMES
    if source.strip():
        assert ast.get_docstring(ast.parse(source)), "a module says in its first line what it is for"


def test_control_the_limits_are_noticed():
    assert too_long("x = 1\n" * 401)
    assert too_long("def f():\n" + "    x = 1\n" * 60)
    assert not too_long("def f():\n" + "    x = 1\n" * 59)


def bare_imports(source: str) -> list[str]:
    """Name the rooms that are imported by their bare folder's name."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.append((node.module or "").split(".")[0])
    return [name for name in names if name in ROOMS]


def test_nobody_imports_a_room_by_its_bare_folder():
    assert {str(path): found for path in tracked("*.py") if (found := bare_imports(path.read_text()))} == {}


def test_control_a_bare_import_is_noticed():
    assert bare_imports("import actions") == bare_imports("from actions.fields import Money") == ["actions"]
    assert bare_imports("from .actions import x\nimport remit.actions") == []


def test_nothing_of_one_machine_or_one_registry_is_committed():
    places = re.compile(r"(?:--|^\s*)(?:extra-)?index-url|\"resolved\": *\"http|registry *= *\"http|(?<![\w.])/(?:root|home|work)/[a-z]")
    texts = {path: path.read_text(errors="ignore") for path in tracked() if path != Path(__file__)}
    assert {str(path): found.group() for path, text in texts.items() if (found := places.search(text))} == {}
