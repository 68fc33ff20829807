"""Load policies: find the files, read them strictly, type every condition, and refuse the whole if any part can't be used."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from ..errors import PolicyError
from .decision import Match, Requirement, Then
from .document import Document, Loc, read_document
from .expression import Conditions, Language
from .facts import ActionShape
from .policy import KEYS, PolicyFile, RuleClause
from .rules import Policies, Rule, Ruleset
from .source import hint

MAX_BUNDLE = 8_388_608

Sources = Mapping[str, str] | Path


@dataclass(slots=True)
class Loading:
    """Collect rules and problems while files are read."""

    sources: Mapping[str, str]
    actions: Mapping[str, ActionShape]
    problems: list[PolicyError] = field(default_factory=list)
    rules: dict[str, list[Rule]] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)
    """The usable files by policy name."""
    _languages: dict[str, Language] = field(default_factory=dict)

    def add(self, path: str, text: str) -> None:
        """Read one file and take its rules, or note what is wrong with it."""
        try:
            document = read_document(path, text)
            written = PolicyFile.model_validate(document.value)
        except PolicyError as error:
            self.problems.append(error)
        except ValidationError as error:
            self.problems += _translate(error, document)
        else:
            self._take(document, written)

    def policies(self) -> Policies:
        """Give what was read as policies."""
        text = json.dumps(self.sources, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).hexdigest()
        return Policies(digest, self.sources, {action: self._ruleset(action) for action in sorted(self.rules)})

    def _take(self, document: Document, written: PolicyFile) -> None:
        if other := self.documents.get(written.policy):
            self._note(document, ("policy",), f"the policy `{written.policy}` is already in {other.source.path}: give it another name")
            return
        self.documents[written.policy] = document
        self._refuse_repeats(document, [("rules", at, "id") for at in range(len(written.rules))], [rule.id for rule in written.rules])
        self._refuse_repeats(document, [("actions", at) for at in range(len(written.actions))], written.actions)
        for at, action in enumerate(written.actions):
            if action not in self.actions:
                self._note(document, ("actions", at), f"there is no action `{action}`{hint(action, self.actions)}")
                continue
            for place, clause in enumerate(written.rules):
                self._add_rule(document, written, action, place, clause)

    def _refuse_repeats(self, document: Document, locs: list[Loc], names: list[str]) -> None:
        for at, name in enumerate(names):
            if name in names[:at]:
                self._note(document, locs[at], f"`{name}` is given twice")

    def _add_rule(self, document: Document, written: PolicyFile, action: str, place: int, clause: RuleClause) -> None:
        name = f"{written.policy}/{clause.id}"
        try:
            when = self._language(action).compile(document.passage(("rules", place, "when"), clause.when), name)
        except PolicyError as error:
            if len(written.actions) > 1:
                error = PolicyError(
                    f"{error.message} (for {action})", path=error.path, line=error.line, column=error.column, excerpt=error.excerpt
                )
            self.problems.append(error)
            return
        asked = clause.approval
        requirement = Requirement("approval", name, asked.by, asked.votes, asked.seconds, clause.reason) if asked else None
        match, line = Match(name, Then(clause.then), clause.reason), document.line_of(("rules", place))
        rule = Rule(action, when, match, requirement, clause.say, document.source.path, line)
        self.rules.setdefault(action, []).append(rule)

    def _language(self, action: str) -> Language:
        if action not in self._languages:
            self._languages[action] = Language(self.actions[action])
        return self._languages[action]

    def _ruleset(self, action: str) -> Ruleset:
        rules = tuple(sorted(self.rules[action], key=lambda rule: rule.name))
        return Ruleset.of(rules, Conditions(self._language(action), [rule.when for rule in rules]))

    def _note(self, document: Document, loc: Loc, message: str) -> None:
        self.problems.append(document.error(message, loc))


def load(sources: Sources, actions: Mapping[str, ActionShape]) -> Policies:
    """Load policies for these actions from texts by relative path, a folder, or one file.

    Of a folder, every `*.yaml` in it counts, at any depth, but `*_test.yaml` and what is hidden. Raises the first PolicyError, which
    knows the `others`.
    """
    loading = read(sources, actions)
    if loading.problems:
        first, *others = loading.problems
        first.others = tuple(others)
        raise first
    return loading.policies()


def read(sources: Sources, actions: Mapping[str, ActionShape]) -> Loading:
    """Read everything and collect all problems; raises PolicyError only where the files themselves can't be had."""
    texts = dict(sorted((read_folder(sources) if isinstance(sources, Path) else sources).items()))
    if sum(map(len, texts.values())) > MAX_BUNDLE:
        raise PolicyError(f"the policies together are larger than {MAX_BUNDLE:,} characters")
    loading = Loading(texts, actions)
    for path, text in texts.items():
        loading.add(path, text)
    return loading


def read_folder(path: Path) -> dict[str, str]:
    """Read the policy files of a folder, or one file, as texts by relative path with `/`; raises PolicyError."""
    if not path.exists():
        raise PolicyError("there is no such file or folder", path=str(path))
    root, found = (path, sorted(_files(path))) if path.is_dir() else (path.parent, [path])
    names = [file.relative_to(root) for file in found]
    texts = {name.as_posix(): _text(root / name) for name in names if not _is_left_out(name)}
    if not texts:
        raise PolicyError("there is no policy file (*.yaml) here, so nothing would ever be allowed", path=str(path))
    return texts


def _files(root: Path) -> Iterator[Path]:
    """Give what may be a policy. What can't be looked into raises: `rglob` passes over it, and a deny in it would not count."""

    def fail(error: OSError) -> None:
        raise PolicyError(f"can't be read: {error.strerror}", path=str(error.filename)) from None

    for folder, inner, names in os.walk(root, onerror=fail):
        inner[:] = [name for name in inner if not name.startswith(".")]
        for name in inner:
            if (Path(folder) / name).is_symlink():
                raise PolicyError("a link to a folder is not followed: move the folder here", path=str(Path(folder) / name))
        yield from (Path(folder) / name for name in (*names, *inner) if Path(name).suffix.lower() in {".yaml", ".yml"})


def _is_left_out(name: Path) -> bool:
    if name.name.startswith("."):
        return True
    if name.suffix != ".yaml":
        raise PolicyError("a policy file must end in .yaml: rename it, else its rules would not count", path=name.as_posix())
    if not name.as_posix().isprintable():  # a name that is not UTF-8 either: it could not be stored with the bundle
        raise PolicyError("this name can't be shown: rename the file", path=ascii(name.as_posix()))
    return name.name.endswith("_test.yaml")


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"can't be read: {error}", path=str(file)) from None


def _translate(error: ValidationError, document: Document) -> Iterator[PolicyError]:
    """Put each of pydantic's errors in our words, at its place in the file."""
    for each in error.errors(include_url=False, include_input=False):
        loc = each["loc"]
        key = str(loc[-1]) if loc else "the file"
        match each["type"]:
            case "extra_forbidden":
                yield document.error(f"unknown key `{key}`{hint(key, KEYS)}", loc, key=True)
            case "missing":
                yield document.error(f"`{key}` is missing", loc)
            case "value_error":
                yield document.error(str(each["ctx"]["error"]), loc)
            case _:
                yield document.error(f"`{key}`: {each['msg']}", loc)
