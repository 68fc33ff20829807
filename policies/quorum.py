"""Count votes: each person fills one seat of one approval, and people are placed so that as many seats as possible are filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seats:
    """Hold the seats of one approval: `votes` of them, each for a person of any of the `roles`."""

    roles: frozenset[str]
    votes: int


def filled(seats: Sequence[Seats], voters: Mapping[str, frozenset[str]]) -> tuple[int, ...]:
    """Give how many seats of each approval can be filled at once. `voters` are the roles of each person who agreed, by stable id.

    A maximum matching by augmenting paths: whoever came first moves to another seat if that makes room. Pure; the order of voters
    does not change how many seats are filled in all.
    """
    taken: list[list[str]] = [[] for _ in seats]

    def place(voter: str, asked: set[int]) -> bool:
        for at, one in enumerate(seats):
            if at in asked or not voters[voter] & one.roles:
                continue
            asked.add(at)
            if len(taken[at]) < one.votes:
                taken[at].append(voter)
                return True
            for sitting in taken[at]:
                if place(sitting, asked):
                    taken[at][taken[at].index(sitting)] = voter
                    return True
        return False

    for voter in sorted(voters):
        place(voter, set())
    return tuple(len(each) for each in taken)
