"""Who may approve a call, and when enough have: each person counts once, and nobody approves what is their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..errors import AuditError
from ..policies import Seats, filled
from .call import Call
from .people import People, Person
from .statements import Write
from .store import Requirement
from .vault import SubjectKey
from .work import Draft, Parts, Work, move

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Barred:
    """Say of people whether they may not vote on one call; ids and addresses are compared without case.

    `requesters` are the names of who asked, `served` of in whose name it happens and whose data it is, as far as they are known;
    `about` says whether the data is a person's of that id.
    """

    requesters: frozenset[str]
    served: frozenset[str]
    about: Callable[[str], bool]
    excluded: Callable[[Person], bool]

    @classmethod
    async def of(cls, parts: Parts, call: Call, *served: str | None, also: frozenset[bytes] = frozenset()) -> Barred:
        """Gather who can't vote on a call: who asked, who answers for the agent that did, whom it serves, and who amended it."""
        people, hashes, vault = People(parts), await parts.store.excluded(call.id) | also, parts.vault
        lookup = await vault.lookup_of(call.subject)
        hashing = await _hashing(parts, call)
        asking = [one for one in (call.principal, await people.owner_of(call.principal)) if one]
        names = [name for one in asking if (person := await people.get(one)) for name in _names(person)]
        return cls(
            frozenset(one.casefold() for one in (*asking, *names)),
            frozenset(one.casefold() for one in served if one),
            lambda named: lookup is not None and vault.hash("subject", named) == lookup,
            lambda person: bool({hashed("person", person.id) for hashed in hashing} & hashes),
        )

    def serves(self, person: Person) -> bool:
        """Say whether the call is done for this person."""
        names = _names(person)
        return bool(self.served & {one.casefold() for one in names}) or any(self.about(one) for one in names)

    def why(self, person: Person) -> str | None:
        """Say why a person may not vote; None where they may."""
        if self.requesters & {one.casefold() for one in _names(person)}:
            return f"{person.id} asked for this, or answers for the agent that did, so somebody else must approve it"
        if self.serves(person):
            return f"this is done for {person.id}, so somebody else must approve it"
        theirs = f"{person.id} asked for, wrote or amended this, or it is done for them, so somebody else must approve it"
        return theirs if self.excluded(person) else None


async def customer_of(parts: Parts, call: Call) -> str | None:
    """Name the customer in whose name a call happens, who need not be the one whose data it is about."""
    try:
        return str((await parts.vault.by_pseudonym(call.subject)).open(call.sealed, call.id)["subject"])
    except AuditError:
        return None  # erased, or the row was changed


async def is_customer(parts: Parts, call: Call, named: str) -> bool:
    """Say whether somebody is the customer of a call, or the one whose data it is."""
    return named == await customer_of(parts, call) or await parts.vault.is_subject(named, call.subject)


def seats_of(one: Requirement) -> Seats:
    """Give the seats of an approval as they are to be filled now: once it was widened, by people of another role as well."""
    return Seats(frozenset({one.role, *([one.escalate_to] if one.escalated else [])}), one.votes)


def complete(asked: Iterable[tuple[T, Seats]], ballots: Mapping[str, frozenset[str]]) -> list[T]:
    """Give the approvals that votes fill together, the first ones first; with more votes they stay filled."""
    found: list[T] = []
    taken: list[Seats] = []
    for one, seats in asked:
        if sum(filled([*taken, seats], ballots)) == sum(each.votes for each in taken) + seats.votes:
            found.append(one)
            taken.append(seats)
    return found


def unfilled(asked: Sequence[Requirement], ballots: Mapping[str, frozenset[str]]) -> list[Requirement]:
    """Give the approvals that still want a vote."""
    done = complete([(one, seats_of(one)) for one in sorted(asked, key=lambda one: one.state == "open")], ballots)
    return [one for one in asked if one not in done]


def adds(asked: Sequence[Requirement], ballots: Mapping[str, frozenset[str]], voter: Person) -> bool:
    """Say whether one more vote would fill a seat."""
    seats = [seats_of(one) for one in asked]
    return sum(filled(seats, {**ballots, voter.id: voter.roles})) > sum(filled(seats, ballots))


async def approvals_of(parts: Parts, call: Call) -> list[Requirement]:
    """Give the approvals that stand for what a call would now do, granted or not."""
    return [one for one in await parts.store.requirements(call.id) if one.kind == "approval" and one.stands and one.digest == call.digest]


async def electorate(parts: Parts, barred: Barred, roles: frozenset[str]) -> dict[str, frozenset[str]]:
    """Give everybody who may vote, with the roles that count: active, entitled, and not barred."""
    able = (one for one in await People(parts).everybody() if one.active and one.roles & roles)
    return {one.id: one.roles for one in able if barred.why(one) is None}


async def nobody_can(parts: Parts, work: Work, seats: Sequence[Seats]) -> str | None:
    """Say, for people, why the seats of all approvals can never be filled; None where they can."""
    if not seats:
        return None
    roles = frozenset().union(*(one.roles for one in seats))
    could = await electorate(parts, await _barred(parts, work), roles) | (await parts.store.ballots(work.call) if work.stored else {})
    short = [(one, have) for one, have in zip(seats, filled(seats, could), strict=True) if have < one.votes]
    told = (f"{one.votes} of {' or '.join(sorted(one.roles))} must approve, and only {have} could" for one, have in short)
    return "; ".join(told) or None


async def excluded_rows(parts: Parts, work: Work) -> list[Write]:
    """Keep who can't vote on a call, for good and for the database to refuse: it stays theirs if its agent gets another owner."""
    barred = await _barred(parts, work)
    theirs = {work.session.subject, *(one.id for one in await People(parts).everybody() if barred.why(one))}
    return [exclude(work.owner, work.call, one) for one in sorted(theirs)]


def exclude(owner: SubjectKey, call: Call, person: str) -> Write:
    """Let somebody never vote on a call; the hash is under the key of the person whose data it is, and tells nobody when that is gone."""
    return Write("excluded.add", (call.tenant, call.id, owner.hash("person", person)), expect=None)


async def _hashing(parts: Parts, call: Call) -> list[Callable[[str, str], bytes]]:
    """Give how whoever is excluded from a call may be hashed: rows of before are so under the lookup key."""
    try:
        return [(await parts.vault.by_pseudonym(call.subject)).hash, parts.vault.hash]
    except AuditError:
        return [parts.vault.hash]


async def voter_hash(parts: Parts, call: Call, person: str) -> bytes:
    """Hash a voter as whoever is excluded from the call is hashed."""
    return (await _hashing(parts, call))[0]("person", person)


def to_widen(asked: Iterable[Requirement], now: int) -> list[Requirement]:
    """Give the approvals whose time has come to be answered by others as well."""
    return [one for one in asked if one.state == "open" and one.escalate_at is not None and not one.escalated and now >= one.escalate_at]


async def widen(parts: Parts, call: Call, due: Sequence[Requirement], **waking: int) -> Call:
    """Let people of another role vote as well, from now on."""
    told = tuple(Draft("approval.escalated", {"approval": one.id, "to": one.escalate_to}) for one in due)
    return await move(parts, call, told, [Write("requirement.escalate", (call.tenant, one.id)) for one in due], **waking)


async def _barred(parts: Parts, work: Work) -> Barred:
    amending = frozenset(write.values[-1] for write in work.writes if write.statement == "excluded.add")
    return await Barred.of(parts, work.call.evolve(subject=work.owner.pseudonym), work.session.subject, work.about, also=amending)


def _names(person: Person) -> list[str]:
    return [one for one in (person.id, person.email) if one]
