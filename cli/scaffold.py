"""`remit init` and `remit new`: the first files of an app, and of an action. The texts lie in starter/."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from .application import Unusable
from .options import example, group
from .output import show

starting = typer.Typer()
"""The command that stands at the top: init."""
commands = group("Add to an app that `remit init` made.", "remit new action cancel_order")

STARTER = Path(__file__).parent / "starter"
POLICIES = ("policies/orders.yaml", "policies/credits.yaml", "policies/credits_test.yaml")
APP = ("app.py", "actions/__init__.py", "actions/orders.py", *POLICIES, "README.md", ".gitignore")
STEPS = """\
Next{there}:
  remit policy check
  remit policy test
  remit call look_up_order --arg order_id=A-1001 --as-subject ada
  remit call give_credit --arg order_id=A-1001 --arg amount="15.00 EUR" --arg reason=late --as-subject ada
  remit people add eve --role lead
  remit call give_credit --arg order_id=A-1002 --arg amount="35.00 EUR" --arg reason=damaged --as-subject ada
  remit approve CALL --as eve        (the call that waits: `remit calls list` shows it)
  remit audit verify"""


@starting.command("init", epilog=example("remit init desk"))
def init(folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where it goes.")] = Path()) -> None:
    """Make a small app that works at once.

    It has two actions, their policies, and a runtime. Nothing is overwritten.
    """
    place({folder / name: (STARTER / f"{name}.txt").read_text() for name in APP})
    show(f"Made {', '.join(APP)}.", "", STEPS.format(there=f", after `cd {folder}`" if folder != Path() else ""))


@commands.command("action", epilog=example("remit new action cancel_order"))
def new_action(name: Annotated[str, typer.Argument(metavar="NAME", help="verb_noun, such as cancel_order.")]) -> None:
    """Add an action and its policy to the app in this folder.

    It refuses every call until you have written what it does.
    """
    from ..actions.action import NAME

    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise Unusable(f"{name} can't be an action's name; write a verb and a noun in lower-case letters, such as cancel_order")
    if not Path("actions").is_dir() or not Path("policies").is_dir():
        raise Unusable(f"{Path.cwd()} has no actions/ and policies/; go to your app's folder, or make one with `remit init`")
    words = {"name": name, "title": name.replace("_", " ").capitalize(), "made": "".join(part.title() for part in name.split("_"))}
    texts = {"actions": ("py", STARTER / "new_action.py.txt"), "policies": ("yaml", STARTER / "new_action.yaml.txt")}
    place({Path(room) / f"{name}.{end}": Template(text.read_text()).substitute(words) for room, (end, text) in texts.items()})
    show(
        f"Made actions/{name}.py and policies/{name}.yaml.",
        "",
        "Next: write what it does and who may have it done, then",
        f"  remit actions schema {name}",
        "  remit policy check",
        "  remit policy reload",
        f"  remit call {name} --arg order_id=A-1001 --as-subject ada --dry-run",
    )


def place(files: Mapping[Path, str]) -> None:
    """Write new files, all or none. Raises `Unusable` where one is there already or can't be written."""
    made: list[Path] = []
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x") as file:
                made.append(path)
                file.write(text)
    except OSError as error:
        for path in made:
            path.unlink()
        if isinstance(error, FileExistsError):
            raise Unusable(f"{error.filename} exists, and nothing is overwritten; take another name or folder, or move it away") from None
        raise Unusable(f"{error.filename} can't be written: {error.strerror}") from None
