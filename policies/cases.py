"""Model a file of test cases as people write it: what is given, and what must be decided."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema, model_validator

from ..errors import PolicyError
from .clauses import Written, seconds

Values = dict[str, Any]


def _delay(text: str) -> str:
    if text != "0s" and not seconds(text):
        raise ValueError("write a number and a unit, such as 30s, 10m or 4h, or 0s where it does not cool off")
    return text


class _Described(Written):
    model_config = ConfigDict(use_attribute_docstrings=True)


class Used(_Described):
    """Say what was used of a limit that counts distinct values."""

    used: int = Field(ge=0)
    """How many values were seen in the window."""
    known: bool = False
    """Whether this call's value is one of them."""


def _is_mapping(value: object) -> str:
    return "mapping" if isinstance(value, dict | Written) else "plain"


# Told which branch is meant, pydantic complains of that one only.
Usage = Annotated[Annotated[int, Field(ge=0), Tag("plain")] | Annotated[Used, Tag("mapping")], Discriminator(_is_mapping)]


class Given(_Described):
    """Write what a decision depends on. A case's values are merged over the file's, key by key; `null` takes one away."""

    arguments: Values = Field(default={})
    """The arguments as rules see them: an amount is {currency, minor}."""
    facts: Values = Field(default={})
    """The facts by name, as rules see them. Only what the rules read need be there."""
    subject: Values = Field(default={})
    """The customer: id, assurance (1), anonymous (false), verified_at."""
    principal: Values = Field(default={})
    """Who asks: id, and kind (agent)."""
    session: Values = Field(default={})
    """tenant (default), conversation, channel, model."""
    now: str = "2026-01-01T00:00:00Z"
    """The time of the decision, RFC 3339."""
    usage: dict[str, Usage] = Field(default={})
    """What was used of each limit before, by the limit's name, such as refunds/customer_month. Nothing, if it is not named."""
    done: list[str] = Field(default=[])
    """The actions that succeeded earlier in this conversation."""


class Approval(_Described):
    """Expect an approval."""

    approval: str
    """The role whose people approve."""
    votes: int = Field(default=1, ge=1)
    """How many of them."""


Need = Annotated[
    Annotated[Literal["confirmation", "step_up"], Tag("plain")] | Annotated[Approval, Tag("mapping")], Discriminator(_is_mapping)
]


Delay = Annotated[str, AfterValidator(_delay), WithJsonSchema({"type": "string", "pattern": "^(0s|[1-9][0-9]{0,8}[smhd])$"})]


class Expect(_Described):
    """Write what must come out. Only what is written is compared; but a condition that can't be evaluated is never passed over."""

    decision: Literal["allow", "deny"] | None = None
    """Whether the call is allowed."""
    requirements: list[Need] | None = None
    """Exactly what is asked for, in any order."""
    rules: list[str] | None = Field(default=None, min_length=1)
    """Rules that must have matched and limits that must be exceeded, by id or policy/id."""
    not_rules: list[str] | None = Field(default=None, min_length=1)
    """Rules that must not have matched, and limits that must not be exceeded."""
    missing: list[str] | None = None
    """Exactly the prerequisites that are not met."""
    say: str | None = None
    """The text for the model."""
    delay: Delay | None = None
    """How long the call cools off, such as 10m; 0s: not at all."""
    errors: list[str] = Field(default=[])
    """Exactly the rules and limits that can't be evaluated."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(f"expect something: {', '.join(type(self).model_fields)}")
        return self


class Case(_Described):
    """Write one case."""

    name: str = Field(min_length=1)
    """What it shows."""
    action: str
    """The action that is called."""
    given: Given = Given()
    """What the decision depends on, merged over the file's `given`."""
    expect: Expect
    """What must be decided."""


class CaseFile(_Described):
    """Write a file of test cases, `*_test.yaml` beside the policies."""

    tests: str = Field(min_length=1)
    """The name of the file's tests."""
    given: Given = Given()
    """What every case is given, unless it gives something else."""
    cases: list[Case] = Field(min_length=1)
    """The cases, each decided on its own."""


def read_tests(path: Path) -> dict[str, str]:
    """Read the test files of a folder, of one policy file, or one test file, as texts by relative path; raises PolicyError.

    They end in `_test.yaml`; of a folder every one counts, at any depth, that is not hidden.
    """
    if path.is_dir():
        root, found = path, sorted(path.rglob("*_test.yaml"))
    else:
        own = path if is_test(path) else path.with_name(f"{path.stem}_test.yaml")
        root, found = path.parent, [own] if own == path or own.exists() else []
    names = [file.relative_to(root) for file in found]
    try:
        return {
            name.as_posix(): (root / name).read_bytes().decode() for name in names if not any(part.startswith(".") for part in name.parts)
        }
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"can't be read: {error}", path=str(path)) from None


def is_test(path: Path) -> bool:
    """Say whether a file holds test cases."""
    return path.name.endswith("_test.yaml")
