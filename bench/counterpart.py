"""Others' software as processes of their own, in the environments that the tests' counterparts have, asked for a round at a time."""

from __future__ import annotations

from pathlib import Path

from tests.environments import EnvironmentUnavailable, environment

from .program import Program, Unavailable

HERE = Path(__file__).parent


class Counterpart(Program):
    """Run a program of this folder in the environment of the package `name`."""

    def __init__(self, name: str, *arguments: str) -> None:
        try:
            python = environment(name) / "bin" / "python"
        except EnvironmentUnavailable as error:
            raise Unavailable(str(error)) from error
        super().__init__([str(python), str(HERE / f"{name}_program.py"), *arguments])

    def round(self, calls: int, callers: int) -> float:
        """Let it make so many calls from so many threads; gives the seconds that it took, by its own clock."""
        return float(self.ask({"calls": calls, "callers": callers})["seconds"])

    def recorded(self) -> dict[str, int]:
        """Count the rows that it has kept."""
        return dict(self.ask({"count": True}))


class CtrlRun(Counterpart):
    """Run CTRLRun 0.12.2 over a folder of its own; `files` sets it up from its policy file, which adds two JSON files to its store."""

    def __init__(self, folder: Path, *, files: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__("ctrlrun", str(folder), "files" if files else "store")


class Dbos(Counterpart):
    """Run DBOS 3.4.0 over a database of its own, given by its address as SQLAlchemy reads it."""

    def __init__(self, url: str) -> None:
        super().__init__("dbos", url)


class Cedar(Counterpart):
    """Run cedarpy 4.12.2, the binding of Cedar for Python."""

    def __init__(self) -> None:
        super().__init__("cedarpy")

    def times(self, rules: int, count: int) -> list[float]:
        """Let it decide so often by so many policies; gives the microseconds of each."""
        return list(self.ask({"rules": rules, "count": count})["taken"])
