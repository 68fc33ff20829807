"""Read policy files into models, with what they define, and collect every problem at its place."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from pydantic import ValidationError

from ..errors import PolicyError
from .definitions import RESERVED, expand, loose_end, tokens
from .document import MAX_PROBLEMS, Document, Loc, read_document, translate
from .facts import ActionShape
from .policy import KEYS, PolicyFile
from .source import Passage, hint


@dataclass(slots=True)
class ReadFile:
    """Hold a file that could be read: the actions that it applies to, and what it and the files that it includes define."""

    document: Document
    written: PolicyFile
    actions: tuple[str, ...] = ()
    scope: dict[str, Passage] = field(default_factory=dict)

    def passage(self, loc: Loc, default: str = "") -> Passage:
        """Give the expression at `loc`, with definitions put in; raises PolicyError where that makes it too long."""
        return expand(self.document.passage(loc, default), self.scope)


@dataclass(slots=True)
class Reading:
    """Collect files by policy name, and problems, while files are read."""

    shapes: Mapping[str, ActionShape]
    problems: list[PolicyError] = field(default_factory=list)
    files: dict[str, ReadFile] = field(default_factory=dict)

    @property
    def full(self) -> bool:
        """Say whether no more problems are taken."""
        return len(self.problems) >= MAX_PROBLEMS

    def note(self, error: PolicyError) -> None:
        """Take a problem."""
        if not self.full:
            self.problems.append(error)

    def add(self, path: str, text: str) -> None:
        """Read one file, or note what is wrong with it."""
        try:
            document = read_document(path, text)
            written = PolicyFile.model_validate(document.value)
        except PolicyError as error:
            self.note(error)
        except ValidationError as error:
            self.problems += islice(translate(error, document, KEYS), MAX_PROBLEMS - len(self.problems))
        else:
            if other := self.files.get(written.policy):
                where = other.document.source.path
                self.note(document.error(f"the policy `{written.policy}` is already in {where}: give it another name", ("policy",)))
            else:
                self.files[written.policy] = ReadFile(document, written)

    def connect(self) -> None:
        """Find the actions and the definitions of each file, now that all are there."""
        for file in sorted(self.files.values(), key=lambda file: file.written.actions is not None):  # what is shared comes first
            written, document = file.written, file.document
            rules = [(("rules", at, "id"), rule.id) for at, rule in enumerate(written.rules)]
            self._refuse_repeats(document, [*rules, *((("limits", at, "id"), limit.id) for at, limit in enumerate(written.limits))])
            for key, names in (("actions", written.actions or []), ("include", written.include), ("requires", written.requires)):
                self._refuse_repeats(document, [((key, at), name) for at, name in enumerate(names)])
            self._known(document, "requires", written.requires, self.shapes, "action")
            self._known(document, "include", written.include, self._shared, "shared file")
            file.actions = tuple(self._actions(document, written.actions or []))
            self._define(file)
        used = {name for file in self.files.values() for name in file.written.include}
        for name in sorted(self._shared - used):
            message = f"`{name}` names no `actions`, and no file includes it: it would count nowhere"
            self.note(self.files[name].document.error(message, ("policy",)))

    @property
    def _shared(self) -> frozenset[str]:
        return frozenset(name for name, file in self.files.items() if file.written.actions is None)

    def _refuse_repeats(self, document: Document, names: Sequence[tuple[Loc, str]]) -> None:
        seen: set[str] = set()
        for loc, name in names:
            if name in seen and not self.full:
                self.note(document.error(f"`{name}` is given twice", loc))
            seen.add(name)

    def _known(self, document: Document, key: str, names: Sequence[str], known: Collection[str], what: str) -> None:
        for at, name in enumerate(names):
            if name not in known and not self.full:
                sort = "tag" if name.startswith("#") else what
                self.note(document.error(f"there is no {sort} `{name}`{hint(name, known)}", (key, at)))

    def _actions(self, document: Document, names: Sequence[str]) -> dict[str, None]:
        """Give the actions that are named, or bear a tag that is."""
        tagged: dict[str, list[str]] = {}
        for action, shape in sorted(self.shapes.items()):
            for tag in shape.tags:
                tagged.setdefault(f"#{tag}", []).append(action)
        self._known(document, "actions", names, self.shapes.keys() | tagged, "action")
        return dict.fromkeys(action for name in names for action in ([name] if name in self.shapes else tagged.get(name, [])))

    def _define(self, file: ReadFile) -> None:
        """Put together what expressions of a file may use: what included files define, and its own in the order of writing."""
        document, own, scope = file.document, file.written.define, file.scope
        for at, name in enumerate(file.written.include):
            other = self.files.get(name)
            for word in other.scope if other else ():
                if word in scope:
                    self.note(document.error(f"`{word}` is defined in two files that are included: rename one", ("include", at)))
                elif other:
                    scope[word] = other.scope[word]
        for word in own:
            if self.full:
                break
            try:
                scope[word] = self._defined(file, word)
            except PolicyError as error:
                self.note(error)

    def _defined(self, file: ReadFile, word: str) -> Passage:
        loc = ("define", word)
        if word in RESERVED:
            raise file.document.error(f"`{word}` has a meaning in expressions already: take another name", loc, key=True)
        if word in file.scope:
            raise file.document.error(f"`{word}` is defined in a file that is included: take another name", loc, key=True)
        passage = file.document.passage(loc, "")
        meant = expand(passage, file.scope)
        if (at := loose_end(passage.text)) is not None:
            raise passage.error(f"`{word}` is no expression by itself: a bracket or a quote has no other side", at)
        for token in tokens(passage.text):
            if (used := token["name"]) in file.written.define and used not in file.scope:
                raise passage.error(f"`{used}` is not defined above: a definition may use only those before it", token.start())
        return meant
